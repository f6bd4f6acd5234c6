// The gradients of the loss of a whole model, on random images with texts or classes.

import type { LossBatch } from '../../evaluate/inputs.ts'
import { readJson } from '../../io/index.ts'
import { type CoCaConfig, createModel, type FamilyName, presets } from '../../models/index.ts'
import { device, type Generator, randn, seed as setSeed } from '../../tensor/index.ts'
import {
  ClassifierObjective,
  checkModelConfig,
  gradcheckObjective,
  ImageTextObjective,
  type LabelledBatch,
  type ModelChoice,
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

/** Checks the derivatives of the loss along one direction per part, at orders 1 and 2, in float64 on `reference`. */
export async function checkModel(choice: ModelChoice, seed: number): Promise<GroupLine[]> {
  const { parts, result } = await device.with('reference', () => {
    setSeed(seed)
    return check(choice, seed)
  })
  if (!result.ok) say(result.message)
  return parts.map(({ part, ...line }) => ({ group: part, ...line }))
}

function check(choice: ModelChoice, seed: number) {
  if (choice.family === 'classifier') {
    const model = createModel('classifier', { classes: CLASSES, ...choice.model })
    const classes = Array.from({ length: model.config.classes }, (_, i) => `${i}`)
    const draw = (generator: Generator) => drawLabelled(model.config, classes, generator)
    return gradcheckObjective(new ClassifierObjective(model, { classes }), draw, { seed })
  }
  const model = createModel(choice.family, choice.model)
  const draw = (generator: Generator) => drawPairs(model.config, generator)
  return gradcheckObjective(new ImageTextObjective(model), draw, { seed })
}

function drawImages(size: number, generator: Generator) {
  const imageShape = [BATCH, 3, size, size] as [number, 3, number, number]
  return { images: randn(imageShape, { dtype: 'float64', generator }).dataSync() as Float64Array, imageShape }
}

/** Random images and texts. */
const drawPairs = ({ image, text }: Pick<CoCaConfig, 'image' | 'text'>, generator: Generator): LossBatch => ({
  ...drawImages(image.size, generator),
  tokens: drawTexts(text, generator),
  tokenShape: [BATCH, text.context],
})

/** Random images, and classes for them. */
const drawLabelled = (
  { image }: Pick<CoCaConfig, 'image'>,
  classes: readonly string[],
  generator: Generator,
): LabelledBatch => ({
  ...drawImages(image.size, generator),
  labels: Array.from({ length: BATCH }, () => [classes[generator.integer(classes.length)]]),
})

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
