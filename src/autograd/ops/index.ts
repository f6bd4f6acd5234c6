// Exports every operation under the name of its method.

import { fusedActivation } from './activation.ts'
import { fusedAttention } from './attention.ts'
import { affine } from './matmul.ts'
import { fusedNormalization } from './normalization.ts'
import { fusedSoftmax } from './softmax.ts'

export {
  type EluOptions,
  elu,
  type GeluOptions,
  gelu,
  glu,
  hardswish,
  type LeakyReluOptions,
  leakyRelu,
  logSigmoid,
  mish,
  quickGelu,
  relu,
  selu,
  sigmoid,
  silu,
  softplus,
  softsign,
  swiglu,
} from './activation.ts'
export { type AttentionOptions, attention, attentionWeights, causalMask } from './attention.ts'
export * from './close.ts'
export * from './dropout.ts'
export * from './einsum.ts'
export * from './elementwise.ts'
export { embedding, type GatherOptions, gather, oneHot, scatterAdd, take } from './gather.ts'
export { linear, matmul } from './matmul.ts'
export * from './movement.ts'
export {
  type LayerNormOptions,
  layerNorm,
  type NormalizeOptions,
  normalize,
  standardize,
} from './normalization.ts'
export {
  type ArgmaxOptions,
  type AxisOptions,
  all,
  any,
  argmax,
  argmin,
  cumsum,
  logSumExp,
  max,
  mean,
  min,
  type NormOptions,
  norm,
  prod,
  type ReduceOptions,
  std,
  sum,
  sumTo,
  type VarianceOptions,
  variance,
  varianceAndMean,
} from './reduce.ts'
export * from './rounding.ts'
export * from './scan.ts'
export { type CrossEntropyOptions, crossEntropy, logSoftmax, type Reduction, softmax } from './softmax.ts'
export * from './trigonometry.ts'

/** The fused operations with their gradients, for checks that kernels and definitions agree. */
export const fusedOps = {
  ...fusedSoftmax,
  ...fusedNormalization,
  ...fusedActivation,
  linear: affine,
  ...fusedAttention,
}
