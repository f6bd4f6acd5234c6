// Images, captions, tokenizers, batches, the built-in Shapes dataset, and safetensors files.

export * from './batches.ts'
export { CAPTION_FILES, type CaptionedImage, readCaptions } from './captions.ts'
export { ImageTextDataset, type OpenDatasetOptions, type SplitOptions } from './dataset.ts'
export type { Threads } from './decode-pool.ts'
export {
  BatchError,
  DataError,
  type DataLocation,
  FileError,
  ImageError,
  LockedError,
  SafetensorsError,
  TokenizerError,
  TorchFileError,
} from './errors.ts'
export { fileError, readBytes, readJson, readText, writeAtomically } from './files.ts'
export { checkFinite, describeNonFinite, type NonFiniteTensor, NonFiniteWeightsError, nonFiniteIn } from './finite.ts'
export {
  CLIP_NORMALIZE,
  type DecodeImageOptions,
  decodeImage,
  decodeImageBytes,
  encodePng,
  type ImageDecoder,
  type ImageDecoderReport,
  imageDecoder,
  normalize,
  type SquareImage,
} from './image.ts'
export { openData, readAllCaptions } from './open.ts'
export { listImages, type OpenPicturesOptions, openPictures, type Pictures } from './pictures.ts'
export type { RandomCrop } from './random-crop.ts'
export {
  encodeSafetensors,
  parseSafetensors,
  type SafetensorsContent,
  type SafetensorsData,
  type SafetensorsDtype,
  type SafetensorsEntry,
  type SafetensorsLayout,
  type SafetensorsTensor,
  toInt32,
} from './safetensors.ts'
export {
  openSafetensors,
  readSafetensors,
  SafetensorsFile,
  streamSafetensors,
  writeSafetensors,
} from './safetensors-file.ts'
export * from './shapes.ts'
export {
  COLOURS,
  type Colour,
  type Description,
  describe,
  type NamedObject,
  pairName,
  pairNames,
  paraphrases,
  parseCaption,
  RELATIONS,
  type Relation,
  relationOf,
  SHAPES,
  type Shape,
  SIZES,
  type Size,
} from './shapes-captions.ts'
export * from './shapes-folder.ts'
export { type OpenShardsOptions, ShardDataset, type StreamedSample } from './shards/shard-dataset.ts'
export type { BadSample, ImageTextSource, ImageTextStream, OnBadSample, WindowOptions } from './source.ts'
export { openTensors, type TensorFile } from './tensor-file.ts'
export { cleanText, repairText } from './text/clean.ts'
export * from './tokenizer.ts'
export { ClipTokenizer } from './tokenizers/clip.ts'
export { JsonTokenizer } from './tokenizers/json.ts'
export { readTokenizer, tokenizerFromJSON } from './tokenizers/read.ts'
export { type TrainBytePairsOptions, trainBytePairs } from './tokenizers/train.ts'
