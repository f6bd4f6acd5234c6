// Who owns a tensor's memory, and when it is given back. A scope owns what is made while it is the innermost one and
// gives it back when it ends, except what its function returns. Memory that no scope owns is found by the garbage
// collector.

import type { DType, TypedArray } from './dtype.ts'
import type { Shape } from './shape.ts'

export type DeviceName = 'reference' | 'cpu' | 'gpu'

/** The part of a device that holds memory; its kernels stand in kernels.ts. */
export interface Memory {
  readonly name: DeviceName
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

const abandoned = new FinalizationRegistry<{ device: Memory; handle: unknown }>(({ device, handle }) =>
  device.free(handle),
)

/** Memory on a device, shared by all views of it. */
export class Storage {
  readonly device: Memory
  readonly dtype: DType
  readonly length: number
  /** the scope that will give this memory back; null when only the garbage collector will */
  owner: Scope | null = null
  #handle: unknown
  #freedBy: string | null = null

  constructor(device: Memory, dtype: DType, length: number, handle: unknown) {
    this.device = device
    this.dtype = dtype
    this.length = length
    this.#handle = handle
    abandoned.register(this, { device, handle }, this)
    current?.adopt(this)
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
    this.#freedBy = by
    abandoned.unregister(this)
    this.device.free(this.#handle)
    this.#handle = null
  }
}

let current: Scope | null = null

export class Scope {
  readonly name: string
  readonly parent: Scope | null
  /**
   * true: a recording tape needs everything made inside, so scopes within hand their memory to it instead of freeing
   * it; false: nothing is being recorded here, whatever goes on outside; undefined: as outside.
   */
  readonly holds: boolean | undefined
  #owned: Storage[] = []

  constructor(name: string, holds?: boolean) {
    this.name = name
    this.holds = holds
    this.parent = current
  }

  adopt(storage: Storage): void {
    storage.owner = this
    this.#owned.push(storage)
  }

  /** Makes this the innermost scope while `f` runs, synchronously. */
  run<T>(f: () => T): T {
    const outer = current
    current = this
    try {
      return f()
    } finally {
      current = outer
    }
  }

  /** Gives everything back, except the memory of `kept`, which goes to the scope outside. */
  end(kept: Iterable<Storage> = []): void {
    for (const storage of kept) if (storage.owner === this) hand(storage, this.parent)
    const holder = this.#holder()
    for (const storage of this.#owned) {
      if (storage.owner !== this) continue
      if (holder) hand(storage, holder)
      else storage.free(this.name)
    }
    this.#owned = []
  }

  /** Gives nothing back: all of it goes to the scope outside. */
  handOver(): void {
    for (const storage of this.#owned) if (storage.owner === this) hand(storage, this.parent)
    this.#owned = []
  }

  #holder(): Scope | null {
    if (this.holds === false) return null
    for (let scope = this.parent; scope; scope = scope.parent) {
      if (scope.holds !== undefined) return scope.holds ? scope : null
    }
    return null
  }

  /** Opens the scope for asynchronous code: it is the innermost one until `leave`. */
  enter(): void {
    current = this
  }

  leave(): void {
    if (current === this) current = this.parent
  }
}

function hand(storage: Storage, to: Scope | null): void {
  if (to) to.adopt(storage)
  else storage.owner = null
}

/** The storages of every tensor found in a value: in arrays, maps, sets and plain objects, at any depth. */
export function storagesIn(value: unknown, found = new Set<Storage>()): Set<Storage> {
  if (typeof value !== 'object' || value === null) return found
  const storage = (value as Partial<View>).storage
  if (storage instanceof Storage) found.add(storage)
  else if (Array.isArray(value) || value instanceof Set) for (const item of value) storagesIn(item, found)
  else if (value instanceof Map) for (const item of value.values()) storagesIn(item, found)
  else if (Object.getPrototypeOf(value) === Object.prototype)
    for (const item of Object.values(value)) storagesIn(item, found)
  return found
}

/**
 * Runs `f` and gives back the memory of every tensor made in it, except those it returns (in arrays, maps and plain
 * objects too). An async function keeps its scope open until its promise settles; async scopes nest and must not
 * overlap: a tensor made by the one while the other is innermost belongs to the other.
 * @param name shown when a tensor is used after its scope has ended
 */
export function scope<T>(f: () => T, name = 'a scope'): T {
  const inner = new Scope(name)
  inner.enter()
  let result: T
  try {
    result = f()
  } catch (error) {
    inner.leave()
    inner.end()
    throw error
  }
  if (result instanceof Promise) {
    return result.then(
      value => {
        inner.leave()
        inner.end(storagesIn(value))
        return value
      },
      error => {
        inner.leave()
        inner.end()
        throw error
      },
    ) as T
  }
  inner.leave()
  inner.end(storagesIn(result))
  return result
}

/** Takes a tensor out of every scope and tape: its memory lasts as long as something refers to it. */
export function keep<T extends View>(tensor: T): T {
  tensor.storage.owner = null
  return tensor
}
