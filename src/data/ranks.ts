// Several processes that compute together: how they divide items among them, and agree on what each found. A `Communicator` of
// `openMpi()` is one of them; this file needs nothing of MPI, because it runs in a browser too.

import * as is from '../tensor/kinds.ts'

/** One of several processes; `openMpi()` returns one. */
export interface BatchRanks {
  /** number of this process, from 0 */
  readonly rank: number
  /** number of processes */
  readonly size: number
  /** The texts of all processes, in the order of their ranks. Every process makes the same calls in the same order. */
  allGatherText(own: string): readonly string[] | Promise<readonly string[]>
}

export const batchRanks = is.optional(
  new is.Kind<BatchRanks>(
    'the processes that openMpi() returns',
    x => typeof x === 'object' && x !== null && 'allGatherText' in x,
  ),
)

/** Whether this process writes files and reports. */
export const isFirst = (ranks: Pick<BatchRanks, 'rank'> | undefined): boolean => ranks === undefined || ranks.rank === 0

/** Items from `start` up to `stop`. */
export interface Share {
  readonly start: number
  readonly stop: number
}

/** The items of `count` that a process has: parts of nearly equal size, in the order of the ranks. Without processes all. */
export function shareOf(count: number, ranks: Pick<BatchRanks, 'rank' | 'size'> | undefined): Share {
  if (!ranks) return { start: 0, stop: count }
  const edge = (rank: number) => Math.round((rank * count) / ranks.size)
  return { start: edge(ranks.rank), stop: edge(ranks.rank + 1) }
}

/** @throws RangeError if a batch has fewer examples than there are processes */
export function checkShares(size: number, { size: count }: Pick<BatchRanks, 'size'>): void {
  if (size < count)
    throw new RangeError(
      `a batch of ${size} examples has none for some of ${count} ranks: use larger batches or fewer processes; if it is the last of an epoch, leave such batches out`,
    )
}
