// Converts OpenCLIP's settings of a CLIP or SigLIP to those of a dual encoder, and back, as config.ts does for a CoCa.

import { resolveDualEncoder } from '../models/config.ts'
import type { DualEncoderConfig } from '../models/index.ts'
import type { OpenClipConfig } from './config.ts'
import { isRecord, JsonSettings } from './settings.ts'
import { timmImageOf, timmVisionSettings } from './siglip.ts'
import {
  block,
  blockOptions,
  blockSettings,
  imageOf,
  ratio,
  refuseDifference,
  TOKENIZER,
  visionSettings,
} from './towers.ts'

const OTHER_SUMMARY =
  'is not supported in a CLIP: the embedding of a text is that of its highest id or its last position'

/** Whether a configuration of OpenCLIP is that of a CoCa, which has a decoder; the others are those of a CLIP. */
export const isCoCaConfig = (json: unknown): boolean => {
  const model = isRecord(json) && isRecord(json.model_cfg) ? json.model_cfg : json
  return isRecord(model) && isRecord(model.multimodal_cfg)
}

/**
 * Converts OpenCLIP's configuration of a CLIP (Radford et al. 2021) to that of a {@link DualEncoder}: the class token gives the embedding
 * of an image, and the highest id, which ends a text, that of the text. Padding is not masked. With a vision tower of timm it is a SigLIP
 * (Zhai et al. 2023): its MAP head gives the embedding of an image, and the last position that of a text, with or without a causal mask.
 * @param json a model's configuration, or an object with one as `model_cfg`
 * @throws ConfigError naming a setting that is missing, invalid, unknown or not supported
 */
export function fromClipConfig(json: unknown): DualEncoderConfig {
  const all = new JsonSettings('', isRecord(json) && isRecord(json.model_cfg) ? json.model_cfg : json)
  const embedding = all.count('embed_dim')
  const quick = all.flag('quick_gelu', false)
  // names of tensors, their types and shapes, and values before training
  all.ignore('custom_text', 'cast_dtype', 'output_dict', 'init_logit_scale', 'nonscalar_logit_scale')
  const initialBias = all.has('init_logit_bias') ? all.number('init_logit_bias', 0) : undefined

  const vision = all.group('vision_cfg')
  const isTimm = vision.has('timm_model_name')
  vision.only('is not supported in a CLIP: the embedding comes from the class token', {
    attentional_pool: false,
    pool_type: 'tok',
    output_tokens: false,
  })
  // the class token has the norm before or after it is taken
  vision.ignore('final_ln_after_pool', 'attn_pooler_queries', 'attn_pooler_heads')
  const { image, isProjected } = isTimm
    ? timmImageOf(vision)
    : { image: { ...imageOf(vision, quick), outputNorm: true }, isProjected: true }
  if (!isProjected && embedding !== image.width)
    throw all.refuse(
      'embed_dim',
      embedding,
      `must be ${image.width}, the width of the image tower, without a projection`,
    )
  vision.end()

  const text = all.group('text_cfg')
  text.only('text towers of Hugging Face are not supported', { hf_model_name: undefined })
  const causal = !text.flag('no_causal_mask', false)
  const isLast = text.oneOf('pool_type', 'argmax', 'last') === 'last'
  const textBias = text.flag('proj_bias', false)
  text.only(OTHER_SUMMARY, { proj_type: 'linear', embed_cls: false })
  text.only(OTHER_SUMMARY, { output_tokens: false })
  // padding is not masked, and the end of a text is not found by its id
  text.ignore(...TOKENIZER, 'hf_model_pretrained', 'hf_proj_type', 'hf_pooler_type', 'pad_id', 'eos_id')
  text.ignore('final_ln_after_pool')
  const width = text.count('width', 512)
  const { hidden, ...others } = block(text, width, quick)
  const tower = {
    vocabulary: text.count('vocab_size', 49408),
    context: text.count('context_length', 77),
    width,
    heads: text.count('heads', 8),
    hidden,
    unimodalLayers: text.count('layers', 12),
    ...blockSettings(others),
  }
  text.end()
  all.end()
  return {
    image,
    text: { ...tower, ...TEXT, ...(isLast && { summary: 'last' }), ...(!causal && { causal }) },
    summary: isTimm ? 'latent' : 'class',
    ...((!isProjected || textBias) && { projection: { image: isProjected, textBias } }),
    ...(initialBias !== undefined && { contrast: 'sigmoid', initialBias }),
    embedding,
    activation: quick ? 'quickGelu' : 'gelu',
  }
}

/** What the text towers of all CLIPs have: padding has id 0, which is also a word ('!'). There is no multimodal half. */
const TEXT = { multimodalLayers: 0, pad: 0, padIsWord: true, padMask: 'none', summary: 'highest' } as const

/**
 * Converts a dual encoder's configuration to that of a CLIP of OpenCLIP, without the settings of training.
 * @throws ConfigError naming the first setting that OpenCLIP does not have
 */
export function toClipConfig(config: DualEncoderConfig): OpenClipConfig {
  const own = resolveDualEncoder(config)
  const { image, text, summary, projection, contrast, initialBias, embedding, activation } = own
  const isTimm = summary === 'latent'
  const json = {
    embed_dim: embedding,
    quick_gelu: activation === 'quickGelu',
    ...(contrast === 'sigmoid' && { init_logit_bias: initialBias }),
    ...(isTimm && { custom_text: true }),
    vision_cfg: isTimm ? timmVisionSettings(image, projection.image) : visionSettings(image),
    text_cfg: {
      context_length: text.context,
      vocab_size: text.vocabulary,
      width: text.width,
      heads: text.heads,
      layers: text.unimodalLayers,
      mlp_ratio: ratio(text.hidden, text.width),
      ...(!text.causal && { no_causal_mask: true }),
      ...(text.summary === 'last' && { pool_type: 'last' }),
      ...(projection.textBias && { proj_bias: true }),
      ...blockOptions(text),
    },
  }
  refuseDifference('', compared(own), compared(resolveDualEncoder(fromClipConfig(json))))
  return json
}

/** The settings that decide what a dual encoder computes in evaluation, with the activation of both towers. */
function compared(config: ReturnType<typeof resolveDualEncoder>) {
  const { image, text, summary, projection, contrast, embedding, activation } = config
  // a text without [CLS] does not use its settings, a dual encoder not those of the multimodal half, and padding is not masked
  const { multimodal: _, multimodalLayers: __, classPosition: ___, classTokens: ____, ...others } = text
  const { pad: _____, padIsWord: ______, ...tower } = others
  return {
    activation,
    summary,
    projection,
    contrast,
    image: { ...image, activation: image.activation ?? activation },
    text: { ...tower, activation: text.activation ?? activation },
    embedding,
  }
}
