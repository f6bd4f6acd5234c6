// Attention by shaders on webgpu: sizes around a block of queries and keys, and around four numbers; heads as they come from a
// projection; keys that no query sees; and what is left to the definition.

import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { vjp } from '../../../src/autograd/index.ts'
import {
  type Device,
  device,
  fromData,
  Generator,
  type Shape,
  scope,
  sizeOf,
  type Tensor,
} from '../../../src/tensor/index.ts'
import '../../support.ts'
import { onBackends } from './swiftshader.ts'

interface Sizes {
  readonly stack: Shape
  readonly queries: number
  readonly keys: number
  readonly width: number
  readonly size: number
}

const random = (on: Device, shape: Shape, seed: number): Tensor => {
  const generator = new Generator(seed)
  return fromData(
    Float32Array.from({ length: sizeOf(shape) }, () => 2 * generator.uniform() - 1),
    shape,
    on,
  )
}

/** [batch, heads, tokens, width] as a projection gives it, [batch, tokens, heads, width]. */
const heads = (on: Device, stack: Shape, tokens: number, width: number, seed: number): Tensor =>
  stack.length === 2
    ? random(on, [stack[0], tokens, stack[1], width], seed).transpose(1, 2)
    : random(on, [...stack, tokens, width], seed)

type Masking = 'none' | 'causal' | 'keys' | 'pairs' | 'both' | 'nothing'

function maskOf(on: Device, masking: Masking, { stack, queries, keys }: Sizes): Tensor | undefined {
  if (masking === 'nothing') return fromData(new Uint8Array(queries * keys), [queries, keys], on, 'bool')
  if (masking === 'none' || masking === 'causal') return undefined
  // of each example, in the place of the heads an axis of size one
  const shape = masking === 'keys' ? [...stack.map((n, i) => (i === 1 ? 1 : n)), 1, keys] : [queries, keys]
  const generator = new Generator(5)
  const bits = Uint8Array.from({ length: sizeOf(shape) }, () => (generator.uniform() < 0.6 ? 1 : 0))
  return fromData(bits, shape, on, 'bool')
}

/** The result, and the gradients by queries, keys and values. */
function compute(on: Device, sizes: Sizes, masking: Masking): Tensor[] {
  const { stack, queries, keys, width, size } = sizes
  const [q, k, v] = [
    heads(on, stack, queries, width, 1),
    heads(on, stack, keys, width, 2),
    heads(on, stack, keys, size, 3),
  ]
  const mask = maskOf(on, masking, sizes)
  const causal = masking === 'causal' || masking === 'both'
  const [result, pullback] = vjp((a, b, c) => a.attention(b, c, { mask, causal }), q, k, v)
  return [result, ...pullback(random(on, [...stack, queries, size], 4))]
}

const cases: readonly [Sizes, Masking][] = [
  [{ stack: [2, 3], queries: 16, keys: 16, width: 16, size: 16 }, 'none'],
  [{ stack: [2, 3], queries: 17, keys: 33, width: 64, size: 64 }, 'causal'],
  [{ stack: [3, 2], queries: 15, keys: 31, width: 64, size: 60 }, 'keys'],
  [{ stack: [2], queries: 40, keys: 17, width: 5, size: 65 }, 'causal'],
  [{ stack: [2], queries: 17, keys: 16, width: 65, size: 3 }, 'pairs'],
  [{ stack: [], queries: 33, keys: 40, width: 4, size: 7 }, 'both'],
  [{ stack: [1, 2], queries: 1, keys: 50, width: 80, size: 80 }, 'keys'],
  [{ stack: [2, 1], queries: 9, keys: 1, width: 1, size: 1 }, 'none'],
  [{ stack: [1, 2], queries: 18, keys: 5, width: 8, size: 8 }, 'nothing'],
  // more numbers than fit into shared memory
  [{ stack: [2], queries: 5, keys: 6, width: 400, size: 3 }, 'causal'],
]

const close = async (what: string, actual: Tensor, expected: Tensor): Promise<void> => {
  assert.deepEqual(actual.shape, expected.shape, what)
  const [x, y] = [await actual.data(), await expected.data()]
  for (let i = 0; i < y.length; i++)
    assert.ok(Math.abs(x[i] - y[i]) <= 1e-5 * (1 + Math.abs(y[i])), `${what} [${i}]: ${x[i]} instead of ${y[i]}`)
}

await onBackends(import.meta.url, { webgpu: 1 }, backend =>
  describe(`on ${backend}`, () => {
    before(() => device.open('gpu', { backend }))

    for (const [sizes, masking] of cases)
      test(`attention and its gradient agree: ${JSON.stringify(sizes)}, mask: ${masking}`, () =>
        scope(async () => {
          const [actual, expected] = (['gpu', 'reference'] as const).map(name =>
            compute(device.get(name), sizes, masking),
          )
          for (const [i, name] of ['result', 'q', 'k', 'v'].entries()) await close(name, actual[i], expected[i])
        }))

    test('queries that all examples share', () =>
      scope(async () => {
        const on = (name: 'gpu' | 'reference') => {
          const d = device.get(name)
          const [q, k, v] = [random(d, [2, 9, 8], 1), heads(d, [3, 2], 18, 8, 2), heads(d, [3, 2], 18, 8, 3)]
          const [result, pullback] = vjp((a, b, c) => a.attention(b, c), q, k, v)
          return [result, ...pullback(random(d, [3, 2, 9, 8], 4))]
        }
        const [actual, expected] = [on('gpu'), on('reference')]
        for (const i of actual.keys()) await close(`${i}`, actual[i], expected[i])
      }))

    test('large scores neither overflow nor lose their order', () =>
      scope(async () => {
        const on = (name: 'gpu' | 'reference') => {
          const d = device.get(name)
          const [q, k, v] = [random(d, [20, 8], 1).mul(40), random(d, [40, 8], 2).mul(40), random(d, [40, 8], 3)]
          return q.attention(k, v)
        }
        await close('result', on('gpu'), on('reference'))
      }))
  }),
)
