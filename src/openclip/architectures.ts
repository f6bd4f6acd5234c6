// The architectures that OpenCLIP 3.3 ships as model_configs, by its names for them: for a training checkpoint, which has weights and no
// configuration. Names whose model cannot be built here are known with the reason.

import type { OpenClipConfig } from './config.ts'

const coca = (embed: number, heads: number, vision: Readonly<Record<string, number>>): OpenClipConfig => {
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

const COCA = {
  'coca_ViT-B-32': coca(512, 8, { layers: 12, width: 768, patch_size: 32 }),
  'coca_ViT-L-14': coca(768, 12, { layers: 24, width: 1024, patch_size: 14 }),
  coca_base: {
    embed_dim: 512,
    vision_cfg: { image_size: 288, layers: 12, width: 768, patch_size: 18, output_tokens: true },
    text_cfg: { ...baseTower, embed_cls: true, output_tokens: true },
    multimodal_cfg: baseTower,
    custom_text: true,
  },
} as const

/** Image towers: width, layers, and what differs from heads of 64 and feed-forward layers of 4 × width. */
const IMAGE = {
  S: [384, 12, {}],
  M: [512, 12, {}],
  B: [768, 12, {}],
  plus: [896, 12, {}],
  L: [1024, 24, {}],
  H: [1280, 32, { head_width: 80 }],
  g: [1408, 40, { head_width: 88, mlp_ratio: 4.3637 }],
  bigG: [1664, 48, { head_width: 104, mlp_ratio: 4.9231 }],
  e: [1792, 56, { head_width: 112, mlp_ratio: 8.5715 }],
} as const satisfies Record<string, readonly [number, number, Readonly<Record<string, number>>]>

/** A CLIP. Its text tower has heads of 64, and the width of the embedding. */
const clip = (
  tower: keyof typeof IMAGE,
  patch: number,
  size: number,
  [width, layers]: readonly [width: number, layers: number],
  quick = false,
): OpenClipConfig => ({
  embed_dim: width,
  ...(quick && { quick_gelu: true }),
  vision_cfg: {
    image_size: size,
    width: IMAGE[tower][0],
    layers: IMAGE[tower][1],
    ...IMAGE[tower][2],
    patch_size: patch,
  },
  text_cfg: { context_length: 77, vocab_size: 49408, width, heads: width / 64, layers },
})

const CLIP = {
  'ViT-S-32': clip('S', 32, 224, [384, 12]),
  'ViT-S-32-alt': clip('S', 32, 224, [256, 10]),
  'ViT-S-16': clip('S', 16, 224, [384, 12]),
  'ViT-S-16-alt': clip('S', 16, 224, [256, 10]),
  'ViT-M-32': clip('M', 32, 224, [512, 12]),
  'ViT-M-32-alt': clip('M', 32, 224, [384, 12]),
  'ViT-M-16': clip('M', 16, 224, [512, 12]),
  'ViT-B-32': clip('B', 32, 224, [512, 12]),
  'ViT-B-32-quickgelu': clip('B', 32, 224, [512, 12], true),
  'ViT-B-32-256': clip('B', 32, 256, [512, 12]),
  'ViT-B-32-plus-256': clip('plus', 32, 256, [640, 12]),
  'ViT-B-16': clip('B', 16, 224, [512, 12]),
  'ViT-B-16-quickgelu': clip('B', 16, 224, [512, 12], true),
  'ViT-B-16-plus': clip('plus', 16, 224, [640, 12]),
  'ViT-B-16-plus-240': clip('plus', 16, 240, [640, 12]),
  'ViT-L-16': clip('L', 16, 224, [768, 12]),
  'ViT-L-16-320': clip('L', 16, 320, [768, 12]),
  'ViT-L-14': clip('L', 14, 224, [768, 12]),
  'ViT-L-14-quickgelu': clip('L', 14, 224, [768, 12], true),
  'ViT-L-14-280': clip('L', 14, 280, [768, 12]),
  'ViT-L-14-336': clip('L', 14, 336, [768, 12]),
  'ViT-L-14-336-quickgelu': clip('L', 14, 336, [768, 12], true),
  'ViT-H-16': clip('H', 16, 224, [1024, 24]),
  'ViT-H-14': clip('H', 14, 224, [1024, 24]),
  'ViT-H-14-quickgelu': clip('H', 14, 224, [1024, 24], true),
  'ViT-H-14-378': clip('H', 14, 378, [1024, 24]),
  'ViT-H-14-378-quickgelu': clip('H', 14, 378, [1024, 24], true),
  'ViT-g-14': clip('g', 14, 224, [1024, 24]),
  'ViT-bigG-14': clip('bigG', 14, 224, [1280, 32]),
  'ViT-bigG-14-quickgelu': clip('bigG', 14, 224, [1280, 32], true),
  'ViT-e-14': clip('e', 14, 224, [1280, 36]),
} as const

/** Text towers of SigLIP, and the width of the image tower beside it, which is that of the embedding. */
const SIGLIP_TEXT = {
  base: [768, { width: 768, heads: 12, layers: 12 }],
  large: [1024, { width: 1024, heads: 16, layers: 24 }],
  so400m: [1152, { width: 1152, heads: 16, layers: 27, mlp_ratio: 3.7362 }],
  giantopt: [1536, { width: 1152, heads: 16, layers: 27, mlp_ratio: 3.7362 }],
} as const

/** Tokenizers of SigLIP: T5's for English, mT5's, and Gemma's in SigLIP 2, whose texts have GELU by tanh. */
const SIGLIP_TOKENIZER = {
  english: { vocab_size: 32000, hf_tokenizer_name: 'timm/ViT-B-16-SigLIP' },
  i18n: { vocab_size: 250000, hf_tokenizer_name: 'timm/ViT-B-16-SigLIP-i18n-256' },
} as const

/** A SigLIP. Its pixels are normalised to -1 … 1. Of a SigLIP 2 the tokenizer is its name. */
const siglip = (
  tower: keyof typeof SIGLIP_TEXT,
  patch: number,
  size: number,
  tokenizer: keyof typeof SIGLIP_TOKENIZER | `ViT-${string}`,
  context = 64,
): OpenClipConfig => {
  const [embed, text] = SIGLIP_TEXT[tower]
  const isFirst = tokenizer === 'english' || tokenizer === 'i18n'
  return {
    model_cfg: {
      embed_dim: embed,
      init_logit_bias: -10,
      custom_text: true,
      vision_cfg: {
        image_size: size,
        timm_model_name: `vit_${tower}_patch${patch}_siglip_${size}`,
        timm_pool: 'map',
        timm_proj: 'none',
      },
      text_cfg: {
        context_length: context,
        ...(isFirst
          ? SIGLIP_TOKENIZER[tokenizer]
          : { vocab_size: 256000, hf_tokenizer_name: `timm/${tokenizer}`, act_kwargs: { approximate: 'tanh' } }),
        tokenizer_kwargs: { clean: 'canonicalize' },
        ...text,
        no_causal_mask: true,
        proj_bias: true,
        pool_type: 'last',
        norm_kwargs: { eps: 1e-6 },
      },
    },
    preprocess_cfg: { size, resize_mode: 'squash', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  }
}

const SIGLIP = {
  'ViT-B-16-SigLIP': siglip('base', 16, 224, 'english'),
  'ViT-B-16-SigLIP-256': siglip('base', 16, 256, 'english'),
  'ViT-B-16-SigLIP-i18n-256': siglip('base', 16, 256, 'i18n'),
  'ViT-B-16-SigLIP-384': siglip('base', 16, 384, 'english'),
  'ViT-B-16-SigLIP-512': siglip('base', 16, 512, 'english'),
  'ViT-L-16-SigLIP-256': siglip('large', 16, 256, 'english'),
  'ViT-L-16-SigLIP-384': siglip('large', 16, 384, 'english'),
  'ViT-SO400M-14-SigLIP': siglip('so400m', 14, 224, 'english', 16),
  'ViT-SO400M-14-SigLIP-378': siglip('so400m', 14, 378, 'english'),
  'ViT-SO400M-14-SigLIP-384': siglip('so400m', 14, 384, 'english'),
  'ViT-B-32-SigLIP2-256': siglip('base', 32, 256, 'ViT-B-32-SigLIP2-256'),
  'ViT-B-16-SigLIP2': siglip('base', 16, 224, 'ViT-B-16-SigLIP2'),
  'ViT-B-16-SigLIP2-256': siglip('base', 16, 256, 'ViT-B-16-SigLIP2-256'),
  'ViT-B-16-SigLIP2-384': siglip('base', 16, 384, 'ViT-B-16-SigLIP2-384'),
  'ViT-B-16-SigLIP2-512': siglip('base', 16, 512, 'ViT-B-16-SigLIP2-512'),
  'ViT-L-16-SigLIP2-256': siglip('large', 16, 256, 'ViT-L-16-SigLIP2-256'),
  'ViT-L-16-SigLIP2-384': siglip('large', 16, 384, 'ViT-L-16-SigLIP2-384'),
  'ViT-L-16-SigLIP2-512': siglip('large', 16, 512, 'ViT-L-16-SigLIP2-512'),
  'ViT-SO400M-14-SigLIP2': siglip('so400m', 14, 224, 'ViT-SO400M-14-SigLIP2'),
  'ViT-SO400M-14-SigLIP2-378': siglip('so400m', 14, 378, 'ViT-SO400M-14-SigLIP2-378'),
  'ViT-SO400M-16-SigLIP2-256': siglip('so400m', 16, 256, 'ViT-SO400M-16-SigLIP2-256'),
  'ViT-SO400M-16-SigLIP2-384': siglip('so400m', 16, 384, 'ViT-SO400M-16-SigLIP2-384'),
  'ViT-SO400M-16-SigLIP2-512': siglip('so400m', 16, 512, 'ViT-SO400M-16-SigLIP2-512'),
  'ViT-gopt-16-SigLIP2-256': siglip('giantopt', 16, 256, 'ViT-gopt-16-SigLIP2-256'),
  'ViT-gopt-16-SigLIP2-384': siglip('giantopt', 16, 384, 'ViT-gopt-16-SigLIP2-384'),
} as const

/** OpenCLIP's configurations by name, of all models that are supported. */
export const openClipArchitectures = { ...COCA, ...CLIP, ...SIGLIP } as const satisfies Record<string, OpenClipConfig>

/** The name of an architecture in OpenCLIP. */
export type OpenClipArchitecture = keyof typeof openClipArchitectures

/** The names of {@link openClipArchitectures}. */
export const openClipArchitectureNames = Object.keys(openClipArchitectures) as readonly OpenClipArchitecture[]

/** OpenCLIP's other names, and why their models are not supported. */
const REFUSED: readonly (readonly [RegExp, string])[] = [
  [/^RN\d/, 'its image tower is a ResNet'],
  [/^convnext_/, 'its image tower is a ConvNeXt'],
  [/^EVA0/, 'its image tower is an EVA of timm'],
  [/^ViTamin/, 'its image tower is a ViTamin'],
  [/^PE-Core/, "its image tower is Meta's perception encoder, with rotary positions"],
  [/^MobileCLIP/, 'its image tower is another one of timm than that of a SigLIP'],
  [/^(?:swin|vit)_/, 'its image tower is another one of timm than that of a SigLIP'],
  [/roberta|^mt5|^nllb/, 'its text tower is one of Hugging Face'],
  [/-CLIPA/, 'the embedding of an image is the mean of its tokens'],
  [/-worldwide/, 'the embedding of a text is that of a given id (pool_type: eos)'],
  [/^ViT-M-16-alt$/, 'its layers have scales (ls_init_value)'],
  [/^ViT-SO400M-16-SigLIP-i18n/, 'its texts have no projection (proj_type: none)'],
]

/** What is wrong with a name that is not that of a supported architecture: it `must be …`, or `is not supported: …`. */
export function architectureProblem(name: unknown): string {
  const refused = typeof name === 'string' ? REFUSED.find(([names]) => names.test(name)) : undefined
  if (refused) return `is not supported: ${refused[1]}`
  return `must be the name of an architecture of OpenCLIP: ${openClipArchitectureNames.join(', ')}`
}

/** Whether a name is that of a supported architecture. */
export const isArchitecture = (name: unknown): name is OpenClipArchitecture =>
  openClipArchitectureNames.includes(name as OpenClipArchitecture)
