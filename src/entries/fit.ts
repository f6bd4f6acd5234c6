// cocagrad/fit: training in a browser, of any module with a loss, and the batches for it.

export {
  type Collated,
  type CollateOptions,
  collate,
  type NumberLists,
  type ShapedData,
} from '../data/loading/collate.ts'
export {
  DataLoader,
  type DataLoaderOptions,
  type DataLoaderState,
} from '../data/loading/loader.ts'
export { type DefineDatasetOptions, defineDataset } from '../data/loading/module.ts'
export type {
  Column,
  Columns,
  Dataset,
  ElementOf,
  ExampleContext,
  ExampleOf,
  LoaderData,
} from '../data/loading/source.ts'
export { ExampleError } from '../data/loading/workers.ts'
export { browserStoreNames, type FileStore, MemoryStore, openBrowserStore, removeBrowserStore } from '../io/browser.ts'
export { CheckpointError, type TrainingParts, type TrainingState } from '../train/checkpoint-state.ts'
export { type FitOptions, type FitResult, fit } from '../train/fit.ts'
export { type Finding, TrainingError } from '../train/guard/diagnose.ts'
export { type GuardSettings, WrongGradientError } from '../train/guard/guard.ts'
export { type CountTrainingOptions, countTraining, describeMemory, type TrainingMemory } from '../train/memory.ts'
export type { EvaluationMetrics, GuardMetrics, MetricsLine, StepMetrics } from '../train/metrics.ts'
export type { Losses, Objective } from '../train/objective.ts'
export { type SaveTrainingOptions, TrainingStore } from '../train/training-store.ts'
