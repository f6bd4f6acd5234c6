// Finetuning: initializes a model with the weights of another one, and freezes parts of it. Parameters with the same name and shape
// are copied; positions for another image size are interpolated, and those for shorter texts are cut; all others must be listed
// in `fresh`. Or only the encoder is copied, whose settings must then be the same.

import { concat, noGrad } from '../autograd/index.ts'
import { DataError } from '../io/index.ts'
import { resolveVisionTransformer } from '../models/config.ts'
import { VisionTransformer, type VisionTransformerConfig } from '../models/index.ts'
import { type Activation, type Module, type Parameter, resizeGrid } from '../nn/index.ts'
import { matchesPath } from '../nn/parameter-source.ts'
import { firstFew } from '../tensor/first-few.ts'
import { given } from '../tensor/given.ts'
import { sameShape, show, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'

/** Weights that do not fit a model, or paths that match none of its parameters. */
export class InitializationError extends DataError {}

/** How each parameter was initialized, by name. */
export interface Initialization {
  /** from the other model */
  readonly copied: readonly string[]
  /** positions that were converted from another size */
  readonly resized: readonly string[]
  /** at random, as in a new model */
  readonly fresh: readonly string[]
  /** parameters of the other model without a counterpart in this one */
  readonly unused: readonly string[]
  /**
   * tensors of the other model that take part in what its encoder computes, and that an encoder here has no place for: DeiT's token
   * for distillation. Without them the copied parameters compute something else than they did there
   */
  readonly dropped?: readonly string[]
}

export interface InitializeOptions {
  /** parts that keep the values they have, as paths for {@link parameterPaths}; default none */
  readonly fresh?: readonly string[]
  /** 'encoder': only the image encoder is copied, and everything else keeps the values it has; default all parts */
  readonly part?: InitializedPart
  /** the name of the source in an error */
  readonly file?: string
}
const initializeOptions = {
  fresh: [],
  part: is.optional(is.oneOf<InitializedPart>('encoder')),
  file: is.optional(is.text),
} satisfies Settings<InitializeOptions>

/** A part of a model that can be copied on its own. */
export type InitializedPart = 'encoder'

/**
 * Copies another model's weights into a model.
 * @param options.fresh parts that keep the values they have, as paths for {@link parameterPaths}
 * @throws InitializationError naming parameters without a counterpart, or with one of another shape, and with options.part the
 *   settings of the encoders that differ; then nothing is copied
 */
export function initializeFrom(model: Module, source: Module, options?: InitializeOptions): Initialization {
  const { fresh, part, file } = settle('initializeFrom(model, source, options)', options, initializeOptions)
  const given = new Map<string, Parameter>(source.namedParameters())
  const own = parameterPaths(model, fresh, { setting: 'fresh', file })
  if (part !== undefined) {
    checkEncoders(source, model, file)
    for (const [name] of model.namedParameters()) if (!matchesPath(name, part)) own.add(name)
  }
  const assignments: [parameter: Parameter, value: () => Tensor][] = []
  const [copied, resized, problems]: string[][] = [[], [], []]
  for (const [name, parameter] of model.namedParameters()) {
    if (own.has(name)) continue
    const from = given.get(name)
    const value = from && fitted(name, from, parameter, { source, model })
    if (!value) {
      const found = from ? `is ${show(from.shape)} there, but ${show(parameter.shape)} here` : 'is missing there'
      problems.push(`${name} ${found}`)
      continue
    }
    ;(from.shape.every((n, i) => n === parameter.shape[i]) ? copied : resized).push(name)
    assignments.push([parameter, value])
  }
  if (problems.length > 0)
    throw new InitializationError(
      `the weights do not fit: ${firstFew(problems)}; list in fresh the parts that should not be copied`,
      {
        file,
      },
    )
  noGrad(() => {
    for (const [parameter, value] of assignments) parameter.assign(value())
  })
  const names = new Set([...copied, ...resized])
  return { copied, resized, fresh: [...own], unused: [...given.keys()].filter(name => !names.has(name)) }
}

/** The settings of an encoder that decide what it computes, except the size of its images, whose positions are interpolated. */
export const ENCODER_SETTINGS = [
  ...(['patch', 'channels', 'width', 'layers', 'heads', 'hidden', 'classToken', 'inputNorm', 'outputNorm'] as const),
  ...(['patchBias', 'normEpsilon', 'activation'] as const),
] satisfies (keyof VisionTransformerConfig)[]

/** @throws InitializationError naming the settings of the encoders that differ, with the values to write */
function checkEncoders(source: Module, model: Module, file: string | undefined): void {
  const [theirs, own] = [source, model].map(each => {
    if (!seesPictures(each)) throw new InitializationError('has no encoder of images', { file })
    const { image, activation = 'gelu' } = each.config
    const settled = resolveVisionTransformer('initializeFrom(model, source)', image)
    return { ...settled, activation: settled.activation ?? activation }
  })
  const differing = ENCODER_SETTINGS.filter(name => JSON.stringify(theirs[name]) !== JSON.stringify(own[name]))
  if (differing.length === 0) return
  const found = differing.map(name => `image.${name} is ${given(theirs[name])} there, but ${given(own[name])} here`)
  const values = JSON.stringify({ image: Object.fromEntries(differing.map(name => [name, theirs[name]])) })
  throw new InitializationError(
    `the encoders have different settings: ${found.join('; ')}. Write ${values} in the settings of the model`,
    { file },
  )
}

/** Computes a parameter's value from its counterpart; undefined if they do not fit. */
function fitted(
  name: string,
  from: Parameter,
  to: Parameter,
  { source, model }: { readonly source: Module; readonly model: Module },
): (() => Tensor) | undefined {
  if (sameShape(from.shape, to.shape)) return () => from.copied()
  if (from.rank !== 2 || from.shape[1] !== to.shape[1]) return undefined
  if (name === 'encoder.positions' && seesPictures(source) && seesPictures(model))
    return () => resizeImagePositions(from, source, model)
  if (name === 'unimodal.positions' && classTokens(source) === classTokens(model) && to.shape[0] < from.shape[0]) {
    // the last rows belong to [CLS]
    const count = classTokens(model)
    return () => concat([from.slice([{ stop: to.shape[0] - count }]), from.slice([{ start: -count }])])
  }
  return undefined
}

/** The number of [CLS] tokens of a model with texts. */
const classTokens = (model: Module): number =>
  (model as { readonly config?: { readonly text?: { readonly classTokens?: number } } }).config?.text?.classTokens ?? 1

/** A model with a vision transformer, whose positions form a grid of patches. */
type Seeing = Module & {
  readonly config: { readonly image: VisionTransformerConfig; readonly activation?: Activation }
  readonly encoder: VisionTransformer
}

const seesPictures = (model: Module): model is Seeing => {
  const { config, encoder } = model as Partial<Seeing>
  return config?.image !== undefined && encoder instanceof VisionTransformer
}

function resizeImagePositions(positions: Tensor, source: Seeing, model: Seeing): Tensor {
  const { patches, grid: from } = source.encoder.patches
  // a class token precedes the patches
  const first = positions.shape[0] - patches
  const grid = resizeGrid(positions.slice([{ start: first }]), from, model.encoder.patches.grid)
  return first === 0 ? grid : concat([positions.slice([{ stop: first }]), grid])
}

/**
 * The parameters that paths match: a path is a parameter, a module with everything in it, or an inclusive range of a list:
 * `logScale`, `encoder`, `unimodal.blocks.0-5`.
 * @throws InitializationError naming a path that matches nothing
 */
export function parameterPaths(
  model: Module,
  paths: readonly string[],
  { setting, file }: { readonly setting: string; readonly file?: string },
): Set<string> {
  const names = [...model.namedParameters()].map(([name]) => name)
  return new Set(
    paths.flatMap(path => {
      const found = names.filter(name => matchesPath(name, path))
      if (found.length === 0) {
        const parts = [...new Set(names.map(name => name.split('.')[0]))]
        throw new InitializationError(
          `${setting}: '${path}' matches nothing in this model, which has ${parts.join(', ')}`,
          {
            file,
          },
        )
      }
      return found
    }),
  )
}

/**
 * Freezes parts of a model: their parameters are not trained.
 * @throws InitializationError as {@link parameterPaths}, and if all parameters are frozen
 */
export function freezeParts(model: Module, paths: readonly string[], file?: string): void {
  const frozen = parameterPaths(model, paths, { setting: 'freeze', file })
  for (const [name, parameter] of model.namedParameters()) if (frozen.has(name)) parameter.trainable = false
  if (!model.parameters().some(({ trainable }) => trainable))
    throw new InitializationError(`freeze: ${paths.join(', ')} contain all parameters, so nothing is left to train`, {
      file,
    })
}
