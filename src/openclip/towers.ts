// The settings of OpenCLIP's towers that a CoCa and a CLIP share: layers, norms, activations and sizes, read and written.

import { NORM_EPSILON } from '../models/config.ts'
import type { ResolvedVisionTransformer, VisionTransformerConfig } from '../models/index.ts'
import { ConfigError } from '../nn/index.ts'
import { patchProblem } from '../tensor/sides.ts'
import { isRecord, type JsonSettings } from './settings.ts'

/** The settings of the image tower that a CoCa and a CLIP share, except the pooler. */
export function imageOf(vision: JsonSettings, quick: boolean): VisionTransformerConfig {
  vision.only(OTHER_LAYERS, { timm_model_name: undefined })
  // fixed positions are in the checkpoint like learned ones; dropout of patches is for training; the others belong to other towers
  vision.oneOf('pos_embed_type', 'learnable', 'sin_cos_2d')
  vision.ignore('patch_dropout', 'timm_model_pretrained', 'timm_pool', 'timm_proj', 'timm_proj_bias', 'timm_drop')
  vision.ignore('timm_drop_path')
  const width = vision.count('width', 768)
  const [size, patch] = [vision.size('image_size', 224), vision.size('patch_size', 16)]
  const layers = vision.count('layers', 12)
  const heads = headsOf(vision, width)
  const inputNorm = !vision.flag('no_ln_pre', false)
  const { hidden, ...others } = block(vision, width, quick)
  const crop = patchProblem(size, patch, false) !== undefined && { cropToPatches: true }
  const common = { size, patch, width, layers, heads, hidden, inputNorm, classToken: true, patchBias: false }
  return { ...common, ...crop, ...blockSettings(others) }
}

/** Settings of the image tower as OpenCLIP writes them, except the pooler. @throws ConfigError for other than three channels */
export function visionSettings(image: ResolvedVisionTransformer) {
  checkChannels(image)
  return {
    image_size: image.size,
    layers: image.layers,
    width: image.width,
    head_width: image.width / image.heads,
    patch_size: image.patch,
    mlp_ratio: ratio(image.hidden, image.width),
    no_ln_pre: !image.inputNorm,
    ...blockOptions(image),
  }
}

/** @throws ConfigError for images that OpenCLIP does not have */
export function checkChannels({ channels }: ResolvedVisionTransformer): void {
  if (channels !== 3)
    throw new ConfigError('image.channels', channels, 'must be 3: the images of OpenCLIP are red, green and blue')
}

/** The reason why layers that are not built here are refused. */
export const OTHER_LAYERS = 'layers of this kind are not supported'

/** Options of a tower's attention that add layers. All are off in OpenCLIP's own configurations. */
export const PLAIN_ATTENTION = {
  qk_norm: false,
  scaled_cosine_attn: false,
  scale_heads: false,
  scale_attn_inner: false,
  scale_attn: false,
  scale_fc: false,
} as const

/** The part of both towers that is the same: feed-forward layers, norms and activation. */
export function block(tower: JsonSettings, width: number, quick: boolean) {
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

function epsilonOf(options: JsonSettings): number {
  const epsilon = options.positive('eps', NORM_EPSILON)
  options.end()
  return epsilon
}

/** Settings of tokenizers, which are read from their own files. */
export const TOKENIZER = ['hf_tokenizer_name', 'tokenizer_mode', 'tokenizer_kwargs'] as const

/** Settings of a tower's blocks, without those that have the default. */
export const blockSettings = ({
  normEpsilon,
  activation,
}: {
  readonly normEpsilon: number
  readonly activation: 'geluTanh' | undefined
}) => ({ ...(normEpsilon !== NORM_EPSILON && { normEpsilon }), ...(activation && { activation }) })

/** The number of heads: as many as fit into the width, as in OpenCLIP. */
function headsOf(vision: JsonSettings, width: number): number {
  const headWidth = vision.count('head_width', 64)
  const heads = Math.floor(width / headWidth)
  if (heads === 0 || width % heads !== 0)
    throw vision.refuse('head_width', headWidth, `gives ${heads} heads, which do not divide the width ${width}`)
  return heads
}

/** norm_kwargs and act_kwargs, where they are not the default. */
export const blockOptions = ({
  normEpsilon,
  activation,
}: {
  readonly normEpsilon: number
  readonly activation?: string
}) => ({
  ...(normEpsilon !== NORM_EPSILON && { norm_kwargs: { eps: normEpsilon } }),
  ...(activation === 'geluTanh' && { act_kwargs: { approximate: 'tanh' } }),
})

/** mlp_ratio, which OpenCLIP multiplies by the width and rounds down. */
export function ratio(hidden: number, width: number): number {
  const exact = hidden / width
  return Math.floor(exact * width) === hidden ? exact : (hidden + 0.5) / width
}

/** Throws for a setting that is read back with another value. */
export function refuseDifference(path: string, own: unknown, read: unknown): void {
  if (isRecord(own) && isRecord(read)) {
    for (const name of new Set([...Object.keys(own), ...Object.keys(read)]))
      refuseDifference(path ? `${path}.${name}` : name, own[name], read[name])
  } else if (JSON.stringify(own) !== JSON.stringify(read))
    throw new ConfigError(path, own ?? null, `OpenCLIP has no such setting; its models have ${JSON.stringify(read)}`)
}
