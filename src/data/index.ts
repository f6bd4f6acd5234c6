// Images, clips, captions, tokenizers, batches, and the built-in datasets: Shapes, Moving Shapes and questions about Shapes.

export { type OpenAnyDataOptions, openAnyData } from './any-data.ts'
export * from './batches.ts'
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
// `Threads` and, below, `SquareImage` and `Shape` are former names, kept for programs that import them
export type { DecodeThreads, DecodeThreads as Threads } from './decoding/pool.ts'
export { type CifarData, type ReadCifarOptions, readCifar } from './files/cifar.ts'
export { type ClassFolders, type ClassifiedImage, openClassFolders } from './files/class-folders.ts'
export { type CsvRow, type CsvType, type CsvTypes, type ReadCsvOptions, readCsv } from './files/csv.ts'
export { readIdx } from './files/idx.ts'
export { readNpz } from './files/npz.ts'
export type { FileSource } from './files/source.ts'
export {
  type BadSample,
  type ExampleSource,
  examplePixels,
  exampleShapeOf,
  type ImageTextSource,
  type ImageTextStream,
  imageShapeOf,
  type MultiImageSource,
  type OnBadSample,
  selectExamples,
  type WindowOptions,
} from './image-text-source.ts'
export {
  CLIP_NORMALIZE,
  channelsProblem,
  checkNormalize,
  type DecodedImage,
  type DecodedImage as SquareImage,
  type DecodeImageOptions,
  decodeImage,
  decodeImageBytes,
  encodePng,
  IMAGE_PIXELS,
  type ImageDecoder,
  type ImageDecoderReport,
  type ImagePixels,
  imageDecoder,
  normalize,
  type PictureChannels,
  picturesFor,
  pixelsFor,
} from './images/image.ts'
export type { RandomCrop } from './images/random-crop.ts'
export { type ClassTargets, classesOf, classTargets, type ReadLabels } from './labels.ts'
export { type Collated, type CollateOptions, collate, type NumberLists, type ShapedData } from './loading/collate.ts'
export { DataLoader, type DataLoaderOptions, type DataLoaderState } from './loading/loader.ts'
export { type DefineDatasetOptions, defineDataset } from './loading/module.ts'
export type { Column, Columns, Dataset, ElementOf, ExampleContext, ExampleOf, LoaderData } from './loading/source.ts'
export { ExampleError } from './loading/workers.ts'
export { openClips, openData, readAllCaptions } from './open-data.ts'
export { listImages, type OpenPicturesOptions, openPictures, type Pictures } from './pictures.ts'
export { type OpenQuestionsOptions, type PictureQuestion, QuestionDataset } from './questions.ts'
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
  type ShapeName,
  type ShapeName as Shape,
  SIZES,
  type Size,
} from './shapes/captions.ts'
export {
  type ClutterMark,
  drawScene,
  PICTURE_SIDE,
  type PictureHalf,
  type RGB,
  type Scene,
  type ShapesObject,
} from './shapes/drawing.ts'
export * from './shapes/folder.ts'
export { heldOutPairs, isHeldOut, type PairChoice } from './shapes/kinds.ts'
export type { ShapesLevel } from './shapes/levels.ts'
export {
  describeMoving,
  MOVING_FRAMES,
  MOVING_TURNING_SHAPES,
  type MovingAction,
  type MovingExample,
  type MovingObject,
  type MovingOptions,
  type MovingPose,
  type MovingScene,
  movingActions,
  movingExample,
  movingFrame,
  movingScene,
  oppositeAction,
  playedBackwards,
} from './shapes/moving.ts'
export {
  SHAPES_TASKS,
  type ShapesQuestion,
  type ShapesQuestionOptions,
  type ShapesTask,
  shapesQuestion,
  shapesQuestionOptions,
} from './shapes/questions.ts'
export {
  type ObjectCount,
  type ShapesExample,
  type ShapesOptions,
  shapesExample,
  shapesOptions,
  shapesScene,
} from './shapes/scenes.ts'
export { type OpenShardClipsOptions, ShardClipDataset } from './shards/shard-clips.ts'
export { ShardDataset, type StreamedSample } from './shards/shard-dataset.ts'
export { type ListShardsOptions, type OnShard, type OpenShardsOptions, ShardStream } from './shards/shard-stream.ts'
export { ClipTokenizer } from './tokenizers/clip.ts'
export { JsonTokenizer } from './tokenizers/json.ts'
export { type TrainBytePairsOptions, trainBytePairs } from './tokenizers/learn-byte-pairs.ts'
export { OpenClipTokenizer, type OpenClipTokenizerOptions } from './tokenizers/open-clip.ts'
export { readTokenizer, tokenizerFromJSON } from './tokenizers/read.ts'
export { cleanText, repairText, type TextCleaning } from './tokenizers/text/clean.ts'
export * from './tokenizers/tokenizer.ts'
