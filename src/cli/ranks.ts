// Commands under mpirun: some divide their work among its processes, and the others are refused, because every process would do all of it
// and write the same files. Rank 0 reports.

import { setTimeout } from 'node:timers/promises'
import { type Command, CommanderError } from 'commander'
import { type Communicator, isLaunchedByMpi, launchedRank, openMpi } from '../mpi/index.ts'
import { InterruptedError, UsageError } from './errors.ts'

/** The commands that divide their work. */
const DIVIDED: readonly string[] = ['train', 'probe', 'finetune', 'evaluate', 'embed']

/** Whether this process reports: one that is alone, or rank 0. */
export const isReporting = (): boolean => (launchedRank() ?? 0) === 0

/** The processes among which a command divides its work; undefined if it is alone. @throws MpiUnavailableError */
export const ranksHere = (): Communicator | undefined => (isLaunchedByMpi() ? openMpi() : undefined)

/** @throws UsageError for a command that several processes cannot divide among them */
export function checkDivided(command: Command): void {
  if (!isLaunchedByMpi()) return
  const names: string[] = []
  for (let each: Command | null = command; each?.parent; each = each.parent) names.unshift(each.name())
  const name = names.join(' ')
  if (DIVIDED.includes(name)) return
  throw new UsageError(
    `'${name}' is the work of one process, and a launcher has started several: start it without mpirun or srun. ${DIVIDED.slice(0, -1).join(', ')} and ${DIVIDED.at(-1)} divide their work`,
  )
}

/** Runs a command whose processes are interrupted together: each then ends by itself, with its own exit code. */
export async function amongRanks(run: (ranks: Communicator | undefined) => Promise<void>): Promise<void> {
  const ranks = ranksHere()
  try {
    await run(ranks)
  } catch (error) {
    if (error instanceof InterruptedError) ranks?.finalize()
    throw error
  }
}

/** How long other processes wait for rank 0, whose exit ends them: it may have the same error, and reports it. */
const MILLISECONDS = { error: 1000, mistake: 10_000 } as const

/**
 * The words before the error of a process; undefined if it is left to rank 0, as a mistake in the command line is, which all of them have.
 * The others wait before: the first exit ends all.
 */
export async function whoReports(error: unknown): Promise<string | undefined> {
  if (isReporting()) return ''
  if (error instanceof InterruptedError) return undefined
  const isMistake = error instanceof UsageError || error instanceof CommanderError
  await setTimeout(isMistake ? MILLISECONDS.mistake : MILLISECONDS.error)
  return isMistake ? undefined : `on rank ${launchedRank()}:\n`
}
