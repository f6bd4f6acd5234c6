// RMSprop (Tieleman and Hinton 2012, lecture 6.5 of Neural Networks for Machine Learning).

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

/** Options of `RMSprop`. */
export interface RMSpropOptions extends OptimizerOptions {
  /** α, the decay rate of the mean of squares; default 0.99 */
  readonly alpha?: number
  /** added to the root of the mean of squares; default 1e-8 */
  readonly epsilon?: number
  /** μ; default 0: none */
  readonly momentum?: number
  /** whether the square of the mean gradient is subtracted, so that the root is its deviation (Graves 2013); default false */
  readonly centered?: boolean
}
const rmspropOptions = {
  ...optimizerOptions,
  alpha: 0.99,
  epsilon: 1e-8,
  momentum: 0,
  centered: false,
} satisfies Settings<RMSpropOptions>

/**
 * d = g + λ w, v ← α v + (1 - α) d², u = d / (√v + ε), b ← μ b + u, w ← w - η b (without momentum, w - η u).
 * If centered, m ← α m + (1 - α) d, and v - m² is in the place of v in the root. Weight decay λ (default 0) is added to the
 * gradient; η is the learning rate.
 */
export class RMSprop extends Optimizer {
  readonly algorithm = 'RMSprop'
  /** the options with every default */
  readonly settings: Readonly<Required<Omit<RMSpropOptions, keyof OptimizerOptions>>>

  constructor(parameters: ParameterSource, options?: RMSpropOptions) {
    const settled = settle('new RMSprop(parameters, options)', options, rmspropOptions)
    const { alpha, epsilon, momentum, centered, ...shared } = settled
    super(parameters, shared)
    checkSetting('alpha', alpha, 0, 1)
    checkSetting('epsilon', epsilon, 0)
    checkSetting('momentum', momentum, 0, 1)
    this.settings = { alpha, epsilon, momentum, centered }
  }

  protected slotShapes({ shape }: Parameter): Readonly<Record<string, Shape>> {
    const { momentum, centered } = this.settings
    return {
      squares: shape,
      ...(centered ? { mean: shape } : {}),
      ...(momentum > 0 ? { velocity: shape } : {}),
    }
  }

  protected update({ value, gradient, slots, learningRate, weightDecay }: UpdateInput): UpdateResult {
    const { alpha, epsilon, momentum, centered } = this.settings
    const follow = (old: Tensor, next: Tensor) => old.mul(alpha).add(next.mul(1 - alpha))
    const decayed = weightDecay === 0 ? gradient : gradient.add(value.mul(weightDecay))
    const squares = follow(slots.squares, decayed.square())
    const mean = centered ? follow(slots.mean, decayed) : undefined
    // a variance of 0 may be rounded to less
    const variance = mean ? squares.sub(mean.square()).maximum(0) : squares
    const averages: Slots = mean ? { squares, mean } : { squares }
    const direction = decayed.div(variance.sqrt().add(epsilon))
    if (momentum === 0) return { value: value.sub(direction.mul(learningRate)), slots: averages }
    const velocity = slots.velocity.mul(momentum).add(direction)
    return { value: value.sub(velocity.mul(learningRate)), slots: { ...averages, velocity } }
  }
}
