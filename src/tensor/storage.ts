// Memory on a device, which a scope or the garbage collector frees.

import { innermost, type Owned } from './context.ts'
import { bytesPerElement, type DType, type TypedArray } from './dtype.ts'
import { Claim } from './pressure.ts'
import type { Shape } from './shape.ts'

/** The name of a device. */
export type DeviceName = 'reference' | 'cpu' | 'gpu'

/** The memory interface of a device; device.ts has the whole interface. */
export interface Memory {
  readonly name: DeviceName
  /** whether the memory is on the engine's heap, where the garbage collector counts it; default false */
  readonly isManaged?: boolean
  /** Copies host data into new memory and returns its handle. */
  upload(data: TypedArray): unknown
  /** The same for data that comes in pieces, each of which is valid until the next, if the device can be filled in pieces. */
  uploadPieces?(dtype: DType, length: number, pieces: Iterable<TypedArray>): unknown
  /** The elements of a view in row-major order, in a new array. */
  read(view: View): Promise<TypedArray>
  /** The same synchronously, if the device supports it. */
  readSync?(view: View): TypedArray
  /** The elements of a contiguous view where they are, not a copy, if the host can reach them: valid until they are freed. */
  elements?(view: View): TypedArray
  /** only of a device that computes nothing: memory for values that do not matter */
  reserve?(bytes: number): unknown
  /** false for a device whose tensors have shapes only; default true */
  readonly hasValues?: boolean
  /** whether it stands for memory that is not there yet, of values that are read when they are needed; default false */
  readonly isAbsent?: boolean
  /**
   * Stores float32 values that only a tape keeps in less memory until they are used again, rounded, if the device was asked for it.
   */
  pack?(handle: unknown): void
  /** Frees memory; called once for every handle. */
  free(handle: unknown): void
}

/** A view of memory with a shape and strides, such as a Tensor. */
export interface View {
  readonly storage: Storage
  readonly shape: Shape
  readonly strides: readonly number[]
  readonly offset: number
  /** whether it has no memory yet */
  readonly isAbsent?: boolean
}

/** Use of a tensor whose memory was freed; `by` names the scope or tape that ended. */
export class FreedError extends Error {
  override readonly name = 'FreedError'
  /** the scope or tape that ended */
  readonly by: string

  constructor(by: string) {
    super(`this tensor's memory was freed when ${by} ended; return the tensor from it, or call keep(tensor) inside it`)
    this.by = by
  }
}

/** Memory on a device, shared by all views of it. */
export class Storage implements Owned {
  /** the memory of which device it is */
  readonly device: Memory
  /** type of its elements */
  readonly dtype: DType
  /** number of its elements */
  readonly length: number
  /** the list of the scope that will free this memory; null if the garbage collector will */
  owner: readonly Owned[] | null = null
  /** whether its memory will have other values, as that of a parameter, so that who wants to keep the value copies it */
  isBorrowed = false
  #handle: unknown
  #freedBy: string | null = null
  /** the storage that has taken its place, after `move` and `freeFor`: shared by all that had it, so that old ones do not keep each other */
  #moves: { latest: Storage } | undefined
  /** set when the memory is left to the garbage collector */
  #claim: Claim | null = null

  /** @param claim the claim of the previous storage of this memory, if it was left to the garbage collector */
  constructor(device: Memory, dtype: DType, length: number, handle: unknown, claim: Claim | null = null) {
    this.device = device
    this.dtype = dtype
    this.length = length
    this.#handle = handle
    if (claim) this.#claim = claim
    else this.#settle()
  }

  #settle(): void {
    const scope = innermost()
    if (scope) scope.adopt(this)
    else this.release()
  }

  /** The device's handle of this memory. Throws FreedError after it was freed. */
  get handle(): unknown {
    if (this.#freedBy !== null) throw new FreedError(this.#freedBy)
    return this.#handle
  }

  /** Whether the memory was freed. */
  get isFreed(): boolean {
    return this.#freedBy !== null
  }

  /**
   * Frees the memory, once.
   * @param by what frees it, for the error of a later use
   */
  free(by: string): void {
    if (this.#freedBy !== null) return
    this.device.free(this.#end(by))
  }

  /** Called when only a tape needs the values, so that the device may store them in less memory until they are used again. */
  pack(): void {
    if (this.#freedBy === null && this.dtype === 'float32') this.device.pack?.(this.#handle)
  }

  /** Leaves this memory to the garbage collector; no scope frees it any more. */
  release(): void {
    this.owner = null
    if (this.#claim || this.#freedBy !== null) return
    const { device, length, dtype } = this
    const bytes = device.isManaged ? 0 : length * bytesPerElement(dtype)
    this.#claim = new Claim({ memory: device, handle: this.#handle }, bytes)
  }

  /** The same, for memory that is kept on purpose. */
  keep(): void {
    this.release()
    this.#claim?.keep()
  }

  /** Moves the memory to a new storage, for other values; this storage counts as freed. */
  move(by: string): Storage {
    if (this.#freedBy !== null) throw new FreedError(this.#freedBy)
    const claim = this.#claim
    this.#claim = null
    const moved = new Storage(this.device, this.dtype, this.length, this.#end(by), claim)
    moved.isBorrowed = this.isBorrowed
    this.#replaceBy(moved)
    return moved
  }

  /** Frees the memory, because another storage has the new value of what this one was the value of. */
  freeFor(next: Storage, by: string): void {
    this.#replaceBy(next)
    this.free(by)
  }

  #replaceBy(next: Storage): void {
    const moves = next.#moves ?? this.#moves ?? { latest: next }
    if (this.#moves) this.#moves.latest = next
    moves.latest = next
    this.#moves = next.#moves = moves
  }

  /** The storage that is in its place now: itself, or the last one that its memory was moved to or that it was freed for. */
  get latest(): Storage {
    let latest: Storage = this
    while (latest.#moves && latest.#moves.latest !== latest) latest = latest.#moves.latest
    return latest
  }

  #end(by: string): unknown {
    const handle = this.#handle
    this.#freedBy = by
    this.#handle = null
    this.#claim?.cancel()
    this.#claim = null
    return handle
  }
}
