// Converts OpenCLIP's settings of a CLIP to those of a dual encoder, and back, as config.ts does for a CoCa.

import { resolveDualEncoder } from '../models/config.ts'
import type { DualEncoderConfig } from '../models/index.ts'
import type { OpenClipConfig } from './config.ts'
import { isRecord, JsonSettings } from './settings.ts'
import {
  block,
  blockOptions,
  blockSettings,
  imageOf,
  OTHER_LAYERS,
  ratio,
  refuseDifference,
  TOKENIZER,
  visionSettings,
} from './towers.ts'

const OTHER_SUMMARY = 'is not supported in a CLIP: the embedding of a text is that of its highest id, without a bias'

/** Whether a configuration of OpenCLIP is that of a CoCa, which has a decoder; the others are those of a CLIP. */
export const isCoCaConfig = (json: unknown): boolean => {
  const model = isRecord(json) && isRecord(json.model_cfg) ? json.model_cfg : json
  return isRecord(model) && isRecord(model.multimodal_cfg)
}

/**
 * Converts OpenCLIP's configuration of a CLIP (Radford et al. 2021) to that of a {@link DualEncoder}: the class token gives the embedding
 * of an image, and the highest id, which ends a text, that of the text. Padding is not masked.
 * @param json a model's configuration, or an object with one as `model_cfg`
 * @throws ConfigError naming a setting that is missing, invalid, unknown or not supported
 */
export function fromClipConfig(json: unknown): DualEncoderConfig {
  const all = new JsonSettings('', isRecord(json) && isRecord(json.model_cfg) ? json.model_cfg : json)
  const embedding = all.count('embed_dim')
  const quick = all.flag('quick_gelu', false)
  // names of tensors, their types and shapes, and values before training
  all.ignore('custom_text', 'cast_dtype', 'output_dict', 'init_logit_scale', 'nonscalar_logit_scale')
  all.only('is not supported: the loss of SigLIP, which has a bias, is not', { init_logit_bias: undefined })

  const vision = all.group('vision_cfg')
  vision.only('is not supported in a CLIP: the embedding comes from the class token', {
    attentional_pool: false,
    pool_type: 'tok',
    output_tokens: false,
  })
  // the class token has the norm before or after it is taken
  vision.ignore('final_ln_after_pool', 'attn_pooler_queries', 'attn_pooler_heads')
  const image = { ...imageOf(vision, quick), outputNorm: true }
  vision.end()

  const text = all.group('text_cfg')
  text.only('text towers of Hugging Face are not supported', { hf_model_name: undefined })
  text.only(OTHER_LAYERS, { no_causal_mask: false })
  text.only(OTHER_SUMMARY, { pool_type: 'argmax', proj_type: 'linear', proj_bias: false, embed_cls: false })
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
    text: { ...tower, ...TEXT },
    summary: 'class',
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
  const { image, text, embedding, activation } = own
  const json = {
    embed_dim: embedding,
    quick_gelu: activation === 'quickGelu',
    vision_cfg: visionSettings(image),
    text_cfg: {
      context_length: text.context,
      vocab_size: text.vocabulary,
      width: text.width,
      heads: text.heads,
      layers: text.unimodalLayers,
      mlp_ratio: ratio(text.hidden, text.width),
      ...blockOptions(text),
    },
  }
  refuseDifference('', compared(own), compared(resolveDualEncoder(fromClipConfig(json))))
  return json
}

/** The settings that decide what a dual encoder computes in evaluation, with the activation of both towers. */
function compared({ image, text, summary, embedding, activation }: ReturnType<typeof resolveDualEncoder>) {
  // a text without [CLS] does not use its settings, and a dual encoder not those of the multimodal half
  const { multimodal: _, multimodalLayers: __, classPosition: ___, classTokens: ____, ...tower } = text
  return {
    activation,
    summary,
    image: { ...image, activation: image.activation ?? activation },
    text: { ...tower, activation: text.activation ?? activation },
    embedding,
  }
}
