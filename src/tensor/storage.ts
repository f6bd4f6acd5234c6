// Memory on a device, and who gives it back: a scope, or the garbage collector.

import { innermost, type Owned } from './context.ts'
import { bytesPerElement, type DType, type TypedArray } from './dtype.ts'
import { Claim } from './pressure.ts'
import type { Shape } from './shape.ts'

export type DeviceName = 'reference' | 'cpu' | 'gpu'

/** The part of a device that holds memory; device.ts has the whole. */
export interface Memory {
  readonly name: DeviceName
  /** whether its memory is on the engine's heap, where the garbage collector counts it; default false */
  readonly isManaged?: boolean
  /** Copies host data into new memory and returns its handle. */
  upload(data: TypedArray): unknown
  /** The elements of a view in row-major order, in a new array. */
  read(view: View): Promise<TypedArray>
  /** The same at once, where the device can. */
  readSync?(view: View): TypedArray
  /** Gives memory back; called once for every handle. */
  free(handle: unknown): void
}

/** A shape laid over memory: a Tensor, in practice. */
export interface View {
  readonly storage: Storage
  readonly shape: Shape
  readonly strides: readonly number[]
  readonly offset: number
}

/** Use of a tensor whose memory was given back; `by` names the scope or tape that ended. */
export class FreedError extends Error {
  override readonly name = 'FreedError'
  readonly by: string

  constructor(by: string) {
    super(
      `this tensor's memory was given back when ${by} ended; return the tensor from it, or call keep(tensor) inside it`,
    )
    this.by = by
  }
}

/** Memory on a device, shared by all views of it. */
export class Storage implements Owned {
  readonly device: Memory
  readonly dtype: DType
  readonly length: number
  /** the list of the scope that will give this memory back; null when only the garbage collector will */
  owner: readonly Owned[] | null = null
  #handle: unknown
  #freedBy: string | null = null
  /** once it was left to the garbage collector */
  #claim: Claim | null = null

  /** @param claim from the storage that had this memory before, if the garbage collector was to give it back */
  constructor(device: Memory, dtype: DType, length: number, handle: unknown, claim: Claim | null = null) {
    this.device = device
    this.dtype = dtype
    this.length = length
    this.#handle = handle
    if (claim) this.#claim = claim.moveTo(this)
    else this.#settle()
  }

  #settle(): void {
    const scope = innermost()
    if (scope) scope.adopt(this)
    else this.release()
  }

  /** What the device knows this memory by. Throws FreedError once it was given back. */
  get handle(): unknown {
    if (this.#freedBy !== null) throw new FreedError(this.#freedBy)
    return this.#handle
  }

  get isFreed(): boolean {
    return this.#freedBy !== null
  }

  free(by: string): void {
    if (this.#freedBy !== null) return
    this.device.free(this.#end(by))
  }

  /** From now on the garbage collector gives this memory back, and no scope. */
  release(): void {
    this.owner = null
    if (this.#claim || this.#freedBy !== null) return
    const { device, length, dtype } = this
    const bytes = device.isManaged ? 0 : length * bytesPerElement(dtype)
    this.#claim = new Claim(this, { memory: device, handle: this.#handle }, bytes)
  }

  /** The same, for memory that is meant to last. */
  keep(): void {
    this.release()
    this.#claim?.keep()
  }

  /** Hands the memory to a storage of its own, with other values in it; this one counts as given back. */
  move(by: string): Storage {
    if (this.#freedBy !== null) throw new FreedError(this.#freedBy)
    const claim = this.#claim
    this.#claim = null
    return new Storage(this.device, this.dtype, this.length, this.#end(by), claim)
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
