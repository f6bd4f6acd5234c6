// The base of all optimizers: which parameters they move, how far, and the state of each. An algorithm is a pure
// function from a value, its gradient and its state to a new value and a new state.

import { noGrad } from '../autograd/index.ts'
import { lossAndGradients, Module, Parameter, type ParameterSource } from '../nn/index.ts'
import { nameOf, WHERE_PARAMETERS_ARE } from '../nn/module.ts'
import { copyOf } from '../nn/parameter.ts'
import { isParameterSource, namedIn } from '../nn/parameter-source.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { capturing } from '../tensor/capturing.ts'
import { bytesPerElement } from '../tensor/dtype.ts'
import { isPlain } from '../tensor/given.ts'
import {
  canReplace,
  type DeviceName,
  type DType,
  DTypeError,
  type MomentFormat,
  type PackedMoment,
  type Shape,
  ShapeError,
  sameShape,
  scope,
  show,
  sizeOf,
  type Tensor,
  toDevice,
  zeros,
} from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { checkMomentDevice, momentWords, seedOf } from '../tensor/moments.ts'
import { groups, OptionsError, type Settings, settle } from '../tensor/options.ts'
import { restoredAfterCount } from '../tensor/stand-ins.ts'
import { clipGradients } from './clip.ts'
import { areGradients } from './gradients.ts'
import { readMoment, writeMoment } from './moments.ts'
import { checkSetting } from './setting.ts'

/** Settings for the parameters that a predicate selects. */
export interface ParameterGroup {
  /** whether a parameter belongs to this group; the first group that returns true gets it */
  readonly match: (name: string, parameter: Parameter) => boolean
  /** default: that of the optimizer */
  readonly weightDecay?: number
  /** factor of the learning rate; default 1 */
  readonly learningRateFactor?: number
}
const groupOptions = {
  match: is.callback as is.Kind<ParameterGroup['match']>,
  weightDecay: is.optional(is.number),
  learningRateFactor: 1,
} satisfies Settings<ParameterGroup>

/** Biases, scales and other parameters of fewer than two axes, without weight decay. */
export const withoutDecay: ParameterGroup = { match: (_, parameter) => parameter.rank < 2, weightDecay: 0 }

/** Options of every optimizer. */
export interface OptimizerOptions {
  /** used if `step` is given none; default 1e-3 */
  readonly learningRate?: number
  /** share of a parameter that is subtracted at each step, times the learning rate */
  readonly weightDecay?: number
  /** parameters with settings of their own; the first group that matches applies; default none */
  readonly groups?: readonly ParameterGroup[]
}
/** Settings of every algorithm; each algorithm adds its own. */
export const optimizerOptions = {
  learningRate: 1e-3,
  weightDecay: 0,
  groups: groups<ParameterGroup>(groupOptions),
} satisfies Settings<OptimizerOptions>

/** The state of one parameter by name: moments, velocities. */
export type Slots = Readonly<Record<string, Tensor>>

/** Everything that the update of one parameter depends on. */
export interface UpdateInput {
  /** the parameter before the update */
  readonly value: Tensor
  /** of the value's shape */
  readonly gradient: Tensor
  /** zeros at the first step */
  readonly slots: Slots
  /** number of updates of the parameter, this one included: 1, 2, … */
  readonly step: number
  /** that of the parameter's group, at this step */
  readonly learningRate: number
  /** that of the parameter's group */
  readonly weightDecay: number
  /** in `updateInPlace`, the slots that are stored in a few bits, whose `slots` are int32 words */
  readonly packed?: Readonly<Record<string, PackedMoment>>
}

/** The new value and state of a parameter. */
export interface UpdateResult {
  /** the parameter after the update */
  readonly value: Tensor
  /** its state after the update */
  readonly slots: Slots
}

/** The state of an optimizer; the values are plain JSON. */
export interface OptimizerState {
  /** by `slot.parameter` */
  readonly tensors: ReadonlyMap<string, Tensor>
  /** the name of the algorithm and the number of updates of each parameter */
  readonly values: {
    readonly algorithm: string
    /** number of updates of each parameter */
    readonly steps: Readonly<Record<string, number>>
  }
}

const isState = new is.Kind<OptimizerState>(
  'what stateDict gives',
  x => isPlain(x) && x.tensors instanceof Map && isPlain(x.values),
)

/** A state that does not fit an optimizer; `problems` has a line for each mismatch. */
export class OptimizerStateError extends Error {
  override readonly name = 'OptimizerStateError'
  /** a line for each mismatch */
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    const more = problems.length > 5 ? [`and ${problems.length - 5} more`] : []
    super(['the optimizer state does not fit:', ...problems.slice(0, 5), ...more].join('\n  '))
    this.problems = problems
  }
}

interface Member {
  readonly parameter: Parameter
  readonly weightDecay: number
  readonly learningRateFactor: number
}

/** A function of each slot. */
const mapSlots = (slots: Slots, f: (slot: string, value: Tensor) => Tensor): Slots =>
  Object.fromEntries(Object.entries(slots).map(([slot, value]) => [slot, f(slot, value)]))

interface Memory {
  steps: number
  readonly slots: Readonly<Record<string, Parameter>>
}

/** Options of `minimize` of an optimizer. */
export interface MinimizeOptions {
  /** default: the optimizer's own */
  readonly learningRate?: number
  /** clips the norm of all gradients together, see `clipGradients`; default: no clipping */
  readonly maximumNorm?: number
  /** whether the loss may leave some parameters unused, without a warning; default false */
  readonly allowUnused?: boolean
  /**
   * whether each parameter is updated during the backward pass, as soon as its gradient is complete, which is then freed. The result is
   * the same, bit for bit, in less memory: the gradients are never there all together. Not with `maximumNorm`, which needs all
   * of them. An error in the middle of the pass leaves some parameters updated. Default false
   */
  readonly inBackward?: boolean
}
const minimizeOptions = {
  learningRate: is.optional(is.number),
  maximumNorm: is.optional(is.number),
  allowUnused: false,
  inBackward: false,
} satisfies Settings<MinimizeOptions>

/** Changes parameters by their gradients. `minimize` is a whole training step; `step` applies given gradients. */
export abstract class Optimizer {
  /** the learning rate of a step that is given none */
  readonly learningRate: number
  readonly #source: ParameterSource
  readonly #members = new Map<string, Member>()
  readonly #memories = new Map<string, Memory>()
  #owns: (name: string) => boolean = () => true

  /** Name of the algorithm in a saved state. */
  abstract readonly algorithm: string

  /**
   * @param parameters a module, or parameters with their names
   * @param options those that every algorithm has; an algorithm checks its own before
   * @throws TypeError if there are no parameters, or two of one name
   */
  constructor(parameters: ParameterSource, options: OptimizerOptions = {}) {
    const call = `new ${new.target.name}(parameters, options)`
    checkArguments(call, [isParameterSource], [parameters])
    // an algorithm checks its own options
    const own: OptimizerOptions = {
      learningRate: options.learningRate,
      weightDecay: options.weightDecay,
      groups: options.groups,
    }
    const { learningRate, weightDecay, groups } = settle(call, own, optimizerOptions)
    checkSetting('learningRate', learningRate, 0)
    this.learningRate = learningRate
    const source = parameters instanceof Module ? parameters : [...namedIn(new.target.name, parameters)]
    this.#source = source
    for (const [name, parameter] of source instanceof Module ? source.namedParameters() : source) {
      if (this.#members.has(name))
        throw new TypeError(`two parameters are called ${name}, but an optimizer needs distinct names: rename one`)
      const group = groups.find(({ match }) => match(name, parameter))
      const member = {
        parameter,
        weightDecay: group?.weightDecay ?? weightDecay,
        learningRateFactor: group?.learningRateFactor ?? 1,
      }
      checkSetting(`weightDecay of ${name}`, member.weightDecay, 0)
      checkSetting(`learningRateFactor of ${name}`, member.learningRateFactor, 0)
      this.#members.set(name, member)
    }
    if (this.#members.size === 0)
      throw new TypeError(
        parameters instanceof Module
          ? `an optimizer needs parameters, and ${nameOf(parameters)} has none: ${WHERE_PARAMETERS_ARE}`
          : 'an optimizer needs parameters, and the list is empty',
      )
  }

  /** The state of a parameter, with its shapes. */
  protected abstract slotShapes(parameter: Parameter): Readonly<Record<string, Shape>>

  /** The slots that are stored in a few bits, of the shape of their parameter, and their formats. Default: none. */
  protected slotFormats(): Readonly<Record<string, MomentFormat | undefined>> {
    return {}
  }

  /** The algorithm. */
  protected abstract update(input: UpdateInput): UpdateResult

  /** The algorithm for all parameters at once, in place; false if the device does not support it. */
  protected updateInPlace(_inputs: readonly UpdateInput[]): boolean {
    return false
  }

  /**
   * Updates the parameters that have a gradient; the others, and frozen ones, are not changed.
   * @param gradients by name, as `lossAndGradients` gives them
   * @throws RangeError for an unknown name, ShapeError for a gradient of another shape, DTypeError for one of
   *   another dtype; no parameter is changed then
   */
  step(gradients: ReadonlyMap<string, Tensor>, learningRate = this.learningRate): void {
    checkArguments(
      'optimizer.step(gradients, learningRate)',
      [areGradients, is.optional(is.number)],
      [gradients, learningRate],
    )
    checkSetting('learningRate', learningRate, 0)
    capturing()?.refuse('it steps an optimizer')
    restoredAfterCount(this, () => this.#saved())
    const isPacked = this.#isPacked
    const moving: { name: string; member: Member; gradient: Tensor }[] = []
    for (const [name, gradient] of gradients) {
      const { shape, dtype } = gradient
      const member = this.#member(name)
      const own = member.parameter
      if (isPacked) checkMomentDevice(own.device)
      if (!sameShape(shape, own.shape))
        throw new ShapeError(
          `step: the gradient of ${name} has shape ${show(shape)}, but the parameter has shape ${show(own.shape)}`,
          shape,
          own.shape,
        )
      if (dtype !== own.dtype)
        throw new DTypeError(`step: the gradient of ${name} is ${dtype}, but the parameter is ${own.dtype}`, dtype)
      if (own.trainable && this.#owns(name)) moving.push({ name, member, gradient })
    }
    if (moving.length === 0) return
    const memories = moving.map(({ name, member }) => this.#memory(name, member.parameter))
    const inputs = moving.map(({ name, member, gradient }, i): UpdateInput => {
      const { parameter, weightDecay, learningRateFactor } = member
      const memory = memories[i]
      return {
        value: parameter,
        gradient,
        slots: memory.slots,
        step: memory.steps + 1,
        learningRate: learningRate * learningRateFactor,
        weightDecay,
        packed: isPacked ? this.#packed(name, parameter, memory) : undefined,
      }
    })
    const isDone = noGrad(() => this.updateInPlace(inputs))
    for (const [i, input] of inputs.entries()) {
      const [{ parameter }, memory] = [moving[i].member, memories[i]]
      memory.steps++
      // one parameter at a time, so that only the intermediate values of one are in memory, and with the same result as alone
      if (isDone || noGrad(() => this.updateInPlace([input]))) parameter.renew()
      else
        noGrad(() => {
          const { packed } = input
          const plain = (slot: string, x: Tensor) => (packed?.[slot] ? readMoment(packed[slot], parameter.dtype) : x)
          const { value, slots } = this.update({ ...input, slots: mapSlots(memory.slots, plain) })
          parameter.assign(value)
          for (const [slot, own] of Object.entries(memory.slots))
            own.assign(packed?.[slot] ? writeMoment(slots[slot], packed[slot]) : slots[slot])
        })
    }
  }

  /**
   * One training step: computes a loss and its gradients, and updates the parameters. All intermediate values are freed, so
   * a training loop needs no scope.
   *
   *     for (const [x, y] of batches) optimizer.minimize(() => crossEntropy(model.forward(x), y))
   *
   * @param f computes a scalar, or a record of tensors of which `total` is the scalar to minimise
   * @returns the result of f before the step: read it with `await loss.item()`, not necessarily at every step
   * @throws as `lossAndGradients` and `step`; no parameter is changed then. With `inBackward`, an error in the middle of the backward
   *   pass leaves some parameters updated; OptionsError if it is given together with `maximumNorm`
   */
  minimize<T extends Tensor | { readonly total: Tensor }>(f: () => T, options?: MinimizeOptions): T {
    const call = 'optimizer.minimize(f, options)'
    checkArguments(call, [is.callback, is.options], [f, options])
    const { learningRate, maximumNorm, allowUnused, inBackward } = settle(call, options, minimizeOptions)
    if (inBackward && maximumNorm !== undefined)
      throw new OptionsError(
        `${call}: maximumNorm needs the norm of all gradients, but with inBackward each is freed before the next is there; leave one of the two out`,
        'optimizer.minimize',
        {
          option: 'inBackward',
          value: inBackward,
          known: Object.keys(minimizeOptions),
          reason: 'cannot be combined with maximumNorm',
        },
      )
    return scope(() => {
      if (inBackward) {
        const onGradient = (name: string, gradient: Tensor) => this.step(new Map([[name, gradient]]), learningRate)
        return lossAndGradients(this.#source, f, { allowUnused, onGradient }).loss
      }
      const { loss, gradients } = lossAndGradients(this.#source, f, { allowUnused })
      if (maximumNorm !== undefined) clipGradients(gradients, maximumNorm)
      this.step(gradients, learningRate)
      return loss
    }, 'minimize')
  }

  /** The parameters that were given, by name, frozen ones too. */
  get parameters(): ReadonlyMap<string, Parameter> {
    return new Map([...this.#members].map(([name, { parameter }]) => [name, parameter]))
  }

  /**
   * Restricts the optimizer to some of its parameters: `step` updates only those, and only they have state, also after `loadStateDict`,
   * which takes the state of all. For processes that divide an optimizer, each of which updates its share: see `shardOptimizer` of `fit`.
   * Frees the state of the others.
   * @param isOwn whether this process updates a parameter
   */
  restrictTo(isOwn: (name: string) => boolean): void {
    checkArguments('optimizer.restrictTo(isOwn)', [is.callback], [isOwn])
    this.#owns = isOwn
    for (const [name, { slots }] of this.#memories) {
      if (isOwn(name)) continue
      for (const { storage } of Object.values(slots)) storage.free('the restriction of its optimizer')
      this.#memories.delete(name)
    }
  }

  /** The factor of the learning rate of each parameter that is trainable, by name. */
  get learningRateFactors(): ReadonlyMap<string, number> {
    const trained = [...this.#members].filter(([, { parameter }]) => parameter.trainable)
    return new Map(trained.map(([name, { learningRateFactor }]) => [name, learningRateFactor]))
  }

  /**
   * Bytes that a step needs in addition to the parameters: their gradients, and state that is not allocated yet.
   * @param options.inBackward whether each parameter is updated during the backward pass: then only the largest gradient counts
   */
  bytesToCome({ inBackward = false }: Pick<MinimizeOptions, 'inBackward'> = {}): number {
    let [state, gradients] = [0, 0]
    for (const [name, { parameter }] of this.#members) {
      if (!parameter.trainable) continue
      const slots = this.#memories.has(name) || !this.#owns(name) ? [] : Object.values(this.#layouts(parameter))
      const each = bytesPerElement(parameter.dtype)
      state += slots.reduce((sum, { shape, dtype }) => sum + sizeOf(shape) * bytesPerElement(dtype), 0)
      gradients = inBackward ? Math.max(gradients, parameter.size * each) : gradients + parameter.size * each
    }
    return state + gradients
  }

  /** Everything that the next step depends on besides the parameters. The tensors change with every further step. */
  stateDict(): OptimizerState {
    const tensors = new Map<string, Tensor>()
    const steps: Record<string, number> = {}
    // in the order of the parameters, whatever the order of their first updates was
    for (const name of this.#members.keys()) {
      const memory = this.#memories.get(name)
      if (!memory) continue
      steps[name] = memory.steps
      for (const [slot, value] of Object.entries(memory.slots)) tensors.set(`${slot}.${name}`, value)
    }
    return { tensors, values: { algorithm: this.algorithm, steps } }
  }

  /** The state of each parameter by `slot.parameter`, as numbers: a new tensor where it is stored in a few bits. */
  slotValues(): ReadonlyMap<string, Tensor> {
    const tensors = new Map<string, Tensor>()
    for (const [name, memory] of this.#memories) {
      const { parameter } = this.#member(name)
      const packed = this.#packed(name, parameter, memory)
      for (const [slot, value] of Object.entries(memory.slots))
        tensors.set(`${slot}.${name}`, packed?.[slot] ? noGrad(() => readMoment(packed[slot], parameter.dtype)) : value)
    }
    return tensors
  }

  /**
   * Continues from a saved state: the following steps are bitwise the same. Nothing is changed unless everything fits.
   * @throws OptimizerStateError naming what is missing, superfluous, or of another shape or dtype
   */
  loadStateDict(state: OptimizerState): this {
    checkArguments('optimizer.loadStateDict(state)', [isState], [state])
    const { tensors, values } = state
    if (values.algorithm !== this.algorithm)
      throw new OptimizerStateError([`it is a state of ${values.algorithm}, but this optimizer is ${this.algorithm}`])
    const problems: string[] = []
    const unused = new Set(tensors.keys())
    const found: [name: string, steps: number, slots: [slot: string, value: Tensor][]][] = []
    for (const [name, steps] of Object.entries(values.steps)) {
      const parameter = this.#members.get(name)?.parameter
      if (!parameter) problems.push(`${name} is not a parameter of this optimizer`)
      if (!Number.isInteger(steps) || steps < 1)
        problems.push(`the number of updates of ${name} must be a positive integer, not ${steps}`)
      if (!parameter) continue
      const slots: [string, Tensor][] = []
      for (const [slot, { shape, dtype, format }] of Object.entries(this.#layouts(parameter))) {
        const key = `${slot}.${name}`
        const value = tensors.get(key)
        unused.delete(key)
        if (!value) problems.push(`${key} is missing`)
        else if (format ? value.dtype !== 'int32' : value.dtype === 'int32' && !sameShape(value.shape, shape))
          problems.push(
            `${key} is stored ${format ? `as ${format}` : 'in float32'} here and ${format ? 'in float32' : 'in fewer bits'} there: set the option moments as it was`,
          )
        else if (!sameShape(value.shape, shape))
          problems.push(`${key} is ${show(shape)} here and ${show(value.shape)} there`)
        else if (!canReplace(value.dtype, dtype)) problems.push(`${key} is ${dtype} here and ${value.dtype} there`)
        else slots.push([slot, value])
      }
      found.push([name, steps, slots])
    }
    for (const key of unused) problems.push(`${key} is not part of the state of this optimizer`)
    if (problems.length > 0) throw new OptimizerStateError(problems)
    this.#memories.clear()
    for (const [name, steps, slots] of found) {
      if (!this.#owns(name)) continue
      const copies = slots.map(([slot, value]) => [slot, new Parameter(copyOf(value))] as const)
      this.#memories.set(name, { steps, slots: Object.fromEntries(copies) })
    }
    return this
  }

  /** Moves the state to an open device, after the parameters were moved there. */
  async to(name: DeviceName): Promise<this> {
    if (this.#isPacked) checkMomentDevice(name)
    for (const { slots } of this.#memories.values())
      for (const value of Object.values(slots)) value.assign(await toDevice(value, name))
    return this
  }

  /** Returns a function that restores the state, except the values of its tensors. */
  #saved(): () => void {
    const saved = [...this.#memories].map(([name, memory]) => [name, { ...memory }] as const)
    return () => {
      this.#memories.clear()
      for (const [name, memory] of saved) this.#memories.set(name, memory)
    }
  }

  #member(name: string): Member {
    const member = this.#members.get(name)
    if (!member) throw new RangeError(`step: ${name} is not a parameter of this optimizer`)
    return member
  }

  /** How the state of a parameter is stored. */
  #layouts(parameter: Parameter): Record<string, { shape: Shape; dtype: DType; format?: MomentFormat }> {
    const formats = this.slotFormats()
    const layouts = Object.entries(this.slotShapes(parameter)).map(([slot, shape]) => {
      const format = formats[slot]
      if (!format) return [slot, { shape, dtype: parameter.dtype }] as const
      return [slot, { shape: [momentWords(format, sizeOf(shape))], dtype: 'int32', format }] as const
    })
    return Object.fromEntries(layouts)
  }

  get #isPacked(): boolean {
    return Object.values(this.slotFormats()).some(format => format !== undefined)
  }

  /** The state of a parameter that is stored in a few bits, if any, with the seeds of its next rounding. */
  #packed(name: string, { shape }: Parameter, { steps, slots }: Memory): Record<string, PackedMoment> | undefined {
    const packed = Object.entries(this.slotFormats()).flatMap(([slot, format]) =>
      format
        ? [[slot, { format, words: slots[slot], shape, seed: seedOf(`${slot}.${name}`, steps + 1) }] as const]
        : [],
    )
    return packed.length > 0 ? Object.fromEntries(packed) : undefined
  }

  #memory(name: string, parameter: Parameter): Memory {
    const known = this.#memories.get(name)
    if (known) return known
    const { device } = parameter
    const slots = Object.entries(this.#layouts(parameter)).map(
      ([slot, { shape, dtype }]) => [slot, new Parameter(zeros(shape, { dtype, device }))] as const,
    )
    const memory = { steps: 0, slots: Object.fromEntries(slots) }
    this.#memories.set(name, memory)
    return memory
  }
}
