// Exports every operation under the name of its method.

import { fusedActivation } from './activation.ts'
import { fusedAttention } from './attention.ts'
import { affine } from './matmul.ts'
import { fusedNormalization } from './normalization.ts'
import { fusedSoftmax } from './softmax.ts'

export { type GeluOptions, gelu, quickGelu, relu, sigmoid, silu, softplus } from './activation.ts'
export { type AttentionOptions, attention, attentionWeights, causalMask } from './attention.ts'
export * from './dropout.ts'
export * from './einsum.ts'
export * from './elementwise.ts'
export { embedding, type GatherOptions, gather, oneHot, scatterAdd, take } from './gather.ts'
export { linear, matmul } from './matmul.ts'
export * from './movement.ts'
export {
  type BatchNormOptions,
  batchNorm,
  type GroupNormOptions,
  groupNorm,
  type LayerNormOptions,
  layerNorm,
  type NormalizeOptions,
  normalize,
  type RMSNormOptions,
  rmsNorm,
  standardize,
} from './normalization.ts'
export {
  type ArgmaxOptions,
  type AxisOptions,
  argmax,
  cumsum,
  logSumExp,
  max,
  mean,
  min,
  type NormOptions,
  norm,
  type ReduceOptions,
  sum,
  sumTo,
  type VarianceOptions,
  variance,
} from './reduce.ts'
export { type CrossEntropyOptions, crossEntropy, logSoftmax, type Reduction, softmax } from './softmax.ts'

/** The fused operations with their gradients, for checks that kernels and definitions agree. */
export const fusedOps = {
  ...fusedSoftmax,
  ...fusedNormalization,
  ...fusedActivation,
  linear: affine,
  ...fusedAttention,
}
