// The storage of a training by `fit`, and that of one in a store of files. fit-folder.ts has that of one in a folder.

import type { FileStore } from '../io/browser.ts'
import type { SavedBatches } from './batches.ts'
import type { TrainingParts } from './checkpoint-state.ts'
import type { LossProblem } from './guard/directional.ts'
import type { MetricsLine } from './metrics.ts'
import { TrainingStore } from './training-store.ts'

/** The storage of a training. */
export interface FitStore {
  /** updates made before this call, already in model and optimizer */
  readonly from: number
  /** the step of the last checkpoint; undefined if there is none */
  readonly saved: number | undefined
  /** the position of the batches after them; undefined at the beginning */
  readonly batches?: SavedBatches
  readonly path: string
  record(line: MetricsLine): Promise<void>
  /** Returns the folder of the checkpoint. */
  save(step: number, batches: SavedBatches): Promise<string>
  /** Goes back to the last checkpoint, if there is one, and returns its step. */
  goBack(): Promise<number | undefined>
  /** keeps a batch with a wrong gradient; without it none is kept */
  keep?(problem: LossProblem, step: number): Promise<string>
}

/** Resumes a training at the last checkpoint of a store, if there is one. @throws as {@link TrainingStore.load} */
export async function openFitStore(
  files: FileStore,
  parts: Pick<TrainingParts, 'model' | 'optimizer' | 'average'>,
  keepLast: number,
): Promise<FitStore> {
  const training = new TrainingStore(files)
  const last = async () => (await training.steps()).at(-1)
  const saved = await last()
  const state = saved === undefined ? undefined : await training.load(saved, parts)
  /** metrics are written with a checkpoint: those of the store until this step, and those after it */
  let written = saved ?? 0
  let unwritten: MetricsLine[] = []
  return {
    from: saved ?? 0,
    saved,
    ...(state && saved !== 0 && { batches: { ...(state.batches as SavedBatches), taken: state.step } }),
    path: files.name,
    async record(line) {
      unwritten.push(line)
    },
    async save(step, batches) {
      const before = (await training.metrics()).filter(line => line.step <= written)
      const metrics = [...before, ...unwritten]
      await training.save({ ...parts, state: { step, batches } }, { metrics, keep: steps => steps.slice(-keepLast) })
      written = step
      unwritten = []
      return files.name
    },
    async goBack() {
      const step = await last()
      if (step !== undefined) await training.load(step, parts)
      return step
    },
  }
}
