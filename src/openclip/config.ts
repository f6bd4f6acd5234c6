// Converts OpenCLIP's settings of a CoCa to those of this package, and back. Settings that are unknown, or that this CoCa does
// not support, are errors that name the setting: to ignore one would build another model.

import { NORM_EPSILON, type ResolvedCoCa, resolveCoCa } from '../models/config.ts'
import type { CoCaConfig } from '../models/index.ts'
import { ConfigError } from '../nn/index.ts'
import { isRecord, JsonSettings } from './settings.ts'
import {
  block,
  blockOptions,
  blockSettings,
  imageOf,
  OTHER_LAYERS,
  PLAIN_ATTENTION,
  ratio,
  refuseDifference,
  TOKENIZER,
  visionSettings,
} from './towers.ts'

/** The plain JSON of OpenCLIP's configuration files. */
export type OpenClipConfig = Readonly<Record<string, unknown>>

/**
 * The differences between every CoCa of OpenCLIP and the paper's. In addition, {@link fromOpenClipConfig} sets where padding is
 * masked (`text.padMask`), and gives the feed-forward layers of the upper half 4 × width for any `mlp_ratio`.
 */
const DIFFERENCES = {
  /** padding has id 0, which is also a word ('!'), and the one [CLS] has the position after the given ids */
  text: { pad: 0, padIsWord: true, classPosition: 'next', classTokens: 1 },
  /** each layer of the upper half normalises the image tokens and has two feed-forward layers; logits have no bias */
  multimodal: { memoryNorm: true, selfMlp: true, outputBias: false },
  /** one pooler with normalised queries; the first query gives the embedding */
  pooler: { arrangement: 'shared', queryNorm: true },
} as const

const NOT_A_COCA = 'is not the value of a CoCa of OpenCLIP'

/**
 * Converts OpenCLIP's configuration of a CoCa to that of this package.
 * @param json a model's configuration, or an object with one as `model_cfg`
 * @throws ConfigError naming a setting that is missing, invalid, unknown or not supported
 */
export function fromOpenClipConfig(json: unknown): CoCaConfig {
  const all = new JsonSettings('', isRecord(json) && isRecord(json.model_cfg) ? json.model_cfg : json)
  const embedding = all.count('embed_dim')
  const quick = all.flag('quick_gelu', false)
  const maskAbove = all.has('correct_cls_mask') ? all.flag('correct_cls_mask', false) : undefined
  all.ignore('custom_text', 'cast_dtype', 'output_dict', 'init_logit_scale')
  // the shape of one tensor, [1] instead of []
  all.ignore('nonscalar_logit_scale')
  all.only('is not supported', { init_logit_bias: undefined, pad_id: 0 })

  const vision = all.group('vision_cfg')
  vision.only(NOT_A_COCA, { output_tokens: true })
  const { pooler, outputNorm } = poolerOf(vision, embedding)
  const image = { ...imageOf(vision, quick), ...(outputNorm && { outputNorm }) }
  if (pooler.arrangement === 'shared' && image.normEpsilon !== undefined)
    throw vision.refuse(
      'norm_kwargs',
      { eps: image.normEpsilon },
      'is not supported with attentional_pool: two of the three norms of the pooler would have another eps than the third',
    )
  vision.end()
  const { width } = image

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
    image,
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

/** The pooler of the image tokens; without one, the encoder has the norm that the pooler would have. */
function poolerOf(
  vision: JsonSettings,
  embedding: number,
): Pick<CoCaConfig, 'pooler'> & { readonly outputNorm: boolean } {
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
      ...visionSettings(image),
      attentional_pool: isPooled,
      ...(isPooled && { attn_pooler_queries: pooler.queries + 1, attn_pooler_heads: pooler.heads }),
      output_tokens: true,
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
