// The state of both halves of a text decoder between the steps of generation.

import { concat } from '../../autograd/index.ts'
import type { KeyValueCache } from '../../nn/index.ts'
import { eye, type Tensor } from '../../tensor/index.ts'
import type { MultimodalDecoder, UnimodalDecoder } from '../text.ts'
import type { DecodingState } from './decoding.ts'

/**
 * The state for images, before any text.
 * @param tokens tokens of the images, [batch, tokens, width]
 * @param origin weights of the patches in each token, [batch, tokens, patches]
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

/**
 * The weights of the patches in the tokens of an encoder: every token is a patch, except the class token.
 * @param tokens [batch, tokens, width]
 * @returns [batch, tokens, patches]
 */
export function patchesOf({ classToken }: { readonly classToken?: Tensor }, tokens: Tensor): Tensor {
  const [batch, count] = tokens.shape
  const { dtype, device } = tokens
  const patches = eye(count, count, { dtype, device }).slice([{}, { start: classToken ? 1 : 0 }])
  return patches.expand([batch, ...patches.shape])
}

/** Adds new ids [rows, n] to the state and returns the logits after the last one, [rows, vocabulary]. */
export function extendText(
  lower: UnimodalDecoder,
  upper: MultimodalDecoder,
  step: { readonly ids: Tensor; readonly state: DecodingState; readonly onMemoryWeights?: (weights: Tensor) => void },
): Tensor {
  const { ids, state, onMemoryWeights } = step
  const all = state.ids ? concat([state.ids, ids], 1) : ids
  const tokens = lower.extend(all, state.unimodal, all.shape[1] - ids.shape[1])
  const caches = { caches: state.multimodal, memoryCaches: state.image }
  const logits = upper.forward(tokens, state.tokens, { ...caches, onMemoryWeights, last: 1 })
  state.ids = all
  return logits.squeeze(1)
}
