// The autograd room: operations, the tape, and functions of functions. Importing it gives tensors their methods.

import './fluent.ts'

export { type GradcheckOptions, type GradcheckResult, type GradientMismatch, gradcheck } from './gradcheck.ts'
export { defineFused, defineOp, type Fused, type FusedOp } from './op.ts'
export * from './ops/index.ts'
export { type Entry, GradientError, isRecording, noGrad, Tape, type Thunks } from './tape.ts'
export {
  checkpoint,
  grad,
  hessian,
  hvp,
  jacobian,
  jvp,
  type TensorFunction,
  valueAndGrad,
  vjp,
  type WrtOptions,
} from './transforms.ts'
