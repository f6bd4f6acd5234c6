// Checks before training starts that it fits into a device's memory.

import type { Optimizer } from '../optim/index.ts'
import { demandMemory } from '../tensor/demand.ts'

/**
 * Call it after the parameters are allocated, before the optimizer's state and the gradients are.
 * @throws OutOfMemoryError if the current device cannot hold it
 */
export function checkTrainingFits(optimizer: Optimizer, inBackward: boolean): void {
  demandMemory(
    optimizer.bytesToCome({ inBackward }),
    `gradients and the state of ${optimizer.algorithm}`,
    'optimizer.inBackward needs the gradient of one parameter at a time, Adafactor and SGD need less state than AdamW, frozen parameters need neither gradients nor state, and a smaller model needs less of everything',
  )
}
