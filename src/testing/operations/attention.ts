// Cases of attention, its weights and its causal mask.

import fc from 'fast-check'
import * as ops from '../../autograd/index.ts'
import { type Tensor, zeros } from '../../tensor/index.ts'
import { broadcastShapes } from '../arbitraries/shapes.ts'
import { drawn, sampled } from './case.ts'

export interface SightChoice {
  readonly causal: boolean
  readonly masked: boolean
}

/** Queries, keys, values and a mask; any axis but the width may be empty. */
const attentions = fc
  .record({
    stacks: broadcastShapes(3, { maxRank: 1, maxSize: 2 }),
    sizes: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 3, maxLength: 3 }),
    width: fc.integer({ min: 1, max: 3 }),
    causal: fc.boolean(),
    masked: fc.boolean(),
  })
  .map(({ stacks, sizes: [queries, keys, size], width, causal, masked }) => ({
    shapes: [
      [...stacks[0], queries, width],
      [...stacks[1], keys, width],
      [...stacks[2], keys, size],
      [queries, keys],
    ],
    options: { causal, masked },
  }))

const attending = (
  f: (options: { readonly causal: boolean; readonly mask?: Tensor }, q: Tensor, k: Tensor, v: Tensor) => Tensor,
) =>
  drawn(attentions, [{}, {}, {}, { dtype: 'bool' }], ({ causal, masked }: SightChoice, q, k, v, mask) =>
    f({ causal, mask: masked ? mask : undefined }, q, k, v),
  )

export const attention = {
  attentionWeights: {
    'over the keys that are seen': attending((options, q, k) => ops.attentionWeights(q, k, options)),
  },
  attention: { 'weighted values': attending((options, q, k, v) => ops.attention(q, k, v, options)) },
  causalMask: {
    'the last query sees the last key': sampled(
      fc
        .tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 4 }))
        .map(options => ({ inputs: [zeros([])], options })),
      ([queries, keys], like) => ops.causalMask(queries, keys, like),
      { order: 0, result: 'bool' },
    ),
  },
}
