// What the doctor knows about a training, and the words that its findings use. For a run, a `Training` is made from the
// configuration; for `fit`, from the optimizer and the metrics.

import { hasClasses } from '../models/config.ts'
import type { OptimizerName, RunConfig } from '../train/index.ts'

/** The words of findings that differ between `cocagrad train` and `fit`. */
export interface Words {
  /** the name of the setting that limits the norm of the gradient */
  readonly clip: string
  /** what to do if a checkpoint cannot be used */
  readonly earlier: string
  /** why a model with finite weights computes values that are not finite */
  readonly overflow: string
  /** what the batches consist of */
  readonly examples: string
  /** what the examples are called */
  readonly things: string
  /** what to check in the data: that its parts belong together */
  readonly belonging: string
  /** how to examine a wrong gradient that the guard saved in the folder */
  readonly lookInto: (folder: string, file: string | undefined) => string
}

/** The words for `cocagrad train`. */
export const runWords: Words = {
  clip: 'clipNorm',
  earlier: 'go back to an earlier checkpoint with --step N',
  overflow: 'the weights are finite, so values become too large during the computation',
  examples: 'images and captions',
  things: 'images',
  belonging: 'the captions belong to the images',
  lookInto: (folder, file) => `find the part of the model with: cocagrad doctor ${folder} --batch ${folder}/${file}`,
}

/** The words for `cocagrad train` with a classifier. */
const classifierWords: Words = {
  ...runWords,
  examples: 'images and labels',
  belonging: 'the labels belong to the images',
}

/** The words for `fit`. */
export const fitWords: Words = {
  clip: 'maximumNorm',
  earlier: 'go back to an earlier checkpoint',
  overflow:
    'the weights are finite, so an operation computes these values from finite ones: call firstNonFinite to find it. If values become too large during the computation',
  examples: 'examples',
  things: 'examples',
  belonging: 'inputs and targets belong together',
  lookInto: (folder, file) =>
    `find the part of the model with: await examine({ objective, ${file === undefined ? 'batch' : `kept: '${folder}/${file}'`} })`,
}

/** What is known about a training. */
export interface Training {
  readonly optimizer: {
    /** undefined if the optimizer is not one of cocagrad */
    readonly name?: OptimizerName
    /** the peak; undefined if it is not known */
    readonly learningRate?: number
  }
  /** the batch size of a contrastive loss; undefined if the loss is not known */
  readonly batchSize?: number
  readonly model?: {
    readonly temperature?: { readonly maximumScale?: number }
    readonly loss?: { readonly contrastive?: { readonly weight?: number; readonly reduction?: string } }
  }
  /** the number of classes of a classifier */
  readonly classes?: number
  /** default `runWords` */
  readonly words?: Words
}

/** The training of a run, from its configuration. */
export const trainingOf = (config: RunConfig): Training => ({
  optimizer: config.optimizer,
  batchSize: config.batchSize,
  ...(hasClasses(config)
    ? { classes: config.model.classes, words: classifierWords }
    : ('loss' in config.model || 'temperature' in config.model) && { model: config.model }),
})
