// All exports of the module. Arguments are addresses, counts and steps in bytes, so that a caller can give a part of
// the work to each of several threads.

export { attention, attentionGradient } from './attention'
export { binary_bool, binary_f32, binary_f64, binary_i32 } from './binary'
export { scratchBytes } from './blocks'
export { batchNorm, batchNormGradient } from './channels'
export { compare_f32, compare_f64, compare_i32, where_32, where_64, where_8 } from './compare'
export { convolution, convolutionByWeight, convolutionTransposed } from './convolution'
export { gelu, geluGradient } from './gelu'
export { matmul, matmul_f64, product, product_f64, useBlas, useMachineCode } from './gemm'
export {
  bool_to_f32,
  bool_to_f64,
  bool_to_i32,
  copy_32,
  copy_64,
  copy_8,
  f32_to_f64,
  f32_to_i32,
  f64_to_f32,
  f64_to_i32,
  fill_32,
  fill_64,
  fill_8,
  gather_32,
  gather_64,
  gather_8,
  i32_to_f32,
  i32_to_f64,
  outside,
  scatter_f32,
  scatter_f64,
  scatter_i32,
} from './movement'
export { adamwPacked, packMoments, unpackMoments } from './moments'
export { adamw } from './optimize'
export { argsort_f32, argsort_f64, argsort_i32, topk_f32, topk_i32 } from './order'
export { matmul_i32 } from './plain'
export {
  argmax_f32,
  argmax_f64,
  argmax_i32,
  columns_f32,
  columns_f64,
  columns_i32,
  rows_f32,
  rows_f64,
  rows_i32,
} from './reduce'
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
export { maxPool, maxPoolGradient } from './windows'
