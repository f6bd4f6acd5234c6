// Shapes, strides and broadcasting against their definitions.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  AxisError,
  broadcastShapes,
  broadcastStrides,
  broadcastsTo,
  checkShape,
  contiguousStrides,
  isContiguous,
  normalizeAxes,
  normalizeAxis,
  reducedShape,
  reshapeStrides,
  resolveReshape,
  ShapeError,
  sizeOf,
} from '../../src/tensor/index.ts'
import { broadcastShapes as drawBroadcast, permutation, shape } from '../../src/testing/index.ts'
import { common, positions } from '../autograd/plain.ts'
import { fc } from '../support.ts'

/** The address of each element, in row-major order. */
const addresses = (sizes: readonly number[], strides: readonly number[]) =>
  positions(sizes).map(at => at.reduce((sum, n, i) => sum + n * strides[i], 0))

const counting = (sizes: readonly number[]) => Array.from({ length: sizeOf(sizes) }, (_, i) => i)

describe('strides', () => {
  it('of contiguous tensors count the elements', () => {
    fc.assert(
      fc.property(shape(), sizes => {
        assert.deepEqual(addresses(sizes, contiguousStrides(sizes)), counting(sizes))
        assert.ok(isContiguous(sizes, contiguousStrides(sizes)))
      }),
    )
  })

  it('are contiguous exactly if they count the elements', () => {
    fc.assert(
      fc.property(permutation(), ({ shape: sizes, order }) => {
        const plain = contiguousStrides(sizes)
        const [s, t] = [order.map(i => sizes[i]), order.map(i => plain[i])]
        assert.equal(
          isContiguous(s, t),
          addresses(s, t).every((address, i) => address === i),
        )
      }),
    )
  })

  it('of a broadcast repeat elements', () => {
    assert.deepEqual(broadcastStrides([3, 1], [1, 1], [2, 3, 4]), [0, 1, 0])
    assert.deepEqual(broadcastStrides([1], [1], [1, 1]), [0, 1])
  })

  it('of a reshape address the same elements, or do not exist', () => {
    const split = fc.array(fc.constantFrom(1, 2, 3), { maxLength: 4 })
    fc.assert(
      fc.property(permutation({ maxSize: 4 }), split, ({ shape: sizes, order }, factors) => {
        const plain = contiguousStrides(sizes)
        const [s, t] = [order.map(i => sizes[i]), order.map(i => plain[i])]
        const size = sizeOf(s)
        if (size === 0) return
        const product = sizeOf(factors)
        const target = size % product === 0 ? [...factors, size / product] : [size]
        const strides = reshapeStrides(s, t, target)
        const expected = addresses(s, t)
        if (strides) assert.deepEqual(addresses(target, strides), expected)
        else {
          // strides follow from the first step along every axis; if any would do, these would
          const steps = contiguousStrides(target).map((n, i) => (target[i] > 1 ? expected[n] - expected[0] : 1))
          assert.notDeepEqual(addresses(target, steps), expected)
        }
      }),
      { numRuns: 500 },
    )
  })
})

describe('broadcasting', () => {
  it('gives the common shape in any order', () => {
    fc.assert(
      fc.property(drawBroadcast(3), shapes => {
        const result = broadcastShapes('test', ...shapes)
        assert.deepEqual(result, common(...shapes))
        assert.deepEqual(broadcastShapes('test', ...[...shapes].reverse()), result)
        for (const s of shapes) assert.ok(broadcastsTo(s, result))
      }),
    )
  })

  it('throws for different sizes and names all shapes', () => {
    assert.throws(() => broadcastShapes('add', [2, 1, 3], [4, 2]), {
      name: 'ShapeError',
      message: 'add: [2, 1, 3] and [4, 2] do not broadcast: 3 ≠ 2',
      shapes: [
        [2, 1, 3],
        [4, 2],
      ],
    })
    assert.throws(() => broadcastShapes('add', [0], [2]), ShapeError)
    assert.ok(!broadcastsTo([2, 3], [3]) && !broadcastsTo([2], [3]) && broadcastsTo([1, 3], [5, 2, 3]))
  })
})

describe('axes', () => {
  it('count from the front or the back', () => {
    assert.equal(normalizeAxis('test', -1, [2, 3]), 1)
    assert.equal(normalizeAxis('test', 0, [2, 3]), 0)
    assert.deepEqual(normalizeAxes('test', [-1, 0], [2, 3, 4]), [0, 2])
    assert.deepEqual(normalizeAxes('test', undefined, [2, 3]), [0, 1])
    assert.deepEqual(normalizeAxes('test', [], [2, 3]), [])
  })

  it('that do not exist throw', () => {
    for (const axis of [2, -3, 0.5, Number.NaN]) assert.throws(() => normalizeAxis('sum', axis, [2, 3]), AxisError)
    assert.throws(() => normalizeAxis('sum', 0, []), {
      message: 'sum: [] has no axis 0: a scalar has none',
      axis: 0,
    })
    assert.throws(() => normalizeAxes('sum', [0, -2], [2, 3]), /axes \[0, 0\] name an axis of \[2, 3\] twice/)
  })

  it('are removed or kept when they are reduced', () => {
    assert.deepEqual(reducedShape([2, 3, 4], [1], false), [2, 4])
    assert.deepEqual(reducedShape([2, 3, 4], [0, 2], true), [1, 3, 1])
  })
})

describe('shapes', () => {
  it('are non-negative integers', () => {
    checkShape('test', [])
    checkShape('test', [0, 3])
    for (const bad of [[-1], [0.5], [Number.NaN], [Infinity]]) assert.throws(() => checkShape('zeros', bad), ShapeError)
  })

  it('infer a single -1', () => {
    assert.deepEqual(resolveReshape([2, 3, 4], [-1, 6]), [4, 6])
    assert.deepEqual(resolveReshape([], [-1]), [1])
    assert.deepEqual(resolveReshape([0, 3], [-1]), [0])
    assert.throws(() => resolveReshape([2, 3], [-1, 4]), /\[2, 3\] has 6 elements and cannot become \[-1, 4\]/)
    assert.throws(() => resolveReshape([2, 3], [-1, -1]), ShapeError)
  })
})
