// `cocagrad evaluate`: evaluates a model on pictures with captions, by the protocols of the paper.

import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { type ImageTextSource, openData, ShardDataset } from '../../data/index.ts'
import { percent } from '../../demo/words.ts'
import {
  type CaptioningResult,
  captioning,
  type EmbeddingModel,
  isCaptionModel,
  isEmbeddingModel,
  labelledClassification,
  meanLoss,
  type Ranking,
  retrieval,
  zeroShot,
} from '../../evaluate/index.ts'
import { DataError, readText } from '../../io/index.ts'
import { type ClassFamily, familyNames } from '../../models/index.ts'
import type { Module } from '../../nn/index.ts'
import { device } from '../../tensor/index.ts'
import { openExamples } from '../../train/index.ts'
import { UsageError } from '../errors.ts'
import { interruptible } from '../interrupt.ts'
import { examples, names } from '../options.ts'
import { answer, say, skippedLine, table } from '../output.ts'
import { type ModelFlags, modelOptions, type Opened, openTrained, templateOption } from '../trained.ts'

interface EvaluateFlags extends ModelFlags {
  readonly data: string
  readonly labels?: string
  readonly template?: readonly string[]
}

export function addEvaluate(program: Command): void {
  const command = program
    .command('evaluate')
    .description(
      'Evaluate a model on images with captions: losses, retrieval, captions and, with --labels, zero-shot classification; a classifier is evaluated on images with labels.',
    )
    .requiredOption(
      '--data <path>',
      'images with captions: a folder with captions.jsonl, captions.csv or captions.tsv, or shards, data/{000..099}.tar',
    )
    .option(
      '--labels <file or a,b,c>',
      'also classify the images; the label of an image is its field "label", in a folder, or the only label in its caption',
    )
    .action(evaluate)
  examples(
    modelOptions(templateOption(command)),
    'evaluate --run runs/first --data shapes/unseen',
    'evaluate --run runs/first --data shapes/unseen --labels labels.txt --template "a small {}" --json',
  )
}

async function evaluate(flags: EvaluateFlags): Promise<void> {
  const labels = flags.labels === undefined ? undefined : await readLabels(flags.labels)
  const trained = await openTrained(flags, ...familyNames)
  say(`${trained.checkpoint ?? trained.path} on ${device.description}`)
  if ('classes' in trained) return evaluateClassifier(trained, flags)
  const { data, template, json } = flags
  const { tokenizer, normalize } = trained
  // models of other families support only some of the evaluations below
  const model: Module = trained.model
  const opened = await openData(data, { imageSize: trained.model.config.image.size, threads: 'auto' })
  const source = opened instanceof ShardDataset ? await opened.all(bad => say(skippedLine(bad))) : opened
  const fieldOf = (i: number) => (opened instanceof ShardDataset ? undefined : opened.examples[i].fields.label)
  if (labels && !isEmbeddingModel(model))
    throw new UsageError('--labels: a captioner has no embeddings to choose labels with')
  const labelled = labels && labelledImages(source, labels, fieldOf, data)
  const result = await interruptible('stopping', async signal => {
    const options = { signal }
    const losses = await meanLoss(trained, source, options)
    const found = isEmbeddingModel(model)
      ? await retrieval({ model, tokenizer, normalize }, source, options)
      : undefined
    const captions = isCaptionModel(model)
      ? await captioning({ model, tokenizer, normalize }, source, options)
      : undefined
    return {
      run: trained.path,
      step: trained.step,
      images: source.length,
      ...(found && { texts: found.texts }),
      losses,
      ...(found && {
        retrieval: { imageToText: withoutRanks(found.imageToText), textToImage: withoutRanks(found.textToImage) },
      }),
      ...(captions && { captioning: withoutTexts(captions) }),
      ...(labels && labelled && isEmbeddingModel(model) ? { zeroShot: await classify(model, labels, labelled) } : {}),
    }

    async function classify(model: EmbeddingModel, classes: readonly string[], chosen: Labelled) {
      const settings = { ...options, classes, templates: template, labels: chosen.labels }
      const { accuracy, perClass } = await zeroShot({ model, tokenizer, normalize }, chosen, settings)
      return { accuracy, images: chosen.length, perClass }
    }
  })
  const { losses, retrieval: ranked, captioning: written } = result
  const rows = [
    ['loss', losses.loss.toFixed(4)],
    // a CoCa has two losses, of which its weights may leave one out
    ...(ranked && written ? (['contrastive', 'captioning'] as const) : []).map(name => [
      `  ${name}`,
      losses[name]?.toFixed(4) ?? 'left out',
    ]),
    ...(ranked ? ([1, 5, 10] as const).map(k => [`image → text R@${k}`, percent(ranked.imageToText.recall[k])]) : []),
    ...(ranked ? ([1, 5, 10] as const).map(k => [`text → image R@${k}`, percent(ranked.textToImage.recall[k])]) : []),
    ...(written
      ? [
          ['captions exactly right', percent(written.exact)],
          ['tokens right', percent(written.tokenAccuracy)],
          ['BLEU-4', written.bleu4.toFixed(4)],
          ['CIDEr-D', written.ciderD.toFixed(4)],
        ]
      : []),
    ...(result.zeroShot ? [[`zero-shot over ${labels!.length} labels`, percent(result.zeroShot.accuracy)]] : []),
  ]
  answer(json, result, table(headOf(result), rows))
}

const withoutTexts = ({ exact, tokenAccuracy, bleu4, ciderD }: CaptioningResult) => ({
  exact,
  tokenAccuracy,
  bleu4,
  ciderD,
})
const withoutRanks = ({ recall, medianRank }: Ranking) => ({ recall, medianRank })

const headOf = ({ images, step }: { readonly images: number; readonly step?: number }): string[] => [
  `${images} images`,
  step === undefined ? '' : `step ${step}`,
]

/** The loss and the accuracy of a classifier on examples with labels. */
async function evaluateClassifier(trained: Opened<ClassFamily>, flags: EvaluateFlags): Promise<void> {
  const { data, labels, template, json } = flags
  const flag = labels ? `--labels ${labels}` : template && `--template ${template}`
  if (flag !== undefined)
    throw new UsageError(`${flag}: a classifier has its own classes: ${trained.classes.join(', ')}`)
  const source = await openExamples(data, trained.family, trained.model.config)
  if (source instanceof ShardDataset) throw new DataError('is a list of tars, which have no labels', { file: data })
  const { classes } = trained
  const strange = source.classes.find(name => !classes.includes(name))
  if (strange !== undefined)
    throw new DataError(`has images of '${strange}', which is not one of the model's classes: ${classes.join(', ')}`, {
      file: data,
    })
  const measured = await interruptible('stopping', signal =>
    labelledClassification(trained, source, { classes, signal }),
  )
  const result = { run: trained.path, step: trained.step, images: source.length, ...measured }
  const rows = [
    ['loss', measured.loss.toFixed(4)],
    ['right', percent(measured.accuracy)],
    ...measured.perClass.map(({ class: name, count, accuracy }) => [
      `  ${name}`,
      count === 0 ? 'no images' : `${percent(accuracy)} of ${count}`,
    ]),
  ]
  answer(json, result, table(headOf(result), rows))
}

/** Names separated by commas, or the lines of a file. */
async function readLabels(given: string): Promise<string[]> {
  if (!existsSync(given)) return names('--labels')(given)
  const lines = (await readText(given)).split('\n').map(line => line.trim())
  const labels = lines.filter(line => line !== '')
  if (labels.length === 0) throw new DataError('contains no labels', { file: given })
  for (const [i, label] of lines.entries())
    if (label !== '' && lines.indexOf(label) < i)
      throw new DataError(`'${label}' is listed twice`, { file: given, line: i + 1 })
  return labels
}

interface Labelled {
  readonly length: number
  readonly labels: readonly number[]
  name(index: number): string
  image(index: number): Promise<Float32Array>
}

/** The images whose class is known. */
function labelledImages(
  source: ImageTextSource,
  labels: readonly string[],
  fieldOf: (index: number) => unknown,
  file: string,
): Labelled {
  const known = Array.from({ length: source.length }).flatMap((_, index) => {
    const label = labels.indexOf(String(fieldOf(index)))
    if (label >= 0) return [{ index, label }]
    const inside = labels.flatMap((name, i) => (contains(source.captions(index)[0], name) ? [i] : []))
    return inside.length === 1 ? [{ index, label: inside[0] }] : []
  })
  if (known.length === 0)
    throw new DataError(`no image has a field "label" or a caption with one of ${labels.slice(0, 5).join(', ')}`, {
      file,
    })
  if (known.length < source.length)
    say(`note: ${source.length - known.length} of ${source.length} images match no label, or several`)
  return {
    length: known.length,
    labels: known.map(({ label }) => label),
    name: i => source.name(known[i].index),
    image: i => source.image(known[i].index),
  }
}

/** Whether a text contains a sequence of whole words. */
const contains = (text: string, words: string): boolean =>
  ` ${text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, ' ')} `.includes(` ${words.toLowerCase()} `)
