// Which scope the running code belongs to. Synchronous code belongs to the scope entered last. Code after an await belongs to the
// scope of the function that it is part of, where the platform can tell: Node, Deno and Bun have AsyncLocalStorage. Browsers cannot
// tell; there one asynchronous scope may be open at a time, with others nested in it, and two that overlap are an error.

import { askNode } from './host.ts'

/** Owner of the memory that is made while it is the innermost one: a scope. */
export interface Owner {
  readonly name: string
  readonly parent: Owner | null
  /** whether a tape needs everything that is made inside, or nothing of it; undefined: as outside */
  readonly holds: boolean | undefined
  readonly hasEnded: boolean
  adopt(storage: Owned): void
  owns(storage: Owned): boolean
}

/** Memory, as far as its owner is concerned. */
export interface Owned {
  owner: readonly Owned[] | null
  free(by: string): void
  release(): void
}

/** Two asynchronous scopes were open at once where the platform cannot tell the tensors of one from those of the other. */
export class ScopeOverlapError extends Error {
  override readonly name = 'ScopeOverlapError'
  /** names of the two scopes */
  readonly scopes: readonly [first: string, second: string]

  constructor(first: string, second: string) {
    super(
      `two asynchronous scopes are open at once, ${first} and ${second}, and this browser cannot tell which tensors belong to which: ` +
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
/** without contexts: an asynchronous scope whose caller still runs, so that what is made now is made outside of it */
let opening: Owner | null = null

/** The scope that what is made now belongs to. */
export const innermost = (): Owner | null => open(current ?? (pending === 0 ? null : resumed()))

/** A scope, or the first around it that has not ended. */
export function open(owner: Owner | null): Owner | null {
  let found = owner
  while (found?.hasEnded) found = found.parent
  return found
}

const resumed = (): Owner | null => (contexts ? contexts.getStore() : opening ? opening.parent : ambient) ?? null

/** Runs synchronous code in a scope, or outside of the one that it is called in. */
export function runIn<T>(owner: Owner | null, f: () => T): T {
  const outer = current
  current = owner
  try {
    return f()
  } finally {
    current = outer
  }
}

/** Runs code in a scope that may go on after an await. */
export function begin<T>(owner: Owner, f: () => T): T {
  if (contexts) return runIn(owner, () => contexts.run(owner, f))
  // queued before anything that f queues: when it runs, the caller's synchronous code is over, and f goes on no earlier
  queueMicrotask(() => {
    if (opening === owner) opening = null
  })
  return runIn(owner, f)
}

/** Code begun in a scope goes on after an await. Throws ScopeOverlapError. */
export function suspend(owner: Owner): void {
  if (opening && !contexts && !isInside(opening, owner)) throw new ScopeOverlapError(opening.name, owner.name)
  pending++
  // those that began inside of it are open, too, and go on first
  if (!opening) ambient = owner
  opening = owner
}

const isInside = (owner: Owner, outer: Owner): boolean =>
  owner.parent === outer || (owner.parent !== null && isInside(owner.parent, outer))

/** Code that went on after an await is through. Throws ScopeOverlapError where another such scope was opened in between and is still open. */
export function complete(owner: Owner): void {
  pending--
  if (contexts) return
  const last = ambient
  if (last !== owner) throw new ScopeOverlapError(owner.name, last?.name ?? 'another')
  ambient = owner.parent
}
