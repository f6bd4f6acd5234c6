import assert from 'node:assert/strict'
import { test } from 'node:test'
import { concat } from '../../src/autograd/index.ts'
import { type AttendOptions, ConfigError, type KeyValueCache, MultiHeadAttention } from '../../src/nn/index.ts'
import { type Tensor, tensor } from '../../src/tensor/index.ts'
import { assertCloseNumbers, fc, runs, values } from '../support.ts'
import { checkModule, plainAttention, plainLinear, random, randomize, rows } from './support.ts'

const mask = (visible: boolean[][]) => tensor(visible)

test('self-attention has right gradients: unmasked, causal and masked', () => {
  const seen = mask([
    [true, false, true],
    [false, true, true],
    [false, false, false],
  ])
  for (const options of [{}, { causal: true }, { mask: seen }, { mask: seen, causal: true }]) {
    const attention = new MultiHeadAttention({ width: 4, heads: 2 })
    checkModule(attention, x => attention.forward(x, options), [random([1, 3, 4])])
  }
})

test('cross-attention has right gradients for queries and memory', () => {
  const attention = new MultiHeadAttention({ width: 4, heads: 2, memoryWidth: 3 })
  const seen = mask([[true, false, true]])
  checkModule(attention, (x, memory) => attention.forward(x, { memory, mask: seen }), [
    random([1, 2, 4], 1),
    random([1, 3, 3], 2),
  ])
})

/** The whole module in loops, for one batch entry. */
function plain(
  attention: MultiHeadAttention,
  x: number[][],
  memory: number[][],
  sees: (query: number, key: number) => boolean,
): number[][] {
  const { query, key, value, output, heads } = attention
  const q = plainLinear(x, query.weight, query.bias)
  const [k, v] = [plainLinear(memory, key.weight, key.bias), plainLinear(memory, value.weight, value.bias)]
  const size = q[0].length / heads
  const head = (m: number[][], h: number) => m.map(row => row.slice(h * size, (h + 1) * size))
  const results = Array.from({ length: heads }, (_, h) => plainAttention(head(q, h), head(k, h), head(v, h), sees))
  const joined = x.map((_, i) => results.flatMap(result => result[i]))
  return plainLinear(joined, output.weight, output.bias)
}

test('attention equals a double loop over queries and keys, for any mask', () => {
  const sizes = fc.record({
    heads: fc.integer({ min: 1, max: 3 }),
    size: fc.integer({ min: 1, max: 3 }),
    queries: fc.integer({ min: 1, max: 4 }),
    keys: fc.integer({ min: 1, max: 5 }),
    causal: fc.boolean(),
    bits: fc.option(fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }), { nil: undefined }),
  })
  fc.assert(
    fc.property(sizes, ({ heads, size, queries, keys, causal, bits }) => {
      const attention = randomize(new MultiHeadAttention({ width: heads * size, heads, memoryWidth: 3 }))
      const [x, memory] = [random([2, queries, heads * size], 1), random([2, keys, 3], 2)]
      const seen = bits && Array.from({ length: queries }, (_, i) => bits.slice(i * keys, (i + 1) * keys))
      const options: AttendOptions = { memory, causal, ...(seen ? { mask: mask(seen) } : {}) }
      const sees = (i: number, j: number) => (!causal || j <= i + keys - queries) && (seen?.[i][j] ?? true)
      const [xs, memories] = [rows(x), rows(memory)]
      const expected = [0, 1].flatMap(b =>
        plain(attention, xs.slice(b * queries, (b + 1) * queries), memories.slice(b * keys, (b + 1) * keys), sees),
      )
      assertCloseNumbers(values(attention.forward(x, options)), expected.flat(), 1e-10)
    }),
    runs(40),
  )
})

test('the weights are returned, and their rows sum to one', () => {
  const attention = randomize(new MultiHeadAttention({ width: 4, heads: 2 }))
  let weights: Tensor | undefined
  attention.forward(random([2, 3, 4]), { causal: true, onWeights: w => (weights = w) })
  assert.deepEqual([...weights!.shape], [2, 2, 3, 3])
  for (const [i, row] of rows(weights!).entries()) {
    assertCloseNumbers([row.reduce((a, b) => a + b)], [1])
    assert.ok(row.every((w, key) => (key <= i % 3 ? w > 0 : w === 0)))
  }
})

test('masked keys change nothing', () => {
  const attention = randomize(new MultiHeadAttention({ width: 4, heads: 2, memoryWidth: 4 }))
  const [x, memory] = [random([1, 2, 4], 1), random([1, 3, 4], 2)]
  const padded = concat([memory, random([1, 2, 4], 3).mul(100)], 1)
  const seen = tensor([true, true, true, false, false])
  assertCloseNumbers(
    values(attention.forward(x, { memory: padded, mask: seen })),
    values(attention.forward(x, { memory })),
  )
})

test('attention with a cache equals attention without, for any split of the tokens', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 }), cuts => {
      const attention = randomize(new MultiHeadAttention({ width: 4, heads: 2 }))
      const length = cuts.reduce((a, b) => a + b)
      const x = random([2, length, 4])
      const cache: KeyValueCache = {}
      let start = 0
      const parts = cuts.map(n => {
        const part = x.slice([{}, { start, stop: start + n }])
        start += n
        return attention.forward(part, { causal: true, cache })
      })
      assertCloseNumbers(values(concat(parts, 1)), values(attention.forward(x, { causal: true })), 1e-12)
      assert.deepEqual([...cache.keys!.shape], [2, 2, length, 2])
    }),
    runs(20),
  )
})

test('cross-attention with a cache computes keys and values once', () => {
  const attention = randomize(new MultiHeadAttention({ width: 4, heads: 2, memoryWidth: 3 }))
  const [x, memory] = [random([1, 2, 4], 1), random([1, 3, 3], 2)]
  const cache: KeyValueCache = {}
  const first = values(attention.forward(x, { memory, cache }))
  const { keys } = cache
  assert.deepEqual(first, values(attention.forward(x, { memory })))
  assert.deepEqual(values(attention.forward(x, { memory, cache })), first)
  assert.equal(cache.keys, keys)
})

test('heads that do not divide the width throw', () => {
  assert.throws(
    () => new MultiHeadAttention({ width: 6, heads: 4 }),
    (error: unknown) => error instanceof ConfigError && error.field === 'heads' && /6/.test(error.message),
  )
  assert.throws(() => new MultiHeadAttention({ width: 6, heads: 0 }), ConfigError)
})
