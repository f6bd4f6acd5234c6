// `cocagrad evaluate`: evaluates a model on pictures with captions, by the protocols of the paper.

import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { type ImageTextSource, openData, ShardDataset } from '../../data/index.ts'
import { percent } from '../../demo/words.ts'
import { captioning, meanLoss, retrieval, zeroShot } from '../../evaluate/index.ts'
import { DataError, readText } from '../../io/index.ts'
import { device } from '../../tensor/index.ts'
import { interruptible } from '../interrupt.ts'
import { examples, names } from '../options.ts'
import { answer, say, skippedLine, table } from '../output.ts'
import { type ModelFlags, modelOptions, openTrained, templateOption } from '../trained.ts'

interface EvaluateFlags extends ModelFlags {
  readonly data: string
  readonly labels?: string
  readonly template?: readonly string[]
}

export function addEvaluate(program: Command): void {
  const command = program
    .command('evaluate')
    .description(
      'Evaluate a model on images with captions: losses, retrieval, captions, and zero-shot classification if there are labels.',
    )
    .requiredOption(
      '--data <path>',
      'images with captions: a folder with captions.jsonl, captions.csv or captions.tsv, or shards, data/{000..099}.tar',
    )
    .option(
      '--labels <file or a,b,c>',
      'classify the images too; an image belongs to its field "label", in a folder, or to the one label that its caption has',
    )
    .action(evaluate)
  examples(
    modelOptions(templateOption(command)),
    'evaluate --run runs/first --data shapes/unseen',
    'evaluate --run runs/first --data shapes/unseen --labels labels.txt --template "a small {}" --json',
  )
}

async function evaluate(flags: EvaluateFlags): Promise<void> {
  const { data, template, json } = flags
  const labels = flags.labels === undefined ? undefined : await readLabels(flags.labels)
  const trained = await openTrained(flags)
  const opened = await openData(data, { imageSize: trained.model.config.image.size, threads: 'auto' })
  say(`${trained.checkpoint ?? trained.path} on ${device.description}`)
  const source = opened instanceof ShardDataset ? await opened.all(bad => say(skippedLine(bad))) : opened
  const fieldOf = (i: number) => (opened instanceof ShardDataset ? undefined : opened.examples[i].fields.label)
  const labelled = labels && labelledImages(source, labels, fieldOf, data)
  const result = await interruptible('stopping', async signal => {
    const options = { signal }
    const losses = await meanLoss(trained, source, options)
    const { imageToText, textToImage, images, texts } = await retrieval(trained, source, options)
    const { exact, tokenAccuracy } = await captioning(trained, source, options)
    const directions = { imageToText, textToImage }
    const ranked = Object.entries(directions).map(([direction, { recall, medianRank }]) => [
      direction,
      { recall, medianRank },
    ])
    return {
      run: trained.path,
      step: trained.step,
      images,
      texts,
      losses,
      retrieval: Object.fromEntries(ranked) as Record<keyof typeof directions, Omit<typeof imageToText, 'ranks'>>,
      captioning: { exact, tokenAccuracy },
      ...(labels && labelled ? { zeroShot: await classify(labels, labelled) } : {}),
    }

    async function classify(classes: readonly string[], chosen: Labelled) {
      const { accuracy, perClass } = await zeroShot(trained, chosen, {
        ...options,
        classes,
        templates: template,
        labels: chosen.labels,
      })
      return { accuracy, images: chosen.length, perClass }
    }
  })
  const { imageToText, textToImage } = result.retrieval
  const rows = [
    ['loss', result.losses.loss.toFixed(4)],
    ...(['contrastive', 'captioning'] as const).map(name => [
      `  ${name}`,
      result.losses[name]?.toFixed(4) ?? 'left out',
    ]),
    ...([1, 5, 10] as const).map(k => [`image → text R@${k}`, percent(imageToText.recall[k])]),
    ...([1, 5, 10] as const).map(k => [`text → image R@${k}`, percent(textToImage.recall[k])]),
    ['captions exactly right', percent(result.captioning.exact)],
    ['tokens right', percent(result.captioning.tokenAccuracy)],
    ...(result.zeroShot ? [[`zero-shot over ${labels!.length} labels`, percent(result.zeroShot.accuracy)]] : []),
  ]
  answer(json, result, table([`${result.images} images`, result.step === undefined ? '' : `step ${result.step}`], rows))
}

/** Names separated by commas, or the lines of a file. */
async function readLabels(given: string): Promise<string[]> {
  if (!existsSync(given)) return names('--labels')(given)
  const lines = (await readText(given)).split('\n').map(line => line.trim())
  const labels = lines.filter(line => line !== '')
  if (labels.length === 0) throw new DataError('names no label', { file: given })
  for (const [i, label] of lines.entries())
    if (label !== '' && lines.indexOf(label) < i)
      throw new DataError(`'${label}' is there twice`, { file: given, line: i + 1 })
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
    say(`note: ${source.length - known.length} of ${source.length} images belong to no label or to several`)
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
