// Every operation, by the name that is also its method.

export * from './einsum.ts'
export * from './elementwise.ts'
export { fusedOps, gelu, type LayerNormOptions, layerNorm, logSoftmax, softmax, standardize } from './fused.ts'
export * from './gather.ts'
export * from './matmul.ts'
export * from './movement.ts'
export * from './network.ts'
export * from './reduce.ts'
