// The record of an experiment: one line for each finished part. A part that is in the record is not computed again, so an
// experiment can be stopped or killed at any moment and continues with the first part that is missing.

import { join } from 'node:path'
import { z } from 'zod'
import { DataError, LineFile, parseJsonLine } from '../io/index.ts'

/** An experiment that was started with other settings, or a damaged record. */
export class ExperimentError extends DataError {}

/** A finished part. */
export interface Finished {
  /** its name, such as `seed-0/contrastive/retrieval` */
  readonly part: string
  readonly seconds: number
  readonly values: Readonly<Record<string, number>>
}

const finished = z.looseObject({
  part: z.string(),
  seconds: z.number().nonnegative(),
  values: z.record(z.string(), z.number().nullable()),
})

const FILE = 'parts.jsonl'

export class Ledger {
  readonly #file: LineFile
  readonly #finished = new Map<string, Finished>()

  private constructor(file: LineFile) {
    this.#file = file
  }

  /**
   * Opens the record in a folder, or begins it.
   * @param settings everything that the values depend on
   * @throws ExperimentError if it was begun with other settings, naming the first that differs
   */
  static async open(folder: string, settings: object): Promise<Ledger> {
    const file = await LineFile.open(join(folder, FILE), { begins: '{"' })
    try {
      const ledger = new Ledger(file)
      const [first, ...lines] = file.lines.map((line, i) =>
        parseJsonLine<unknown>(line, i === 0 ? z.looseObject({ settings: z.unknown() }) : finished, {
          file: file.path,
          line: i + 1,
        }),
      )
      if (first === undefined) await file.append([JSON.stringify({ settings })])
      else checkSame(folder, (first as { settings?: unknown }).settings, settings)
      for (const line of lines as Finished[]) ledger.#finished.set(line.part, line)
      return ledger
    } catch (error) {
      await file.close()
      throw error
    }
  }

  get(part: string): Finished | undefined {
    return this.#finished.get(part)
  }

  async add(finished: Finished): Promise<void> {
    await this.#file.append([JSON.stringify(finished)])
    this.#finished.set(finished.part, finished)
  }

  /** Seconds that all finished parts took together. */
  get seconds(): number {
    return [...this.#finished.values()].reduce((sum, { seconds }) => sum + seconds, 0)
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

function checkSame(folder: string, before: unknown, now: unknown): void {
  const path = firstDifference(before, JSON.parse(JSON.stringify(now)))
  if (path === undefined) return
  throw new ExperimentError(
    `was started with other settings: ${path} differs. Choose another folder with --out, or remove this one`,
    { file: folder },
  )
}

/** The path of the first field in which two JSON values differ. */
function firstDifference(a: unknown, b: unknown, path = ''): string | undefined {
  const isObject = (x: unknown): x is Record<string, unknown> => typeof x === 'object' && x !== null
  if (!isObject(a) || !isObject(b)) return Object.is(a, b) ? undefined : path || 'the whole'
  for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
    const found = firstDifference(a[name], b[name], path ? `${path}.${name}` : name)
    if (found !== undefined) return found
  }
  return undefined
}
