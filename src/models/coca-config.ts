// The configuration of a CoCa: its settings, their defaults, and which of them fit together.

import { type Activation, ConfigError, isActivation } from '../nn/index.ts'
import * as is from '../tensor/kinds.ts'
import { group, type Settings, type Settled } from '../tensor/options.ts'
import { type TextConfig, textConfig } from './text.ts'
import { type VisionTransformerConfig, visionTransformerConfig } from './vit.ts'

export interface CoCaConfig {
  readonly image: VisionTransformerConfig
  readonly text: TextConfig
  readonly pooler: {
    /**
     * cascade (the paper's): the contrastive pooler works on what the generative one gives; parallel: both work on the
     * patches; shared: one pooler with one query more, whose first gives the embedding (as released checkpoints have it)
     */
    readonly arrangement?: 'cascade' | 'parallel' | 'shared'
    /** image tokens for the decoder; 256 in the paper */
    readonly queries: number
    readonly heads: number
    /** of image tokens; default the width of the text */
    readonly width?: number
    /** normalise the queries; default false */
    readonly queryNorm?: boolean
  }
  /** width of the space that images and texts share */
  readonly embedding: number
  /** default gelu */
  readonly activation?: Activation
  /** default 0 */
  readonly dropout?: number
  /** where 1 / scale begins, and how large the learned scale may get; default 0.07 and 100 */
  readonly temperature?: { readonly initial?: number; readonly maximumScale?: number }
  /**
   * λ and reduction of both losses; default λ_Con 1 and λ_Cap 2, both as means. A loss with λ = 0 is not computed, and the
   * parameters that only it needs are frozen
   */
  readonly loss?: {
    readonly contrastive?: { readonly weight?: number; readonly reduction?: 'sum' | 'mean' }
    readonly captioning?: { readonly weight?: number; readonly reduction?: 'sum' | 'mean' }
  }
}

const poolerConfig = {
  arrangement: is.choice('cascade', 'parallel', 'shared'),
  queries: is.number,
  heads: is.number,
  width: is.optional(is.number),
  queryNorm: false,
} satisfies Settings<CoCaConfig['pooler']>

type Losses = NonNullable<CoCaConfig['loss']>
const contrastiveTerm = {
  weight: 1,
  reduction: is.choice('mean', 'sum'),
} satisfies Settings<NonNullable<Losses['contrastive']>>
const captioningTerm = { ...contrastiveTerm, weight: 2 } satisfies Settings<NonNullable<Losses['captioning']>>
const lossConfig = {
  contrastive: group(contrastiveTerm),
  captioning: group(captioningTerm),
} satisfies Settings<Losses>

const temperatureConfig = { initial: 0.07, maximumScale: 100 } satisfies Settings<
  NonNullable<CoCaConfig['temperature']>
>

export const cocaConfig = {
  image: group(visionTransformerConfig),
  text: group(textConfig),
  pooler: group(poolerConfig),
  embedding: is.number,
  activation: isActivation,
  dropout: 0,
  temperature: group(temperatureConfig),
  loss: group(lossConfig),
} satisfies Settings<CoCaConfig>

/** The configuration with its defaults. */
export type SettledConfig = Settled<CoCaConfig, typeof cocaConfig>

/** @throws ConfigError naming the first setting that does not fit together with the others */
export function checkConfig({ image, text, pooler, embedding, dropout, temperature, loss }: SettledConfig): void {
  const { initial, maximumScale } = temperature
  const poolerWidth = pooler.width ?? text.width
  const demand = (fits: boolean, field: string, value: unknown, reason: string) => {
    if (!fits) throw new ConfigError(field, value, reason)
  }
  const atLeast = (least: number, sizes: Record<string, number | undefined>) => {
    for (const [field, value = least] of Object.entries(sizes))
      demand(Number.isInteger(value) && value >= least, field, value, `must be a whole number, ${least} or more`)
  }
  const divides = (field: string, heads: number, width: number) =>
    demand(width % heads === 0, field, heads, `does not divide the width ${width}`)

  atLeast(1, { 'image.size': image.size, 'image.patch': image.patch, 'image.width': image.width })
  atLeast(1, { 'image.heads': image.heads, 'image.hidden': image.hidden })
  atLeast(0, { 'image.layers': image.layers })
  atLeast(1, { 'text.vocabulary': text.vocabulary, 'text.width': text.width, 'text.heads': text.heads })
  atLeast(1, { 'text.hidden': text.hidden })
  atLeast(1, { 'text.multimodal.heads': text.multimodal.heads, 'text.multimodal.hidden': text.multimodal.hidden })
  // without the one [CLS] sees no text, without the other no caption sees its image
  atLeast(1, { 'text.unimodalLayers': text.unimodalLayers, 'text.multimodalLayers': text.multimodalLayers })
  atLeast(1, { 'pooler.queries': pooler.queries, 'pooler.heads': pooler.heads, 'pooler.width': poolerWidth, embedding })
  // a start and an end
  atLeast(2, { 'text.context': text.context })
  demand(image.size % image.patch === 0, 'image.patch', image.patch, `does not divide the image size ${image.size}`)
  divides('image.heads', image.heads, image.width)
  divides('text.heads', text.heads, text.width)
  divides('text.multimodal.heads', text.multimodal.heads ?? text.heads, text.width)
  divides('pooler.heads', pooler.heads, poolerWidth)
  if (text.pad !== undefined) {
    atLeast(0, { 'text.pad': text.pad })
    demand(text.pad < text.vocabulary, 'text.pad', text.pad, `is not among the ${text.vocabulary} ids`)
  }
  demand(dropout >= 0 && dropout < 1, 'dropout', dropout, 'must be in [0, 1)')
  const { contrastive, captioning } = loss
  const someLoss = contrastive.weight !== 0 || captioning.weight !== 0
  demand(someLoss, 'loss.captioning.weight', captioning.weight, 'is that of contrastive too, and no loss is left')
  demand(maximumScale >= 1, 'temperature.maximumScale', maximumScale, 'must be 1 or more')
  const fits = initial <= 1 && initial * maximumScale >= 1
  demand(fits, 'temperature.initial', initial, `must be in [1 / ${maximumScale}, 1]`)
}
