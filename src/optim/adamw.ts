// Adam with decoupled weight decay (Kingma and Ba 2015; Loshchilov and Hutter 2019).

import type { Module, Parameter } from '../nn/index.ts'
import type { Shape } from '../tensor/index.ts'
import { checkSetting, Optimizer, type OptimizerOptions, type UpdateInput, type UpdateResult } from './optimizer.ts'

export interface AdamWOptions extends OptimizerOptions {
  /** how much of the two moments is kept each step; default [0.9, 0.999] */
  readonly betas?: readonly [number, number]
  /** added to the root of the second moment; default 1e-8 */
  readonly epsilon?: number
}

/**
 * m ← β₁ m + (1 - β₁) g, v ← β₂ v + (1 - β₂) g²,
 * w ← (1 - η λ) w - η / (1 - β₁ᵗ) · m / (√v / √(1 - β₂ᵗ) + ε)
 * with the learning rate η and weight decay λ (default 0.01); t counts the updates of each parameter by itself.
 */
export class AdamW extends Optimizer {
  readonly algorithm = 'AdamW'
  readonly betas: readonly [number, number]
  readonly epsilon: number

  constructor(
    parameters: Module | Iterable<readonly [name: string, parameter: Parameter]>,
    options: AdamWOptions = {},
  ) {
    super(parameters, { weightDecay: 0.01, ...options })
    const { betas = [0.9, 0.999], epsilon = 1e-8 } = options
    for (const [i, beta] of betas.entries()) checkSetting(`betas[${i}]`, beta, 0, 1)
    checkSetting('epsilon', epsilon, 0)
    this.betas = betas
    this.epsilon = epsilon
  }

  protected slotShapes({ shape }: Parameter): Readonly<Record<string, Shape>> {
    return { firstMoment: shape, secondMoment: shape }
  }

  protected update({ value, gradient, slots, step, learningRate, weightDecay }: UpdateInput): UpdateResult {
    const [beta1, beta2] = this.betas
    const firstMoment = slots.firstMoment.mul(beta1).add(gradient.mul(1 - beta1))
    const secondMoment = slots.secondMoment.mul(beta2).add(gradient.square().mul(1 - beta2))
    const deviation = secondMoment.sqrt().div(Math.sqrt(1 - beta2 ** step))
    const direction = firstMoment.div(deviation.add(this.epsilon))
    const kept = weightDecay === 0 ? value : value.mul(1 - learningRate * weightDecay)
    return {
      value: kept.sub(direction.mul(learningRate / (1 - beta1 ** step))),
      slots: { firstMoment, secondMoment },
    }
  }
}
