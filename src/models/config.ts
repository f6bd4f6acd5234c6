// The configuration of every model: its settings, their defaults, and their constraints. `resolveCoCa` and the others fill in
// every default and check the result, for the models, the settings of runs, and OpenCLIP.

import { type Activation, ConfigError, isActivation } from '../nn/index.ts'
import * as is from '../tensor/kinds.ts'
import { group, type Settings, type Settled, settle } from '../tensor/options.ts'
import { patchProblem, type Size2d, sidesOf, sizeOfSides } from '../tensor/sides.ts'
import {
  captionerParts,
  checkSize,
  classifierParts,
  cocaParts,
  dualEncoderParts,
  encoderParts,
  multimodalClassifierParts,
  multimodalParts,
  unimodalParts,
} from './size.ts'

/** ε of layer norms, unless a configuration says otherwise. */
export const NORM_EPSILON = 1e-5

/** Options of all blocks of a transformer. */
export interface BlockOptions {
  /** default gelu */
  readonly activation?: Activation
  /** default 0 */
  readonly dropout?: number
}
export const blockOptions = { activation: isActivation, dropout: 0 } satisfies Settings<BlockOptions>

/** The configuration of a `VisionTransformer`. */
export interface VisionTransformerConfig {
  /** pixels of an image: the side of a square, or [height, width] */
  readonly size: Size2d
  /** pixels of a patch: the side of a square, or [height, width] */
  readonly patch: Size2d
  /** channels of an image; default 3. Files of pictures give 3, red, green and blue, or 1, their luma */
  readonly channels?: number
  /** width of the tokens */
  readonly width: number
  /** number of transformer blocks */
  readonly layers: number
  /** number of heads of attention, which divides the width */
  readonly heads: number
  /** width inside the feed-forward layers; default 4 × width */
  readonly hidden?: number
  /** a learned token before the patches; default false */
  readonly classToken?: boolean
  /** layer norm on the tokens before the first block; default false */
  readonly inputNorm?: boolean
  /** layer norm on the tokens after the last block; default false */
  readonly outputNorm?: boolean
  /** bias of the patch embedding; default true */
  readonly patchBias?: boolean
  /** drop the pixels at the right and at the bottom that do not fill a patch; default false: `patch` must divide `size` */
  readonly cropToPatches?: boolean
  /** ε of the layer norms; default 1e-5 */
  readonly normEpsilon?: number
  /** default that of the model */
  readonly activation?: Activation
}
const visionTransformerConfig = {
  size: is.size2d,
  patch: is.size2d,
  channels: is.byDefault(3, is.count),
  width: is.count,
  layers: is.size,
  heads: is.count,
  hidden: is.optional(is.count),
  classToken: false,
  inputNorm: false,
  outputNorm: false,
  patchBias: true,
  cropToPatches: false,
  normEpsilon: NORM_EPSILON,
  activation: is.optional(isActivation),
} satisfies Settings<VisionTransformerConfig>

/** The configuration of the text decoder, of both its halves. */
export interface TextConfig {
  /** number of token ids */
  readonly vocabulary: number
  /** maximum number of tokens in a text, including start and end, excluding [CLS] */
  readonly context: number
  /** width of the tokens */
  readonly width: number
  /** number of heads of attention, which divides the width */
  readonly heads: number
  /** width inside the feed-forward layers; default 4 × width */
  readonly hidden?: number
  /** layers with self-attention to the text only */
  readonly unimodalLayers: number
  /** layers that also have cross-attention to the image */
  readonly multimodalLayers: number
  /** id that pads short texts at their end; default none, every id is text */
  readonly pad?: number
  /**
   * the half whose attention masks padding: both (default); only the unimodal one; or only the unimodal one, by a mask that is
   * shifted by one position, so that the first padding is not masked and [CLS] attends to itself only in a text without padding;
   * or none
   */
  readonly padMask?: 'both' | 'unimodal' | 'unimodalLate' | 'none'
  /** the padding id is also a word, which captions and prompts may contain; default false */
  readonly padIsWord?: boolean
  /** the position of [CLS]: always the last one (default), or the one after the given ids */
  readonly classPosition?: 'last' | 'next'
  /**
   * what the summary of a text is: the output of [CLS] (default), or in a dual encoder that of the highest id, without a [CLS] (as in
   * CLIP, where the end of a text has the highest id), or that of the last position, also if that is padding (as in SigLIP)
   */
  readonly summary?: 'class' | 'highest' | 'last'
  /** a token attends to no later ones; default true. false only in a dual encoder (as in SigLIP) */
  readonly causal?: boolean
  /** number of learned [CLS] tokens, the mean of whose outputs is the summary of the text; default 1 */
  readonly classTokens?: number
  /** ε of the layer norms; default 1e-5 */
  readonly normEpsilon?: number
  /** default that of the model */
  readonly activation?: Activation
  /** settings of the multimodal half */
  readonly multimodal?: {
    /** default that of the unimodal half */
    readonly heads?: number
    /** default that of the unimodal half */
    readonly hidden?: number
    /** every layer has its own layer norm on the image tokens; default false */
    readonly memoryNorm?: boolean
    /** every layer also has a feed-forward layer after its self-attention; default false */
    readonly selfMlp?: boolean
    /** bias of the layer that computes the logits; default true */
    readonly outputBias?: boolean
    /** default that of the unimodal half */
    readonly normEpsilon?: number
    /** default that of the unimodal half */
    readonly activation?: Activation
  }
}
const multimodalConfig = {
  heads: is.optional(is.count),
  hidden: is.optional(is.count),
  memoryNorm: false,
  selfMlp: false,
  outputBias: true,
  normEpsilon: is.optional(is.number),
  activation: is.optional(isActivation),
} satisfies Settings<NonNullable<TextConfig['multimodal']>>
const textConfig = {
  vocabulary: is.count,
  context: is.count,
  width: is.count,
  heads: is.count,
  hidden: is.optional(is.count),
  unimodalLayers: is.size,
  multimodalLayers: is.size,
  pad: is.optional(is.size),
  padMask: is.choice('both', 'unimodal', 'unimodalLate', 'none'),
  padIsWord: false,
  classPosition: is.choice('last', 'next'),
  summary: is.choice('class', 'highest', 'last'),
  causal: true,
  classTokens: is.byDefault(1, is.count),
  normEpsilon: NORM_EPSILON,
  activation: is.optional(isActivation),
  multimodal: group(multimodalConfig),
} satisfies Settings<TextConfig>

/** The learned temperature of a contrastive loss. */
export interface TemperatureConfig {
  /** its initial value; default 0.07 */
  readonly initial?: number
  /** the largest value of 1 / temperature; default 100 */
  readonly maximumScale?: number
}
const temperatureConfig = { initial: 0.07, maximumScale: 100 } satisfies Settings<TemperatureConfig>

/** The configuration of a {@link CoCa}. */
export interface CoCaConfig {
  /** the image encoder */
  readonly image: VisionTransformerConfig
  /** the text decoder */
  readonly text: TextConfig
  /** the attentional poolers between the image encoder and the rest */
  readonly pooler: {
    /**
     * cascade (the paper's): the contrastive pooler reads the output of the generative one; parallel: both read the patches;
     * shared: one pooler with an additional first query for the embedding (as in released checkpoints); none: no pooler, the
     * encoder's class token gives the embedding and its patches are the image tokens (as in OpenCLIP's coca_base)
     */
    readonly arrangement?: 'cascade' | 'parallel' | 'shared' | 'none'
    /**
     * image tokens for the decoder; 256 in the paper. With 0 there is no generative pooler: the decoder attends to all tokens of the
     * encoder; this needs the arrangement parallel, or none
     */
    readonly queries: number
    /** default that of the text */
    readonly heads?: number
    /** width of the image tokens; default the width of the text. Without a pooler the tokens are those of the encoder */
    readonly width?: number
    /** layer norm on the queries; default false */
    readonly queryNorm?: boolean
  }
  /** width of the space that images and texts share */
  readonly embedding: number
  /** default gelu */
  readonly activation?: Activation
  /** default 0 */
  readonly dropout?: number
  /** the temperature of the contrastive loss */
  readonly temperature?: TemperatureConfig
  /**
   * λ and reduction of both losses; default λ_Con = 1 and λ_Cap = 2, both with reduction 'mean'. A loss with λ = 0 is not
   * computed, and the parameters that only it needs are frozen
   */
  readonly loss?: {
    readonly contrastive?: { readonly weight?: number; readonly reduction?: 'sum' | 'mean' }
    readonly captioning?: { readonly weight?: number; readonly reduction?: 'sum' | 'mean' }
  }
}
const poolerConfig = {
  arrangement: is.choice('cascade', 'parallel', 'shared', 'none'),
  queries: is.size,
  heads: is.optional(is.count),
  width: is.optional(is.count),
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
const cocaConfig = {
  image: group(visionTransformerConfig),
  text: group(textConfig),
  pooler: group(poolerConfig),
  embedding: is.count,
  ...blockOptions,
  temperature: group(temperatureConfig),
  loss: group(lossConfig),
} satisfies Settings<CoCaConfig>

/** The configuration of a {@link DualEncoder}. */
export interface DualEncoderConfig extends BlockOptions {
  /** the image encoder */
  readonly image: VisionTransformerConfig
  /** the settings of the multimodal half are not used */
  readonly text: TextConfig
  /**
   * what the summary of an image is: the result of a pooler with one query (default), the class token (as in CLIP), or the result of a
   * {@link LatentPooler} (as in SigLIP)
   */
  readonly summary?: 'pooler' | 'class' | 'latent'
  /** the layers that compute embeddings from summaries */
  readonly projection?: {
    /** whether images have one; default true. Without it the embedding has the width of the image tower (as in SigLIP) */
    readonly image?: boolean
    /** whether that of texts has a bias; default false */
    readonly textBias?: boolean
  }
  /** the loss: softmax over the texts and the images of a batch (default), or sigmoid of each pair (as in SigLIP) */
  readonly contrast?: 'softmax' | 'sigmoid'
  /** initial bias of the logits with contrast 'sigmoid'; default -10, with which the paper has a temperature of 0.1 */
  readonly initialBias?: number
  /** width of the space that images and texts share */
  readonly embedding: number
  /** the temperature of the contrastive loss */
  readonly temperature?: TemperatureConfig
}
const dualEncoderConfig = {
  image: group(visionTransformerConfig),
  text: group(textConfig),
  summary: is.choice('pooler', 'class', 'latent'),
  projection: group({ image: true, textBias: false } satisfies Settings<NonNullable<DualEncoderConfig['projection']>>),
  contrast: is.choice('softmax', 'sigmoid'),
  initialBias: -10,
  embedding: is.count,
  ...blockOptions,
  temperature: group(temperatureConfig),
} satisfies Settings<DualEncoderConfig>

/** The configuration of a {@link Captioner}. */
export interface CaptionerConfig extends BlockOptions {
  /** the image encoder */
  readonly image: VisionTransformerConfig
  /** the text decoder */
  readonly text: TextConfig
}
const captionerConfig = {
  image: group(visionTransformerConfig),
  text: group(textConfig),
  ...blockOptions,
} satisfies Settings<CaptionerConfig>

/** The configuration of an {@link ImageClassifier}. */
export interface ImageClassifierConfig extends BlockOptions {
  /** the image encoder */
  readonly image: VisionTransformerConfig
  /** number of classes */
  readonly classes: number
}
const classifierConfig = {
  image: group(visionTransformerConfig),
  classes: is.count,
  ...blockOptions,
} satisfies Settings<ImageClassifierConfig>

/** The number of frames of a clip, unless a configuration says otherwise. */
export const VIDEO_FRAMES = 8

/** The configuration of a {@link VideoClassifier}. */
export interface VideoClassifierConfig extends BlockOptions {
  /** the encoder of each frame */
  readonly image: VisionTransformerConfig
  /** number of frames of a clip; default 8 */
  readonly frames?: number
  /** number of classes */
  readonly classes: number
}
const videoClassifierConfig = {
  image: group(visionTransformerConfig),
  frames: is.byDefault(VIDEO_FRAMES, is.count),
  classes: is.count,
  ...blockOptions,
} satisfies Settings<VideoClassifierConfig>

/** The configuration of a {@link MultimodalClassifier}. */
export interface MultimodalClassifierConfig extends BlockOptions {
  /** the image encoder */
  readonly image: VisionTransformerConfig
  /** the text decoder */
  readonly text: TextConfig
  /** the pooler of the image tokens for the decoder, as in a {@link CoCa} */
  readonly pooler: CoCaConfig['pooler']
  /** number of images that a text is about: 1 (default), or 2 for statements about a pair */
  readonly images?: 1 | 2
  /** number of classes: the answers to choose from */
  readonly classes: number
  /**
   * λ and reduction of the captioning loss of the text, which is added to the classification loss; default 0 and 'mean'. If λ is 0,
   * the layer that computes the logits of tokens is frozen
   */
  readonly loss?: { readonly captioning?: { readonly weight?: number; readonly reduction?: 'sum' | 'mean' } }
}
const multimodalClassifierConfig = {
  image: group(visionTransformerConfig),
  text: group(textConfig),
  pooler: group(poolerConfig),
  images: is.byDefault(1, new is.Kind<1 | 2>('1 or 2', x => x === 1 || x === 2)),
  classes: is.count,
  ...blockOptions,
  loss: group({
    captioning: group({ ...captioningTerm, weight: 0 }),
  } satisfies Settings<NonNullable<MultimodalClassifierConfig['loss']>>),
} satisfies Settings<MultimodalClassifierConfig>

type SettledImage = Settled<VisionTransformerConfig, typeof visionTransformerConfig>
type SettledText = Settled<TextConfig, typeof textConfig>
type SettledCoCa = Settled<CoCaConfig, typeof cocaConfig>

/** {@link VisionTransformerConfig} with every default; the size of a square is a number. */
export type ResolvedVisionTransformer = SettledImage & {
  /** width inside the feed-forward layers */
  readonly hidden: number
}

/** {@link TextConfig} with every default; `pad` is undefined if no id is padding. */
export type ResolvedText = SettledText & {
  /** width inside the feed-forward layers */
  readonly hidden: number
  /** the upper half of the decoder */
  readonly multimodal: SettledText['multimodal'] & {
    readonly heads: number
    readonly hidden: number
    readonly normEpsilon: number
  }
}

/** {@link CoCaConfig} with every default. */
export interface ResolvedCoCa extends SettledCoCa {
  /** the image encoder */
  readonly image: ResolvedVisionTransformer
  /** the text decoder */
  readonly text: ResolvedText
  /** the attentional poolers */
  readonly pooler: SettledCoCa['pooler'] & { readonly heads: number; readonly width: number }
}

const fillImage = (image: SettledImage): ResolvedVisionTransformer => ({
  ...image,
  size: sizeOfSides(sidesOf(image.size)),
  patch: sizeOfSides(sidesOf(image.patch)),
  hidden: image.hidden ?? 4 * image.width,
})

function fillText(text: SettledText): ResolvedText {
  const { heads, hidden = 4 * text.width, normEpsilon, activation, multimodal: own } = text
  const multimodal = {
    ...own,
    heads: own.heads ?? heads,
    hidden: own.hidden ?? hidden,
    normEpsilon: own.normEpsilon ?? normEpsilon,
    activation: own.activation ?? activation,
  }
  return { ...text, hidden, multimodal }
}

/** Without a pooler, its settings have the values of the towers. */
function fillPooler(pooler: SettledCoCa['pooler'], image: SettledImage, text: SettledText): ResolvedCoCa['pooler'] {
  if (pooler.arrangement === 'none') return { ...pooler, heads: text.heads, width: image.width, queryNorm: false }
  return { ...pooler, heads: pooler.heads ?? text.heads, width: pooler.width ?? text.width }
}

/** Fills in the defaults of an image encoder on its own and checks its size; its layers check the other values. */
export function resolveVisionTransformer(call: string, config: VisionTransformerConfig): ResolvedVisionTransformer {
  const resolved = fillImage(settle(call, config, visionTransformerConfig))
  checkSize(resolved, encoderParts)
  return resolved
}

/** Fills in the defaults of a text decoder on its own and checks its size; its layers check the other values. */
export function resolveText(call: string, config: TextConfig): ResolvedText {
  const resolved = fillText(settle(call, config, textConfig))
  checkSize(resolved, text => [...unimodalParts(text), ...multimodalParts(text, text.width)])
  return resolved
}

/**
 * Fills in every default of a CoCa and checks the result.
 * @param call the call that an error names
 * @throws OptionsError naming a setting that is unknown, missing or of the wrong type; ConfigError naming the first that is not
 *   compatible with the others, or that makes the model larger than any machine can hold
 */
export function resolveCoCa(config: CoCaConfig, call = 'new CoCa(config)'): ResolvedCoCa {
  const settled = settle(call, config, cocaConfig)
  const text = fillText(settled.text)
  const pooler = fillPooler(settled.pooler, settled.image, settled.text)
  const resolved = { ...settled, image: fillImage(settled.image), text, pooler }
  checkImage(resolved.image)
  checkText(text, { embeds: true, decodes: true })
  checkPooler(resolved)
  checkDropout(resolved)
  checkTemperature(resolved.temperature)
  checkLosses(resolved.loss)
  checkSize(resolved, cocaParts)
  return resolved
}

/** As {@link resolveCoCa}. */
export function resolveDualEncoder(config: DualEncoderConfig) {
  const settled = settle('new DualEncoder(config)', config, dualEncoderConfig)
  const resolved = { ...settled, image: fillImage(settled.image), text: fillText(settled.text) }
  checkImage(resolved.image)
  checkText(resolved.text, { embeds: true, decodes: false })
  const { summary, image } = resolved
  const reason = "must be true with summary 'class': it is the token that the embedding is projected from"
  demand(summary !== 'class' || image.classToken, 'image.classToken', image.classToken, reason)
  const isProjected = resolved.projection.image || resolved.embedding === image.width
  demand(isProjected, 'embedding', resolved.embedding, `must be image.width, ${image.width}, without projection.image`)
  checkDropout(resolved)
  checkTemperature(resolved.temperature)
  checkSize(resolved, dualEncoderParts)
  return resolved
}

/** As {@link resolveCoCa}. */
export function resolveCaptioner(config: CaptionerConfig) {
  const settled = settle('new Captioner(config)', config, captionerConfig)
  const resolved = { ...settled, image: fillImage(settled.image), text: fillText(settled.text) }
  checkImage(resolved.image)
  checkText(resolved.text, { embeds: false, decodes: true })
  checkDropout(resolved)
  checkSize(resolved, captionerParts)
  return resolved
}

/** As {@link resolveCoCa}. */
export function resolveClassifier(config: ImageClassifierConfig) {
  const settled = settle('new ImageClassifier(config)', config, classifierConfig)
  const resolved = { ...settled, image: fillImage(settled.image) }
  checkImage(resolved.image)
  checkDropout(resolved)
  checkSize(resolved, classifierParts)
  return resolved
}

/** As {@link resolveCoCa}. */
export function resolveVideoClassifier(config: VideoClassifierConfig) {
  const settled = settle('new VideoClassifier(config)', config, videoClassifierConfig)
  const resolved = { ...settled, image: fillImage(settled.image) }
  checkImage(resolved.image)
  checkDropout(resolved)
  checkSize(resolved, classifierParts)
  return resolved
}

/** As {@link resolveCoCa}. */
export function resolveMultimodalClassifier(config: MultimodalClassifierConfig) {
  const settled = settle('new MultimodalClassifier(config)', config, multimodalClassifierConfig)
  const text = fillText(settled.text)
  const pooler = fillPooler(settled.pooler, settled.image, settled.text)
  const resolved = { ...settled, image: fillImage(settled.image), text, pooler }
  checkImage(resolved.image)
  checkText(text, { embeds: false, decodes: true })
  checkPooler(resolved)
  checkDropout(resolved)
  checkSize(resolved, multimodalClassifierParts)
  return resolved
}

/** The configuration of each family of models. */
export interface FamilyConfigs {
  /** of a `CoCa` */
  readonly coca: CoCaConfig
  /** of a `DualEncoder` */
  readonly 'dual-encoder': DualEncoderConfig
  /** of a `Captioner` */
  readonly captioner: CaptionerConfig
  /** of an `ImageClassifier` */
  readonly classifier: ImageClassifierConfig
  /** of a `VideoClassifier` */
  readonly 'video-classifier': VideoClassifierConfig
  /** of a `MultimodalClassifier` */
  readonly 'multimodal-classifier': MultimodalClassifierConfig
}

/**
 * The families of models that learn from images: CoCa, the three that it is made of (section 3.1), and two that classify with its
 * parts (section 4.2).
 */
export type FamilyName = keyof FamilyConfigs

/** The families that predict classes, which come from the data of a run. */
export type ClassFamily = {
  [F in FamilyName]: FamilyConfigs[F] extends { readonly classes: number } ? F : never
}[FamilyName]

/** The families that read texts, with a tokenizer. */
export type TextFamily = {
  [F in FamilyName]: FamilyConfigs[F] extends { readonly text: TextConfig } ? F : never
}[FamilyName]

/** The settings of each family, and the check of its configuration, which throws OptionsError or ConfigError. */
export const familyConfigs: {
  readonly [F in FamilyName]: {
    readonly settings: Settings<FamilyConfigs[F]>
    check(config: FamilyConfigs[F]): unknown
  }
} = {
  coca: { settings: cocaConfig, check: config => resolveCoCa(config) },
  'dual-encoder': { settings: dualEncoderConfig, check: resolveDualEncoder },
  captioner: { settings: captionerConfig, check: resolveCaptioner },
  classifier: { settings: classifierConfig, check: resolveClassifier },
  'video-classifier': { settings: videoClassifierConfig, check: resolveVideoClassifier },
  'multimodal-classifier': { settings: multimodalClassifierConfig, check: resolveMultimodalClassifier },
}

interface OfFamily {
  readonly family: FamilyName
}

/** Whether models of a family predict classes. */
export const hasClasses = <Of extends OfFamily>(of: Of): of is Extract<Of, { readonly family: ClassFamily }> =>
  'classes' in familyConfigs[of.family].settings

/** Whether models of a family read texts. */
export const hasTexts = <Of extends OfFamily>(of: Of): of is Extract<Of, { readonly family: TextFamily }> =>
  'text' in familyConfigs[of.family].settings

function demand(fits: boolean, field: string, value: unknown, reason: string): void {
  if (!fits) throw new ConfigError(field, value, reason)
}

const divides = (field: string, heads: number, width: number): void =>
  demand(width % heads === 0, field, heads, `does not divide the width ${width}`)

function checkImage({ size, patch, width, heads, cropToPatches, normEpsilon }: ResolvedVisionTransformer): void {
  const problem = patchProblem(size, patch, cropToPatches)
  demand(problem === undefined, 'image.patch', patch, problem ?? '')
  divides('image.heads', heads, width)
  checkEpsilon('image.normEpsilon', normEpsilon)
}

const checkEpsilon = (field: string, value: number): void =>
  demand(value >= 0 && Number.isFinite(value), field, value, 'must be a number, 0 or more')

function checkPooler({ pooler, image }: Pick<ResolvedCoCa, 'pooler' | 'image'>): void {
  const { arrangement, queries, heads, width } = pooler
  if (arrangement === 'none') {
    demand(queries === 0, 'pooler.queries', queries, "must be 0 with pooler.arrangement 'none': there is no pooler")
    const reason = "must be true with pooler.arrangement 'none': the embedding is projected from the class token"
    demand(image.classToken, 'image.classToken', image.classToken, reason)
    return
  }
  divides('pooler.heads', heads, width)
  demand(
    queries > 0 || arrangement === 'parallel',
    'pooler.queries',
    queries,
    `must be 1 or more, or use pooler.arrangement 'parallel': in ${arrangement} the embedding needs the generative pooler`,
  )
}

function checkText(text: ResolvedText, uses: { readonly embeds: boolean; readonly decodes: boolean }): void {
  const { vocabulary, context, width, heads, pad, padMask, classTokens, unimodalLayers, multimodalLayers, multimodal } =
    text
  // without unimodal layers [CLS] does not depend on the text, without multimodal ones captions do not depend on the image
  demand(!uses.embeds || unimodalLayers > 0, 'text.unimodalLayers', unimodalLayers, 'must be 1 or more')
  demand(!uses.decodes || multimodalLayers > 0, 'text.multimodalLayers', multimodalLayers, 'must be 1 or more')
  const onlyEmbeds = uses.embeds && !uses.decodes
  demand(
    onlyEmbeds || text.summary === 'class',
    'text.summary',
    text.summary,
    "must be 'class' outside of a dual encoder",
  )
  demand(onlyEmbeds || text.causal, 'text.causal', text.causal, 'must be true outside of a dual encoder')
  const isLate = padMask === 'unimodalLate'
  demand(classTokens === 1 || !isLate, 'text.classTokens', classTokens, "must be 1 with padMask 'unimodalLate'")
  demand(context >= 2, 'text.context', context, 'must be 2 or more: a start and an end')
  divides('text.heads', heads, width)
  divides('text.multimodal.heads', multimodal.heads, width)
  checkEpsilon('text.normEpsilon', text.normEpsilon)
  checkEpsilon('text.multimodal.normEpsilon', multimodal.normEpsilon)
  if (pad !== undefined) demand(pad < vocabulary, 'text.pad', pad, `is not among the ${vocabulary} ids`)
}

function checkDropout({ dropout }: { readonly dropout: number }): void {
  demand(dropout >= 0 && dropout < 1, 'dropout', dropout, 'must be in [0, 1)')
}

function checkTemperature({ initial, maximumScale }: ResolvedCoCa['temperature']): void {
  demand(maximumScale >= 1, 'temperature.maximumScale', maximumScale, 'must be 1 or more')
  const fits = initial <= 1 && initial * maximumScale >= 1
  demand(fits, 'temperature.initial', initial, `must be in [1 / ${maximumScale}, 1]`)
}

function checkLosses({ contrastive, captioning }: ResolvedCoCa['loss']): void {
  const isTrained = contrastive.weight !== 0 || captioning.weight !== 0
  demand(
    isTrained,
    'loss.captioning.weight',
    captioning.weight,
    'leaves no loss, because loss.contrastive.weight is 0 too',
  )
}
