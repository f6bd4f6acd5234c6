// What is drawn keeps its promises, and shrinks to what a person would have written.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defineOp, einsum } from '../../src/autograd/index.ts'
import { Generator, type Kernels, randn, type Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import {
  axes,
  broadcastShapes,
  einsumSpec,
  expression,
  gradientProperty,
  mask,
  matmulShapes,
  permutation,
  shape,
  slices,
  sourceOf,
  tensor as tensors,
} from '../../src/testing/index.ts'
import { fc, values } from '../support.ts'

const exp = (k: Kernels, x: Tensor) => k.unary('exp', x)

const right = defineOp('right', exp, (g, out) => [() => g.mul(out)])
const wrong = defineOp('wrong', exp, (g, out) => [() => g.mul(out).mul(1.001)])

describe('arbitraries', () => {
  const settings = { numRuns: 300 }

  it('a planted bug shrinks to one element', () => {
    const run = fc.check(gradientProperty(wrong, tensors()), settings)
    assert.ok(run.failed)
    const [[found]] = run.counterexample ?? [[]]
    assert.ok(found)
    assert.equal(found.size, 1)
    assert.deepEqual(values(found), [0])
    assert.ok(found.isContiguous)
  })

  it('a bug that needs two columns shrinks to two columns', () => {
    const leaky = defineOp('leaky', exp, (g, out, y) => [() => g.mul(out).mul((y.shape[y.rank - 1] ?? 0) > 1 ? 2 : 1)])
    const run = fc.check(gradientProperty(leaky, tensors({ shape: shape({ maxSize: 5 }) })), settings)
    assert.ok(run.failed)
    assert.deepEqual(run.counterexample?.[0][0].shape, [2])
  })

  it('a right rule is found right', () => fc.assert(gradientProperty(right, tensors()), { numRuns: 10 }))

  it('shapes keep within their limits, and some are empty', () => {
    const limited = shape({ minRank: 1, maxRank: 2, minSize: 2, maxSize: 4 })
    fc.assert(fc.property(limited, s => s.length >= 1 && s.length <= 2 && s.every(n => n >= 2 && n <= 4)))
    assert.ok(fc.sample(shape(), 300).some(s => s.includes(0)))
    assert.ok(fc.sample(shape(), 300).some(s => s.length === 0))
  })

  it('values stay away from kinks and are distinct where asked', () => {
    const values3 = tensors({ awayFrom: [0], domain: [-1, 3], distinct: true })
    fc.assert(
      fc.property(values3, t => {
        const list = values(t)
        assert.ok(list.every(v => Math.abs(v) >= 1 / 8 && v >= -1 && v <= 3))
        assert.equal(new Set(list).size, list.length)
      }),
    )
    assert.throws(
      () => tensors({ domain: [0, 0], awayFrom: [0] }),
      /awayFrom: no value from 0 to 0 is 0\.125 or more away from 0; values are multiples of/,
    )
  })

  it('a domain may be wide or narrow, and its values are float32 all the same', () => {
    const drawn = (domain: [number, number], dtype?: 'int32') => {
      const list = fc.sample(tensors({ domain, shape: [30], ...(dtype ? { dtype } : {}) }), 20).flatMap(values)
      assert.ok(list.every(v => v >= domain[0] && v <= domain[1] && Math.fround(v) === v))
      return new Set(list)
    }
    for (const domain of [
      [0, 1e6],
      [-1e8, 1e8],
      [5e7, 1e8],
      [-1e30, -1],
    ] as const) {
      const list = [...drawn([...domain])]
      assert.ok(
        list.some(v => Math.abs(v) > Math.max(...domain.map(Math.abs)) / 4),
        `some of ${domain} are large`,
      )
      assert.ok(list.length > 50)
    }
    assert.ok([...drawn([0, 1e6], 'int32')].some(v => v % 2 === 1))
    assert.ok(drawn([0.01, 0.1]).size >= 8)
    assert.ok(drawn([1, 1.001]).size >= 8)
    assert.deepEqual([...drawn([0, 1 / 8])].sort(), [0, 1 / 8])
    assert.deepEqual([...drawn([3, 3])], [3])
    // those nearest to 0, and simple ones, are still what things shrink to
    const run = fc.check(fc.property(tensors({ domain: [0, 1e6], shape: [1] }), t => values(t)[0] < 2.5))
    assert.ok(run.counterexample && values(run.counterexample[0])[0] <= 16)
  })

  it('a domain that cannot be is refused in words', () => {
    const refuses = (options: Parameters<typeof tensors>[0], message: RegExp) =>
      assert.throws(() => tensors(options), { name: 'RangeError', message })
    refuses(
      { domain: [0, Number.POSITIVE_INFINITY] },
      /must be two finite numbers in ascending order, not \[0, Infinity\]/,
    )
    refuses({ domain: [1, -1] }, /must be two finite numbers in ascending order, not \[1, -1\]/)
    refuses({ domain: [Number.NaN, 1] }, /not \[NaN, 1\]/)
    refuses({ domain: [0.25, 0.75], dtype: 'int32' }, /no whole number from 0\.25 to 0\.75/)
    refuses(
      { domain: [0, 1e10], dtype: 'int32' },
      /must be within int32, -2147483648 to 2147483647, not \[0, 10000000000\]/,
    )
    refuses({ domain: [0.1, 0.1 + 1e-12] }, /no value from 0.1 to 0.1\d* is exact in every dtype/)
    refuses({ domain: [0, 0.1], awayFrom: [0] }, /no value from 0 to 0\.1 is 0\.125 or more away from 0; values are/)
  })

  it('distinct values are distinct, or there are too few of them', () => {
    const many = (domain: [number, number]) => fc.sample(tensors({ distinct: true, shape: [100], domain }), 5)
    assert.ok(many([-7, 7]).every(t => new Set(values(t)).size === 100))
    assert.ok(many([0, 1e7]).every(t => new Set(values(t)).size === 100))
    assert.throws(() => many([-2, 2]), /distinct: \[100\] has 100 elements, but the domain has 33 different values/)
  })

  it('the rows of a large tensor are not the same', () => {
    for (const width of [61, 122, 33]) {
      const [x] = fc.sample(tensors({ shape: [8, width] }), { numRuns: 1, seed: 1 })
      const list = values(x)
      const rows = Array.from({ length: 8 }, (_, i) => list.slice(i * width, (i + 1) * width).join())
      assert.equal(new Set(rows).size, 8)
    }
  })

  it('the largest size and rank are at least the smallest', () => {
    assert.ok(fc.sample(shape({ minSize: 5 }), 20).every(s => s.every(n => n === 5)))
    assert.ok(fc.sample(shape({ minRank: 4 }), 20).every(s => s.length === 4))
    assert.ok(fc.sample(broadcastShapes(2, { minRank: 4 }), 20).every(([s]) => s.length === 4))
    assert.ok(fc.sample(axes({ minRank: 4 }), 20).every(({ shape: s }) => s.length === 4))
    const refuses = (options: Parameters<typeof shape>[0], message: RegExp) =>
      assert.throws(() => shape(options), { name: 'RangeError', message })
    refuses(
      { minSize: 5, maxSize: 4 },
      /minSize and maxSize must be integers of 0 or more in ascending order, not 5 and 4/,
    )
    refuses({ minRank: -1 }, /minRank and maxRank .* not -1 and 3/)
    refuses({ minRank: 2, maxRank: 1 }, /not 2 and 1/)
  })

  it('every dtype can be had, in every layout', () => {
    const strided = fc.sample(tensors({ shape: [2, 3] }), 100)
    assert.ok(strided.some(t => !t.isContiguous) && strided.some(t => t.strides[0] < 0))
    for (const dtype of ['float32', 'float64', 'int32', 'bool'] as const) {
      fc.assert(
        fc.property(tensors({ dtype }), t => t.dtype === dtype),
        { numRuns: 20 },
      )
    }
    const integers = fc.sample(tensors({ dtype: 'int32', shape: [20] }), 20).flatMap(values)
    assert.ok(integers.every(Number.isInteger))
  })

  it('broadcastShapes broadcast, matmulShapes multiply, axes are distinct, orders are orders', () => {
    fc.assert(
      fc.property(broadcastShapes(3), ([a, b, c]) => {
        zeros(a).add(zeros(b)).add(zeros(c))
      }),
    )
    fc.assert(fc.property(matmulShapes({ maxRank: 4 }), ([a, b]) => void zeros(a).matmul(zeros(b))))
    fc.assert(fc.property(axes(), ({ shape: s, axes: list }) => void zeros(s).sum({ axis: list })))
    fc.assert(fc.property(permutation(), ({ shape: s, order }) => void zeros(s).permute(order)))
    const orders = new Set(fc.sample(permutation({ minRank: 3 }), 400).map(({ order }) => order.join()))
    assert.equal(orders.size, 6)
  })

  it('slices can be taken, of every kind', () => {
    fc.assert(fc.property(slices(), ({ shape: s, ranges }) => void zeros(s).slice(ranges)))
    const kinds = new Set(
      fc
        .sample(slices({ minRank: 1 }), 200)
        .map(({ ranges: [r] }) => (typeof r === 'number' ? 'position' : Object.keys(r).join())),
    )
    assert.ok(kinds.has('position') && kinds.has('') && kinds.has('start,stop,step'), [...kinds].join(' '))
  })

  it('einsum takes the equations, and they say all it can', () => {
    fc.assert(fc.property(einsumSpec(), ({ equation, shapes }) => void einsum(equation, ...shapes.map(s => zeros(s)))))
    const equations = fc.sample(einsumSpec(), 500).map(({ equation }) => equation)
    const some = (pattern: RegExp) =>
      assert.ok(
        equations.some(e => pattern.test(e)),
        `none is like ${pattern}`,
      )
    some(/^[^>]*$/)
    some(/->$/)
    some(/(\w)\1/)
    some(/,.*,/)
    some(/->\w{2}/)
  })

  it('masks broadcast to their shape, and some hide everything', () => {
    const of = shape({ minRank: 2, maxRank: 2, minSize: 1 })
    fc.assert(fc.property(fc.tuple(of), ([s]) => fc.sample(mask(s), 5).every(m => m.expand(s).dtype === 'bool')))
    assert.ok(
      fc.sample(mask([2, 2]), 50).some(m => !values(m).includes(1)),
      'one that hides all',
    )
  })

  it('a program is what its source says', () => {
    fc.assert(
      fc.property(expression(), drawn => {
        const inputs = drawn.shapes.map((s, i) => randn(s, { dtype: 'float64', generator: new Generator(i) }))
        const again = new Function(`return ${drawn.source}`)() as typeof drawn.f
        assert.deepEqual(values(again(...inputs)), values(drawn.f(...inputs)))
      }),
    )
  })

  it('a bug in one step shrinks to a program of that step', () => {
    const run = fc.check(
      fc.property(expression(), ({ source }) => !source.includes('.attention(')),
      { numRuns: 300 },
    )
    const source = run.counterexample?.[0].source ?? ''
    assert.match(
      source,
      /^\(x0\) => \{\n {2}const y0 = \(\(a, ?b\) ?=> ?a\.attention\(b, ?a\)\)\(x0, x0\)\n {2}return y0\n\}$/,
    )
  })
})

describe('a value as TypeScript', () => {
  const again = (source: string): Tensor => new Function('tensor', `return ${source}`)(tensor) as Tensor

  it('is that value again: shape, dtype, memory and all', () => {
    const any = fc.constantFrom('float64', 'float32', 'int32', 'bool').chain(dtype => tensors({ dtype }))
    fc.assert(
      fc.property(any, x => {
        const y = again(sourceOf(x))
        assert.deepEqual([y.shape, values(y)], [x.shape, values(x)])
        if (!x.isContiguous) assert.deepEqual([y.strides, y.offset], [x.strides, x.offset])
        if (x.dtype !== 'float64') assert.equal(y.dtype, x.dtype)
      }),
    )
  })

  it('says float64 where the numbers need it', () => {
    assert.equal(
      sourceOf(tensor([0.1], { dtype: 'float64' })),
      "tensor([0.1], { dtype: 'float64', device: 'reference' })",
    )
    assert.equal(sourceOf(tensor([0.5, -0, Number.NaN], { dtype: 'float64' })), 'tensor([0.5, -0, NaN])')
  })

  it('goes as deep as the value', () =>
    assert.equal(
      sourceOf({ a: [1, { b: tensor(2) }], 'c-d': "it's", e: undefined }),
      '{ a: [1, { b: tensor(2) }], "c-d": "it\'s", e: undefined }',
    ))

  it('is what fast-check prints of a drawn tensor', () => {
    const run = fc.check(fc.property(tensors({ shape: [2] }), () => false))
    assert.match(fc.defaultReportMessage(run) ?? '', /Counterexample: \[tensor\(\[0, 0\]\)\]/)
  })
})
