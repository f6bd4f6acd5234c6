// The runs that are compared: their settings, metrics, starts and results, and short names for them.

import { basename, resolve } from 'node:path'
import {
  type MetricsLine,
  openSettings,
  type Provenance,
  type RunConfig,
  type RunResult,
  readMetrics,
  readProvenance,
  readResults,
  type StepMetrics,
} from '../../train/index.ts'
import { UsageError } from '../errors.ts'

export interface ComparedRun {
  readonly path: string
  /** the name of its folder, or its path if another has the same name */
  readonly name: string
  readonly config: RunConfig
  readonly metrics: readonly MetricsLine[]
  /** the versions, the machine and the data of its last start, if they were recorded */
  readonly start: Provenance | undefined
  readonly results: readonly RunResult[]
}

/** @throws UsageError for fewer than two runs or the same one twice; RunError for a folder that is not a run */
export async function readRuns(paths: readonly string[]): Promise<ComparedRun[]> {
  if (paths.length < 2) throw new UsageError('compare needs two runs at least')
  const twice = paths.find((path, i) => paths.findIndex(other => resolve(other) === resolve(path)) < i)
  if (twice !== undefined) throw new UsageError(`${twice} is given twice`)
  const names = paths.map(path => basename(resolve(path)))
  return Promise.all(
    paths.map(async (path, i) => {
      const { config } = await openSettings(path)
      const isOnly = names.filter(name => name === names[i]).length === 1
      const [metrics, starts, results] = [await readMetrics(path), await readProvenance(path), await readResults(path)]
      return { path, name: isOnly ? names[i] : path, config, metrics, start: starts.at(-1), results }
    }),
  )
}

export const stepsOf = ({ metrics }: ComparedRun): StepMetrics[] =>
  metrics.filter((line): line is StepMetrics => line.kind === 'step')

/** How far a run was trained, and how fast. */
export interface RunProgress {
  readonly family: string
  readonly steps: number
  /** the number of steps of its settings; absent if it is given in epochs */
  readonly planned?: number
  /** the first step whose loss is not finite */
  readonly notFinite?: number
  /** the median over steps */
  readonly examplesPerSecond?: number
  /** time spent in steps */
  readonly seconds: number
}

export function progressOf(run: ComparedRun): RunProgress {
  const steps = stepsOf(run)
  const speeds = steps.flatMap(({ examplesPerSecond }) => examplesPerSecond ?? []).sort((a, b) => a - b)
  const { family, steps: planned } = run.config
  // NaN is null in JSON
  const bad = steps.find(({ losses }) => !Number.isFinite(losses.total))
  return {
    family,
    steps: steps.at(-1)?.step ?? 0,
    ...(planned !== undefined && { planned }),
    ...(bad && { notFinite: bad.step }),
    ...(speeds.length > 0 && { examplesPerSecond: speeds[Math.floor(speeds.length / 2)] }),
    seconds: steps.reduce((sum, { seconds }) => sum + seconds, 0),
  }
}
