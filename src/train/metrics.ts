// Metrics, one JSON object per line, so that they can be read while a run is trained and after it was killed.

import { type FileHandle, open } from 'node:fs/promises'
import { z } from 'zod'
import { fileError, parseJsonLine } from '../io/index.ts'

/** One update. */
export interface StepMetrics {
  /** marks the lines of updates */
  readonly kind: 'step'
  /** counted from 1 */
  readonly step: number
  /** counted from 0, if the source of the batches counts epochs */
  readonly epoch?: number
  /** losses of the batch before the update: the `total` that is minimized, and its parts by name */
  readonly losses: { readonly total: number; readonly [name: string]: number }
  /** other measures of the objective before the update, such as the `scale` of a contrastive loss, 1 / temperature */
  readonly measures: Readonly<Record<string, number>>
  /** of the step; groups of parameters may have a multiple of it */
  readonly learningRate: number
  /** the lowest and the highest learning rate of trained parameters, if the parts of the model have different ones */
  readonly learningRates?: { readonly lowest: number; readonly highest: number }
  /** norm of all gradients together, before clipping */
  readonly gradientNorm: number
  /** if the size of the batch is known */
  readonly examplesPerSecond?: number
  /** duration of the step, including the wait for its batch */
  readonly seconds: number
  /** the part of it spent waiting for the batch; of several processes that of the one that waited longest for its examples */
  readonly waiting: number
  /** of several processes: seconds of the step that each spent in exchanges, most of them waiting for slower ones, by rank */
  readonly communication?: readonly number[]
  /** samples of this run that could not be used so far */
  readonly skipped: number
}

/** The process that the others wait for. */
export interface SlowestRank {
  /** its number, from 0 */
  readonly rank: number
  /** the share of the time in which the process that waits longest waits for it, 0 … 1 */
  readonly share: number
}

/**
 * The slowest process in some steps: the one that spent the least time in exchanges, because the others were there before it.
 * @param steps lines of metrics; steps of another number of processes than in the last one are left out
 * @returns undefined if the last step is that of one process
 */
export function slowestRank(steps: readonly Pick<StepMetrics, 'communication' | 'seconds'>[]): SlowestRank | undefined {
  const count = steps.at(-1)?.communication?.length
  if (count === undefined) return undefined
  const alike = steps.filter(({ communication }) => communication?.length === count)
  const sums = Array.from({ length: count }, (_, rank) =>
    alike.reduce((sum, step) => sum + step.communication![rank], 0),
  )
  const least = Math.min(...sums)
  const seconds = alike.reduce((sum, step) => sum + step.seconds, 0)
  return { rank: sums.indexOf(least), share: (Math.max(...sums) - least) / seconds }
}

/** One evaluation of the model during training. */
export interface EvaluationMetrics {
  /** marks the lines of evaluations */
  readonly kind: 'evaluation'
  /** number of updates before it */
  readonly step: number
  /** 'average' if the weights were replaced by their exponential moving average */
  readonly weights?: 'average'
  /** duration of the evaluation */
  readonly seconds: number
  /** the results by name */
  readonly values: Readonly<Record<string, number>>
}

/** One check of the training gradient against finite differences of the loss. */
export interface GuardMetrics {
  /** marks the lines of checks of the gradient */
  readonly kind: 'guard'
  /** the step whose gradient this is, before its update */
  readonly step: number
  /** whether the error is within the bound, and no gradient rule and no tensor is wrong */
  readonly ok: boolean
  /** |tape - differences| divided by the typical size of such derivatives */
  readonly error: number
  /** the largest error that counts as rounding */
  readonly bound: number
  /** the derivative along a random direction, from the tape on the training device */
  readonly tape: number
  /** the same derivative from finite differences, in float64 on reference */
  readonly differences: number
  /** number of examples of the batch in the check */
  readonly examples: number
  /** duration of the check */
  readonly seconds: number
  /** the error of the tape in float64 on reference, if the error was large enough to compute it: separates a wrong rule from rounding */
  readonly inFloat64?: number
  /** whether the loss has kinks nearby, so that only shorter differences gave its slope */
  readonly kinks?: boolean
  /** a tensor whose gradient is wrong on the training device although the rules are right, and its relative error */
  readonly tensor?: { readonly name: string; readonly error: number }
  /** if the check failed, the file with the batch and the weights, relative to the run's folder */
  readonly file?: string
}

/**
 * A return to a checkpoint, because a step failed that updates parameters during its backward pass. It stands after the lines of the steps
 * that were lost; a run that resumes from the checkpoint removes those, and keeps this one.
 */
export interface RestorationMetrics {
  /** marks the lines of restorations */
  readonly kind: 'restoration'
  /** the step of the checkpoint */
  readonly step: number
  /** the step that failed */
  readonly failed: number
  /** the error of that step, its first line */
  readonly reason: string
}

/** One line of `metrics.jsonl`. */
export type MetricsLine = StepMetrics | EvaluationMetrics | GuardMetrics | RestorationMetrics

/** The earlier format of a step, with one field for each loss of CoCa. */
interface OldStep extends Omit<StepMetrics, 'losses' | 'measures' | 'examplesPerSecond'> {
  readonly loss: number
  readonly contrastive: number
  readonly captioning: number
  readonly scale: number
  readonly imagesPerSecond: number
}

/** Converts a line of either format to the current one. */
export function modern(line: MetricsLine | OldStep): MetricsLine {
  if (line.kind !== 'step' || 'losses' in line) return line
  const { kind, step, epoch, loss, contrastive, captioning, scale, imagesPerSecond, ...others } = line
  const losses = { total: loss, contrastive, captioning }
  return { kind, step, epoch, losses, measures: { scale }, examplesPerSecond: imagesPerSecond, ...others }
}

/** JSON has null where a number was not finite. */
const measured = z.record(z.string(), z.number().nullable())
const step = z.int().nonnegative()
const line = z.discriminatedUnion('kind', [
  z.looseObject({ kind: z.literal('step'), step, losses: measured.optional(), measures: measured.optional() }),
  z.looseObject({ kind: z.literal('evaluation'), step, values: measured }),
  z.looseObject({ kind: z.literal('guard'), step, ok: z.boolean() }),
  z.looseObject({ kind: z.literal('restoration'), step, failed: step, reason: z.string() }),
])

/** Parses the lines of a metrics file. @throws DataError naming the file, and the line and the field that is wrong */
export const parseMetrics = (lines: readonly string[], file: string): MetricsLine[] =>
  lines.map((text, i) => modern(parseJsonLine(text, line, { file, line: i + 1 }) as unknown as MetricsLine))

/** Appends lines to a metrics file. */
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
    await this.#naming(() => this.#handle.appendFile(`${JSON.stringify(line)}\n`))
  }

  /** Makes the lines so far survive a power failure. */
  async flush(): Promise<void> {
    await this.#naming(() => this.#handle.sync())
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }

  /** Runs an action on the file; its errors name the file. */
  async #naming(action: () => Promise<void>): Promise<void> {
    try {
      await action()
    } catch (error) {
      throw fileError(this.#file, error)
    }
  }
}
