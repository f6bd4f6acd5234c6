// The tape: while it records, every operation on a watched tensor is written down; walking back over what was written
// gives gradients. A tape knows tensors by identity and keeps the very tensors that the operations used, so a gradient
// computed while an outer tape records is recorded there like anything else: gradients of gradients need nothing more.

import {
  broadcastsTo,
  deviceOf,
  type Generator,
  isFloating,
  onesLike,
  Scope,
  type Storage,
  sameShape,
  scope,
  show,
  storagesIn,
  Tensor,
  zerosLike,
} from '../tensor/index.ts'
import { toMermaid, toText } from './print.ts'

/** One thunk an argument; undefined where there is nothing to differentiate. */
export type Thunks = readonly ((() => Tensor) | undefined)[]

/** One line of a tape: an operation, what it was called with, what came out, and the way back. */
export interface Entry {
  readonly name: string
  readonly args: readonly unknown[]
  readonly result: Tensor
  /** Gradients of the arguments, from the gradient of the result; written in differentiable operations. */
  readonly rule: (gradient: Tensor) => Thunks
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

let recorders: readonly Recorder[] = []

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
    if (!isFloating(x.dtype)) throw new GradientError(`watch: ${x.dtype} has no gradients`, x)
    this.watched.set(x, name)
    this.#values.set(x, x.storage)
    this.#tracked.add(x)
    return x
  }

  /** Runs `f` while recording. What it makes belongs to the tape, until `end`. */
  run<T>(f: () => T): T {
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
   * @throws GradientError where the result is not a scalar and no seed is given
   */
  gradient(result: Tensor, inputs: readonly Tensor[], seed?: Tensor): Tensor[] {
    if (this.#ended) throw new Error('this tape has ended')
    this.#check(result, inputs, seed)
    const wanted = new Set(inputs)
    return scope(() => {
      const gradients = new Map<Tensor, Tensor>([[result, seed ?? onesLike(result)]])
      for (let i = this.entries.length - 1; i >= 0; i--) {
        const entry = this.entries[i]
        const gradient = gradients.get(entry.result)
        if (!gradient) continue
        if (!wanted.has(entry.result)) gradients.delete(entry.result)
        const thunks = entry.rule(gradient)
        entry.args.forEach((arg, position) => {
          const thunk = thunks[position]
          if (!thunk || !(arg instanceof Tensor) || !this.tracks(arg)) return
          const part = conform(entry, position, thunk(), arg)
          const sum = gradients.get(arg)
          gradients.set(arg, sum ? sum.add(part) : part)
        })
      }
      return inputs.map(x => gradients.get(x) ?? zerosLike(x))
    }, 'its backward pass')
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
  toString(): string {
    return toText(this)
  }

  /** The tape as a Mermaid flowchart. */
  toMermaid(): string {
    return toMermaid(this)
  }

  #check(result: Tensor, inputs: readonly Tensor[], seed?: Tensor): void {
    if (!isFloating(result.dtype))
      throw new GradientError(
        `a ${result.dtype} result has no gradient: comparisons and argmax cannot be differentiated`,
        result,
      )
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

/** A rule's answer made the argument's: summed over axes that were broadcast, of its dtype. */
function conform(entry: Entry, position: number, gradient: Tensor, arg: Tensor): Tensor {
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
