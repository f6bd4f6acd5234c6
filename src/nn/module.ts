// A module is a class whose fields are parameters and modules, or arrays, plain objects and Maps of them, nested to any
// depth. The name of a parameter is its path through the fields. No registration and no base constructor is needed.
// Values that no field holds (private fields, closures, objects of other classes) are not part of the module.

import { checkArguments } from '../tensor/arguments.ts'
import { announceChange } from '../tensor/capturing.ts'
import { inspected, mimeBundle } from '../tensor/display.ts'
import { firstFew } from '../tensor/first-few.ts'
import { outlineHtml } from '../tensor/html.ts'
import {
  canReplace,
  type DeviceName,
  type DType,
  type InspectOptions,
  inspectCustom,
  isFloating,
  jupyterDisplay,
  type MimeBundle,
  type Shape,
  sameShape,
  show,
  type Tensor,
  toDevice,
} from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type FieldPlace, placesIn, sameFields } from './fields.ts'
import { prepareForward } from './forward.ts'
import { Buffer, copyOf, ModuleTensor, Parameter } from './parameter.ts'

/** Parameters and buffers by path, as tensors: the content of a checkpoint. */
export type StateDict = Map<string, Tensor>

/** A value that cannot replace a parameter. */
export interface StateDictMismatch {
  /** path of the parameter or buffer */
  readonly name: string
  /** its shape in the module */
  readonly expected: Shape
  /** its shape in the state dict */
  readonly found: Shape
  /** if the shapes are equal and the types do not fit */
  readonly dtypes?: { readonly expected: DType; readonly found: DType }
}

/** A state dict that does not fit a module: what is missing, left over, or of another shape or dtype. */
export class StateDictError extends Error {
  override readonly name = 'StateDictError'
  /** names that the state dict does not have */
  readonly missing: readonly string[]
  /** names that the module does not have */
  readonly unexpected: readonly string[]
  /** values of another shape or dtype */
  readonly mismatched: readonly StateDictMismatch[]

  constructor(missing: readonly string[], unexpected: readonly string[], mismatched: readonly StateDictMismatch[]) {
    const lines = [
      ...mismatched.map(({ name, expected, found, dtypes }) =>
        dtypes
          ? `${name} is ${dtypes.expected} here and ${dtypes.found} there`
          : `${name} is ${show(expected)} here and ${show(found)} there`,
      ),
      ...(missing.length > 0 ? [`missing: ${firstFew(missing, 5)}`] : []),
      ...(unexpected.length > 0 ? [`not in the module: ${firstFew(unexpected, 5)}`] : []),
    ]
    super(`the state dict does not fit:\n  ${lines.join('\n  ')}`)
    this.missing = missing
    this.unexpected = unexpected
    this.mismatched = mismatched
  }
}

/** A parameter or module in a field that cannot have a name there; the message says why and what to do. */
export class FieldError extends TypeError {
  override readonly name = 'FieldError'
  /** the module with the field */
  readonly module: Module
  /** the path to it, as far as it exists */
  readonly path: string

  constructor(module: Module, { path, value, problem }: FieldPlace<Part>) {
    const part = value instanceof ModuleTensor ? `a ${value.constructor.name} of ${show(value.shape)}` : nameOf(value)
    super(
      `${nameOf(module)}: ${part} at ${path} has no name: ${problem}. Use an array, or a plain object or a Map whose keys are strings without dots. Put values that are not part of the module in a private field (#…)`,
    )
    this.module = module
    this.path = path
  }
}

/** For messages about missing parameters: where they are searched for. */
export const WHERE_PARAMETERS_ARE =
  'parameters are found in public fields and in the arrays, plain objects and Maps there, not in private fields (#…), closures or objects of other classes'

/** Name of a module's class. */
export const nameOf = (module: Module): string => module.constructor.name || 'a module'

const isState = new is.Kind<ReadonlyMap<string, Tensor>>(
  'a Map of tensors by name, as stateDict gives it',
  x => x instanceof Map,
)

type Part = Module | Parameter | Buffer

const isPart = (value: object): value is Part =>
  value instanceof Module || value instanceof Parameter || value instanceof Buffer

const held = new WeakSet<Parameter>()

/** Whether a field of some module holds a parameter. Only modules whose parameters were listed before are known. */
export const isHeld = (parameter: Parameter): boolean => held.has(parameter)

/**
 * The positions of parameters and modules in a module and in all modules inside. A part with several positions is listed
 * several times; a module is searched at the first one.
 * @param opened gets the module and everything inside that is searched
 * @throws FieldError for a part that has no name at any position
 */
export function placesBelow(module: Module, opened = new Set<object>()): FieldPlace<Part>[] {
  const places: FieldPlace<Part>[] = []
  const open = (owner: Module, prefix: string): void => {
    for (const place of placesIn(owner, isPart, prefix, opened)) {
      places.push(place)
      const { path, value, problem } = place
      if (problem !== undefined) continue
      if (value instanceof Module) open(value, `${path}.`)
      else if (value instanceof Parameter) held.add(value)
    }
  }
  open(module, '')
  const unnamed = places.filter(({ problem }) => problem !== undefined)
  if (unnamed.length === 0) return places
  const named = new Set(places.flatMap(({ value, problem }) => (problem === undefined ? [value] : [])))
  for (const place of unnamed)
    if (place.value !== module && !named.has(place.value)) throw new FieldError(module, place)
  return places
}

/** Returns a function that tells whether a module certainly has the same parameters, with the same names, as now. */
export function sameParameters(module: Module): () => boolean {
  if (module.namedParameters !== Module.prototype.namedParameters) return () => false
  const opened = new Set<object>()
  const places = placesBelow(module, opened)
  // what has no name is searched and is not in this set
  return places.some(({ problem }) => problem !== undefined) ? () => false : sameFields(opened, isPart)
}

/**
 * The base class of everything with parameters. A subclass holds parameters, buffers and modules in public fields, or in arrays, plain objects
 * and Maps there, and has a method `forward`. Outside of a tape, tensors that `forward` makes and does not return are freed.
 *
 *     class Perceptron extends Module {
 *       layers = [new Linear(2, 16), new Linear(16, 1)]
 *       forward(x: Tensor) {
 *         return this.layers[1].forward(this.layers[0].forward(x).gelu())
 *       }
 *     }
 */
export abstract class Module {
  /** whether dropout is active; `train` and `eval` set it */
  training = true

  constructor() {
    prepareForward(this, Module.prototype)
  }

  /** Every parameter, each once, in the order of `namedParameters`. */
  parameters(): Parameter[] {
    return [...this.namedParameters()].map(([, parameter]) => parameter)
  }

  /** Modules one level down, with their paths. */
  *children(): Generator<[name: string, module: Module]> {
    for (const { path, value, problem } of placesIn(this, isPart))
      if (value instanceof Module && problem === undefined) yield [path, value]
  }

  /**
   * This module with the path '', and every module inside with its path, from the outside to the inside; a shared one is listed once. As
   * `named_modules` of PyTorch.
   *
   *     for (const [path, module] of model.namedModules()) if (module instanceof Linear) console.log(path)
   *
   * @throws FieldError if a parameter or module cannot have a name
   */
  *namedModules(prefix = ''): Generator<[name: string, module: Module]> {
    yield [prefix.replace(/\.$/, ''), this]
    for (const named of namedOf(this, Module, prefix)) if (named[1] !== this) yield named
  }

  /**
   * Every parameter with its path; a shared one is listed once.
   * @throws FieldError if a parameter or module cannot have a name
   */
  *namedParameters(prefix = ''): Generator<[name: string, parameter: Parameter]> {
    yield* namedOf(this, Parameter, prefix)
  }

  /**
   * Every buffer with its path, such as the running means of batch normalizations; a shared one is listed once.
   * @throws FieldError if a buffer or module cannot have a name
   */
  *namedBuffers(prefix = ''): Generator<[name: string, buffer: Buffer]> {
    yield* namedOf(this, Buffer, prefix)
  }

  /** Number of elements of all parameters. */
  parameterCount(): number {
    return this.parameters().reduce((sum, parameter) => sum + parameter.size, 0)
  }

  /** Calls `f` on this module and all modules inside, once each. */
  apply(f: (module: Module) => void): this {
    checkArguments('module.apply(f)', [is.callback], [f])
    const modules = new Set<Module>([this])
    for (const { value } of placesBelow(this)) if (value instanceof Module) modules.add(value)
    for (const module of modules) f(module)
    return this
  }

  /**
   * Sets `training` of this module and all inside: dropout and normalizations behave as in training.
   * @param training default true
   */
  train(training = true): this {
    return this.apply(module => {
      if (module.training !== training) announceChange()
      module.training = training
    })
  }

  /** The same as `train(false)`: for evaluation and inference. */
  eval(): this {
    return this.train(false)
  }

  /** Freezes all parameters: they get no gradient and no update. */
  freeze(frozen = true): this {
    for (const parameter of this.parameters()) parameter.trainable = !frozen
    return this
  }

  /** The parameters, and after them the buffers. */
  stateDict(): StateDict {
    return new Map<string, Tensor>(tensorsOf(this))
  }

  /**
   * Assigns values by path, float32 or float64 as they are. Nothing is changed unless everything fits. Values on a device are
   * not checked for NaN here: use `checkFinite` of cocagrad/data for the values of a file.
   * @throws StateDictError naming parameters and buffers that are missing, unknown, or of another shape or dtype
   */
  loadStateDict(state: ReadonlyMap<string, Tensor>): this {
    checkArguments('module.loadStateDict(state)', [isState], [state])
    const own = checkState(this, state)
    for (const [name, tensor] of own) {
      const value = state.get(name)!
      // copied, because the caller still owns the value
      tensor.assign(copyOf(value))
    }
    return this
  }

  /**
   * Casts all parameters and floating buffers to float64, for experiments that need more digits than seven. On `reference` and `cpu`.
   * @throws DTypeError on a device that does not have float64
   */
  double(): this {
    return castAll(this, 'float64')
  }

  /** Casts all parameters and floating buffers to float32. */
  float(): this {
    return castAll(this, 'float32')
  }

  /** Moves all parameters and buffers to a device that is open. */
  async to(name: DeviceName): Promise<this> {
    for (const [, tensor] of tensorsOf(this)) if (tensor.device !== name) tensor.assign(await toDevice(tensor, name))
    return this
  }

  /** The module as a tree, with shapes and counts. */
  toString(): string {
    return tree(this).join('\n')
  }

  /** What the consoles of Node, Deno and Bun print. */
  [inspectCustom](depth?: number | null, options?: InspectOptions): string {
    const { name } = this.constructor
    return inspected({ name, line: () => tree(this)[0], text: () => String(this) }, depth, options)
  }

  /** What a notebook shows: a tree that folds. */
  [jupyterDisplay](): MimeBundle {
    return mimeBundle(String(this), outlineHtml(String(this)))
  }
}

function* namedOf<T extends Part>(
  module: Module,
  type: abstract new (...args: never[]) => T,
  prefix: string,
): Generator<[name: string, part: T]> {
  const seen = new Set<T>()
  for (const { path, value, problem } of placesBelow(module)) {
    if (!(value instanceof type) || problem !== undefined || seen.has(value)) continue
    seen.add(value)
    yield [`${prefix}${path}`, value]
  }
}

/**
 * The parameters and buffers of a module that a state fits.
 * @throws StateDictError naming those that are missing, unknown, or of another shape or dtype
 */
export function checkState(
  module: Module,
  state: ReadonlyMap<string, Pick<Tensor, 'shape' | 'dtype'>>,
): ReadonlyMap<string, ModuleTensor> {
  const own = new Map(tensorsOf(module))
  const missing = [...own.keys()].filter(name => !state.has(name))
  const unexpected = [...state.keys()].filter(name => !own.has(name))
  const mismatched = [...own].flatMap(([name, { shape, dtype }]): StateDictMismatch[] => {
    const value = state.get(name)
    if (!value) return []
    const mismatch = { name, expected: shape, found: value.shape }
    if (!sameShape(value.shape, shape)) return [mismatch]
    return canReplace(value.dtype, dtype) ? [] : [{ ...mismatch, dtypes: { expected: dtype, found: value.dtype } }]
  })
  if (missing.length + unexpected.length + mismatched.length > 0)
    throw new StateDictError(missing, unexpected, mismatched)
  return own
}

/** What a state dict has. */
const tensorsOf = (module: Module): [name: string, tensor: ModuleTensor][] => [
  ...module.namedParameters(),
  ...module.namedBuffers(),
]

function castAll<M extends Module>(module: M, dtype: 'float32' | 'float64'): M {
  for (const [, tensor] of tensorsOf(module))
    if (isFloating(tensor.dtype) && tensor.dtype !== dtype) tensor.assign(tensor.cast(dtype))
  return module
}

function tree(module: Module, name = '', indent = '', printed = new Set<Module>()): string[] {
  const label = `${indent}${name}${name && ': '}${module.constructor.name}`
  if (printed.has(module)) return [`${label} (as above)`]
  printed.add(module)
  const lines = placesIn(module, isPart).flatMap(({ path, value }) => {
    if (value instanceof Module) return tree(value, path, `${indent}  `, printed)
    const note = value instanceof Buffer ? ' buffer' : value.trainable ? '' : ' frozen'
    return [`${indent}  ${path}: ${show(value.shape)}${note}`]
  })
  return [`${label} (${module.parameterCount().toLocaleString('en')})`, ...lines]
}
