// The part of data that runs in a browser: Shapes, pictures that are decoded, tokenizers, and batches.

export * from './batches.ts'
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
  type DrawablePicture,
  type PictureSource,
  type RawPicture,
  type ResizeImageOptions,
  resizeImage,
  resizeImageBytes,
} from './images/picture.ts'
export {
  CLIP_NORMALIZE,
  channelsProblem,
  checkNormalize,
  type DecodedImage,
  IMAGE_PIXELS,
  type ImagePixels,
  normalize,
  type PictureChannels,
  picturesFor,
  pixelsFor,
} from './images/pixels.ts'
export type { RandomCrop } from './images/random-crop.ts'
export { type ClassTargets, classesOf, classTargets, type ReadLabels } from './labels.ts'
export { type Collated, type CollateOptions, collate, type NumberLists, type ShapedData } from './loading/collate.ts'
export { DataLoader, type DataLoaderOptions, type DataLoaderState } from './loading/loader.ts'
export { type DefineDatasetOptions, defineDataset } from './loading/module.ts'
export type { Column, Columns, Dataset, ElementOf, ExampleContext, ExampleOf, LoaderData } from './loading/source.ts'
export { ExampleError } from './loading/workers.ts'
export { type ImageTextPair, ImageTextPairs, type ImageTextPairsOptions } from './pairs.ts'
// `Shape` is a former name, kept for programs that import it
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
export { ShapesPictures, type ShapesPicturesOptions } from './shapes/pictures.ts'
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
export { ClipTokenizer } from './tokenizers/clip.ts'
export { JsonTokenizer } from './tokenizers/json.ts'
export { type TrainBytePairsOptions, trainBytePairs } from './tokenizers/learn-byte-pairs.ts'
export { OpenClipTokenizer, type OpenClipTokenizerOptions } from './tokenizers/open-clip.ts'
export { parseTokenizer, tokenizerFromJSON } from './tokenizers/parse.ts'
export { cleanText, repairText, type TextCleaning } from './tokenizers/text/clean.ts'
export * from './tokenizers/tokenizer.ts'
