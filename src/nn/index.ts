// The nn room: modules, initialisers, and losses.

export {
  type AttendOptions,
  ConfigError,
  type KeyValueCache,
  MultiHeadAttention,
  type MultiHeadAttentionOptions,
} from './attention.ts'
export { withParameters } from './functional.ts'
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
export * from './losses.ts'
export { lossAndGradients, Module, type StateDict, StateDictError } from './module.ts'
export { Parameter, parameter, withoutAllocation } from './parameter.ts'
export * from './pooler.ts'
export * from './positions.ts'
export * from './transformer.ts'
