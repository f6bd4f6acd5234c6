// Checks for memory before work starts.

import type { MemoryCount } from './count.ts'
import { device } from './devices.ts'
import { askNode } from './host.ts'
import { OutOfMemoryError } from './out-of-memory.ts'
import type { DeviceName } from './storage.ts'
import { warn } from './warn.ts'

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

/** Bytes that this process may use at most, and those that are free now; unknown outside of Node. */
function systemMemory(): { readonly limit?: number; readonly free?: number } {
  const total = askNode(node => node.getBuiltinModule('node:os').totalmem())
  // 0 if nothing limits it, or a number far above the total
  const allowed = askNode(node => node.constrainedMemory()) || Number.POSITIVE_INFINITY
  return { limit: total && Math.min(total, allowed), free: askNode(node => node.availableMemory()) }
}

/** The memory that there is on a device, in bytes, if known. */
export function memoryLimit(on: DeviceName): number | undefined {
  const { memoryLimit: own } = device.get(on)
  if (on === 'gpu') return own
  const { limit } = systemMemory()
  return own === undefined || limit === undefined ? (own ?? limit) : Math.min(own, limit)
}

/** How to get a larger memory, for the end of an advice; empty where there is one. */
export const largerMemory = (on: DeviceName): string =>
  on === 'cpu' && (device.get(on).memoryLimit ?? 0) <= 2 ** 32
    ? '; Node 24 or later gives cpu up to 16 GiB instead of 4'
    : ''

/** The part of the memory that must be taken for a count before the work begins: a count takes time, and small models find out soon enough. */
const LARGE = 1 / 8

/** Whether so many bytes are a large part of the memory of a device. */
export function isLargePart(bytes: number, on: DeviceName): boolean {
  const limit = memoryLimit(on)
  return limit !== undefined && bytes >= LARGE * limit
}

/** What a count found: bytes at the highest point, and those of them that were in use before. */
export type Need = Pick<MemoryCount<unknown>, 'peak' | 'before'>

/** Bytes in use on a device, without those that a count includes. */
const usedBeside = ({ before }: Need, on: DeviceName): number => Math.max(0, device.get(on).memory().bytes - before)

/** Whether something fits beside what else is on its device. */
export const fits = (need: Need, on: DeviceName): boolean =>
  usedBeside(need, on) + need.peak <= (memoryLimit(on) ?? Number.POSITIVE_INFINITY)

/**
 * `needs 3.9 GiB: weights 2.4, activations 1.5; cpu has 4.0 GiB`
 * @param parts bytes by name; those that are 0 are left out, except activations
 */
export function describeNeed(peak: number, parts: Readonly<Record<string, number>>, on: DeviceName): string {
  const [unit, size] = peak >= 2 ** 30 ? ['GiB', 2 ** 30] : ['MiB', 2 ** 20]
  const number = (bytes: number) => (bytes / size).toFixed(1)
  const listed = Object.entries(parts).filter(([name, bytes]) => bytes > 0 || name === 'activations')
  const limit = memoryLimit(on)
  const has = limit === undefined ? '' : `; ${on} has ${(limit / 2 ** 30).toFixed(1)} GiB`
  return `needs ${number(peak)} ${unit}: ${listed.map(([name, bytes]) => `${name} ${number(bytes)}`).join(', ')}${has}`
}

/**
 * Checks that something fits beside what else is on its device. A process warning says if the system has less free memory at the moment.
 * @param what its name, and what it needs, in the words of {@link describeNeed}
 * @param advice what would need less
 * @throws OutOfMemoryError
 */
export function demand(
  need: Need,
  on: DeviceName,
  [name, needs]: readonly [string, string],
  advice: () => string,
): void {
  const { peak, before } = need
  if (!fits(need, on))
    throw new OutOfMemoryError({
      device: on,
      bytes: peak,
      used: usedBeside(need, on),
      limit: memoryLimit(on),
      purpose: `${name}, which ${needs}`,
      advice: advice(),
    })
  const { free } = systemMemory()
  if (on !== 'gpu' && free !== undefined && peak - before > free)
    warn(`${name} ${needs}, and the system has ${(free / 2 ** 30).toFixed(1)} GiB free at the moment`, 'MemoryWarning')
}
