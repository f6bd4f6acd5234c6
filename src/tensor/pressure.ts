// Memory that no scope frees: the garbage collector frees it when nothing refers to it. Most devices store values outside of
// the engine's heap, where the collector does not count them, and finalizers run only between tasks of the event loop. So a claim
// on such memory holds an unused buffer of the same size, which the engine counts, and reads wait for a task when much memory has
// been left to the collector.

import { nextTask, turn } from './next-task.ts'

/** Bytes from which a claim holds a buffer; for a smaller tensor, its JavaScript objects are a tenth of that size or more. */
const LEAST = 4096
/** Bytes left to the collector after which a read waits for a task: 32 MiB. */
const MUCH = 2 ** 25

interface Piece {
  readonly memory: { free(handle: unknown): void }
  readonly handle: unknown
}

const registry = new FinalizationRegistry<Piece>(({ memory, handle }) => memory.free(handle))

let uncollected = 0
let collection: Promise<void> | undefined

/** Bytes left to the garbage collector since it could last run finalizers, without those of `keep`. */
export const uncollectedBytes = (): number => uncollected

/** A promise for a read to wait for, so that finalizers can run, and others; undefined if little memory was left to them, and little time. */
export const relief = (): Promise<void> | undefined => collection ?? turn()

/** A claim on a piece of memory: when it is collected, the piece is freed. Only what uses the memory refers to it. */
export class Claim {
  /** the buffer that the engine counts */
  readonly weight: object | undefined
  /** bytes that count as left to the collector */
  #bytes: number

  /** @param bytes bytes outside of the engine's heap: 0 if the engine counts the memory itself */
  constructor(piece: Piece, bytes: number) {
    this.#bytes = bytes
    this.weight = weightOf(bytes)
    registry.register(this, piece, this)
    uncollected += bytes
    if (uncollected >= MUCH) collection ??= nextTask().then(reset)
  }

  /** The piece is kept on purpose: it does not count as left to the collector. */
  keep(): void {
    uncollected = Math.max(0, uncollected - this.#bytes)
    this.#bytes = 0
  }

  /** Ends the claim: the piece is freed elsewhere. */
  cancel(): void {
    registry.unregister(this)
    this.keep()
  }
}

/** An unused buffer, or undefined if it cannot be allocated. */
function weightOf(bytes: number): object | undefined {
  if (bytes < LEAST) return undefined
  // Node clears other buffers, which takes time
  const { Buffer } = globalThis as { Buffer?: { allocUnsafeSlow?(bytes: number): object } }
  try {
    return Buffer?.allocUnsafeSlow?.(bytes) ?? new ArrayBuffer(bytes)
  } catch {
    return undefined
  }
}

function reset(): void {
  uncollected = 0
  collection = undefined
}
