// Checks for memory before work starts.

import { device } from './devices.ts'
import { OutOfMemoryError } from './out-of-memory.ts'

/**
 * Checks that the current device can allocate a number of bytes.
 * @param purpose use of the memory, for the message
 * @param advice what to do if there is not enough memory
 * @throws OutOfMemoryError
 */
export function demandMemory(bytes: number, purpose: string, advice: string): void {
  const { name, memory, memoryLimit: limit } = device.get()
  const { bytes: used } = memory()
  if (limit !== undefined && used + bytes > limit)
    throw new OutOfMemoryError({ device: name, bytes, used, limit, purpose, advice })
}
