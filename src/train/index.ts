// Training: runs, from a configuration to an evaluated model.

export { CheckpointError } from './checkpoint.ts'
export {
  type ConfigProblem,
  checkModelConfig,
  checkRunConfig,
  type RunConfig,
  RunConfigError,
  type RunConfigInput,
  readRunConfig,
} from './config.ts'
export { type Finding, TrainingError } from './guard/diagnose.ts'
export { describeCheck, WrongGradientError } from './guard/guard.ts'
export { freezeParts, type Initialization, InitializationError, initializeFrom, parameterPaths } from './initialize.ts'
export {
  type EvaluationMetrics,
  type GuardMetrics,
  type MetricsLine,
  readMetrics,
  type StepMetrics,
} from './metrics.ts'
export { type OpenModelOptions, type Origin, openModel, readOrigin, withOrigin } from './open-model.ts'
export { type AccumulationOptions, accumulateGradients } from './parallel.ts'
export {
  listCheckpoints,
  openRun,
  openRunData,
  openSettings,
  type Run,
  type RunData,
  RunError,
} from './run-folder.ts'
export {
  evaluateMoment,
  type ResumeOptions,
  resumeTraining,
  type TrainingMoment,
  type TrainingStart,
  type TrainOptions,
  type TrainResult,
  train,
} from './trainer.ts'
