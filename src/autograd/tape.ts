// The tape: while it records, every operation on a watched tensor is written down; walking back over what was written
// gives gradients. A tape knows tensors by identity and keeps the very tensors that the operations used, so a gradient
// computed while an outer tape records is recorded there like anything else: gradients of gradients need nothing more.

// a tape can be declared with `using`, whatever library the program is checked with
/// <reference lib="esnext.disposable" preserve="true" />

import { checkArguments } from '../tensor/arguments.ts'
import type { Owned } from '../tensor/context.ts'
import { inspected, mimeBundle } from '../tensor/display.ts'
import { given } from '../tensor/given.ts'
import {
  broadcastsTo,
  deviceOf,
  type Generator,
  type InspectOptions,
  inspectCustom,
  isFloating,
  jupyterDisplay,
  type MimeBundle,
  onesLike,
  Scope,
  type Storage,
  sameShape,
  show,
  storagesIn,
  Tensor,
  zerosLike,
} from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { inFull, inOneLine, type TapeTextOptions, toMermaid, toText } from './print.ts'

/** One thunk an argument; undefined where there is nothing to differentiate, which a thunk may also find out when it runs. */
export type Thunks = readonly ((() => Tensor | undefined) | undefined)[]

/** One line of a tape: an operation, what it was called with, what came out, and the way back. */
export interface Entry {
  readonly name: string
  readonly args: readonly unknown[]
  readonly result: Tensor
  /** Gradients of the arguments, from the gradient of the result; written in differentiable operations. */
  rule(gradient: Tensor): Thunks
}

/** Whoever wants to know of operations while they run. */
export interface Recorder {
  record(entry: Entry): void
  /** Random numbers are drawn, beginning at a position. */
  draw?(generator: Generator, position: number): void
}

/** A gradient that does not exist, or a rule that is wrong; the message says which. */
export class GradientError extends Error {
  override readonly name = 'GradientError'
  readonly tensor: Tensor

  constructor(message: string, tensor: Tensor) {
    super(message)
    this.tensor = tensor
  }
}

/** The error of a tensor that cannot be differentiated by; it says what to write. */
export const noGradients = (what: string, x: Tensor): GradientError =>
  new GradientError(
    `${what} is ${x.dtype}, and only floating tensors have gradients; write x.cast('float32'), or tensor([…]) of numbers`,
    x,
  )

/** Refuses a result that has no gradients. */
export function checkResult(result: Tensor): void {
  if (!isFloating(result.dtype))
    throw new GradientError(
      `the result is ${result.dtype}, and only floating results have gradients: comparisons and argmax cannot be differentiated`,
      result,
    )
}

const areThunks = (thunks: unknown): thunks is Thunks =>
  Array.isArray(thunks) && thunks.every(thunk => thunk === undefined || typeof thunk === 'function')

let recorders: readonly Recorder[] = []

/** Whether operations are being recorded on a tape. */
export const isRecording = (): boolean => recorders.length > 0

/** Tells every recorder of an operation. */
export function record(entry: Entry): void {
  for (const recorder of recorders) recorder.record(entry)
}

/** Tells every recorder that a generator is drawn from, beginning at a position. */
export function announceDraw(generator: Generator, position = generator.state.position): void {
  for (const recorder of recorders) recorder.draw?.(generator, position)
}

function withRecorders<T>(list: readonly Recorder[], f: () => T): T {
  const outer = recorders
  recorders = list
  try {
    return f()
  } finally {
    recorders = outer
  }
}

/** Runs `f` with one more recorder. */
export const observing = <T>(recorder: Recorder, f: () => T): T => withRecorders([...recorders, recorder], f)

/**
 * Runs `f` with nothing recorded, for inference and for updates of parameters. What `f` makes on the way is given back
 * when it ends, what it returns is not.
 */
export function noGrad<T>(f: () => T): T {
  checkArguments('noGrad(f)', [is.callback], [f])
  const inner = new Scope('noGrad', false)
  return withRecorders([], () => {
    let kept: unknown
    try {
      const result = inner.run(f)
      if (result instanceof Promise) throw new TypeError('noGrad runs synchronous code: await outside of it')
      kept = result
      return result
    } finally {
      inner.end(storagesIn(kept))
    }
  })
}

/** For messages about gradients that are missing: what makes a constant of a value. */
export const HOW_VALUES_LEAVE =
  'Values that were read by data(), dataSync(), array() or item(), and what stopGradient and noGrad return, are constants'

/** How a tape is walked back over. */
export interface PartialsOptions {
  /** the gradient of the result, of its shape; without one the result must be a scalar, and it is 1 */
  readonly seed?: Tensor
  /** whether the tape ends, as in `finish`; default false */
  readonly ends?: boolean
  /** whose memory is not given back at the end */
  readonly kept?: unknown
}
const partialsOptions = {
  seed: is.optional(is.tensor),
  ends: false,
  kept: undefined,
} satisfies Settings<PartialsOptions>

/** Gradients with zeros where there are none. */
export const orZeros = (gradients: readonly (Tensor | undefined)[], inputs: readonly Tensor[]): Tensor[] =>
  gradients.map((gradient, i) => gradient ?? zerosLike(inputs[i]))

/**
 * What was computed while it ran: each operation with its arguments, result and rule, in order. Gradients are found by walking
 * back over it.
 *
 *     const tape = new Tape()
 *     tape.watch(x)
 *     const y = tape.run(() => x.square().sum())
 *     const [gradient] = tape.gradient(y, [x])
 */
export class Tape implements Recorder {
  readonly entries: Entry[] = []
  /** the tensors that gradients can be asked for, with their names in print */
  readonly watched = new Map<Tensor, string>()
  readonly #tracked = new Set<Tensor>()
  readonly #values = new Map<Tensor, Storage>()
  readonly #scope = new Scope('its tape', true)
  #ended = false

  /** Records what becomes of a tensor from now on. Throws GradientError unless it is floating. */
  watch<T extends Tensor>(x: T, name = `x${this.watched.size}`): T {
    checkArguments('tape.watch(x, name)', [is.tensor, is.text], [x, name])
    if (!isFloating(x.dtype)) throw noGradients('watch: x', x)
    this.watched.set(x, name)
    this.#values.set(x, x.storage)
    this.#tracked.add(x)
    return x
  }

  /** Runs `f` while recording. What it makes belongs to the tape, until `end`. */
  run<T>(f: () => T): T {
    checkArguments('tape.run(f)', [is.callback], [f])
    if (this.#ended) throw new Error('this tape has ended')
    const result = observing(this, () => this.#scope.run(f))
    if (result instanceof Promise)
      throw new TypeError('a tape records synchronous code: await outside of it, operations themselves never wait')
    return result
  }

  record(entry: Entry): void {
    if (!isFloating(entry.result.dtype)) return
    if (!entry.args.some(arg => this.tracks(arg))) return
    this.#tracked.add(entry.result)
    this.entries.push(entry)
  }

  tracks(value: unknown): boolean {
    return this.#tracked.has(value as Tensor)
  }

  /**
   * d result / d inputs, walked back over the tape; may be called more than once.
   * @param seed the gradient of the result, of its shape; without one the result must be a scalar, and it is 1
   * @returns one gradient an input, of the input's shape and dtype; zeros where the result does not depend on it
   * @throws GradientError where the result is not a scalar and no seed is given, and where it depends on nothing that is
   *   watched: see `partials` for results that may be constant
   */
  gradient(result: Tensor, inputs: readonly Tensor[], seed?: Tensor): Tensor[] {
    const kinds = [is.tensor, is.tensorList, is.optional(is.tensor)]
    checkArguments('tape.gradient(result, inputs, seed)', kinds, [result, inputs, seed])
    this.#checkRecorded(result)
    return orZeros(this.partials(result, inputs, { seed }), inputs)
  }

  /**
   * The same for the last time, and ends the tape: what was recorded is given back on the way, as soon as nothing needs it.
   * @param kept whose memory is not given back
   */
  finish(result: Tensor, inputs: readonly Tensor[], kept?: unknown): Tensor[] {
    const kinds = [is.tensor, is.tensorList, is.anything]
    checkArguments('tape.finish(result, inputs, kept)', kinds, [result, inputs, kept])
    this.#checkRecorded(result)
    return orZeros(this.partials(result, inputs, { ends: true, kept }), inputs)
  }

  /**
   * As `gradient` and `finish`, but tells zeros of the structure from those of the numbers: a gradient is undefined where no
   * path of operations leads from the input to the result, and so are all of them where the result is a constant.
   * @param options.ends whether the tape ends with this, except for the memory of what is `kept`
   * @throws GradientError where the result is not a scalar and no seed is given
   */
  partials(result: Tensor, inputs: readonly Tensor[], options?: PartialsOptions): (Tensor | undefined)[] {
    const call = 'tape.partials(result, inputs, options)'
    checkArguments(call, [is.tensor, is.tensorList, is.options], [result, inputs, options])
    const { seed, ends, kept } = settle(call, options, partialsOptions)
    this.#check(result, inputs, seed)
    if (!ends) return this.#walk(result, inputs, seed)
    // what another tape records is not ours to give back
    const creators = isRecording() ? undefined : this.#creators(storagesIn([result, kept]))
    const gradients = this.#walk(result, inputs, seed, creators)
    this.end([kept, gradients])
    return gradients
  }

  /** @param creators for each entry the memory that nothing before it uses */
  #walk(
    result: Tensor,
    inputs: readonly Tensor[],
    seed: Tensor | undefined,
    creators?: readonly (Storage | undefined)[],
  ): (Tensor | undefined)[] {
    const pass = new Scope('its backward pass')
    const wanted = new Set(inputs)
    return pass.close(() => {
      const gradients = new Gradients(pass)
      gradients.add(result, seed ?? onesLike(result))
      for (let i = this.entries.length - 1; i >= 0; i--) {
        const entry = this.entries[i]
        const gradient = gradients.get(entry.result)
        if (gradient) {
          const { mark } = pass
          const parts = this.#parts(entry, gradient)
          gradients.addAll(parts)
          if (!wanted.has(entry.result)) gradients.delete(entry.result)
          gradients.sweep(mark)
        }
        creators?.[i]?.free('its backward pass')
      }
      return inputs.map(x => gradients.get(x))
    })
  }

  /** What one operation adds to the gradients of its arguments. */
  #parts(entry: Entry, gradient: Tensor): [arg: Tensor, part: Tensor][] {
    const thunks: unknown = entry.rule(gradient)
    const parts: [Tensor, Tensor][] = []
    if (!areThunks(thunks))
      throw new GradientError(
        `${entry.name}: the rule gave ${given(thunks)}; it must give a list with a function for each argument, such as [() => gradient.mul(2)]`,
        gradient,
      )
    for (let position = 0; position < entry.args.length; position++) {
      const arg = entry.args[position]
      if (!(arg instanceof Tensor && this.#tracked.has(arg))) continue
      const part = thunks[position]?.()
      if (part) parts.push([arg, conform(entry, position, part, arg)])
    }
    return parts
  }

  /** For each entry the memory that it was the first to use, if it belongs to this tape and is not kept. */
  #creators(kept: ReadonlySet<Storage>): (Storage | undefined)[] {
    const known = new Set(kept)
    return this.entries.map(({ args, result }) => {
      for (const arg of args) if (arg instanceof Tensor) known.add(arg.storage)
      const { storage } = result
      if (known.has(storage)) return undefined
      known.add(storage)
      return this.#scope.owns(storage) ? storage : undefined
    })
  }

  /** Gives back everything recorded, except the memory of what is kept. */
  end(kept?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.entries.length = 0
    this.#tracked.clear()
    this.#scope.end(storagesIn(kept))
  }

  /** Lets the scope outside own what the tape has recorded so far; the tape goes on. */
  handOver(): void {
    this.#scope.handOver()
  }

  [Symbol.dispose](): void {
    this.end()
  }

  /** The tape as a list, one operation a line. */
  toString(options?: TapeTextOptions): string {
    return toText(this, options)
  }

  /** What the consoles of Node, Deno and Bun print. */
  [inspectCustom](depth?: number | null, options?: InspectOptions): string {
    return inspected({ name: 'Tape', line: () => inOneLine(this), text: () => inFull(this) }, depth, options)
  }

  /** What a notebook shows. */
  [jupyterDisplay](): MimeBundle {
    return mimeBundle(inFull(this))
  }

  /** The tape as a Mermaid flowchart. */
  toMermaid(): string {
    return toMermaid(this)
  }

  #checkRecorded(result: Tensor): void {
    if (this.#ended || this.tracks(result) || !isFloating(result.dtype)) return
    throw new GradientError(
      `a result of shape ${show(result.shape)} that this tape did not record: compute it inside tape.run, from what is watched. ${HOW_VALUES_LEAVE}`,
      result,
    )
  }

  #check(result: Tensor, inputs: readonly Tensor[], seed?: Tensor): void {
    if (this.#ended) throw new Error('this tape has ended')
    checkResult(result)
    if (!seed && result.size !== 1)
      throw new GradientError(
        `the result has shape ${show(result.shape)}, and a gradient needs a scalar: sum it, or use vjp or jacobian`,
        result,
      )
    if (seed && !sameShape(seed.shape, result.shape))
      throw new GradientError(`a seed of shape ${show(seed.shape)} for a result of shape ${show(result.shape)}`, seed)
    for (const x of inputs)
      if (!this.tracks(x))
        throw new GradientError(`a tensor of shape ${show(x.shape)} is not on this tape: watch it before running`, x)
    for (const [x, storage] of this.#values)
      if (x.storage !== storage)
        throw new GradientError(`${this.watched.get(x)} was given a new value between recording and walking back`, x)
  }
}

/** The gradients that are known so far on the way back, with their memory: a sum is formed in place where nobody else looks. */
class Gradients {
  readonly #pass: Scope
  readonly #byTensor = new Map<Tensor, Tensor>()
  /** how many of the gradients lie in a memory */
  readonly #uses = new Map<Owned, number>()
  /** whether what is computed here is recorded elsewhere, and must stay as it is */
  readonly #isRecorded = isRecording()

  constructor(pass: Scope) {
    this.#pass = pass
  }

  get(x: Tensor): Tensor | undefined {
    return this.#byTensor.get(x)
  }

  /** Parts may lie in one memory, several for one tensor even: it is in use until all are added. */
  addAll(parts: readonly [x: Tensor, part: Tensor][]): void {
    for (const [, part] of parts) this.#use(part)
    for (const [x, part] of parts) this.add(x, part)
    for (const [, part] of parts) this.#release(part)
  }

  add(x: Tensor, part: Tensor): void {
    const sum = this.#byTensor.get(x)
    if (!sum) {
      this.#set(x, part)
      return
    }
    if (!this.#isRecorded && this.#isAlone(sum) && deviceOf(sum).kernels.accumulate?.(sum, part)) return
    const total = sum.add(part)
    this.delete(x)
    this.#set(x, total)
  }

  delete(x: Tensor): void {
    const gradient = this.#byTensor.get(x)
    if (!gradient) return
    this.#byTensor.delete(x)
    this.#release(gradient)
  }

  #release({ storage }: Tensor): void {
    const left = this.#uses.get(storage)! - 1
    if (left > 0) this.#uses.set(storage, left)
    else {
      this.#uses.delete(storage)
      if (!this.#isRecorded && this.#pass.owns(storage)) storage.free('its backward pass')
    }
  }

  /** Gives back what a rule made on its way. */
  sweep(mark: number): void {
    if (!this.#isRecorded) this.#pass.sweep(mark, storage => this.#uses.has(storage))
  }

  #set(x: Tensor, gradient: Tensor): void {
    this.#byTensor.set(x, gradient)
    this.#use(gradient)
  }

  #use({ storage }: Tensor): void {
    this.#uses.set(storage, (this.#uses.get(storage) ?? 0) + 1)
  }

  #isAlone(gradient: Tensor): boolean {
    return this.#uses.get(gradient.storage) === 1 && this.#pass.owns(gradient.storage)
  }
}

/** A rule's answer made the argument's: summed over axes that were broadcast, of its dtype. */
function conform(entry: Entry, position: number, gradient: Tensor, arg: Tensor): Tensor {
  if (!(gradient instanceof Tensor))
    throw new GradientError(
      `${entry.name}: the gradient of argument ${position} must be a tensor, not ${given(gradient)}`,
      arg,
    )
  if (!broadcastsTo(arg.shape, gradient.shape) || deviceOf(gradient) !== deviceOf(arg))
    throw new GradientError(
      `${entry.name}: the gradient of argument ${position} has shape ${show(gradient.shape)} on ${gradient.device}, its argument ${show(arg.shape)} on ${arg.device}`,
      gradient,
    )
  let result = gradient
  if (!sameShape(result.shape, arg.shape)) result = result.sumTo(arg.shape)
  if (result.dtype !== arg.dtype) result = result.cast(arg.dtype)
  return result
}
