// The gradients of the loss of a whole model, on random images with texts or classes.

import type { ImageShape, MultiImageShape } from '../../data/index.ts'
import type { LossBatch } from '../../evaluate/inputs.ts'
import { readJson } from '../../io/index.ts'
import {
  type CoCaConfig,
  createModel,
  type FamilyName,
  presets,
  VideoClassifier,
  type VisionTransformerConfig,
} from '../../models/index.ts'
import { device, type Generator, randn, seed as setSeed } from '../../tensor/index.ts'
import { imageShape } from '../../tensor/sides.ts'
import {
  ClassifierObjective,
  checkModelConfig,
  gradcheckObjective,
  ImageTextObjective,
  type LabelledBatch,
  type ModelChoice,
  MultimodalObjective,
  type QuestionBatch,
} from '../../train/index.ts'
import { say } from '../output.ts'
import type { VerdictLine } from './verdict.ts'

export interface GroupLine extends VerdictLine {
  readonly group: string
  readonly parameters: number
}

/**
 * A preset's name, or a JSON file with a model's configuration or a run's.
 * @param family the family of the preset or the configuration; default that of the file, or coca
 * @throws FileError, RunConfigError
 */
export async function modelChoice(name: string, family?: FamilyName): Promise<ModelChoice> {
  if (Object.keys(presets).includes(name)) return checkModelConfig({ family, model: name })
  const json = await readJson(name)
  return checkModelConfig(family === undefined ? json : { family, model: json }, name)
}

/** Two images and texts: the smallest batch for a contrastive loss. */
const BATCH = 2

/** The number of classes of a classifier whose configuration does not set it. */
const CLASSES = 3

/** Checks the derivatives of the loss along one direction per part, at orders 1 and 2, in float64 on `cpu` if it is available. */
export async function checkModel(choice: ModelChoice, seed: number): Promise<GroupLine[]> {
  await device.use('cpu').catch(() => device.use('reference'))
  setSeed(seed)
  const { parts, result } = await check(choice, seed)
  if (!result.ok) say(result.message)
  return parts.map(({ part, ...line }) => ({ group: part, ...line }))
}

function check(choice: ModelChoice, seed: number) {
  const classes = 'classes' in choice.model ? (choice.model.classes ?? CLASSES) : CLASSES
  const names = Array.from({ length: classes }, (_, i) => `${i}`)
  if (choice.family === 'classifier' || choice.family === 'video-classifier') {
    const model =
      choice.family === 'classifier'
        ? createModel('classifier', { ...choice.model, classes })
        : createModel('video-classifier', { ...choice.model, classes })
    const { image } = model.config
    const several = model instanceof VideoClassifier ? model.frames : undefined
    const draw = (generator: Generator): LabelledBatch => ({
      ...drawImages(image, generator, several),
      labels: drawLabels(names, generator),
    })
    return gradcheckObjective(new ClassifierObjective(model, { classes: names }), draw, { seed })
  }
  if (choice.family === 'multimodal-classifier') {
    const model = createModel('multimodal-classifier', { ...choice.model, classes })
    const { image, text, images } = model.settings
    const draw = (generator: Generator): QuestionBatch => ({
      ...drawImages(image, generator, images),
      tokens: drawTexts(text, generator),
      tokenShape: [BATCH, text.context],
      labels: drawLabels(names, generator),
    })
    return gradcheckObjective(new MultimodalObjective(model, { classes: names }), draw, { seed })
  }
  const model = createModel(choice.family, choice.model)
  const draw = (generator: Generator) => drawPairs(model.config, generator)
  return gradcheckObjective(new ImageTextObjective(model), draw, { seed })
}

/** @param several number of images of an example that has more than one */
function drawImages(
  image: VisionTransformerConfig,
  generator: Generator,
): { images: Float64Array; imageShape: ImageShape }
function drawImages(
  image: VisionTransformerConfig,
  generator: Generator,
  several: number | undefined,
): { images: Float64Array; imageShape: ImageShape | MultiImageShape }
function drawImages({ size, channels }: VisionTransformerConfig, generator: Generator, several?: number) {
  const shape = [BATCH, ...(several === undefined ? [] : [several]), ...imageShape(size, channels)]
  return { images: randn(shape, { dtype: 'float64', generator }).dataSync() as Float64Array, imageShape: shape }
}

/** Random images and texts. */
const drawPairs = ({ image, text }: Pick<CoCaConfig, 'image' | 'text'>, generator: Generator): LossBatch => ({
  ...drawImages(image, generator),
  tokens: drawTexts(text, generator),
  tokenShape: [BATCH, text.context],
})

/** A class for each example. */
const drawLabels = (classes: readonly string[], generator: Generator): string[][] =>
  Array.from({ length: BATCH }, () => [classes[generator.integer(classes.length)]])

/** Random ids; the last text has half the maximum length, followed by padding. */
function drawTexts({ context, vocabulary, pad }: CoCaConfig['text'], generator: Generator): Int32Array {
  const ids = new Int32Array(BATCH * context)
  for (let i = 0; i < ids.length; i++) {
    const isPadding = pad !== undefined && i >= ids.length - Math.floor(context / 2)
    const id = generator.integer(vocabulary - 1)
    // no padding within a text
    ids[i] = isPadding ? pad : id + Number(pad !== undefined && id >= pad)
  }
  return ids
}
