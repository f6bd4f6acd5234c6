// The tensors that a function sees while `vmap` maps it. Each is all samples of a batch, with the batch as the first axis of `full`,
// and shows the shape of one sample. Operations recognize them (op.ts) and compute with all samples at once, by the rule that
// stands beside the operation; batching.ts has what these rules have in common. Tapes inside of the mapped function record the
// operation on one sample, tapes around it record what is computed with all samples.

import { titleOf } from '../tensor/display.ts'
import { type Shape, show, Tensor } from '../tensor/index.ts'
import type { Entry } from './recording.ts'

/** What `vmap` cannot map: a function that reads values, or that uses its tensors after it has ended. */
export class VmapError extends Error {
  override readonly name = 'VmapError'
}

/** The samples of one call of a mapped function, as the rule of an operation uses them. */
export interface MappedBatch {
  /** number of samples */
  readonly size: number
  /** Whether a tensor has values of its own for each sample. */
  has(x: unknown): boolean
  /** A tensor with the batch as its first axis, [size, ...shape]; one that is the same for all samples is expanded. */
  whole(x: Tensor): Tensor
  /**
   * An operand of an operation that broadcasts, of whose tensors the largest has `rank` axes: with the batch as its first axis and
   * `rank` more, so that all operands are aligned. What is the same for all samples stays as it is.
   */
  aligned<T>(x: T, rank: number): T
}

/**
 * How an operation computes all samples of a batch in `vmap`:
 *
 * - `broadcast`: it computes element by element, or along last axes, with any number of axes in front that broadcast; it is called
 *   once with tensors that have the batch as their first axis;
 * - a function that is given the operation, the batch and the arguments for one sample, and computes [size, ...shape of a result]:
 *   `(cumsum, batch, x) => cumsum(batch.whole(x))` for the last axis. It may also return what other operations compute from the
 *   arguments as they are.
 */
export type Batching<A extends readonly unknown[]> =
  | 'broadcast'
  | ((op: (...args: A) => Tensor, batch: MappedBatch, ...args: A) => Tensor)

/** Axes of one sample as axes of a tensor with the batch as its first. */
export const afterBatch = (axes: readonly number[]): number[] => axes.map(axis => axis + 1)

/** One call of a mapped function. Calls are nested: the deepest of an operation's arguments is mapped first. */
export interface Level extends MappedBatch {
  /** number of mapped functions that are running around it, with itself; 0 after it has ended */
  readonly depth: number
  /** Runs `f` with the recorders that were there when the mapped function was called. */
  outside<T>(f: () => T): T
  /** Runs `f` with the recorders that the mapped function has added. */
  inside<T>(f: () => T): T
  /** The result of an operation for all samples. */
  compute<A extends readonly unknown[]>(op: (...args: A) => Tensor, args: A, batching: Batching<A> | undefined): Tensor
  /** An operation on samples as an operation on whole batches: its rule runs for all samples. */
  lifted(entry: Entry): Entry
}

/** A tensor that has the shape of one sample and the values of all. */
export class Batched extends Tensor {
  readonly level: Level
  /** all samples, [size, ...shape] */
  readonly full: Tensor

  constructor(level: Level, full: Tensor) {
    super(full.storage, full.shape.slice(1), [])
    this.level = level
    this.full = full
    // code that computes with the memory, and not with operations, would see one sample only
    Object.defineProperties(this, { strides: { get: () => this.#refuse() }, offset: { get: () => this.#refuse() } })
  }

  #refuse(): never {
    throw new VmapError(
      `vmap: the memory of a tensor ${show(this.shape)} is used without an operation, and it has ${this.level.size} samples; write the computation with operations, or with defineOp`,
    )
  }

  #isRead(): VmapError {
    return new VmapError(
      `vmap: f reads the values of a tensor ${show(this.shape)}, which has other values in each of ${this.level.size} samples; compute with operations such as where and maximum, return it and read the result, or call f for each sample in a loop`,
    )
  }

  override view(_shape: Shape): never {
    return this.#refuse()
  }

  override data(): never {
    throw this.#isRead()
  }

  override dataSync(): never {
    throw this.#isRead()
  }

  override array(): never {
    throw this.#isRead()
  }

  override item(): never {
    throw this.#isRead()
  }

  protected override get title(): string {
    return titleOf(this.kind, this, `in each of ${this.level.size} samples`)
  }

  /** All samples are printed. */
  protected override get printed(): Tensor {
    let all = this.full
    while (all instanceof Batched) all = all.full
    return all
  }
}

/** The innermost mapped function that the arguments of an operation belong to; undefined if there is none. */
export function levelOf(args: readonly unknown[]): Level | undefined {
  let deepest: Level | undefined
  for (const arg of args) {
    if (!(arg instanceof Batched)) continue
    const { level, shape } = arg
    if (level.depth === 0)
      throw new VmapError(
        `vmap: a tensor ${show(shape)} of a mapped function is used after the function has ended; return it from the function, and use the result of vmap`,
      )
    if (!deepest || level.depth > deepest.depth) deepest = level
  }
  return deepest
}

/** The same values as a separate tensor, which no tape has recorded. */
export const sameValues = (x: Tensor): Tensor =>
  x instanceof Batched ? new Batched(x.level, sameValues(x.full)) : x.view(x.shape, x.strides)
