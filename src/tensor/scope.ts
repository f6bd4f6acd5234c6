// Who owns a tensor's memory, and when it is given back. A scope owns what is made while it is the innermost one and
// gives it back when it ends, except what its function returns. Memory that no scope owns is left to the garbage
// collector.

import { checkArguments } from './arguments.ts'
import { begin, complete, innermost, type Owned, type Owner, open, runIn, suspend } from './context.ts'
import * as is from './kinds.ts'
import { Storage, type View } from './storage.ts'

/** What a scope owned that went without ending: each piece is for the garbage collector then. */
const orphaned = new FinalizationRegistry<Owned[]>(owned => {
  for (const storage of owned) if (storage.owner === owned) storage.release()
})

/** The memory of what is made while it is the innermost scope; `scope` begins and ends one. */
export class Scope implements Owner {
  readonly name: string
  readonly parent: Owner | null
  /**
   * true: a recording tape needs everything made inside, so scopes within hand their memory to it instead of freeing
   * it; false: nothing is being recorded here, whatever goes on outside; undefined: as outside.
   */
  readonly holds: boolean | undefined
  readonly #owned: Owned[] = []
  #hasEnded = false

  constructor(name: string, holds?: boolean) {
    this.name = name
    this.holds = holds
    this.parent = innermost()
    if (holds) this.outlives()
  }

  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** For a scope that may never end: what it owns is found by the garbage collector then. */
  outlives(): void {
    orphaned.register(this, this.#owned)
  }

  adopt(storage: Owned): void {
    storage.owner = this.#owned
    this.#owned.push(storage)
  }

  owns(storage: Owned): boolean {
    return storage.owner === this.#owned
  }

  /** How much this owns, to be given to `sweep`. */
  get mark(): number {
    return this.#owned.length
  }

  /** Gives back what was made since a mark, except what is needed. */
  sweep(mark: number, isNeeded: (storage: Owned) => boolean): void {
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
    return runIn(this, f)
  }

  /** Gives everything back, except the memory of `kept`, which goes to the scope outside. */
  end(kept: Iterable<Owned> = []): void {
    this.#hasEnded = true
    this.handOver(kept)
    const holder = this.#holder()
    for (const storage of this.#owned) {
      if (!this.owns(storage)) continue
      if (holder) hand(storage, holder)
      else storage.free(this.name)
    }
    this.#owned.length = 0
  }

  /** Lets the scope outside own these, or all that this one owns. */
  handOver(storages: Iterable<Owned> = this.#owned): void {
    for (const storage of storages) if (this.owns(storage)) hand(storage, this.parent)
    if (storages === this.#owned) this.#owned.length = 0
  }

  /** The scope of a tape that records what is made here. */
  #holder(): Owner | null {
    if (this.holds === false) return null
    for (let scope = open(this.parent); scope; scope = open(scope.parent)) {
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
}

function hand(storage: Owned, to: Owner | null): void {
  const heir = open(to)
  if (heir) heir.adopt(storage)
  else storage.release()
}

/**
 * The storages of every tensor found in a value: in arrays, maps, sets and objects, at any depth.
 * @param isOpaque objects that are not looked into
 */
export function storagesIn(value: unknown, isOpaque?: (item: object) => boolean): Set<Storage> {
  const found = new Set<Storage>()
  const seen = new Set<object>()
  const look = (item: unknown): void => {
    if (typeof item !== 'object' || item === null || ArrayBuffer.isView(item)) return
    const { storage } = item as Partial<View>
    if (storage instanceof Storage) found.add(storage)
    else if (!seen.has(item) && !isOpaque?.(item)) {
      seen.add(item)
      const isList = Array.isArray(item) || item instanceof Set || item instanceof Map
      for (const inner of isList ? item.values() : Object.values(item)) look(inner)
    }
  }
  look(value)
  return found
}

/**
 * Runs `f` and gives back the memory of every tensor made in it, except those it returns (in arrays, maps and objects
 * too). An async function keeps its scope open until its promise settles. Scopes may be open side by side in Node, Deno and
 * Bun; in a browser, asynchronous ones may only nest.
 * @param name shown when a tensor is used after its scope has ended; default 'a scope'
 * @throws ScopeOverlapError in a browser, where two asynchronous scopes are open side by side
 */
export function scope<T>(f: () => T, name?: string): T {
  checkArguments('scope(f, name)', [is.callback, is.optional(is.text)], [f, name])
  return scoped(name ?? 'a scope', f)
}

/**
 * The same for a function that is given its scope.
 * @param alsoKept what to keep besides the result, once it is there
 */
export function scoped<T>(name: string, f: (inner: Scope) => T, alsoKept?: () => Iterable<Owned>): T {
  const inner = new Scope(name)
  const end = (result: unknown) => {
    if (alsoKept) inner.handOver(alsoKept())
    inner.end(storagesIn(result))
  }
  let result: T
  try {
    result = begin(inner, () => f(inner))
    if (result instanceof Promise) suspend(inner)
  } catch (error) {
    inner.end()
    throw error
  }
  if (result instanceof Promise) return settled(inner, result, end) as T
  end(result)
  return result
}

/** Ends a scope when its promise is settled. */
async function settled<T>(inner: Scope, promise: Promise<T>, end: (value: T) => void): Promise<T> {
  inner.outlives()
  try {
    const value = await promise
    end(value)
    return value
  } finally {
    inner.end()
    complete(inner)
  }
}

/** Takes a tensor out of every scope and tape: its memory lasts as long as something refers to it. */
export function keep<T extends View>(tensor: T): T {
  if (!(tensor?.storage instanceof Storage)) throw new TypeError('keep: needs a tensor')
  tensor.storage.keep()
  return tensor
}
