// Evaluation of a trained model: embeddings, and the protocols for comparing vision-language models.

export {
  type BleuResult,
  bleu,
  type CaptionMetricOptions,
  type CiderOptions,
  type CiderResult,
  captionWords,
  cider,
} from './caption-metrics.ts'
export {
  type ClassifyOptions,
  type ClassLogitsOptions,
  classification,
  classLogits,
  type LabelledOptions,
  type LabelledResult,
  labelledClassification,
  type TrainedClassifier,
} from './classification.ts'
export { type EmbedOptions, type EmbedResult, embedPictures, modelFingerprint } from './embed-pictures.ts'
export { type EmbeddedSample, EmbeddingFile, type Neighbour } from './embedding-file.ts'
export { EmbeddingError } from './embedding-journal.ts'
export {
  type Embeddings,
  type EvaluateOptions,
  embedBatch,
  embedImages,
  embedTexts,
  type ImageBatch,
  type ImageSource,
  imageBatches,
  poolerAttention,
  similarityMatrix,
} from './embeddings.ts'
export * from './evaluate.ts'
export { namingImages } from './finite.ts'
export { type PictureBatch, type PictureOptions, pictureBatches } from './picture-batches.ts'
export type { CaptionModel, EmbeddingModel, ImageModel, Normalized, TrainedModel } from './trained-model.ts'
