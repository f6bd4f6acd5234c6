// Whether training fits into a device's memory, told before it starts.

import type { Optimizer } from '../optim/index.ts'
import { demandMemory } from '../tensor/demand.ts'

/**
 * For an optimizer whose parameters are there, and nothing else that training needs.
 * @throws OutOfMemoryError if the current device cannot hold it
 */
export function checkTrainingFits(optimizer: Optimizer): void {
  demandMemory(
    optimizer.bytesToCome(),
    `gradients and the state of ${optimizer.algorithm}`,
    'Adafactor or SGD remember less than AdamW, frozen parts need neither gradients nor state, and a smaller model needs less of all',
  )
}
