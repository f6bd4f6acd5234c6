// Models: CoCa, its parts, related models, and the generation of captions.

export {
  CoCa,
  type CoCaLoss,
  type CoCaOutput,
  type ImageFeatures,
  type PoolerWeights,
  type PositivesOptions,
} from './coca.ts'
export type { CoCaConfig } from './coca-config.ts'
export type { CaptionDecoder, DecodingState } from './generation/decoding.ts'
export { generate, stream } from './generation/generate.ts'
export { type Caption, GenerateOptionError, type GenerateOptions, type StreamedToken } from './generation/options.ts'
export { LogitsError, type TokenPlace } from './generation/sampling.ts'
export { type PresetName, presets } from './presets.ts'
export {
  Captioner,
  type CaptionerConfig,
  ClassificationHead,
  type ClassificationHeadConfig,
  DualEncoder,
  type DualEncoderConfig,
  ImageClassifier,
  type ImageClassifierConfig,
} from './relatives.ts'
export { MultimodalDecoder, type TextConfig, type TextFeatures, UnimodalDecoder } from './text.ts'
export { type BlockOptions, VisionTransformer, type VisionTransformerConfig } from './vit.ts'
