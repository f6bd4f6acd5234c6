// The table of OpenCLIP's tensors and the parameters of this package that they hold. Other differences between the models are
// settings (config.ts); tensors differ only in their names and in whether weights are transposed or joined.

import { concat } from '../autograd/index.ts'
import type { RowRange } from '../io/browser.ts'
import { type CoCa, DualEncoder } from '../models/index.ts'

import { LatentPooler, Module, MultiHeadAttention, Parameter, type StateDict } from '../nn/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import type { Shape, Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'

/** How an OpenCLIP tensor is made of parameters: equal, transposed, [out, in] with `in` split into axes, stacked along rows, or with a first axis of length 1. */
type Form = 'same' | 'transposed' | 'kernel' | 'stacked' | 'one'

const isModel = is.instance('a CoCa or a DualEncoder', Module)

/** A tensor of an OpenCLIP checkpoint. */
export interface OpenClipTensor {
  /** in OpenCLIP's checkpoint */
  readonly name: string
  /** in OpenCLIP's checkpoint */
  readonly shape: Shape
  /** paths of the parameters that it holds */
  readonly parameters: readonly string[]
  /** how the tensor holds them */
  readonly form: Form
}

/** Several of ours are layers whose weights, and whose biases, are stacked. */
type Row = readonly [theirs: string, ours: string | readonly string[], form?: Form]

const under = (theirs: string, ours: string, rows: readonly Row[]): Row[] =>
  rows.map(([a, b, form]) => {
    const inner = typeof b === 'string' ? `${ours}.${b}` : b.map(part => `${ours}.${part}`)
    return [`${theirs}.${a}`, inner, form]
  })

const mlp = (norm: string, layer: string): Row[] => [
  ['ln_2', norm],
  ['mlp.c_fc', `${layer}.up`],
  ['mlp.c_proj', `${layer}.down`],
]
const self: readonly Row[] = [
  ['ln_1', 'attentionNorm'],
  ['attn', 'attention'],
]
const block: readonly Row[] = [...self, ...mlp('mlpNorm', 'mlp')]
const cross: readonly Row[] = [
  ['ln_1', 'crossNorm'],
  ['ln_1_kv', 'memoryNorm'],
  ['attn', 'crossAttention'],
  ...mlp('mlpNorm', 'mlp'),
]

const scale: readonly Row[] = [
  ['logit_scale', 'logScale'],
  ['logit_bias', 'logitBias'],
]

/** The vision transformer of timm with a MAP head. */
const TIMM: readonly Row[] = [
  ['pos_embed', 'encoder.positions', 'one'],
  ['patch_embed.proj.weight', 'encoder.patches.projection.weight', 'kernel'],
  ['patch_embed.proj.bias', 'encoder.patches.projection.bias'],
  ...under('blocks.#', 'encoder.blocks.#', [
    ['norm1', 'attentionNorm'],
    ['attn.qkv', ['attention.query', 'attention.key', 'attention.value']],
    ['attn.proj', 'attention.output'],
    ['norm2', 'mlpNorm'],
    ['mlp.fc1', 'mlp.up'],
    ['mlp.fc2', 'mlp.down'],
  ]),
  ['norm', 'encoder.outputNorm'],
  ...under('attn_pool', 'pooler', [
    ['latent', 'query', 'one'],
    ['q', 'attention.query'],
    ['kv', ['attention.key', 'attention.value']],
    ['proj', 'attention.output'],
    ['norm', 'norm'],
    ['mlp.fc1', 'mlp.up'],
    ['mlp.fc2', 'mlp.down'],
  ]),
]

/** The image tower without its pooler, and the scale: parameters, and modules with all of their parameters; # is the number of a layer. */
const IMAGE: readonly Row[] = [
  ...scale,
  ['visual.class_embedding', 'encoder.classToken'],
  ['visual.positional_embedding', 'encoder.positions'],
  ['visual.conv1.weight', 'encoder.patches.projection.weight', 'kernel'],
  ['visual.ln_pre', 'encoder.inputNorm'],
  ...under('visual.transformer.resblocks.#', 'encoder.blocks.#', block),
  // without a pooler the norm belongs to the encoder
  ['visual.ln_post', 'encoder.outputNorm'],
]

/** The text tower of a CLIP, without its projection. */
const TEXT: readonly Row[] = [
  ['token_embedding.weight', 'text.embedding.weight'],
  ['positional_embedding', 'text.positions'],
  ...under('transformer.resblocks.#', 'text.blocks.#', block),
  ['ln_final', 'text.norm'],
]

/** A CLIP. Its text tower has no name of its own, but with a tower of timm, as in all SigLIPs of OpenCLIP. */
function clip(model: DualEncoder): readonly Row[] {
  const projection: Row = model.textProjection.bias
    ? ['text_projection', 'textProjection']
    : ['text_projection', 'textProjection.weight', 'transposed']
  const text = [...TEXT, projection]
  if (!(model.pooler instanceof LatentPooler))
    return [...IMAGE, ['visual.proj', 'imageProjection.weight', 'transposed'], ...text]
  const image = TIMM.map(([a, b, form]): Row => [`visual.trunk.${a}`, b, form])
  const own = text.map(([a, b, form]): Row => [`text.${a}`, b, form])
  return [...scale, ...image, ['visual.head.proj', 'imageProjection'], ...own]
}

/** A CoCa. */
const COCA: readonly Row[] = [
  ...IMAGE,
  ['visual.attn_pool.query', 'generativePooler.queries'],
  ['visual.attn_pool.ln_q', 'generativePooler.queryNorm'],
  ['visual.attn_pool.ln_k', 'generativePooler.memoryNorm'],
  ['visual.attn_pool.attn', 'generativePooler.attention'],
  ['visual.ln_post', 'generativePooler.norm'],
  ['visual.proj', 'imageProjection.weight', 'transposed'],
  ['text.token_embedding.weight', 'unimodal.embedding.weight'],
  ['text.positional_embedding', 'unimodal.positions'],
  ['text.cls_emb', 'unimodal.classToken'],
  ...under('text.transformer.resblocks.#', 'unimodal.blocks.#', block),
  ['text.ln_final', 'unimodal.norm'],
  ['text.text_projection', 'textProjection.weight', 'transposed'],
  ...under('text_decoder.resblocks.#', 'multimodal.blocks.#', [...self, ...mlp('selfMlpNorm', 'selfMlp')]),
  ...under('text_decoder.cross_attn.#', 'multimodal.blocks.#', cross),
  ['text_decoder.ln_final', 'multimodal.norm'],
  ['text_decoder.text_projection', 'multimodal.output.weight', 'transposed'],
]

/** A model that OpenCLIP has too. */
export type OpenClipModel = CoCa | DualEncoder

/** All tensors of a checkpoint of this model, in the table's order. A dual encoder is a CLIP. */
export function openClipTensors(model: OpenClipModel): OpenClipTensor[] {
  checkArguments('openClipTensors(model)', [isModel], [model])
  const own = new Map(model.namedParameters())
  return (model instanceof DualEncoder ? clip(model) : COCA).flatMap(([theirs, ours, form]) => {
    const tensors: OpenClipTensor[] = []
    for (let layer = 0; ; layer++) {
      const [name, ...paths] = [theirs, ours].flat().map(text => text.replace('#', String(layer)))
      const each = paths.map(path => expand(name, path, at(model, path), form))
      const rows = paths.length === 1 ? each[0] : stacked(each)
      tensors.push(...rows.map(row => ({ ...row, shape: shapeOf(model, row, own) })))
      if (rows.length === 0 || !theirs.includes('#')) return tensors
    }
  })
}

/** The value at a path of fields. */
const at = (model: Module, path: string): unknown =>
  path.split('.').reduce<unknown>((inner, field) => (inner ? Reflect.get(inner as object, field) : undefined), model)

/** Tensors of several layers as one: the weights of all, and the biases. */
const stacked = ([first, ...rest]: readonly Omit<OpenClipTensor, 'shape'>[][]): Omit<OpenClipTensor, 'shape'>[] =>
  first.map(({ name, parameters }, i) => ({
    name,
    parameters: [...parameters, ...rest.flatMap(rows => rows[i].parameters)],
    form: 'stacked',
  }))

/** The OpenCLIP tensors of a parameter or a module. */
function expand(name: string, path: string, value: unknown, form: Form = 'same'): Omit<OpenClipTensor, 'shape'>[] {
  if (value instanceof Parameter) return [{ name, parameters: [path], form }]
  if (value instanceof MultiHeadAttention) {
    const of = (field: string) => ['query', 'key', 'value'].map(part => `${path}.${part}.${field}`)
    const isOfOneWidth = value.query.weight.shape[1] === value.key.weight.shape[1]
    const weights: Omit<OpenClipTensor, 'shape'>[] = isOfOneWidth
      ? [{ name: `${name}.in_proj_weight`, parameters: of('weight'), form: 'stacked' }]
      : of('weight').map((own, i) => ({ name: `${name}.${'qkv'[i]}_proj_weight`, parameters: [own], form: 'same' }))
    const bias = { name: `${name}.in_proj_bias`, parameters: of('bias'), form: 'stacked' } as const
    return [...weights, bias, ...expand(`${name}.out_proj`, `${path}.output`, value.output)]
  }
  if (!(value instanceof Module)) return []
  return [...value.namedParameters()].map(([own]) => ({ name: `${name}.${own}`, parameters: [`${path}.${own}`], form }))
}

function shapeOf(model: OpenClipModel, row: Omit<OpenClipTensor, 'shape'>, own: ReadonlyMap<string, Parameter>): Shape {
  const [first, ...rest] = row.parameters.map(path => own.get(path)!.shape)
  const { channels, patchSize } = model.encoder.patches
  switch (row.form) {
    case 'same':
      return first
    case 'one':
      return [1, ...first]
    case 'transposed':
      return first.toReversed()
    case 'kernel':
      return [first[0], channels, ...patchSize]
    case 'stacked':
      return [rest.reduce((rows, shape) => rows + shape[0], first[0]), ...first.slice(1)]
  }
}

/** Converts an OpenCLIP tensor to the values of its parameters, in the order of the row. */
export function fromOpenClipTensor({ form, parameters }: OpenClipTensor, value: Tensor): Tensor[] {
  if (form === 'transposed') return [value.transpose()]
  if (form === 'one') return [value.squeeze(0)]
  if (form === 'kernel') return [value.reshape([value.shape[0], value.size / value.shape[0]])]
  return form === 'stacked' ? value.split(value.shape[0] / parameters.length) : [value]
}

/**
 * The same for one parameter, of which only its part of the tensor is read.
 * @param i the number of the parameter in the row
 * @param shape of the parameter
 * @param read some rows of the tensor, or all, as a tensor of a shape with as many elements
 */
export function readOpenClipParameter(
  { form, parameters, shape: whole }: OpenClipTensor,
  i: number,
  shape: Shape,
  read: (shape: Shape, rows?: RowRange) => Tensor,
): Tensor {
  if (form === 'transposed') return read(whole).transpose()
  if (form !== 'stacked') return read(shape)
  const count = whole[0] / parameters.length
  return read(shape, { first: i * count, count })
}

/** Converts the values of parameters to an OpenCLIP tensor. */
export function toOpenClipTensor({ form, shape }: OpenClipTensor, values: readonly Tensor[]): Tensor {
  const [first] = values
  if (form === 'transposed') return first.transpose()
  if (form === 'kernel' || form === 'one') return first.reshape(shape)
  return form === 'stacked' ? concat(values) : first
}

/** Converts values by the paths of this model's parameters (the parameters or their gradients) to tensors by OpenCLIP's names. */
export function toOpenClipState(model: OpenClipModel, state?: ReadonlyMap<string, Tensor>): StateDict {
  checkArguments('toOpenClipState(model, state)', [isModel], [model])
  const values = state ?? model.stateDict()
  const tensors = openClipTensors(model)
  return new Map(
    tensors.map(row => [
      row.name,
      toOpenClipTensor(
        row,
        row.parameters.map(path => values.get(path)!),
      ),
    ]),
  )
}
