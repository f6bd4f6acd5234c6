// CoCa's two poolers, which compute the image tokens of the decoder and the summary of the embedding, in three arrangements, and
// what takes their place in a model without poolers.
//
//   cascade    patches → generative → image tokens → contrastive → summary
//   parallel   patches → generative → image tokens,  patches → contrastive → summary
//   shared     patches → one pooler → summary, image tokens
//   none       class token → summary,  patches → image tokens
//
// A parallel arrangement with 0 queries has no generative pooler: the patches are the image tokens.

import { AttentionalPooler } from '../nn/index.ts'
import type { Tensor } from '../tensor/index.ts'
import type { ResolvedCoCa } from './config.ts'

/** Functions that are called with the weights of the poolers. */
export interface PoolerWeights {
  /** called with the weights of the generative pooler, [batch, heads, queries, patches] */
  readonly generative?: (weights: Tensor) => void
  /** called with the weights of the contrastive pooler, [batch, heads, 1, patches or, in a cascade, image tokens] */
  readonly contrastive?: (weights: Tensor) => void
}

/** A model with poolers. */
export interface Pooling {
  readonly settings: Pick<ResolvedCoCa, 'pooler'>
  readonly encoder: { readonly classToken?: Tensor }
  /** undefined if there are no queries */
  readonly generativePooler?: AttentionalPooler
  /** undefined in the arrangements `shared` and `none` */
  readonly contrastivePooler?: AttentionalPooler
}

type OnWeights = (weights: Tensor) => void

/** The pooler of the image tokens, if there are any queries; in the arrangement `shared` it has one more query. */
export function makeGenerativePooler({
  image,
  pooler,
}: Pick<ResolvedCoCa, 'image' | 'pooler'>): AttentionalPooler | undefined {
  const { arrangement, queries, ...options } = pooler
  const count = queries + (arrangement === 'shared' ? 1 : 0)
  return count === 0 ? undefined : new AttentionalPooler({ ...options, memoryWidth: image.width, queries: count })
}

/** The poolers of a configuration. */
export function makePoolers({ image, pooler }: ResolvedCoCa): {
  readonly generative?: AttentionalPooler
  readonly contrastive?: AttentionalPooler
} {
  const { arrangement, queries: _, ...options } = pooler
  const generative = makeGenerativePooler({ image, pooler })
  if (arrangement === 'shared' || arrangement === 'none') return { generative }
  const memoryWidth = arrangement === 'cascade' ? pooler.width : image.width
  return { generative, contrastive: new AttentionalPooler({ ...options, memoryWidth, queries: 1 }) }
}

/** Width of the image tokens of a configuration. */
export const imageTokenWidth = ({ image, pooler }: Pick<ResolvedCoCa, 'image' | 'pooler'>): number =>
  pooler.queries === 0 ? image.width : pooler.width

/**
 * patches [batch, patches, image width] → tokens [batch, queries, pooler width] for the decoder, and the summary
 * [batch, pooler width], from which the embedding is projected
 */
export function pool(model: Pooling, patches: Tensor, { generative, contrastive }: PoolerWeights = {}) {
  const { arrangement } = model.settings.pooler
  const pooled = model.generativePooler?.forward(patches, { onWeights: overPatches(model, generative) }) ?? patches
  const summary =
    arrangement === 'parallel'
      ? first(model, patches, overPatches(model, contrastive))
      : first(model, pooled, contrastive)
  return { tokens: imageTokens(arrangement, pooled), summary }
}

/** Without the token that gives the summary, if that is one of them. */
const imageTokens = (arrangement: ResolvedCoCa['pooler']['arrangement'], pooled: Tensor): Tensor =>
  arrangement === 'shared' || arrangement === 'none' ? pooled.slice([{}, { start: 1 }]) : pooled

/** Only the tokens of `pool`. */
export function poolTokens(model: Pooling, patches: Tensor, { generative }: PoolerWeights = {}): Tensor {
  const pooled = model.generativePooler?.forward(patches, { onWeights: overPatches(model, generative) }) ?? patches
  return imageTokens(model.settings.pooler.arrangement, pooled)
}

/** Only the summary of `pool`. */
export function poolSummary(model: Pooling, patches: Tensor): Tensor {
  const { arrangement } = model.settings.pooler
  const isPooled = arrangement === 'cascade' || arrangement === 'shared'
  return first(model, isPooled ? model.generativePooler!.forward(patches) : patches)
}

/** The summary: the result of the contrastive pooler, or without one the first token: that of the shared pooler, or the class token. */
const first = ({ contrastivePooler }: Pooling, source: Tensor, onWeights?: OnWeights): Tensor =>
  (contrastivePooler?.forward(source, { onWeights }) ?? source).slice([{}, 0])

/** Converts weights over the encoder's tokens to weights over its patches: without the class token, normalised to sum 1. */
function overPatches({ encoder }: Pooling, onWeights?: OnWeights): OnWeights | undefined {
  if (!onWeights || !encoder.classToken) return onWeights
  return weights => {
    const ofPatches = weights.slice([{}, {}, {}, { start: 1 }])
    onWeights(ofPatches.div(ofPatches.sum({ axis: -1, keepDims: true }).maximum(1e-30)))
  }
}
