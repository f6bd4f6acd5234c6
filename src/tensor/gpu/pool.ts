// A pool that reuses freed device buffers. A destroyed WebGPU buffer is not released until the work before it is done,
// and JavaScript runs far ahead of the device: without a pool a loop of small operations takes gigabytes. There is one
// queue, which runs in order, so a buffer may be reused at once.

interface Poolable {
  readonly size: number
  destroy(): void
}

/** storage | copy source | copy destination */
const USAGE = 0x8c

export class BufferPool<B extends Poolable> {
  readonly #create: (size: number, usage: number) => B
  readonly #giveBack: (buffer: B) => void
  readonly #largest: number
  /** by size, the least recently used size first */
  #free = new Map<number, B[]>()
  /** destroys each buffer */
  #destroy = new WeakMap<B, () => void>()
  #freeBytes = 0
  #liveBytes = 0
  #peakBytes = 0

  /**
   * @param giveBack called when a buffer is returned
   * @param largest maximum size of a buffer in bytes
   */
  constructor(create: (size: number, usage: number) => B, giveBack: (buffer: B) => void, largest: number) {
    this.#create = create
    this.#giveBack = giveBack
    this.#largest = largest
  }

  /** A buffer of at least this many bytes, whose `destroy` returns it to the pool. */
  take(bytes: number): B {
    const size = Math.max(bytes, Math.min(roundUp(bytes), this.#largest))
    const waiting = this.#free.get(size)
    let buffer = waiting?.pop()
    if (buffer) {
      this.#freeBytes -= size
      this.#free.delete(size)
      if (waiting!.length > 0) this.#free.set(size, waiting!)
    } else buffer = this.#fresh(size)
    this.#liveBytes += size
    this.#peakBytes = Math.max(this.#peakBytes, this.#liveBytes)
    return buffer
  }

  /** Destroys all buffers in the pool. */
  clear(): void {
    this.#shrink(0)
  }

  #fresh(size: number): B {
    const buffer = this.#create(size, USAGE)
    this.#destroy.set(buffer, buffer.destroy.bind(buffer))
    buffer.destroy = () => {
      this.#giveBack(buffer)
      this.#liveBytes -= size
      this.#freeBytes += size
      const waiting = this.#free.get(size)
      if (waiting) {
        this.#free.delete(size)
        waiting.push(buffer)
      }
      this.#free.set(size, waiting ?? [buffer])
      this.#shrink(this.#peakBytes)
    }
    return buffer
  }

  /** Limits the pool to the largest amount that was in use at the same time. */
  #shrink(limit: number): void {
    for (const [size, waiting] of this.#free) {
      while (this.#freeBytes > limit && waiting.length > 0) {
        this.#destroy.get(waiting.pop()!)!()
        this.#freeBytes -= size
      }
      if (waiting.length > 0) return
      this.#free.delete(size)
    }
  }
}

/** Rounds up to one of eight sizes between a power of two and the next, at least 256 bytes, so that more buffers can be reused. */
function roundUp(bytes: number): number {
  const step = Math.max(256, 2 ** (Math.floor(Math.log2(bytes)) - 3))
  return Math.ceil(bytes / step) * step
}
