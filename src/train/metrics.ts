// What was measured, one JSON object a line, so that a run can be watched while it goes on and read when it was killed.

import { type FileHandle, open } from 'node:fs/promises'
import { DataError, fileError } from '../io/index.ts'

/** One update. */
export interface StepMetrics {
  readonly kind: 'step'
  /** counted from 1 */
  readonly step: number
  /** counted from 0, where the batches tell */
  readonly epoch?: number
  /** of the batch before the update: the `total` that is minimized, and the losses that it consists of, by name */
  readonly losses: { readonly total: number; readonly [name: string]: number }
  /** what else the objective measures, before the update, such as the `scale` of a contrastive loss, 1 / temperature */
  readonly measures: Readonly<Record<string, number>>
  readonly learningRate: number
  /** of all gradients together, before clipping */
  readonly gradientNorm: number
  /** where the batches tell how many they have */
  readonly examplesPerSecond?: number
  /** that the step took, waiting for its batch included */
  readonly seconds: number
  /** of these, until its batch was there */
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
  /** of the batch that were looked at */
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

/** A step as it was written when runs trained CoCa alone, with a column for each of its losses. */
interface OldStep extends Omit<StepMetrics, 'losses' | 'measures' | 'examplesPerSecond'> {
  readonly loss: number
  readonly contrastive: number
  readonly captioning: number
  readonly scale: number
  readonly imagesPerSecond: number
}

/** A line of any age in today's form. */
export function modern(line: MetricsLine | OldStep): MetricsLine {
  if (line.kind !== 'step' || 'losses' in line) return line
  const { kind, step, epoch, loss, contrastive, captioning, scale, imagesPerSecond, ...others } = line
  const losses = { total: loss, contrastive, captioning }
  return { kind, step, epoch, losses, measures: { scale }, examplesPerSecond: imagesPerSecond, ...others }
}

/** Lines of a metrics file. @throws DataError naming file and line, where one is not JSON */
export const parseMetrics = (lines: readonly string[], file: string): MetricsLine[] =>
  lines.map((line, i) => {
    try {
      return modern(JSON.parse(line))
    } catch (cause) {
      throw new DataError('is not JSON', { file, line: i + 1, cause })
    }
  })

/** The end of a metrics file, to which lines are added. */
export class MetricsLog {
  readonly #file: string
  readonly #handle: FileHandle

  private constructor(file: string, handle: FileHandle) {
    this.#file = file
    this.#handle = handle
  }

  static async open(file: string): Promise<MetricsLog> {
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
