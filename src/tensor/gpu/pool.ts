// A pool that reuses freed device buffers. A destroyed WebGPU buffer is not released until the work before it is done,
// and JavaScript runs far ahead of the device: without a pool a loop of small operations takes gigabytes. There is one
// queue, which runs in order, so a buffer may be reused at once. Repeated work gets the same buffers again, so that the bind
// groups made for it can be used again too.

interface Poolable {
  readonly size: number
  destroy(): void
}

/** storage | copy source | copy destination */
const USAGE = 0x8c

/** The number of buffers that are remembered for a purpose. */
const REMEMBERED = 512

interface Events<B> {
  create(size: number, usage: number): B
  /** called when a buffer is returned */
  returned(buffer: B): void
  /** calls `destroy` when nothing uses the buffer any more */
  destroy(buffer: B, destroy: () => void): void
}

/** The buffers of one size that are free. */
interface Shelf<B> {
  readonly size: number
  /** with the time when each was returned, the earliest first */
  readonly free: Map<B, number>
}

export class BufferPool<B extends Poolable> {
  readonly #events: Events<B>
  readonly #largest: number
  readonly #shelves = new Map<number, Shelf<B>>()
  /** the buffers that served a purpose before */
  readonly #served = new WeakMap<object, B[]>()
  /** destroys each buffer */
  readonly #destroy = new WeakMap<B, () => void>()
  #clock = 0
  #freeBytes = 0
  #liveBytes = 0
  #peakBytes = 0

  /** @param largest maximum size of a buffer in bytes */
  constructor(largest: number, events: Events<B>) {
    this.#largest = largest
    this.#events = events
  }

  /**
   * A buffer of at least this many bytes, whose `destroy` returns it to the pool.
   * @param purpose what it is for: a buffer that served the same purpose before is preferred
   */
  take(bytes: number, purpose?: object): B {
    const shelf = this.#shelf(Math.max(bytes, Math.min(roundUp(bytes), this.#largest)))
    const buffer = this.#choose(shelf, purpose ?? shelf)
    if (shelf.free.delete(buffer)) this.#freeBytes -= shelf.size
    this.#liveBytes += shelf.size
    this.#peakBytes = Math.max(this.#peakBytes, this.#liveBytes)
    this.#shrink()
    return buffer
  }

  /** Destroys all buffers in the pool. */
  clear(): void {
    this.#shrink(0)
  }

  #shelf(size: number): Shelf<B> {
    let shelf = this.#shelves.get(size)
    if (!shelf) {
      shelf = { size, free: new Map() }
      this.#shelves.set(size, shelf)
    }
    return shelf
  }

  #choose(shelf: Shelf<B>, purpose: object): B {
    let served = this.#served.get(purpose)
    if (!served) {
      served = []
      this.#served.set(purpose, served)
    }
    for (const buffer of served) if (shelf.free.has(buffer)) return buffer
    const [buffer = this.#fresh(shelf)] = shelf.free.keys()
    if (served.push(buffer) > REMEMBERED) served.shift()
    return buffer
  }

  #fresh(shelf: Shelf<B>): B {
    const { size, free } = shelf
    const buffer = this.#events.create(size, USAGE)
    this.#destroy.set(buffer, buffer.destroy.bind(buffer))
    buffer.destroy = () => {
      this.#events.returned(buffer)
      free.set(buffer, this.#clock++)
      this.#liveBytes -= size
      this.#freeBytes += size
      this.#shrink()
    }
    return buffer
  }

  /**
   * Destroys free buffers, the least recently used first, until the bytes of all buffers are at most twice what was in use at
   * once. Once would be too little: not all sizes are in use at the same time.
   */
  #shrink(limit = 2 * this.#peakBytes - this.#liveBytes): void {
    while (this.#freeBytes > limit) {
      const [buffer, { size, free }] = this.#oldest()
      this.#events.destroy(buffer, this.#destroy.get(buffer)!)
      free.delete(buffer)
      this.#freeBytes -= size
    }
  }

  /** The free buffer that was returned first, of all sizes. */
  #oldest(): readonly [B, Shelf<B>] {
    let oldest: readonly [B, Shelf<B>] | undefined
    let time = Infinity
    for (const shelf of this.#shelves.values()) {
      const [first] = shelf.free
      if (!first || first[1] >= time) continue
      time = first[1]
      oldest = [first[0], shelf]
    }
    return oldest!
  }
}

/** Rounds up to one of eight sizes between a power of two and the next, at least 256 bytes, so that more buffers can be reused. */
function roundUp(bytes: number): number {
  const step = Math.max(256, 2 ** (Math.floor(Math.log2(bytes)) - 3))
  return Math.ceil(bytes / step) * step
}
