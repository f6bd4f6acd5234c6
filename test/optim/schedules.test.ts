import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import {
  chain,
  constant,
  cosineRestarts,
  exponentialDecay,
  oneCycle,
  type PlateauOptions,
  polynomialDecay,
  ReduceOnPlateau,
  type Schedule,
  stepDecay,
  warmupCosine,
  warmupLinear,
} from '../../src/optim/index.ts'
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

/** What PyTorch's schedules give, by test/golden/optimizers.py. */
const golden = JSON.parse(readFileSync(new URL('../golden/optimizers.json', import.meta.url), 'utf8')) as {
  readonly rates: Readonly<Record<string, number[]>>
  readonly plateaus: Readonly<Record<string, { readonly metrics: number[]; readonly rates: number[] }>>
}

const schedules: Readonly<Record<string, Schedule>> = {
  oneCycle: oneCycle({ peak: 0.5, total: 25 }),
  'oneCycle of two steps': oneCycle({ peak: 0.5, total: 2 }),
  'oneCycle, from 0.1 to 0.01': oneCycle({ peak: 0.5, total: 20, rise: 0.4, start: 0.1, end: 0.01 }),
  cosineRestarts: cosineRestarts({ peak: 0.5, period: 7 }),
  'cosineRestarts, growing': cosineRestarts({ peak: 0.5, period: 3, growth: 2, end: 0.1 }),
  exponentialDecay: exponentialDecay({ rate: 0.5, factor: 0.9 }),
  stepDecay: stepDecay({ rate: 0.5, at: 7, factor: 0.5 }),
  'stepDecay, at steps': stepDecay({ rate: 0.5, at: [3, 10, 11] }),
  polynomialDecay: polynomialDecay({ rate: 0.5, total: 20, power: 2 }),
  chain: chain([stepDecay({ rate: 0.5, at: 2, factor: 0.5 }), 6], [exponentialDecay({ rate: 0.5, factor: 0.9 }), 1]),
}

for (const [name, expected] of Object.entries(golden.rates))
  test(`${name} has PyTorch's rates`, () => {
    assertCloseNumbers(first(expected.length).map(schedules[name]), expected, 1e-12)
  })

test('schedules that end stay at their end', () => {
  const end = (schedule: Schedule, total: number) => [schedule(total), schedule(3 * total)]
  assertCloseNumbers(end(oneCycle({ peak: 1, total: 10, end: 0.2 }), 10), [0.2, 0.2])
  assertCloseNumbers(end(polynomialDecay({ rate: 1, total: 10, end: 0.2 }), 10), [0.2, 0.2])
  assert.ok(
    first(10)
      .map(oneCycle({ peak: 1, total: 10, rise: 0.1 }))
      .every(Number.isFinite),
  )
})

test('schedules refuse settings that make no sense, by name', () => {
  assert.throws(() => oneCycle({ peak: 1, total: 10, rise: 1 }), /rise = 1: must be above 0 and below 1/)
  assert.throws(() => oneCycle({ peak: 1, total: 1 }), /total = 1: must be in \[2,/)
  assert.throws(() => cosineRestarts({ peak: 1, period: 3, growth: 0.5 }), /growth = 0.5: must be in \[1,/)
  assert.throws(() => cosineRestarts({ peak: 1, period: 0 }), /period must be a whole number above 0/)
  assert.throws(() => exponentialDecay({ rate: 1, factor: 2 }), /factor = 2: must be above 0 and at most 1/)
  assert.throws(
    () => stepDecay({ rate: 1, at: [5, 3] }),
    /at must be a number of steps, or a list of steps in ascending/,
  )
  assert.throws(() => polynomialDecay({ rate: 1, total: 5, power: 0 }), /power = 0: must be above 0/)
  assert.throws(() => chain(), /chain: there must be a schedule/)
  // @ts-expect-error a schedule without its number of steps
  assert.throws(() => chain(constant(1)), /must be a schedule and its number of steps/)
  assert.throws(() => new ReduceOnPlateau({ rate: 1, factor: 1 }), /factor = 1: must be above 0 and below 1/)
})

const plateaus: Readonly<Record<string, Omit<PlateauOptions, 'rate'>>> = {
  min: { factor: 0.5, patience: 2 },
  max: { mode: 'max', factor: 0.5, patience: 1, cooldown: 2, end: 0.1 },
  threshold: { factor: 0.5, patience: 1, threshold: 0.1 },
}

for (const [name, { metrics, rates }] of Object.entries(golden.plateaus))
  test(`ReduceOnPlateau ${name} has PyTorch's rates, also from a state that was saved in the middle`, () => {
    const options = { rate: 0.5, ...plateaus[name] }
    const plateau = new ReduceOnPlateau(options)
    assert.equal(plateau.rate, 0.5)
    assertCloseNumbers(
      metrics.map(metric => plateau.observe(metric)),
      rates,
      1e-12,
    )
    assert.ok(rates[rates.length - 1] < 0.5)
    for (let cut = 0; cut < metrics.length; cut++) {
      const before = new ReduceOnPlateau(options)
      for (const metric of metrics.slice(0, cut)) before.observe(metric)
      const after = new ReduceOnPlateau(options).loadStateDict(JSON.parse(JSON.stringify(before.stateDict())))
      assertCloseNumbers(
        metrics.slice(cut).map(metric => after.observe(metric)),
        rates.slice(cut),
        1e-12,
      )
    }
  })

test('ReduceOnPlateau counts NaN as no improvement, and improvements of negative numbers', () => {
  const plateau = new ReduceOnPlateau({ rate: 1, patience: 0 })
  plateau.observe(-1)
  assert.equal(plateau.observe(-1.1), 1)
  assert.equal(plateau.observe(-1.1), 0.1)
  assertCloseNumbers([plateau.observe(Number.NaN)], [0.01])
  // @ts-expect-error not a state
  assert.throws(() => plateau.loadStateDict({ rate: 1 }), /must be what stateDict of a ReduceOnPlateau gives/)
})
