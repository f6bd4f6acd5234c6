// The gradients of the loss of a whole CoCa, of random images and texts.

import type { LossBatch } from '../../evaluate/inputs.ts'
import { readJson } from '../../io/index.ts'
import { CoCa, type CoCaConfig, presets } from '../../models/index.ts'
import { device, type Generator, randn, seed as setSeed } from '../../tensor/index.ts'
import { CoCaObjective, checkModelConfig, gradcheckObjective } from '../../train/index.ts'
import { say } from '../output.ts'
import type { Line } from './verdict.ts'

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

/** Checks the derivatives of the loss along one direction per part, at orders 1 and 2, in float64 on `reference`. */
export async function checkModel(config: CoCaConfig, seed: number): Promise<GroupLine[]> {
  const objective = device.with('reference', () => {
    setSeed(seed)
    return new CoCaObjective(new CoCa(config))
  })
  const { parts, result } = await gradcheckObjective(objective, generator => drawBatch(config, generator), { seed })
  if (!result.ok) say(result.message)
  return parts.map(({ part, ...line }) => ({ group: part, ...line }))
}

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
