// Adam (Kingma and Ba 2015), with weight decay in the gradient.

import type { Parameter, ParameterSource } from '../nn/index.ts'
import type { Shape } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { adamwInPlace, adamwUpdate, momentFormatsOf, twoNumbers } from './adamw.ts'
import { type MomentStorage, momentStorage } from './moments.ts'
import { Optimizer, type OptimizerOptions, optimizerOptions, type UpdateInput, type UpdateResult } from './optimizer.ts'
import { checkSetting } from './setting.ts'

/** Options of `Adam`. */
export interface AdamOptions extends OptimizerOptions {
  /** decay rates of the two moments; default [0.9, 0.999] */
  readonly betas?: readonly [number, number]
  /** added to the root of the second moment; default 1e-8 */
  readonly epsilon?: number
  /** how the two moments are stored; default float32 */
  readonly moments?: MomentStorage
}
const adamOptions = {
  ...optimizerOptions,
  betas: is.byDefault([0.9, 0.999], twoNumbers),
  epsilon: 1e-8,
  moments: momentStorage,
} satisfies Settings<AdamOptions>

/**
 * d = g + λ w, m ← β₁ m + (1 - β₁) d, v ← β₂ v + (1 - β₂) d²,
 * w ← w - η / (1 - β₁ᵗ) · m / (√v / √(1 - β₂ᵗ) + ε)
 * with the learning rate η and weight decay λ (default 0); t counts the updates of each parameter separately.
 *
 * Weight decay is part of the gradient here, so that the moments scale it: weights with large gradients decay less. `AdamW`
 * subtracts it from the weights themselves, which is nearly always better; without weight decay the two are equal.
 */
export class Adam extends Optimizer {
  readonly algorithm = 'Adam'
  /** β₁ and β₂, the shares of the old moments that a step keeps */
  readonly betas: readonly [number, number]
  /** ε, added to the root of the second moment */
  readonly epsilon: number
  /** how the moments are stored */
  readonly moments: MomentStorage

  constructor(parameters: ParameterSource, options?: AdamOptions) {
    const { betas, epsilon, moments, ...shared } = settle('new Adam(parameters, options)', options, adamOptions)
    super(parameters, shared)
    for (const [i, beta] of betas.entries()) checkSetting(`betas[${i}]`, beta, 0, 1)
    checkSetting('epsilon', epsilon, 0)
    this.betas = betas
    this.epsilon = epsilon
    this.moments = moments
  }

  protected slotShapes({ shape }: Parameter): Readonly<Record<string, Shape>> {
    return { firstMoment: shape, secondMoment: shape }
  }

  protected override slotFormats() {
    return momentFormatsOf(this.moments)
  }

  protected update(input: UpdateInput): UpdateResult {
    const { value, gradient, weightDecay } = input
    const decayed = weightDecay === 0 ? gradient : gradient.add(value.mul(weightDecay))
    return adamwUpdate({ ...input, gradient: decayed, weightDecay: 0 }, this)
  }

  protected override updateInPlace(inputs: readonly UpdateInput[]): boolean {
    return inputs.every(({ weightDecay }) => weightDecay === 0) && adamwInPlace(inputs, this)
  }
}
