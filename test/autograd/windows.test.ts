// The gradients of slices: the tape collects them and adds them up at once, so that n slices of a tensor take as long as the whole, and
// not n times as long.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { grad, gradcheck, stack, Tape, vmap } from '../../src/autograd/index.ts'
import { observeOperations } from '../../src/autograd/observing.ts'
import { device, fromData, type Shape, type Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import { shape } from '../../src/testing/index.ts'
import { assertClose, fc, runs } from '../support.ts'
import { plain } from './plain.ts'

type Ranges = readonly { readonly start: number; readonly stop: number }[]

const ranges = (sizes: Shape): fc.Arbitrary<Ranges> =>
  fc.tuple(
    ...sizes.map(n =>
      fc.tuple(fc.nat(n), fc.nat(n)).map(([a, b]) => ({ start: Math.min(a, b), stop: Math.max(a, b) })),
    ),
  )

/** A shape, windows of it, of which some are there twice, and whether it is used as a whole too. */
const samples = shape({ maxRank: 3, maxSize: 4 }).chain(sizes =>
  fc.record({
    sizes: fc.constant(sizes),
    windows: fc.array(ranges(sizes), { minLength: 1, maxLength: 6 }).map(list => [...list, ...list.slice(0, 2)]),
    isWhole: fc.boolean(),
  }),
)

const count = (sizes: Shape) => sizes.reduce((product, n) => product * n, 1)

/** Numbers that differ, on a device. */
const numbers = (sizes: Shape, on: 'reference' | 'cpu' = 'reference'): Tensor => {
  const data = Array.from({ length: count(sizes) }, (_, i) => 0.3 + ((i * 7) % 11) / 8)
  return on === 'cpu'
    ? fromData(Float32Array.from(data), sizes, device.get('cpu'))
    : fromData(Float64Array.from(data), sizes, device.get('reference'))
}

/** A slice whose gradient is a pad of its own. */
const padded = (x: Tensor, window: Ranges): Tensor => {
  const inside = zeros(
    window.map(({ start, stop }) => stop - start),
    { dtype: x.dtype, device: x.device },
  )
    .add(1)
    .pad(window.map(({ start }, i) => [start, x.shape[i] - window[i].stop]))
  return x.mul(inside)
}

/** A smooth scalar, in which each part has a factor of its own. */
const scalarOf = (parts: readonly Tensor[]): Tensor =>
  parts
    .map((part, i) =>
      part
        .square()
        .mul(part)
        .sum()
        .mul(1 + i / 4),
    )
    .reduce((a, b) => a.add(b))

const sliced = (windows: readonly Ranges[], isWhole: boolean) => (x: Tensor) =>
  scalarOf([...windows.map(window => x.slice(window)), ...(isWhole ? [x] : [])])

const masked = (windows: readonly Ranges[], isWhole: boolean) => (x: Tensor) =>
  scalarOf([...windows.map(window => padded(x, window)), ...(isWhole ? [x] : [])])

/** The operations that a function runs, and the number of elements that those with memory of their own write. */
function work(f: () => unknown): { readonly names: readonly string[]; readonly elements: number } {
  const names: string[] = []
  let elements = 0
  const views = new Set(['slice', 'reshape', 'expand', 'permute'])
  const end = observeOperations((name, _, result) => {
    names.push(name)
    if (!views.has(name)) elements += result.size
  })
  try {
    f()
  } finally {
    end()
  }
  return { names, elements }
}

describe('gradients of slices', () => {
  for (const on of ['reference', 'cpu'] as const)
    it(`on ${on}, are those of slices with the other elements at zero, where they overlap and where they do not`, () => {
      fc.assert(
        fc.property(samples, ({ sizes, windows, isWhole }) => {
          const x = numbers(sizes, on)
          const tolerance = on === 'cpu' ? 1e-5 : 1e-12
          const [f, g] = [sliced(windows, isWhole), masked(windows, isWhole)]
          assertClose(grad(f)(x), plain(grad(g)(x)), tolerance)
          const second = (h: (y: Tensor) => Tensor) => grad((y: Tensor) => scalarOf([grad(h)(y)]))(x)
          assertClose(second(f), plain(second(g)), tolerance)
        }),
        runs(60),
      )
    })

  it('agree with differences, at first and second order', () => {
    fc.assert(
      fc.property(samples, ({ sizes, windows, isWhole }) => {
        const result = gradcheck(sliced(windows, isWhole), [numbers(sizes)], { order: 2 })
        assert.ok(result.ok, `${result}`)
      }),
      runs(10),
    )
  })

  it('are those of each sample in vmap, inside of it and around it', () => {
    fc.assert(
      fc.property(samples, ({ sizes, windows, isWhole }) => {
        const f = sliced(windows, isWhole)
        const all = numbers([2, ...sizes])
        const loop = (g: (x: Tensor) => Tensor) => (xs: Tensor) => stack([0, 1].map(i => g(xs.slice([i]))))
        assertClose(vmap(grad(f))(all), plain(loop(grad(f))(all)))
        assertClose(grad(xs => vmap(f)(xs).sum())(all), plain(loop(grad(f))(all)))
        const both = (map: typeof loop) => grad((xs: Tensor) => scalarOf([map(grad(f))(xs)]))(all)
        assertClose(both(vmap), plain(both(loop)))
      }),
      runs(20),
    )
  })

  it('of all slices write as many elements as the tensor has, for any number of them', () => {
    const slices: Readonly<Record<string, (x: Tensor, n: number) => readonly Tensor[]>> = {
      unbind: x => x.unbind(),
      'unbind along the last axis': x => x.unbind({ axis: 1 }),
      split: x => x.split(1),
      chunk: (x, n) => x.chunk(n),
      at: (x, n) => Array.from({ length: n }, (_, i) => x.at(i)),
      'of single elements': (x, n) => Array.from({ length: n * n }, (_, i) => x.at(Math.floor(i / n), i % n)),
    }
    for (const [name, cut] of Object.entries(slices)) {
      const written = (n: number) => {
        const [x, tape] = [numbers([n, n]), new Tape()]
        tape.watch(x)
        const y = tape.run(() => scalarOf(cut(x, n)))
        return work(() => tape.gradient(y, [x]))
      }
      const [few, many] = [written(8), written(32)]
      assert.deepEqual(
        many.names.filter(of => of === 'pad'),
        [],
      )
      // 16 times the elements
      assert.ok(many.elements < 20 * few.elements, `${name}: ${few.elements} and ${many.elements}`)
    }
  })

  it('take no longer while another tape records them', () => {
    const second = (n: number) => {
      const x = numbers([n, 4])
      const slope = grad((y: Tensor) => scalarOf(y.unbind()))
      return work(() => grad((y: Tensor) => scalarOf(slope(y).unbind()))(x)).elements
    }
    const [few, many] = [second(8), second(32)]
    assert.ok(many < 5 * few, `${few} and ${many}`)
  })

  it('that wait have no more elements than the tensor and one window', () => {
    const x = numbers([4, 4])
    const sums = work(() => grad((y: Tensor) => scalarOf(Array.from({ length: 20 }, () => y.slice([{ stop: 2 }]))))(x))
    // 20 windows of 8 elements: three are more than 16
    assert.equal(sums.names.filter(name => name === 'addWindows').length, 7)
  })

  it('of a part that is not used are zeros', () => {
    const x = tensor([1, 2, 3], { dtype: 'float64' })
    assertClose(grad((y: Tensor) => y.unbind()[1].square())(x), { shape: [3], data: [0, 4, 0] })
    assertClose(grad((y: Tensor) => y.split([1, 0, 2])[2].square().sum())(x), { shape: [3], data: [0, 4, 6] })
  })

  it('do not change a gradient that shares their memory', () => {
    const x = numbers([4, 2], 'cpu')
    const w = numbers([2], 'cpu')
    const f = (y: Tensor, v: Tensor) => {
      const z = y.mul(1)
      // one gradient of the three, in which nothing must be added up
      const sum = v.add(z.at(0)).add(z.at(1))
      return sum.mul(v.stopGradient()).sum().add(z.mul(z).sum())
    }
    const [byX, byW] = grad(f, { wrt: [0, 1] })(x, w)
    assertClose(byW, plain(w))
    assertClose(byX, plain(x.mul(2).add(stack([w, w, w.mul(0), w.mul(0)]))), 1e-6)
  })
})
