// Compares derivatives with finite differences. One five-point difference is enough for most functions. A derivative that it
// does not confirm is compared again at shorter and, if necessary, longer steps, until the error of neither truncation nor
// rounding matters. This distinguishes a wrong gradient from a step of the wrong size, and both from a kink or a jump, where
// the gradient does not exist.

/** The result of checking a gradient at one point. */
export type GradcheckVerdict =
  | 'pass'
  | 'mismatch'
  | 'not differentiable here'
  | 'not resolved'
  | 'not deterministic'
  | 'not finite'

/** One derivative, computed by the tape and by differences. */
export interface Comparison {
  readonly analytic: number
  readonly numeric: number
  /** estimated error of `numeric`, from other steps and from rounding */
  readonly doubt: number
  /** |analytic - numeric| over the tolerance: above 1 they disagree */
  readonly ratio: number
  readonly verdict: GradcheckVerdict
}

/** Numbers that change together when one input moves by t. */
export type Curve = (t: number) => Float64Array

/** The derivative of one of the numbers, or of a weighted sum of all of them. */
export interface DerivativeClaim {
  readonly of: number | Float64Array
  /** computed by the tape */
  readonly analytic: number
}

export interface Tolerance {
  /** for derivatives of size 1 and more; proportionally less for smaller ones */
  readonly atol: number
  readonly rtol: number
  /** the largest derivative of the group */
  readonly scale: number
  /** size of the values that the numbers were computed from: these may cancel, but their rounding errors do not */
  readonly within: number
}

/** Neighbouring steps differ by this factor. */
const FACTOR = 4
/** How many steps shorter than the first, and longer, are tried. */
const SHORTER = 11
const LONGER = 5
/** Relative rounding error of a number after a few operations. */
const ROUNDING = 2 ** -50
/** A difference is wrong if its error is more than this multiple of the estimated error. */
const BEYOND_DOUBT = 4

interface Difference {
  /** the five-point derivative: its error is of the fourth order in the step */
  readonly slope: number
  /** slope on the right minus slope on the left; it decreases with the step, unless there is a kink at 0 */
  readonly gap: number
  /** the same at twice the step */
  readonly wideGap: number
  /** rounding error of the slope */
  readonly noise: number
  /** the slope that numbers may have without changing at this precision */
  readonly hidden: number
}

/** Differences of every number at one step. Each is subtracted separately, so a number that does not change gives exactly 0. */
interface Step {
  readonly slope: Float64Array
  readonly gap: Float64Array
  readonly wideGap: Float64Array
  /** the largest of five values */
  readonly size: Float64Array
}

/** A curve evaluated at longer and shorter steps, each computed when first needed. */
class Ladder {
  readonly #curve: Curve
  readonly #centre: Float64Array
  readonly #step: number
  readonly #within: number
  readonly #seen = new Map<number, Step>()
  /** 1 for each number that has changed at any step so far, else 0 */
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
 * @param claims derivatives of its numbers, or of sums of them
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

/** The tolerance for derivatives of this size. */
const strict = (value: number, { atol, rtol, scale }: Tolerance): number =>
  atol * Math.min(1, Math.max(scale, Math.abs(value))) + rtol * Math.abs(value)

/** Whether the gap is that of a smooth curve, which halves with the step. */
const isBend = ({ gap, wideGap }: Difference): boolean => Math.abs(gap) <= 0.75 * Math.abs(wideGap)

/** @param hidden the part of the derivative that no step can show */
function comparison(analytic: number, numeric: number, doubt: number, tolerance: Tolerance, hidden = 0): Comparison {
  const off = Math.abs(analytic - numeric)
  const { atol, rtol } = tolerance
  const unsure = BEYOND_DOUBT * (doubt + hidden)
  // a difference that may be rounding passes if it is small, and is 'not resolved' if it is not
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

/** @param at the differences at a rung of the ladder */
function judge(analytic: number, at: (rung: number) => Difference, tolerance: Tolerance): Comparison {
  const rungs = [0]
  // read again each time: a number that first changes at a long step was rounded at the short ones too
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

/** The slope that agrees best with the next longer step: long steps have truncation errors, short ones rounding errors. */
function bestOf(list: readonly Difference[]): { numeric: number; doubt: number; hidden: number } | undefined {
  const whole = list.filter(isWhole)
  const pairs = whole.slice(1).map(({ slope, noise }, i) => ({
    numeric: slope,
    doubt: Math.abs(slope - whole[i].slope) + noise,
    // the longest step resolves the smallest slopes
    hidden: whole[0].hidden,
  }))
  if (pairs.length === 0) return undefined
  return pairs.reduce((best, pair) => (pair.doubt < best.doubt ? pair : best))
}

/** Whether the slopes on both sides differ at the shortest steps that rounding does not dominate. */
function hasKink(list: readonly Difference[], tolerance: Tolerance): boolean {
  const shortest = list
    .filter(each => isWhole(each) && 8 * each.noise < Math.max(Math.abs(each.gap), strict(each.slope, tolerance)))
    .slice(-3)
  return (
    shortest.length === 3 && shortest.every(each => Math.abs(each.gap) > strict(each.slope, tolerance) && !isBend(each))
  )
}

/** Whether slopes grow without bound from step to step: at a jump they grow fourfold as the step falls to a quarter. */
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
