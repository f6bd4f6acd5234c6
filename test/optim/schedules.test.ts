import assert from 'node:assert/strict'
import { test } from 'node:test'
import { constant, warmupCosine, warmupLinear } from '../../src/optim/index.ts'
import { assertCloseNumbers, fc, runs } from '../support.ts'

const first = (n: number) => Array.from({ length: n }, (_, step) => step)

test('the warm-up rises linearly, and the linear schedule falls linearly to its end', () => {
  const rate = warmupLinear({ peak: 1, warmup: 4, total: 8 })
  assertCloseNumbers(first(10).map(rate), [0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25, 0, 0])
  const above = warmupLinear({ peak: 1, total: 4, end: 0.2 })
  assertCloseNumbers(first(6).map(above), [1, 0.8, 0.6, 0.4, 0.2, 0.2])
})

test('the cosine schedule is half a cosine', () => {
  const rate = warmupCosine({ peak: 2, warmup: 2, total: 6, end: 1 })
  const half = Math.SQRT1_2 / 2
  assertCloseNumbers(first(8).map(rate), [1, 2, 2, 1.5 + half, 1.5, 1.5 - half, 1, 1])
})

test("the cosine schedule equals another implementation's", () => {
  // 1e-3 (s + 1) / 5, then 1e-3 · 0.5 (1 + cos(π (s - 5) / 25)), as printed there
  const rate = warmupCosine({ peak: 1e-3, warmup: 5, total: 30 })
  const printed: [number, number][] = [
    [0, 0.0002],
    [1, 0.0004],
    [23, 0.00018128800512565513],
    [26, 6.184665997806821e-5],
    [29, 3.942649342761117e-6],
  ]
  assertCloseNumbers(
    printed.map(([step]) => rate(step) * 1e3),
    printed.map(([, expected]) => expected * 1e3),
    1e-12,
  )
})

test('a constant schedule is constant', () => {
  assert.deepEqual(first(3).map(constant(0.1)), [0.1, 0.1, 0.1])
})

test('a schedule is between its ends and never rises after the warm-up', () => {
  const options = fc.record({
    peak: fc.double({ min: 1e-6, max: 1, noNaN: true }),
    warmup: fc.nat(20),
    rest: fc.integer({ min: 1, max: 50 }),
  })
  fc.assert(
    fc.property(options, fc.constantFrom(warmupLinear, warmupCosine), ({ peak, warmup, rest }, schedule) => {
      const rates = first(warmup + rest + 5).map(schedule({ peak, warmup, total: warmup + rest, end: peak / 10 }))
      assert.equal(Math.max(...rates), peak)
      assert.ok(rates.slice(1, warmup).every((rate, i) => rate > rates[i]))
      assert.ok(rates.slice(warmup + 1).every((rate, i) => rate <= rates[warmup + i]))
      assert.ok(rates.slice(warmup + rest).every(rate => Math.abs(rate - peak / 10) < 1e-12))
    }),
    runs(100),
  )
})

test('a warm-up longer than the run throws', () => {
  assert.throws(() => warmupLinear({ peak: 1, warmup: 10, total: 10 }), /warmup = 10: must be in \[0, 10\)/)
  assert.throws(() => warmupCosine({ peak: -1, total: 10 }), /peak = -1/)
})
