// The gradients of a loss with respect to the parameters of a module. Common mistakes are detected: a loss that depends
// on no parameter, or not on all of them, or on a parameter that belongs to no module.

import { HOW_VALUES_LEAVE } from '../autograd/gradient-error.ts'
import { type Entry, GradientError, Tape } from '../autograd/index.ts'

import { orZeros } from '../autograd/tape.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { capturing } from '../tensor/capturing.ts'
import { firstFew } from '../tensor/first-few.ts'
import { given } from '../tensor/given.ts'
import { ArgumentError, isFloating, scope, show, Tensor, zerosLike } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { warn } from '../tensor/warn.ts'
import { isHeld, Module, sameParameters, WHERE_PARAMETERS_ARE } from './module.ts'
import { Parameter } from './parameter.ts'
import { isParameterSource, namedIn, type ParameterSource, titleOf } from './parameter-source.ts'

/** A parameter that no module holds, and the operation that used it first. */
export interface UnregisteredParameter {
  /** the parameter */
  readonly parameter: Parameter
  /** name of the operation */
  readonly operation: string
}

/**
 * A loss depends on parameters that are in no module's fields, so nothing would train or save them. A parameter counts as held by a
 * module once anything has found it in the module's fields (an optimizer, `loadStateDict`, `eval`, …), so parameters of another
 * module are not an error. The cause shows where the first one was used.
 */
export class UnregisteredParameterError extends Error {
  override readonly name = 'UnregisteredParameterError'
  /** the source of the parameters that were differentiated */
  readonly source: ParameterSource
  /** the parameters that no module holds */
  readonly parameters: readonly UnregisteredParameter[]

  constructor(source: ParameterSource, parameters: readonly UnregisteredParameter[], cause?: Error) {
    const name = titleOf(source)
    const one = parameters.length === 1
    const each = parameters.map(({ parameter: { shape }, operation }) => `${show(shape)}, used by ${operation}`)
    const what = one
      ? `a Parameter of ${each[0]}, is held by no field of ${name}: it would be neither trained nor saved`
      : `${each.length} Parameters are held by no field of ${name} and would be neither trained nor saved: ${firstFew(each.map(text => `one of ${text}`))}`
    const how = one
      ? 'make it a public field, or freeze it to stay as it is'
      : 'make them public fields, or freeze them to stay as they are'
    super(
      `${what}; ${how} (parameter.trainable = false, or module.freeze()). In general ${WHERE_PARAMETERS_ARE}. If it belongs to a module that is trained apart from ${name}, make its optimizer first`,
      { cause },
    )
    this.source = source
    this.parameters = parameters
  }
}

/** The tape of a module's loss, which detects parameters that no module holds. */
class LossTape extends Tape {
  /** for each, the operation that used it first, and where it was called */
  readonly strays = new Map<Parameter, { readonly operation: string; readonly place: Error }>()

  override record(entry: Entry): void {
    for (const arg of entry.args) if (arg instanceof Parameter && this.#isStray(arg)) this.#add(arg, entry.name)
    super.record(entry)
  }

  #isStray(parameter: Parameter): boolean {
    return !this.tracks(parameter) && parameter.trainable && !isHeld(parameter) && isFloating(parameter.dtype)
  }

  /** It is watched, so that the backward pass shows whether the loss depends on it. */
  #add(parameter: Parameter, operation: string): void {
    this.strays.set(parameter, { operation, place: new Error(`first used here, by ${operation}`) })
    this.watch(parameter, `Parameter of ${show(parameter.shape)}`)
  }
}

/** Options of `lossAndGradients`. */
export interface LossAndGradientsOptions {
  /** whether the loss may leave some parameters unused, without a warning; default false */
  readonly allowUnused?: boolean
  /**
   * called with the name and the gradient of each trainable parameter as soon as the backward pass has completed it: after all uses
   * of the parameter. The gradient is freed afterwards, unless `keep` is called on it, and is not in the result, so that the gradients
   * are never in memory all together. The parameter may be assigned its new value, as `optimizer.step` does. Default none
   */
  readonly onGradient?: (name: string, gradient: Tensor) => void
}
const lossAndGradientsOptions = {
  allowUnused: false,
  onGradient: is.optional(is.callback) as is.Kind<LossAndGradientsOptions['onGradient']>,
} satisfies Settings<LossAndGradientsOptions>

/** A loss, and its gradients by the parameters. */
export interface LossAndGradients<T> {
  /** what the function returned */
  readonly loss: T
  /** one for every trainable parameter, by name; zeros for those that are unused. Empty with `onGradient`, which gets them */
  readonly gradients: Map<string, Tensor>
  /** names of the trainable parameters that the loss does not depend on */
  readonly unused: readonly string[]
}

/**
 * The value of a loss and its gradient for every trainable parameter, by name. A process warning names
 * the trainable parameters that the loss does not depend on, each once. If this is intended, freeze them or set `allowUnused`.
 * @param source a module, or a list or Map of parameters with their names
 *
 *     lossAndGradients(model, loss, { onGradient: (name, gradient) => optimizer.step(new Map([[name, gradient]])) })
 *
 * updates each parameter during the backward pass. The result is that of one step with all gradients, bit for bit, in the memory of one
 * or a few gradients; `optimizer.minimize(loss, { inBackward: true })` does the same. What needs all gradients together,
 * such as clipping by their norm, is not possible then, and an error in the middle of the pass leaves some parameters updated.
 * @param f computes a scalar, or a record of tensors of which `total` is the scalar to differentiate
 * @throws GradientError if the loss is not a scalar, or depends on no trainable parameter
 * @throws UnregisteredParameterError if it depends on trainable parameters that are in the fields of no module
 */
export function lossAndGradients<T extends Tensor | { readonly total: Tensor }>(
  source: ParameterSource,
  f: () => T,
  options?: LossAndGradientsOptions,
): LossAndGradients<T> {
  const call = 'lossAndGradients(module, f, options)'
  checkArguments(call, [isParameterSource, is.callback, is.options], [source, f, options])
  const { allowUnused, onGradient } = settle(call, options, lossAndGradientsOptions)
  const tape = new LossTape()
  try {
    let trainable = watchParameters(tape, source)
    capturing()?.require(stillTrainable(source, trainable))
    const loss = tape.run(f)
    // the module may have created a parameter while it ran: it is in the fields now
    if (tape.strays.size > 0) trainable = watchParameters(tape, source)
    const strays = [...tape.strays].filter(([parameter]) => !isHeld(parameter))
    const scalar = scalarOf(loss)
    const parameters = trainable.map(([, parameter]) => parameter)
    const inputs = [...parameters, ...strays.map(([parameter]) => parameter)]
    const checkStrays = (isUsed: (parameter: Parameter, i: number) => boolean) => {
      const used = strays.filter(([parameter], i) => isUsed(parameter, i))
      if (used.length === 0) return
      const unregistered = used.map(([parameter, { operation }]) => ({ parameter, operation }))
      throw new UnregisteredParameterError(source, unregistered, used[0][1].place)
    }
    const namesOfUnused = (isUsed: (parameter: Parameter, i: number) => boolean) => {
      const unused = trainable.filter(([, parameter], i) => !isUsed(parameter, i))
      if (unused.length === trainable.length) throw independent(source, scalar)
      const names = unused.map(([name]) => name)
      if (!allowUnused) warnOfUnused(source, names, trainable.length)
      return names
    }
    if (onGradient) {
      const names = new Map<Tensor, string>(trainable.map(([name, parameter]) => [parameter, name]))
      const given = new Set<Tensor>()
      tape.partials(scalar, inputs, {
        ends: true,
        kept: loss,
        onGradient(parameter, gradient) {
          checkStrays(stray => stray === parameter)
          given.add(parameter)
          onGradient(names.get(parameter)!, gradient)
        },
      })
      const unused = namesOfUnused(parameter => given.has(parameter))
      for (const [name, parameter] of trainable)
        if (!given.has(parameter)) scope(() => onGradient(name, zerosLike(parameter)))
      return { loss, gradients: new Map(), unused }
    }
    const found = tape.partials(scalar, inputs, { ends: true, kept: loss })
    checkStrays((_, i) => found[parameters.length + i] !== undefined)
    const unused = namesOfUnused((_, i) => found[i] !== undefined)
    const values = orZeros(found.slice(0, parameters.length), parameters)
    return { loss, gradients: new Map(trainable.map(([name], i) => [name, values[i]])), unused }
  } finally {
    tape.end()
  }
}

const trainableOf = (source: ParameterSource): (readonly [name: string, parameter: Parameter])[] =>
  [...namedIn('lossAndGradients', source)].filter(([, parameter]) => parameter.trainable)

const sameItems = (a: readonly (readonly unknown[])[], b: readonly (readonly unknown[])[]): boolean =>
  a.length === b.length && a.every((pair, i) => pair[0] === b[i][0] && pair[1] === b[i][1])

/** Returns a function that tells whether these are the trainable parameters of a source. */
function stillTrainable(source: ParameterSource, trainable: readonly (readonly [string, Parameter])[]): () => boolean {
  /** all parameters, and whether the source has the same ones as when they were looked for */
  let known: { readonly all: readonly Parameter[]; readonly areSame: () => boolean } | undefined
  return () => {
    if (known?.areSame()) {
      let at = 0
      for (const parameter of known.all) if (parameter.trainable && trainable[at++]?.[1] !== parameter) return false
      return at === trainable.length
    }
    known = source instanceof Module ? { all: [...source.parameters()], areSame: sameParameters(source) } : undefined
    return sameItems(trainableOf(source), trainable)
  }
}

function watchParameters(tape: Tape, source: ParameterSource): (readonly [name: string, parameter: Parameter])[] {
  const trainable = trainableOf(source)
  for (const [name, parameter] of trainable) if (!tape.tracks(parameter)) tape.watch(parameter, name)
  return trainable
}

/** The scalar to differentiate in the result of a loss function. */
function scalarOf(loss: unknown): Tensor {
  const scalar = loss instanceof Tensor ? loss : (loss as { total?: unknown } | null | undefined)?.total
  if (scalar instanceof Tensor) return scalar
  const advice = loss === undefined ? 'return the loss' : 'return a scalar tensor, or an object with one as total'
  throw new ArgumentError(`lossAndGradients: f returned ${given(loss)}: ${advice}`, 'lossAndGradients', 'f', loss)
}

/** The error for a loss that depends on no trainable parameter, with what is most likely the reason. */
function independent(source: ParameterSource, loss: Tensor): GradientError {
  const all = [...namedIn('lossAndGradients', source)]
  const name = titleOf(source)
  if (all.length === 0)
    return new GradientError(`lossAndGradients: ${name} has no parameters: ${WHERE_PARAMETERS_ARE}`, loss)
  if (!all.some(([, { trainable }]) => trainable))
    return new GradientError(
      `lossAndGradients: all ${all.length} parameters of ${name} are frozen: call freeze(false) on what is to be trained`,
      loss,
    )
  return new GradientError(
    `lossAndGradients: the loss depends on no trainable parameter of ${name}. Compute it inside the function that you pass, with tensor operations. ${HOW_VALUES_LEAVE}`,
    loss,
  )
}

/** for each source, the names that a warning was given for */
const warned = new WeakMap<ParameterSource, Set<string>>()

function warnOfUnused(source: ParameterSource, unused: readonly string[], trainable: number): void {
  const known = warned.get(source) ?? new Set()
  if (unused.every(name => known.has(name))) return
  warned.set(source, new Set([...known, ...unused]))
  warn(
    `lossAndGradients: the loss does not depend on ${unused.length} of ${trainable} trainable parameters of ${titleOf(source)}: ${firstFew(unused, 10)}. Their gradients are zeros. If this is intended, freeze them or pass { allowUnused: true }`,
    'GradientWarning',
  )
}
