// The families of models that a run can train. A family defines how a model is built from a configuration, and its objective;
// everything else in a run is the same for all.

import type { Batch, ImageTextSource, Tokenizer } from '../../data/index.ts'
import { createModel, type FamilyConfigs, type FamilyModels, type FamilyName } from '../../models/index.ts'
import { unloaded } from '../../models/unloaded.ts'
import type { Module } from '../../nn/index.ts'
import type { RunConfig } from '../config.ts'
import type { Objective } from '../objective.ts'
import { ClassifierObjective } from './classifier.ts'
import { ImageTextObjective } from './image-text.ts'

/** The tokenizer or the class names of a run. */
export interface Naming {
  /** a classifier has none */
  readonly tokenizer?: Tokenizer
  /** the classes of a classifier, in the order of its logits */
  readonly classes?: readonly string[]
}

/** An objective for the batches of a run; those of a classifier have labels. */
export type RunObjective = Objective<Batch, ImageTextSource>

/** A model with random initial weights, drawn from the default generator. */
export const modelOf = <F extends FamilyName>({ family, model }: RunConfig<F>): FamilyModels[F] =>
  createModel(family as F, model as FamilyConfigs[F])

/** A model whose weights have not been read yet. @throws OutOfMemoryError if it does not fit into the device */
export const unloadedModelOf = (config: RunConfig): FamilyModels[FamilyName] => unloaded(() => modelOf(config))

/** The objective of a run: its loss and its evaluation. */
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
