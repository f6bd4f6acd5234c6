// What a walk back over a tape adds up: the gradients that are known so far.

import type { Owned } from '../tensor/context.ts'
import { given } from '../tensor/given.ts'
import { broadcastsTo, deviceOf, type Scope, sameShape, show, Tensor } from '../tensor/index.ts'
import { GradientError } from './gradient-error.ts'
import { type Entry, isRecording } from './recording.ts'

/** The gradients that are known so far on the way back, with their memory: a sum is formed in place where nobody else looks. */
export class Gradients {
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
export function conform(entry: Entry, position: number, gradient: Tensor, arg: Tensor): Tensor {
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
