// Finetuning: a model that begins with another's weights, and parts of it that stay as they are. Whatever has the same name and
// shape is copied; positions of an image of another size, or of a shorter text, are made from those there are; everything else
// must be named as new.

import { concat, noGrad } from '../autograd/index.ts'
import { DataError } from '../io/index.ts'
import { type Module, type Parameter, resizeGrid } from '../nn/index.ts'
import { firstFew } from '../tensor/first-few.ts'
import { sameShape, show, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'

/** Parts of a model that do not exist, or weights that do not fit it. */
export class InitializationError extends DataError {}

/** What became of each parameter, by name. */
export interface Initialization {
  readonly copied: readonly string[]
  /** positions that were made for another size */
  readonly resized: readonly string[]
  readonly fresh: readonly string[]
  /** parameters of the other model that this one has no place for */
  readonly unused: readonly string[]
}

export interface InitializeOptions {
  /** parts that keep the values they have, as {@link parameterPaths} reads them; default none */
  readonly fresh?: readonly string[]
  /** what to call the source in an error */
  readonly file?: string
}
const initializeOptions = { fresh: [], file: is.optional(is.text) } satisfies Settings<InitializeOptions>

/**
 * Copies another model's weights into a model.
 * @param options.fresh parts that keep the values they have, as {@link parameterPaths} reads them
 * @throws InitializationError naming what has no counterpart, or one of another shape; nothing is copied then
 */
export function initializeFrom(model: Module, source: Module, options?: InitializeOptions): Initialization {
  const { fresh, file } = settle('initializeFrom(model, source, options)', options, initializeOptions)
  const given = new Map<string, Parameter>(source.namedParameters())
  const own = parameterPaths(model, fresh, { setting: 'fresh', file })
  const assignments: [parameter: Parameter, value: () => Tensor][] = []
  const [copied, resized, problems]: string[][] = [[], [], []]
  for (const [name, parameter] of model.namedParameters()) {
    if (own.has(name)) continue
    const from = given.get(name)
    const value = from && fitted(name, from, parameter, { source, model })
    if (!value) {
      const found = from ? `is ${show(from.shape)} there and ${show(parameter.shape)} here` : 'is not there'
      problems.push(`${name} ${found}`)
      continue
    }
    ;(from.shape.every((n, i) => n === parameter.shape[i]) ? copied : resized).push(name)
    assignments.push([parameter, value])
  }
  if (problems.length > 0)
    throw new InitializationError(
      `the weights do not fit: ${firstFew(problems)}; name what is to begin anew as fresh`,
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

/** How a parameter's value becomes that of its counterpart, if it can. */
function fitted(
  name: string,
  from: Parameter,
  to: Parameter,
  { source, model }: { readonly source: Module; readonly model: Module },
): (() => Tensor) | undefined {
  if (sameShape(from.shape, to.shape)) return () => from.add(0)
  if (from.rank !== 2 || from.shape[1] !== to.shape[1]) return undefined
  if (name === 'encoder.positions' && seesPictures(source) && seesPictures(model))
    return () => resizeImagePositions(from, source, model)
  const context = to.shape[0] - 1
  // the last row is the one of [CLS]
  if (name === 'unimodal.positions' && context < from.shape[0] - 1)
    return () => concat([from.slice([{ stop: context }]), from.slice([{ start: -1 }])])
  return undefined
}

/** A model with a vision transformer, whose positions stand for a grid of patches. */
type Seeing = Module & { readonly config: { readonly image: { readonly size: number; readonly patch: number } } }

const seesPictures = (model: Module): model is Seeing => {
  const { config } = model as Partial<Seeing>
  return typeof config?.image?.size === 'number' && typeof config.image.patch === 'number'
}

function resizeImagePositions(positions: Tensor, source: Seeing, model: Seeing): Tensor {
  const side = ({ config: { image } }: Seeing) => image.size / image.patch
  // a class token stands before the patches
  const first = positions.shape[0] - side(source) ** 2
  const grid = resizeGrid(positions.slice([{ start: first }]), side(source), side(model))
  return first === 0 ? grid : concat([positions.slice([{ stop: first }]), grid])
}

/**
 * The parameters that paths name: a path is a parameter, a module with all in it, or a range of a list, its ends included:
 * `logScale`, `encoder`, `unimodal.blocks.0-5`.
 * @throws InitializationError naming a path under which there is nothing
 */
export function parameterPaths(
  model: Module,
  paths: readonly string[],
  { setting, file }: { readonly setting: string; readonly file?: string },
): Set<string> {
  const names = [...model.namedParameters()].map(([name]) => name)
  return new Set(
    paths.flatMap(path => {
      const found = names.filter(name => isUnder(name.split('.'), path.split('.')))
      if (found.length === 0) {
        const parts = [...new Set(names.map(name => name.split('.')[0]))]
        throw new InitializationError(
          `${setting}: '${path}' names nothing in this model, which has ${parts.join(', ')}`,
          {
            file,
          },
        )
      }
      return found
    }),
  )
}

function isUnder(name: readonly string[], path: readonly string[]): boolean {
  return path.length <= name.length && path.every((part, i) => isPart(name[i], part))
}

function isPart(name: string, part: string): boolean {
  const range = /^(\d+)-(\d+)$/.exec(part)
  if (!range) return name === part
  return /^\d+$/.test(name) && Number(range[1]) <= Number(name) && Number(name) <= Number(range[2])
}

/**
 * Keeps parts of a model as they are: their parameters are not trained.
 * @throws InitializationError as {@link parameterPaths}, and where nothing is left to train
 */
export function freezeParts(model: Module, paths: readonly string[], file?: string): void {
  const frozen = parameterPaths(model, paths, { setting: 'freeze', file })
  for (const [name, parameter] of model.namedParameters()) if (frozen.has(name)) parameter.trainable = false
  if (!model.parameters().some(({ trainable }) => trainable))
    throw new InitializationError(`freeze: ${paths.join(', ')} are all parameters, and nothing is left to train`, {
      file,
    })
}
