// One derivative against the differences of what it is the derivative of. Five points are enough for most functions; what
// they do not confirm is looked at again in smaller and smaller steps, which tells a wrong gradient from a step that was too
// long, and both from a kink, at which no gradient is right.

/** What is known of a gradient in one place. */
export type Verdict = 'pass' | 'mismatch' | 'not differentiable here' | 'not deterministic' | 'not finite'

/** One derivative, by the tape and by differences. */
export interface Comparison {
  readonly analytic: number
  readonly numeric: number
  /** |analytic - numeric| over the tolerance: above 1 they disagree */
  readonly ratio: number
  readonly verdict: Verdict
}

/** Numbers that change together when one input moves by t. */
export type Curve = (t: number) => Float64Array

export interface Tolerance {
  readonly atol: number
  readonly rtol: number
}

/** Steps are divided by this, so often: at the smallest rounding still leaves five digits and more of most functions. */
const FINER = 4
const REFINEMENTS = 3

interface Differences {
  /** the derivative by five points: its error falls with the fourth power of the step */
  readonly slope: number
  /** slope on the right less slope on the left; it falls with the step, unless there is a kink at 0 */
  readonly gap: number
  /** the same at twice the step */
  readonly wideGap: number
}

/** Values on both sides at one step and at two. */
interface Points {
  readonly step: number
  readonly values: readonly [twoLeft: Float64Array, left: Float64Array, right: Float64Array, twoRight: Float64Array]
}

const pointsAt = (curve: Curve, step: number): Points => ({
  step,
  values: [curve(-2 * step), curve(-step), curve(step), curve(2 * step)],
})

function differencesAt({ step, values }: Points, centre: number, i: number): Differences {
  const [twoLeft, left, right, twoRight] = values.map(list => list[i])
  return {
    slope: (8 * (right - left) - (twoRight - twoLeft)) / (12 * step),
    gap: (right - 2 * centre + left) / step,
    wideGap: (twoRight - 2 * centre + twoLeft) / (2 * step),
  }
}

/**
 * Compares derivatives at 0 with differences of a curve.
 * @param centre the curve at 0
 * @param analytic the derivative of each of its numbers, by the tape
 * @param step of the first differences
 */
export function compareWithDifferences(
  curve: Curve,
  centre: Float64Array,
  analytic: Float64Array,
  step: number,
  tolerance: Tolerance,
): Comparison[] {
  const first = pointsAt(curve, step)
  let finer: readonly Points[] | undefined
  const refined = () =>
    (finer ??= Array.from({ length: REFINEMENTS }, (_, k) => pointsAt(curve, step / FINER ** (k + 1))))
  return Array.from(analytic, (derivative, i) => {
    const coarse = differencesAt(first, centre[i], i)
    const quick = comparison(derivative, coarse.slope, tolerance)
    if (quick.verdict === 'pass' && !hasKink([coarse], allowed(derivative, tolerance))) return quick
    const all = [coarse, ...refined().map(points => differencesAt(points, centre[i], i))]
    return judge(derivative, all, tolerance)
  })
}

const allowed = (value: number, { atol, rtol }: Tolerance): number => atol + rtol * Math.abs(value)

function comparison(analytic: number, numeric: number, tolerance: Tolerance): Comparison {
  const ratio = Math.abs(analytic - numeric) / allowed(numeric, tolerance)
  const verdict = !Number.isFinite(ratio) ? 'not finite' : ratio <= 1 ? 'pass' : 'mismatch'
  return { analytic, numeric, ratio: Number.isNaN(ratio) ? Number.POSITIVE_INFINITY : ratio, verdict }
}

/** @param list differences at smaller and smaller steps */
function judge(analytic: number, list: readonly Differences[], tolerance: Tolerance): Comparison {
  const finite = list.filter(({ slope, gap }) => Number.isFinite(slope) && Number.isFinite(gap))
  if (!Number.isFinite(analytic) || finite.length < 2)
    return { ...comparison(analytic, list[list.length - 1].slope, tolerance), verdict: 'not finite' }
  // rounding grows as the step falls: those neighbours are the best that agree most
  const slopes = finite.map(({ slope }) => slope)
  const pairs = [...neighbours(slopes), ...neighbours(limits(slopes))]
  const { numeric, doubt } = pairs.reduce((best, pair) => (pair.doubt < best.doubt ? pair : best))
  const compared = comparison(analytic, numeric, tolerance)
  if (
    hasKink(finite, allowed(numeric, tolerance)) ||
    (compared.verdict !== 'pass' && doubt > allowed(numeric, tolerance))
  )
    return { ...compared, verdict: 'not differentiable here' }
  return compared
}

/** Whether the slopes on both sides stay apart as the step falls: half a step halves the gap of a smooth curve. */
const hasKink = (list: readonly Differences[], tolerance: number): boolean =>
  list.every(({ gap, wideGap }) => Math.abs(gap) > tolerance && Math.abs(gap) > 0.75 * Math.abs(wideGap))

const neighbours = (list: readonly number[]) =>
  list.slice(1).map((numeric, i) => ({ numeric, doubt: Math.abs(numeric - list[i]) }))

/** Where three estimates in a row lead if each is off by the same part of the one before: so it is where the next derivative jumps. */
const limits = (list: readonly number[]): number[] =>
  list.slice(2).map((c, i) => {
    const [before, last] = [list[i + 1] - list[i], c - list[i + 1]]
    return before === last ? c : c - (last * last) / (last - before)
  })
