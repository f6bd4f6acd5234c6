// What was measured, one JSON object a line, so that a run can be watched while it goes on and read when it was killed.

import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { DataError, fileError, namesIn, readText, writeAtomically } from '../io/index.ts'

/** One update. */
export interface StepMetrics {
  readonly kind: 'step'
  /** counted from 1 */
  readonly step: number
  /** counted from 0 */
  readonly epoch: number
  /** λ_Con L_Con + λ_Cap L_Cap, before the update */
  readonly loss: number
  readonly contrastive: number
  readonly captioning: number
  readonly learningRate: number
  /** of all gradients together, before clipping */
  readonly gradientNorm: number
  /** 1 / temperature, before the update */
  readonly scale: number
  readonly imagesPerSecond: number
  /** that the step took, waiting for its images included */
  readonly seconds: number
  /** of these, until its images were there */
  readonly waiting: number
  /** samples of this run that could not be used so far */
  readonly skipped: number
}

/** One look at the model while it is being trained. */
export interface EvaluationMetrics {
  readonly kind: 'evaluation'
  /** after so many updates */
  readonly step: number
  readonly seconds: number
  readonly values: Readonly<Record<string, number>>
}

/** One check of the gradient that trains, against finite differences of the loss. */
export interface GuardMetrics {
  readonly kind: 'guard'
  /** the step whose gradient this is, before its update */
  readonly step: number
  /** whether the error is within the bound, and no rule and no tensor is wrong */
  readonly ok: boolean
  /** |tape - differences| over the size of such derivatives */
  readonly error: number
  /** the largest error that is taken for rounding */
  readonly bound: number
  /** the derivative along a random direction, by the tape on the device that trains */
  readonly tape: number
  /** and by differences, in float64 on reference */
  readonly differences: number
  /** images that were looked at */
  readonly examples: number
  readonly seconds: number
  /** the error of the tape in float64 on reference, where the error was worth the look: tells a wrong rule from rounding */
  readonly inFloat64?: number
  /** where the loss has kinks so near that only shorter steps showed its slope */
  readonly kinks?: boolean
  /** whose gradient is wrong on the device that trains while the rules are right, and by what share of it */
  readonly tensor?: { readonly name: string; readonly error: number }
  /** the batch and the weights, below the run's folder, where the check failed */
  readonly file?: string
}

export type MetricsLine = StepMetrics | EvaluationMetrics | GuardMetrics

const METRICS = 'metrics.jsonl'
const metricsFile = (folder: string) => join(folder, METRICS)

/**
 * What a run has measured, in order; none if it has not begun. A last line that was cut off is left out.
 * @throws DataError naming file and line, where one is not JSON
 */
export async function readMetrics(folder: string): Promise<MetricsLine[]> {
  return (await wholeLines(folder)).map((line, i) => parse(line, i + 1, metricsFile(folder)))
}

/** Forgets what was measured after a step. */
export async function cutMetrics(folder: string, step: number): Promise<void> {
  const file = metricsFile(folder)
  const lines = await wholeLines(folder)
  const kept = lines.filter((line, i) => parse(line, i + 1, file).step <= step)
  await writeAtomically(file, kept.map(line => `${line}\n`).join(''))
}

async function wholeLines(folder: string): Promise<string[]> {
  if (!(await namesIn(folder)).includes(METRICS)) return []
  return (await readText(metricsFile(folder))).split('\n').slice(0, -1)
}

function parse(line: string, number: number, file: string): MetricsLine {
  try {
    return JSON.parse(line)
  } catch (cause) {
    throw new DataError('is not JSON', { file, line: number, cause })
  }
}

/** The end of a metrics file, to which lines are added. */
export class MetricsLog {
  readonly #file: string
  readonly #handle: FileHandle

  private constructor(file: string, handle: FileHandle) {
    this.#file = file
    this.#handle = handle
  }

  static async open(folder: string): Promise<MetricsLog> {
    const file = metricsFile(folder)
    try {
      return new MetricsLog(file, await open(file, 'a'))
    } catch (error) {
      throw fileError(file, error)
    }
  }

  async add(line: MetricsLine): Promise<void> {
    await this.#tell(() => this.#handle.appendFile(`${JSON.stringify(line)}\n`))
  }

  /** Makes what was added survive a power cut. */
  async flush(): Promise<void> {
    await this.#tell(() => this.#handle.sync())
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }

  async #tell(action: () => Promise<void>): Promise<void> {
    try {
      await action()
    } catch (error) {
      throw fileError(this.#file, error)
    }
  }
}
