// Counts the kernels that are compiled, and tells a listener about each.

import type { CompileProgress } from '../device.ts'

export class Compilations {
  /** called after each kernel */
  listener: ((progress: CompileProgress) => void) | undefined
  #asked = 0
  #compiled = 0

  ask(): void {
    this.#asked++
  }

  /** @param kernel the operation and its shapes */
  finish(kernel: string): void {
    const progress = { kernel, compiled: ++this.#compiled, asked: this.#asked }
    const { listener } = this
    // its errors are not those of the operation that compiles
    if (listener) queueMicrotask(() => listener(progress))
  }
}
