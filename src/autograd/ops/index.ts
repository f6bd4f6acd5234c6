// Exports every operation under the name of its method.

import { fusedActivation } from './activation.ts'
import { fusedAttention } from './attention.ts'
import { fusedConvolution } from './convolution.ts'
import { fusedLinear } from './matmul.ts'
import { fusedNormalization } from './normalization.ts'
import { fusedPooling } from './pooling.ts'
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
export * from './arrange.ts'
export { type AttentionOptions, attention, attentionWeights, causalMask } from './attention.ts'
export * from './close.ts'
export {
  type ConvOptions,
  type ConvPaddingMode,
  type ConvTransposeOptions,
  conv1d,
  conv2d,
  conv3d,
  convTranspose1d,
  convTranspose2d,
  convTranspose3d,
  type FoldOptions,
  fold,
  type UnfoldOptions,
  unfold,
} from './convolution.ts'
export * from './diagonals.ts'
export * from './dropout.ts'
export * from './einsum.ts'
export * from './elementwise.ts'
export { embedding, type GatherOptions, gather, oneHot, scatterAdd, take } from './gather.ts'
export { type AxisIndex, addAt, at, maskedFill, type RangeText, withAt } from './indexing.ts'
export {
  type GridPaddingMode,
  type GridSampleOptions,
  gridSample,
  type InterpolateOptions,
  type InterpolationMode,
  interpolate,
  pixelShuffle,
  pixelUnshuffle,
} from './interpolation.ts'
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
  argsort,
  type Histogram,
  type HistogramOptions,
  histogram,
  kthValue,
  maxWithIndices,
  median,
  minWithIndices,
  type QuantileInterpolation,
  type QuantileOptions,
  quantile,
  type SearchSortedOptions,
  type SortOptions,
  searchSorted,
  sort,
  type TopkOptions,
  topk,
  type ValuesAndIndices,
} from './order.ts'
export {
  type AvgPoolOptions,
  adaptiveAvgPool,
  adaptiveMaxPool,
  avgPool1d,
  avgPool2d,
  avgPool3d,
  type MaxPoolOptions,
  maxPool1d,
  maxPool2d,
  maxPool3d,
} from './pooling.ts'
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
export * from './sampling.ts'
export * from './scan.ts'
export { type BincountOptions, bincount, maskedSelect, nonzero, type Unique, unique } from './sized.ts'
export { type CrossEntropyOptions, crossEntropy, logSoftmax, type Reduction, softmax } from './softmax.ts'
export type { PerAxis } from './spatial.ts'
export * from './trigonometry.ts'

/** The fused operations with their gradients, for checks that kernels and definitions agree. */
export const fusedOps = {
  ...fusedSoftmax,
  ...fusedNormalization,
  ...fusedActivation,
  ...fusedLinear,
  ...fusedAttention,
  ...fusedConvolution,
  ...fusedPooling,
}
