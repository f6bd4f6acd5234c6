// The measurements of the demo, and the data of its report.

import { arch, cpus, platform } from 'node:os'
import {
  type CaptionedImage,
  COLOURS,
  type Colour,
  type ImageTextDataset,
  isHeldOut,
  pairName,
  pairNames,
  SHAPES,
  type ShapeName,
  SIZES,
  type Size,
} from '../data/index.ts'
import {
  type CaptioningResult,
  captioning,
  embedImages,
  embedTexts,
  type ImageSource,
  imageBatches,
  poolerAttention,
  retrieval,
  similarityMatrix,
  zeroShot,
} from '../evaluate/index.ts'
import { device, fromData, sidesOf } from '../tensor/index.ts'
import { type GuardMetrics, type Run, readMetrics, type StepMetrics } from '../train/index.ts'
import { demoSteps, demoTargets } from './config.ts'
import { pictureOf, type ReportData, type Target } from './report/report.ts'
import { type Figure, rangeOverSeeds } from './seeds.ts'
import { duration } from './words.ts'

export interface DemoData {
  readonly train: ImageTextDataset
  /** unseen pictures of seen pairs */
  readonly unseen: ImageTextDataset
  readonly heldOut: ImageTextDataset
}

export interface DemoResult {
  readonly targets: readonly Target[]
  readonly report: ReportData
}

interface Options {
  readonly signal: AbortSignal
}

/** The number of examples that the report shows. */
const SHOWN = { captions: 12, similarities: 10, confusions: 8, poolers: 6, strips: 2 }

export async function evaluateDemo(run: Run, data: DemoData, options: Options): Promise<DemoResult> {
  const { unseen, heldOut } = data
  const seen = await classify(run, unseen, options)
  const novel = await classify(run, heldOut, options)
  const found = await retrieval(run, unseen, options)
  const written = await captioning(run, unseen, options)
  const recall = Math.min(found.imageToText.recall[1], found.textToImage.recall[1])
  const figure = (key: Figure, name: string, value: number): Target => {
    const reached = { name, value, target: demoTargets[key] }
    // a shorter or longer training was not measured
    return run.step === demoSteps ? { ...reached, overSeeds: rangeOverSeeds(key) } : reached
  }
  const targets = [
    figure('zeroShotSeen', 'zero-shot names, pairs seen in training', accuracyOf(seen)),
    figure('zeroShotHeldOut', 'zero-shot names, held-out pairs', accuracyOf(novel)),
    figure('retrieval', `retrieval R@1 among ${found.images}, the worse direction`, recall),
    figure('captions', 'captions exactly right, pairs seen in training', written.exact),
  ]
  const metrics = await readMetrics(run.folder)
  const steps = metrics.filter((line): line is StepMetrics => line.kind === 'step')
  const seconds = steps.reduce((sum, step) => sum + step.seconds, 0)
  const parameters = run.model.parameterCount().toLocaleString('en')
  const pictures = data.train.length.toLocaleString('en')
  const ranking = (direction: string, { recall, medianRank }: typeof found.imageToText) => ({
    direction,
    recall,
    medianRank,
  })
  const report: ReportData = {
    title: `What CoCa learned from ${pictures} pictures`,
    lead: `A model of ${parameters} parameters was trained on ${pictures} pictures of coloured shapes and their captions for ${run.step.toLocaleString('en')} steps, in ${duration(seconds)}. All results below were measured on pictures it has not seen.`,
    targets,
    curve: steps,
    checks: metrics.filter((line): line is GuardMetrics => line.kind === 'guard'),
    captions: await sampleCaptions(unseen, written),
    similarity: await sampleSimilarity(run, unseen),
    zeroShot: { pairs: pairScores(seen, novel), confusions: confusionsOf(seen, novel) },
    retrieval: {
      pictures: found.images,
      rows: [ranking('picture → caption', found.imageToText), ranking('caption → picture', found.textToImage)],
    },
    grid: run.model.encoder.patches.grid,
    pooler: await samplePooler(run, unseen),
    tokens: await sampleTokens(run, unseen),
    settings: settingsOf(run, data, seconds),
    footer: `Written by cocagrad on ${new Date().toLocaleDateString('en-GB', { dateStyle: 'long' })}.`,
  }
  return { targets, report }
}

/** Some pictures of a source. */
const chosenOf = (source: ImageTextDataset, chosen: readonly { readonly index: number }[]): ImageSource => ({
  length: chosen.length,
  name: i => source.name(chosen[i].index),
  image: i => source.image(chosen[i].index),
})

/** The captions of one object without their article, size by size in the order of `pairNames`. */
const objectNames = SIZES.flatMap(size => pairNames.map(pair => `${size} ${pair}`))

/** The number of the caption of a picture of one object. */
function objectOf({ fields }: CaptionedImage): number | undefined {
  const objects = fields.objects as readonly {
    readonly size: Size
    readonly colour: Colour
    readonly shape: ShapeName
  }[]
  if (objects.length !== 1) return undefined
  const [{ size, colour, shape }] = objects
  return objectNames.indexOf(`${size} ${pairName(colour, shape)}`)
}

/** The number of pictures for each [true name][predicted name]. */
type Confusion = readonly (readonly number[])[]

/**
 * Gives each picture of one object the name in the nearest of the 96 captions of one object. The two captions of a name are not
 * averaged, as paraphrases are: they describe different pictures, and their mean is the embedding of neither.
 */
async function classify(run: Run, source: ImageTextDataset, options: Options): Promise<Confusion> {
  const known = source.examples.flatMap((example, index) => {
    const object = objectOf(example)
    return object === undefined ? [] : [{ index, object }]
  })
  const images = chosenOf(source, known)
  const labels = known.map(({ object }) => object)
  const { predictions } = await zeroShot(run, images, { ...options, classes: objectNames, labels })
  const confusion = pairNames.map(() => pairNames.map(() => 0))
  for (const [i, object] of labels.entries()) confusion[object % pairNames.length][predictions[i] % pairNames.length]++
  return confusion
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

/** Share of pictures with the right name. */
const accuracyOf = (confusion: Confusion): number =>
  sum(confusion.map((row, name) => row[name])) / sum(confusion.map(sum))

const pairScores = (seen: Confusion, novel: Confusion): ReportData['zeroShot']['pairs'] =>
  COLOURS.flatMap(colour =>
    SHAPES.map(shape => {
      const heldOut = isHeldOut(colour, shape)
      const name = pairNames.indexOf(pairName(colour, shape))
      const row = (heldOut ? novel : seen)[name]
      const count = sum(row)
      return { colour, shape, heldOut, count, accuracy: row[name] / Math.max(1, count) }
    }),
  )

/** The mistakes, most frequent first. */
const confusionsOf = (...results: readonly Confusion[]): ReportData['zeroShot']['confusions'] =>
  results
    .flatMap(confusion =>
      confusion.flatMap((row, truth) =>
        row.flatMap((count, answer) =>
          truth === answer || count === 0 ? [] : [{ truth: pairNames[truth], answer: pairNames[answer], count }],
        ),
      ),
    )
    .sort((a, b) => b.count - a.count)
    .slice(0, SHOWN.confusions)

/** The picture and the caption of an example. */
async function exampleOf(source: ImageTextDataset, index: number) {
  const caption = source.captions(index)[0]
  return { picture: pictureOf(await source.image(index), source.imageSize, caption), caption }
}

/** The first pictures that the model captioned right, and one in four with a wrong caption, if there are any. */
async function sampleCaptions(
  source: ImageTextDataset,
  { captions, right: isRight }: CaptioningResult,
): Promise<ReportData['captions']> {
  const wrong = isRight.flatMap((is, i) => (is ? [] : [i]))
  const right = isRight.flatMap((is, i) => (is ? [i] : []))
  const mistakes = wrong.slice(0, Math.max(SHOWN.captions / 4, SHOWN.captions - right.length))
  const chosen = [...right.slice(0, SHOWN.captions - mistakes.length), ...mistakes]
  return Promise.all(
    chosen.map(async index => {
      const { picture, caption } = await exampleOf(source, index)
      return { picture, reference: caption, generated: captions[index], isRight: isRight[index] }
    }),
  )
}

/** The first pictures whose captions differ. */
function distinct(source: ImageTextDataset, count: number, keep: (caption: string) => boolean = () => true) {
  const captions = source.examples.map((_, i) => source.captions(i)[0])
  const first = captions.flatMap((caption, i) => (captions.indexOf(caption) === i && keep(caption) ? [i] : []))
  return Promise.all(first.slice(0, count).map(index => exampleOf(source, index).then(shown => ({ index, ...shown }))))
}

async function sampleSimilarity(run: Run, source: ImageTextDataset): Promise<ReportData['similarity']> {
  const sample = await distinct(source, SHOWN.similarities)
  const captions = sample.map(({ caption }) => caption)
  const images = chosenOf(source, sample)
  const cosines = await similarityMatrix(await embedTexts(run, captions), await embedImages(run, images))
  const rows = captions.map((_, i) => Array.from(cosines.subarray(i * sample.length, (i + 1) * sample.length)))
  return { pictures: sample.map(({ picture }) => picture), captions, values: rows }
}

async function samplePooler(run: Run, source: ImageTextDataset): Promise<ReportData['pooler']> {
  const sample = await distinct(source, SHOWN.poolers)
  const images = chosenOf(source, sample)
  for await (const { pixels, shape } of imageBatches(run, images)) {
    const weights = await poolerAttention(run.model, fromData(pixels, shape)).data()
    const patches = weights.length / sample.length
    return sample.map(({ picture, caption }, i) => ({
      picture,
      caption,
      attention: weights.slice(i * patches, (i + 1) * patches),
    }))
  }
  return []
}

/** Captions of two objects in the form of the dataset. */
async function sampleTokens(run: Run, source: ImageTextDataset): Promise<ReportData['tokens']> {
  const { model, tokenizer } = run
  const sample = await distinct(source, SHOWN.strips, caption => caption.split(' ').length > 4)
  const images = chosenOf(source, sample)
  const strips: ReportData['tokens'][number][] = []
  for await (const { start, pixels, shape } of imageBatches(run, images, { batchSize: 1 })) {
    const { picture } = sample[start]
    const tokens: ReportData['tokens'][number]['tokens'][number][] = []
    const options = { start: tokenizer.start, end: tokenizer.end }
    for await (const { id, logProbability, attention } of model.stream(fromData(pixels, shape), options)) {
      const text = id === tokenizer.end ? '⟨end⟩' : tokenizer.decode([id])
      tokens.push({ text, probability: Math.exp(logProbability), attention })
    }
    const words = tokens.map(({ text }) => text).filter(text => text !== '⟨end⟩')
    strips.push({ picture, caption: words.join(' '), tokens })
  }
  return strips
}

function settingsOf({ config, model, step }: Run, data: DemoData, seconds: number): ReportData['settings'] {
  const { image, text, pooler, embedding } = config.model
  const { name, learningRate } = config.optimizer
  const layers = (n: number) => `${n} ${n === 1 ? 'layer' : 'layers'}`
  return {
    parameters: model.parameterCount().toLocaleString('en'),
    pictures: `${sidesOf(image.size).join(' × ')}, in patches of ${sidesOf(image.patch).join(' × ')}`,
    'vision transformer': `${layers(image.layers)}, width ${image.width}, ${image.heads} heads`,
    poolers: `${pooler.queries} queries, then 1; ${pooler.heads ?? text.heads} heads`,
    'text, unimodal': `${layers(text.unimodalLayers)}, width ${text.width}, ${text.heads} heads`,
    'text, multimodal': `${layers(text.multimodalLayers)}, looking at the image`,
    vocabulary: `${text.vocabulary} words, at most ${text.context} in a text`,
    embedding: `${embedding} numbers`,
    'training pictures': data.train.length.toLocaleString('en'),
    steps: `${step.toLocaleString('en')} of ${config.batchSize} pictures`,
    optimizer: `${name}, learning rate ${learningRate}, ${config.schedule}`,
    seed: String(config.seed),
    'training time': duration(seconds),
    device: `${device.current}: ${device.description}`,
    computer: `${cpus()[0]?.model.trim() ?? arch()}, ${cpus().length} cores, ${platform()}, Node ${process.versions.node}`,
  }
}
