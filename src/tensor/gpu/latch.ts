// A GPU reports its errors late, without naming the operation, and continues to compute. Errors are kept here until a
// value is read; from then on every read fails.

import { DeviceError } from '../device.ts'
import { nextTask } from '../next-task.ts'

export class ErrorLatch {
  /** the first error of an error scope, and the first without a scope, which is often only its consequence */
  #cause: string | null = null
  #first: string | null = null
  #watched = new Set<Promise<unknown>>()

  /** Keeps the first error: later ones follow from it. */
  set(message: string): void {
    this.#first ??= message
  }

  /** Keeps the error of an error scope, if there is one when it closes. */
  watch(scope: Promise<{ message: string } | null>, describe: (error: { message: string }) => string): void {
    const seen = scope
      .then(error => {
        if (error) this.#cause ??= describe(error)
      })
      .catch(() => undefined)
      .finally(() => this.#watched.delete(seen))
    this.#watched.add(seen)
  }

  /** Waits for every closed scope and for late events, and throws if there was an error. */
  async settle(): Promise<void> {
    await Promise.all(this.#watched)
    await nextTask()
    this.check()
  }

  get isSet(): boolean {
    return (this.#cause ?? this.#first) !== null
  }

  check(): void {
    const reason = this.#cause ?? this.#first
    if (reason === null) return
    throw new DeviceError(`gpu: stopped after an error; open it again with await device.use('gpu')`, 'gpu', [reason])
  }
}
