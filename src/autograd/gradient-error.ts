// The error of a gradient that does not exist or is wrong, and its messages.

import type { Tensor } from '../tensor/index.ts'

/** A gradient that does not exist, or a rule that is wrong; the message says which. */
export class GradientError extends Error {
  override readonly name = 'GradientError'
  /** the tensor that has no gradient */
  readonly tensor: Tensor

  constructor(message: string, tensor: Tensor) {
    super(message)
    this.tensor = tensor
  }
}

/** The error for a tensor that cannot be differentiated by; it says what to write. */
export const noGradients = (what: string, x: Tensor): GradientError =>
  new GradientError(
    `${what} is ${x.dtype}, and only floating tensors have gradients; write x.cast('float32'), or tensor([…]) of numbers`,
    x,
  )

/** For messages about missing gradients: how a value becomes a constant. */
export const HOW_VALUES_LEAVE =
  'Values that were read by data(), dataSync(), array() or item(), and what stopGradient and noGrad return, are constants'
