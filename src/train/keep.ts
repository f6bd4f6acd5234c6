// The checkpoint of a training: its weights, its optimizer, and the positions of its batches and random numbers.

import type { Module } from '../nn/index.ts'
import type { Optimizer } from '../optim/index.ts'
import { defaultGenerator, seed } from '../tensor/index.ts'
import { type CheckpointFolder, type HostTensors, toHost } from './checkpoint.ts'
import { type Finding, inspect, TrainingError } from './guard/diagnose.ts'
import type { RunFolder } from './run-folder.ts'

export interface Kept {
  readonly model: Module
  readonly optimizer: Optimizer
  /** updates made, and the position of the source of the batches: JSON-safe */
  readonly state: { readonly step: number; readonly batches: object }
}

/**
 * Writes a checkpoint, and removes all but the last `keepLast`.
 * @throws TrainingError if a parameter or a moment is not finite, since training cannot continue from such a checkpoint
 */
export async function writeTraining(folder: RunFolder, kept: Kept, keepLast: number): Promise<CheckpointFolder> {
  const { model, optimizer, state } = kept
  const { tensors, values } = optimizer.stateDict()
  const [parameters, moments] = [await toHost(model.stateDict()), await toHost(tensors)]
  const inspectAll = (kind: Finding['kind'], all: HostTensors) =>
    [...all].flatMap(([name, { shape, data }]) => inspect(kind, name, shape, data))
  const findings = [...inspectAll('parameter', parameters), ...inspectAll('moment', moments)]
  if (findings.length > 0) throw new TrainingError(state.step, findings)
  const generator = defaultGenerator().state
  const whole = { version: 1, ...state, generator, optimizer: values } as const
  return folder.writeCheckpoint({ state: whole, model: parameters, optimizer: moments }, keepLast)
}

/** Restores the optimizer and the random numbers from a checkpoint. @throws as `CheckpointFolder.loadOptimizer` */
export async function restoreOptimizer(checkpoint: CheckpointFolder, optimizer: Optimizer): Promise<void> {
  const state = await checkpoint.readState()
  await checkpoint.loadOptimizer(optimizer, state.optimizer)
  seed(state.generator.seed)
  defaultGenerator().seek(state.generator.position)
}
