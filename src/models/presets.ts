// Configurations by name: small ones for a laptop and the paper's three (Table 1).

import type { CoCaConfig } from './config.ts'

/** A row of Table 1: images of 288² in patches of 18, 256 image tokens, a vocabulary of 64 k, equal layers in both halves. */
const paper = (
  width: number,
  heads: number,
  layers: number,
  hidden: number,
  half: number,
  decoderHidden: number,
): CoCaConfig => ({
  image: { size: 288, patch: 18, width, layers, heads, hidden },
  // the paper does not give the maximum length of a text: 64 tokens is that of models released later
  text: {
    vocabulary: 64_000,
    context: 64,
    width,
    heads,
    hidden: decoderHidden,
    unimodalLayers: half,
    multimodalLayers: half,
    pad: 0,
  },
  pooler: { queries: 256, heads },
  embedding: width,
  loss: { contrastive: { weight: 1, reduction: 'sum' }, captioning: { weight: 2, reduction: 'sum' } },
})

/** Configurations by name: the sizes of the paper, and small ones that learn on one machine. */
export const presets = {
  /** 32² pictures and short captions: learns in minutes on a laptop */
  tiny: {
    image: { size: 32, patch: 8, width: 64, layers: 2, heads: 4 },
    text: { vocabulary: 64, context: 16, width: 64, heads: 4, unimodalLayers: 1, multimodalLayers: 1, pad: 0 },
    pooler: { queries: 8, heads: 4 },
    embedding: 64,
  },
  /** 64² pictures: learns in an hour */
  small: {
    image: { size: 64, patch: 8, width: 192, layers: 6, heads: 3 },
    text: { vocabulary: 1024, context: 24, width: 192, heads: 3, unimodalLayers: 3, multimodalLayers: 3, pad: 0 },
    pooler: { queries: 32, heads: 3 },
    embedding: 192,
  },
  /** CoCa-Base, 383 M parameters */
  base: paper(768, 12, 12, 3072, 12, 3072),
  /** CoCa-Large, 787 M parameters */
  large: paper(1024, 16, 24, 4096, 12, 4096),
  /** CoCa, 2.1 B parameters */
  full: paper(1408, 16, 40, 6144, 18, 5632),
} as const satisfies Record<string, CoCaConfig>

/** The name of a preset. */
export type PresetName = keyof typeof presets
