// Training: objectives, `fit`, and runs, from a configuration to an evaluated model.

export { CheckpointError, type CheckpointWeights } from './checkpoint.ts'
export {
  type ConfigProblem,
  checkModelConfig,
  checkRunConfig,
  type FamilyIn,
  type ModelChoice,
  mergeSettings,
  type OptimizerName,
  optimizerNames,
  type RunConfig,
  RunConfigError,
  type RunConfigInput,
  type RunModels,
  readRunConfig,
} from './config.ts'
export { evaluateRun } from './evaluate-run.ts'
export { type FitOptions, type FitResult, fit } from './fit-folder.ts'
export {
  type GradcheckObjectiveOptions,
  type GradcheckObjectiveResult,
  gradcheckObjective,
  type PartDerivatives,
} from './gradcheck-objective.ts'
export { batchGradients } from './gradients.ts'
export { type Finding, TrainingError } from './guard/diagnose.ts'
export { describeCheck, type GuardSettings, WrongGradientError } from './guard/guard.ts'
export { freezeParts, type Initialization, InitializationError, initializeFrom, parameterPaths } from './initialize.ts'
export { type CountTrainingOptions, countTraining, describeMemory, type TrainingMemory } from './memory.ts'
export {
  type EvaluationMetrics,
  type GuardMetrics,
  type MetricsLine,
  type RestorationMetrics,
  type SlowestRank,
  type StepMetrics,
  slowestRank,
} from './metrics.ts'
export { loadModel, saveModel } from './model-file.ts'
export { type Losses, type LossGradients, lossesOf, type Objective } from './objective.ts'
export { ClassifierObjective, type ClassifierObjectiveOptions, type LabelledBatch } from './objectives/classifier.ts'
export {
  type AccumulationOptions,
  accumulateGradients,
  CoCaObjective,
  ImageTextObjective,
  type ImageTextObjectiveOptions,
} from './objectives/image-text.ts'
export { MultimodalObjective, type MultimodalObjectiveOptions, type QuestionBatch } from './objectives/multimodal.ts'
export {
  type OpenedModel,
  type OpenModelOptions,
  type Origin,
  type OriginOptions,
  openModel,
  openTokenizer,
  readOrigin,
  withOrigin,
} from './open-model.ts'
export {
  type AccumulateOptions,
  accumulate,
  type Exchange,
  type Gathered,
  type Reducer,
  type Rows,
  type Steps,
  type Sums,
} from './parallel.ts'
export { type Provenance, readProvenance } from './provenance.ts'
export { type RunResult, readResults, recordResults } from './results.ts'
export { type ResumeOptions, resumeTraining } from './resume.ts'
export {
  type FamilyExamples,
  type HeldOut,
  listCheckpoints,
  type OpenExamplesOptions,
  type OpenRunOptions,
  openExamples,
  openRun,
  openRunData,
  openSettings,
  type Run,
  type RunData,
  readMetrics,
} from './run.ts'
export { type Named, RunError, RunFolder, type RunSettings } from './run-folder.ts'
export {
  type GreedySoup,
  type GreedySoupOptions,
  greedySoup,
  makeSoup,
  type Soup,
  SoupError,
  type SoupIngredient,
  type SoupOptions,
  type SoupResult,
} from './soup.ts'
export { train } from './start.ts'
export { stepDurations } from './step-duration.ts'
export {
  evaluateMoment,
  type TrainingMoment,
  type TrainingStart,
  type TrainOptions,
  type TrainResult,
} from './training.ts'
