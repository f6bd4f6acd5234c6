// A GPU reports its errors late, to nobody in particular, and computes on. What went wrong is kept here until a value
// is about to be handed out, and from then on nothing is handed out.

import { DeviceError } from '../backend.ts'

export class ErrorLatch {
  #first: string | null = null
  #watched = new Set<Promise<unknown>>()

  /** Keeps the first of all errors: later ones follow from it. */
  set(message: string): void {
    this.#first ??= message
  }

  /** Keeps an error scope's error, if there is one when it closes. */
  watch(scope: Promise<{ message: string } | null>, describe: (error: { message: string }) => string): void {
    const seen = scope
      .then(error => void (error && this.set(describe(error))))
      .catch(() => undefined)
      .finally(() => this.#watched.delete(seen))
    this.#watched.add(seen)
  }

  /** Waits for every scope that is closed, lets late events arrive, and throws if anything went wrong. */
  async settle(): Promise<void> {
    if (this.#watched.size > 0) {
      await Promise.all(this.#watched)
      await new Promise(resolve => setTimeout(resolve, 0))
    }
    this.check()
  }

  get isSet(): boolean {
    return this.#first !== null
  }

  check(): void {
    if (this.#first === null) return
    throw new DeviceError('gpu: stopped after an error; open it again with await device.use(…)', 'gpu', [this.#first])
  }
}
