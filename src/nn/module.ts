// A module is a class whose fields are parameters, modules or arrays of modules. A parameter's name is its path through
// the fields, and that is the whole protocol: no registration, no base constructor.

import { Tape } from '../autograd/index.ts'
import {
  ArgumentError,
  checkArguments,
  type DeviceName,
  deviceOf,
  given,
  is,
  type Shape,
  sameShape,
  show,
  Tensor,
  toDevice,
} from '../tensor/index.ts'
import { Parameter } from './parameter.ts'

/** Parameters by path, as tensors: what a checkpoint holds. */
export type StateDict = Map<string, Tensor>

/** A state dict that does not fit a module: what is missing, left over, or of another shape. */
export class StateDictError extends Error {
  override readonly name = 'StateDictError'
  readonly missing: readonly string[]
  readonly unexpected: readonly string[]
  readonly mismatched: readonly { readonly name: string; readonly expected: Shape; readonly found: Shape }[]

  constructor(
    missing: readonly string[],
    unexpected: readonly string[],
    mismatched: readonly { name: string; expected: Shape; found: Shape }[],
  ) {
    const some = (names: readonly string[]) =>
      `${names.slice(0, 5).join(', ')}${names.length > 5 ? ` and ${names.length - 5} more` : ''}`
    const lines = [
      ...mismatched.map(({ name, expected, found }) => `${name} is ${show(expected)} here and ${show(found)} there`),
      ...(missing.length > 0 ? [`missing: ${some(missing)}`] : []),
      ...(unexpected.length > 0 ? [`not in the module: ${some(unexpected)}`] : []),
    ]
    super(`the state dict does not fit:\n  ${lines.join('\n  ')}`)
    this.missing = missing
    this.unexpected = unexpected
    this.mismatched = mismatched
  }
}

/** Fields in the order in which they were assigned, with arrays opened. */
function* fields(module: Module): Generator<[name: string, value: unknown]> {
  for (const [name, value] of Object.entries(module)) {
    if (Array.isArray(value)) for (const [i, item] of value.entries()) yield [`${name}.${i}`, item]
    else yield [name, value]
  }
}

export abstract class Module {
  /** whether dropout drops; `train` and `eval` set it */
  training = true

  parameters(): Parameter[] {
    return [...this.namedParameters()].map(([, parameter]) => parameter)
  }

  /** Modules one level down, by field. */
  *children(): Generator<[name: string, module: Module]> {
    for (const [name, value] of fields(this)) if (value instanceof Module) yield [name, value]
  }

  /** Every parameter with its path; one that is shared comes once. */
  *namedParameters(prefix = '', seen = new Set<Parameter>()): Generator<[name: string, parameter: Parameter]> {
    for (const [name, value] of fields(this)) {
      if (value instanceof Module) yield* value.namedParameters(`${prefix}${name}.`, seen)
      else if (value instanceof Parameter && !seen.has(value)) {
        seen.add(value)
        yield [`${prefix}${name}`, value]
      }
    }
  }

  /** Number of numbers in all parameters. */
  parameterCount(): number {
    return this.parameters().reduce((sum, parameter) => sum + parameter.size, 0)
  }

  /** Calls `f` on this module and all modules inside. */
  apply(f: (module: Module) => void): this {
    checkArguments('module.apply(f)', [is.callback], [f])
    f(this)
    for (const [, child] of this.children()) child.apply(f)
    return this
  }

  train(training = true): this {
    return this.apply(module => {
      module.training = training
    })
  }

  eval(): this {
    return this.train(false)
  }

  /** Keeps all parameters as they are: they get no gradient and no update. */
  freeze(frozen = true): this {
    for (const parameter of this.parameters()) parameter.trainable = !frozen
    return this
  }

  stateDict(): StateDict {
    return new Map(this.namedParameters())
  }

  /**
   * Takes over values by path. Nothing is changed unless everything fits.
   * @throws StateDictError naming parameters that are missing, unknown or of another shape
   */
  loadStateDict(state: ReadonlyMap<string, Tensor>): this {
    checkArguments('module.loadStateDict(state)', [isState], [state])
    const own = new Map(this.namedParameters())
    const missing = [...own.keys()].filter(name => !state.has(name))
    const unexpected = [...state.keys()].filter(name => !own.has(name))
    const mismatched = [...own].flatMap(([name, { shape }]) => {
      const found = state.get(name)?.shape
      return found && !sameShape(found, shape) ? [{ name, expected: shape, found }] : []
    })
    if (missing.length + unexpected.length + mismatched.length > 0)
      throw new StateDictError(missing, unexpected, mismatched)
    for (const [name, parameter] of own) {
      const value = state.get(name)!
      // a value that something else holds stays with it
      parameter.assign(deviceOf(value).kernels.copy(value))
    }
    return this
  }

  /** Moves all parameters to a device that is open. */
  async to(name: DeviceName): Promise<this> {
    for (const parameter of this.parameters())
      if (parameter.device !== name) parameter.assign(await toDevice(parameter, name))
    return this
  }

  /** The module as a tree, with shapes and counts. */
  toString(): string {
    return tree(this).join('\n')
  }
}

function tree(module: Module, name = '', indent = ''): string[] {
  const head = `${indent}${name}${name && ': '}${module.constructor.name} (${module.parameterCount().toLocaleString('en')})`
  const lines = [...fields(module)].flatMap(([field, value]) => {
    if (value instanceof Module) return tree(value, field, `${indent}  `)
    if (value instanceof Parameter)
      return [`${indent}  ${field}: ${show(value.shape)}${value.trainable ? '' : ' frozen'}`]
    return []
  })
  return [head, ...lines]
}

const isState = new is.Kind<ReadonlyMap<string, Tensor>>(
  'a Map of tensors by name, as stateDict gives it',
  x => x instanceof Map,
)

/** What is differentiated of what a loss function gave. */
function scalarOf(loss: unknown): Tensor {
  const scalar = loss instanceof Tensor ? loss : (loss as { total?: unknown } | undefined)?.total
  if (scalar instanceof Tensor) return scalar
  const advice = loss === undefined ? 'return the loss' : 'return a scalar tensor, or an object with one as total'
  throw new ArgumentError(`lossAndGradients: f gave ${given(loss)}: ${advice}`, 'lossAndGradients', 'f', loss)
}

/**
 * The value of a loss and its gradient for every trainable parameter of a module, by name.
 * @param f computes a scalar, or a record of tensors of which `total` is the scalar to differentiate
 */
export function lossAndGradients<T extends Tensor | { readonly total: Tensor }>(
  module: Module,
  f: () => T,
): { loss: T; gradients: Map<string, Tensor> } {
  const call = 'lossAndGradients(module, f)'
  checkArguments(call, [is.instance('a module', Module), is.callback], [module, f])
  const tape = new Tape()
  try {
    const trainable = [...module.namedParameters()].filter(([, parameter]) => parameter.trainable)
    for (const [name, parameter] of trainable) tape.watch(parameter, name)
    const loss = tape.run(f)
    const scalar = scalarOf(loss)
    const parameters = trainable.map(([, parameter]) => parameter)
    const values = tape.finish(scalar, parameters, loss)
    const gradients = new Map(trainable.map(([name], i) => [name, values[i]]))
    return { loss, gradients }
  } finally {
    tape.end()
  }
}
