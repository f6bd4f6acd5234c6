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

/** Memory that no scope owns any more, or never did: given back when nothing refers to it. */
const abandoned = new FinalizationRegistry<{ device: Memory; handle: unknown }>(({ device, handle }) =>
  device.free(handle),
)

/** What a scope owned that went without ending: each piece is for the garbage collector then. */
const orphaned = new FinalizationRegistry<Storage[]>(owned => {
  for (const storage of owned) if (storage.owner === owned) storage.release()
})

/** Memory on a device, shared by all views of it. */
export class Storage {
  readonly device: Memory
  readonly dtype: DType
  readonly length: number
  /** the list of the scope that will give this memory back; null when only the garbage collector will */
  owner: readonly Storage[] | null = null
  #handle: unknown
  #freedBy: string | null = null
  #isRegistered = false

  constructor(device: Memory, dtype: DType, length: number, handle: unknown) {
    this.device = device
    this.dtype = dtype
    this.length = length
    this.#handle = handle
    if (current) current.adopt(this)
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
    if (this.#isRegistered || this.#freedBy !== null) return
    abandoned.register(this, { device: this.device, handle: this.#handle }, this)
    this.#isRegistered = true
  }

  /** Hands the memory to a storage of its own, with other values in it; this one counts as given back. */
  move(by: string): Storage {
    const { handle } = this
    this.#end(by)
    return new Storage(this.device, this.dtype, this.length, handle)
  }

  #end(by: string): unknown {
    const handle = this.#handle
    this.#freedBy = by
    this.#handle = null
    if (this.#isRegistered) abandoned.unregister(this)
    return handle
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
  readonly #owned: Storage[] = []

  constructor(name: string, holds?: boolean) {
    this.name = name
    this.holds = holds
    this.parent = current
    if (holds) this.outlives()
  }

  /** For a scope that may never end: what it owns is found by the garbage collector then. */
  outlives(): void {
    orphaned.register(this, this.#owned)
  }

  adopt(storage: Storage): void {
    storage.owner = this.#owned
    this.#owned.push(storage)
  }

  owns(storage: Storage): boolean {
    return storage.owner === this.#owned
  }

  /** How much this owns, to be given to `sweep`. */
  get mark(): number {
    return this.#owned.length
  }

  /** Gives back what was made since a mark, except what is needed. */
  sweep(mark: number, isNeeded: (storage: Storage) => boolean): void {
    let end = mark
    for (let i = mark; i < this.#owned.length; i++) {
      const storage = this.#owned[i]
      if (!this.owns(storage)) continue
      if (isNeeded(storage)) this.#owned[end++] = storage
      else storage.free(this.name)
    }
    this.#owned.length = end
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
    for (const storage of kept) if (this.owns(storage)) hand(storage, this.parent)
    const holder = this.#holder()
    for (const storage of this.#owned) {
      if (!this.owns(storage)) continue
      if (holder) hand(storage, holder)
      else storage.free(this.name)
    }
    this.#owned.length = 0
  }

  /** Gives nothing back: all of it goes to the scope outside. */
  handOver(): void {
    for (const storage of this.#owned) if (this.owns(storage)) hand(storage, this.parent)
    this.#owned.length = 0
  }

  #holder(): Scope | null {
    if (this.holds === false) return null
    for (let scope = this.parent; scope; scope = scope.parent) {
      if (scope.holds !== undefined) return scope.holds ? scope : null
    }
    return null
  }

  /** Runs `f`, ends, and keeps only what `f` returns. */
  close<T>(f: () => T): T {
    let kept: unknown
    try {
      const result = this.run(f)
      kept = result
      return result
    } finally {
      this.end(storagesIn(kept))
    }
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
  else storage.release()
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
  if (typeof f !== 'function') throw new TypeError('scope: f must be a function; write scope(() => …)')
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
    inner.outlives()
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
  if (!(tensor?.storage instanceof Storage)) throw new TypeError('keep: needs a tensor')
  tensor.storage.release()
  return tensor
}
