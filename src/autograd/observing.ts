// Notifies observers of every operation, recorded or not, and keeps the current phase of the computation, forward or backward. `debug`
// uses both.

import type { Tensor } from '../tensor/index.ts'

/** The phase of a computation: recorded by a tape, part of a backward pass, or neither, such as an optimizer's update. */
export type Phase = 'forward' | 'backward' | 'other'

let phase: Phase = 'other'

/** The phase of the code that is running. */
export const currentPhase = (): Phase => phase

/** Runs `f` in a phase. */
export function inPhase<T>(entered: Phase, f: () => T): T {
  const outer = phase
  phase = entered
  try {
    return f()
  } finally {
    phase = outer
  }
}

/** A function that is called after every operation, with its arguments and its result. */
export type OperationObserver = (name: string, args: readonly unknown[], result: Tensor) => void

let observers: readonly OperationObserver[] = []

/** Calls an observer after every operation from now on, whether a tape records it or not. Returns a function that ends this. */
export function observeOperations(observer: OperationObserver): () => void {
  observers = [...observers, observer]
  return () => {
    observers = observers.filter(other => other !== observer)
  }
}

/** Whether there are observers. */
export const areOperationsObserved = (): boolean => observers.length > 0

/** Notifies the observers of an operation. */
export function announceOperation(name: string, args: readonly unknown[], result: Tensor): void {
  for (const observer of observers) observer(name, args, result)
}

/** Runs the parts of an operation without notifying observers of them. */
export function unobserved<T>(f: () => T): T {
  const outer = observers
  observers = []
  try {
    return f()
  } finally {
    observers = outer
  }
}
