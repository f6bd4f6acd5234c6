// The tensor room: values, devices, memory and random numbers.

export { ArgumentError, checkArguments, checkEach, takes } from './arguments.ts'
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
  type CpuDevice,
  type CpuOptions,
  DeviceError,
  type DeviceReport,
  device,
  type GpuBackend,
  type OpenOptions,
} from './device.ts'
export { defaultGenerator, type RandomOptions, rand, randint, randn, seed, type UniformOptions } from './draw.ts'
export {
  allocate,
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
export { given, isPlain, isPromise, listed } from './given.ts'
export { type HostArray, type TensorData, ValueError } from './host.ts'
export {
  type AdamWNumbers,
  type AdamWUpdate,
  type AttentionInput,
  type BinaryName,
  type ComparisonName,
  type Device,
  deviceOf,
  type FusedKernels,
  type Kernels,
  type MemoryUse,
  type Moments,
  type Operand,
  type Padding,
  type Primitives,
  type ReductionName,
  type UnaryName,
} from './kernels.ts'
export * as is from './kinds.ts'
export { group, groups, OptionsError, optionalGroup, type Settings, type Settled, settle } from './options.ts'
export { Generator, type GeneratorState, philox4x32 } from './random.ts'
export { type DeviceName, FreedError, keep, Scope, Storage, scope, storagesIn } from './scope.ts'
export * from './shape.ts'
export { type NestedArray, SyncReadError, Tensor } from './tensor.ts'
export { expandView, permuteView, type Range, reshapeView, resolveRange, sliceView } from './views.ts'
