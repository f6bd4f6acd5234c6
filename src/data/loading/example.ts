// One example of a DataLoader, as it is prepared on the main thread and in workers.

import { Generator } from '../../tensor/index.ts'
import type { ExampleContext } from './source.ts'

/** What the preparation of an example is told. Its random numbers depend on the seed, the epoch and the example alone. */
export function contextOf(seed: number, epoch: number, index: number): ExampleContext {
  let random: Generator | undefined
  return {
    index,
    epoch,
    get random() {
      random ??= new Generator(seed).fork(`example ${index} of epoch ${epoch}`)
      return random
    },
  }
}
