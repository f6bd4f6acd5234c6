// Converts OpenCLIP's settings of a CoCa to those of this package, and back. Settings that are unknown, or that this CoCa does
// not support, are errors that name the setting: to ignore one would build another model.

import { NORM_EPSILON, type ResolvedCoCa, resolveCoCa } from '../models/config.ts'
import type { CoCaConfig } from '../models/index.ts'
import { ConfigError } from '../nn/index.ts'
import { isRecord, Settings } from './settings.ts'

/** The plain JSON of OpenCLIP's configuration files. */
export type OpenClipConfig = Readonly<Record<string, unknown>>

/**
 * The differences between every CoCa of OpenCLIP and the paper's. In addition, {@link fromOpenClipConfig} sets where padding is
 * masked (`text.padMask`), and gives the feed-forward layers of the upper half 4 × width for any `mlp_ratio`.
 */
const DIFFERENCES = {
  /** a class token before the patches, which go through a layer without bias */
  image: { classToken: true, patchBias: false },
  /** padding has id 0, which is also a word ('!'), and the one [CLS] has the position after the given ids */
  text: { pad: 0, padIsWord: true, classPosition: 'next', classTokens: 1 },
  /** each layer of the upper half normalises the image tokens and has two feed-forward layers; logits have no bias */
  multimodal: { memoryNorm: true, selfMlp: true, outputBias: false },
  /** one pooler with normalised queries; the first query gives the embedding */
  pooler: { arrangement: 'shared', queryNorm: true },
} as const

const OTHER_LAYERS = 'layers of this kind are not supported'
const NOT_A_COCA = 'is not the value of a CoCa of OpenCLIP'

/** Options of a tower's attention that add layers. All are off in OpenCLIP's own configurations. */
const PLAIN_ATTENTION = {
  qk_norm: false,
  scaled_cosine_attn: false,
  scale_heads: false,
  scale_attn_inner: false,
  scale_attn: false,
  scale_fc: false,
} as const

/** The part of both towers that is the same: feed-forward layers, norms and activation. */
function block(tower: Settings, width: number, quick: boolean) {
  tower.only(OTHER_LAYERS, { ls_init_value: undefined, ...PLAIN_ATTENTION })
  // without those options, 'custom' names other classes for the same computation
  tower.oneOf('block_type', 'default', 'custom')
  const hidden = Math.floor(width * tower.positive('mlp_ratio', 4))
  const normEpsilon = tower.has('norm_kwargs') ? epsilonOf(tower.group('norm_kwargs')) : NORM_EPSILON
  if (!tower.has('act_kwargs')) return { hidden, normEpsilon, activation: undefined }
  if (quick) throw tower.refuse('act_kwargs', {}, 'quick_gelu takes no options')
  const options = tower.group('act_kwargs')
  const approximate = options.oneOf('approximate', 'none', 'tanh')
  options.end()
  return { hidden, normEpsilon, activation: approximate === 'tanh' ? ('geluTanh' as const) : undefined }
}

function epsilonOf(options: Settings): number {
  const epsilon = options.positive('eps', NORM_EPSILON)
  options.end()
  return epsilon
}

/**
 * Converts OpenCLIP's configuration of a CoCa to that of this package.
 * @param json a model's configuration, or an object with one as `model_cfg`
 * @throws ConfigError naming a setting that is missing, invalid, unknown or not supported
 */
export function fromOpenClipConfig(json: unknown): CoCaConfig {
  const all = new Settings('', isRecord(json) && isRecord(json.model_cfg) ? json.model_cfg : json)
  const embedding = all.count('embed_dim')
  const quick = all.flag('quick_gelu', false)
  const maskAbove = all.has('correct_cls_mask') ? all.flag('correct_cls_mask', false) : undefined
  all.ignore('custom_text', 'cast_dtype', 'output_dict', 'init_logit_scale')
  // the shape of one tensor, [1] instead of []
  all.ignore('nonscalar_logit_scale')
  all.only('is not supported', { init_logit_bias: undefined, pad_id: 0 })

  const vision = all.group('vision_cfg')
  vision.only(OTHER_LAYERS, { timm_model_name: undefined })
  vision.only(NOT_A_COCA, { output_tokens: true })
  // fixed positions are in the checkpoint like learned ones; dropout of patches is for training; the others belong to other towers
  vision.oneOf('pos_embed_type', 'learnable', 'sin_cos_2d')
  vision.ignore('patch_dropout', 'timm_model_pretrained', 'timm_pool', 'timm_proj', 'timm_proj_bias', 'timm_drop')
  vision.ignore('timm_drop_path')
  const { pooler, outputNorm } = poolerOf(vision, embedding)
  const width = vision.count('width', 768)
  const image = {
    size: square(vision, 'image_size', 224),
    patch: square(vision, 'patch_size', 16),
    width,
    layers: vision.count('layers', 12),
    heads: headsOf(vision, width),
    inputNorm: !vision.flag('no_ln_pre', false),
    ...(outputNorm && { outputNorm }),
    ...DIFFERENCES.image,
  }
  const imageBlock = block(vision, width, quick)
  if (pooler.arrangement === 'shared' && imageBlock.normEpsilon !== NORM_EPSILON)
    throw vision.refuse(
      'norm_kwargs',
      { eps: imageBlock.normEpsilon },
      'is not supported with attentional_pool: two of the three norms of the pooler would have another eps than the third',
    )
  vision.end()

  const text = all.group('text_cfg')
  text.only('text towers of Hugging Face are not supported', { hf_model_name: undefined })
  text.only(OTHER_LAYERS, { no_causal_mask: false, proj_type: 'linear', proj_bias: false })
  text.only('is not supported: the ids of padding are 0', { pad_id: 0 })
  text.only(NOT_A_COCA, { output_tokens: true })
  text.ignore(...TOKENIZER, 'hf_model_pretrained', 'hf_proj_type', 'hf_pooler_type')
  // a model with [CLS] does not use these
  text.ignore('pool_type', 'eos_id', 'final_ln_after_pool')
  if (!text.flag('embed_cls', false)) throw text.refuse('embed_cls', false, 'must be true: a CoCa has a [CLS] token')
  const mask = text.flag('correct_cls_mask', maskAbove ?? false)
  if (maskAbove !== undefined && mask !== maskAbove)
    throw text.refuse('correct_cls_mask', mask, `contradicts correct_cls_mask = ${maskAbove} of the model`)
  const textWidth = text.count('width', 512)
  const tokenWidth = pooler.arrangement === 'none' ? width : embedding
  const [widthName, cause] =
    pooler.arrangement === 'none'
      ? ['vision_cfg.width', 'the decoder normalises image tokens of its own width']
      : ['embed_dim', 'there is no projection between them']
  if (textWidth !== tokenWidth) throw text.refuse('width', textWidth, `must be ${widthName}, ${tokenWidth}: ${cause}`)
  const heads = text.count('heads', 8)
  const { hidden, normEpsilon, activation } = block(text, textWidth, quick)
  const lower = {
    vocabulary: text.count('vocab_size', 49408),
    context: text.count('context_length', 77),
    width: textWidth,
    heads,
    hidden,
    unimodalLayers: text.count('layers', 12),
  }
  text.end()

  const upper = all.group('multimodal_cfg')
  // OpenCLIP reads these settings and does not use them in the decoder
  upper.ignore('vocab_size', 'n_queries', 'attn_pooler_heads', 'mlp_ratio', 'dim_head', 'context_length', ...TOKENIZER)
  upper.ignore('output_tokens', 'embed_cls', 'pad_id', 'eos_id', 'no_causal_mask', 'final_ln_after_pool', 'pool_type')
  upper.ignore('proj_bias', 'proj_type', 'act_kwargs', 'norm_kwargs', 'block_type', ...Object.keys(PLAIN_ATTENTION))
  upper.ignore('hf_model_name', 'hf_model_pretrained', 'hf_proj_type', 'hf_pooler_type')
  upper.only(OTHER_LAYERS, { ls_init_value: undefined })
  const upperWidth = upper.count('width', 512)
  if (upperWidth !== textWidth) throw upper.refuse('width', upperWidth, `must be ${widthName}, ${tokenWidth}: ${cause}`)
  const own = activation === undefined ? {} : { activation: quick ? ('quickGelu' as const) : ('gelu' as const) }
  const multimodal = {
    heads: upper.count('heads', 8),
    hidden: 4 * upperWidth,
    ...(normEpsilon !== NORM_EPSILON && { normEpsilon: NORM_EPSILON }),
    ...own,
    ...DIFFERENCES.multimodal,
  }
  const multimodalLayers = upper.count('layers', 12)
  upper.end()
  all.end()
  return {
    image: {
      ...image,
      hidden: imageBlock.hidden,
      ...(image.size % image.patch !== 0 && { cropToPatches: true }),
      ...blockSettings(imageBlock),
    },
    text: {
      ...lower,
      multimodalLayers,
      padMask: mask ? 'unimodal' : 'unimodalLate',
      ...blockSettings({ normEpsilon, activation }),
      ...DIFFERENCES.text,
      multimodal,
    },
    pooler,
    embedding,
    activation: quick ? 'quickGelu' : 'gelu',
  }
}

/** Settings of tokenizers, which are read from their own files. */
const TOKENIZER = ['hf_tokenizer_name', 'tokenizer_mode', 'tokenizer_kwargs'] as const

/** Settings of a tower's blocks, without those that have the default. */
const blockSettings = ({
  normEpsilon,
  activation,
}: {
  readonly normEpsilon: number
  readonly activation: 'geluTanh' | undefined
}) => ({ ...(normEpsilon !== NORM_EPSILON && { normEpsilon }), ...(activation && { activation }) })

/** The pooler of the image tokens; without one, the encoder has the norm that the pooler would have. */
function poolerOf(vision: Settings, embedding: number): Pick<CoCaConfig, 'pooler'> & { readonly outputNorm: boolean } {
  // OpenCLIP's cascade and parallel poolers do not run
  const pooled = vision.flag('attentional_pool', false)
  const lateNorm = vision.flag('final_ln_after_pool', false)
  vision.only('is not supported in a CoCa: the embedding comes from the first token', { pool_type: 'tok' })
  const queries = vision.count('attn_pooler_queries', 256) - 1
  const heads = vision.count('attn_pooler_heads', 8)
  if (!pooled) {
    if (lateNorm)
      throw vision.refuse(
        'final_ln_after_pool',
        true,
        'is not supported without a pooler: image tokens have a norm here',
      )
    return { pooler: { arrangement: 'none', queries: 0 }, outputNorm: true }
  }
  if (queries < 1) throw vision.refuse('attn_pooler_queries', 1, 'must be 2 or more: the first is not for the decoder')
  return { pooler: { queries, heads, width: embedding, ...DIFFERENCES.pooler }, outputNorm: false }
}

/** The number of heads: as many as fit into the width, as in OpenCLIP. */
function headsOf(vision: Settings, width: number): number {
  const headWidth = vision.count('head_width', 64)
  const heads = Math.floor(width / headWidth)
  if (heads === 0 || width % heads !== 0)
    throw vision.refuse('head_width', headWidth, `gives ${heads} heads, which do not divide the width ${width}`)
  return heads
}

/** A side in pixels, which may be given for both axes. */
function square(settings: Settings, name: string, byDefault: number): number {
  const [side, other = side] = settings.pair(name, byDefault)
  if (side !== other) throw settings.refuse(name, [side, other], 'only squares are supported')
  return side
}

/**
 * Converts a configuration to OpenCLIP's, without the settings of training: `fromOpenClipConfig` returns an equal one.
 * @throws ConfigError naming the first setting that OpenCLIP does not have
 */
export function toOpenClipConfig(config: CoCaConfig): OpenClipConfig {
  const own = resolveCoCa(config, 'toOpenClipConfig(config)')
  const { image, text, pooler, embedding, activation } = own
  const { vocabulary, context, width, heads, multimodal } = text
  const tower = { context_length: context, vocab_size: vocabulary, width, heads }
  const isPooled = pooler.arrangement !== 'none'
  const json = {
    embed_dim: embedding,
    quick_gelu: activation === 'quickGelu',
    vision_cfg: {
      image_size: image.size,
      layers: image.layers,
      width: image.width,
      head_width: image.width / image.heads,
      patch_size: image.patch,
      mlp_ratio: ratio(image.hidden, image.width),
      no_ln_pre: !image.inputNorm,
      attentional_pool: isPooled,
      ...(isPooled && { attn_pooler_queries: pooler.queries + 1, attn_pooler_heads: pooler.heads }),
      output_tokens: true,
      ...blockOptions(image),
    },
    text_cfg: {
      ...tower,
      layers: text.unimodalLayers,
      mlp_ratio: ratio(text.hidden, width),
      embed_cls: true,
      output_tokens: true,
      ...blockOptions(text),
    },
    multimodal_cfg: { ...tower, heads: multimodal.heads, layers: text.multimodalLayers },
    custom_text: true,
  }
  if (text.padMask === 'unimodal') throw new ConfigError('text.padMask', text.padMask, NO_CORRECT_MASK)
  const read = resolveCoCa(fromOpenClipConfig(json))
  refuseDifference('', compared(own), compared(read))
  return json
}

/** The settings that decide what a model computes in evaluation, with the activation of every tower. */
function compared({ image, text, pooler, embedding, activation }: ResolvedCoCa) {
  const own = text.activation ?? activation
  const multimodal = { ...text.multimodal, activation: text.multimodal.activation ?? own }
  return {
    activation,
    image: { ...image, activation: image.activation ?? activation },
    text: { ...text, activation: own, multimodal },
    pooler,
    embedding,
  }
}

const NO_CORRECT_MASK =
  "OpenCLIP has no setting for this mask: its models have 'unimodalLate', with which texts with padding have other embeddings. " +
  "Set text.padMask to 'unimodalLate' if that is meant"

/** norm_kwargs and act_kwargs, where they are not the default. */
const blockOptions = ({ normEpsilon, activation }: { readonly normEpsilon: number; readonly activation?: string }) => ({
  ...(normEpsilon !== NORM_EPSILON && { norm_kwargs: { eps: normEpsilon } }),
  ...(activation === 'geluTanh' && { act_kwargs: { approximate: 'tanh' } }),
})

/** mlp_ratio, which OpenCLIP multiplies by the width and rounds down. */
function ratio(hidden: number, width: number): number {
  const exact = hidden / width
  return Math.floor(exact * width) === hidden ? exact : (hidden + 0.5) / width
}

/** Throws for a setting that is read back with another value. */
function refuseDifference(path: string, own: unknown, read: unknown): void {
  if (isRecord(own) && isRecord(read)) {
    for (const name of new Set([...Object.keys(own), ...Object.keys(read)]))
      refuseDifference(path ? `${path}.${name}` : name, own[name], read[name])
  } else if (own !== read)
    throw new ConfigError(path, own ?? null, `OpenCLIP has no such setting; its models have ${JSON.stringify(read)}`)
}
