// Starts a run.

import { device, seed } from '../tensor/index.ts'
import { settle } from '../tensor/options.ts'
import type { RunConfig } from './config.ts'
import { freezeParts, initializeFrom } from './initialize.ts'
import { checkTrainingFits } from './memory.ts'
import { familyOf } from './objectives/family.ts'
import { openModel } from './open-model.ts'
import { RunFolder } from './run-folder.ts'
import { optimizerFor, tokenizerFor } from './setup.ts'
import { SkippedSamples } from './skipped.ts'
import {
  advance,
  openTrainingData,
  type Preparation,
  prepare,
  type Trained,
  type TrainOptions,
  type TrainResult,
  trainOptions,
} from './training.ts'

/**
 * Starts a run in a folder of its own and trains to its end. Sets the program's device and its random seed.
 * @throws RunError if there is something in the folder; DataError for mistakes in the data; TrainingError where a value is
 *   no finite number, NonFiniteError where an evaluation comes upon one, WrongGradientError where the gradient is wrong and
 *   the guard is to stop then, all with what was measured and the last checkpoint in place
 */
export async function train(folder: string, config: RunConfig, options?: TrainOptions): Promise<TrainResult> {
  const settled = settle('train(folder, config, options)', options, trainOptions)
  const run = new RunFolder(folder)
  await run.checkFree()
  await device.use(config.device)
  const skipped = new SkippedSamples(settled.onBadSample)
  const data = await openTrainingData(config, skipped)
  const tokenizer = await tokenizerFor(config, data.train)
  const text = { ...config.model.text, vocabulary: tokenizer.vocabularySize, pad: tokenizer.pad }
  const training = prepare(run, { ...config, model: { ...config.model, text } }, tokenizer, data, skipped)
  const trained = await fresh(training)
  await run.create(training.config, tokenizer)
  return run.whileTraining(() => advance({ ...training, ...trained }, 0, settled))
}

/** A model with the weights that a run begins with. */
export async function fresh({ config, tokenizer }: Preparation): Promise<Trained> {
  const { from: file, fresh } = config
  const family = familyOf(config)
  family.unloaded(config)
  seed(config.seed)
  const model = family.create(config)
  if (file !== undefined)
    initializeFrom(model, (await openModel(file, { tokenizer: config.tokenizer })).model, { fresh, file })
  freezeParts(model, config.freeze)
  const optimizer = optimizerFor(model, config)
  checkTrainingFits(optimizer)
  return { model, objective: family.objective(model, config, tokenizer), optimizer }
}
