// Lion (Chen et al. 2023, arXiv 2302.06675): the sign of a momentum, which was found by a search over programs.

import type { Parameter, ParameterSource } from '../nn/index.ts'
import type { Shape } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { twoNumbers } from './adamw.ts'
import { type MomentStorage, momentStorage, signedFormat } from './moments.ts'
import { Optimizer, type OptimizerOptions, optimizerOptions, type UpdateInput, type UpdateResult } from './optimizer.ts'
import { checkSetting } from './setting.ts'

/** Options of `Lion`. */
export interface LionOptions extends OptimizerOptions {
  /** share of the old momentum in the direction, and in the new momentum; default [0.9, 0.99] */
  readonly betas?: readonly [number, number]
  /** how the momentum is stored; default float32 */
  readonly moments?: MomentStorage
}
const lionOptions = {
  ...optimizerOptions,
  betas: is.byDefault([0.9, 0.99], twoNumbers),
  moments: momentStorage,
} satisfies Settings<LionOptions>

/**
 * w ← (1 - η λ) w - η sign(β₁ m + (1 - β₁) g), then m ← β₂ m + (1 - β₂) g.
 *
 * Every weight moves by the learning rate η, so that η is a third to a tenth of AdamW's and the weight decay λ (default 0) as many
 * times larger. The state is one number a weight.
 */
export class Lion extends Optimizer {
  readonly algorithm = 'Lion'
  /** β₁ of the update and β₂ of the moment */
  readonly betas: readonly [number, number]
  /** how the moment is stored */
  readonly moments: MomentStorage

  constructor(parameters: ParameterSource, options?: LionOptions) {
    const { betas, moments, ...shared } = settle('new Lion(parameters, options)', options, lionOptions)
    super(parameters, shared)
    for (const [i, beta] of betas.entries()) checkSetting(`betas[${i}]`, beta, 0, 1)
    this.betas = betas
    this.moments = moments
  }

  protected slotShapes({ shape }: Parameter): Readonly<Record<string, Shape>> {
    return { momentum: shape }
  }

  protected override slotFormats() {
    return { momentum: signedFormat(this.moments) }
  }

  protected update({ value, gradient, slots, learningRate, weightDecay }: UpdateInput): UpdateResult {
    const [beta1, beta2] = this.betas
    const old = slots.momentum
    const direction = old
      .mul(beta1)
      .add(gradient.mul(1 - beta1))
      .sign()
    const momentum = old.mul(beta2).add(gradient.mul(1 - beta2))
    return { value: value.mul(1 - learningRate * weightDecay).sub(direction.mul(learningRate)), slots: { momentum } }
  }
}
