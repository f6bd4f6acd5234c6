// The checkpoint of a training: its weights and their average, its optimizer, and the positions of its batches and random numbers.

import { defaultGenerator, seed } from '../tensor/index.ts'
import type { CheckpointFolder } from './checkpoint.ts'
import { checkAverages, checkpointOf, type SavedParts, type TrainingParts } from './checkpoint-state.ts'
import type { RunFolder } from './run-folder.ts'

/** Writes a checkpoint, and removes all but the last `keepLast`. @throws as {@link checkpointOf} */
export async function writeTraining(folder: RunFolder, kept: SavedParts, keepLast: number): Promise<CheckpointFolder> {
  return folder.writeCheckpoint(await checkpointOf(kept), keepLast)
}

/** Goes back to the last checkpoint of a folder, if there is one. Returns its step. */
export async function returnTo(
  folder: RunFolder,
  { model, optimizer, average }: Pick<TrainingParts, 'model' | 'optimizer' | 'average'>,
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
  { optimizer, average }: Pick<TrainingParts, 'optimizer' | 'average'>,
  setting: string,
): Promise<void> {
  const state = await checkpoint.readState()
  checkAverages(state, average, { setting, file: checkpoint.path })
  await checkpoint.loadOptimizer(optimizer, state.optimizer)
  if (average && state.average) await checkpoint.loadAverage(average, state.average)
  seed(state.generator.seed)
  defaultGenerator().seek(state.generator.position)
}
