// The families of models that a run can train. A family is a model made of a configuration, and its objective; whatever else
// happens in a run is the same for all.

import type { Batch, ImageTextSource, Tokenizer } from '../../data/index.ts'
import { createModel, type FamilyConfigs, type FamilyModels, type FamilyName } from '../../models/index.ts'
import { unloaded } from '../../models/unloaded.ts'
import type { Module } from '../../nn/index.ts'
import type { RunConfig } from '../config.ts'
import type { Objective } from '../objective.ts'
import { ClassifierObjective } from './classifier.ts'
import { ImageTextObjective } from './image-text.ts'

/** The names behind a run's numbers. */
export interface Naming {
  /** of the ids of texts; a classifier has none */
  readonly tokenizer?: Tokenizer
  /** the classes of a classifier, in the order of its logits */
  readonly classes?: readonly string[]
}

/** Takes the batches of a run: those of a classifier have labels. */
export type RunObjective = Objective<Batch, ImageTextSource>

/** A model with the weights that a run begins with, drawn from the program's random numbers. */
export const modelOf = <F extends FamilyName>({ family, model }: RunConfig<F>): FamilyModels[F] =>
  createModel(family as F, model as FamilyConfigs[F])

/** A model whose weights are still to be read. @throws OutOfMemoryError if it does not fit into the device */
export const unloadedModelOf = (config: RunConfig): FamilyModels[FamilyName] => unloaded(() => modelOf(config))

/** What a run minimizes, and how it is evaluated. */
export function objectiveOf(model: Module, config: RunConfig, naming: Naming): RunObjective {
  const { normalize, batchSize } = config
  if (config.family === 'classifier')
    return new ClassifierObjective(model as FamilyModels['classifier'], {
      classes: naming.classes!,
      smoothing: config.labelSmoothing,
      evaluation: { normalize, batchSize },
    }) as unknown as RunObjective
  const { truncateCaptions: truncate, equalCaptions } = config
  return new ImageTextObjective(model as FamilyModels[Exclude<FamilyName, 'classifier'>], {
    positives: equalCaptions === 'positives',
    evaluation: { tokenizer: naming.tokenizer!, normalize, batchSize, truncate },
  }) as unknown as RunObjective
}
