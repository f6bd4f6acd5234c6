// A checkpoint contains everything that the next step depends on: parameters and their average, the optimizer's moments, the
// position in the data, and the random generator. A run resumed from a checkpoint gives bit for bit the result of an uninterrupted run.
// Runs in a browser; checkpoint.ts has its files in a folder, training-store.ts in any store.

import type { BatchState } from '../data/index.ts'
import { DataError } from '../io/errors.ts'
import { type Module, StateDictError } from '../nn/index.ts'
import {
  type AverageState,
  type ExponentialMovingAverage,
  type Optimizer,
  type OptimizerState,
  OptimizerStateError,
} from '../optim/index.ts'
import { defaultGenerator, type GeneratorState, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Finding, inspect, TrainingError } from './guard/diagnose.ts'

/** A checkpoint that does not fit the model or the optimizer, or is damaged. */
export class CheckpointError extends DataError {}

/** The state that a run needs to continue, besides tensors. */
export interface TrainingState<Batches extends object = BatchState> {
  /** of this form */
  readonly version: 1
  /** updates that were made */
  readonly step: number
  /** the position of the source of the batches */
  readonly batches: Batches
  /** the generator that dropout draws from */
  readonly generator: GeneratorState
  /** the numbers of the optimizer, such as how many steps it made */
  readonly optimizer: OptimizerState['values']
  /** the number of updates of the average of the weights, if there is one */
  readonly average?: AverageState['values']
}

export interface Checkpoint {
  readonly state: TrainingState<object>
  readonly model: ReadonlyMap<string, Tensor>
  readonly optimizer: ReadonlyMap<string, Tensor>
  /** the averages of the weights, if the training has them; parameters that were never trained have none */
  readonly average?: ReadonlyMap<string, Tensor>
}

/** What a checkpoint is made of. */
export interface TrainingParts {
  /** whose parameters and buffers are stored */
  readonly model: Module
  /** whose moments are stored */
  readonly optimizer: Optimizer
  /** the average of the weights, if there is one */
  readonly average?: ExponentialMovingAverage
  /** updates made, and the position of the source of the batches: JSON-safe */
  readonly state: { readonly step: number; readonly batches: object }
}

/** What is needed to write a checkpoint. */
export type SavedParts = Omit<TrainingParts, 'optimizer'> & { readonly optimizer: Pick<Optimizer, 'stateDict'> }

/** The names of a checkpoint's files. */
export const MODEL = 'model.safetensors'
export const OPTIMIZER = 'optimizer.safetensors'
export const AVERAGE = 'average.safetensors'
export const STATE = 'state.json'

/** The name of a checkpoint, such as `step-000200`. */
export const stepName = (step: number): string => `step-${String(step).padStart(6, '0')}`

/**
 * The checkpoint of a training as it is now.
 * @throws TrainingError if a parameter or a moment is not finite, since training cannot continue from such a checkpoint
 */
export async function checkpointOf({ model, optimizer, average, state }: SavedParts): Promise<Checkpoint> {
  const { tensors, values } = optimizer.stateDict()
  const parameters = model.stateDict()
  const findings = [...(await inspectAll('parameter', parameters)), ...(await inspectAll('moment', tensors))]
  if (findings.length > 0) throw new TrainingError(state.step, findings)
  const generator = defaultGenerator().state
  const averaged = average?.stateDict()
  const whole = { version: 1, ...state, generator, optimizer: values, average: averaged?.values } as const
  return { state: whole, model: parameters, optimizer: tensors, average: averaged?.tensors }
}

/** Inspects tensors one after the other, so that one at a time is on the host. */
async function inspectAll(kind: Finding['kind'], tensors: ReadonlyMap<string, Tensor>): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const [name, tensor] of tensors) findings.push(...inspect(kind, name, tensor.shape, await tensor.data()))
  return findings
}

/**
 * Checks that both a checkpoint and a training have an average of the weights, or neither.
 * @param setting the name of the setting or option that asks for an average, for the error
 * @throws CheckpointError
 */
export function checkAverages(
  state: TrainingState<object>,
  average: ExponentialMovingAverage | undefined,
  { setting, file }: { readonly setting: string; readonly file: string },
): void {
  if (average && !state.average)
    throw new CheckpointError(
      `has no average of the weights, which ${setting} asks for: train without it, or in a new folder`,
      { file },
    )
  if (!average && state.average)
    throw new CheckpointError(
      `has an average of the weights, which would be lost: train with ${setting}, or in a new folder`,
      { file },
    )
}

/** Errors of tensors that do not fit become errors of their file. */
export function fitting(file: string, load: () => void): void {
  try {
    load()
  } catch (error) {
    if (error instanceof StateDictError || error instanceof OptimizerStateError)
      throw new CheckpointError(error.message, { file, cause: error })
    throw error
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Checks the state of a checkpoint that was read from a file.
 * @throws CheckpointError naming an invalid field
 */
export function checkTrainingState<Batches extends object = BatchState>(
  value: unknown,
  file: string,
): TrainingState<Batches> {
  const demand = (field: string, fits: boolean, what: string) => {
    if (!fits) throw new CheckpointError(`${field}: must be ${what}`, { file })
  }
  const record = (field: string, value: unknown) => {
    demand(field, isRecord(value), 'an object')
    return value as Readonly<Record<string, unknown>>
  }
  const size = (field: string, value: unknown) => demand(field, is.size.fits(value), is.size.says)
  const state = record('the state', value)
  demand('version', state.version === 1, '1')
  size('step', state.step)
  demand('batches', typeof state.batches === 'object' && state.batches !== null, 'an object')
  const generator = record('generator', state.generator)
  for (const name of ['seed', 'position']) size(`generator.${name}`, generator[name])
  const optimizer = record('optimizer', state.optimizer)
  demand('optimizer.algorithm', typeof optimizer.algorithm === 'string', 'the name of an optimizer')
  for (const [name, steps] of Object.entries(record('optimizer.steps', optimizer.steps)))
    demand(`optimizer.steps.${name}`, is.integer.fits(steps), is.integer.says)
  if (state.average !== undefined) size('average.updates', record('average', state.average).updates)
  return state as unknown as TrainingState<Batches>
}
