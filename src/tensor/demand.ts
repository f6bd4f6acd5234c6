// Memory that will be needed, asked for before the work starts.

import { device } from './devices.ts'
import { OutOfMemoryError } from './out-of-memory.ts'

/**
 * Makes sure that the current device has room for so many bytes more.
 * @param purpose what they are for
 * @param advice what to do if there is no room
 * @throws OutOfMemoryError
 */
export function demandMemory(bytes: number, purpose: string, advice: string): void {
  const { name, memory, memoryLimit: limit } = device.get()
  const { bytes: used } = memory()
  if (limit !== undefined && used + bytes > limit)
    throw new OutOfMemoryError({ device: name, bytes, used, limit, purpose, advice })
}
