// The part of one of several processes in a training: its examples of each batch, what all processes must have in common, and what
// they measured together. Rank 0 alone writes files and calls the callbacks.

import { checkShares, shareOf } from '../data/ranks.ts'
import { sha256 } from '../io/browser.ts'
import type { Communicator } from '../mpi/index.ts'
import type { Module } from '../nn/index.ts'
import { DeviceError, device } from '../tensor/index.ts'
import type { Finding } from './guard/diagnose.ts'
import { type Objective, sizeOf, sliceOf } from './objective.ts'

/**
 * The examples of a batch that this process computes, in parts of nearly equal size in the order of the ranks.
 * @throws RangeError if there are fewer examples than processes
 */
export function ownPart<Batch>(objective: Objective<Batch>, batch: Batch, ranks: Communicator | undefined): Batch {
  if (!ranks) return batch
  const size = sizeOf(objective, batch)
  if (size === undefined)
    throw new RangeError(
      'a batch without tensors cannot be divided among ranks: define size() and slice() in the objective',
    )
  checkShares(size, ranks)
  const { start, stop } = shareOf(size, ranks)
  return sliceOf(objective, batch, start, stop)
}

/**
 * Compares what all processes must have in common.
 * @param others texts by name, such as the configuration
 * @throws RanksDifferError; DeviceError on a device whose values cannot be read synchronously
 */
export async function requireSameTraining(
  ranks: Communicator,
  model: Module,
  others: Readonly<Record<string, string>>,
): Promise<void> {
  if (!device.get().readSync)
    throw new DeviceError(
      `ranks exchange gradients through the host, at once: use cpu or reference, not ${device.current}`,
      device.current,
    )
  ranks.phase = 'the start of the training'
  const advice = 'start every rank with the same files, settings and version'
  for (const [what, text] of Object.entries(others)) ranks.requireSame(what, text, advice)
  const rounding =
    'numbers are rounded alike only with the same processor features, threads and BLAS: set COCAGRAD_THREADS and COCAGRAD_BLAS'
  ranks.requireSame('the device', `${device.current} ${device.description}`, rounding)
  await requireSameParameters(ranks, model, 'seed the random numbers alike before the model is made')
}

/** @throws RanksDifferError if a process has other parameters */
export async function requireSameParameters(ranks: Communicator, model: Module, advice: string): Promise<void> {
  let hash = ''
  for (const [name, parameter] of model.namedParameters()) {
    const values = await parameter.data()
    hash = sha256(`${hash} ${name} ${sha256(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))}`)
  }
  ranks.requireSame('the parameters', hash, advice)
}

/** What the processes measured in a step. */
export interface MeasuredTogether {
  /** examples of the whole batch */
  readonly size: number | undefined
  /** seconds that each process spent in exchanges, most of them waiting for slower ones */
  readonly communication: readonly number[]
  /** seconds that the slowest process waited for its examples */
  readonly waiting: number
  readonly skipped: number
}

export function measuredTogether(
  ranks: Communicator,
  own: { readonly size?: number; readonly seconds: number; readonly waiting: number; readonly skipped: number },
): MeasuredTogether {
  const sent = Float64Array.of(own.size ?? Number.NaN, own.seconds, own.waiting, own.skipped)
  const { values } = ranks.allGather(sent)
  const column = (at: number) => Array.from({ length: ranks.size }, (_, rank) => values[sent.length * rank + at])
  const size = column(0).reduce((a, b) => a + b)
  return {
    size: Number.isNaN(size) ? undefined : size,
    communication: column(1),
    waiting: Math.max(...column(2)),
    // all processes know of all samples that are left out
    skipped: Math.max(...column(3)),
  }
}

/** The findings of the first process that has some. */
export function findingsOf(ranks: Communicator | undefined, own: readonly Finding[]): readonly Finding[] {
  if (!ranks) return own
  const all = ranks.allGatherText(JSON.stringify(own)).map(text => JSON.parse(text) as Finding[])
  return all.find(findings => findings.length > 0) ?? own
}
