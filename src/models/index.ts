// The models room: CoCa, its parts, its relatives, and how captions are written.

export { LogitsError, type TokenPlace } from './choose.ts'
export {
  CoCa,
  type CoCaLoss,
  type CoCaOutput,
  type ImageFeatures,
  type PoolerWeights,
  type PositivesOptions,
} from './coca.ts'
export type { CoCaConfig } from './coca-config.ts'
export type { CaptionDecoder, DecodingState } from './decoding.ts'
export { generate, stream } from './generate.ts'
export { type Caption, GenerateOptionError, type GenerateOptions, type StreamedToken } from './generate-options.ts'
export {
  fromOpenClipTensor,
  type OpenClipTensor,
  openClipTensors,
  toOpenClipState,
  toOpenClipTensor,
} from './openclip.ts'
export { fromOpenClipConfig, type OpenClipConfig, toOpenClipConfig } from './openclip-config.ts'
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
