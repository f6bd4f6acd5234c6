// The gradients of the loss of a whole model. All parameters of a part of the model are moved at once along a random
// direction, so the first and second derivatives with respect to millions of parameters become a few numbers, and an
// error in any of them shows in one of these. Parameters are moved by less, the more the loss depends on them, so that
// none hides another.

import { gradcheck, vjp } from '../../autograd/index.ts'
import type { LossBatch } from '../../evaluate/inputs.ts'
import { readJson } from '../../io/index.ts'
import { type CoCaConfig, createModel, type FamilyName, presets } from '../../models/index.ts'
import { withParameters } from '../../nn/index.ts'
import { device, Generator, onesLike, randn, seed as setSeed, type Tensor, zeros } from '../../tensor/index.ts'
import {
  ClassifierObjective,
  checkModelConfig,
  ImageTextObjective,
  type LabelledBatch,
  lossesOf,
  type ModelChoice,
  type Objective,
} from '../../train/index.ts'
import { say } from '../output.ts'
import { type Line, lineOf } from './verdict.ts'

export interface GroupLine extends Line {
  readonly group: string
  readonly parameters: number
}

/**
 * A preset's name, or a JSON file with a model's configuration or a run's.
 * @param family of a preset; a file says its own
 * @throws FileError, RunConfigError
 */
export async function modelChoice(name: string, family?: FamilyName): Promise<ModelChoice> {
  if (Object.keys(presets).includes(name)) return checkModelConfig({ family, model: name })
  const json = await readJson(name)
  return checkModelConfig(family === undefined ? json : { family, model: json }, name)
}

/** Two images and texts: the smallest batch for a contrastive loss. */
const BATCH = 2

/** Deviation of the noise that is added to the initial parameters, so that none is a special case. */
const DEVIATION = 0.1

/** The lower bound of a gradient's size relative to the largest: some are only rounding, such as those of keys' biases. */
const SMALL = 1e-3

/** The part of a model that a parameter belongs to: a numbered block, or a field of the model. */
const groupOf = (name: string): string => /^(.*?\.\d+)\./.exec(name)?.[1] ?? name.split('.')[0]

/** The classes of a classifier whose configuration leaves them to its data. */
const CLASSES = 3

/** Checks the derivatives of the loss along one direction per part, at orders 1 and 2, in float64 on `reference`. */
export const checkModel = (choice: ModelChoice, seed: number): GroupLine[] =>
  device.with('reference', () => {
    setSeed(seed)
    if (choice.family === 'classifier') {
      const model = createModel('classifier', { classes: CLASSES, ...choice.model })
      const classes = Array.from({ length: model.config.classes }, (_, i) => `${i}`)
      const draw = (generator: Generator) => drawLabelled(model.config, classes, generator)
      return checkObjective(new ClassifierObjective(model, { classes }), draw, seed)
    }
    const model = createModel(choice.family, choice.model)
    return checkObjective(new ImageTextObjective(model), generator => drawPairs(model.config, generator), seed)
  })

/**
 * Checks the derivatives of any loss along one direction a part, at orders 1 and 2, in float64 on `reference`.
 * @param draw makes a batch
 */
export const checkObjective = <Batch>(
  objective: Objective<Batch>,
  draw: (generator: Generator) => Batch,
  seed: number,
): GroupLine[] =>
  device.with('reference', () => {
    const model = objective.model.eval()
    const generator = new Generator(seed).fork('gradcheck')
    const named = [...model.namedParameters()]
    const groups = [...new Set(named.map(([name]) => groupOf(name)))]
    const values = named.map(([, parameter]) =>
      parameter.add(randn(parameter.shape, { dtype: 'float64', generator }).mul(DEVIATION)),
    )
    const batch = draw(generator)
    const lossAt = (...parameters: Tensor[]): Tensor =>
      withParameters(model, parameters, () => lossesOf(objective, batch).total)
    const [value, pullback] = vjp(lossAt, ...values)
    const sizes = pullback(onesLike(value)).map(g => Math.sqrt(g.square().sum().dataSync()[0]))
    const least = Math.max(...sizes) * SMALL
    const directions = values.map(({ shape }, i) =>
      randn(shape, { dtype: 'float64', generator }).div(Math.max(sizes[i], least)),
    )
    const loss = (...steps: Tensor[]): Tensor =>
      lossAt(...values.map((value, i) => value.add(directions[i].mul(steps[groups.indexOf(groupOf(named[i][0]))]))))
    const result = gradcheck(
      loss,
      groups.map(() => zeros([], { dtype: 'float64' })),
      { order: 2 },
    )
    if (!result.ok) say(result.message)
    return groups.flatMap((group, input) =>
      ([1, 2] as const).map(order => ({
        group,
        parameters: named.filter(([name]) => groupOf(name) === group).reduce((sum, [, { size }]) => sum + size, 0),
        ...lineOf(
          order,
          result.parts.filter(part => part.input === input && part.order === order),
          [result],
        ),
      })),
    )
  })

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
