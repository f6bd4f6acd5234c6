// Values and all gradients of attention on cpu against its definition on the reference, for any number of heads, any layout in
// memory and any broadcast of the mask.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attention, vjp } from '../../../src/autograd/index.ts'
import { type DeviceName, device, fromData, Generator, scope, type Tensor } from '../../../src/tensor/index.ts'
import { fc, runs } from '../../support.ts'

await device.use('cpu')

/** A stack of heads: in order, as a layer splits it off, or one for all of a batch. */
type Layout = 'in order' | 'split' | 'shared'

interface Call {
  readonly batch: number
  readonly heads: number
  readonly queries: number
  readonly keys: number
  readonly width: number
  readonly size: number
  readonly layouts: readonly Layout[]
  /** which of the mask's axes are there */
  readonly mask?: readonly boolean[]
  readonly causal: boolean
}

const calls: fc.Arbitrary<Call> = fc.record({
  batch: fc.integer({ min: 1, max: 3 }),
  heads: fc.integer({ min: 1, max: 3 }),
  queries: fc.integer({ min: 1, max: 9 }),
  keys: fc.integer({ min: 1, max: 21 }),
  width: fc.integer({ min: 1, max: 9 }),
  size: fc.integer({ min: 1, max: 9 }),
  layouts: fc.array(fc.constantFrom<Layout>('in order', 'split', 'shared'), { minLength: 3, maxLength: 3 }),
  mask: fc.option(fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }), { nil: undefined }),
  causal: fc.boolean(),
})

function run(on: DeviceName, call: Call): number[][] {
  const { batch, heads, queries, keys, width, size, layouts, mask, causal } = call
  const generator = new Generator(5)
  return device.with(on, () =>
    scope(() => {
      const stack = (tokens: number, n: number, layout: Layout): Tensor => {
        const values = Float32Array.from({ length: batch * heads * tokens * n }, () => generator.normal())
        if (layout === 'in order') return fromData(values, [batch, heads, tokens, n])
        if (layout === 'split') return fromData(values, [batch, tokens, heads, n]).permute([0, 2, 1, 3])
        return fromData(values.subarray(0, tokens * n), [1, 1, tokens, n]).expand([batch, heads, tokens, n])
      }
      const inputs = [stack(queries, width, layouts[0]), stack(keys, width, layouts[1]), stack(keys, size, layouts[2])]
      const slope = stack(queries, size, 'split')
      const shape = mask && [batch, heads, queries, keys].map((n, i) => (mask[i] ? n : 1))
      const seen =
        shape &&
        fromData(
          Uint8Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => (generator.uniform() < 0.6 ? 1 : 0)),
          shape,
          undefined,
          'bool',
        )
      const [value, pullback] = vjp((q, k, v) => attention(q, k, v, { mask: seen, causal }), ...inputs)
      return [value, ...pullback(slope)].map(x => [...x.dataSync()])
    }),
  )
}

test('values and gradients equal those of the reference', () => {
  fc.assert(
    fc.property(calls, call => {
      const [actual, expected] = [run('cpu', call), run('reference', call)]
      actual.forEach((values, i) => {
        const scale = expected[i].reduce((a, b) => Math.max(a, Math.abs(b)), 1)
        values.forEach((x, j) => {
          assert.ok(Math.abs(x - expected[i][j]) <= 3e-6 * scale, `result ${i}: [${j}] is ${x}, not ${expected[i][j]}`)
        })
      })
    }),
    runs(150),
  )
})

test('shapes that do not match throw before anything is read', () => {
  const of = (...shape: number[]) => fromData(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape)
  const mask = fromData(new Uint8Array(5), [5], undefined, 'bool')
  scope(() => {
    assert.throws(() => attention(of(2, 3), of(4, 3), of(5, 2)), /keys \[4, 3\] and values \[5, 2\]/)
    assert.throws(() => attention(of(2, 3), of(4, 2), of(4, 2)), /queries \[2, 3\], keys \[4, 2\]/)
    assert.throws(() => attention(of(2, 3), of(4, 3), of(4, 2), { mask }), /a mask of \[5\]/)
  })
})
