// The families of models that a run can train. A family is an objective and how its model is made of a configuration; whatever
// else happens in a run is the same for all.

import type { ImageTextSource, Tokenizer } from '../../data/index.ts'
import type { LossBatch } from '../../evaluate/inputs.ts'
import { CoCa } from '../../models/index.ts'
import { unloaded } from '../../models/unloaded.ts'
import type { Module } from '../../nn/index.ts'
import type { RunConfig } from '../config.ts'
import type { Objective } from '../objective.ts'
import { CoCaObjective } from './coca.ts'

export interface Family<Model extends Module, Batch> {
  /** a model with the weights that it begins with */
  create(config: RunConfig): Model
  /** a model whose weights are still to be read; checks that it fits into memory */
  unloaded(config: RunConfig): Model
  objective(model: Model, config: RunConfig, tokenizer: Tokenizer): Objective<Batch, ImageTextSource>
}

const coca: Family<CoCa, LossBatch> = {
  create: config => new CoCa(config.model),
  unloaded: config => unloaded(config.model),
  objective(model, config, tokenizer) {
    const { normalize, batchSize, truncateCaptions: truncate, equalCaptions } = config
    const evaluation = { tokenizer, normalize, batchSize, truncate }
    return new CoCaObjective(model, { positives: equalCaptions === 'positives', evaluation })
  },
}

/** The family that a run trains. */
export const familyOf = (_: RunConfig): typeof coca => coca
