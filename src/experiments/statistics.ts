// Comparison of two rows of an experiment over the same seeds. Both rows of a seed have the same data, the same initial weights and
// the same order of batches, so their difference varies less than each of them, and its spread tells it from luck.

/** Mean and spread of a few numbers. */
export interface Spread {
  readonly mean: number
  /** sample standard deviation; NaN for one number */
  readonly deviation: number
  readonly least: number
  readonly most: number
}

/** The difference of two rows over the same seeds. */
export interface Difference extends Spread {
  /** the 95 % confidence interval of the mean difference, by Student's t distribution; infinite for one seed */
  readonly interval: readonly [low: number, high: number]
  /** whether there are at least three seeds and the interval does not contain 0 */
  readonly isClear: boolean
  /** the number of seeds at which a difference of this mean and deviation would be clear, up to 31; undefined above that */
  readonly seedsNeeded: number | undefined
}

/** The 97.5 % quantiles of Student's t distribution with 1 to 30 degrees of freedom. */
const T = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
]

/** Half the width of the 95 % confidence interval of a mean of n numbers; beyond 31 numbers that of the normal distribution. */
const reach = (deviation: number, n: number): number =>
  n < 2 ? Number.POSITIVE_INFINITY : ((T[n - 2] ?? 1.96) * deviation) / Math.sqrt(n)

/** @throws RangeError for an empty list */
export function spreadOf(values: readonly number[]): Spread {
  const n = values.length
  if (n === 0) throw new RangeError('spreadOf: needs at least one number')
  const mean = values.reduce((a, b) => a + b, 0) / n
  const squares = values.reduce((sum, x) => sum + (x - mean) ** 2, 0)
  return {
    mean,
    deviation: n < 2 ? Number.NaN : Math.sqrt(squares / (n - 1)),
    least: Math.min(...values),
    most: Math.max(...values),
  }
}

/**
 * The difference `values[i] - others[i]` over all seeds i.
 * @throws RangeError if the numbers of seeds differ or are 0
 */
export function differenceOf(values: readonly number[], others: readonly number[]): Difference {
  if (values.length !== others.length)
    throw new RangeError(`differenceOf: ${values.length} values are compared with ${others.length}`)
  const spread = spreadOf(values.map((value, i) => value - others[i]))
  const { mean, deviation } = spread
  const n = values.length
  const half = reach(deviation, n)
  // two seeds may agree by chance, and rounding must not turn two equal rows into a clear difference
  const isClear = n > 2 && Math.abs(mean) > half && Math.abs(mean) > 1e-12
  const counts = Array.from({ length: 29 }, (_, i) => i + 3)
  const seedsNeeded =
    n > 1 ? counts.find(count => Math.abs(mean) > Math.max(1e-12, reach(deviation, count))) : undefined
  return { ...spread, interval: [mean - half, mean + half], isClear, seedsNeeded }
}
