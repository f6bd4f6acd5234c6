// The gradients of the loss of a whole model. All parameters of a part of the model are moved at once along a random
// direction, so the first and second derivatives with respect to millions of parameters become a few numbers, and an
// error in any of them shows in one of these. Parameters are moved by less, the more the loss depends on them, so that
// none hides another.

import { gradcheck, vjp } from '../../autograd/index.ts'
import type { LossBatch } from '../../evaluate/inputs.ts'
import { readJson } from '../../io/index.ts'
import { CoCa, type CoCaConfig, presets } from '../../models/index.ts'
import { withParameters } from '../../nn/index.ts'
import { device, Generator, onesLike, randn, seed as setSeed, type Tensor, zeros } from '../../tensor/index.ts'
import { CoCaObjective, checkModelConfig, lossesOf, type Objective } from '../../train/index.ts'
import { say } from '../output.ts'
import { type Line, lineOf } from './verdict.ts'

export interface GroupLine extends Line {
  readonly group: string
  readonly parameters: number
}

/** A preset's name, or a JSON file with a CoCa's configuration or a run's. @throws FileError, RunConfigError */
export async function modelConfig(name: string): Promise<CoCaConfig> {
  if (Object.keys(presets).includes(name)) return presets[name as keyof typeof presets]
  return checkModelConfig(await readJson(name), name)
}

/** Two images and texts: the smallest batch for a contrastive loss. */
const BATCH = 2

/** Deviation of the noise that is added to the initial parameters, so that none is a special case. */
const DEVIATION = 0.1

/** The lower bound of a gradient's size relative to the largest: some are only rounding, such as those of keys' biases. */
const SMALL = 1e-3

/** The part of a model that a parameter belongs to: a numbered block, or a field of the model. */
const groupOf = (name: string): string => /^(.*?\.\d+)\./.exec(name)?.[1] ?? name.split('.')[0]

/** Checks the derivatives of the loss along one direction per part, at orders 1 and 2, in float64 on `reference`. */
export const checkModel = (config: CoCaConfig, seed: number): GroupLine[] =>
  device.with('reference', () => {
    setSeed(seed)
    return checkObjective(new CoCaObjective(new CoCa(config)), generator => drawBatch(config, generator), seed)
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

/** Random images and texts. */
function drawBatch({ image: { size }, text }: CoCaConfig, generator: Generator): LossBatch {
  const images = randn([BATCH, 3, size, size], { dtype: 'float64', generator }).dataSync() as Float64Array
  return {
    images,
    imageShape: [BATCH, 3, size, size],
    tokens: drawTexts(text, generator),
    tokenShape: [BATCH, text.context],
  }
}

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
