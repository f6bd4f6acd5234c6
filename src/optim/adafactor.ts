// Adafactor (Shazeer and Stern 2018): the second moment of a matrix is stored as means of rows and of columns, which
// takes n + m numbers instead of n m. The defaults are those of large vision transformers (Zhai et al. 2021, section
// 3.5) and of CoCa: a first moment of 0.9, a second moment of at most 0.999, and no scaling of the learning rate by the
// parameter.

import type { Parameter, ParameterSource } from '../nn/index.ts'
import type { Shape, Tensor } from '../tensor/index.ts'
import { type Settings, settle } from '../tensor/options.ts'
import {
  Optimizer,
  type OptimizerOptions,
  optimizerOptions,
  type Slots,
  type UpdateInput,
  type UpdateResult,
} from './optimizer.ts'
import { checkSetting } from './setting.ts'

/** Options of `Adafactor`. */
export interface AdafactorOptions extends OptimizerOptions {
  /** decay of the first moment, which takes as much memory as the parameters; default 0.9; 0 turns it off */
  readonly beta1?: number
  /** upper bound of β₂ₜ = 1 - t^-decayRate; default 0.999 */
  readonly beta2?: number
  /** default 0.8 (section 7.2) */
  readonly decayRate?: number
  /** d, the largest root mean square of an update before the learning rate; default 1, and Infinity never clips */
  readonly clipThreshold?: number
  /** multiplies the learning rate with max(1e-3, RMS(w)) (section 8); default false */
  readonly relativeStep?: boolean
  /** ε₁, added to squared gradients; default 1e-30 */
  readonly epsilon?: number
}
const adafactorOptions = {
  ...optimizerOptions,
  beta1: 0.9,
  beta2: 0.999,
  decayRate: 0.8,
  clipThreshold: 1,
  relativeStep: false,
  epsilon: 1e-30,
} satisfies Settings<AdafactorOptions>

/** Rows and columns are the last two axes; the axes before them count matrices. */
const isFactored = (shape: Shape): boolean => shape.length >= 2

const mean = (x: Tensor, axis: number): Tensor => x.mean({ axis, keepDims: true })
const rootMeanSquare = (x: Tensor): Tensor => x.square().mean().sqrt()

/**
 * Algorithm 4 for matrices, with g² + ε₁ averaged along rows into R and along columns into C:
 * v = R C / mean(R), u = g / √v, û = u / max(1, RMS(u) / d), m ← β₁ m + (1 - β₁) û, w ← (1 - η λ) w - η m.
 * Algorithm 5 for vectors: v is not factored. η is the learning rate, λ the weight decay (default 0).
 */
export class Adafactor extends Optimizer {
  readonly algorithm = 'Adafactor'
  /** the options with every default */
  readonly settings: Readonly<Required<Omit<AdafactorOptions, keyof OptimizerOptions>>>

  constructor(parameters: ParameterSource, options?: AdafactorOptions) {
    const settled = settle('new Adafactor(parameters, options)', options, adafactorOptions)
    const { beta1, beta2, decayRate, clipThreshold, relativeStep, epsilon, ...shared } = settled
    super(parameters, shared)
    checkSetting('beta1', beta1, 0, 1)
    checkSetting('beta2', beta2, 0, 1)
    checkSetting('decayRate', decayRate, 0)
    if (!(clipThreshold > 0)) throw new RangeError(`clipThreshold = ${clipThreshold}: must be above 0`)
    checkSetting('epsilon', epsilon, 0)
    this.settings = { beta1, beta2, decayRate, clipThreshold, relativeStep, epsilon }
  }

  protected slotShapes({ shape }: Parameter): Readonly<Record<string, Shape>> {
    const first: Record<string, Shape> = this.settings.beta1 > 0 ? { firstMoment: shape } : {}
    if (!isFactored(shape)) return { ...first, secondMoment: shape }
    return { ...first, rows: [...shape.slice(0, -1), 1], columns: [...shape.slice(0, -2), 1, shape[shape.length - 1]] }
  }

  protected update({ value, gradient, slots, step, learningRate, weightDecay }: UpdateInput): UpdateResult {
    const { beta1, relativeStep, clipThreshold } = this.settings
    const second = this.#secondMoment(gradient, slots, step)
    let direction = gradient.mul(second.inverseRoot)
    if (clipThreshold !== Number.POSITIVE_INFINITY)
      direction = direction.div(rootMeanSquare(direction).div(clipThreshold).maximum(1))
    const moved = beta1 > 0 ? slots.firstMoment.mul(beta1).add(direction.mul(1 - beta1)) : direction
    const rate = relativeStep ? rootMeanSquare(value).maximum(1e-3).mul(learningRate) : learningRate
    const kept = weightDecay === 0 ? value : value.sub(value.mul(rate).mul(weightDecay))
    return {
      value: kept.sub(moved.mul(rate)),
      slots: { ...second.slots, ...(beta1 > 0 ? { firstMoment: moved } : {}) },
    }
  }

  /** 1 / √v, and the new state of v. */
  #secondMoment(gradient: Tensor, slots: Slots, step: number): { inverseRoot: Tensor; slots: Slots } {
    const { beta2, decayRate, epsilon } = this.settings
    const beta = Math.min(beta2, 1 - step ** -decayRate)
    const follow = (old: Tensor, next: Tensor) => old.mul(beta).add(next.mul(1 - beta))
    const squares = gradient.square().add(epsilon)
    if (!isFactored(gradient.shape)) {
      const secondMoment = follow(slots.secondMoment, squares)
      return { inverseRoot: secondMoment.rsqrt(), slots: { secondMoment } }
    }
    const rows = follow(slots.rows, mean(squares, -1))
    const columns = follow(slots.columns, mean(squares, -2))
    // the root of each factor separately: their product may be too small for float32
    return { inverseRoot: rows.div(mean(rows, -2)).rsqrt().mul(columns.rsqrt()), slots: { rows, columns } }
  }
}
