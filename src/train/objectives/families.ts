// The families of models that a run can train. A family defines how a model is built from a configuration, and its objective;
// everything else in a run is the same for all.

import type {
  Batch,
  ImageShape,
  ImageTextSource,
  MultiImageShape,
  MultiImageSource,
  Tokenizer,
} from '../../data/index.ts'
import {
  createModel,
  type FamilyConfigs,
  type FamilyModels,
  type FamilyName,
  type ImageClassifier,
  type MultimodalClassifier,
  type VideoClassifier,
} from '../../models/index.ts'
import { type Module, withoutAllocation } from '../../nn/index.ts'
import type { RunConfig } from '../config.ts'
import type { Objective } from '../objective.ts'
import { ClassifierObjective } from './classifier.ts'
import { ImageTextObjective } from './image-text.ts'
import { MultimodalObjective } from './multimodal.ts'

/** The tokenizer and the class names of a run. */
export interface Naming {
  /** of a model that reads texts */
  readonly tokenizer?: Tokenizer
  /** the classes of a classifier, in the order of its logits */
  readonly classes?: readonly string[]
}

/** A batch of a run; those of a classifier have labels. */
export type RunBatch = Batch<ImageShape | MultiImageShape>

/** An objective for the batches of a run. */
export type RunObjective = Objective<RunBatch, ImageTextSource | MultiImageSource>

/** A model with random initial weights, drawn from the default generator. */
export const modelOf = <F extends FamilyName>({ family, model }: RunConfig<F>): FamilyModels[F] =>
  createModel(family as F, model as FamilyConfigs[F])

/** A model whose weights have not been read yet. */
export const unloadedModelOf = (config: RunConfig): FamilyModels[FamilyName] => withoutAllocation(() => modelOf(config))

/** The objective of a run: its loss and its evaluation. */
export function objectiveOf(model: Module, config: RunConfig, naming: Naming): RunObjective {
  const { normalize, batchSize } = config
  // config.family says which model it is, and its data has the batches that the objective takes
  const families: { readonly [F in FamilyName]: (config: RunConfig<F>) => unknown } = {
    coca: pairs,
    'dual-encoder': pairs,
    captioner: pairs,
    classifier: labelled,
    'video-classifier': labelled,
    'multimodal-classifier': ({ labelSmoothing, truncateCaptions: truncate }) =>
      new MultimodalObjective(model as MultimodalClassifier, {
        classes: naming.classes!,
        smoothing: labelSmoothing,
        evaluation: { tokenizer: naming.tokenizer!, normalize, batchSize, truncate },
      }),
  }
  return (families[config.family] as (config: RunConfig) => RunObjective)(config)

  function pairs({ truncateCaptions: truncate, equalCaptions }: RunConfig<'coca' | 'dual-encoder' | 'captioner'>) {
    return new ImageTextObjective(model as FamilyModels['coca' | 'dual-encoder' | 'captioner'], {
      positives: equalCaptions === 'positives',
      evaluation: { tokenizer: naming.tokenizer!, normalize, batchSize, truncate },
    })
  }

  function labelled({ labelSmoothing }: RunConfig<'classifier' | 'video-classifier'>) {
    return new ClassifierObjective(model as ImageClassifier | VideoClassifier, {
      classes: naming.classes!,
      smoothing: labelSmoothing,
      evaluation: { normalize, batchSize },
    })
  }
}
