// All exports of the module. Arguments are addresses, counts and steps in bytes, so that a caller can give a part of
// the work to each of several threads.

export { attention, attentionGradient } from './attention'
export { binary_bool, binary_f32, binary_i32 } from './binary'
export { scratchBytes } from './blocks'
export { compare_f32, compare_i32, where_32, where_8 } from './compare'
export { gelu, geluGradient } from './gelu'
export { addRow, matmul, product, useBlas } from './gemm'
export { matmul_i32 } from './integers'
export {
  bool_to_f32,
  bool_to_i32,
  copy_32,
  copy_8,
  f32_to_i32,
  fill_32,
  fill_8,
  gather_32,
  gather_8,
  i32_to_f32,
  outside,
  scatter_f32,
  scatter_i32,
} from './movement'
export { adamw } from './optimize'
export { argsort_f32, argsort_i32 } from './order'
export { argmax_f32, argmax_i32, columns_f32, columns_i32, rows_f32, rows_i32 } from './reduce'
export {
  addSquares,
  addSums,
  layerNorm,
  layerNormGradient,
  logSoftmax,
  logSoftmaxGradient,
  negativeLogLikelihood,
  negativeLogLikelihoodGradient,
  softmax,
  softmaxGradient,
  standardize,
  standardizeGradient,
} from './rows'
export * from './unary'
