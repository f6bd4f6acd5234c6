// A GPU reports its errors late, to nobody in particular, and computes on. What went wrong is kept here until a value
// is about to be handed out, and from then on nothing is handed out.

import { DeviceError } from '../device.ts'

export class ErrorLatch {
  /** what went wrong, as far as a scope knows, and the first that came without one: often only its consequence */
  #cause: string | null = null
  #first: string | null = null
  #watched = new Set<Promise<unknown>>()

  /** Keeps the first of all errors: later ones follow from it. */
  set(message: string): void {
    this.#first ??= message
  }

  /** Keeps an error scope's error, if there is one when it closes. */
  watch(scope: Promise<{ message: string } | null>, describe: (error: { message: string }) => string): void {
    const seen = scope
      .then(error => {
        if (error) this.#cause ??= describe(error)
      })
      .catch(() => undefined)
      .finally(() => this.#watched.delete(seen))
    this.#watched.add(seen)
  }

  /** Waits for every scope that is closed, lets late events arrive, and throws if anything went wrong. */
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

/** Lets events that wait be delivered; setTimeout would add a millisecond to every read. */
function nextTask(): Promise<void> {
  return new Promise(resolve => {
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = () => {
      port1.close()
      resolve()
    }
    port2.postMessage(null)
  })
}
