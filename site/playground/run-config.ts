// The settings of a run of the playground as the config.json of Node's runs, and back.

import type { CoCaConfig } from 'cocagrad'
import { DataError } from 'cocagrad/data'
import { type Settings, SIDE } from './protocol.ts'

/** The pictures that runs of the playground are trained on: those of `cocagrad demo`. */
export const TRAINING = { count: 16_000, seed: 1, pairs: 'seen' } as const

/** The parts of a config.json that the page reads. */
export interface RunConfig {
  readonly family: string
  readonly model: CoCaConfig
  readonly data: string
  readonly validation: number
  readonly batchSize: number
  readonly steps: number
  readonly optimizer: {
    readonly name: string
    readonly learningRate: number
    readonly betas?: readonly [number, number]
    readonly epsilon?: number
    readonly weightDecay?: number
  }
  readonly schedule: 'constant' | 'linear' | 'cosine'
  readonly warmup?: number
  readonly clipNorm: number | null
  readonly equalCaptions: 'distinct' | 'positives' | 'ignore'
  readonly truncateCaptions?: boolean
  readonly seed: number
  readonly device: string
  readonly normalize: { readonly mean: readonly number[]; readonly std: readonly number[] }
}

/** The configuration of a new run, in which {@link SIDE}² pictures and short captions are learned in minutes. */
export function configOf(settings: Settings, text: { readonly vocabulary: number; readonly pad: number }): RunConfig {
  const { unimodalLayers, multimodalLayers, classTokens, classPosition, steps } = settings
  return {
    family: 'coca',
    model: {
      image: { size: SIDE, patch: 8, width: 48, layers: 2, heads: 4 },
      text: { ...text, context: 12, width: 48, heads: 4, unimodalLayers, multimodalLayers, classTokens, classPosition },
      pooler: { queries: settings.queries, heads: 4, arrangement: settings.arrangement },
      embedding: 48,
      temperature: { initial: settings.temperature, maximumScale: 16 },
      loss: { contrastive: { weight: settings.contrastive }, captioning: { weight: settings.captioning } },
    },
    data: 'runs/demo/data/train',
    validation: 0,
    batchSize: settings.batch,
    steps,
    optimizer: { name: 'adamw', learningRate: settings.learningRate, betas: [0.9, 0.99], weightDecay: 0.1 },
    schedule: 'cosine',
    warmup: Math.min(100, Math.floor(steps / 10)),
    clipNorm: 1,
    equalCaptions: 'ignore',
    seed: settings.seed,
    device: settings.device,
    // approximately the mean and the deviation of the pictures' pixels
    normalize: { mean: [0.4, 0.4, 0.4], std: [0.2, 0.2, 0.2] },
  }
}

/** The settings that a visitor sees of a configuration. */
export const settingsOf = ({ model, optimizer, ...config }: RunConfig): Settings => ({
  contrastive: model.loss?.contrastive?.weight ?? 1,
  captioning: model.loss?.captioning?.weight ?? 2,
  batch: config.batchSize,
  learningRate: optimizer.learningRate,
  queries: model.pooler.queries,
  arrangement: model.pooler.arrangement === 'parallel' ? 'parallel' : 'cascade',
  classTokens: model.text.classTokens ?? 1,
  classPosition: model.text.classPosition ?? 'last',
  unimodalLayers: model.text.unimodalLayers,
  multimodalLayers: model.text.multimodalLayers,
  temperature: model.temperature?.initial ?? 0.07,
  steps: config.steps,
  seed: config.seed,
  device: config.device === 'gpu' ? 'gpu' : 'cpu',
})

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) > 0
const isNumbers = (value: unknown) => Array.isArray(value) && value.every(Number.isFinite)

/**
 * Checks what the page reads of a config.json. The model checks its own part when it is made.
 * @throws DataError naming the field
 */
export function checkConfig(json: unknown): RunConfig {
  const file = 'config.json'
  const demand = (field: string, fits: boolean, what: string) => {
    if (!fits) throw new DataError(`${field} must be ${what}`, { file })
  }
  demand('the file', isRecord(json), 'an object of settings')
  const config = json as Readonly<Record<string, unknown>>
  if (config.family !== 'coca')
    throw new DataError(`is a run of a ${config.family}: this page opens runs of coca, the default family`, { file })
  demand('model', isRecord(config.model), 'an object of settings')
  const { image, text, pooler } = config.model as Readonly<Record<string, unknown>>
  for (const [field, part] of Object.entries({ image, text, pooler }))
    demand(`model.${field}`, isRecord(part), 'an object of settings')
  const { size, channels = 3 } = image as Readonly<Record<string, unknown>>
  if (size !== SIDE || channels !== 3)
    throw new DataError(
      `its pictures are of ${JSON.stringify(size)} pixels with ${channels} channels: this page shows those of ${SIDE} with 3, as Shapes are`,
      { file },
    )
  demand('batchSize', isCount(config.batchSize), 'a whole number above 0')
  demand('optimizer', isRecord(config.optimizer), 'an object of settings')
  const { learningRate } = config.optimizer as Readonly<Record<string, unknown>>
  demand('optimizer.learningRate', Number.isFinite(learningRate), 'a number')
  demand('seed', Number.isSafeInteger(config.seed), 'a whole number')
  const { mean, std } = isRecord(config.normalize) ? config.normalize : {}
  demand('normalize', isNumbers(mean) && isNumbers(std), 'the means and the deviations of channels')
  return config as unknown as RunConfig
}

/** Why a run of Node's cannot be trained on in the page, if it cannot. */
export function obstacleOf(config: RunConfig): string | undefined {
  const { optimizer, ...others } = config as RunConfig & Readonly<Record<string, unknown>>
  const { name, ...options } = optimizer as RunConfig['optimizer'] & Readonly<Record<string, unknown>>
  if (name !== 'adamw') return `its optimizer is ${name}`
  const isSet = (value: unknown) =>
    value !== undefined && value !== false && !(typeof value === 'object' && Object.keys(value ?? {}).length === 0)
  for (const field of ['rates', 'layerDecay', 'moments', 'inBackward'])
    if (isSet(options[field])) return `it has the setting optimizer.${field}`
  for (const field of ['ema', 'augment', 'freeze', 'truncateCaptions'])
    if (isSet(others[field])) return `it has the setting ${field}`
  if (others.accumulate !== undefined && others.accumulate !== 1) return 'it has the setting accumulate'
  if (config.steps === undefined) return 'its length is in epochs'
  return undefined
}
