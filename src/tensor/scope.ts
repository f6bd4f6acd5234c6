// Ownership of tensors' memory. A scope owns the tensors made while it is the innermost one and frees them when it ends,
// except those that its function returns. Memory that no scope owns is left to the garbage collector.

import { checkArguments } from './arguments.ts'
import { begin, complete, innermost, type Owned, type Owner, open, runIn, suspend } from './context.ts'
import * as is from './kinds.ts'
import { Storage, type View } from './storage.ts'

/** The memory of scopes that were collected without ending: it is left to the garbage collector. */
const orphaned = new FinalizationRegistry<Owned[]>(owned => {
  for (const storage of owned) if (storage.owner === owned) storage.release()
})

/** A scope owns the memory of tensors made while it is the innermost scope; `scope` begins and ends one. */
export class Scope implements Owner {
  /** its name in errors */
  readonly name: string
  /** the scope around it; null for an outermost one */
  readonly parent: Owner | null
  /**
   * true: a recording tape needs all tensors made inside, so inner scopes give it their memory instead of freeing it;
   * false: nothing is recorded inside, even if a tape records outside; undefined: as in the parent.
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

  /** Whether it ended, so that what it owned is freed. */
  get hasEnded(): boolean {
    return this.#hasEnded
  }

  /** For a scope that may never end: its memory is then left to the garbage collector. */
  outlives(): void {
    orphaned.register(this, this.#owned)
  }

  /** Takes over the memory of a tensor. */
  adopt(storage: Owned): void {
    storage.owner = this.#owned
    this.#owned.push(storage)
  }

  /** Whether it will free this memory. */
  owns(storage: Owned): boolean {
    return storage.owner === this.#owned
  }

  /** Number of pieces of memory owned, as an argument for `sweep`. */
  get mark(): number {
    return this.#owned.length
  }

  /** Frees the tensors made since a mark, except those that are needed. */
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

  /** Makes this the innermost scope while `f` runs. `f` is synchronous. */
  run<T>(f: () => T): T {
    return runIn(this, f)
  }

  /** Frees everything except the memory of `kept`, which the outer scope gets. */
  end(kept: Iterable<Owned> = []): void {
    this.#hasEnded = true
    this.handOver(kept)
    const holder = this.#holder()
    for (const storage of this.#owned) {
      if (!this.owns(storage)) continue
      if (holder) {
        hand(storage, holder)
        storage.pack()
      } else storage.free(this.name)
    }
    this.#owned.length = 0
  }

  /** Gives the outer scope the ownership of these storages, or of all that this scope owns. */
  handOver(storages: Iterable<Owned> = this.#owned): void {
    for (const storage of storages) if (this.owns(storage)) hand(storage, this.parent)
    if (storages === this.#owned) this.#owned.length = 0
  }

  /** The scope of a tape that records here, or null. */
  #holder(): Owner | null {
    if (this.holds === false) return null
    for (let scope = open(this.parent); scope; scope = open(scope.parent)) {
      if (scope.holds !== undefined) return scope.holds ? scope : null
    }
    return null
  }

  /** Runs `f`, then ends and keeps only the tensors that `f` returns. */
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
 * The storages of all tensors in a value: in arrays, maps, sets and objects, at any depth.
 * @param isOpaque selects objects that are not searched
 */
export function storagesIn(value: unknown, isOpaque?: (item: object) => boolean): Set<Storage> {
  const found = new Set<Storage>()
  const seen = new Set<object>()
  const look = (item: unknown): void => {
    if (typeof item !== 'object' || item === null || ArrayBuffer.isView(item)) return
    if ((item as Partial<View>).isAbsent) return
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
 * Runs `f` and frees every tensor made in it, except those that it returns (also in arrays, maps and objects). The scope of an
 * async function stays open until its promise settles. Asynchronous scopes may overlap in Node, Deno and Bun; in a browser they
 * may only be nested.
 * @param name name in the error for a tensor that is used after its scope has ended; default 'a scope'
 * @throws ScopeOverlapError in a browser, if two asynchronous scopes overlap
 */
export function scope<T>(f: () => T, name?: string): T {
  checkArguments('scope(f, name)', [is.callback, is.optional(is.text)], [f, name])
  return scoped(name ?? 'a scope', f)
}

/**
 * The same for a function that takes the scope as its argument.
 * @param alsoKept called after `f`: returns memory to keep in addition to the result
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

/** Ends a scope when its promise has settled. */
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

/** Removes a tensor from its scope or tape: its memory is kept as long as something refers to it. */
export function keep<T extends View>(tensor: T): T {
  if (!(tensor?.storage instanceof Storage)) throw new TypeError('keep: the argument must be a tensor')
  tensor.storage.keep()
  return tensor
}
