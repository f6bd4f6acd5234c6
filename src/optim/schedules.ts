// Learning rates over time, as functions of the number of completed steps, which is 0 at the first step; and one that follows a
// metric.

import { checkArguments } from '../tensor/arguments.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { checkSetting } from './setting.ts'

/** A learning rate for every step; the first step is 0. */
export type Schedule = (step: number) => number

/** Options of `warmupLinear` and `warmupCosine`. */
export interface WarmupOptions {
  /** the highest learning rate */
  readonly peak: number
  /** steps of warm-up: step s has peak · (s + 1) / warmup, so the first one is not lost; default 0 */
  readonly warmup?: number
  /** steps of the whole run: after them the rate is `end` */
  readonly total: number
  /** the last learning rate; default 0 */
  readonly end?: number
}
const warmupOptions = { peak: is.number, warmup: 0, total: is.number, end: 0 } satisfies Settings<WarmupOptions>

/** The same rate at every step. */
export function constant(rate: number): Schedule {
  checkArguments('constant(rate)', [is.number], [rate])
  return () => rate
}

/** Linear warm-up to the peak, then linear decay (CoCa, section 4.1: 2 % of warm-up, then linear decay). */
export const warmupLinear = (options: WarmupOptions): Schedule =>
  warmedUp('warmupLinear(options)', options, progress => 1 - progress)

/** Linear warm-up to the peak, then a half-cosine decay (Loshchilov and Hutter 2017). */
export const warmupCosine = (options: WarmupOptions): Schedule =>
  warmedUp('warmupCosine(options)', options, progress => 0.5 * (1 + Math.cos(Math.PI * progress)))

/** @param shape maps progress after the warm-up, 0 to 1, to a height of 1 to 0 */
function warmedUp(call: string, options: WarmupOptions, shape: (progress: number) => number): Schedule {
  const { peak, warmup, total, end } = settle(call, options, warmupOptions)
  checkSetting('peak', peak, 0)
  checkSetting('end', end, 0)
  checkSetting('total', total, 1)
  checkSetting('warmup', warmup, 0, total)
  return step => {
    if (step < warmup) return peak * ((step + 1) / warmup)
    const height = shape(Math.min(1, (step - warmup) / (total - warmup)))
    return height * peak + (1 - height) * end
  }
}

/** Options of `exponentialDecay`. */
export interface ExponentialOptions {
  /** the learning rate of the first step */
  readonly rate: number
  /** what each step multiplies it by, above 0 and at most 1 */
  readonly factor: number
}
const exponentialOptions = { rate: is.number, factor: is.number } satisfies Settings<ExponentialOptions>

/** rate · factorˢ at step s. In PyTorch: ExponentialLR. */
export function exponentialDecay(options: ExponentialOptions): Schedule {
  const { rate, factor } = settle('exponentialDecay(options)', options, exponentialOptions)
  checkSetting('rate', rate, 0)
  checkFactor(factor)
  return step => rate * factor ** step
}

/** Options of `stepDecay`. */
export interface StepOptions {
  /** the learning rate of the first step */
  readonly rate: number
  /** the number of steps between two changes, or the steps at which the rate changes, in ascending order */
  readonly at: number | readonly number[]
  /** what each change multiplies it by, above 0 and at most 1; default 0.1 */
  readonly factor?: number
}
const stepOptions = {
  rate: is.number,
  at: new is.Kind<number | readonly number[]>(
    'a number of steps, or a list of steps in ascending order',
    x =>
      (Number.isInteger(x) && (x as number) > 0) ||
      (Array.isArray(x) && x.every((step, i) => Number.isInteger(step) && step > (x[i - 1] ?? -1))),
  ),
  factor: 0.1,
} satisfies Settings<StepOptions>

/**
 * rate · factorᵏ after k changes: `{ at: 30 }` changes every 30 steps, `{ at: [30, 80] }` at these. In PyTorch: StepLR, MultiStepLR.
 */
export function stepDecay(options: StepOptions): Schedule {
  const { rate, at, factor } = settle('stepDecay(options)', options, stepOptions)
  checkSetting('rate', rate, 0)
  checkFactor(factor)
  const changes = (step: number) => (typeof at === 'number' ? Math.floor(step / at) : at.filter(s => s <= step).length)
  return step => rate * factor ** changes(step)
}

/** Options of `polynomialDecay`. */
export interface PolynomialOptions {
  /** the learning rate of the first step */
  readonly rate: number
  /** steps of the whole run: after them the rate is `end` */
  readonly total: number
  /** p, above 0; default 1, which is linear */
  readonly power?: number
  /** the last learning rate; default 0 */
  readonly end?: number
}
const polynomialOptions = { rate: is.number, total: is.number, power: 1, end: 0 } satisfies Settings<PolynomialOptions>

/** end + (rate - end) (1 - s / total)ᵖ at step s. In PyTorch: PolynomialLR, whose end is 0. */
export function polynomialDecay(options: PolynomialOptions): Schedule {
  const { rate, total, power, end } = settle('polynomialDecay(options)', options, polynomialOptions)
  checkSetting('rate', rate, 0)
  checkSetting('end', end, 0)
  checkSetting('total', total, 1)
  if (!(power > 0)) throw new RangeError(`power = ${power}: must be above 0`)
  return step => end + (rate - end) * (1 - Math.min(1, step / total)) ** power
}

/** Options of `cosineRestarts`. */
export interface CosineRestartsOptions {
  /** the learning rate at each start */
  readonly peak: number
  /** steps of the first period */
  readonly period: number
  /** how many times longer each period is than the one before, 1 or more; default 1 */
  readonly growth?: number
  /** the learning rate at the end of each period; default 0 */
  readonly end?: number
}
const cosineRestartsOptions = {
  peak: is.number,
  period: is.count,
  growth: 1,
  end: 0,
} satisfies Settings<CosineRestartsOptions>

/**
 * A half-cosine from the peak to the end, again and again (Loshchilov and Hutter 2017, SGDR). In PyTorch: CosineAnnealingWarmRestarts
 * with T_0 = period, T_mult = growth and eta_min = end.
 */
export function cosineRestarts(options: CosineRestartsOptions): Schedule {
  const { peak, period, growth, end } = settle('cosineRestarts(options)', options, cosineRestartsOptions)
  checkSetting('peak', peak, 0)
  checkSetting('end', end, 0)
  checkSetting('growth', growth, 1)
  return step => {
    let [length, done] = [period, step]
    if (growth === 1) done %= period
    else
      while (done >= length) {
        done -= length
        length *= growth
      }
    return end + (peak - end) * 0.5 * (1 + Math.cos((Math.PI * done) / length))
  }
}

/** Options of `oneCycle`. */
export interface OneCycleOptions {
  /** the highest learning rate */
  readonly peak: number
  /** steps of the whole run */
  readonly total: number
  /** share of the steps in which the rate rises, above 0 and below 1; default 0.3 */
  readonly rise?: number
  /** the first learning rate; default peak / 25 */
  readonly start?: number
  /** the last learning rate; default start / 10000 */
  readonly end?: number
}
const oneCycleOptions = {
  peak: is.number,
  total: is.number,
  rise: 0.3,
  start: is.optional(is.number),
  end: is.optional(is.number),
} satisfies Settings<OneCycleOptions>

/**
 * One rise to the peak and one fall below the start, both as half-cosines (Smith and Topin 2018). In PyTorch: OneCycleLR, with the
 * same defaults; its momentum, which it moves too, stays as it is here.
 */
export function oneCycle(options: OneCycleOptions): Schedule {
  const settled = settle('oneCycle(options)', options, oneCycleOptions)
  const { peak, total, rise, start = peak / 25 } = settled
  const { end = start / 1e4 } = settled
  checkSetting('peak', peak, 0)
  checkSetting('start', start, 0)
  checkSetting('end', end, 0)
  checkSetting('total', total, 2)
  if (!(rise > 0 && rise < 1)) throw new RangeError(`rise = ${rise}: must be above 0 and below 1`)
  const top = rise * total - 1
  const between = (from: number, to: number, progress: number) =>
    to + (from - to) * 0.5 * (1 + Math.cos(Math.PI * progress))
  return step => {
    if (step < top) return between(start, peak, step / top)
    return between(peak, end, Math.min(1, (step - top) / (total - 1 - top)))
  }
}

function checkFactor(factor: number): void {
  if (!(factor > 0 && factor <= 1)) throw new RangeError(`factor = ${factor}: must be above 0 and at most 1`)
}

const isPart = new is.Kind<readonly [schedule: Schedule, steps: number]>(
  'a schedule and its number of steps, such as [constant(1e-3), 100]',
  x => Array.isArray(x) && x.length === 2 && typeof x[0] === 'function' && typeof x[1] === 'number' && x[1] > 0,
)

/**
 * Schedules one after the other, each from its own step 0. The last one goes on after its number of steps, for which Infinity may be
 * given. In PyTorch: SequentialLR.
 *
 *     const rate = chain([constant(1e-4), 100], [warmupCosine({ peak: 1e-3, total: 900 }), 900])
 */
export function chain(...parts: readonly (readonly [schedule: Schedule, steps: number])[]): Schedule {
  checkArguments('chain(...parts)', [is.rest(isPart)], parts)
  if (parts.length === 0) throw new TypeError('chain: there must be a schedule; write chain([constant(1e-3), 100])')
  return step => {
    let left = step
    for (const [schedule, steps] of parts.slice(0, -1)) {
      if (left < steps) return schedule(left)
      left -= steps
    }
    return parts[parts.length - 1][0](left)
  }
}

/** Options of `ReduceOnPlateau`. */
export interface PlateauOptions {
  /** the first learning rate */
  readonly rate: number
  /** what a reduction multiplies it by, above 0 and below 1; default 0.1 */
  readonly factor?: number
  /** observations without a better one that are waited for: one more reduces the rate; default 10 */
  readonly patience?: number
  /** whether a smaller number is better, as of a loss, or a larger one, as of an accuracy; default min */
  readonly mode?: 'min' | 'max'
  /** share of the size of the best number by which another must be better to count; default 1e-4 */
  readonly threshold?: number
  /** observations after a reduction that do not count as worse; default 0 */
  readonly cooldown?: number
  /** the smallest learning rate; default 0 */
  readonly end?: number
}
const plateauOptions = {
  rate: is.number,
  factor: 0.1,
  patience: is.byDefault(10, is.size),
  mode: is.choice('min', 'max'),
  threshold: 1e-4,
  cooldown: is.byDefault(0, is.size),
  end: 0,
} satisfies Settings<PlateauOptions>

/** The state of a learning rate that follows a metric: plain JSON. */
export interface PlateauState {
  /** the present learning rate */
  readonly rate: number
  /** the best number so far; null before the first */
  readonly best: number | null
  /** observations since the best one */
  readonly waited: number
  /** observations that are left of the cooldown */
  readonly cooling: number
}

const isPlateauState = new is.Kind<PlateauState>('what stateDict of a ReduceOnPlateau gives', x => {
  if (typeof x !== 'object' || x === null) return false
  const { rate, best, waited, cooling } = x as Record<string, unknown>
  return (
    [rate, waited, cooling].every(n => typeof n === 'number' && n >= 0) && (best === null || typeof best === 'number')
  )
})

/**
 * A learning rate that is reduced when a metric no longer improves. It is no function of the step: it remembers the best number.
 * In PyTorch: ReduceLROnPlateau, with the threshold mode `rel`.
 *
 *     const plateau = new ReduceOnPlateau({ rate: 1e-3, patience: 2 })
 *     for (const epoch of epochs) {
 *       for (const batch of epoch) optimizer.minimize(() => loss(batch), { learningRate: plateau.rate })
 *       plateau.observe(await validationLoss())
 *     }
 */
export class ReduceOnPlateau {
  readonly #settings: Required<PlateauOptions>
  #state: PlateauState

  constructor(options: PlateauOptions) {
    const settings = settle('new ReduceOnPlateau(options)', options, plateauOptions)
    checkSetting('rate', settings.rate, 0)
    checkSetting('end', settings.end, 0)
    checkSetting('threshold', settings.threshold, 0)
    if (!(settings.factor > 0 && settings.factor < 1))
      throw new RangeError(`factor = ${settings.factor}: must be above 0 and below 1`)
    this.#settings = settings
    this.#state = { rate: settings.rate, best: null, waited: 0, cooling: 0 }
  }

  /** The learning rate now. */
  get rate(): number {
    return this.#state.rate
  }

  /**
   * Takes the next number of the metric; NaN is no improvement.
   * @returns the learning rate from now on
   */
  observe(metric: number): number {
    checkArguments('plateau.observe(metric)', [is.number], [metric])
    const { patience, factor, cooldown, end } = this.#settings
    const { rate, best, ...before } = this.#state
    const isBetter = this.#isBetter(metric, best)
    const cooling = Math.max(0, before.cooling - 1)
    const waited = isBetter || before.cooling > 0 ? 0 : before.waited + 1
    const reduces = waited > patience
    this.#state = {
      rate: reduces ? Math.max(rate * factor, Math.min(rate, end)) : rate,
      best: isBetter ? metric : best,
      waited: reduces ? 0 : waited,
      cooling: reduces ? cooldown : cooling,
    }
    return this.rate
  }

  #isBetter(metric: number, best: number | null): boolean {
    const { mode, threshold } = this.#settings
    if (best === null) return !Number.isNaN(metric)
    const margin = threshold * Math.abs(best)
    return mode === 'min' ? metric < best - margin : metric > best + margin
  }

  /** Everything that the next observation depends on besides the options. */
  stateDict(): PlateauState {
    return this.#state
  }

  /** Continues from a saved state. */
  loadStateDict(state: PlateauState): this {
    checkArguments('plateau.loadStateDict(state)', [isPlateauState], [state])
    const { rate, best, waited, cooling } = state
    this.#state = { rate, best, waited, cooling }
    return this
  }
}
