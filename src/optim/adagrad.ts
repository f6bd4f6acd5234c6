// Adagrad (Duchi et al. 2011).

import type { Parameter, ParameterSource } from '../nn/index.ts'
import type { Shape } from '../tensor/index.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { Optimizer, type OptimizerOptions, optimizerOptions, type UpdateInput, type UpdateResult } from './optimizer.ts'
import { checkSetting } from './setting.ts'

/** Options of `Adagrad`. */
export interface AdagradOptions extends OptimizerOptions {
  /** added to the root of the sum of squares; default 1e-10 */
  readonly epsilon?: number
}
const adagradOptions = { ...optimizerOptions, epsilon: 1e-10 } satisfies Settings<AdagradOptions>

/**
 * d = g + λ w, s ← s + d², w ← w - η d / (√s + ε): the steps of a weight become shorter with all gradients that it had, so that rare
 * features keep long ones. Weight decay λ (default 0) is added to the gradient; η is the learning rate.
 */
export class Adagrad extends Optimizer {
  readonly algorithm = 'Adagrad'
  /** ε, added to the root of the sum of squares */
  readonly epsilon: number

  constructor(parameters: ParameterSource, options?: AdagradOptions) {
    const { epsilon, ...shared } = settle('new Adagrad(parameters, options)', options, adagradOptions)
    super(parameters, shared)
    checkSetting('epsilon', epsilon, 0)
    this.epsilon = epsilon
  }

  protected slotShapes({ shape }: Parameter): Readonly<Record<string, Shape>> {
    return { squares: shape }
  }

  protected update({ value, gradient, slots, learningRate, weightDecay }: UpdateInput): UpdateResult {
    const decayed = weightDecay === 0 ? gradient : gradient.add(value.mul(weightDecay))
    const squares = slots.squares.add(decayed.square())
    return { value: value.sub(decayed.div(squares.sqrt().add(this.epsilon)).mul(learningRate)), slots: { squares } }
  }
}
