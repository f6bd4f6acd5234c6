// Finds the scope of the running code. Synchronous code belongs to the scope that was entered last. Code after an await belongs
// to the scope of its function if the platform has AsyncLocalStorage, as Node, Deno and Bun do. In browsers, one asynchronous
// scope may be open at a time, with others nested in it, and two that overlap are an error.

import { askNode } from './host.ts'

/** A scope, which owns the memory that is allocated while it is the innermost one. */
export interface Owner {
  readonly name: string
  readonly parent: Owner | null
  /** whether a tape needs all tensors made inside (true) or none of them (false); undefined: as in the parent */
  readonly holds: boolean | undefined
  readonly hasEnded: boolean
  adopt(storage: Owned): void
  owns(storage: Owned): boolean
}

/** The interface of memory that its owner uses. */
export interface Owned {
  owner: readonly Owned[] | null
  free(by: string): void
  pack(): void
  release(): void
}

/** Two asynchronous scopes were open at once on a platform that cannot distinguish their tensors. */
export class ScopeOverlapError extends Error {
  override readonly name = 'ScopeOverlapError'
  /** names of the two scopes */
  readonly scopes: readonly [first: string, second: string]

  constructor(first: string, second: string) {
    super(
      `two asynchronous scopes are open at once, ${first} and ${second}, and a browser cannot distinguish their tensors: ` +
        'await the first before the second begins (one after the other instead of Promise.all)',
    )
    this.scopes = [first, second]
  }
}

/** The part of AsyncLocalStorage that is used. */
interface Contexts {
  run<T>(owner: Owner, f: () => T): T
  getStore(): Owner | undefined
}

const contexts: Contexts | undefined = askNode(node => {
  const { AsyncLocalStorage } = node.getBuiltinModule('node:async_hooks')
  return new AsyncLocalStorage<Owner>()
})

/** the scope of synchronous code */
let current: Owner | null = null
/** number of asynchronous scopes that are open */
let pending = 0
/** without contexts: the asynchronous scope that was opened last */
let ambient: Owner | null = null
/** without contexts: an asynchronous scope whose caller is still running, so that tensors made now are outside of it */
let opening: Owner | null = null

/** The scope that owns tensors made now. */
export const innermost = (): Owner | null => open(current ?? (pending === 0 ? null : resumed()))

/** A scope, or the innermost of its parents that has not ended. */
export function open(owner: Owner | null): Owner | null {
  let found = owner
  while (found?.hasEnded) found = found.parent
  return found
}

const resumed = (): Owner | null => (contexts ? contexts.getStore() : opening ? opening.parent : ambient) ?? null

/** Runs synchronous code in a scope, or with null in none. */
export function runIn<T>(owner: Owner | null, f: () => T): T {
  const outer = current
  current = owner
  try {
    return f()
  } finally {
    current = outer
  }
}

/** Runs code, which may continue after an await, in a scope. */
export function begin<T>(owner: Owner, f: () => T): T {
  if (contexts) return runIn(owner, () => contexts.run(owner, f))
  // queued before anything that f queues, so it runs after the caller's synchronous code and before f continues
  queueMicrotask(() => {
    if (opening === owner) opening = null
  })
  return runIn(owner, f)
}

/** Call when code in a scope will continue after an await. Throws ScopeOverlapError. */
export function suspend(owner: Owner): void {
  if (opening && !contexts && !isInside(opening, owner)) throw new ScopeOverlapError(opening.name, owner.name)
  pending++
  // scopes that began inside of it are open too, and continue first
  if (!opening) ambient = owner
  opening = owner
}

const isInside = (owner: Owner, outer: Owner): boolean =>
  owner.parent === outer || (owner.parent !== null && isInside(owner.parent, outer))

/** Call when such code has finished. Throws ScopeOverlapError if another asynchronous scope was opened later and is still open. */
export function complete(owner: Owner): void {
  pending--
  if (contexts) return
  const last = ambient
  if (last !== owner) throw new ScopeOverlapError(owner.name, last?.name ?? 'another')
  ambient = owner.parent
}
