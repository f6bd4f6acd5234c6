// Memory that no scope gives back: the garbage collector does, once nothing refers to it. Most devices keep values outside of the
// engine's heap, where the collector does not count them, and finalizers run only when the event loop comes to its next task. So a
// claim on such memory holds an empty buffer of the same size, which the engine counts and nothing touches, and reads wait for a
// task when much has been left to the collector.

/** Bytes from which a claim holds a buffer; the objects of a smaller tensor are a tenth of it or more themselves. */
const LEAST = 4096
/** Bytes left to the collector after which a read waits for a task: 32 MiB. */
const MUCH = 2 ** 25

interface Piece {
  readonly memory: { free(handle: unknown): void }
  readonly handle: unknown
}

const registry = new FinalizationRegistry<Piece>(({ memory, handle }) => memory.free(handle))

let uncollected = 0
let nextTask: Promise<void> | undefined

/** Bytes left to the garbage collector since it could last have run finalizers, of tensors that nobody asked to keep. */
export const uncollectedBytes = (): number => uncollected

/** What a read waits for so that finalizers can run; undefined where little was left to them. */
export const relief = (): Promise<void> | undefined => nextTask

/** The right to a piece of memory, held by the object that stands for it: when that object is collected, the piece is given back. */
export class Claim {
  /** what the engine counts */
  readonly weight: object | undefined
  readonly #piece: Piece
  /** bytes that count as left over */
  #bytes: number

  /** @param bytes outside of the engine's heap: 0 where the engine counts them itself */
  constructor(holder: object, piece: Piece, bytes: number) {
    this.#piece = piece
    this.#bytes = bytes
    this.weight = weightOf(bytes)
    registry.register(holder, piece, this)
    uncollected += bytes
    if (uncollected >= MUCH) nextTask ??= task().then(reset)
  }

  /** Another object stands for the piece. */
  moveTo(holder: object): this {
    registry.unregister(this)
    registry.register(holder, this.#piece, this)
    return this
  }

  /** The piece is meant to last: it does not count as left over. */
  keep(): void {
    uncollected = Math.max(0, uncollected - this.#bytes)
    this.#bytes = 0
  }

  /** Someone else gives the piece back. */
  cancel(): void {
    registry.unregister(this)
    this.keep()
  }
}

/** A buffer that nothing writes to, where the engine has one to give. */
function weightOf(bytes: number): object | undefined {
  if (bytes < LEAST) return undefined
  // Node fills other buffers with zeros, byte by byte
  const { Buffer } = globalThis as { Buffer?: { allocUnsafeSlow?(bytes: number): object } }
  try {
    return Buffer?.allocUnsafeSlow?.(bytes) ?? new ArrayBuffer(bytes)
  } catch {
    return undefined
  }
}

function reset(): void {
  uncollected = 0
  nextTask = undefined
}

/** Resolves in a task of its own. */
function task(): Promise<void> {
  const { setImmediate } = globalThis as { setImmediate?: (f: () => void) => void }
  return new Promise(resolve => {
    if (setImmediate) return void setImmediate(resolve)
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(undefined)
  })
}
