// Images, clips, captions, tokenizers, batches, and the built-in datasets: Shapes, Moving Shapes and questions about Shapes.

export { type OpenAnyDataOptions, openAnyData } from './any-data.ts'
export * from './browser.ts'
export {
  CAPTION_FILES,
  type CaptionedImage,
  CLIP_FILES,
  QUESTION_FILES,
  type ReadCaptionsOptions,
  readCaptions,
} from './captions.ts'
export { type CaptionedClip, ClipDataset, type OpenClipsOptions } from './clips.ts'
export { ImageTextDataset, type OpenDatasetOptions, type SplitOptions } from './dataset.ts'
// `Threads` and, below, `SquareImage` are former names, kept for programs that import them
export type { DecodeThreads, DecodeThreads as Threads } from './decoding/pool.ts'
export { type CifarData, type ReadCifarOptions, readCifar } from './files/cifar.ts'
export { type ClassFolders, type ClassifiedImage, openClassFolders } from './files/class-folders.ts'
export { type CsvRow, type CsvType, type CsvTypes, type ReadCsvOptions, readCsv } from './files/csv.ts'
export { readIdx } from './files/idx.ts'
export { readNpz } from './files/npz.ts'
export type { FileSource } from './files/source.ts'
export {
  type DecodedImage as SquareImage,
  type DecodeImageOptions,
  decodeImage,
  decodeImageBytes,
  encodePng,
  type ImageDecoder,
  type ImageDecoderReport,
  imageDecoder,
} from './images/image.ts'
export { openClips, openData, readAllCaptions } from './open-data.ts'
export { listImages, type OpenPicturesOptions, openPictures, type Pictures } from './pictures.ts'
export { type OpenQuestionsOptions, type PictureQuestion, QuestionDataset } from './questions.ts'
export * from './shapes/folder.ts'
export { type OpenShardClipsOptions, ShardClipDataset } from './shards/shard-clips.ts'
export { ShardDataset, type StreamedSample } from './shards/shard-dataset.ts'
export { type ListShardsOptions, type OnShard, type OpenShardsOptions, ShardStream } from './shards/shard-stream.ts'
export { readTokenizer } from './tokenizers/read.ts'
