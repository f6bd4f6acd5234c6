// The losses and evaluations of runs over their steps, as rows of bars that share their axes.

import { type ComparedRun, stepsOf } from './runs.ts'

export interface Point {
  readonly step: number
  readonly value: number
}

/** A measure of training over steps. */
export interface RunCurve {
  readonly name: string
  /** of each run: its points in order; none where it is not measured */
  readonly runs: readonly (readonly Point[])[]
}

/** The curves that some run has: losses of the batches, and evaluations on held-out examples. */
export function curvesOf(runs: readonly ComparedRun[]): RunCurve[] {
  const training = runs.map(run =>
    stepsOf(run).flatMap(({ step, losses }) => {
      // a total with one part is that part
      const { total, ...parts } = losses
      const shown = Object.keys(parts).length > 1 ? parts : {}
      return Object.entries({ loss: total, ...shown }).map(([name, value]) => ({ name, step, value }))
    }),
  )
  const evaluations = runs.map(({ metrics }) =>
    metrics.flatMap(line =>
      line.kind === 'evaluation'
        ? Object.entries(line.values).map(([name, value]) => ({ name: `held out: ${name}`, step: line.step, value }))
        : [],
    ),
  )
  return [training, evaluations].flatMap(kind => {
    const names = [...new Set(kind.flat().map(({ name }) => name))]
    return names.map(name => ({
      name,
      runs: kind.map(lines =>
        lines
          .filter(line => line.name === name)
          // NaN is null in JSON
          .map(({ step, value }) => ({ step, value: value ?? Number.NaN })),
      ),
    }))
  })
}

/** The first, last and least value of a curve that is finite, and the largest. */
export interface Extremes {
  readonly first: number
  readonly last: number
  readonly least: number
  readonly most: number
}

export function extremesOf(points: readonly Point[]): Extremes | undefined {
  const values = points.map(({ value }) => value).filter(Number.isFinite)
  if (values.length === 0) return undefined
  const [least, most] = values.reduce(([low, high], x) => [Math.min(low, x), Math.max(high, x)], [values[0], values[0]])
  return { first: values[0], last: points[points.length - 1].value, least, most }
}

/**
 * Curves in at most `columns` columns: each column is a range of the steps that any run has, and the mean of a run's values there.
 * @returns for each run the mean of each column; undefined where it has no value, NaN where one is not finite
 */
export function columnsOf({ runs }: RunCurve, columns: number): { steps: number[]; means: (number | undefined)[][] } {
  const all = [...new Set(runs.flatMap(points => points.map(({ step }) => step)))].sort((a, b) => a - b)
  const count = Math.min(columns, all.length)
  const columnOf = new Map(all.map((step, i) => [step, Math.floor((i * count) / all.length)]))
  const steps = Array.from({ length: count }, (_, column) => all.findLast(step => columnOf.get(step) === column)!)
  const means = runs.map(points => {
    const sums = Array.from({ length: count }, () => ({ sum: 0, count: 0 }))
    for (const { step, value } of points) {
      const into = sums[columnOf.get(step)!]
      into.sum += value
      into.count++
    }
    return sums.map(({ sum, count: n }) => (n === 0 ? undefined : sum / n))
  })
  return { steps, means }
}

const BARS = '▁▂▃▄▅▆▇█'

/** The values that bars lie between, and whether their heights are logarithms. */
export interface Scale {
  readonly low: number
  readonly high: number
  readonly isLogarithmic: boolean
}

/** From this ratio of the largest and the least value on, heights are logarithms, if all values are above 0. */
const WIDE = 20

/** A scale for all rows; values that are not finite do not count. */
export function scaleOf(rows: readonly (readonly (number | undefined)[])[]): Scale {
  const values = rows.flat().filter(value => value !== undefined && Number.isFinite(value)) as number[]
  const [low, high] = values.reduce(
    ([least, most], value) => [Math.min(least, value), Math.max(most, value)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  )
  return { low, high, isLogarithmic: low > 0 && high >= WIDE * low }
}

/** A row of bars; × for a value that is not finite, a space where there is none. */
export function bars(values: readonly (number | undefined)[], { low, high, isLogarithmic }: Scale): string {
  const height = (value: number) =>
    isLogarithmic ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low)
  const bar = (value: number) => BARS[Math.min(BARS.length - 1, Math.floor(height(value) * BARS.length))]
  return values
    .map(value => {
      if (value === undefined) return ' '
      if (!Number.isFinite(value)) return '×'
      return high > low ? bar(value) : BARS[3]
    })
    .join('')
}
