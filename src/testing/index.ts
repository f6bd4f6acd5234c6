// The checks of this package's operations, for tests of your own operations. Only this folder needs fast-check.

export {
  checkCheckpoint,
  checkDevice,
  checkLayout,
  checkSame,
  type GradientsOption,
  type SameOptions,
} from './agreement.ts'
export * from './arbitraries/expression.ts'
export * from './arbitraries/shapes.ts'
export {
  type DrawnTensorOptions as TensorOptions,
  mask,
  operands,
  tensor,
  tensors,
  type ValueOptions,
} from './arbitraries/tensors.ts'
export { describeOperation, type OperationDescription, type Refusal } from './describe.ts'
export { GradientAssertionError } from './exactly.ts'
export * from './laws.ts'
export {
  callsOf,
  type OperationCase,
  type OperationCases,
  type OperationName,
  operations,
  type SampledCall,
} from './operations/index.ts'
export type { Samples } from './report.ts'
export type { TestRunner } from './runner.ts'
export { sourceOf } from './source-text.ts'
