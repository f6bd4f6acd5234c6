// A fuzz test of the readers: their valid files, mutated at random, are read in a child process that is killed when a file takes too
// much time or memory. All random choices follow from one seed, and every case can be run again by its number.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** Cases of a reader, from the first to the one before `to`. */
export interface Task {
  readonly reader: string
  readonly from: number
  readonly to: number
}

/** What a child process is given. */
export interface Work {
  readonly seed: number
  /** where cases are written */
  readonly folder: string
  readonly tasks: readonly Task[]
  /** bytes of memory at which it ends */
  readonly limit: number
  /** a module with the readers; default readers.ts */
  readonly readers?: string
}

/** A line that a child process prints: it has the valid files of a reader, or has read a case. */
export type Report =
  | { readonly reader: string; readonly samples: number }
  | {
      readonly reader: string
      readonly number: number
      readonly outcome: 'accepted' | 'refused' | 'crashed'
      readonly message: string
      readonly isLarge: boolean
    }

export const outcomes = ['refused', 'accepted', 'crashed', 'hung', 'large'] as const
export type FuzzOutcome = (typeof outcomes)[number]

/** The numbers of cases by their outcome. */
export type Tally = Record<FuzzOutcome, number>

/** A case that a reader should have refused or accepted, and did not. */
export interface Fault {
  readonly reader: string
  readonly number: number
  readonly outcome: FuzzOutcome
  readonly message: string
}

export interface FuzzOptions {
  readonly seed: number
  /** a folder for the files of cases that are faults */
  readonly keep?: string
  /** called for every case */
  readonly onCase?: (found: Fault) => void
  readonly signal?: AbortSignal
  /** a module with other readers */
  readonly readers?: string
  /** the most seconds for a case; default 5 */
  readonly caseSeconds?: number
}

/**
 * The most seconds of work for a case, and for the valid files of a reader. Work is the time on a processor where the system tells it, so a
 * busy machine changes nothing; a case that waits may take so many times longer.
 */
const CASE_SECONDS = 5
const SAMPLES_SECONDS = 120
const WAITING = 12
/** The most memory, in bytes, and the heap of a child, in MiB; a child with more is killed before the machine runs out of memory. */
const MOST_MEMORY = 2 ** 30
const HEAP = 900
const KILLED_AT = 2 * MOST_MEMORY

/** Runs cases, and returns the faults. */
export async function fuzz(tasks: readonly Task[], options: FuzzOptions): Promise<Fault[]> {
  const folder = await mkdtemp(join(tmpdir(), 'cocagrad-fuzz-'))
  const faults: Fault[] = []
  const settle = async (found: Fault) => {
    options.onCase?.(found)
    const place = join(folder, `${found.reader}-${found.number}`)
    if (found.outcome === 'accepted' || found.outcome === 'refused') return
    faults.push(found)
    if (options.keep !== undefined && existsSync(place))
      await cp(place, join(options.keep, `${found.reader}-${options.seed}-${found.number}`), { recursive: true })
    await rm(place, { recursive: true, force: true })
  }
  try {
    let left = tasks
    while (left.length > 0 && !options.signal?.aborted) {
      const work = { seed: options.seed, folder, tasks: left, limit: MOST_MEMORY, readers: options.readers }
      const { done, fault } = await runChild(work, settle, options)
      left = after(left, done)
      if (fault === undefined) continue
      // a busy machine, or memory that earlier cases left, is no fault of this one
      const { reader, number } = fault
      const alone = { ...work, tasks: [{ reader, from: number, to: number + 1 }] }
      const again = fault.outcome === 'crashed' ? { fault } : await runChild(alone, settle, options)
      if (again.fault) await settle(again.fault)
    }
    return faults
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The cases without the first `done`. */
function after(tasks: readonly Task[], done: number): readonly Task[] {
  let passed = done
  return tasks.flatMap(({ reader, from, to }) => {
    const skipped = Math.min(passed, to - from)
    passed -= skipped
    return from + skipped < to ? [{ reader, from: from + skipped, to }] : []
  })
}

/** Runs cases in a child process: the number of those that are done, the last of which may be one that ended the process. */
async function runChild(
  work: Work,
  settle: (found: Fault) => Promise<void>,
  { signal, caseSeconds = CASE_SECONDS }: FuzzOptions,
): Promise<{ readonly done: number; readonly fault?: Fault }> {
  const program = join(import.meta.dirname, 'child.ts')
  const child = spawn(
    process.execPath,
    [`--max-old-space-size=${HEAP}`, '--conditions=source', '--import', 'tsx', program, JSON.stringify(work)],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, TMPDIR: work.folder, NODE_TEST_CONTEXT: undefined } },
  )
  const exit = once(child, 'close')
  const cases = work.tasks.flatMap(({ reader, from, to }) =>
    Array.from({ length: to - from }, (_, i) => ({ reader, number: from + i })),
  )
  let errors = ''
  child.stderr.on('data', data => {
    errors = `${errors}${data}`.slice(-4000)
  })
  let [done, seconds, most]: [number, number, number] = [0, 0, SAMPLES_SECONDS]
  let reason: 'hung' | 'large' | undefined
  let fault: Fault | undefined
  let before = 0
  const clock = setInterval(() => {
    const { memory, work } = usageOf(child.pid!) ?? { memory: 0, work: undefined }
    // seconds in which this process runs: on a machine that was paused, none pass
    seconds += 0.25
    if (memory > KILLED_AT) reason = 'large'
    else if (seconds > most * WAITING || (work === undefined ? seconds : work - before) > most) reason = 'hung'
    if (reason !== undefined || signal?.aborted) child.kill('SIGKILL')
  }, 250)
  for await (const line of createInterface({ input: child.stdout })) {
    const report = JSON.parse(line) as Report
    seconds = 0
    before = usageOf(child.pid!)?.work ?? 0
    most = caseSeconds
    if ('samples' in report) continue
    const { isLarge, ...found } = report
    done++
    // the next reader begins with its valid files
    if (cases[done]?.reader !== found.reader) most = SAMPLES_SECONDS
    if (isLarge && found.outcome !== 'crashed') fault = { ...found, outcome: 'large' }
    else await settle(found)
  }
  clearInterval(clock)
  const [code] = await exit
  if (fault || code === 0 || signal?.aborted) return { done, fault }
  const outOfMemory = /heap out of memory|Array buffer allocation failed/.test(errors)
  const outcome = reason ?? (outOfMemory ? 'large' : 'crashed')
  return { done: done + 1, fault: { ...cases[done], outcome, message: reason ? '' : errors } }
}

/** The resident memory of a process in bytes and the seconds that it had a processor, as Linux tells them; undefined elsewhere. */
function usageOf(pid: number): { readonly memory: number; readonly work: number } | undefined {
  try {
    const [, pages] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')
    // the name before the bracket may have spaces
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
    return { memory: Number(pages) * 4096, work: (Number(fields[11]) + Number(fields[12])) / 100 }
  } catch {
    return undefined
  }
}

/** The command that runs a case again. */
export const replayOf = ({ reader, number }: Fault, seed: number): string =>
  `npm run fuzz -- --reader '${reader}' --seed ${seed} --case ${number} --keep faults`

/** Counts cases by reader. */
export class Tallies {
  readonly #counts = new Map<string, Tally>()

  add({ reader, outcome }: Fault): void {
    const tally = this.#counts.get(reader) ?? { refused: 0, accepted: 0, crashed: 0, hung: 0, large: 0 }
    tally[outcome]++
    this.#counts.set(reader, tally)
  }

  get(reader: string): Tally | undefined {
    return this.#counts.get(reader)
  }

  /** A table with a row for each reader. */
  toString(): string {
    const rows = [...this.#counts].map(([reader, tally]) => {
      const numbers = outcomes.map(outcome => tally[outcome])
      return [reader, numbers.reduce((a, b) => a + b, 0), ...numbers].map(String)
    })
    const table = [['reader', 'tried', 'refused', 'accepted', 'crashed', 'hung', 'over 1 GB'], ...rows]
    const widths = table[0].map((_, column) => Math.max(...table.map(row => row[column].length)))
    return table
      .map(row => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  '))
      .join('\n')
  }
}
