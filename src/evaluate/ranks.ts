// Evaluation by several processes: each computes some of the batches in which one process computes everything, so the results are
// the same, and gets the results of the others.

import { type Share, shareOf } from '../data/ranks.ts'
import type { Communicator, MpiNumbers } from '../mpi/index.ts'

/** The items of a process, whole batches of so many; without processes all. */
export function ownItems(count: number, batchSize: number, ranks: Communicator | undefined): Share {
  const { start, stop } = shareOf(Math.ceil(count / batchSize), ranks)
  return { start: Math.min(count, start * batchSize), stop: Math.min(count, stop * batchSize) }
}

/** The numbers of all processes, each with those of its own items, in the order of the items. */
export const gathered = <T extends MpiNumbers>(own: T, ranks: Communicator | undefined): T =>
  ranks ? ranks.allGather(own).values : own

/** The same, those of each process apart. */
export function gatheredParts(own: Float32Array, ranks: Communicator): Float32Array[] {
  const { values, counts } = ranks.allGather(own)
  let start = 0
  return counts.map(count => {
    start += count
    return values.subarray(start - count, start)
  })
}

/** The values of all processes, as JSON keeps them. */
export const gatheredValues = <T>(own: readonly T[], ranks: Communicator | undefined): readonly T[] =>
  ranks ? ranks.allGatherText(JSON.stringify(own)).flatMap(text => JSON.parse(text) as T[]) : own

/** Stops all processes after the same batch. @throws the signal's reason, or an AbortError where another process was stopped */
export function stopTogether(signal: AbortSignal | undefined, ranks: Communicator | undefined): void {
  const isAborted = signal?.aborted === true
  if (!(ranks ? ranks.any(isAborted) : isAborted)) return
  signal?.throwIfAborted()
  throw new DOMException('another process was stopped', 'AbortError')
}
