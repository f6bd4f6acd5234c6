// cocagrad/fit: training in a browser, of any module with a loss.

export { type FitOptions, type FitResult, fit } from '../train/fit.ts'
export { type Finding, TrainingError } from '../train/guard/diagnose.ts'
export { type GuardSettings, WrongGradientError } from '../train/guard/guard.ts'
export type { EvaluationMetrics, GuardMetrics, MetricsLine, StepMetrics } from '../train/metrics.ts'
export type { Losses, Objective } from '../train/objective.ts'
