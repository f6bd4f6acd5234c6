// The train room: runs, from a configuration to a model that has been measured.

export { type AccumulationOptions, accumulateGradients } from './accumulate.ts'
export { type AgreementCheck, agreement } from './agreement.ts'
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
export { type Finding, TrainingError } from './diagnose.ts'
export {
  type DoctorFinding,
  type Examination,
  type ExamineOptions,
  examineKeptBatch,
  examineRun,
  type Severity,
} from './doctor/index.ts'
export { type EmbedOptions, type EmbedResult, embedPictures, modelFingerprint } from './embed-pictures.ts'
export { type EmbeddedSample, EmbeddingFile, type Neighbour } from './embedding-file.ts'
export { EmbeddingError } from './embedding-journal.ts'
export {
  type Embeddings,
  type EvaluateOptions,
  embedBatch,
  embedImages,
  embedTexts,
  type ImageBatch,
  type ImageSource,
  imageBatches,
  poolerAttention,
  similarityMatrix,
} from './embeddings.ts'
export * from './evaluate.ts'
export { namingImages } from './finite.ts'
export { GoldenError } from './golden.ts'
export { describeCheck, WrongGradientError } from './guard.ts'
export { freezeParts, type Initialization, InitializationError, initializeFrom, parameterPaths } from './initialize.ts'
export {
  type EvaluationMetrics,
  type GuardMetrics,
  type MetricsLine,
  readMetrics,
  type StepMetrics,
} from './metrics.ts'
export { type OpenModelOptions, type Origin, openModel, readOrigin, withOrigin } from './open.ts'
export { loadOpenClip, type OpenClip, OpenClipError, openClip, type Preprocessing, saveOpenClip } from './openclip.ts'
export { type PictureBatch, type PictureOptions, pictureBatches } from './picture-batches.ts'
export {
  listCheckpoints,
  openRun,
  openRunData,
  openSettings,
  type Run,
  type RunData,
  RunError,
  type TrainedModel,
} from './run.ts'
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
