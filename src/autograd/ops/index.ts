// Every operation, by the name that is also its method.

import { fusedAttention } from './attention.ts'
import { fusedRows } from './fused.ts'
import { affine } from './network.ts'

export { type AttentionOptions, attention, attentionWeights, causalMask } from './attention.ts'
export * from './einsum.ts'
export * from './elementwise.ts'
export { gelu, type LayerNormOptions, layerNorm, logSoftmax, softmax, standardize } from './fused.ts'
export * from './gather.ts'
export * from './matmul.ts'
export * from './movement.ts'
export {
  type CrossEntropyOptions,
  crossEntropy,
  dropout,
  linear,
  normalize,
  type Reduction,
} from './network.ts'
export * from './reduce.ts'

/** The fused operations and the gradients among them, for whoever checks that kernels and definitions agree. */
export const fusedOps = { ...fusedRows, ...fusedAttention, linear: affine }
