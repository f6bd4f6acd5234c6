// The gradients that a backward pass accumulates, and the memory that it frees. tape.ts has the pass itself.

import type { Owned } from '../tensor/context.ts'
import { deviceOf, type Scope, type Storage, sameShape, Tensor } from '../tensor/index.ts'
import { Batched } from './batched.ts'
import { checkPart } from './checks.ts'
import { type Entry, isRecording, type Part, type WindowGradient } from './recording.ts'

const valuesOf = (part: Tensor | WindowGradient): Tensor => (part instanceof Tensor ? part : part.values)

/** The gradients computed so far in a backward pass, with their memory: a sum is formed in place if nothing else uses it. */
export class Gradients {
  readonly #pass: Scope
  readonly #byTensor = new Map<Tensor, Tensor>()
  /** gradients of parts of a tensor that are not in its gradient yet, and their number of elements */
  readonly #windows = new Map<Tensor, { readonly list: WindowGradient[]; size: number }>()
  /** number of gradients in each memory */
  readonly #uses = new Map<Owned, number>()
  /** whether another tape records this pass, so that its values must not change */
  readonly #isRecorded = isRecording()

  /** tensors whose gradients were requested and are kept */
  readonly #wanted: ReadonlySet<Tensor>

  constructor(pass: Scope, wanted: readonly Tensor[]) {
    this.#pass = pass
    this.#wanted = new Set(wanted)
  }

  get(x: Tensor): Tensor | undefined {
    this.#addWindows(x)
    return this.#byTensor.get(x)
  }

  /** Passes the gradient of a result on to its arguments, then frees it unless it was requested. */
  passOn(result: Tensor, partsOf: (gradient: Tensor) => readonly Part[]): void {
    const { mark } = this.#pass
    const gradient = this.get(result)
    if (!gradient) return
    this.#addAll(partsOf(gradient))
    if (!this.#wanted.has(result)) this.#delete(result)
    this.#sweep(mark)
  }

  /** Parts may share memory, even several for one tensor, so it stays in use until all are added. */
  #addAll(parts: readonly Part[]): void {
    for (const [, part] of parts) this.#use(valuesOf(part))
    for (const [x, part] of parts) this.#addPart(x, part)
    for (const [, part] of parts) this.#release(valuesOf(part))
  }

  #addPart(x: Tensor, part: Tensor | WindowGradient): void {
    if (part instanceof Tensor) this.add(x, part)
    else this.#addWindow(x, part)
  }

  /** Windows wait until the gradient is needed, or until they have more elements than it, so that they need no more memory. */
  #addWindow(x: Tensor, window: WindowGradient): void {
    const waiting = this.#windows.get(x) ?? { list: [], size: 0 }
    this.#windows.set(x, waiting)
    waiting.list.push(window)
    waiting.size += window.values.size
    this.#use(window.values)
    if (waiting.size > x.size) this.#addWindows(x)
  }

  #addWindows(x: Tensor): void {
    const waiting = this.#windows.get(x)
    if (!waiting) return
    this.#windows.delete(x)
    this.add(x, waiting.list[0].sum(x.shape, waiting.list))
    for (const { values } of waiting.list) this.#release(values)
  }

  /** Gives a gradient away, if there is one, and frees it. */
  give(x: Tensor, to: (x: Tensor, gradient: Tensor) => void): void {
    const gradient = this.get(x)
    if (!gradient) return
    to(x, gradient)
    this.#delete(x)
  }

  add(x: Tensor, part: Tensor): void {
    const sum = this.#byTensor.get(x)
    if (!sum) {
      this.#set(x, this.#wanted.has(x) && !this.#isRecorded ? alone(part) : part)
      return
    }
    const isPlain = !(sum instanceof Batched || part instanceof Batched)
    if (isPlain && !this.#isRecorded && this.#isAlone(sum) && deviceOf(sum).kernels.accumulate?.(sum, part)) return
    const total = sum.add(part)
    this.#delete(x)
    this.#set(x, total)
  }

  #delete(x: Tensor): void {
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

  /** Frees the intermediate values of a rule. */
  #sweep(mark: number): void {
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

/** A gradient that is kept: a copy, if it is a small part of its memory, such as that of a bias which was computed with others. */
const alone = (gradient: Tensor): Tensor =>
  gradient instanceof Batched || gradient.storage.length < 2 * gradient.size
    ? gradient
    : deviceOf(gradient).kernels.copy(gradient)

/** The result of a rule as the gradient of an argument: summed over axes that were broadcast, of the argument's dtype. */
export function conform(entry: Entry, position: number, gradient: Tensor, arg: Tensor): Tensor {
  checkPart(entry, position, gradient, arg)
  let result = gradient
  if (!sameShape(result.shape, arg.shape)) result = result.sumTo(arg.shape)
  if (result.dtype !== arg.dtype) result = result.cast(arg.dtype)
  return result
}

/** For each entry, the memory that no earlier entry uses, if a scope owns it and it is not kept. */
export function firstUses(
  entries: readonly Entry[],
  owner: Scope,
  kept: ReadonlySet<Storage>,
): (Storage | undefined)[] {
  const known = new Set(kept)
  return entries.map(({ args, result }) => {
    for (const arg of args) if (arg instanceof Tensor) known.add(arg.storage)
    const { storage } = result
    if (known.has(storage)) return undefined
    known.add(storage)
    return owner.owns(storage) ? storage : undefined
  })
}

/**
 * For each entry, the inputs whose gradient is complete after it, in a pass from the last entry to the first: no earlier entry uses
 * the input or a view of its memory. Inputs that an entry computed are left out: their gradients are complete before that entry.
 */
export function completions(entries: readonly Entry[], inputs: readonly Tensor[]): (readonly Tensor[] | undefined)[] {
  const results = new Set(entries.map(({ result }) => result))
  const waiting = new Map<Storage, Tensor[]>()
  for (const x of new Set(inputs)) if (!results.has(x)) waiting.set(x.storage, [...(waiting.get(x.storage) ?? []), x])
  return entries.map(({ args }) => {
    const done: Tensor[] = []
    for (const arg of args) {
      if (!(arg instanceof Tensor)) continue
      done.push(...(waiting.get(arg.storage) ?? []))
      waiting.delete(arg.storage)
    }
    return done.length > 0 ? done : undefined
  })
}
