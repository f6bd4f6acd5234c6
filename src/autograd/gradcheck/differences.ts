// Derivatives against the differences of what they are derivatives of. Five points are enough for most functions; what they
// do not confirm is looked at again in shorter and, if need be, longer steps, until one is found at which neither the bend of
// the function nor the end of its digits matters. That tells a wrong gradient from a step that does not fit, and both from a
// kink or a jump, at which no gradient is right.

/** What is known of a gradient in one place. */
export type GradcheckVerdict =
  | 'pass'
  | 'mismatch'
  | 'not differentiable here'
  | 'not resolved'
  | 'not deterministic'
  | 'not finite'

/** One derivative, by the tape and by differences. */
export interface Comparison {
  readonly analytic: number
  readonly numeric: number
  /** how far numeric may be off, by what other steps gave and by rounding */
  readonly doubt: number
  /** |analytic - numeric| over the tolerance: above 1 they disagree */
  readonly ratio: number
  readonly verdict: GradcheckVerdict
}

/** Numbers that change together when one input moves by t. */
export type Curve = (t: number) => Float64Array

/** The derivative of one of the numbers, or of a weighted sum of all. */
export interface DerivativeClaim {
  readonly of: number | Float64Array
  /** by the tape */
  readonly analytic: number
}

export interface Tolerance {
  /** for derivatives of size one and more; smaller ones are held to as much less */
  readonly atol: number
  readonly rtol: number
  /** the largest of the derivatives that belong together */
  readonly scale: number
  /** size of the numbers that those here were computed of, which may cancel, but for their rounding */
  readonly within: number
}

/** Neighbouring steps differ by this factor. */
const FACTOR = 4
/** How many steps are tried that are shorter than the first, and longer. */
const SHORTER = 11
const LONGER = 5
/** What rounding does to a number in a few operations, relative to it. */
const ROUNDING = 2 ** -50
/** Differences this often further off than they should be are wrong. */
const BEYOND_DOUBT = 4

interface Difference {
  /** the derivative by five points: its error falls with the fourth power of the step */
  readonly slope: number
  /** slope on the right less slope on the left; it falls with the step, unless there is a kink at 0 */
  readonly gap: number
  /** the same at twice the step */
  readonly wideGap: number
  /** what rounding may have done to the slope */
  readonly noise: number
  /** what the slope may be of numbers that have not moved: too little for their digits */
  readonly hidden: number
}

/** Differences of every number at one step. Subtracted one by one: numbers that do not move leave no trace of their size. */
interface Step {
  readonly slope: Float64Array
  readonly gap: Float64Array
  readonly wideGap: Float64Array
  /** the largest of five values */
  readonly size: Float64Array
}

/** A curve seen at longer and shorter steps, each as it is first asked for. */
class Ladder {
  readonly #curve: Curve
  readonly #centre: Float64Array
  readonly #step: number
  readonly #within: number
  readonly #seen = new Map<number, Step>()
  /** 1 for each number that has moved at any step so far, else 0 */
  readonly #moved: Float64Array

  constructor(curve: Curve, centre: Float64Array, step: number, within: number) {
    this.#curve = curve
    this.#centre = centre
    this.#step = step
    this.#within = within
    this.#moved = new Float64Array(centre.length)
  }

  /** @param rung how often the first step is divided by FACTOR */
  at(rung: number, of: DerivativeClaim['of']): Difference {
    const { slope, gap, wideGap, size } = this.#seen.get(rung) ?? this.#look(rung)
    const rounding = ROUNDING / this.#stepAt(rung)
    const sizes = of instanceof Float64Array ? of.map(Math.abs) : of
    const moved = weighed(i => size[i] * this.#moved[i], sizes)
    const still = weighed(i => size[i] * (1 - this.#moved[i]), sizes)
    return {
      slope: weighed(i => slope[i], of),
      gap: weighed(i => gap[i], of),
      wideGap: weighed(i => wideGap[i], of),
      noise: rounding * (moved + this.#within),
      hidden: rounding * still,
    }
  }

  #stepAt = (rung: number): number => this.#step / FACTOR ** rung

  #look(rung: number): Step {
    const h = this.#stepAt(rung)
    const [twoLeft, left, right, twoRight] = [-2 * h, -h, h, 2 * h].map(this.#curve)
    const centre = this.#centre
    const per = (difference: (i: number) => number) => Float64Array.from(centre, (_, i) => difference(i))
    const step: Step = {
      slope: per(i => (8 * (right[i] - left[i]) - (twoRight[i] - twoLeft[i])) / (12 * h)),
      gap: per(i => (right[i] - 2 * centre[i] + left[i]) / h),
      wideGap: per(i => (twoRight[i] - 2 * centre[i] + twoLeft[i]) / (2 * h)),
      size: centre.map(Math.abs),
    }
    for (const values of [twoLeft, left, right, twoRight])
      values.forEach((x, i) => {
        if (x !== centre[i]) this.#moved[i] = 1
        step.size[i] = Math.max(step.size[i], Math.abs(x))
      })
    this.#seen.set(rung, step)
    return step
  }
}

const weighed = (number: (i: number) => number, of: DerivativeClaim['of']): number =>
  typeof of === 'number' ? number(of) : of.reduce((sum, w, i) => sum + w * number(i), 0)

/**
 * Compares derivatives at 0 with differences of a curve.
 * @param centre the curve at 0
 * @param claims what its numbers, or sums of them, have as derivatives
 * @param step of the first differences
 */
export function compareWithDifferences(
  curve: Curve,
  centre: Float64Array,
  claims: readonly DerivativeClaim[],
  step: number,
  tolerance: Tolerance,
): Comparison[] {
  const ladder = new Ladder(curve, centre, step, tolerance.within)
  return claims.map(({ of, analytic }) => {
    const first = ladder.at(0, of)
    const quick = comparison(analytic, first.slope, first.noise, tolerance)
    const isSmooth = Math.abs(first.gap) <= Math.max(strict(first.slope, tolerance), first.noise) || isBend(first)
    return quick.verdict === 'pass' && isSmooth ? quick : judge(analytic, rung => ladder.at(rung, of), tolerance)
  })
}

/** A tolerance for derivatives of the size that these have. */
const strict = (value: number, { atol, rtol, scale }: Tolerance): number =>
  atol * Math.min(1, Math.max(scale, Math.abs(value))) + rtol * Math.abs(value)

/** Half a step halves the gap of a smooth curve. */
const isBend = ({ gap, wideGap }: Difference): boolean => Math.abs(gap) <= 0.75 * Math.abs(wideGap)

/** @param hidden what is not seen of the derivative at any step */
function comparison(analytic: number, numeric: number, doubt: number, tolerance: Tolerance, hidden = 0): Comparison {
  const off = Math.abs(analytic - numeric)
  const { atol, rtol } = tolerance
  const unsure = BEYOND_DOUBT * (doubt + hidden)
  // what nobody can tell from rounding is passed where it is small, and left open where it is not
  const allowed = Math.max(strict(numeric, tolerance), Math.min(unsure, atol + rtol * Math.abs(numeric)))
  const ratio = off === 0 ? 0 : off / allowed
  const verdict = !Number.isFinite(ratio)
    ? 'not finite'
    : ratio <= 1
      ? 'pass'
      : off <= unsure
        ? 'not resolved'
        : 'mismatch'
  return { analytic, numeric, doubt, ratio: Number.isNaN(ratio) ? Number.POSITIVE_INFINITY : ratio, verdict }
}

/** @param at the differences at a step that was divided so often */
function judge(analytic: number, at: (rung: number) => Difference, tolerance: Tolerance): Comparison {
  const rungs = [0]
  // read anew each time: a number that first moves at a long step has been rounded at the short ones too
  const list = () => rungs.map(at)
  const isSettled = () => {
    const best = bestOf(list())
    return best !== undefined && BEYOND_DOUBT * best.doubt <= strict(best.numeric, tolerance)
  }
  for (let rung = 1; rung <= SHORTER; rung++) {
    rungs.push(rung)
    if (rung >= 3 && isSettled() && !hasKink(list(), tolerance)) break
  }
  const found = verdictOf(analytic, list(), tolerance)
  if (found.verdict !== 'mismatch' && found.verdict !== 'not resolved') return found
  for (let rung = -1; rung >= -LONGER; rung--) rungs.unshift(rung)
  return verdictOf(analytic, list(), tolerance)
}

/** @param list differences at shorter and shorter steps */
function verdictOf(analytic: number, list: readonly Difference[], tolerance: Tolerance): Comparison {
  const best = bestOf(list)
  if (!Number.isFinite(analytic) || best === undefined) {
    const numeric = best?.numeric ?? list[list.length - 1].slope
    return { ...comparison(analytic, numeric, 0, tolerance), verdict: 'not finite' }
  }
  const compared = comparison(analytic, best.numeric, best.doubt, tolerance, best.hidden)
  return hasKink(list, tolerance) || hasJump(list) ? { ...compared, verdict: 'not differentiable here' } : compared
}

const isWhole = ({ slope, gap, wideGap }: Difference): boolean => [slope, gap, wideGap].every(Number.isFinite)

/** The slope that a neighbouring step confirms best: long steps are off by the bend of the curve, short ones by rounding. */
function bestOf(list: readonly Difference[]): { numeric: number; doubt: number; hidden: number } | undefined {
  const whole = list.filter(isWhole)
  const pairs = whole.slice(1).map(({ slope, noise }, i) => ({
    numeric: slope,
    doubt: Math.abs(slope - whole[i].slope) + noise,
    // the longest step shows most
    hidden: whole[0].hidden,
  }))
  if (pairs.length === 0) return undefined
  return pairs.reduce((best, pair) => (pair.doubt < best.doubt ? pair : best))
}

/** Whether the slopes on both sides stay apart at the shortest steps at which rounding does not hide it. */
function hasKink(list: readonly Difference[], tolerance: Tolerance): boolean {
  const shortest = list
    .filter(each => isWhole(each) && 8 * each.noise < Math.max(Math.abs(each.gap), strict(each.slope, tolerance)))
    .slice(-3)
  return (
    shortest.length === 3 && shortest.every(each => Math.abs(each.gap) > strict(each.slope, tolerance) && !isBend(each))
  )
}

/** Whether slopes grow from step to step without end: those of a jump fourfold, as the step falls to a quarter. */
function hasJump(list: readonly Difference[]): boolean {
  const growth = list
    .filter(isWhole)
    .slice(-6)
    .map(({ slope, noise }, i, finite) => ({ by: i === 0 ? 0 : slope - finite[i - 1].slope, noise }))
    .slice(1)
  return (
    growth.length === 5 &&
    growth.every(({ by, noise }, i) => {
      const ratio = i === 0 ? FACTOR : by / growth[i - 1].by
      return Math.abs(by) > noise && ratio > 1.5 && ratio < 2 * FACTOR
    })
  )
}
