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

/** The values of all processes, as JSON keeps them. */
export const gatheredValues = <T>(own: readonly T[], ranks: Communicator | undefined): readonly T[] =>
  ranks ? ranks.allGatherText(JSON.stringify(own)).flatMap(text => JSON.parse(text) as T[]) : own
