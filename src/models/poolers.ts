// What the decoder and the embedding see of an image: CoCa's two poolers in the three ways in which they may be arranged.
//
//   cascade    patches → generative → image tokens → contrastive → summary
//   parallel   patches → generative → image tokens,  patches → contrastive → summary
//   shared     patches → one pooler → summary, image tokens

import { AttentionalPooler } from '../nn/index.ts'
import type { Tensor } from '../tensor/index.ts'
import type { ResolvedCoCa } from './config.ts'

/** Functions that get the weights of the poolers. */
export interface PoolerWeights {
  readonly generative?: (weights: Tensor) => void
  readonly contrastive?: (weights: Tensor) => void
}

/** A model with poolers. */
export interface Pooling {
  readonly settings: Pick<ResolvedCoCa, 'pooler'>
  readonly encoder: { readonly classToken?: Tensor }
  readonly generativePooler: AttentionalPooler
  /** absent where the generative one is shared */
  readonly contrastivePooler?: AttentionalPooler
}

type OnWeights = (weights: Tensor) => void

/** The poolers that a configuration asks for, the generative one first. */
export function makePoolers({ image, pooler }: ResolvedCoCa): [AttentionalPooler, AttentionalPooler?] {
  const { arrangement, queries, ...options } = pooler
  const ofPatches = { ...options, memoryWidth: image.width }
  if (arrangement === 'shared') return [new AttentionalPooler({ ...ofPatches, queries: queries + 1 })]
  const generative = new AttentionalPooler({ ...ofPatches, queries })
  const memoryWidth = arrangement === 'cascade' ? pooler.width : image.width
  return [generative, new AttentionalPooler({ ...options, memoryWidth, queries: 1 })]
}

/**
 * patches [batch, patches, image width] → tokens [batch, queries, pooler width] for the decoder, and what the embedding is
 * projected from, [batch, pooler width]
 */
export function pool(model: Pooling, patches: Tensor, { generative, contrastive }: PoolerWeights = {}) {
  const { arrangement } = model.settings.pooler
  const pooled = model.generativePooler.forward(patches, { onWeights: overPatches(model, generative) })
  const summary =
    arrangement === 'parallel'
      ? first(model, patches, overPatches(model, contrastive))
      : first(model, pooled, contrastive)
  return { tokens: arrangement === 'shared' ? pooled.slice([{}, { start: 1 }]) : pooled, summary }
}

/** The tokens of `pool` alone. */
export function poolTokens(model: Pooling, patches: Tensor): Tensor {
  const pooled = model.generativePooler.forward(patches)
  return model.settings.pooler.arrangement === 'shared' ? pooled.slice([{}, { start: 1 }]) : pooled
}

/** The summary of `pool` alone. */
export function poolSummary(model: Pooling, patches: Tensor): Tensor {
  const isParallel = model.settings.pooler.arrangement === 'parallel'
  return first(model, isParallel ? patches : model.generativePooler.forward(patches))
}

/** What the contrastive pooler makes of its source; without one, what the first query of the other gave. */
const first = ({ contrastivePooler }: Pooling, source: Tensor, onWeights?: OnWeights): Tensor =>
  (contrastivePooler?.forward(source, { onWeights }) ?? source).slice([{}, 0])

/** Weights over the encoder's tokens as weights over its patches: without the class token, and summing to 1 again. */
function overPatches({ encoder }: Pooling, onWeights?: OnWeights): OnWeights | undefined {
  if (!onWeights || !encoder.classToken) return onWeights
  return weights => {
    const ofPatches = weights.slice([{}, {}, {}, { start: 1 }])
    onWeights(ofPatches.div(ofPatches.sum({ axis: -1, keepDims: true }).maximum(1e-30)))
  }
}
