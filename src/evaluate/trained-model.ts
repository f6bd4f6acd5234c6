// A model with its tokenizer and its normalisation of pixels.

import type { Tokenizer } from '../data/index.ts'
import type { CoCa } from '../models/index.ts'

/** A model with everything that is needed to use it. */
export interface TrainedModel {
  readonly model: CoCa
  readonly tokenizer: Tokenizer
  /** mean and deviation of the pixels in 0 … 1 that the model was trained on; default 0.5 and 0.5 */
  readonly normalize?: { readonly mean: readonly number[]; readonly std: readonly number[] }
}
