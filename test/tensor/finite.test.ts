// Ranking of numbers that include NaN, and finding values that are not finite.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { canReplace, descending, indexOfNonFinite, isAbove, NonFiniteError } from '../../src/tensor/index.ts'
import { fc, runs } from '../support.ts'

const anyNumbers = fc.array(fc.double(), { maxLength: 20 })

describe('a sort from the largest to the smallest', () => {
  it('sorts the numbers, with NaN last', () => {
    fc.assert(
      fc.property(anyNumbers, list => {
        const isNumber = (x: number) => !Number.isNaN(x)
        const numbers = list.filter(isNumber).sort((a, b) => (a < b ? 1 : a > b ? -1 : 0))
        const sorted = [...list].sort(descending)
        assert.deepEqual(
          sorted.slice(0, numbers.length).map(x => x + 0),
          numbers.map(x => x + 0),
        )
        assert.ok(!sorted.slice(numbers.length).some(isNumber), 'a number is after NaN')
      }),
      runs(300),
    )
  })

  it('ranks NaN below everything, -∞ included, and no number above itself', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), x => {
        assert.deepEqual([isAbove(x, Number.NaN), isAbove(Number.NaN, x), isAbove(x, x)], [true, false, false])
      }),
      runs(100),
    )
    assert.deepEqual([isAbove(Number.NaN, Number.NaN), descending(Number.NaN, Number.NaN)], [false, 0])
  })
})

it('the first number that is not finite is found at any index', () => {
  fc.assert(
    fc.property(anyNumbers, list => {
      assert.equal(
        indexOfNonFinite(Float64Array.from(list)),
        list.findIndex(x => !Number.isFinite(x)),
      )
    }),
    runs(300),
  )
})

it('the error for a result that is not finite names it and contains the value', () => {
  const error = new NonFiniteError('the loss', Number.NaN, 'a weight is NaN')
  assert.deepEqual(
    [error.message, error.name, error.what, error.value],
    ['the loss is NaN: a weight is NaN', 'NonFiniteError', 'the loss', Number.NaN],
  )
})

it('numbers of one precision can replace those of another, integers and booleans cannot', () => {
  const types = ['float32', 'float64', 'int32', 'bool'] as const
  const fitting = types.flatMap(a => types.filter(b => canReplace(a, b)).map(b => `${a} for ${b}`))
  assert.deepEqual(fitting, [
    'float32 for float32',
    'float32 for float64',
    'float64 for float32',
    'float64 for float64',
    'int32 for int32',
    'bool for bool',
  ])
})
