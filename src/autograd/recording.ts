// Notifies tapes of operations while they run.

import { checkArguments } from '../tensor/arguments.ts'
import { listenToDraws } from '../tensor/draws.ts'
import { type Generator, Scope, type Shape, storagesIn, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'

/** A gradient that is zero outside of a window of the argument. */
export interface WindowGradient {
  /** the gradient inside of the window */
  readonly values: Tensor
  /** first position of the window on each axis of the argument */
  readonly first: readonly number[]
  /** The sum of several, for an argument of a shape; written in differentiable operations. */
  readonly sum: (shape: Shape, windows: readonly WindowGradient[]) => Tensor
}

/** The contribution of one operation to the gradient of one of its arguments. */
export type Part = readonly [arg: Tensor, part: Tensor | WindowGradient]

/** Computes the gradient of one argument; undefined if it has none. */
export interface Thunk {
  (): Tensor | undefined
  /**
   * The same gradient where it is zero outside of a window. The tape collects those of a tensor and adds them up together, so that the
   * gradients of all slices of a tensor take as long as one of the whole.
   */
  readonly window?: () => WindowGradient
}

/** One thunk per argument; undefined for an argument without a gradient. */
export type Thunks = readonly (Thunk | undefined)[]

/**
 * How `jvp` computes the tangent of a result from those of the arguments:
 *
 * - `elementwise`: an element of the result depends on the elements of the arguments at its position alone, so the rule for the gradient
 *   is the rule for the tangent too;
 * - `linear`: the operation is linear in its floating arguments together; it is called with their tangents in place of them;
 * - `bilinear`: it is linear in each of them; the results with one tangent in place of an argument are added up;
 * - `definition`: through the operations of the definition, for a fused operation;
 * - a function that is given the tangents of the arguments, undefined for those without, and what a rule is given.
 */
export type Jvp<A extends readonly unknown[]> =
  | 'elementwise'
  | 'linear'
  | 'bilinear'
  | 'definition'
  | ((tangents: readonly (Tensor | undefined)[], result: Tensor, ...args: A) => Tensor)

/** What is known of an operation that `defineOp` or `defineFused` made. */
export interface DefinedOperation<A extends readonly unknown[]> {
  /** its name, as tapes and errors show it */
  readonly name: string
  /**
   * the gradient rule: from the gradient of the result, the gradients of the arguments; absent if the operation has no
   * gradient
   */
  readonly rule?: (gradient: Tensor, result: Tensor, ...args: A) => Thunks
  /** the derivative along tangents, for forward mode */
  readonly jvp?: Jvp<A>
  /** the operation itself */
  readonly op: (...args: A) => Tensor
  /** in terms of other operations, if it is a fused one */
  readonly definition?: (...args: A) => Tensor
}

/** One entry of a tape: an operation, its arguments, its result and its gradient rule. */
export interface Entry {
  /** name of the operation */
  readonly name: string
  /** arguments of the operation: tensors, numbers and options */
  readonly args: readonly unknown[]
  /** its result */
  readonly result: Tensor
  /** The operation, unless the entry was recorded otherwise. */
  readonly operation?: DefinedOperation<never>
  /** The gradients of the arguments, from the gradient of the result; written in differentiable operations. */
  rule(gradient: Tensor): Thunks
  /**
   * Takes the place of the rule in the pass of a tape: parts of the gradients of some arguments, in the order in which the pass adds them.
   * @param isTracked selects the arguments
   */
  parts?(gradient: Tensor, isTracked: (arg: Tensor) => boolean): readonly Part[]
}

/** An object that is notified of operations while they run. */
export interface Recorder {
  record(entry: Entry): void
  /** Whether gradients of a value can be asked for. */
  tracks?(value: unknown): boolean
  /** Called when random numbers are drawn, beginning at a position. */
  draw?(generator: Generator, position: number): void
}

let recorders: readonly Recorder[] = []

/** Whether operations are being recorded on a tape. */
export const isRecording = (): boolean => recorders.length > 0

/** Notifies every recorder of an operation. */
export function record(entry: Entry): void {
  for (const recorder of recorders) recorder.record(entry)
}

listenToDraws((generator, position) => {
  for (const recorder of recorders) recorder.draw?.(generator, position)
})

function withRecorders<T>(list: readonly Recorder[], f: () => T): T {
  const outer = recorders
  recorders = list
  try {
    return f()
  } finally {
    recorders = outer
  }
}

/** The recorders that are notified now. */
export const currentRecorders = (): readonly Recorder[] => recorders

/** Runs `f` with some of the recorders. */
export const recordedBy = <T>(isKept: (recorder: Recorder) => boolean, f: () => T): T =>
  withRecorders(recorders.filter(isKept), f)

/** Runs `f` with an additional recorder. */
export const observing = <T>(recorder: Recorder, f: () => T): T => withRecorders([...recorders, recorder], f)

/**
 * Runs `f` without recording, for inference and for updates of parameters. Tensors that `f` makes are freed when it ends,
 * except those that it returns.
 */
export function noGrad<T>(f: () => T): T {
  checkArguments('noGrad(f)', [is.callback], [f])
  const inner = new Scope('noGrad', false)
  return withRecorders([], () => {
    let kept: unknown
    try {
      const result = inner.run(f)
      if (result instanceof Promise) throw new TypeError('noGrad: f must not be async; await its data before the call')
      kept = result
      return result
    } finally {
      inner.end(storagesIn(kept))
    }
  })
}
