// Neural networks: modules, initialisers and losses.

export {
  type AttendOptions,
  ConfigError,
  type KeyValueCache,
  MultiHeadAttention,
  type MultiHeadAttentionOptions,
} from './attention.ts'
export * from './common-losses.ts'
export {
  AdaptiveAvgPool2d,
  AvgPool2d,
  Conv1d,
  Conv2d,
  Conv3d,
  type ConvModuleOptions,
  ConvTranspose1d,
  ConvTranspose2d,
  ConvTranspose3d,
  type ConvTransposeModuleOptions,
  Flatten,
  MaxPool2d,
  Upsample,
} from './convolution.ts'
export { deepCopy } from './copy.ts'
export { sequence } from './forward.ts'
export { withParameters } from './functional.ts'
export { SwiGLU } from './gated.ts'
export * from './gradients.ts'
export { type CapturedAttention, type Computing, captureAttention, onForward } from './hooks.ts'
export * as init from './init.ts'
export {
  type Activation,
  Dropout,
  Embedding,
  isActivation,
  LayerNorm,
  Linear,
  type LinearOptions,
  MLP,
} from './layers.ts'
export { type LoraOptions, loadLoraState, lora, loraState, mergeLora } from './lora.ts'
export * from './losses.ts'
export { FieldError, Module, type StateDict, StateDictError, type StateDictMismatch } from './module.ts'
export {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  type BatchNormModuleOptions,
  type ChannelNormOptions,
  Dropout2d,
  GroupNorm,
  InstanceNorm1d,
  InstanceNorm2d,
  InstanceNorm3d,
  RMSNorm,
} from './norms.ts'
export {
  Buffer,
  type LaterOptions,
  ModuleTensor,
  Parameter,
  parameter,
  withLateValues,
  withoutAllocation,
} from './parameter.ts'
export type { ParameterSource } from './parameter-source.ts'
export {
  removeParametrization,
  type SpectralNormOptions,
  spectralNorm,
  type Weighted,
  weightNorm,
} from './parametrizations.ts'
export * from './pooler.ts'
export * from './positions.ts'
export * from './recurrent.ts'
export { alibi, type RotaryOptions, rotary } from './rotary.ts'
export * from './sequential.ts'
export * from './transformer.ts'
