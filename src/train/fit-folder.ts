// `fit` with a folder: it saves checkpoints, metrics.jsonl and batches with a wrong gradient there, and resumes a training that was
// stopped or killed.

import { isFirst } from '../data/ranks.ts'
import { makeFolder, namesIn } from '../io/index.ts'
import type { SavedBatches } from './batches.ts'
import { type FitOptions, type FitResult, fitInto, fit as fitWithoutFolder, settledFit } from './fit.ts'
import type { FitStore } from './fit-store.ts'
import { keepIn } from './guard/kept.ts'
import { restoreTraining, returnTo, writeTraining } from './keep.ts'
import { shardsFor } from './optimizer-shards.ts'
import { RunFolder } from './run-folder.ts'
import { EventLog } from './tensorboard.ts'

export type { FitOptions, FitResult } from './fit.ts'

/**
 * Trains a model.
 *
 *     const model = new Linear(2, 1)
 *     await fit({
 *       objective: { model, loss: ({ x, y }) => model.forward(x).sub(y).square().mean() },
 *       batches: [{ x, y }],
 *       optimizer: new AdamW(model),
 *       steps: 100,
 *       folder: 'runs/line',
 *       onStep: ({ step, losses }) => console.log(step, losses.total),
 *     })
 *
 * With a folder, a second call resumes from its last checkpoint: give it the same batches; it continues after those that were trained
 * on. The result is the same as without the interruption. Does not set the device or the seed.
 * @throws TrainingError if a value is not finite, WrongGradientError if the gradient is wrong and guard.onError is 'stop', both with
 *   the parameters as they were before the step, or with inBackward those of the last checkpoint; RunError if the folder contains
 *   anything else; LockedError while another process trains there; CheckpointError if the checkpoint does not fit the model or the
 *   optimizer; BatchError if it belongs to a DataLoader of other data or options
 */
export async function fit<Batch, Examples = unknown>(options: FitOptions<Batch, Examples>): Promise<FitResult> {
  const { folder, optimizer, average, keepLast, tensorboard, ranks, ...settled } = settledFit(options)
  if (folder === undefined) return fitWithoutFolder(options)
  const { model } = options.objective
  const run = new RunFolder(folder)
  // before a checkpoint is read, so that the state of others takes no memory
  const shards = shardsFor(optimizer, { ranks, ...settled })
  const restored = async () => {
    const saved = (await run.steps()).at(-1)
    const from = saved ?? 0
    let batches: SavedBatches | undefined
    if (saved !== undefined) {
      const checkpoint = run.checkpoint(saved)
      if (from > 0) batches = { ...(await checkpoint.readState<SavedBatches>()).batches, taken: from }
      await checkpoint.loadModel(model)
      await restoreTraining(checkpoint, { optimizer, average }, 'the option average')
    }
    return { from, saved, batches, path: folder }
  }
  if (!isFirst(ranks)) {
    // rank 0 prepares the folder first
    ranks?.barrier()
    return fitInto({ ...(await restored()), ...readsOnly }, options, shards)
  }
  await run.checkFit()
  if ((await namesIn(folder)).length === 0) await makeFolder(folder, async () => {})
  return run.whileTraining(async () => {
    const state = await restored()
    const { from } = state
    await run.goBack(from)
    ranks?.barrier()
    const log = await run.openMetrics()
    const events = tensorboard ? await EventLog.open(folder, from) : undefined
    const store: FitStore = {
      ...state,
      async record(line) {
        await log.add(line)
        await events?.add(line)
      },
      keep: (problem, step) => keepIn(run, problem, step),
      async save(step, batches) {
        await log.flush()
        const kept = { model, optimizer: shards ?? optimizer, average, state: { step, batches } }
        return (await writeTraining(run, kept, keepLast)).path
      },
      goBack: () => returnTo(run, { model, optimizer, average }, 'the option average'),
    }
    try {
      return await fitInto(store, options, shards)
    } finally {
      await events?.close()
      await log.flush()
      await log.close()
    }
  })
}

/** The storage of a process that leaves writing to rank 0. */
const readsOnly: Pick<FitStore, 'record' | 'save' | 'goBack' | 'keep'> = {
  async record() {},
  save: async () => '',
  goBack: async () => undefined,
  keep: async () => '',
}
