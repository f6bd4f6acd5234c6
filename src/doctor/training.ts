// What the doctor knows of how a model was trained, and what it calls things when it speaks of that. The configuration of a run is
// such a `Training`; where `fit` trained, it is made of what the optimizer and the metrics tell.

import type { RunConfig } from '../train/index.ts'

/** How findings speak of a training. */
export interface Words {
  /** the setting that bounds the norm of the gradients */
  readonly clip: string
  /** what to do where a checkpoint is spoilt */
  readonly earlier: string
  /** why a model with finite weights computes values that are not */
  readonly overflow: string
  /** what is trained on: examples, of one or several kinds */
  readonly examples: string
  /** the examples that are counted */
  readonly things: string
  /** the most frequent mistake in data, put right */
  readonly belonging: string
  /** where to look for a gradient that a guard found wrong, and kept below the folder */
  readonly lookInto: (folder: string, file: string | undefined) => string
}

/** Of `cocagrad train`. */
export const runWords: Words = {
  clip: 'clipNorm',
  earlier: 'go back to an earlier checkpoint with --step N',
  overflow: 'its weights are finite, so numbers grow too large on the way',
  examples: 'images and captions',
  things: 'images',
  belonging: 'the captions belong to the images',
  lookInto: (folder, file) => `see which part of the model it is: cocagrad doctor ${folder} --batch ${folder}/${file}`,
}

/** Of `fit`. */
export const fitWords: Words = {
  clip: 'maximumNorm',
  earlier: 'go back to an earlier checkpoint',
  overflow:
    'its weights are finite, so it is an operation that makes them, of finite numbers: firstNonFinite names it, and where it is called. If numbers grow too large on the way',
  examples: 'examples',
  things: 'examples',
  belonging: 'inputs and targets belong together',
  lookInto: (folder, file) =>
    `see which part of the model it is: await examine({ objective, ${file === undefined ? 'batch' : `kept: '${folder}/${file}'`} })`,
}

/** What is known of a training. */
export interface Training {
  readonly optimizer: {
    /** undefined where the algorithm is one of the user's */
    readonly name?: 'adamw' | 'adafactor' | 'sgd'
    /** at its peak; undefined where nothing tells */
    readonly learningRate?: number
  }
  /** undefined where the loss is not known, and so not what guessing would give */
  readonly batchSize?: number
  readonly model?: {
    readonly temperature?: { readonly maximumScale?: number }
    readonly loss?: { readonly contrastive?: { readonly weight?: number; readonly reduction?: string } }
  }
  /** how many classes a classifier has */
  readonly classes?: number
  /** default those of `cocagrad train` */
  readonly words?: Words
}

/** What the configuration of a run tells. */
export const trainingOf = ({ family, model, optimizer, batchSize }: RunConfig): Training => ({
  optimizer,
  batchSize,
  ...(('loss' in model || 'temperature' in model) && { model }),
  ...(family === 'classifier' && 'classes' in model && { classes: model.classes }),
})
