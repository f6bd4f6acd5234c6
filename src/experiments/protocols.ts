// The protocols of an experiment: each measures a run, and says whether it applies to the run's model.

import { ClipDataset, ImageTextDataset, pairNames, picturesFor, SIZES } from '../data/index.ts'
import {
  captioning,
  type EmbeddingModel,
  type EvaluateOptions,
  isCaptionModel,
  isEmbeddingModel,
  type RetrievalResult,
  retrieval,
  zeroShot,
} from '../evaluate/index.ts'
import type { FamilyName } from '../models/index.ts'
import { evaluateRun, type Run, type RunConfig } from '../train/index.ts'
import type { ProtocolConfig } from './config.ts'
import { ExperimentError } from './ledger.ts'

/** A number that a protocol gives. */
export interface ProtocolMeasure {
  /** its name in the values of a part */
  readonly key: string
  readonly title: string
  readonly unit: 'share' | 'number' | 'ratio'
}

const share = (key: string, title: string): ProtocolMeasure => ({ key, title, unit: 'share' })

/** The measures of a protocol that are shown. */
export function measuresOf(config: ProtocolConfig): readonly ProtocolMeasure[] {
  const { protocol, title } = config
  switch (protocol) {
    case 'retrieval':
      return [
        share('imageToTextR1', `${title}, image → text R@1`),
        share('textToImageR1', `${title}, text → image R@1`),
      ]
    case 'captioning':
      return [share('exact', `${title}, exactly right`), { key: 'ciderD', title: `${title}, CIDEr-D`, unit: 'number' }]
    case 'cost':
      return [{ key: 'ratio', title, unit: 'ratio' }]
    default:
      return [share('accuracy', title)]
  }
}

/**
 * What zero-shot classification chooses from: every object with its size. A picture is named rightly if colour and shape are right.
 * The two sizes of a name are not averaged as prompts are, because they describe different pictures.
 */
const OBJECTS = SIZES.flatMap(size => pairNames.map(pair => `${size} ${pair}`))

type ModelProtocol = Exclude<ProtocolConfig, { protocol: 'cost' | 'task' }>

/** Whether a model with these settings is trained for what a protocol measures. */
export function applies(config: ProtocolConfig, { family, model }: RunConfig): boolean {
  const { protocol } = config
  const { contrastive, captioning } = (family === 'coca' && model.loss) || {}
  switch (protocol) {
    case 'zero-shot':
    case 'retrieval':
      return family === 'dual-encoder' || (family === 'coca' && contrastive?.weight !== 0)
    case 'captioning':
      return family === 'captioner' || (family === 'coca' && captioning?.weight !== 0)
    case 'own':
      return family === 'classifier'
    case 'task':
      // the other tasks need the encoder only
      return config.run.family !== 'multimodal-classifier' || family === 'coca'
    default:
      return true
  }
}

/**
 * Measures a run on a folder of data.
 * @param data the folder
 */
export async function measure(
  config: ModelProtocol,
  run: Run<FamilyName>,
  data: string,
  options: Pick<EvaluateOptions, 'signal' | 'onProgress'>,
): Promise<Readonly<Record<string, number>>> {
  if (config.protocol === 'own') return evaluateRun(run, data)
  const { model, tokenizer, normalize } = run as Extract<Run<FamilyName>, { tokenizer: unknown }>
  const { pixels } = run.config
  const reading = { ...picturesFor(model.config.image), ...(pixels && { pixels }) }
  if (config.protocol === 'retrieval' && config.frames !== undefined) {
    const clips = await ClipDataset.open(data, { ...reading, frames: config.frames })
    return ranking(await retrieval({ model: model as EmbeddingModel, tokenizer, normalize }, clips, options))
  }
  const source = await ImageTextDataset.open(data, reading)
  if (config.protocol === 'captioning' && isCaptionModel(model)) {
    const { exact, tokenAccuracy, bleu4, ciderD } = await captioning({ model, tokenizer, normalize }, source, options)
    return { exact, tokenAccuracy, bleu4, ciderD }
  }
  if (!isEmbeddingModel(model))
    throw new ExperimentError(`${config.protocol} does not apply to this model`, { file: data })
  const trained = { model, tokenizer, normalize }
  if (config.protocol === 'retrieval') return ranking(await retrieval(trained, source, options))
  const labels = source.examples.map(({ fields }, i) => {
    const pair = pairNames.indexOf(String(fields.label))
    if (pair < 0)
      throw new ExperimentError(
        `image ${i} has no label that is a name of Shapes: zero-shot needs pictures of one object, "objects": 1 in the data of the experiment`,
        { file: data },
      )
    return SIZES.map((_, size) => size * pairNames.length + pair)
  })
  const { accuracy } = await zeroShot(trained, source, { ...options, classes: OBJECTS, labels })
  return { accuracy }
}

const ranking = ({ imageToText, textToImage }: RetrievalResult): Readonly<Record<string, number>> => ({
  imageToTextR1: imageToText.recall[1],
  imageToTextR5: imageToText.recall[5],
  imageToTextR10: imageToText.recall[10],
  textToImageR1: textToImage.recall[1],
  textToImageR5: textToImage.recall[5],
  textToImageR10: textToImage.recall[10],
})
