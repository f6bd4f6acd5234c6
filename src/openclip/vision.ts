// Vision transformers of timm and of Hugging Face's transformers: their weights, by the names of their tensors, as the encoder of a
// model here. What can be computed by a plain vision transformer is folded into its weights: the factors of LayerScale into the
// projections before them, positions without one for the class token into positions with zeros for it. Of what cannot, a token for
// distillation is left out and named, and everything else is refused by its name: the encoder would compute something else.

import { stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { concat } from '../autograd/index.ts'
import { DataError, fileError, namesIn, openTensors, readJson, type TensorFile, wrapperOf } from '../io/index.ts'
import { VisionTransformer, type VisionTransformerConfig } from '../models/index.ts'
import { type Activation, ConfigError, Module, type Parameter, StateDictError, withoutAllocation } from '../nn/index.ts'
import { firstFew } from '../tensor/first-few.ts'
import { given } from '../tensor/given.ts'
import { type Shape, sameShape, type Tensor, zerosLike } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { patchGrid, type Size2d, sizeOfSides } from '../tensor/sides.ts'
import { weightReader } from './read-weights.ts'
import { isRecord, JsonSettings } from './settings.ts'

/** A vision transformer that cannot be read as an encoder: its message names the file, and the tensor or the setting. */
export class EncoderError extends DataError {}

/** The encoder of a model, on its own. */
export class PretrainedEncoder extends Module {
  /** the configuration of the encoder */
  readonly config: { readonly image: VisionTransformerConfig }
  /** images → tokens */
  readonly encoder: VisionTransformer

  constructor(config: { readonly image: VisionTransformerConfig }) {
    super()
    this.config = config
    this.encoder = new VisionTransformer(config.image)
  }

  /** images [batch, channels, height, width] → tokens [batch, tokens, width] */
  forward(...[images]: Parameters<VisionTransformer['forward']>) {
    return this.encoder.forward(images)
  }
}

/** The encoder of a checkpoint, without its weights. */
export interface EncoderSettings {
  /** the configuration of the encoder */
  readonly image: VisionTransformerConfig
  /** the normalisation of the pixels, where a file beside the weights says it */
  readonly normalize?: { readonly mean: readonly number[]; readonly std: readonly number[] }
  /** names of tensors that are not part of an encoder, such as those of a head for classes */
  readonly unused: readonly string[]
  /**
   * names of tensors that take part in what the vision transformer computes, and for which an encoder has no place: those of DeiT's
   * token for distillation. Without it the other tokens have other values
   */
  readonly dropped: readonly string[]
}

/** A vision transformer of timm or of Hugging Face, with its weights. */
export interface OpenedEncoder extends EncoderSettings {
  /** in evaluation mode, on the device that was current */
  readonly model: PretrainedEncoder
}

/** Whose names the tensors of a vision transformer have: timm's, or those of transformers' ViT, DINOv2 or CLIP. */
export type EncoderSource = 'timm' | 'vit' | 'dinov2' | 'clip'

/** The names of a library. # is the number of a layer; a row without a dot at its end is one tensor, the others have weight and bias. */
interface Names {
  readonly patches: string
  readonly classToken: string
  readonly positions: string
  /** a second token, after the class token, that is left out */
  readonly distillation?: string
  readonly inputNorm?: string
  readonly outputNorm: string
  readonly layer: string
  /** ours, and theirs within a layer; three of ours that are stacked are separated by commas */
  readonly inLayer: Readonly<Record<string, string>>
  /** factors of LayerScale, by our name of the projection whose outputs they multiply */
  readonly scales?: Readonly<Record<string, string>>
  /** what belongs to no encoder */
  readonly head: RegExp
}

const NAMES: Readonly<Record<EncoderSource, Names>> = {
  timm: {
    patches: 'patch_embed.proj',
    classToken: 'cls_token',
    positions: 'pos_embed',
    distillation: 'dist_token',
    inputNorm: 'norm_pre',
    outputNorm: 'norm',
    layer: 'blocks.#',
    inLayer: {
      attentionNorm: 'norm1',
      'attention.query,attention.key,attention.value': 'attn.qkv',
      'attention.output': 'attn.proj',
      mlpNorm: 'norm2',
      'mlp.up': 'mlp.fc1',
      'mlp.down': 'mlp.fc2',
    },
    scales: { 'attention.output': 'ls1.gamma', 'mlp.down': 'ls2.gamma' },
    // mask_token, in the files of DINOv2's authors, replaces patches in training only
    head: /^((head|head_dist|fc_norm|pre_logits|attn_pool)\.|mask_token$)/,
  },
  vit: {
    patches: 'embeddings.patch_embeddings.projection',
    classToken: 'embeddings.cls_token',
    positions: 'embeddings.position_embeddings',
    distillation: 'embeddings.distillation_token',
    outputNorm: 'layernorm',
    layer: 'encoder.layer.#',
    inLayer: {
      attentionNorm: 'layernorm_before',
      'attention.query': 'attention.attention.query',
      'attention.key': 'attention.attention.key',
      'attention.value': 'attention.attention.value',
      'attention.output': 'attention.output.dense',
      mlpNorm: 'layernorm_after',
      'mlp.up': 'intermediate.dense',
      'mlp.down': 'output.dense',
    },
    head: /^(pooler\.|classifier\.|decoder\.|embeddings\.mask_token$)/,
  },
  dinov2: {
    patches: 'embeddings.patch_embeddings.projection',
    classToken: 'embeddings.cls_token',
    positions: 'embeddings.position_embeddings',
    outputNorm: 'layernorm',
    layer: 'encoder.layer.#',
    inLayer: {
      attentionNorm: 'norm1',
      'attention.query': 'attention.attention.query',
      'attention.key': 'attention.attention.key',
      'attention.value': 'attention.attention.value',
      'attention.output': 'attention.output.dense',
      mlpNorm: 'norm2',
      'mlp.up': 'mlp.fc1',
      'mlp.down': 'mlp.fc2',
    },
    scales: { 'attention.output': 'layer_scale1.lambda1', 'mlp.down': 'layer_scale2.lambda1' },
    head: /^(classifier\.|embeddings\.mask_token$)/,
  },
  clip: {
    patches: 'embeddings.patch_embedding',
    classToken: 'embeddings.class_embedding',
    positions: 'embeddings.position_embedding.weight',
    // as it is spelled there
    inputNorm: 'pre_layrnorm',
    outputNorm: 'post_layernorm',
    layer: 'encoder.layers.#',
    inLayer: {
      attentionNorm: 'layer_norm1',
      'attention.query': 'self_attn.q_proj',
      'attention.key': 'self_attn.k_proj',
      'attention.value': 'self_attn.v_proj',
      'attention.output': 'self_attn.out_proj',
      mlpNorm: 'layer_norm2',
      'mlp.up': 'mlp.fc1',
      'mlp.down': 'mlp.fc2',
    },
    // position_ids counts from 0; head is SigLIP's pooler
    head: /^(head\.|visual_projection\.|embeddings\.position_ids$)/,
  },
}

/** Tensors of layers that are not built here, and the settings of theirs that make them. */
const EXTRAS: readonly (readonly [RegExp, string])[] = [
  [/\.(ls[12]\.gamma|layer_scale[12]\.lambda1|lambda_[12]|gamma_[12])$/, 'layer scale of another kind'],
  [/(^|\.)(reg_token|register_tokens)$/, 'register tokens (reg_tokens)'],
  [/(^|\.)(dist_token|distillation_token)$/, 'a distillation token without a class token'],
  [/\.mlp\.(w\d+|weights_(in|out)|fc1_[gx])\./, 'gated feed-forward layers (SwiGLU)'],
  [/\.[qk]_norm\./, 'a norm on queries and keys (qk_norm)'],
  [/(relative_position|rel_pos|rope)/, 'relative positions'],
  [/\.attns\.|\.ffns\./, 'parallel layers'],
]

interface Row {
  readonly theirs: string
  /** parameters whose values follow each other in the tensor */
  readonly ours: readonly string[]
  /** a tensor with a factor for each row of this one, or for each value of a bias */
  readonly scale?: string
}

/** A checkpoint whose names were recognised. */
interface Found {
  readonly source: EncoderSource
  readonly file: TensorFile
  readonly folder: string
  readonly beside: readonly string[]
  /** what stands before each name of the encoder */
  readonly prefix: string
}

const WEIGHTS = ['model.safetensors', 'pytorch_model.bin'].flatMap(name => [name, `${name}.index.json`])

/** Files of OpenCLIP's own checkpoints, which are read as such. */
const OPENCLIP = ['open_clip_config.json']

/**
 * Finds whose vision transformer a folder or a file of weights is, by the names of its tensors.
 * @returns undefined if it is not one of timm or Hugging Face
 */
export async function encoderSourceOf(path: string): Promise<EncoderSource | undefined> {
  return (await find(path))?.source
}

async function find(path: string): Promise<Found | undefined> {
  let isFolder: boolean
  try {
    isFolder = (await stat(path)).isDirectory()
  } catch (error) {
    throw fileError(path, error)
  }
  const folder = isFolder ? path : dirname(path)
  const beside = await namesIn(folder)
  if (isFolder && OPENCLIP.some(name => beside.includes(name))) return undefined
  const weights = isFolder ? WEIGHTS.find(name => beside.includes(name)) : path
  if (weights === undefined) return undefined
  const file = await openTensors(isFolder ? join(path, weights) : path)
  const wrapper = wrapperOf(file.names)
  const given = new Set(file.names)
  const candidates = (Object.keys(NAMES) as EncoderSource[]).flatMap((source): Found[] => {
    const first = `${NAMES[source].patches}.weight`
    const name = file.names.find(name => name.startsWith(wrapper) && name.endsWith(first))
    const prefix = name?.slice(0, -first.length)
    // the image tower of a larger model has a name of several parts
    const isOne = prefix !== undefined && /^(\w+\.)?$/.test(prefix.slice(wrapper.length))
    return isOne ? [{ source, file, folder, beside, prefix }] : []
  })
  // two libraries name patches alike, and not the layers
  const hasLayers = ({ source, prefix }: Found) => {
    const { layer, inLayer } = NAMES[source]
    return given.has(`${prefix}${layer.replace('#', '0')}.${inLayer.attentionNorm}.weight`)
  }
  return candidates.find(hasLayers) ?? candidates[0]
}

/**
 * Reads the settings of a vision transformer of timm or of Hugging Face's transformers: sizes from the shapes of its tensors, and
 * the number of heads, the activation and ε from config.json beside them.
 * @throws EncoderError naming the tensor or the setting that is missing, or not supported
 */
export async function readEncoderSettings(path: string): Promise<EncoderSettings> {
  const { rows: _, file: __, firstPatch: ___, ...settings } = await read(path)
  return settings
}

/**
 * Opens a vision transformer of timm or of Hugging Face's transformers (ViT, DeiT, DINOv2, the image towers of CLIP and SigLIP): a
 * folder with config.json and model.safetensors or pytorch_model.bin, whole or in parts with an index, or a file of weights with
 * config.json beside it. Its head is left out, and DeiT's token for distillation, which `dropped` names. LayerScale is folded into
 * the projections before it: diag(γ)(Wx + b) = (diag(γ)W)x + γb.
 *
 *     const { model } = await openEncoder('vit_base_patch16_224')
 *     model.forward(images)        // [batch, tokens, width], after the last norm
 *
 * Weights are read from their file when they are first needed, so the file must stay there unchanged.
 * @throws EncoderError naming the tensor or the setting that is missing, or not supported; DataError if a file is damaged; when weights
 *   are read, NonFiniteWeightsError naming all with values that are not finite, and DataError if the file has changed
 */
export async function openEncoder(path: string): Promise<OpenedEncoder> {
  const { rows, file, firstPatch, ...settings } = await read(path)
  const { image } = settings
  const model = withoutAllocation(() => new PretrainedEncoder({ image }))
  const parameters = new Map<string, Parameter>(model.encoder.namedParameters())
  checkShapes(file, rows, model, firstPatch)
  const weight = weightReader(
    file,
    rows.flatMap(({ theirs, scale }) => (scale === undefined ? theirs : [theirs, scale])),
  )
  for (const { theirs, ours, scale } of rows) {
    const count = file.entry(theirs).shape[0] / ours.length
    for (const [i, name] of ours.entries()) {
      const parameter = parameters.get(name)!
      const { shape } = parameter
      const value = (): Tensor => {
        if (name === 'positions')
          return positionsOf(weight(theirs, file.entry(theirs).shape.slice(-2)), shape, firstPatch)
        const part = weight(theirs, shape, ours.length === 1 ? undefined : { first: i * count, count })
        // a factor for each row
        return scale === undefined ? part : part.mul(weight(scale, [shape[0], ...shape.slice(1).map(() => 1)]))
      }
      parameter.assignLater(value)
    }
  }
  model.eval()
  return { model, ...settings }
}

/**
 * The positions of an encoder: the first row of theirs for the class token, or zeros where they have none for it, and those of the
 * patches. What is between them belongs to a token that is left out.
 */
function positionsOf(theirs: Tensor, [tokens]: Shape, firstPatch: number): Tensor {
  const patches = theirs.slice([{ start: firstPatch }])
  if (patches.shape[0] === tokens) return patches
  const first = theirs.slice([{ stop: 1 }])
  return concat([firstPatch > 0 ? first : zerosLike(first), patches])
}

interface ReadEncoder extends EncoderSettings {
  readonly rows: readonly Row[]
  readonly file: TensorFile
  /** the row of their positions that belongs to the first patch */
  readonly firstPatch: number
}

async function read(path: string): Promise<ReadEncoder> {
  const found = await find(path)
  if (!found)
    throw new EncoderError(
      `is not a vision transformer of timm or of Hugging Face: it has none of ${[...new Set(Object.values(NAMES).map(({ patches }) => `${patches}.weight`))].join(', ')}`,
      { file: path },
    )
  const { file, prefix, source } = found
  const rows = rowsOf(found)
  const given = new Set(file.names)
  const known = new Set(rows.flatMap(({ theirs, scale }) => (scale === undefined ? theirs : [theirs, scale])))
  const dropped = droppedOf(found)
  const unused = file.names.filter(name => !known.has(name) && !dropped.includes(name))
  // outside of the prefix are heads
  const strange = unused.filter(name => name.startsWith(prefix) && !NAMES[source].head.test(name.slice(prefix.length)))
  const missing = [...known].filter(name => !given.has(name))
  const reason = refusal(strange, missing) ?? gatedReason(file, rows)
  if (reason !== undefined) throw new EncoderError(reason, { file: file.path })
  const { image, normalize, firstPatch } = await settingsOf(found, rows)
  return { image, ...(normalize && { normalize }), unused, dropped, rows, file, firstPatch }
}

/** The tensors that are left out although they take part in what is computed. */
function droppedOf({ source, file, prefix }: Found): string[] {
  const { classToken, distillation } = NAMES[source]
  const has = (name: string) => file.names.includes(prefix + name)
  return distillation !== undefined && has(classToken) && has(distillation) ? [prefix + distillation] : []
}

/** The tensors of the encoder, and the parameters that they hold. */
function rowsOf({ source, file, prefix }: Found): Row[] {
  const names = NAMES[source]
  const given = new Set(file.names)
  const rows: Row[] = []
  const add = (theirs: string, ours: readonly string[], scale?: string) =>
    rows.push({ theirs: prefix + theirs, ours, ...(scale !== undefined && has(scale) && { scale: prefix + scale }) })
  const has = (name: string) => given.has(prefix + name)
  const both = (theirs: string, ours: readonly string[], scale?: string) => {
    for (const field of ['weight', 'bias'])
      add(
        `${theirs}.${field}`,
        ours.map(name => `${name}.${field}`),
        scale,
      )
  }
  // of a norm of another kind one of the two is missing, which is an error
  const norm = (theirs: string, ours: string) => {
    if (has(`${theirs}.weight`) || has(`${theirs}.bias`)) both(theirs, [ours])
  }
  add(`${names.patches}.weight`, ['patches.projection.weight'])
  if (has(`${names.patches}.bias`)) add(`${names.patches}.bias`, ['patches.projection.bias'])
  if (has(names.classToken)) add(names.classToken, ['classToken'])
  add(names.positions, ['positions'])
  if (names.inputNorm !== undefined) norm(names.inputNorm, 'inputNorm')
  const [list] = names.layer.split('#')
  const layers = new Set(
    file.names
      .filter(name => name.startsWith(prefix + list))
      .map(name => name.slice((prefix + list).length).split('.')[0]),
  )
  for (let i = 0; layers.has(String(i)); i++)
    for (const [ours, theirs] of Object.entries(names.inLayer))
      both(
        `${list}${i}.${theirs}`,
        ours.split(',').map(name => `blocks.${i}.${name}`),
        names.scales?.[ours] && `${list}${i}.${names.scales[ours]}`,
      )
  norm(names.outputNorm, 'outputNorm')
  return rows
}

/**
 * Why tensors do not make a plain vision transformer, if they do not.
 * @param strange names that are known to belong neither to one nor to a head
 */
function refusal(strange: readonly string[], missing: readonly string[]): string | undefined {
  for (const [pattern, what] of EXTRAS) {
    const name = strange.find(name => pattern.test(name))
    if (name !== undefined) return `has ${what}, in the tensor '${name}': an encoder here has none`
  }
  if (missing.some(name => /(qkv|query|key|value)\.bias$/.test(name)))
    return `has no ${firstFew(missing)}: qkv_bias = false is not supported, queries, keys and values have a bias here`
  if (missing.length > 0) return `has no ${firstFew(missing)}, so it is not a plain vision transformer with layer norms`
  if (strange.length > 0) return `has ${firstFew(strange)}: a plain vision transformer has no such tensor`
  return undefined
}

/** Why feed-forward layers are gated, if they are: timm stacks the two halves of SwiGLU under the name of one layer. */
function gatedReason(file: TensorFile, rows: readonly Row[]): string | undefined {
  const find = (ending: string) => rows.find(({ ours }) => ours[0].endsWith(ending))?.theirs
  const [up, down] = [find('.mlp.up.weight'), find('.mlp.down.weight')]
  if (up === undefined || down === undefined) return undefined
  const [rowsOfUp, columnsOfDown] = [file.entry(up).shape[0], file.entry(down).shape[1]]
  if (rowsOfUp !== 2 * columnsOfDown) return undefined
  return `has gated feed-forward layers (SwiGLU): '${up}' makes ${rowsOfUp} values and '${down}' takes ${columnsOfDown}; an encoder here has none`
}

/** @throws EncoderError naming tensors of another shape, or not of a floating dtype */
function checkShapes(file: TensorFile, rows: readonly Row[], { encoder }: PretrainedEncoder, firstPatch: number): void {
  const parameters = new Map<string, Parameter>(encoder.namedParameters())
  const { channels, patchSize } = encoder.patches
  const mismatched = rows.flatMap(({ theirs, ours, scale }) => {
    const [first, ...others] = parameters.get(ours[0])!.shape
    const expected =
      ours[0] === 'classToken'
        ? [first]
        : ours[0] === 'positions'
          ? [firstPatch + encoder.patches.patches, ...others]
          : ours[0] === 'patches.projection.weight'
            ? [first, channels, ...patchSize]
            : [ours.length * first, ...others]
    return [{ name: theirs, expected }, ...(scale === undefined ? [] : [{ name: scale, expected: [first] }])].flatMap(
      ({ name, expected }) => {
        const { shape: found, dtype } = file.entry(name)
        if (!/^B?F\d+$/.test(dtype))
          throw new EncoderError(`tensor '${name}' is ${dtype}, not of a floating dtype`, { file: file.path })
        // all libraries but one have axes of 1 before tokens
        const leading = ['classToken', 'positions'].includes(ours[0]) ? found.length - expected.length : 0
        const padded = [...Array.from({ length: Math.min(2, Math.max(0, leading)) }, () => 1), ...expected]
        return sameShape(padded, found) ? [] : [{ name, expected: padded, found }]
      },
    )
  })
  if (mismatched.length > 0) throw new EncoderError(new StateDictError([], [], mismatched).message, { file: file.path })
}

/** The settings of the encoder. @throws EncoderError naming what is missing, or not supported */
async function settingsOf(
  { source, file, prefix, folder, beside }: Found,
  rows: readonly Row[],
): Promise<Pick<ReadEncoder, 'image' | 'normalize' | 'firstPatch'>> {
  const names = NAMES[source]
  const refuse = (reason: string) => new EncoderError(reason, { file: file.path })
  const shapeOf = (name: string) => file.entry(prefix + name).shape
  const has = (name: string) => file.names.includes(prefix + name)
  const [width, channels, patchHeight, patchWidth] = shapeOf(`${names.patches}.weight`)
  const classToken = has(names.classToken)
  const count = shapeOf(names.positions).at(-2) ?? 0
  // of the class token, and of one for distillation
  const others = (classToken ? 1 : 0) + (names.distillation !== undefined && has(names.distillation) ? 1 : 0)
  const ups = rows.filter(({ ours }) => ours[0].endsWith('.mlp.up.weight'))
  if (ups.length === 0) throw refuse(`has no layers: there is no ${prefix}${names.layer.replace('#', '0')}`)
  if (!beside.includes('config.json')) {
    const what =
      source === 'timm'
        ? 'write one with the name of its architecture, such as {"architecture": "vit_base_patch16_224"}'
        : 'it has num_attention_heads, hidden_act and layer_norm_eps'
    throw refuse(
      `has no config.json beside it: ${what}. The weights do not say the number of heads, the activation and ε`,
    )
  }
  const config = join(folder, 'config.json')
  const json = await readJson(config)
  const patch = [patchHeight, patchWidth] as const
  const written = sizeIn(json)
  // the weights do not say the shape of the grid: that of the configuration, if it has as many patches, or a square
  const gridOf = (patches: number): readonly [number, number] | undefined => {
    const grid = written && patchGrid(written, patch)
    if (grid && grid[0] * grid[1] === patches) return grid
    const side = Math.sqrt(patches)
    return Number.isInteger(side) ? [side, side] : undefined
  }
  // with no_embed_class only patches have positions
  const firstPatch = [others, 0].find(first => count > first && gridOf(count - first))
  const grid = firstPatch === undefined ? undefined : gridOf(count - firstPatch)
  if (firstPatch === undefined || grid === undefined)
    throw refuse(
      `has ${count} positions, which are not those of a square of patches${written ? `, nor of images of ${given(written)} pixels, as ${config} says` : ''}${others > 0 ? `, with or without ${others} for tokens before them` : ''}`,
    )
  try {
    const unseen = source === 'timm' ? ofTimm(json) : ofTransformers(json, source)
    if (width % unseen.heads !== 0)
      throw new ConfigError('heads', unseen.heads, `does not divide the width ${width} of the weights`)
    const preprocessor = source === 'timm' || !beside.includes('preprocessor_config.json')
    const normalize = preprocessor
      ? normalisation(isRecord(json) ? json.pretrained_cfg : undefined, 'mean', 'std', channels)
      : normalisation(await readJson(join(folder, 'preprocessor_config.json')), 'image_mean', 'image_std', channels)
    const image = {
      size: sizeOfSides([grid[0] * patchHeight, grid[1] * patchWidth]),
      patch: sizeOfSides(patch),
      ...(channels !== 3 && { channels }),
      width,
      layers: ups.length,
      ...unseen,
      hidden: file.entry(ups[0].theirs).shape[0],
      classToken,
      inputNorm: names.inputNorm !== undefined && has(`${names.inputNorm}.weight`),
      outputNorm: has(`${names.outputNorm}.weight`),
      patchBias: has(`${names.patches}.bias`),
    }
    return { image, ...(normalize && { normalize }), firstPatch }
  } catch (error) {
    throw error instanceof ConfigError ? new EncoderError(error.message, { file: config, cause: error }) : error
  }
}

/** Height and width of the images that a configuration names, of timm or of Hugging Face; undefined if it names none. */
function sizeIn(json: unknown): Size2d | undefined {
  if (!isRecord(json)) return undefined
  const { model_args: args, pretrained_cfg: cfg, vision_config: inside, image_size: own } = json
  const input = isRecord(cfg) && Array.isArray(cfg.input_size) ? cfg.input_size.slice(1) : undefined
  const given = [
    isRecord(args) ? args.img_size : undefined,
    input,
    isRecord(inside) ? inside.image_size : undefined,
    own,
  ]
  return given.find(size => is.size2d.fits(size)) as Size2d | undefined
}

/** The mean and the standard deviation of pixels in 0 … 1, if both are given, and given for three channels where there are three. */
function normalisation(json: unknown, mean: string, std: string, channels: number): EncoderSettings['normalize'] {
  // of images with other channels, timm's configurations keep the three numbers of the pretrained model
  if (!isRecord(json) || json[mean] === undefined || json[std] === undefined || channels !== 3) return undefined
  if (json.do_normalize === false) return { mean: [0, 0, 0], std: [1, 1, 1] }
  const settings = new JsonSettings('', { [mean]: json[mean], [std]: json[std] })
  return { mean: settings.triple(mean, [], () => true), std: settings.triple(std, [], x => x > 0) }
}

/** What the weights do not say. */
interface Unseen {
  readonly heads: number
  readonly normEpsilon: number
  readonly activation: Activation
}

/** timm's names of plain vision transformers; what else their names may contain adds layers that are not built here. */
const TIMM =
  /^vit_(tiny|xsmall|small|medium|base|betwixt|large|huge|giant|giantopt|gigantic|so400m|intern300m)_patch\d+(_plus)?(_clip|_siglip)?(_quickgelu)?(_gap)?_\d+(_miil)?$/

/** Those of DeiT and of DINOv2, which timm builds of the same layers. */
const TIMM_RELATIVES = [
  /^deit3?_(tiny|small|medium|base|large|huge)(?:_distilled)?_patch\d+_\d+$/,
  /^vit_(small|base|large|giant)_patch\d+(?:_reg\d+)?_dinov2$/,
]

/** Heads by the size in timm's name; 16 for all larger ones. */
const HEADS: Readonly<Record<string, number>> = { tiny: 3, xsmall: 4, small: 6, medium: 8, base: 12, betwixt: 10 }

/** The settings of timm's model by its name, with the `model_args` that it was made with. */
export function ofTimm(json: unknown): Unseen {
  const { architecture: given, model_args: options } = isRecord(json) ? json : {}
  const architecture = typeof given === 'string' ? given.replace(/\..*$/, '') : given
  const patterns = [TIMM, ...TIMM_RELATIVES]
  const parts = typeof architecture === 'string' ? patterns.map(each => each.exec(architecture)).find(Boolean) : null
  if (!parts)
    throw new ConfigError(
      'architecture',
      architecture ?? null,
      'is not the name of a plain vision transformer of timm, such as vit_base_patch16_224, deit_base_patch16_224 or vit_base_patch14_dinov2',
    )
  const [name, size, plus, kind, quick] = parts
  const args = new JsonSettings('model_args', options ?? {})
  // the tensors show these, or they are for training
  args.ignore('img_size', 'patch_size', 'in_chans', 'num_classes', 'global_pool', 'embed_dim', 'depth', 'mlp_ratio')
  args.ignore('qkv_bias', 'qk_norm', 'proj_bias', 'init_values', 'class_token', 'no_embed_class', 'reg_tokens')
  args.ignore('pre_norm', 'final_norm', 'fc_norm', 'pos_embed', 'dynamic_img_size', 'dynamic_img_pad', 'drop_rate')
  args.ignore('pos_drop_rate', 'patch_drop_rate', 'proj_drop_rate', 'attn_drop_rate', 'drop_path_rate')
  args.ignore('weight_init', 'fix_init')
  const usual = name === 'vit_base_patch16_gap_224' ? 16 : plus ? 14 : (HEADS[size] ?? 16)
  const heads = args.count('num_heads', usual)
  const isTanh = kind === '_siglip' && /base_patch32|giantopt|large_patch16.*_512|so400m_patch16/.test(name)
  const activation = args.has('act_layer')
    ? activationOf(args, 'act_layer', args.oneOf('act_layer', 'gelu', ...Object.keys(ACTIVATIONS)))
    : quick
      ? 'quickGelu'
      : isTanh
        ? 'geluTanh'
        : 'gelu'
  args.end()
  return { heads, normEpsilon: kind === '_clip' ? 1e-5 : 1e-6, activation }
}

/** The names of activations in both libraries. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  gelu: 'gelu',
  gelu_tanh: 'geluTanh',
  gelu_new: 'geluTanh',
  gelu_pytorch_tanh: 'geluTanh',
  quick_gelu: 'quickGelu',
  quickgelu: 'quickGelu',
  relu: 'relu',
  silu: 'silu',
  swish: 'silu',
}

function activationOf(settings: JsonSettings, name: string, value: string): Activation {
  const found = Object.hasOwn(ACTIVATIONS, value) ? ACTIVATIONS[value] : undefined
  if (found === undefined)
    throw settings.refuse(
      name,
      value,
      `must be one of ${Object.keys(ACTIVATIONS).join(', ')}: others are not built here`,
    )
  return found
}

/** A kind of models in config.json, and what its library takes for what a configuration leaves out. */
interface Kind {
  readonly epsilon: number
  readonly heads?: number
  readonly activation?: Activation
  /** the setting that holds those of the image tower */
  readonly inside?: string
}

const CLIP: Kind = { epsilon: 1e-5, heads: 12, activation: 'quickGelu' }
const SIGLIP: Kind = { epsilon: 1e-6, heads: 12, activation: 'geluTanh' }

/** The kinds of models whose encoder is a plain vision transformer, by the names of their tensors. */
const KINDS: Readonly<Record<Exclude<EncoderSource, 'timm'>, ReadonlyMap<unknown, Kind>>> = {
  vit: new Map([
    ['vit', { epsilon: 1e-12 }],
    ['vit_mae', { epsilon: 1e-12 }],
    ['vit_msn', { epsilon: 1e-6 }],
    ['deit', { epsilon: 1e-12 }],
  ]),
  dinov2: new Map([['dinov2', { epsilon: 1e-6 }]]),
  clip: new Map([
    ['clip', { ...CLIP, inside: 'vision_config' }],
    ['clip_vision_model', CLIP],
    ['siglip', { ...SIGLIP, inside: 'vision_config' }],
    ['siglip_vision_model', SIGLIP],
  ]),
}

/** The settings in Hugging Face's config.json. */
function ofTransformers(json: unknown, source: keyof typeof KINDS): Unseen {
  const { model_type, ...record } = isRecord(json) ? json : {}
  const kind = KINDS[source].get(model_type)
  if (kind === undefined)
    throw new ConfigError(
      'model_type',
      model_type ?? null,
      `must be one of ${[...KINDS[source].keys()].join(', ')}: others are not read here`,
    )
  const { inside, epsilon, heads } = kind
  const own = inside === undefined ? record : (record[inside] ?? {})
  const { hidden_act, num_attention_heads, layer_norm_eps } = isRecord(own) ? own : {}
  const settings = new JsonSettings(inside ?? '', { num_attention_heads, layer_norm_eps })
  const named = typeof hidden_act === 'string' ? hidden_act : String(hidden_act)
  return {
    heads: settings.count('num_attention_heads', heads),
    normEpsilon: settings.positive('layer_norm_eps', epsilon),
    activation: (hidden_act === undefined && kind.activation) || activationOf(settings, 'hidden_act', named),
  }
}
