// Starts a run.

import { isFirst } from '../data/ranks.ts'
import { hasClasses } from '../models/config.ts'
import type { FamilyName } from '../models/index.ts'
import { withLateValues } from '../nn/index.ts'
import { device, seed } from '../tensor/index.ts'
import { settle } from '../tensor/options.ts'
import type { RunConfig } from './config.ts'
import { freezeParts, type Initialization, InitializationError, initializeFrom } from './initialize.ts'
import { modelOf, objectiveOf } from './objectives/families.ts'
import { openWeights } from './open-model.ts'
import { type RankOptions, shardsFor } from './optimizer-shards.ts'
import { RunFolder } from './run-folder.ts'
import { checkRunFits } from './run-memory.ts'
import { averageFor, checkpointing, nameNumbers, optimizerFor } from './setup.ts'
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
 * Starts a run in a new folder and trains to its end. Sets the current device and the random seed.
 * @throws RunError if the folder is not empty; DataError for mistakes in the data; TrainingError if a value is not finite,
 *   NonFiniteError if a result of an evaluation is not, WrongGradientError if the gradient is wrong and guard.onError is 'stop';
 *   the metrics and the last checkpoint remain
 */
export async function train<F extends FamilyName>(
  folder: string,
  config: RunConfig<F>,
  options?: TrainOptions<F>,
): Promise<TrainResult<F>> {
  const settled = settle('train(folder, config, options)', options as unknown as TrainOptions, trainOptions)
  return (await begin(folder, config as unknown as RunConfig, settled)) as unknown as TrainResult<F>
}

async function begin(folder: string, config: RunConfig, options: TrainOptions): Promise<TrainResult> {
  const run = new RunFolder(folder)
  const writes = isFirst(options.ranks)
  if (writes) await run.checkFree()
  await device.use(config.device)
  const skipped = new SkippedSamples(options.onBadSample)
  const data = await openTrainingData(config, skipped, options)
  const named = await nameNumbers(config, data.train, options.onShard)
  const training = prepare(run, named.config, named.naming, data, skipped, options.ranks)
  const trained = await fresh(training, options)
  if (!writes) return advance({ ...training, ...trained }, 0, options)
  await run.create(training.config, training.naming)
  return run.whileTraining(() => advance({ ...training, ...trained }, 0, options))
}

/** A model with the initial weights of a run, and its optimizer, of which ranks may have shares. */
export async function fresh({ config, naming }: Preparation, ranks: RankOptions = {}): Promise<Trained> {
  const { from: file, fresh, part, architecture } = config
  const memory = checkRunFits(config, naming, ranks)
  seed(config.seed)
  const make = () => checkpointing(modelOf(config), config)
  // parameters that are copied are not initialized before
  const model = file === undefined ? make() : withLateValues(make)
  let initialization: Initialization | undefined
  if (file !== undefined) {
    const source = await openWeights(file, { part, architecture })
    // another family does not have this head, so it need not be listed
    const head = source.family === config.family || !hasClasses(config) ? [] : [HEAD]
    const found = initializeFrom(model, source.model, { fresh: [...fresh, ...head], part, file })
    if (found.copied.includes(CLASS_WEIGHTS)) checkClasses(source.classes, naming.classes, file)
    const { unused = [], dropped = [] } = source
    // they would stay until the garbage collector runs, which may be after the first steps
    for (const value of source.model.stateDict().values())
      if (!value.isAbsent) value.storage.free('the initialization of another model')
    initialization = { ...found, unused: [...found.unused, ...unused], ...(dropped.length > 0 && { dropped }) }
  }
  for (const parameter of model.parameters()) parameter.load()
  freezeParts(model, config.freeze)
  const optimizer = optimizerFor(model, config)
  const shards = shardsFor(optimizer, ranks)
  const objective = objectiveOf(model, config, naming)
  return { model, objective, optimizer, shards, average: averageFor(model, config), initialization, memory }
}

/** The part of a classifier that computes the logits of its classes. */
const HEAD = 'head'

/** The parameter with one row per class. */
const CLASS_WEIGHTS = `${HEAD}.output.weight`

/** @throws InitializationError if the copied weights belong to other classes */
function checkClasses(there: readonly string[] = [], here: readonly string[] = [], file: string): void {
  const i = here.findIndex((name, i) => name !== there[i])
  if (i < 0) return
  throw new InitializationError(
    `its class ${i} is '${there[i]}', but '${here[i]}' in the data: list head.output in fresh, or train on the same classes`,
    { file },
  )
}
