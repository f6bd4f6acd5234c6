// Positions inside attention: what they depend on. Rotary positions stand beside PyTorch's in test/golden/pytorch.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alibi, ConfigError, type KeyValueCache, MultiHeadAttention, rotary } from '../../src/nn/index.ts'
import { zeros } from '../../src/tensor/index.ts'
import { assertClose, assertCloseNumbers, values } from '../support.ts'
import { random, randomize } from './support.ts'

test('the product of turned queries and keys depends on the distance alone', () => {
  for (const pairs of ['half', 'interleaved'] as const) {
    const [q, k] = [random([1, 6], 1).expand([5, 6]), random([1, 6], 2).expand([5, 6])]
    const products = rotary(q, { pairs }).matmul(rotary(k, { pairs }).transpose())
    assertCloseNumbers(values(products.slice([2, { start: 1 }])), values(products.slice([1, { stop: 4 }])))
    assert.notDeepEqual(values(products.slice([2])), values(products.slice([1])))
  }
})

test('rotary starts where it is told, and a base changes its wavelengths', () => {
  const x = random([2, 5, 4])
  const later = rotary(x.slice([{}, { start: 3 }]), { start: 3 })
  assertClose(later, { shape: [2, 2, 4], data: values(rotary(x).slice([{}, { start: 3 }])) })
  const ones = zeros([3, 4], { dtype: 'float64' }).add(1)
  const angle = 2 * 100 ** -0.5
  assertCloseNumbers(values(rotary(ones, { base: 100 }).slice([2])), [
    Math.cos(2) - Math.sin(2),
    Math.cos(angle) - Math.sin(angle),
    Math.cos(2) + Math.sin(2),
    Math.cos(angle) + Math.sin(angle),
  ])
})

test('rotary refuses an odd width', () => {
  assert.throws(
    () => rotary(zeros([2, 3])),
    /rotary: x must be \[..., tokens, width\] with an even width, not \[2, 3\]/,
  )
  assert.throws(() => rotary(zeros([2, 4], { dtype: 'int32' })), /must be floating, not int32/)
})

test('ALiBi falls with the distance, by the slopes of the paper', () => {
  assertClose(alibi(2, 2, 3), {
    shape: [2, 2, 3],
    data: [1 / 16, 1 / 256].flatMap(slope => [-1, -0, -1, -2, -1, -0].map(distance => distance * slope)),
  })
  // the first three slopes of the authors' get_slopes(3): those of 2 heads, and the first of 4
  assertCloseNumbers(values(alibi(3, 1, 2).slice([{}, 0, 0])), [-(2 ** -4), -(2 ** -8), -(2 ** -2)])
})

test('heads of queries share keys and values, also in a cache', () => {
  const grouped = randomize(new MultiHeadAttention({ width: 8, heads: 4, keyHeads: 2 }))
  assert.deepEqual(grouped.key.weight.shape, [4, 8])
  const whole = new MultiHeadAttention({ width: 8, heads: 4 }).double()
  const state = grouped.stateDict()
  // the rows of each head of keys, twice
  const twice = (name: string) => {
    const rows = state.get(name)!
    const rest = rows.shape.slice(1)
    return rows
      .reshape([2, 1, 2, ...rest])
      .expand([2, 2, 2, ...rest])
      .reshape([8, ...rest])
  }
  for (const name of ['key.weight', 'key.bias', 'value.weight', 'value.bias']) state.set(name, twice(name))
  whole.loadStateDict(state)
  const x = random([2, 3, 8])
  const expected = whole.forward(x, { causal: true })
  assertClose(grouped.forward(x, { causal: true }), { shape: [2, 3, 8], data: values(expected) })
  const cache: KeyValueCache = {}
  grouped.forward(x.slice([{}, { stop: 2 }]), { causal: true, cache })
  const last = grouped.forward(x.slice([{}, { start: 2 }]), { causal: true, cache })
  assert.deepEqual(cache.keys?.shape, [2, 2, 3, 2])
  assertClose(last, { shape: [2, 1, 8], data: values(expected.slice([{}, { start: 2 }])) })
  assert.throws(() => new MultiHeadAttention({ width: 8, heads: 4, keyHeads: 3 }), ConfigError)
})
