// The tensor room: values, devices, memory and random numbers.

export * from './create.ts'
export {
  type CpuDevice,
  type CpuOptions,
  DeviceError,
  type DeviceReport,
  device,
  type GpuBackend,
  type OpenOptions,
} from './device.ts'
export {
  allocate,
  canReplace,
  type DType,
  DTypeError,
  dtypeOf,
  floating,
  isFloating,
  promote,
  promoteScalar,
  type TypedArray,
} from './dtype.ts'
export { descending, firstNonFinite, isAbove, NonFiniteError } from './finite.ts'
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
export { Generator, type GeneratorState, philox4x32 } from './random.ts'
export { type DeviceName, FreedError, keep, Scope, Storage, scope, storagesIn } from './scope.ts'
export * from './shape.ts'
export { type NestedArray, SyncReadError, Tensor } from './tensor.ts'
export { expandView, permuteView, type Range, reshapeView, resolveRange, sliceView } from './views.ts'
