// The two halves of a text decoder at work: what a new step of writing needs of the steps before it.

import { concat } from '../../autograd/index.ts'
import type { KeyValueCache } from '../../nn/index.ts'
import type { Tensor } from '../../tensor/index.ts'
import type { MultimodalDecoder, UnimodalDecoder } from '../text.ts'
import type { DecodingState } from './decoding.ts'

/**
 * Images taken in, and no text yet.
 * @param tokens of the images, [batch, tokens, width]
 * @param origin where each was taken from, [batch, tokens, patches]
 */
export function startText(
  lower: UnimodalDecoder,
  upper: MultimodalDecoder,
  tokens: Tensor,
  origin: Tensor,
): DecodingState {
  const empty = (n: number) => Array.from({ length: n }, (): KeyValueCache => ({}))
  const [below, above] = [lower.blocks.length, upper.blocks.length]
  return { tokens, origin, unimodal: empty(below), multimodal: empty(above), image: empty(above) }
}

/** Takes new ids [rows, n] into the state and gives the logits after the last one, [rows, vocabulary]. */
export function extendText(
  lower: UnimodalDecoder,
  upper: MultimodalDecoder,
  step: { readonly ids: Tensor; readonly state: DecodingState; readonly onMemoryWeights?: (weights: Tensor) => void },
): Tensor {
  const { ids, state, onMemoryWeights } = step
  const all = state.ids ? concat([state.ids, ids], 1) : ids
  const tokens = lower.extend(all, state.unimodal, all.shape[1] - ids.shape[1])
  const caches = { caches: state.multimodal, memoryCaches: state.image }
  const logits = upper.forward(tokens, state.tokens, { ...caches, onMemoryWeights })
  state.ids = all
  return logits.slice([{}, -1])
}
