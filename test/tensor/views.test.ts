// Views share memory and have the right elements.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import '../../src/autograd/index.ts'
import { arange, resolveRange, ShapeError, type Tensor, zeros } from '../../src/tensor/index.ts'
import { shape, tensor } from '../../src/testing/index.ts'
import { fc, values } from '../support.ts'

const counting = (...sizes: number[]): Tensor => arange(sizes.reduce((a, b) => a * b, 1)).reshape(sizes)
const taken = (x: Tensor) => [[...x.shape], values(x)]

describe("a slice equals Python's", () => {
  // the right-hand sides are list(range(5))[start:stop:step]
  const cases: [number | undefined, number | undefined, number | undefined, number[]][] = [
    [undefined, undefined, undefined, [0, 1, 2, 3, 4]],
    [1, 3, undefined, [1, 2]],
    [-2, undefined, undefined, [3, 4]],
    [undefined, -2, undefined, [0, 1, 2]],
    [3, 1, undefined, []],
    [10, undefined, undefined, []],
    [-10, 2, undefined, [0, 1]],
    [undefined, undefined, 2, [0, 2, 4]],
    [1, undefined, 3, [1, 4]],
    [-6, undefined, 2, [0, 2, 4]],
    [undefined, undefined, -1, [4, 3, 2, 1, 0]],
    [undefined, undefined, -2, [4, 2, 0]],
    [3, undefined, -2, [3, 1]],
    [3, 0, -1, [3, 2, 1]],
    [3, -5, -1, [3, 2, 1]],
    [3, -6, -1, [3, 2, 1, 0]],
    [10, -10, -3, [4, 1]],
    [-10, undefined, -1, []],
    [0, 3, -1, []],
  ]
  for (const [start, stop, step, expected] of cases)
    it(`${start ?? ''}:${stop ?? ''}:${step ?? ''} takes ${expected}`, () => {
      assert.deepEqual(values(arange(5).slice([{ start, stop, step }])), expected)
      assert.equal(resolveRange({ start, stop, step }, 5).length, expected.length)
    })
})

describe('views', () => {
  it('use no memory', () => {
    const x = counting(2, 3, 4)
    for (const view of [x.permute([2, 0, 1]), x.reshape([6, 4]), x.flip(1), x.slice([{}, 1]), x.expand([5, 2, 3, 4])])
      assert.equal(view.storage, x.storage)
  })

  it('of views have the right elements', () => {
    const x = counting(2, 3)
    assert.deepEqual(
      taken(
        x
          .transpose()
          .slice([{ step: -2 }])
          .reshape([-1]),
      ),
      [[4], [2, 5, 0, 3]],
    )
    assert.deepEqual(taken(x.flip([0, 1]).slice([0, { start: 1 }])), [[2], [4, 3]])
    assert.deepEqual(
      taken(
        x
          .slice([{}, { start: 1, stop: 2 }])
          .expand([2, 2])
          .transpose(),
      ),
      [
        [2, 2],
        [1, 4, 1, 4],
      ],
    )
    assert.deepEqual(taken(x.slice([{ start: 2 }])), [[0, 3], []])
  })

  it('with a step beyond the axis have one element', () => {
    assert.deepEqual(taken(counting(3).slice([{ start: 1, step: 2 ** 40 }])), [[1], [1]])
    assert.deepEqual(taken(counting(3).slice([{ step: -(2 ** 40) }])), [[1], [2]])
  })

  it('are copied only if a reshape has no strides', () => {
    const x = counting(2, 3)
    assert.notEqual(x.transpose().reshape([6]).storage, x.storage)
    assert.equal(x.transpose().reshape([3, 1, 2]).storage, x.storage)
    assert.equal(x.slice([{}, { step: 2 }]).reshape([2, 2, 1]).size, 4)
  })

  it('invert each other', () => {
    fc.assert(
      fc.property(tensor({ shape: shape({ minRank: 1 }) }), x => {
        const same = (y: Tensor) => assert.deepEqual(taken(y), taken(x))
        same(x.flip(0).flip(0))
        same(x.permute(x.shape.map((_, i) => x.rank - 1 - i)).permute(x.shape.map((_, i) => x.rank - 1 - i)))
        same(x.reshape([-1]).reshape(x.shape))
        same(x.unsqueeze(0).squeeze(0))
        same(x.pad(x.shape.map(() => [1, 2])).slice(x.shape.map(n => ({ start: 1, stop: 1 + n }))))
      }),
    )
  })

  it('of more ranges than axes throw', () => {
    assert.throws(() => zeros([2]).slice([{}, {}]), ShapeError)
    assert.throws(() => zeros([2]).expand([2, 3]), /expand: \[2\] does not broadcast to \[2, 3\]/)
  })
})
