// How long a WebGPU device takes: by its own timestamps, or without them by the time from a submit until the work is done.

import type { DispatchQueue } from './dispatch.ts'

/** storage of query results | copy source, and copy destination | read by the host */
const RESULTS = 0x204
const READ = 0x9

export class Timer {
  readonly #device: GPUDevice
  readonly #calls: DispatchQueue
  readonly #hasTimestamps: boolean

  constructor(device: GPUDevice, calls: DispatchQueue) {
    this.#device = device
    this.#calls = calls
    this.#hasTimestamps = device.features.has('timestamp-query')
  }

  /** Milliseconds: browsers round timestamps to 0.1, and between a submit and its end a host does other things too. */
  get resolution(): number {
    return this.#hasTimestamps ? 0.1 : 1
  }

  /** Milliseconds of each work, which the device computes one after the other, every call several times. */
  time(works: readonly (() => void)[], times: number): Promise<number[]> {
    return this.#hasTimestamps ? this.#byDevice(works, times) : this.#byHost(works, times)
  }

  async #byDevice(works: readonly (() => void)[], times: number): Promise<number[]> {
    await this.#calls.after(() => undefined)
    const count = 2 * works.length
    const querySet = this.#device.createQuerySet({ type: 'timestamp', count })
    const results = this.#device.createBuffer({ size: 8 * count, usage: RESULTS })
    const staging = this.#device.createBuffer({ size: 8 * count, usage: READ })
    try {
      for (const [i, work] of works.entries())
        this.#calls.submit(work, times, {
          querySet,
          beginningOfPassWriteIndex: 2 * i,
          endOfPassWriteIndex: 2 * i + 1,
        })
      const encoder = this.#device.createCommandEncoder()
      encoder.resolveQuerySet(querySet, 0, count, results, 0)
      encoder.copyBufferToBuffer(results, 0, staging, 0, 8 * count)
      this.#device.queue.submit([encoder.finish()])
      await staging.mapAsync(1)
      const nanoseconds = new BigUint64Array(staging.getMappedRange())
      return works.map((_, i) => Number(nanoseconds[2 * i + 1] - nanoseconds[2 * i]) / 1e6)
    } finally {
      querySet.destroy()
      results.destroy()
      staging.destroy()
    }
  }

  async #byHost(works: readonly (() => void)[], times: number): Promise<number[]> {
    const milliseconds: number[] = []
    for (const work of works) {
      await this.#calls.after(() => this.#calls.flush())
      await this.#device.queue.onSubmittedWorkDone()
      await this.#calls.after(() => undefined)
      const start = performance.now()
      this.#calls.submit(work, times)
      await this.#device.queue.onSubmittedWorkDone()
      milliseconds.push(performance.now() - start)
    }
    return milliseconds
  }
}
