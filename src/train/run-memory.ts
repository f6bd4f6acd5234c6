// The memory of a run, counted from its configuration: nothing is allocated, and the settings that would make it fit are named.

import { VIDEO_FRAMES } from '../models/config.ts'
import type { FamilyName } from '../models/index.ts'
import { largerMemory, memoryLimit } from '../tensor/demand.ts'
import { inUnits } from '../tensor/out-of-memory.ts'
import { imageShape } from '../tensor/sides.ts'
import type { RunConfig } from './config.ts'
import { freezeParts } from './initialize.ts'
import { countedTraining, demandTraining, type TrainingMemory } from './memory.ts'
import { modelOf, type Naming, objectiveOf, type RunBatch } from './objectives/families.ts'
import { ownersOf, type RankOptions } from './optimizer-shards.ts'
import { averageFor, checkpointing, optimizerFor } from './setup.ts'

/**
 * The memory of a step of a run, on the device of its configuration.
 * @param ranks the processes that divide its batches, of which the first has the most memory
 */
function countRun(config: RunConfig, naming: Naming, { ranks, shardOptimizer }: RankOptions) {
  const count = ranks?.size ?? 1
  const batchSize = Math.ceil(config.batchSize / count)
  let algorithm = ''
  const counted = countedTraining(() => {
    const model = checkpointing(modelOf(config), config)
    freezeParts(model, config.freeze)
    const optimizer = optimizerFor(model, config)
    algorithm = optimizer.algorithm
    if (shardOptimizer && ranks) {
      const owners = ownersOf(optimizer, count)
      optimizer.restrictTo(name => owners.get(name) === ranks.rank)
    }
    return {
      objective: objectiveOf(model, config, naming),
      optimizer,
      average: averageFor(model, config),
      batch: emptyBatch({ ...config, batchSize } as RunConfig, naming),
      parts: Math.min(config.accumulate, batchSize),
      inBackward: config.optimizer.inBackward,
      guardExamples: config.guard.every === 0 ? 0 : config.guard.examples,
    }
  }, config.device)
  return { ...counted, algorithm }
}

/** A batch of the shapes that a run has, of zeros. */
function emptyBatch(config: RunConfig, { classes = [] }: Naming): RunBatch {
  const { batchSize, model } = config
  const { image } = model
  const pixels = imageShape(image.size, image.channels)
  const several: Partial<Record<FamilyName, number>> = {
    'video-classifier': 'frames' in model ? (model.frames ?? VIDEO_FRAMES) : VIDEO_FRAMES,
    'multimodal-classifier': 'images' in model ? model.images : undefined,
  }
  const count = several[config.family]
  const shape = [batchSize, ...(count === undefined ? [] : [count]), ...pixels]
  const context = 'text' in model ? model.text.context : 0
  return {
    images: new Float32Array(shape.reduce((a, b) => a * b)),
    imageShape: shape as RunBatch['imageShape'],
    tokens: new Int32Array(batchSize * context),
    tokenShape: [batchSize, context],
    labels: Array.from({ length: batchSize }, () => classes.slice(0, 1)),
  } as unknown as RunBatch
}

/**
 * Counts the memory of a run before anything is allocated for it. Returns undefined for `reference`, which has no memory of its own, and
 * for features of a frozen encoder, which the training does not compute.
 * @param ranks the processes that divide its batches
 * @throws OutOfMemoryError if it cannot fit, with the settings that would
 */
export function checkRunFits(config: RunConfig, naming: Naming, ranks: RankOptions = {}): TrainingMemory | undefined {
  if (config.device === 'reference' || ('features' in config && config.features !== undefined)) return undefined
  const counted = countRun(config, naming, ranks)
  demandTraining(counted, counted.algorithm, config.device, () => adviceFor(config, naming, ranks))
  return counted.memory
}

type Change = readonly [text: string, config: RunConfig, shardOptimizer?: boolean]

/** The settings that would make a run fit, each with what it would need; or all together, if none does alone. */
function adviceFor(config: RunConfig, naming: Naming, ranks: RankOptions): string {
  const limit = memoryLimit(config.device)!
  const needs = ([, changed, shardOptimizer = ranks.shardOptimizer]: Change): number =>
    countRun(changed, naming, { ...ranks, shardOptimizer }).memory.peak
  const { batchSize, accumulate, optimizer } = config
  const changed = (text: string, change: Partial<RunConfig>): Change => [text, { ...config, ...change } as RunConfig]
  const inBackward = {
    optimizer: { ...optimizer, inBackward: true },
    clipNorm: null,
    accumulate: 1,
    guard: { ...config.guard, every: 0 },
  }
  const adafactor = {
    name: 'adafactor',
    learningRate: optimizer.learningRate,
    inBackward: optimizer.inBackward,
  } as const
  const count = ranks.ranks?.size ?? 1
  const hasMoments = ['adamw', 'adam', 'lion'].includes(optimizer.name)
  const changes: Change[] = [
    ...(config.guard.every > 0 ? [changed('guard.every 0', { guard: { ...config.guard, every: 0 } })] : []),
    ...(config.gradientCheckpointing ? [] : [changed('gradientCheckpointing', { gradientCheckpointing: true })]),
    ...(count > 1 && !ranks.shardOptimizer ? [['shardOptimizer', config, true] as const] : []),
    // the updates of several ranks wait for the sums
    ...(optimizer.inBackward || count > 1 ? [] : [changed('optimizer.inBackward', inBackward)]),
    ...(hasMoments && optimizer.moments !== 'float8' && config.device === 'cpu'
      ? [changed('optimizer.moments float8', { optimizer: { ...optimizer, moments: 'float8' } })]
      : []),
    ...(optimizer.name === 'adamw' ? [changed('optimizer.name adafactor', { optimizer: adafactor })] : []),
  ]
  const fits = ([, bytes]: readonly [string, number]) => bytes <= limit
  const fitting = changes.map(change => [change[0], needs(change)] as const).filter(fits)
  // a count of parts takes as long as there are parts
  const parts = [2, 4, 8, 16]
    .map(times => times * accumulate)
    .filter(parts => parts <= batchSize / count && !optimizer.inBackward)
  for (const accumulate of parts) {
    const found = [`accumulate ${accumulate}`, needs(changed('', { accumulate }))] as const
    if (!fits(found)) continue
    fitting.push(found)
    break
  }
  const others = `A smaller batch or model and frozen parts need less too${largerMemory(config.device)}`
  if (fitting.length > 0)
    return `What would fit: ${fitting.map(([text, bytes]) => `${text} (${inUnits(bytes)})`).join(', ')}. ${others}`
  const smallest = optimizer.name === 'adamw' ? adafactor : optimizer
  const least: Partial<RunConfig> = {
    ...inBackward,
    optimizer: { ...smallest, inBackward: count === 1 },
    gradientCheckpointing: true,
    batchSize: count,
  }
  const bytes = needs(['', { ...config, ...least } as RunConfig, count > 1])
  const all = `batchSize ${count}, gradientCheckpointing, ${count > 1 ? 'shardOptimizer' : 'optimizer.inBackward'} and ${smallest.name} together`
  return bytes <= limit
    ? `No setting is enough alone; ${all} would need ${inUnits(bytes)}. ${others}`
    : `Even ${all} would need ${inUnits(bytes)}. A smaller model and frozen parts need less${largerMemory(config.device)}`
}
