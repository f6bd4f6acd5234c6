// The train room: runs, from a configuration to a model that has been measured.

export { CheckpointError } from './checkpoint.ts'
export {
  type ConfigProblem,
  checkRunConfig,
  type RunConfig,
  RunConfigError,
  type RunConfigInput,
  readRunConfig,
} from './config.ts'
export { type Finding, TrainingError } from './diagnose.ts'
export {
  type Embeddings,
  type EvaluateOptions,
  embedImages,
  embedTexts,
  type ImageBatch,
  type ImageSource,
  imageBatches,
  poolerAttention,
  similarityMatrix,
} from './embeddings.ts'
export * from './evaluate.ts'
export { type EvaluationMetrics, type MetricsLine, readMetrics, type StepMetrics } from './metrics.ts'
export { listCheckpoints, openRun, openRunData, type Run, type RunData, RunError, type TrainedModel } from './run.ts'
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
