// The protocols of evaluation by name: what each needs of a model and of data, what it measures, and how it is done. A program
// or a command that knows this table knows all of them, so a new protocol is one more entry here.

import { classesOf, type ImageTextSource, type MultiImageSource, type Tokenizer } from '../data/index.ts'
import { DataError } from '../io/index.ts'
import { type ImageTextModel, MultimodalClassifier, VideoClassifier } from '../models/index.ts'
import type { Module } from '../nn/index.ts'
import { firstFew } from '../tensor/first-few.ts'
import { listed } from '../tensor/given.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { type CaptioningResult, captioning } from './captioning.ts'
import {
  classLabels,
  type LabelledResult,
  labelledClassification,
  noneKnown,
  type TrainedClassifier,
} from './classification.ts'
import { type EvaluateOptions, evaluateOptions, isClipSource } from './embeddings.ts'
import { lossBatchSize, type MeanLoss, meanLoss } from './mean-loss.ts'
import { type Ranking, type RetrievalResult, retrieval } from './retrieval.ts'
import {
  type CaptionModel,
  type EmbeddingModel,
  isCaptionModel,
  isEmbeddingModel,
  type Normalized,
  type TrainedModel,
} from './trained-model.ts'
import { promptsOf, unknownWords, type ZeroShotResult, zeroShot } from './zero-shot.ts'

/** The protocols, in the order of their results. */
export const protocolNames = ['loss', 'retrieval', 'captioning', 'zero-shot', 'classification'] as const
/** The name of a protocol. */
export type ProtocolName = (typeof protocolNames)[number]

/** A model of any family, with what is needed to use it. */
export interface EvaluatedModel extends Normalized {
  /** the model, with its weights */
  readonly model: Module
  /** of a model of images and texts */
  readonly tokenizer?: Tokenizer
  /** of a classifier: the names of its classes */
  readonly classes?: readonly string[]
}

/** Images or clips, with captions, labels or both; `openAnyData` opens them. */
export type EvaluatedData = ImageTextSource | MultiImageSource

/** Options of `evaluateModel`. */
export interface EvaluateModelOptions extends EvaluateOptions {
  /** the protocols to use, each of which has to apply; default all that apply to the model and the data */
  readonly protocols?: readonly ProtocolName[]
  /** zero-shot: the names of the classes; default the labels of the data */
  readonly classes?: readonly string[]
  /** zero-shot: sentences in which {} is replaced by a class; default 'a {}' */
  readonly templates?: readonly string[]
}
const isNames = is.optional(is.list as is.Kind<readonly string[]>)
const evaluateModelOptions = {
  ...evaluateOptions,
  protocols: is.optional(
    new is.Kind<readonly ProtocolName[]>(
      `a list of ${listed(
        protocolNames.map(name => `'${name}'`),
        'and',
      )}`,
      x => Array.isArray(x) && x.every(name => protocolNames.includes(name)),
    ),
  ),
  classes: isNames,
  templates: isNames,
} satisfies Settings<EvaluateModelOptions>

/** A number that a protocol measures. */
export interface Measure {
  /** its name in a record of results */
  readonly key: string
  /** its name for people */
  readonly name: string
  /** a share of examples in [0, 1], or a number of any size */
  readonly unit: 'share' | 'number'
  /** which values are better */
  readonly better: 'higher' | 'lower'
}

/** The result of a protocol. */
export interface Evaluation {
  /** the protocol that was used */
  readonly protocol: ProtocolName
  /** number of examples that were used */
  readonly examples: number
  /** the options that the values depend on, besides the model and the data */
  readonly options: Readonly<Record<string, unknown>>
  /** by the keys of the protocol's measures, in their order; a measure that does not apply is absent */
  readonly values: Readonly<Record<string, number>>
  /** how the measures are called here, by their keys, if not as always */
  readonly names: Readonly<Record<string, string>>
  /** shares of parts of the examples, such as those of a class */
  readonly details: readonly { readonly name: string; readonly count: number; readonly value: number }[]
  /** what a person should know about the values */
  readonly note?: string
  /** the fields of the answer in JSON */
  readonly json: Readonly<Record<string, unknown>>
}

/** A protocol that does not apply to a model or to data. */
export class ProtocolError extends DataError {}

/** What is evaluated, and how. */
interface Subject {
  readonly trained: EvaluatedModel
  readonly data: EvaluatedData
  readonly options: EvaluateOptions
  /** zero-shot: the names of the classes and the sentences, if they are given */
  readonly prompts: Pick<EvaluateModelOptions, 'classes' | 'templates'>
  /** the examples whose classes are known */
  readonly labelled: () => LabelledPart
}

/** A way to evaluate a model: what it measures, what it needs, and how it runs. */
export interface Protocol {
  /** its name */
  readonly name: ProtocolName
  /** one sentence */
  readonly about: string
  /** what it measures */
  readonly measures: readonly Measure[]
  /** why a model cannot be measured, as the end of a sentence; undefined if it can */
  readonly lacksModel: (model: EvaluatedModel) => string | undefined
  /** the same for data, for a model that can be measured */
  readonly lacksData: (subject: Subject) => string | undefined
  /** runs it on a model and data that it applies to */
  readonly evaluate: (subject: Subject) => Promise<Evaluation>
}

/** The entry of a protocol with results R. */
interface Definition<R> extends Omit<Protocol, 'name' | 'measures' | 'evaluate'> {
  /** @returns the number, or undefined if the measure does not apply */
  readonly measures: readonly (Measure & { readonly of: (result: R) => number | undefined })[]
  readonly run: (subject: Subject) => Promise<R>
  readonly json: (result: R) => Readonly<Record<string, unknown>>
  readonly details?: (result: R) => Evaluation['details']
  readonly names?: (result: R) => Evaluation['names']
  /** default all examples of the data, no options and no note */
  readonly used?: (subject: Subject) => Pick<Evaluation, 'examples' | 'options' | 'note'>
}

function protocol<R>(name: ProtocolName, definition: Definition<R>): Protocol {
  const { about, measures, lacksModel, lacksData, run, json, details, names, used } = definition
  return {
    name,
    about,
    measures: measures.map(({ of: _, ...measure }) => measure),
    lacksModel,
    lacksData,
    async evaluate(subject) {
      const { data } = subject
      const { examples, options, note } = used?.(subject) ?? { examples: data.length, options: {} }
      const result = await run(subject)
      const values = measures.flatMap(({ key, of }) => {
        const value = of(result)
        return value === undefined ? [] : [[key, value]]
      })
      return {
        protocol: name,
        examples,
        options: { ...options, ...(isClipSource(data) && { frames: data.imagesPerExample }) },
        values: Object.fromEntries(values),
        names: names?.(result) ?? {},
        details: details?.(result) ?? [],
        ...(note !== undefined && { note }),
        json: json(result),
      }
    },
  }
}

// ---- What protocols need ----

const isTextModel = ({ model, tokenizer }: EvaluatedModel): boolean =>
  tokenizer !== undefined && (isEmbeddingModel(model) || isCaptionModel(model))

const lacksTexts = (trained: EvaluatedModel): string | undefined =>
  isTextModel(trained) ? undefined : 'the model has no loss of images and captions'

const lacksEmbeddings = ({ model }: EvaluatedModel): string | undefined =>
  isEmbeddingModel(model) ? undefined : 'the model does not embed images and texts in one space'

/** Why there are no captions to compare with; the names of classes are not captions. */
function lacksCaptions({ data }: Subject): string | undefined {
  const indices = Array.from({ length: data.length }, (_, i) => i)
  const without = indices.find(i => data.captions(i).length === 0)
  if (without !== undefined) return `${data.name(without)} has no caption`
  const hasOwn = indices.some(i => data.captions(i).some(caption => !data.labels?.(i).includes(caption)))
  return hasOwn ? undefined : 'the data has classes and no captions'
}

const lacksImages = ({ data }: Pick<Subject, 'data'>): string | undefined =>
  isClipSource(data) ? 'it needs single images, and the data are clips' : undefined

// ---- The protocols ----

const share = { unit: 'share', better: 'higher' } as const
const lossMeasure = { unit: 'number', better: 'lower' } as const

/** Of the contrastive loss, which depends on it, the size of a batch. */
const batchOf = ({ data, options }: Subject): number =>
  lossBatchSize(data.length, options.batchSize ?? evaluateOptions.batchSize.value)

const loss = protocol<MeanLoss & { readonly batch: number }>('loss', {
  about: 'the losses of images and their first captions',
  lacksModel: lacksTexts,
  lacksData: subject => lacksImages(subject) ?? lacksCaptions(subject),
  used: subject => {
    const { data, trained } = subject
    if (!isEmbeddingModel(trained.model)) return { examples: data.length, options: {} }
    const batch = batchOf(subject)
    return {
      examples: data.length,
      options: { batchSize: batch },
      note: `the contrastive loss is measured in batches of ${batch} images; it is larger for larger batches, so compare it only for equal ones`,
    }
  },
  run: async subject => {
    const { trained, data, options } = subject
    const losses = await meanLoss(trained as TrainedModel<ImageTextModel>, data as ImageTextSource, options)
    return { ...losses, batch: batchOf(subject) }
  },
  measures: [
    { key: 'loss', name: 'loss', ...lossMeasure, of: losses => losses.loss },
    // a loss that has one part is that part
    {
      key: 'contrastive',
      name: '  contrastive',
      ...lossMeasure,
      of: ({ loss, contrastive: part }) => other(part, loss),
    },
    { key: 'captioning', name: '  captioning', ...lossMeasure, of: ({ loss, captioning: part }) => other(part, loss) },
  ],
  names: ({ loss, contrastive: part, batch }): Evaluation['names'] => {
    if (part === undefined) return {}
    return part === loss ? { loss: `loss, batches of ${batch}` } : { contrastive: `  contrastive, batches of ${batch}` }
  },
  json: ({ batch, ...losses }) => ({
    losses: { ...losses, ...(losses.contrastive !== undefined && { batchSize: batch }) },
  }),
})

const other = (part: number | undefined, whole: number): number | undefined => (part === whole ? undefined : part)

const directions = [
  ['imageToText', 'image → text'],
  ['textToImage', 'text → image'],
] as const
const withoutRanks = ({ recall, medianRank }: Ranking) => ({ recall, medianRank })

const ranking = protocol<RetrievalResult>('retrieval', {
  about: 'R@1, R@5 and R@10 among all images or clips and all captions, both ways',
  lacksModel: lacksEmbeddings,
  lacksData: lacksCaptions,
  run: ({ trained, data, options }) => retrieval(trained as TrainedModel<EmbeddingModel>, data, options),
  measures: directions.flatMap(([direction, arrow]) =>
    ([1, 5, 10] as const).map(k => ({
      key: `${direction}.${k}`,
      name: `${arrow} R@${k}`,
      ...share,
      of: (result: RetrievalResult) => result[direction].recall[k],
    })),
  ),
  json: ({ texts, imageToText, textToImage }) => ({
    texts,
    retrieval: { imageToText: withoutRanks(imageToText), textToImage: withoutRanks(textToImage) },
  }),
})

const writing = protocol<CaptioningResult>('captioning', {
  about: 'captions that the model writes, compared with those of the data',
  lacksModel: ({ model }) => (isCaptionModel(model) ? undefined : 'the model does not write captions'),
  lacksData: subject => lacksImages(subject) ?? lacksCaptions(subject),
  run: ({ trained, data, options }) =>
    captioning(trained as TrainedModel<CaptionModel>, data as ImageTextSource, options),
  measures: [
    { key: 'exact', name: 'captions exactly right', ...share, of: ({ exact }) => exact },
    { key: 'tokenAccuracy', name: 'tokens right', ...share, of: ({ tokenAccuracy }) => tokenAccuracy },
    { key: 'bleu4', name: 'BLEU-4', unit: 'number', better: 'higher', of: ({ bleu4 }) => bleu4 },
    { key: 'ciderD', name: 'CIDEr-D', unit: 'number', better: 'higher', of: ({ ciderD }) => ciderD },
  ],
  json: ({ exact, tokenAccuracy, bleu4, ciderD }) => ({ captioning: { exact, tokenAccuracy, bleu4, ciderD } }),
})

/** Undefined if all classes have as many examples: then the mean over classes is the share of all. */
function meanOfUneven({ perClass, meanPerClass }: Pick<ZeroShotResult, 'perClass' | 'meanPerClass'>) {
  return perClass.every(({ count }) => count === perClass[0].count) ? undefined : meanPerClass
}

const naming = protocol<ZeroShotResult & { readonly images: number }>('zero-shot', {
  about: 'classes by the nearest prompt: top-1, top-5 and the mean over classes',
  lacksModel: lacksEmbeddings,
  lacksData: ({ prompts, labelled }) => {
    const { classes, indices } = labelled()
    if (prompts.classes && indices.length === 0)
      return `no image has a field "label" or a caption with one of ${classes.slice(0, 5).join(', ')}`
    if (indices.length === 0) return 'the data has no labels'
    return classes.length === 1 ? `there is one class, '${classes[0]}', and it needs several` : undefined
  },
  used: ({ trained, data, prompts: { classes, templates }, labelled }) => {
    const part = labelled()
    const examples = part.indices.length
    const left = data.length - examples
    const strange = unknownWords(trained.tokenizer!, promptsOf(part.classes, templates ?? ['a {}']))
    const notes = [
      ...(left > 0 ? [`${left} of ${data.length} images match no label, or several`] : []),
      ...(strange.length > 0 ? [`the model does not know ${strange.map(word => `'${word}'`).join(', ')}`] : []),
    ]
    return {
      examples,
      options: { ...(classes && { classes }), ...(templates && { templates }) },
      ...(notes.length > 0 && { note: notes.join('; ') }),
    }
  },
  run: async ({ trained, data, options, prompts: { templates }, labelled }) => {
    const { classes, labels, indices } = labelled()
    const chosen = { length: indices.length, name: (i: number) => data.name(indices[i]) }
    const images = isClipSource(data)
      ? { ...chosen, imagesPerExample: data.imagesPerExample, images: (i: number) => data.images(indices[i]) }
      : { ...chosen, image: (i: number) => data.image(indices[i]) }
    const settings = { ...options, classes, templates, labels }
    return {
      ...(await zeroShot(trained as TrainedModel<EmbeddingModel>, images, settings)),
      images: indices.length,
    }
  },
  measures: [
    { key: 'accuracy', name: 'zero-shot top-1', ...share, of: ({ accuracy }) => accuracy },
    { key: 'top5', name: 'zero-shot top-5', ...share, of: ({ top5 }) => top5 },
    { key: 'meanPerClass', name: 'zero-shot top-1, mean over classes', ...share, of: meanOfUneven },
  ],
  names: ({ perClass }) => ({ accuracy: `zero-shot top-1 of ${perClass.length} classes` }),
  json: ({ accuracy, top5, meanPerClass, images, perClass }) => ({
    zeroShot: { accuracy, ...(top5 !== undefined && { top5 }), meanPerClass, images, perClass },
  }),
})

/** The examples whose classes are known, and their classes by number. */
interface LabelledPart {
  readonly classes: readonly string[]
  readonly indices: readonly number[]
  readonly labels: readonly (readonly number[])[]
}

/**
 * The examples that have one of some classes. If classes are given, and none of them is a label of an example, the only one that
 * its first caption contains is its class.
 * @param given default all labels of the data
 */
function labelledPart(data: EvaluatedData, given: readonly string[] | undefined): LabelledPart {
  const all = Array.from({ length: data.length }, (_, i) => data.labels?.(i) ?? [])
  const classes = given ?? classesOf(all.map(labels => ({ labels })))
  const numbers = new Map(classes.map((name, i) => [name, i]))
  const found = all.map((labels, i) => {
    const own = labels.flatMap(label => numbers.get(label) ?? [])
    if (own.length > 0 || !given) return own
    const [caption = ''] = data.captions(i)
    const inside = classes.flatMap((name, number) => (contains(caption, name) ? [number] : []))
    return inside.length === 1 ? inside : []
  })
  const indices = found.flatMap((own, i) => (own.length > 0 ? [i] : []))
  return { classes, indices, labels: indices.map(i => found[i]) }
}

/** Whether a text contains a sequence of whole words. */
const contains = (text: string, words: string): boolean =>
  ` ${text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, ' ')} `.includes(` ${words.toLowerCase()} `)

/** Why a classifier cannot take the examples. */
function lacksInputs({ trained: { model }, data }: Subject): string | undefined {
  const count = isClipSource(data) ? data.imagesPerExample : 1
  if (model instanceof VideoClassifier) {
    const { frames } = model
    return isClipSource(data) && count === frames ? undefined : `the model reads clips of ${frames} frames`
  }
  if (!(model instanceof MultimodalClassifier)) return lacksImages({ data })
  const { images } = model.settings
  return count === images ? undefined : `the model reads a text with ${images === 1 ? 'one image' : `${images} images`}`
}

const classifying = protocol<LabelledResult>('classification', {
  about: 'the classes of a classifier: its loss, top-1, top-5 and the mean over classes',
  lacksModel: ({ classes }) => (classes ? undefined : 'the model is not a classifier'),
  lacksData: subject => {
    const { data, trained } = subject
    const unfit = lacksInputs(subject)
    if (unfit !== undefined) return unfit
    for (let i = 0; i < data.length; i++) {
      if ((data.labels?.(i) ?? []).length === 0) return `${data.name(i)} has no label`
    }
    const { unknown } = classLabels(data, trained.classes!)
    return unknown.size < data.length ? undefined : noneKnown([...unknown.values()].flat(), trained.classes!)
  },
  used: ({ data, trained }) => {
    const { unknown } = classLabels(data, trained.classes!)
    const names = firstFew([...new Set([...unknown.values()].flat())])
    return {
      examples: data.length,
      options: {},
      ...(unknown.size > 0 && {
        note: `${unknown.size} of ${data.length} examples have a class that the model does not have (${names}): they count as wrong, and the loss leaves them out`,
      }),
    }
  },
  run: ({ trained, data, options: { truncate: _, ...options } }) =>
    labelledClassification(trained as TrainedClassifier, data, {
      ...options,
      classes: trained.classes!,
    }),
  measures: [
    { key: 'loss', name: 'loss', ...lossMeasure, of: result => result.loss },
    { key: 'accuracy', name: 'top-1', ...share, of: ({ accuracy }) => accuracy },
    { key: 'top5', name: 'top-5', ...share, of: ({ top5 }) => top5 },
    { key: 'meanPerClass', name: 'top-1, mean over classes', ...share, of: meanOfUneven },
  ],
  details: ({ perClass }) => perClass.map(({ class: name, count, accuracy: value }) => ({ name, count, value })),
  json: result => ({ ...result }),
})

/** All protocols by name. */
export const protocols: Readonly<Record<ProtocolName, Protocol>> = {
  loss,
  retrieval: ranking,
  captioning: writing,
  'zero-shot': naming,
  classification: classifying,
}

/** Why a protocol does not apply, as the end of a sentence; undefined if it does. */
const lacks = ({ lacksModel, lacksData }: Protocol, subject: Subject): string | undefined =>
  lacksModel(subject.trained) ?? lacksData(subject)

/**
 * Measures a model of any family on images or clips, by all protocols that apply or by those that are named.
 *
 *     const data = await openAnyData('shapes', picturesFor(run.model.config.image))
 *     const results = await evaluateModel(run, data, { protocols: ['zero-shot', 'retrieval'] })
 *     console.log(results[0].values.accuracy)
 *
 * @throws ProtocolError if a protocol that is named does not apply, or none does, with the reasons; so does zero-shot if classes or
 *   templates are given for it
 * @throws NonFiniteError naming an example for which the model's result is not finite
 */
export async function evaluateModel(
  trained: EvaluatedModel,
  data: EvaluatedData,
  options?: EvaluateModelOptions,
): Promise<Evaluation[]> {
  const call = 'evaluateModel(trained, data, options)'
  const { protocols: wanted, classes, templates, ...others } = settle(call, options, evaluateModelOptions)
  let part: LabelledPart | undefined
  const labelled = () => {
    part ??= labelledPart(data, classes)
    return part
  }
  const subject: Subject = { trained, data, options: others, prompts: { classes, templates }, labelled }
  const all = protocolNames.map(name => ({ name, why: lacks(protocols[name], subject) }))
  const named = wanted && all.filter(({ name }) => wanted.includes(name))
  if ((classes || templates) && wanted && !wanted.includes('zero-shot'))
    throw new ProtocolError('classes and templates are for zero-shot, which is not one of the protocols')
  // prompts that are given are to be used
  const prompted = classes || templates ? all.filter(({ name }) => name === 'zero-shot') : []
  const missing = (named ?? prompted).find(({ why }) => why !== undefined)
  if (missing) throw new ProtocolError(`${missing.name} does not apply: ${missing.why}`)
  const chosen = (named ?? all).filter(({ why }) => why === undefined)
  if (chosen.length === 0) {
    const reasons = all.flatMap(({ name, why }) => (protocols[name].lacksModel(trained) ? [] : [`${name}: ${why}`]))
    throw new ProtocolError(
      reasons.length === 0 ? 'no protocol applies to this model' : `no protocol applies: ${reasons.join('; ')}`,
    )
  }
  const results: Evaluation[] = []
  for (const { name } of chosen) results.push(await protocols[name].evaluate(subject))
  return results
}
