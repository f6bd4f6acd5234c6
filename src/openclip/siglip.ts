// The image towers of SigLIP (Zhai et al. 2023), which OpenCLIP takes from timm by name: sizes are those of timm's names.

import type { ResolvedVisionTransformer, VisionTransformerConfig } from '../models/index.ts'
import { ConfigError } from '../nn/index.ts'
import type { JsonSettings } from './settings.ts'
import { checkChannels } from './towers.ts'

/** width, layers, heads, hidden */
const SIZES = {
  base: [768, 12, 12, 3072],
  large: [1024, 24, 16, 4096],
  so400m: [1152, 27, 16, 4304],
  giantopt: [1536, 40, 16, 6144],
} as const

/** Patches and sides of the images of each tower; those with GELU by tanh apart, as in timm 1.0. */
const TOWERS: readonly (readonly [size: keyof typeof SIZES, patch: number, sides: readonly number[], tanh: boolean])[] =
  [
    ['base', 32, [256], true],
    ['base', 16, [224, 256, 384, 512], false],
    ['large', 16, [256, 384], false],
    ['large', 16, [512], true],
    ['so400m', 14, [224, 378, 384], false],
    ['so400m', 16, [256, 384, 512], true],
    ['giantopt', 16, [256, 384], true],
  ]

/** The settings of timm's towers by name. 384 pixels in patches of 14 leave 6 at the right and at the bottom. */
const towers = new Map(
  TOWERS.flatMap(([name, patch, sides, tanh]) =>
    sides.map((size): [string, VisionTransformerConfig] => {
      const [width, layers, heads, hidden] = SIZES[name]
      const crop = size % patch !== 0 && { cropToPatches: true }
      const activation = tanh ? 'geluTanh' : 'gelu'
      const common = {
        size,
        patch,
        width,
        layers,
        heads,
        hidden,
        outputNorm: true,
        normEpsilon: 1e-6,
        activation,
      } as const
      return [`vit_${name}_patch${patch}_siglip_${size}`, { ...common, ...crop }]
    }),
  ),
)

/** The image tower of `vision_cfg` with a `timm_model_name`, and whether its summaries are projected. */
export function timmImageOf(vision: JsonSettings) {
  const name = vision.oneOf('timm_model_name', ...([...towers.keys()] as [string, ...string[]]))
  const image = towers.get(name)!
  const size = vision.count('image_size', 224)
  if (size !== image.size) throw vision.refuse('image_size', size, `must be ${image.size}, that of ${name}`)
  vision.only('is not supported with a tower of timm: its MAP head gives the summary', { timm_pool: 'map' })
  const projection = vision.oneOf('timm_proj', 'linear', 'none')
  vision.only('is not supported: projections of images have no bias', { timm_proj_bias: false })
  // the others are for training, or belong to OpenCLIP's own towers
  vision.ignore('timm_model_pretrained', 'timm_drop', 'timm_drop_path', 'patch_dropout', 'layers', 'width')
  vision.ignore('head_width', 'patch_size', 'mlp_ratio')
  return { image, isProjected: projection === 'linear' }
}

/**
 * `vision_cfg` of a tower that timm has.
 * @throws ConfigError if timm has none of this size
 */
export function timmVisionSettings(image: ResolvedVisionTransformer, isProjected: boolean) {
  checkChannels(image)
  const { size, patch, width } = image
  const found = [...towers].find(([, own]) => own.size === size && own.patch === patch && own.width === width)
  if (!found)
    throw new ConfigError(
      'image',
      { size, patch, width },
      `is not the size of a tower of timm: ${[...towers.keys()].join(', ')}`,
    )
  return {
    image_size: size,
    timm_model_name: found[0],
    timm_model_pretrained: false,
    timm_pool: 'map',
    timm_proj: isProjected ? 'linear' : 'none',
  }
}
