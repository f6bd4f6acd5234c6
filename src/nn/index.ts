// The nn room: modules, initialisers, and losses.

export * from './attention.ts'
export { sequence } from './forward.ts'
export { withParameters } from './functional.ts'
export * from './gradients.ts'
export * as init from './init.ts'
export * from './layers.ts'
export * from './losses.ts'
export { FieldError, Module, type StateDict, StateDictError, type StateDictMismatch } from './module.ts'
export { Parameter, parameter, withoutAllocation } from './parameter.ts'
export * from './pooler.ts'
export * from './positions.ts'
export * from './transformer.ts'
