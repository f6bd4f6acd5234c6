// Stochastic gradient descent, with optional momentum (Sutskever et al. 2013).

import type { Parameter, ParameterSource } from '../nn/index.ts'
import type { Shape } from '../tensor/index.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { Optimizer, type OptimizerOptions, optimizerOptions, type UpdateInput, type UpdateResult } from './optimizer.ts'
import { checkSetting } from './setting.ts'

/** Options of `SGD`. */
export interface SGDOptions extends OptimizerOptions {
  /** μ; default 0: none */
  readonly momentum?: number
  /** Nesterov momentum; default false */
  readonly nesterov?: boolean
}
const sgdOptions = { ...optimizerOptions, momentum: 0, nesterov: false } satisfies Settings<SGDOptions>

/**
 * d = g + λ w, v ← μ v + d, w ← w - η v, or with Nesterov w ← w - η (d + μ v). Weight decay λ (default 0) is added to
 * the gradient, so it is part of the momentum too; η is the learning rate.
 */
export class SGD extends Optimizer {
  readonly algorithm = 'SGD'
  /** μ, the share of the old velocity that a step keeps */
  readonly momentum: number
  /** whether the gradient is taken ahead, at the next point of the velocity */
  readonly nesterov: boolean

  constructor(parameters: ParameterSource, options?: SGDOptions) {
    const { momentum, nesterov, ...shared } = settle('new SGD(parameters, options)', options, sgdOptions)
    super(parameters, shared)
    checkSetting('momentum', momentum, 0, 1)
    if (nesterov && momentum === 0) throw new RangeError('nesterov = true: needs a momentum above 0')
    this.momentum = momentum
    this.nesterov = nesterov
  }

  protected slotShapes({ shape }: Parameter): Readonly<Record<string, Shape>> {
    return this.momentum > 0 ? { velocity: shape } : {}
  }

  protected update({ value, gradient, slots, learningRate, weightDecay }: UpdateInput): UpdateResult {
    const { momentum, nesterov } = this
    const decayed = weightDecay === 0 ? gradient : gradient.add(value.mul(weightDecay))
    if (momentum === 0) return { value: value.sub(decayed.mul(learningRate)), slots }
    const velocity = slots.velocity.mul(momentum).add(decayed)
    const direction = nesterov ? velocity.mul(momentum).add(decayed) : velocity
    return { value: value.sub(direction.mul(learningRate)), slots: { velocity } }
  }
}
