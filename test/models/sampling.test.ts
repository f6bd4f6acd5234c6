// Sampling against the distribution it claims to draw from.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { adjusted, drawFrom, largest, largestOf, logSoftmax } from '../../src/models/generation/sampling.ts'
import type { GenerateOptions } from '../../src/models/index.ts'
import { Generator } from '../../src/tensor/index.ts'
import { assertCloseNumbers, fc, runs } from '../support.ts'
import { logProbabilities } from './search.ts'
import { assertAbove, assertBelow, coca, end, pictures, small, start, withoutPad } from './small.ts'

/** What is left of probabilities by temperature, then the k likeliest, then the likeliest that reach p. */
function expectedShares(logs: readonly number[], { temperature = 1, topK, topP = 1 }: Partial<GenerateOptions>) {
  const hot = logs.map(x => Math.exp(x / temperature))
  const order = hot.map((_, id) => id).sort((a, b) => hot[b] - hot[a])
  const kept = order.slice(0, topK)
  const mass = kept.reduce((sum, id) => sum + hot[id], 0)
  const nucleus: number[] = []
  let reached = 0
  for (const id of kept) {
    if (reached >= topP - 1e-12) break
    nucleus.push(id)
    reached += hot[id] / mass
  }
  const total = nucleus.reduce((sum, id) => sum + hot[id], 0)
  return hot.map((x, id) => (nucleus.includes(id) ? x / total : 0))
}

/** Pearson's χ² over its value at p = 0.001 for as many degrees of freedom, by Wilson and Hilferty's approximation. */
function misfit(counts: readonly number[], shares: readonly number[]): number {
  const n = counts.reduce((a, b) => a + b)
  let statistic = 0
  let freedom = -1
  counts.forEach((count, id) => {
    if (shares[id] === 0) assert.equal(count, 0, `token ${id} cannot be drawn and was`)
    else {
      statistic += (count - n * shares[id]) ** 2 / (n * shares[id])
      freedom++
    }
  })
  if (freedom === 0) return 0
  const limit = freedom * (1 - 2 / (9 * freedom) + 3.09 * Math.sqrt(2 / (9 * freedom))) ** 3
  return statistic / limit
}

const ways: Partial<GenerateOptions>[] = [
  {},
  { temperature: 0.4 },
  { temperature: 3 },
  { topK: 3 },
  { topP: 0.7 },
  { topP: 1e-9 },
  { topK: 4, topP: 0.6, temperature: 1.7 },
]
const logs = logSoftmax([1.2, 0.1, -0.4, 2, 0.7, -3, 0.3])

describe('sampling', () => {
  for (const options of ways) {
    it(`draws from the requested distribution: ${JSON.stringify(options)}`, () => {
      const generator = new Generator(11)
      const counts = new Array<number>(logs.length).fill(0)
      for (let i = 0; i < 20_000; i++) counts[drawFrom(logs, { temperature: 1, generator, ...options })]++
      assertBelow(misfit(counts, expectedShares([...logs], options)), 1)
    })
  }

  it('from another distribution fails this test', () => {
    const counts = expectedShares([...logs], { temperature: 1.1 }).map(share => 20_000 * share)
    assertAbove(misfit(counts, expectedShares([...logs], {})), 1)
  })

  it('of a model draws all tokens from the probabilities of the model', async () => {
    const model = coca(withoutPad)
    const image = pictures(1)
    const options = { start, sample: true, maximumLength: 3, temperature: 1.5, topK: 5, generator: new Generator(3) }
    const first = expectedShares(logProbabilities(model, image, [start]), options)
    const counts = first.map(() => new Array<number>(7).fill(0))
    const batch = image.expand([500, 3, 8, 8])
    for (let i = 0; i < 2; i++) for (const { ids } of await model.generate(batch, options)) counts[ids[1]][ids[2]]++
    const totals = counts.map(row => row.reduce((a, b) => a + b))
    assertBelow(misfit(totals, first), 1)
    const likeliest = totals.indexOf(Math.max(...totals))
    const second = expectedShares(logProbabilities(model, image, [start, likeliest]), options)
    assertBelow(misfit(counts[likeliest], second), 1)
  })

  it('with topK 1 is greedy', async () => {
    const model = coca(small)
    const images = pictures(3)
    const greedy = await model.generate(images, { start, end })
    for (const narrow of [{ topK: 1 }, { topP: 1e-9 }, { temperature: 1e-6 }])
      assert.deepEqual(await model.generate(images, { start, end, sample: true, ...narrow }), greedy)
  })

  it('gives equal captions from equal seeds, and others from another seed', async () => {
    const model = coca(small)
    const sample = (number: number) =>
      model.generate(pictures(3), { start, sample: true, generator: new Generator(number) })
    assert.deepEqual(await sample(1), await sample(1))
    assert.notDeepEqual(await sample(1), await sample(2))
  })

  it('reports the log-probability of the model, at any temperature', async () => {
    const model = coca(withoutPad)
    const image = pictures(1)
    const options = { start, sample: true, temperature: 2, repetitionPenalty: 1.3, generator: new Generator(8) }
    const [{ ids, logProbability }] = await model.generate(image, options)
    const expected = ids.slice(1).map((id, i) => logProbabilities(model, image, ids.slice(0, i + 1))[id])
    assertCloseNumbers([logProbability], [expected.reduce((a, b) => a + b)], 1e-12)
  })

  it('never draws a token that is excluded', () => {
    const forbidden = Float64Array.of(-Infinity, -1, -Infinity, -2)
    const generator = new Generator(1)
    for (let i = 0; i < 1000; i++) assert.equal(drawFrom(forbidden, { temperature: 1, generator }) % 2, 1)
  })
})

describe('choosing', () => {
  const numbers = fc.array(fc.double({ min: -50, max: 50, noNaN: true }), { minLength: 1, maxLength: 30 })

  it('the n largest values equals sorting them, equal ones in their order', () => {
    const property = fc.property(numbers, fc.integer({ min: 1, max: 35 }), (values, n) => {
      const rounded = Float64Array.from(values, x => Math.round(x / 10))
      const sorted = [...rounded.keys()].sort((a, b) => rounded[b] - rounded[a] || a - b)
      assert.deepEqual(largest(rounded, n), sorted.slice(0, n))
      assert.equal(largestOf(rounded), sorted[0])
    })
    fc.assert(property, runs(200))
  })

  it('uses log-probabilities whose exponentials sum to one, for any offset of the logits', () => {
    const property = fc.property(numbers, fc.double({ min: -1e6, max: 1e6, noNaN: true }), (values, shift) => {
      const logs = logSoftmax(values)
      assertCloseNumbers([logs.reduce((sum, x) => sum + Math.exp(x), 0)], [1], 1e-12)
      assertCloseNumbers([...logSoftmax(values.map(x => x + shift))], [...logs], 1e-8)
    })
    fc.assert(property, runs(200))
  })

  it('penalises each token that occurred once, and forbids an early end and padding', () => {
    const values = Float64Array.of(-1, -2, -3, -4)
    const plain = { repetitionPenalty: 1, minimumLength: 0 }
    assert.deepEqual([...adjusted(values, [3, 3], { ...plain, repetitionPenalty: 2 })], [-1, -2, -3, -8])
    assert.deepEqual([...adjusted(values, [3], { ...plain, minimumLength: 3, end: 1 })], [-1, -Infinity, -3, -4])
    assert.deepEqual([...adjusted(values, [3, 3], { ...plain, minimumLength: 3, end: 1 })], [-1, -2, -3, -4])
    assert.deepEqual([...adjusted(values, [3], { ...plain, pad: 0 })], [-Infinity, -2, -3, -4])
    assert.deepEqual([...adjusted(values, [3], { ...plain, pad: 0, end: 0 })], [-1, -2, -3, -4])
    assert.deepEqual([...values], [-1, -2, -3, -4])
  })
})
