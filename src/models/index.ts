// Models: CoCa and its parts; the classifier, the dual encoder and the captioner that it is compared with; classifiers of clips and of
// images with texts; and generation.

export { Captioner, type CaptionerLoss } from './captioner.ts'
export {
  ClassificationHead,
  type ClassificationHeadConfig,
  ImageClassifier,
  type ImageClassifierLoss,
} from './classifier.ts'
export {
  CoCa,
  type CoCaLoss,
  type CoCaOutput,
  type ImageFeatures,
} from './coca.ts'
export type {
  BlockOptions,
  CaptionerConfig,
  ClassFamily,
  CoCaConfig,
  DualEncoderConfig,
  FamilyConfigs,
  FamilyName,
  ImageClassifierConfig,
  MultimodalClassifierConfig,
  ResolvedCoCa,
  ResolvedText,
  ResolvedVisionTransformer,
  TemperatureConfig,
  TextConfig,
  TextFamily,
  VideoClassifierConfig,
  VisionTransformerConfig,
} from './config.ts'
export type { PositivesOptions } from './contrastive.ts'
export { DualEncoder, type DualEncoderLoss } from './dual-encoder.ts'
export { createModel, type FamilyModels, familyNames } from './families.ts'
export type { CaptionDecoder, DecodingState } from './generation/decoding.ts'
export { generate, stream } from './generation/generate.ts'
export { type Caption, GenerateOptionError, type GenerateOptions, type StreamedToken } from './generation/options.ts'
export { LogitsError, type TokenPlace } from './generation/sampling.ts'
export type { ImageTextLoss, ImageTextModel, LossInputs, LossWeights } from './image-text.ts'
export {
  MultimodalClassifier,
  type MultimodalClassifierLoss,
  MultimodalHead,
  type MultimodalHeadConfig,
} from './multimodal-classifier.ts'
export type { PoolerWeights } from './poolers.ts'
export { type PresetName, presets } from './presets.ts'
export {
  MultimodalDecoder,
  type MultimodalForwardOptions,
  type TextFeatures,
  type TextTokens,
  UnimodalDecoder,
} from './text.ts'
export {
  VideoClassifier,
  type VideoClassifierLoss,
  VideoHead,
  type VideoHeadConfig,
} from './video-classifier.ts'
export { VisionTransformer } from './vit.ts'
