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
const REMEMBERED = 64

interface Events<B> {
  create(size: number, usage: number): B
  /** called when a buffer is returned */
  returned(buffer: B): void
  /** called before a buffer is destroyed */
  destroying(buffer: B): void
}

export class BufferPool<B extends Poolable> {
  readonly #events: Events<B>
  readonly #largest: number
  /** by size, the least recently used size first */
  #free = new Map<number, Set<B>>()
  /** the buffers that served a purpose before */
  readonly #served = new WeakMap<object, B[]>()
  /** the number of buffers that were made before each */
  readonly #ages = new WeakMap<B, number>()
  #made = 0
  /** destroys each buffer */
  #destroy = new WeakMap<B, () => void>()
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
    const size = Math.max(bytes, Math.min(roundUp(bytes), this.#largest))
    const free = this.#free.get(size)
    const buffer = (free && this.#choose(free, purpose)) ?? this.#fresh(size)
    if (purpose) this.#remember(buffer, purpose)
    if (free?.delete(buffer)) {
      this.#freeBytes -= size
      this.#free.delete(size)
      if (free.size > 0) this.#free.set(size, free)
    }
    this.#liveBytes += size
    this.#peakBytes = Math.max(this.#peakBytes, this.#liveBytes)
    return buffer
  }

  /** Destroys all buffers in the pool. */
  clear(): void {
    this.#shrink(0)
  }

  /** A buffer that served the purpose before, or else the oldest, which does not depend on the order of their return. */
  #choose(free: Set<B>, purpose?: object): B | undefined {
    const served = purpose && this.#served.get(purpose)?.find(buffer => free.has(buffer))
    if (served) return served
    let oldest: B | undefined
    for (const buffer of free) if (!oldest || this.#ages.get(buffer)! < this.#ages.get(oldest)!) oldest = buffer
    return oldest
  }

  #remember(buffer: B, purpose: object): void {
    const served = this.#served.get(purpose)
    if (!served) this.#served.set(purpose, [buffer])
    else if (!served.includes(buffer) && served.push(buffer) > REMEMBERED) served.shift()
  }

  #fresh(size: number): B {
    const buffer = this.#events.create(size, USAGE)
    this.#ages.set(buffer, this.#made++)
    this.#destroy.set(buffer, buffer.destroy.bind(buffer))
    buffer.destroy = () => {
      this.#events.returned(buffer)
      this.#liveBytes -= size
      this.#freeBytes += size
      const free = this.#free.get(size) ?? new Set()
      this.#free.delete(size)
      this.#free.set(size, free.add(buffer))
      // sizes are not needed at the same time: the sum of what each needs is more than was ever in use at once
      this.#shrink(2 * this.#peakBytes - this.#liveBytes)
    }
    return buffer
  }

  /** Destroys free buffers of the least recently used sizes until their bytes are within a limit. */
  #shrink(limit: number): void {
    for (const [size, free] of this.#free) {
      for (const buffer of free) {
        if (this.#freeBytes <= limit) return
        this.#events.destroying(buffer)
        this.#destroy.get(buffer)!()
        free.delete(buffer)
        this.#freeBytes -= size
      }
      this.#free.delete(size)
    }
  }
}

/** Rounds up to one of eight sizes between a power of two and the next, at least 256 bytes, so that more buffers can be reused. */
function roundUp(bytes: number): number {
  const step = Math.max(256, 2 ** (Math.floor(Math.log2(bytes)) - 3))
  return Math.ceil(bytes / step) * step
}
