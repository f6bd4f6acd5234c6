// Every operation, by the name that is also its method.

import { fusedAttention } from './attention.ts'
import { fusedRows } from './fused.ts'
import { affine } from './network.ts'

export { type AttentionOptions, attention, attentionWeights, causalMask } from './attention.ts'
export * from './einsum.ts'
export * from './elementwise.ts'
export { type GeluOptions, gelu, type LayerNormOptions, layerNorm, logSoftmax, softmax, standardize } from './fused.ts'
export { embedding, type GatherOptions, gather, oneHot, scatterAdd, take } from './gather.ts'
export * from './matmul.ts'
export * from './movement.ts'
export {
  type CrossEntropyOptions,
  crossEntropy,
  type DropoutOptions,
  dropout,
  linear,
  type NormalizeOptions,
  normalize,
  type Reduction,
} from './network.ts'
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

/** The fused operations and the gradients among them, for whoever checks that kernels and definitions agree. */
export const fusedOps = { ...fusedRows, ...fusedAttention, linear: affine }
