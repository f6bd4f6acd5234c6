// `cocagrad classify`: the classes of pictures, from a classifier, or the nearest of given labels.

import { statSync } from 'node:fs'
import type { Command } from 'commander'
import { listImages } from '../../data/index.ts'
import { percent } from '../../demo/words.ts'
import {
  classLogits,
  type EmbeddingModel,
  embedImages,
  similarityMatrix,
  type TrainedModel,
} from '../../evaluate/index.ts'
import type { Parameter } from '../../nn/index.ts'
import { descending, NonFiniteError } from '../../tensor/index.ts'
import { UsageError } from '../errors.ts'
import { readLabels, readTemplates } from '../names.ts'
import { examples } from '../options.ts'
import { answer } from '../output.ts'
import { embedLabels, imageFiles, type ModelFlags, modelOptions, openTrained, templateOption } from '../trained.ts'

interface ClassifyFlags extends ModelFlags {
  readonly labels?: string
  readonly template?: readonly string[]
}

/** The number of labels that are printed for a picture. */
const SHOWN = 3

export function addClassify(program: Command): void {
  const command = program
    .command('classify')
    .description(
      'Print the class of each picture: the label with the nearest embedding or, for a classifier, one of its own classes.',
    )
    .argument('<image...>', 'images (PNG, JPEG or WebP, with sharp also GIF, AVIF or TIFF), or folders of them')
    .option('--labels <file or a,b,c>', 'the labels to choose from; a classifier has its own')
    .action(classifyImages)
  examples(
    modelOptions(templateOption(command)),
    'classify picture.png --labels "red circle,blue star" --run runs/first',
    'classify pictures --run runs/classes',
    'classify pictures --labels labels.txt --template templates.txt --run runs/first --json',
    'classify *.png --labels circle,star --template "a small red {}" --template "a large red {}" --run runs/first',
  )
}

async function classifyImages(given: readonly string[], flags: ClassifyFlags): Promise<void> {
  const paths = await imagesAt(given)
  const run = await openTrained(flags, 'coca', 'dual-encoder', 'classifier')
  const { template, json } = flags
  if ('classes' in run) {
    const flag = flags.labels ? `--labels ${flags.labels}` : template && `--template ${template}`
    if (flag !== undefined) throw new UsageError(`${flag}: a classifier has its own classes: ${run.classes.join(', ')}`)
    const logits = await classLogits(run, imageFiles(paths, run))
    return report(paths, run.classes, logits, json)
  }
  if (flags.labels === undefined) throw new UsageError('--labels a,b,c is missing: the labels to choose from')
  const labels = await readLabels(flags.labels)
  const { cosines, scale } = await similarities(run, paths, labels, await readTemplates(template))
  report(
    paths,
    labels,
    Array.from(cosines, cosine => scale * cosine),
    json,
    cosines,
  )
}

/** Every image of a folder and of the folders in it, in place of the folder. */
async function imagesAt(paths: readonly string[]): Promise<string[]> {
  const isFolder = (path: string) => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
  const lists = await Promise.all(paths.map(path => (isFolder(path) ? listImages(path) : [path])))
  return lists.flat()
}

/** Cosines of pictures and labels, row by row, and the scale that makes them logits. */
async function similarities(
  trained: TrainedModel<EmbeddingModel & { readonly logScale: Parameter }>,
  paths: readonly string[],
  labels: readonly string[],
  templates?: readonly string[],
) {
  const prompts = await embedLabels(trained, labels, templates)
  const cosines = await similarityMatrix(await embedImages(trained, imageFiles(paths, trained)), prompts)
  return { cosines, scale: Math.exp(await trained.model.logScale.item()) }
}

/** @param logits [pictures, labels], row by row, like the cosines, if there are any */
function report(
  paths: readonly string[],
  labels: readonly string[],
  logits: ArrayLike<number>,
  json: boolean | undefined,
  cosines?: Float32Array,
): void {
  const results = paths.map((image, i) => {
    const row = labels.map((_, j) => logits[i * labels.length + j])
    const most = Math.max(...row)
    const weights = row.map(logit => Math.exp(logit - most))
    const total = weights.reduce((a, b) => a + b, 0)
    if (!Number.isFinite(total))
      throw new NonFiniteError(
        `${image}: Σ exp of the logits`,
        total,
        'the logits are too large: cosines are divided by the temperature',
      )
    const scores = labels.map((label, j) => ({
      label,
      probability: weights[j] / total,
      ...(cosines && { cosine: cosines[i * labels.length + j] }),
      logit: row[j],
    }))
    scores.sort((a, b) => descending(a.logit, b.logit))
    return {
      image,
      label: scores[0].label,
      scores: scores.map(({ logit, ...score }) => (cosines ? score : { ...score, logit })),
    }
  })
  const text = results.map(({ image, scores }) => {
    const best = scores.slice(0, SHOWN).map(({ label, probability }) => `${label} ${percent(probability)}`)
    return `${image}: ${best.join(', ')}`
  })
  answer(json, results, text.join('\n'))
}
