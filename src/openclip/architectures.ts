// The architectures of CoCa that OpenCLIP ships as model_configs, by its names for them: for a training checkpoint, which has
// weights and no configuration.

import type { OpenClipConfig } from './config.ts'

const released = (embed: number, heads: number, vision: Readonly<Record<string, number>>): OpenClipConfig => {
  const tower = { context_length: 76, vocab_size: 49408, width: embed, heads, layers: 12 }
  return {
    embed_dim: embed,
    vision_cfg: { image_size: 224, ...vision, attentional_pool: true, attn_pooler_heads: 8, output_tokens: true },
    text_cfg: { ...tower, embed_cls: true, output_tokens: true },
    multimodal_cfg: tower,
    custom_text: true,
  }
}

const baseTower = { context_length: 76, vocab_size: 64000, width: 768, heads: 12, layers: 12 }

/** OpenCLIP's configurations of a CoCa, by name. coca_roberta-ViT-B-32 is not among them: its text tower is not supported. */
export const openClipArchitectures = {
  'coca_ViT-B-32': released(512, 8, { layers: 12, width: 768, patch_size: 32 }),
  'coca_ViT-L-14': released(768, 12, { layers: 24, width: 1024, patch_size: 14 }),
  coca_base: {
    embed_dim: 512,
    vision_cfg: { image_size: 288, layers: 12, width: 768, patch_size: 18, output_tokens: true },
    text_cfg: { ...baseTower, embed_cls: true, output_tokens: true },
    multimodal_cfg: baseTower,
    custom_text: true,
  },
} as const satisfies Record<string, OpenClipConfig>

/** The name of an architecture in OpenCLIP. */
export type OpenClipArchitecture = keyof typeof openClipArchitectures

/** The names of {@link openClipArchitectures}. */
export const openClipArchitectureNames = Object.keys(openClipArchitectures) as readonly OpenClipArchitecture[]
