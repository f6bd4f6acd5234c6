// Notification of tapes and observers about operations while they run, and the phase of the computation that is running,
// forward or backward.

import { checkArguments } from '../tensor/arguments.ts'
import { type Generator, Scope, storagesIn, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'

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

/** What a computation is part of: what a tape records, its way back, or neither, as the update of an optimizer. */
export type Phase = 'forward' | 'backward' | 'other'

let phase: Phase = 'other'

/** What the code that runs is part of. */
export const currentPhase = (): Phase => phase

/** Runs `f` as part of a phase. */
export function inPhase<T>(entered: Phase, f: () => T): T {
  const outer = phase
  phase = entered
  try {
    return f()
  } finally {
    phase = outer
  }
}

/** A function that is told of every call of an operation, with its arguments and its result. */
export type OperationObserver = (name: string, args: readonly unknown[], result: Tensor) => void

let observers: readonly OperationObserver[] = []

/** Tells an observer of every operation from now on, whether a tape records it or not. The function that is returned ends this. */
export function observeOperations(observer: OperationObserver): () => void {
  observers = [...observers, observer]
  return () => {
    observers = observers.filter(other => other !== observer)
  }
}

/** Tells the observers of an operation. */
export function announceOperation(name: string, args: readonly unknown[], result: Tensor): void {
  for (const observer of observers) observer(name, args, result)
}

/** Runs the parts of an operation, of which observers are not told. */
export function unobserved<T>(f: () => T): T {
  const outer = observers
  observers = []
  try {
    return f()
  } finally {
    observers = outer
  }
}
