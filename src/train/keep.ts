// The checkpoint of a training: its weights and their average, its optimizer, and the positions of its batches and random numbers.

import type { Module } from '../nn/index.ts'
import type { ExponentialMovingAverage, Optimizer } from '../optim/index.ts'
import { defaultGenerator, seed } from '../tensor/index.ts'
import { CheckpointError, type CheckpointFolder, type HostTensors, toHost } from './checkpoint.ts'
import { type Finding, inspect, TrainingError } from './guard/diagnose.ts'
import type { RunFolder } from './run-folder.ts'

export interface Kept {
  readonly model: Module
  readonly optimizer: Optimizer
  readonly average?: ExponentialMovingAverage
  /** updates made, and the position of the source of the batches: JSON-safe */
  readonly state: { readonly step: number; readonly batches: object }
}

/**
 * Writes a checkpoint, and removes all but the last `keepLast`.
 * @throws TrainingError if a parameter or a moment is not finite, since training cannot continue from such a checkpoint
 */
export async function writeTraining(folder: RunFolder, kept: Kept, keepLast: number): Promise<CheckpointFolder> {
  const { model, optimizer, average, state } = kept
  const { tensors, values } = optimizer.stateDict()
  const [parameters, moments] = [await toHost(model.stateDict()), await toHost(tensors)]
  const inspectAll = (kind: Finding['kind'], all: HostTensors) =>
    [...all].flatMap(([name, { shape, data }]) => inspect(kind, name, shape, data))
  const findings = [...inspectAll('parameter', parameters), ...inspectAll('moment', moments)]
  if (findings.length > 0) throw new TrainingError(state.step, findings)
  const generator = defaultGenerator().state
  const averaged = average?.stateDict()
  const whole = { version: 1, ...state, generator, optimizer: values, average: averaged?.values } as const
  const averages = averaged && (await toHost(averaged.tensors))
  return folder.writeCheckpoint({ state: whole, model: parameters, optimizer: moments, average: averages }, keepLast)
}

/** Goes back to the last checkpoint of a folder, if there is one. Returns its step. */
export async function returnTo(
  folder: RunFolder,
  { model, optimizer, average }: Pick<Kept, 'model' | 'optimizer' | 'average'>,
  setting: string,
): Promise<number | undefined> {
  const step = (await folder.steps()).at(-1)
  if (step === undefined) return undefined
  const checkpoint = folder.checkpoint(step)
  await checkpoint.loadModel(model)
  await restoreTraining(checkpoint, { optimizer, average }, setting)
  return step
}

/**
 * Restores the optimizer, the average of the weights and the random numbers from a checkpoint.
 * @param settings the name of the setting or option that asks for an average, for the error
 * @throws as `CheckpointFolder.loadOptimizer`; CheckpointError if only one of the checkpoint and the training has an average
 */
export async function restoreTraining(
  checkpoint: CheckpointFolder,
  { optimizer, average }: Pick<Kept, 'optimizer' | 'average'>,
  setting: string,
): Promise<void> {
  const state = await checkpoint.readState()
  if (average && !state.average)
    throw new CheckpointError(
      `has no average of the weights, which ${setting} asks for: train without it, or in a new folder`,
      { file: checkpoint.path },
    )
  if (!average && state.average)
    throw new CheckpointError(
      `has an average of the weights, which would be lost: train with ${setting}, or in a new folder`,
      { file: checkpoint.path },
    )
  await checkpoint.loadOptimizer(optimizer, state.optimizer)
  if (average && state.average) await checkpoint.loadAverage(average, state.average)
  seed(state.generator.seed)
  defaultGenerator().seek(state.generator.position)
}
