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
  type CaptioningResult,
  captioning,
  type EvaluateCaptionsOptions,
  writeCaptions,
} from './captioning.ts'
export { type ClassLabel, type ClassScoreRow, type ClassScores, scoreClasses } from './class-scores.ts'
export {
  type ClassifyOptions,
  type ClassLogitsOptions,
  classification,
  classLogits,
  type LabelledOptions,
  type LabelledResult,
  labelledClassification,
  type TrainedClassifier,
  type TrainedMultimodalClassifier,
} from './classification.ts'
export { type EmbedOptions, type EmbedResult, embedPictures, modelFingerprint } from './embed-pictures.ts'
export { type EmbeddedSample, EmbeddingFile, type Neighbour } from './embedding-file.ts'
export { EmbeddingError } from './embedding-journal.ts'
export {
  type ClipSource,
  type Embeddings,
  type EvaluateOptions,
  embedBatch,
  embedImages,
  embedTexts,
  type ImageBatch,
  type ImageSource,
  imageBatches,
  isClipSource,
  poolerAttention,
  similarityMatrix,
} from './embeddings.ts'
export { namingImages } from './finite.ts'
export { firstOf } from './first-of.ts'
export { type MeanLoss, meanLoss } from './mean-loss.ts'
export { type PictureBatch, type PictureOptions, pictureBatches } from './picture-batches.ts'
export { plain } from './plain.ts'
export {
  type EvaluatedData,
  type EvaluatedModel,
  type EvaluateModelOptions,
  type Evaluation,
  evaluateModel,
  type Measure,
  type Protocol,
  ProtocolError,
  type ProtocolName,
  protocolNames,
  protocols,
} from './protocols.ts'
export { type CaptionedSource, type Ranking, type RetrievalResult, rank, retrieval } from './retrieval.ts'
export {
  type CaptionModel,
  type EmbeddingModel,
  type ImageModel,
  imagesFor,
  isCaptionModel,
  isEmbeddingModel,
  type Normalized,
  type TrainedModel,
} from './trained-model.ts'
export {
  type ClassPromptOptions,
  embedClasses,
  promptsOf,
  unknownWords,
  type ZeroShotOptions,
  type ZeroShotResult,
  zeroShot,
} from './zero-shot.ts'
