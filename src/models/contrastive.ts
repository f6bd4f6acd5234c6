// Common parts of models with a contrastive loss: a learned temperature, and additional positive pairs in a batch.

import { noGrad } from '../autograd/index.ts'
import { init, type Parameter, parameter } from '../nn/index.ts'
import type { Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import type { Settings } from '../tensor/options.ts'

/** Positives in addition to each image and its own text. */
export interface PositivesOptions {
  /** int32 [batch]: pairs with the same number are positives of each other */
  readonly groups?: Tensor
}
export const positivesOptions = { groups: is.optional(is.indices) } satisfies Settings<PositivesOptions>

/** What a contrastive loss needs besides embeddings and a scale. */
export interface ContrastOptions extends PositivesOptions {
  /** bias of the logits, a scalar, for a model with SigLIP's loss; default its own */
  readonly bias?: Tensor
}
export const contrastOptions = {
  ...positivesOptions,
  bias: is.optional(is.tensor),
} satisfies Settings<ContrastOptions>

/** log(1 / temperature), a learned scalar. */
export const logScale = (temperature: number): Parameter => parameter([], init.constant(-Math.log(temperature)))

/** Keeps exp(logScale) within [1, maximum]. */
export function constrainScale(logScale: Parameter, maximum: number): void {
  logScale.assign(noGrad(() => logScale.clamp({ min: 0, max: Math.log(maximum) })))
}
