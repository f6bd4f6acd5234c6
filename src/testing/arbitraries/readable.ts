// Samples for checks: their tensors are on a device that can be read synchronously, independently of the current device.

import fc from 'fast-check'
import { device } from '../../tensor/index.ts'

const there = <T>(f: () => T): T => device.with('reference', f)

class Readable<T> extends fc.Arbitrary<T> {
  readonly #samples: fc.Arbitrary<T>

  constructor(samples: fc.Arbitrary<T>) {
    super()
    this.#samples = samples
  }

  generate(random: fc.Random, bias: number | undefined): fc.Value<T> {
    return there(() => this.#samples.generate(random, bias))
  }

  canShrinkWithoutContext(value: unknown): value is T {
    return this.#samples.canShrinkWithoutContext(value)
  }

  /** Smaller samples are created one at a time, when needed. */
  shrink(value: T, context: unknown): fc.Stream<fc.Value<T>> {
    const smaller = there(() => this.#samples.shrink(value, context))
    const steps: IterableIterator<fc.Value<T>> = {
      next: () => there(() => smaller.next()),
      [Symbol.iterator]: () => steps,
    }
    return new fc.Stream(steps)
  }
}

/** The same samples, with tensors on `reference`. */
export const readable = <T>(samples: fc.Arbitrary<T>): fc.Arbitrary<T> => new Readable(samples)
