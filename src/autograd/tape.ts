// The tape records every operation on a watched tensor, and a backward pass over the records computes gradients. A tape
// identifies tensors by object identity and keeps the tensors that the operations used, so an outer tape records the
// computation of a gradient like any other: gradients of gradients need no further code.

// a tape can be declared with `using`, independently of the `lib` setting of the program
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
import { completions, conform, firstUses, Gradients } from './gradients.ts'
import { inPhase } from './observing.ts'
import { inFull, inOneLine, type TapeTextOptions, toMermaid, toText } from './print.ts'
import { type Entry, isRecording, observing, type Part, type Recorder } from './recording.ts'

/** Options of a backward pass. */
export interface PartialsOptions {
  /** gradient of the result, of its shape; default 1, for a result that is a scalar */
  readonly seed?: Tensor
  /** whether the tape ends after the pass, as in `finish`; default false */
  readonly ends?: boolean
  /** tensors, or objects with tensors, whose memory is not freed when the tape ends */
  readonly kept?: unknown
  /**
   * called with each input and its gradient as soon as all operations that use the input have added to it, during the pass. The
   * gradient is freed afterwards, unless `keep` is called on it, and is not returned. The input may then be assigned a new value: the
   * rest of the pass does not use it. Needs `ends`
   */
  readonly onGradient?: (input: Tensor, gradient: Tensor) => void
}
const partialsOptions = {
  seed: is.optional(is.tensor),
  ends: false,
  kept: undefined,
  onGradient: is.optional(is.callback) as is.Kind<PartialsOptions['onGradient']>,
} satisfies Settings<PartialsOptions>

/** Gradients, with zeros for those that are undefined. */
export const orZeros = (gradients: readonly (Tensor | undefined)[], inputs: readonly Tensor[]): Tensor[] =>
  gradients.map((gradient, i) => gradient ?? zerosLike(inputs[i]))

/**
 * A record of operations in order, each with its arguments, result and gradient rule. A backward pass over it computes
 * gradients.
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
 * When a tape ends, it frees the tensors made while it ran, except what is `kept` and the gradients; `finish` and `partials`
 * with `ends` free each as soon as it is not needed any more. Without a seed y must be a scalar.
 */
export class Tape implements Recorder {
  /** the recorded operations, in the order in which they ran */
  readonly entries: Entry[] = []
  /** the tensors that gradients can be requested for, with the names that are printed */
  readonly watched = new Map<Tensor, string>()
  readonly #tracked = new Set<Tensor>()
  readonly #values = new Map<Tensor, Storage>()
  readonly #scope = new Scope('its tape', true)
  #ended = false

  /** Records operations on a tensor from now on. Throws GradientError unless it is floating. */
  watch<T extends Tensor>(x: T, name = `x${this.watched.size}`): T {
    checkArguments('tape.watch(x, name)', [is.tensor, is.text], [x, name])
    if (!isFloating(x.dtype)) throw noGradients('watch: x', x)
    this.watched.set(x, name)
    this.#values.set(x, x.storage)
    this.#tracked.add(x)
    return x
  }

  /** Runs `f` while recording. The tape owns the tensors that `f` makes, until it ends. */
  run<T>(f: () => T): T {
    checkArguments('tape.run(f)', [is.callback], [f])
    if (this.#ended) throw new Error('this tape has ended; make a new one')
    const result = inPhase('forward', () => observing(this, () => this.#scope.run(f)))
    if (result instanceof Promise)
      throw new TypeError('tape.run: f must not be async; await its data before the call (operations are synchronous)')
    return result
  }

  /** Adds an entry if its result is floating and one of its arguments is tracked. Operations call it. */
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
   * d result / d inputs, by a backward pass over the tape; may be called more than once.
   * @param seed gradient of the result, of its shape; default 1, for a result that is a scalar
   * @returns one gradient per input, of the input's shape and dtype; zeros if the result does not depend on it
   * @throws GradientError if the result is not a scalar and no seed is given, and if it depends on no watched tensor: see
   *   `partials` for results that may be constant
   */
  gradient(result: Tensor, inputs: readonly Tensor[], seed?: Tensor): Tensor[] {
    const kinds = [is.tensor, is.tensorList, is.optional(is.tensor)]
    checkArguments('tape.gradient(result, inputs, seed)', kinds, [result, inputs, seed])
    this.#checkRecorded(result)
    return orZeros(this.partials(result, inputs, { seed }), inputs)
  }

  /**
   * As `gradient`, and ends the tape: the pass frees each recorded tensor as soon as it is not needed any more.
   * @param kept tensors, or objects with tensors, whose memory is not freed
   */
  finish(result: Tensor, inputs: readonly Tensor[], kept?: unknown): Tensor[] {
    const kinds = [is.tensor, is.tensorList, is.anything]
    checkArguments('tape.finish(result, inputs, kept)', kinds, [result, inputs, kept])
    this.#checkRecorded(result)
    return orZeros(this.partials(result, inputs, { ends: true, kept }), inputs)
  }

  /**
   * As `gradient` and `finish`, but a gradient is undefined, not zeros, if no path of operations leads from the input to the
   * result. All gradients are undefined if the result is a constant.
   * @param options.ends whether the tape ends after the pass, which frees all memory but that of `kept`
   * @param options.onGradient takes each gradient as soon as it is complete, so that they are never in memory all together
   * @throws GradientError if the result is not a scalar and no seed is given; TypeError if `onGradient` is given without `ends`
   */
  partials(result: Tensor, inputs: readonly Tensor[], options?: PartialsOptions): (Tensor | undefined)[] {
    const call = 'tape.partials(result, inputs, options)'
    checkArguments(call, [is.tensor, is.tensorList, is.options], [result, inputs, options])
    const { seed, ends, kept, onGradient } = settle(call, options, partialsOptions)
    if (onGradient && !ends)
      throw new TypeError(
        'tape.partials: onGradient needs { ends: true }, because the inputs may change while the pass goes on',
      )
    this.#check(result, inputs, seed)
    if (!ends) return this.#walk(result, inputs, seed, [])
    // values that another tape records must not be freed
    const freed = isRecording() ? [] : firstUses(this.entries, this.#scope, storagesIn([result, kept]))
    const gradients = this.#walk(result, inputs, seed, freed, onGradient)
    this.end([kept, gradients])
    return gradients
  }

  /**
   * @param freed memory to free after each entry
   * @param onGradient takes the gradients of the inputs, each after the first entry that uses the input
   */
  #walk(
    result: Tensor,
    inputs: readonly Tensor[],
    seed: Tensor | undefined,
    freed: readonly (Storage | undefined)[],
    onGradient?: PartialsOptions['onGradient'],
  ): (Tensor | undefined)[] {
    const pass = new Scope('its backward pass')
    const asked = onGradient && new Set(inputs)
    const complete = onGradient ? completions(this.entries, inputs) : []
    const back = () => {
      const gradients = new Gradients(pass, onGradient ? [] : inputs)
      gradients.add(result, seed ?? onesLike(result))
      for (let i = this.entries.length - 1; i >= 0; i--) {
        const entry = this.entries[i]
        gradients.passOn(entry.result, gradient => {
          if (asked?.has(entry.result)) onGradient!(entry.result, gradient)
          return this.#partsOf(entry, gradient)
        })
        freed[i]?.free('its backward pass')
        for (const x of complete[i] ?? []) gradients.give(x, onGradient!)
      }
      // the result itself may be an input
      if (onGradient) for (const x of inputs) gradients.give(x, onGradient)
      return inputs.map(x => gradients.get(x))
    }
    return inPhase('backward', () => pass.close(back))
  }

  /**
   * What the operations add to the gradients of watched tensors, in the order of a backward pass, and ends the tape. A pass that adds these
   * parts one after the other gives the same sums, bit for bit, as one over the operations themselves.
   * @param seed gradient of the result
   */
  partsOfWatched(result: Tensor, seed: Tensor): Part[] {
    const freed = isRecording() ? [] : firstUses(this.entries, this.#scope, storagesIn(result))
    const pass = new Scope('its backward pass')
    const back = () => {
      const gradients = new Gradients(pass, [])
      const parts: Part[] = []
      const add = <P extends Part[1]>(x: Tensor, part: P): readonly [arg: Tensor, part: P] => {
        if (!this.watched.has(x)) return [x, part]
        parts.push([x, part])
        // under a name of its own, so that it is neither summed nor freed
        return [x.view(x.shape, x.strides), part]
      }
      gradients.add(...add(result, seed))
      for (let i = this.entries.length - 1; i >= 0; i--) {
        const entry = this.entries[i]
        gradients.passOn(entry.result, gradient => this.#partsOf(entry, gradient).map(part => add(...part)))
        freed[i]?.free('its backward pass')
      }
      return parts
    }
    const parts = inPhase('backward', () => pass.close(back))
    this.end(parts)
    return parts
  }

  /** The contributions of one operation to the gradients of its arguments. */
  #partsOf(entry: Entry, gradient: Tensor): readonly Part[] {
    if (entry.parts) return entry.parts(gradient, arg => this.tracks(arg))
    const thunks = thunksOf(entry, gradient)
    return entry.args.flatMap((arg, i): Part[] => {
      if (!(arg instanceof Tensor && this.tracks(arg))) return []
      const thunk = thunks[i]
      if (thunk?.window) return [[arg, thunk.window()]]
      const part = thunk?.()
      return part ? [[arg, conform(entry, i, part, arg)]] : []
    })
  }

  /** Frees everything recorded, except the memory of what is kept. */
  end(kept?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.entries.length = 0
    this.#tracked.clear()
    this.#scope.end(storagesIn(kept))
  }

  /** Gives the outer scope the ownership of what the tape has recorded so far; the tape continues. */
  handOver(): void {
    this.#scope.handOver()
  }

  /** Ends the tape at the end of a block with `using`; the same as `end`. */
  [Symbol.dispose](): void {
    this.end()
  }

  /** The tape as a list, one operation per line. */
  toString(options?: TapeTextOptions): string {
    return toText(this, options)
  }

  /** The text that the consoles of Node, Deno and Bun print. */
  [inspectCustom](depth?: number | null, options?: InspectOptions): string {
    return inspected({ name: 'Tape', line: () => inOneLine(this), text: () => inFull(this) }, depth, options)
  }

  /** The display in a notebook. */
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
      `the tape did not record the result of shape ${show(result.shape)}: compute it inside tape.run, from watched tensors. ${HOW_VALUES_LEAVE}`,
      result,
    )
  }

  #check(result: Tensor, inputs: readonly Tensor[], seed?: Tensor): void {
    if (this.#ended) throw new Error('this tape has ended; make a new one')
    checkSeed(result, seed)
    for (const x of inputs)
      if (!this.tracks(x))
        throw new GradientError(
          `a tensor of shape ${show(x.shape)} is not on this tape: call tape.watch on it before tape.run`,
          x,
        )
    for (const [x, storage] of this.#values)
      if (x.storage !== storage)
        throw new GradientError(
          `${this.watched.get(x)} was assigned a new value after it was recorded: compute the gradient before the update`,
          x,
        )
  }
}
