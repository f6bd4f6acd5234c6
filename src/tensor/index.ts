// Tensors: values, devices, memory and random numbers.

export { ArgumentError } from './arguments.ts'
export { CaptureError } from './capture-error.ts'
export { ScopeOverlapError } from './context.ts'
export { type CountMemoryOptions, countMemory, type MemoryCount } from './count.ts'
export type { CpuDevice } from './cpu/index.ts'
export {
  arange,
  type CreateOptions,
  eye,
  fromData,
  fromNdarray,
  full,
  linspace,
  ones,
  onesLike,
  type TensorOptions,
  tensor,
  toDevice,
  toNdarray,
  zeros,
  zerosLike,
} from './create.ts'
export {
  type ActivationDType,
  type CompileProgress,
  type CpuOptions,
  type Device,
  DeviceError,
  type DeviceReport,
  deviceOf,
  type GpuBackend,
  type Kernels,
  type MemoryUse,
  type OpenOptions,
  type ProductTiming,
  type Tiles,
  type Tuning,
} from './device.ts'
export { device } from './devices.ts'
export { installDevtoolsFormatters } from './devtools.ts'
export {
  type InspectOptions,
  inspectCustom,
  jupyterDisplay,
  type MimeBundle,
} from './display.ts'
export {
  beta,
  dirichlet,
  type ExponentialRandomOptions,
  exponential,
  type GumbelOptions,
  gamma,
  gumbel,
  poisson,
  type TruncatedNormalOptions,
  truncatedNormal,
} from './distributions.ts'
export {
  defaultGenerator,
  permutation,
  type RandomOptions,
  rand,
  randint,
  randintLike,
  randLike,
  randn,
  randnLike,
  seed,
  type UniformOptions,
} from './draw.ts'
export {
  allocate,
  canReplace,
  type DType,
  DTypeError,
  dtypeOf,
  dtypes,
  floating,
  isFloating,
  missingDType,
  promote,
  promoteScalar,
  type TypedArray,
} from './dtype.ts'
export { descending, indexOfNonFinite, isAbove, NonFiniteError } from './finite.ts'
export type {
  AdamWNumbers,
  AdamWUpdate,
  AttentionInput,
  ConvolutionSteps,
  FusedKernels,
  Moments,
  PackedAdamWUpdate,
  PoolSteps,
} from './fused-kernels.ts'
export { type HostArray, type TensorData, ValueError } from './host-data.ts'
export type { MomentFormat, PackedMoment } from './moments.ts'
export { nextTask } from './next-task.ts'
export { OptionsError } from './options.ts'
export { type MemoryShortage, OutOfMemoryError } from './out-of-memory.ts'
export type {
  BinaryName,
  ComparisonName,
  Operand,
  Padding,
  Primitives,
  ReductionName,
  UnaryName,
} from './primitives.ts'
export type { PrintOptions } from './print.ts'
export { Generator, type GeneratorState, philox4x32 } from './random.ts'
export { keep, Scope, scope, storagesIn } from './scope.ts'
export * from './shape.ts'
export { type Size2d, sidesOf } from './sides.ts'
export { type DeviceName, FreedError, Storage } from './storage.ts'
export { type NestedArray, SyncReadError, Tensor } from './tensor.ts'
export { expandView, permuteView, type Range, reshapeView, resolveRange, sliceView } from './views.ts'
