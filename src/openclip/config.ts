// Converts OpenCLIP's settings of a CoCa to those of this package, and back. Settings that are unknown, or that this CoCa does
// not support, are errors that name the setting: to ignore one would build another model.

import { resolveCoCa } from '../models/config.ts'
import type { CoCaConfig } from '../models/index.ts'
import { ConfigError } from '../nn/index.ts'

/** The plain JSON of OpenCLIP's configuration files. */
export type OpenClipConfig = Readonly<Record<string, unknown>>

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Settings by name. Each is read once; those that remain at the end are unknown. */
class Settings {
  readonly #path: string
  readonly #values: Map<string, unknown>

  constructor(path: string, value: unknown) {
    if (!isRecord(value)) throw new ConfigError(path || 'the configuration', value, 'is not an object of settings')
    this.#path = path && `${path}.`
    // in OpenCLIP's files, null means that a setting is not given
    this.#values = new Map(Object.entries(value).filter(([, setting]) => setting !== null))
  }

  /** A group of settings. */
  group(name: string): Settings {
    return new Settings(this.#path + name, this.#take(name))
  }

  count(name: string, byDefault?: number): number {
    return this.#checked(name, byDefault, 'must be a whole number above 0', x => Number.isInteger(x) && x > 0)
  }

  /** One count, or one for each of two axes. */
  pair(name: string, byDefault: number): readonly number[] {
    const value = this.#values.get(name)
    if (!Array.isArray(value)) return [this.count(name, byDefault)]
    this.#take(name)
    if (value.length !== 2 || !value.every(x => Number.isInteger(x) && x > 0))
      throw this.refuse(name, value, 'must be a whole number above 0, or two')
    return value
  }

  positive(name: string, byDefault: number): number {
    return this.#checked(name, byDefault, 'must be a number above 0', x => x > 0)
  }

  flag(name: string, byDefault: boolean): boolean {
    const value = this.#take(name) ?? byDefault
    if (typeof value !== 'boolean') throw this.refuse(name, value, 'must be true or false')
    return value
  }

  /** Settings that must have one value if they are given. */
  only(reason: string, expected: Readonly<Record<string, unknown>>): void {
    for (const [name, value] of Object.entries(expected)) {
      const found = this.#take(name)
      if (found !== undefined && found !== value) throw this.refuse(name, found, reason)
    }
  }

  /** Settings without an effect. */
  ignore(...names: readonly string[]): void {
    for (const name of names) this.#take(name)
  }

  refuse(name: string, value: unknown, reason: string): ConfigError {
    return new ConfigError(this.#path + name, value, reason)
  }

  has(name: string): boolean {
    return this.#values.has(name)
  }

  end(): void {
    for (const [name, value] of this.#values) throw this.refuse(name, value, 'is not a known setting')
  }

  #checked(name: string, byDefault: number | undefined, reason: string, fits: (x: number) => boolean): number {
    const value = this.#take(name) ?? byDefault
    if (value === undefined) throw this.refuse(name, null, 'is missing')
    if (typeof value !== 'number' || !fits(value)) throw this.refuse(name, value, reason)
    return value
  }

  #take(name: string): unknown {
    const value = this.#values.get(name)
    this.#values.delete(name)
    return value
  }
}

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
  all.only('is not supported', { init_logit_bias: undefined, nonscalar_logit_scale: false, pad_id: 0 })

  const vision = all.group('vision_cfg')
  vision.only(OTHER_LAYERS, { timm_model_name: undefined, ls_init_value: undefined, patch_dropout: 0 })
  vision.only(OTHER_LAYERS, { pos_embed_type: 'learnable', pool_type: 'tok' })
  vision.only(NOT_A_COCA, { output_tokens: true })
  vision.ignore('final_ln_after_pool')
  // without a pooler, a CoCa of OpenCLIP has no image tokens; its cascade and parallel poolers do not run
  const pooled = vision.flag('attentional_pool', false)
  if (!pooled)
    throw vision.refuse('attentional_pool', pooled, 'must be true: without a pooler there are no image tokens')
  const width = vision.count('width', 768)
  const headWidth = vision.count('head_width', 64)
  if (width % headWidth !== 0) throw vision.refuse('head_width', headWidth, `does not divide the width ${width}`)
  const image = {
    size: square(vision, 'image_size', 224),
    patch: square(vision, 'patch_size', 16),
    width,
    layers: vision.count('layers', 12),
    heads: width / headWidth,
    hidden: Math.floor(width * vision.positive('mlp_ratio', 4)),
    inputNorm: !vision.flag('no_ln_pre', false),
    ...DIFFERENCES.image,
  }
  const queries = vision.count('attn_pooler_queries', 256) - 1
  if (queries < 1) throw vision.refuse('attn_pooler_queries', 1, 'must be 2 or more: the first is not for the decoder')
  const poolerHeads = vision.count('attn_pooler_heads', 8)
  vision.end()

  const text = all.group('text_cfg')
  text.only('text towers of Hugging Face are not supported', { hf_model_name: undefined })
  text.only(OTHER_LAYERS, { ls_init_value: undefined, no_causal_mask: false, proj_type: 'linear', proj_bias: false })
  text.only(OTHER_LAYERS, { pad_id: 0 })
  text.only(NOT_A_COCA, { output_tokens: true })
  text.ignore('hf_tokenizer_name', 'tokenizer_kwargs', 'hf_model_pretrained', 'pool_type', 'eos_id')
  if (!text.flag('embed_cls', false)) throw text.refuse('embed_cls', false, 'must be true: a CoCa has a [CLS] token')
  const mask = text.flag('correct_cls_mask', maskAbove ?? false)
  if (maskAbove !== undefined && mask !== maskAbove)
    throw text.refuse('correct_cls_mask', mask, `contradicts correct_cls_mask = ${maskAbove} of the model`)
  const textWidth = text.count('width', 512)
  if (textWidth !== embedding)
    throw text.refuse('width', textWidth, `must be embed_dim, ${embedding}: there is no projection between them`)
  const heads = text.count('heads', 8)
  const lower = {
    vocabulary: text.count('vocab_size', 49408),
    context: text.count('context_length', 77),
    width: textWidth,
    heads,
    hidden: Math.floor(textWidth * text.positive('mlp_ratio', 4)),
    unimodalLayers: text.count('layers', 12),
  }
  text.end()

  const upper = all.group('multimodal_cfg')
  upper.ignore('vocab_size', 'n_queries', 'attn_pooler_heads', 'mlp_ratio', 'dim_head', 'context_length')
  upper.ignore('output_tokens', 'embed_cls', 'pad_id', 'hf_tokenizer_name', 'tokenizer_kwargs')
  upper.only(OTHER_LAYERS, { ls_init_value: undefined })
  const upperWidth = upper.count('width', 512)
  if (upperWidth !== embedding)
    throw upper.refuse('width', upperWidth, `must be embed_dim, ${embedding}: there is no projection between them`)
  const multimodal = {
    heads: upper.count('heads', 8),
    hidden: 4 * upperWidth,
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
      ...DIFFERENCES.text,
      multimodal,
    },
    pooler: { queries, heads: poolerHeads, width: embedding, ...DIFFERENCES.pooler },
    embedding,
    activation: quick ? 'quickGelu' : 'gelu',
  }
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
  const { image, text, pooler, embedding, activation } = resolveCoCa(config, 'toOpenClipConfig(config)')
  const { vocabulary, context, width, heads, multimodal } = text
  const tower = { context_length: context, vocab_size: vocabulary, width, heads }
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
      attentional_pool: true,
      attn_pooler_queries: pooler.queries + 1,
      attn_pooler_heads: pooler.heads,
      output_tokens: true,
    },
    text_cfg: {
      ...tower,
      layers: text.unimodalLayers,
      mlp_ratio: ratio(text.hidden, width),
      embed_cls: true,
      output_tokens: true,
      // releases before 3.0 do not have this setting and use the other mask
      ...(text.padMask === 'unimodal' ? { correct_cls_mask: true } : {}),
    },
    multimodal_cfg: { ...tower, heads: multimodal.heads, layers: text.multimodalLayers },
    custom_text: true,
  }
  refuseDifference('', { image, text, pooler, embedding, activation }, fromOpenClipConfig(json))
  return json
}

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
