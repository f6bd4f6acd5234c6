// The tape: while it records, every operation on a watched tensor is written down; walking back over what was written
// gives gradients. A tape knows tensors by identity and keeps the very tensors that the operations used, so a gradient
// computed while an outer tape records is recorded there like anything else: gradients of gradients need nothing more.

// a tape can be declared with `using`, whatever library the program is checked with
/// <reference lib="esnext.disposable" preserve="true" />

import { checkArguments } from '../tensor/arguments.ts'
import { inspected, mimeBundle } from '../tensor/display.ts'
import {
  type InspectOptions,
  inspectCustom,
  isFloating,
  jupyterDisplay,
  type MimeBundle,
  onesLike,
  Scope,
  type Storage,
  show,
  storagesIn,
  Tensor,
  zerosLike,
} from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { checkSeed, thunksOf } from './checks.ts'
import { GradientError, HOW_VALUES_LEAVE, noGradients } from './gradient-error.ts'
import { conform, firstUses, Gradients, type Part } from './gradients.ts'
import { inFull, inOneLine, type TapeTextOptions, toMermaid, toText } from './print.ts'
import { type Entry, inPhase, isRecording, observing, type Recorder } from './recording.ts'

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
 *
 * | call                       | gives                                              | afterwards the tape                    |
 * | -------------------------- | -------------------------------------------------- | -------------------------------------- |
 * | `gradient(y, xs, seed)`    | gradients, zeros where y does not depend on x      | stays                                  |
 * | `finish(y, xs, kept)`      | the same                                           | has ended                              |
 * | `partials(y, xs, options)` | gradients, undefined where no operation leads to x | stays, or has ended with `ends`        |
 * | `end(kept)`, `using`       | nothing                                            | has ended                              |
 * | `handOver()`               | nothing                                            | stays, its memory is the outer scope's |
 *
 * When a tape ends, what was made while it ran is given back, except what is `kept` and the gradients; `finish` and `partials`
 * give it back on the way, as soon as nothing needs it. Without a seed y must be a scalar.
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
    const result = inPhase('forward', () => observing(this, () => this.#scope.run(f)))
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
    if (!ends) return this.#walk(result, inputs, seed, [])
    // what another tape records is not ours to give back
    const freed = isRecording() ? [] : firstUses(this.entries, this.#scope, storagesIn([result, kept]))
    const gradients = this.#walk(result, inputs, seed, freed)
    this.end([kept, gradients])
    return gradients
  }

  /** @param freed what is given back after each entry */
  #walk(
    result: Tensor,
    inputs: readonly Tensor[],
    seed: Tensor | undefined,
    freed: readonly (Storage | undefined)[],
  ): (Tensor | undefined)[] {
    const pass = new Scope('its backward pass')
    const back = () => {
      const gradients = new Gradients(pass, inputs)
      gradients.add(result, seed ?? onesLike(result))
      for (let i = this.entries.length - 1; i >= 0; i--) {
        const entry = this.entries[i]
        gradients.passOn(entry.result, gradient => this.#partsOf(entry, gradient))
        freed[i]?.free('its backward pass')
      }
      return inputs.map(x => gradients.get(x))
    }
    return inPhase('backward', () => pass.close(back))
  }

  /** What one operation adds to the gradients of its arguments. */
  #partsOf(entry: Entry, gradient: Tensor): Part[] {
    const thunks = thunksOf(entry, gradient)
    return entry.args.flatMap((arg, i): Part[] => {
      const part = arg instanceof Tensor && this.tracks(arg) && thunks[i]?.()
      return part ? [[arg, conform(entry, i, part, arg)]] : []
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
    checkSeed(result, seed)
    for (const x of inputs)
      if (!this.tracks(x))
        throw new GradientError(`a tensor of shape ${show(x.shape)} is not on this tape: watch it before running`, x)
    for (const [x, storage] of this.#values)
      if (x.storage !== storage)
        throw new GradientError(`${this.watched.get(x)} was given a new value between recording and walking back`, x)
  }
}
