// The architectures of CoCa and CLIP that OpenCLIP ships as model_configs, by its names for them: for a training checkpoint, which has
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

const clip = (
  embed: number,
  heads: number,
  layers: number,
  vision: Readonly<Record<string, number>>,
): OpenClipConfig => ({
  embed_dim: embed,
  vision_cfg: { image_size: 224, ...vision },
  text_cfg: { context_length: 77, vocab_size: 49408, width: embed, heads, layers },
})
const quick = (config: OpenClipConfig): OpenClipConfig => ({ ...config, quick_gelu: true })

const B32 = clip(512, 8, 12, { layers: 12, width: 768, patch_size: 32 })
const B16 = clip(512, 8, 12, { layers: 12, width: 768, patch_size: 16 })
const L14 = clip(768, 12, 12, { layers: 24, width: 1024, patch_size: 14 })
const L14_336 = clip(768, 12, 12, { layers: 24, width: 1024, patch_size: 14, image_size: 336 })
const H14 = clip(1024, 16, 24, { layers: 32, width: 1280, head_width: 80, patch_size: 14 })

/** A SigLIP. Its pixels are normalised to -1 … 1. */
const siglip = (width: number, heads: number, layers: number, tower: string, size: number): OpenClipConfig => ({
  model_cfg: {
    embed_dim: width,
    init_logit_bias: -10,
    custom_text: true,
    vision_cfg: { image_size: size, timm_model_name: `${tower}_${size}`, timm_pool: 'map', timm_proj: 'none' },
    text_cfg: {
      context_length: 64,
      vocab_size: 32000,
      width,
      heads,
      layers,
      no_causal_mask: true,
      proj_bias: true,
      pool_type: 'last',
      norm_kwargs: { eps: 1e-6 },
    },
  },
  preprocess_cfg: { size, resize_mode: 'squash', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
})

/** OpenCLIP's configurations of a CoCa, and the usual ones of a CLIP and a SigLIP, by name. coca_roberta-ViT-B-32 is not among them: its text tower is not supported. */
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
  'ViT-B-32': B32,
  'ViT-B-32-quickgelu': quick(B32),
  'ViT-B-16': B16,
  'ViT-B-16-quickgelu': quick(B16),
  'ViT-L-14': L14,
  'ViT-L-14-quickgelu': quick(L14),
  'ViT-L-14-336': L14_336,
  'ViT-L-14-336-quickgelu': quick(L14_336),
  'ViT-H-14': H14,
  'ViT-H-14-quickgelu': quick(H14),
  'ViT-B-16-SigLIP': siglip(768, 12, 12, 'vit_base_patch16_siglip', 224),
  'ViT-B-16-SigLIP-256': siglip(768, 12, 12, 'vit_base_patch16_siglip', 256),
  'ViT-B-16-SigLIP-384': siglip(768, 12, 12, 'vit_base_patch16_siglip', 384),
  'ViT-B-16-SigLIP-512': siglip(768, 12, 12, 'vit_base_patch16_siglip', 512),
  'ViT-L-16-SigLIP-256': siglip(1024, 16, 24, 'vit_large_patch16_siglip', 256),
  'ViT-L-16-SigLIP-384': siglip(1024, 16, 24, 'vit_large_patch16_siglip', 384),
} as const satisfies Record<string, OpenClipConfig>

/** The name of an architecture in OpenCLIP. */
export type OpenClipArchitecture = keyof typeof openClipArchitectures

/** The names of {@link openClipArchitectures}. */
export const openClipArchitectureNames = Object.keys(openClipArchitectures) as readonly OpenClipArchitecture[]
