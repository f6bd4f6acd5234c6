// A model with its tokenizer and its normalisation of pixels, and what an evaluation needs of the model.

import { checkNormalize, type ImagePixels, type Tokenizer } from '../data/index.ts'
import type { Caption, CaptionDecoder, CoCa, GenerateOptions, ImageTextModel, TextConfig } from '../models/index.ts'
import type { Module } from '../nn/index.ts'
import type { Size2d, Tensor } from '../tensor/index.ts'
import { imageShape } from '../tensor/sides.ts'

/** The pixels that a model was trained on: mean and standard deviation in 0 … 1, and how files become pixels. */
export interface Normalized {
  /** one number for each channel; default 0.5 and 0.5 */
  readonly normalize?: { readonly mean: readonly number[]; readonly std: readonly number[] }
  /** how files become pixels; default 'upright'. Whoever opens data for the model passes it on */
  readonly pixels?: ImagePixels
}

/** A model with everything that is needed to use it. */
export interface TrainedModel<Model extends Module = CoCa> extends Normalized {
  /** the model, with its weights */
  readonly model: Model
  /** the tokenizer of its texts */
  readonly tokenizer: Tokenizer
}

/** A model of images of one size. */
export interface ImageModel {
  /** size of the images, in pixels, and their channels, default 3 */
  readonly config: { readonly image: { readonly size: Size2d; readonly channels?: number } }
}

/**
 * The shape of the images that a model takes, and the normalisation of their channels.
 * @throws RangeError if the normalisation has another number of channels
 */
export function imagesFor({ model, normalize }: Normalized & { readonly model: ImageModel }) {
  const { size, channels = 3 } = model.config.image
  const halves = new Array<number>(channels).fill(0.5)
  const scale = normalize ?? { mean: halves, std: halves }
  checkNormalize(scale, channels)
  return { shape: imageShape(size, channels), ...scale }
}

/** A model that embeds images and texts in one space: a CoCa, or a dual encoder. */
export interface EmbeddingModel extends Module {
  /** size of the images, the longest text, and the width of the space */
  readonly config: ImageModel['config'] & {
    readonly text: Pick<TextConfig, 'context'>
    /** width of the space */
    readonly embedding: number
  }
  /** images [batch, channels, height, width] → embeddings of unit length, [batch, embedding] */
  encodeImage(images: Tensor): Tensor
  /** ids int32 [batch, tokens] → embeddings of unit length, [batch, embedding] */
  encodeText(ids: Tensor): Tensor
}

/** A model that writes captions for images: a CoCa, or a captioner. */
export interface CaptionModel extends ImageTextModel, CaptionDecoder {
  /** the configuration of the model */
  readonly config: ImageTextModel['config']
  /** [batch, tokens, vocabulary]: position t predicts token t + 1 */
  logits(images: Tensor, ids: Tensor): Tensor
  /** captions for images [batch, channels, height, width] */
  generate(images: Tensor, options: GenerateOptions): Promise<Caption[]>
}

/** Whether a model embeds images and texts in one space. */
export const isEmbeddingModel = (model: Module): model is Module & EmbeddingModel => 'encodeImage' in model
/** Whether a model writes captions. */
export const isCaptionModel = (model: Module): model is Module & CaptionModel => 'generate' in model
