// Learning rates of parts of a model: factors by path, and a decay from layer to layer, as groups of parameters for an optimizer.

import { Module } from '../nn/index.ts'
import { matchesPath } from '../nn/parameter-source.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { firstFew } from '../tensor/first-few.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { type ParameterGroup, withoutDecay } from './optimizer.ts'

/** A factor or a path of learning rates that does not apply to the model. */
export class LearningRateError extends RangeError {
  override readonly name = 'LearningRateError'
  /** `layerDecay`, or `rates` with the path: `rates.encoder` */
  readonly setting: string
  /** what is wrong with the setting */
  readonly reason: string

  constructor(setting: string, reason: string) {
    super(`${setting}: ${reason}`)
    this.setting = setting
    this.reason = reason
  }
}

/** The learning rates of the parts of a model. */
export interface RateOptions {
  /**
   * factors of the learning rate by path, above 0: a path is a parameter, a module with everything in it, or an inclusive range of a
   * list: `{ encoder: 0.1, 'encoder.blocks.0-3': 0.01 }`. Of several paths that match a parameter, the one with the most parts
   * applies, and of those with equally many the one without a range. Default: 1 for all parameters
   */
  readonly rates?: Readonly<Record<string, number>>
  /**
   * the factor from one layer to the layer below it, above 0 and at most 1. A module that has a list of modules of one class, such as
   * the blocks of a transformer, is a tower: of its n layers, layer l = 1 … n has the factor decay^(n + 1 - l), the parameters
   * before the list in the order of the fields (patches, embeddings, positions) have decay^(n + 1), and those after the list, as well
   * as all parameters outside of towers (heads, poolers), have 1 (Clark et al. 2020, ELECTRA; Bao et al. 2021, BEiT). Each tower is
   * counted by itself. Default 1
   */
  readonly layerDecay?: number
}
const isRates = new is.Kind<Readonly<Record<string, number>>>(
  "factors of the learning rate by path, such as { encoder: 0.1, 'encoder.blocks.0-3': 0.01 }",
  x => typeof x === 'object' && x !== null && Object.values(x).every(factor => typeof factor === 'number'),
)
const rateOptions = {
  rates: is.byDefault({}, isRates),
  layerDecay: 1,
} satisfies Settings<RateOptions>

const isModule = is.instance('a module', Module)

/**
 * The factor of the learning rate of each parameter, by name: that of `rates` times that of `layerDecay`.
 * @throws LearningRateError for a factor that is not above 0, a path that matches nothing or only frozen parameters, two paths of
 *   which neither is more specific, or a `layerDecay` for a model without layers
 */
export function learningRateFactors(model: Module, options?: RateOptions): Map<string, number> {
  const call = 'learningRateFactors(model, options)'
  checkArguments(call, [isModule], [model])
  const { rates, layerDecay } = settle(call, options, rateOptions)
  const byLayer = layerFactors(model, layerDecay)
  const byPath = pathFactors(model, rates)
  return new Map(
    [...model.namedParameters()].map(([name]) => [name, (byLayer.get(name) ?? 1) * (byPath.get(name) ?? 1)]),
  )
}

/**
 * Groups of parameters with the learning rates of {@link learningRateFactors}, and without weight decay of biases, scales and other
 * parameters of fewer than two axes:
 *
 *     const groups = learningRateGroups(model, { rates: { encoder: 0.1 }, layerDecay: 0.75 })
 *     const optimizer = new AdamW(model, { learningRate: 1e-3, groups })
 *
 * @throws LearningRateError as there
 */
export function learningRateGroups(model: Module, options?: RateOptions): ParameterGroup[] {
  const factors = learningRateFactors(model, options)
  return [...new Set(factors.values())].flatMap(learningRateFactor => {
    const isHere = (name: string) => factors.get(name) === learningRateFactor
    return [
      {
        match: (name, parameter) => isHere(name) && withoutDecay.match(name, parameter),
        weightDecay: withoutDecay.weightDecay,
        learningRateFactor,
      },
      { match: isHere, learningRateFactor },
    ] satisfies ParameterGroup[]
  })
}

/** The factors of the paths, for the parameters that one matches. */
function pathFactors(model: Module, rates: Readonly<Record<string, number>>): Map<string, number> {
  const parameters = [...model.namedParameters()]
  const chosen = new Map<string, string>()
  for (const [path, factor] of Object.entries(rates)) {
    const setting = `rates.${path}`
    if (factor === 0) throw new LearningRateError(setting, 'must be above 0, not 0; freeze a part that is not trained')
    if (!(factor > 0 && factor < Number.POSITIVE_INFINITY))
      throw new LearningRateError(setting, `must be a number above 0, not ${factor}`)
    const found = parameters.filter(([name]) => matchesPath(name, path))
    if (found.length === 0) {
      const parts = [...new Set(parameters.map(([name]) => name.split('.')[0]))]
      throw new LearningRateError(setting, `matches nothing in this model, which has ${parts.join(', ')}`)
    }
    if (!found.some(([, { trainable }]) => trainable))
      throw new LearningRateError(setting, `has no effect: ${firstFew(found.map(([name]) => name))} are frozen`)
    for (const [name] of found) {
      const other = chosen.get(name)
      if (other !== undefined && specificity(other) === specificity(path))
        throw new LearningRateError(setting, `and ${other} both match ${name}, and neither is more specific`)
      if (other === undefined || specificity(path) > specificity(other)) chosen.set(name, path)
    }
  }
  return new Map([...chosen].map(([name, path]) => [name, rates[path]]))
}

/** Orders paths: first by the number of their parts, then by how many of these are ranges. */
const specificity = (path: string): number => {
  const parts = path.split('.')
  return parts.length - parts.filter(part => part.includes('-')).length / (parts.length + 1)
}

/** The factors of the parameters in towers. */
function layerFactors(model: Module, decay: number): Map<string, number> {
  if (!(decay > 0 && decay <= 1))
    throw new LearningRateError('layerDecay', `must be above 0 and at most 1, not ${decay}`)
  const factors = new Map<string, number>()
  if (decay === 1) return factors
  let towers = 0
  const descend = (module: Module, prefix: string): void => {
    const names = [...module.namedParameters(prefix)].map(([name]) => name)
    // what is between two lists is before the second one
    let from = 0
    const lists = listsOf(module)
    for (const [field, length] of lists) {
      const start = `${prefix}${field}.`
      const first = names.findIndex(name => name.startsWith(start))
      if (first < 0) continue
      towers++
      for (const name of names.slice(from, first)) factors.set(name, decay ** (length + 1))
      from = first
      for (; names[from]?.startsWith(start); from++) {
        const layer = Number(names[from].slice(start.length).split('.')[0]) + 1
        factors.set(names[from], decay ** (length + 1 - layer))
      }
    }
    if (from > 0) for (const name of names.slice(from)) factors.set(name, 1)
    const isLayer = (name: string) => lists.some(([field]) => name.startsWith(`${field}.`))
    for (const [name, child] of module.children()) if (!isLayer(name)) descend(child, `${prefix}${name}.`)
  }
  descend(model, '')
  if (towers === 0)
    throw new LearningRateError(
      'layerDecay',
      'has no effect: no module of this model has a list of modules of one class, such as the blocks of a transformer',
    )
  return factors
}

/** The fields of a module that are lists of modules of one class, and the lengths of the lists. */
const listsOf = (module: Module): [field: string, length: number][] =>
  Object.entries(module).flatMap(([field, value]) => {
    const isList =
      Array.isArray(value) &&
      value.length > 0 &&
      value.every(item => item instanceof Module && item.constructor === value[0].constructor)
    return isList ? [[field, value.length]] : []
  })
