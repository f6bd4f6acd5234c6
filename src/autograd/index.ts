// Automatic differentiation: operations, the tape, and transforms of functions. Importing this file gives tensors their
// methods.

import './fluent.ts'

export { allClose } from './all-close.ts'
export { type Batching, type MappedBatch, VmapError } from './batched.ts'
export { type Captured, capture } from './capture.ts'
export { checkpoint } from './checkpoint.ts'
export { customVjp, onGradient } from './custom.ts'
export type { GradcheckVerdict as Verdict } from './gradcheck/differences.ts'
export { type CheckedFunction, type GradcheckOptions, gradcheck } from './gradcheck/gradcheck.ts'
export type { GradcheckPart, GradcheckResult, GradientMismatch } from './gradcheck/gradcheck-result.ts'
export { GradientError } from './gradient-error.ts'
export type { Phase } from './observing.ts'
export { defineFused, defineOp, type Fused, type FusedOp } from './op.ts'
export * from './ops/index.ts'
export type { TapeTextOptions } from './print.ts'
export type { DefinedOperation, Jvp } from './recording.ts'
export { type Entry, isRecording, noGrad, type Thunk, type Thunks, type WindowGradient } from './recording.ts'
export { type PartialsOptions, Tape } from './tape.ts'
export {
  type AuxOptions,
  grad,
  type HvpOptions,
  hessian,
  hvp,
  jacfwd,
  jacobian,
  jvp,
  linearize,
  type TensorFunction,
  valueAndGrad,
  vjp,
  type WrtOptions,
} from './transforms.ts'
export { type BatchAxis, type VmapOptions, vmap } from './vmap.ts'
