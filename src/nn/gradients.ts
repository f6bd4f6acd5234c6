// The gradients of a loss by the parameters of a module, and what people get wrong there without noticing: a loss that
// depends on no parameter, or not on all of them, or on a parameter that belongs to no module.

import { type Entry, GradientError, HOW_VALUES_LEAVE, orZeros, Tape } from '../autograd/tape.ts'
import { isFloating, show, Tensor } from '../tensor/index.ts'
import { listed } from '../tensor/listed.ts'
import { warn } from '../tensor/warn.ts'
import { isHeld, type Module, nameOf, WHERE_PARAMETERS_ARE } from './module.ts'
import { Parameter } from './parameter.ts'

/** A parameter that no module holds, and the operation that used it first. */
export interface UnregisteredParameter {
  readonly parameter: Parameter
  readonly operation: string
}

/**
 * A loss depends on parameters that no module is known to hold: nothing would train or save them. A module is known to hold
 * what anything has found in its fields (an optimizer, `loadStateDict`, `eval`, …), so that another module's are no error. The
 * cause shows where the first was used.
 */
export class UnregisteredParameterError extends Error {
  override readonly name = 'UnregisteredParameterError'
  readonly module: Module
  readonly parameters: readonly UnregisteredParameter[]

  constructor(module: Module, parameters: readonly UnregisteredParameter[], cause?: Error) {
    const name = nameOf(module)
    const one = parameters.length === 1
    const each = parameters.map(({ parameter: { shape }, operation }) => `${show(shape)}, used by ${operation}`)
    const what = one
      ? `a Parameter of ${each[0]}, is held by no field of ${name}: it would be neither trained nor saved`
      : `${each.length} Parameters are held by no field of ${name} and would be neither trained nor saved: ${listed(each.map(text => `one of ${text}`))}`
    const how = one
      ? 'make it a public field, or freeze it to stay as it is'
      : 'make them public fields, or freeze them to stay as they are'
    super(
      `${what}; ${how} (parameter.trainable = false, or module.freeze()). In general ${WHERE_PARAMETERS_ARE}. If it belongs to a module that is trained apart from ${name}, make its optimizer first`,
      { cause },
    )
    this.module = module
    this.parameters = parameters
  }
}

/** The tape of a module's loss, which notices parameters that no module holds. */
class LossTape extends Tape {
  /** the operation that used each first, and where it was called */
  readonly strays = new Map<Parameter, { readonly operation: string; readonly place: Error }>()

  override record(entry: Entry): void {
    for (const arg of entry.args) if (arg instanceof Parameter && this.#isStray(arg)) this.#add(arg, entry.name)
    super.record(entry)
  }

  #isStray(parameter: Parameter): boolean {
    return !this.tracks(parameter) && parameter.trainable && !isHeld(parameter) && isFloating(parameter.dtype)
  }

  /** It is watched, so that the way back tells whether the loss depends on it. */
  #add(parameter: Parameter, operation: string): void {
    this.strays.set(parameter, { operation, place: new Error(`first used here, by ${operation}`) })
    this.watch(parameter, `Parameter of ${show(parameter.shape)}`)
  }
}

export interface LossAndGradientsOptions {
  /** whether the loss may leave some parameters unused, without a warning; default false */
  readonly allowUnused?: boolean
}

export interface LossAndGradients<T> {
  readonly loss: T
  /** one for every trainable parameter, by name; zeros for those that are unused */
  readonly gradients: Map<string, Tensor>
  /** names of the trainable parameters that the loss does not depend on */
  readonly unused: readonly string[]
}

/**
 * The value of a loss and its gradient for every trainable parameter of a module, by name. A warning of the process names
 * the trainable parameters that the loss does not depend on, each once: freeze them, or say `allowUnused`, if that is meant.
 * @param f computes a scalar, or a record of tensors of which `total` is the scalar to differentiate
 * @throws GradientError where the loss is not a scalar, and where it depends on no trainable parameter of the module
 * @throws UnregisteredParameterError where it depends on trainable parameters that are in the fields of no module
 */
export function lossAndGradients<T extends Tensor | { readonly total: Tensor }>(
  module: Module,
  f: () => T,
  { allowUnused = false }: LossAndGradientsOptions = {},
): LossAndGradients<T> {
  const tape = new LossTape()
  try {
    let trainable = watchParameters(tape, module)
    const loss = tape.run(f)
    // a parameter that the module made while it ran is in its fields by now
    if (tape.strays.size > 0) trainable = watchParameters(tape, module)
    const strays = [...tape.strays].filter(([parameter]) => !isHeld(parameter))
    const scalar = scalarOf(loss)
    const parameters = trainable.map(([, parameter]) => parameter)
    const inputs = [...parameters, ...strays.map(([parameter]) => parameter)]
    const found = tape.partials(scalar, inputs, { ends: true, kept: loss })
    const used = strays.filter((_, i) => found[parameters.length + i])
    if (used.length > 0) {
      const unregistered = used.map(([parameter, { operation }]) => ({ parameter, operation }))
      throw new UnregisteredParameterError(module, unregistered, used[0][1].place)
    }
    const unused = trainable.flatMap(([name], i) => (found[i] ? [] : [name]))
    if (unused.length === trainable.length) throw independent(module, scalar)
    if (!allowUnused) warnOfUnused(module, unused, trainable.length)
    const values = orZeros(found.slice(0, parameters.length), parameters)
    return { loss, gradients: new Map(trainable.map(([name], i) => [name, values[i]])), unused }
  } finally {
    tape.end()
  }
}

function watchParameters(tape: Tape, module: Module): [name: string, parameter: Parameter][] {
  const trainable = [...module.namedParameters()].filter(([, parameter]) => parameter.trainable)
  for (const [name, parameter] of trainable) if (!tape.tracks(parameter)) tape.watch(parameter, name)
  return trainable
}

function scalarOf(loss: Tensor | { readonly total: Tensor }): Tensor {
  const scalar = loss instanceof Tensor ? loss : (loss as Partial<typeof loss> | undefined)?.total
  if (scalar instanceof Tensor) return scalar
  throw new TypeError(
    `lossAndGradients: the function returned ${loss === undefined ? 'nothing' : `a ${typeof loss}`} instead of a scalar tensor, or a record with one as its total`,
  )
}

/** The error for a loss that depends on no trainable parameter, with what is most likely the reason. */
function independent(module: Module, loss: Tensor): GradientError {
  const all = module.parameters()
  const name = nameOf(module)
  if (all.length === 0)
    return new GradientError(`lossAndGradients: ${name} has no parameters: ${WHERE_PARAMETERS_ARE}`, loss)
  if (!all.some(({ trainable }) => trainable))
    return new GradientError(
      `lossAndGradients: all ${all.length} parameters of ${name} are frozen: call freeze(false) on what is to be trained`,
      loss,
    )
  return new GradientError(
    `lossAndGradients: the loss depends on no trainable parameter of ${name}. Compute all of it inside the function that is given, by tensor operations. ${HOW_VALUES_LEAVE}`,
    loss,
  )
}

/** of each module, what was warned of */
const warned = new WeakMap<Module, Set<string>>()

function warnOfUnused(module: Module, unused: readonly string[], trainable: number): void {
  const known = warned.get(module) ?? new Set()
  if (unused.every(name => known.has(name))) return
  warned.set(module, new Set([...known, ...unused]))
  warn(
    `lossAndGradients: the loss does not depend on ${unused.length} of ${trainable} trainable parameters of ${nameOf(module)}: ${listed(unused, 10)}. Their gradients are zeros. If that is meant, freeze them, or pass { allowUnused: true }`,
    'GradientWarning',
  )
}
