// Optimizers, gradient clipping, learning rate schedules and averages of weights.

export { Adafactor, type AdafactorOptions } from './adafactor.ts'
export { Adagrad, type AdagradOptions } from './adagrad.ts'
export { Adam, type AdamOptions } from './adam.ts'
export { AdamW, type AdamWOptions } from './adamw.ts'
export { type AverageOptions, type AverageState, averageWeights, ExponentialMovingAverage } from './averaging.ts'
export { type ClippedGradients, clipGradients } from './clip.ts'
export { Lion, type LionOptions } from './lion.ts'
export type { MomentStorage } from './moments.ts'
export { Muon, type MuonOptions } from './muon.ts'
export {
  type MinimizeOptions,
  Optimizer,
  type OptimizerOptions,
  type OptimizerState,
  OptimizerStateError,
  optimizerOptions,
  type ParameterGroup,
  type Slots,
  type UpdateInput,
  type UpdateResult,
  withoutDecay,
} from './optimizer.ts'
export { LearningRateError, learningRateFactors, learningRateGroups, type RateOptions } from './rates.ts'
export { RMSprop, type RMSpropOptions } from './rmsprop.ts'
export {
  type CosineRestartsOptions,
  chain,
  constant,
  cosineRestarts,
  type ExponentialOptions,
  exponentialDecay,
  type OneCycleOptions,
  oneCycle,
  type PlateauOptions,
  type PlateauState,
  type PolynomialOptions,
  polynomialDecay,
  ReduceOnPlateau,
  type Schedule,
  type StepOptions,
  stepDecay,
  type WarmupOptions,
  warmupCosine,
  warmupLinear,
} from './schedules.ts'
export { SGD, type SGDOptions } from './sgd.ts'
