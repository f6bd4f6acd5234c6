// Spreads and differences over seeds, against their definitions and against published quantiles.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { differenceOf, spreadOf } from '../../src/experiments/statistics.ts'
import { assertCloseNumbers, fc, runs } from '../support.ts'

const numbers = (n: number) => fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: n, maxLength: 12 })

describe('the spread of numbers', () => {
  it('has the mean and the sample deviation', () => {
    const { mean, deviation, least, most } = spreadOf([2, 4, 4, 4, 5, 5, 7, 9])
    // Σ (x - 5)² = 32, over 7
    assertCloseNumbers([mean, deviation, least, most], [5, Math.sqrt(32 / 7), 2, 9])
  })

  it('of one number is not a number, and of none an error', () => {
    assert.ok(Number.isNaN(spreadOf([3]).deviation))
    assert.throws(() => spreadOf([]), RangeError)
  })
})

describe('the difference of two rows', () => {
  it('has the interval of a paired t test', () => {
    // differences 1, 2, 3: mean 2, deviation 1; t(2) at 97.5 % is 4.303
    const { mean, interval, isClear } = differenceOf([2, 4, 6], [1, 2, 3])
    assertCloseNumbers([mean, ...interval], [2, 2 - 4.303 / Math.sqrt(3), 2 + 4.303 / Math.sqrt(3)], 1e-12)
    assert.equal(isClear, false)
  })

  it('does not depend on what both rows have in common', () => {
    fc.assert(
      fc.property(numbers(3), numbers(12), (base, luck) => {
        const shift = base.map((_, i) => luck[i])
        const plain = differenceOf(
          base.map(x => x + 0.5),
          base,
        )
        const moved = differenceOf(
          base.map((x, i) => x + 0.5 + shift[i]),
          base.map((x, i) => x + shift[i]),
        )
        assertCloseNumbers([moved.mean, ...moved.interval], [plain.mean, ...plain.interval], 1e-9)
      }),
      runs(50),
    )
  })

  it('changes its sign with the order of the rows', () => {
    fc.assert(
      fc.property(numbers(3), a => {
        const b = a.map((x, i) => x * (i % 3))
        const [there, back] = [differenceOf(a, b), differenceOf(b, a)]
        assertCloseNumbers([back.mean, ...back.interval], [-there.mean, -there.interval[1], -there.interval[0]], 1e-12)
        assert.equal(back.isClear, there.isClear)
      }),
      runs(50),
    )
  })

  it('of equal rows is not clear, and neither is one of two seeds', () => {
    assert.equal(differenceOf([1, 2, 3], [1, 2, 3]).isClear, false)
    assert.equal(differenceOf([0.1 + 0.2, 0.3, 0.3], [0.3, 0.3, 0.3]).isClear, false)
    assert.equal(differenceOf([2, 2], [1, 1]).isClear, false)
    assert.equal(differenceOf([2], [1]).interval[1], Number.POSITIVE_INFINITY)
  })

  it('says how many seeds make it clear: with so many of the same spread it is, with one less it is not', () => {
    // one value at each of -deviation, 0 and deviation around the mean, repeated
    const spread = (n: number) => Array.from({ length: n }, (_, i) => 1 + 1.2 * ((i % 3) - 1))
    const { deviation, seedsNeeded } = differenceOf(spread(3), [0, 0, 0])
    assert.ok(seedsNeeded !== undefined && seedsNeeded > 3)
    const at = (n: number) => {
      // n numbers with mean 1 and that deviation: half of them above, half below
      const away = deviation * Math.sqrt((n - 1) / (n - (n % 2)))
      const values = Array.from({ length: n }, (_, i) =>
        n % 2 === 1 && i === 0 ? 1 : 1 + (i % 2 === 0 ? away : -away),
      )
      return differenceOf(
        values,
        values.map(() => 0),
      ).isClear
    }
    assert.deepEqual([at(seedsNeeded), at(seedsNeeded - 1)], [true, false])
    assert.equal(differenceOf([1, -1, 0.001], [0, 0, 0]).seedsNeeded, undefined)
  })

  it('needs the same seeds in both', () => {
    assert.throws(() => differenceOf([1, 2], [1]), /2 values are compared with 1/)
  })
})
