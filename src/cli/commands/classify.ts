// `cocagrad classify`: zero-shot classification with any labels.

import type { Command } from 'commander'
import { percent } from '../../demo/words.ts'
import { embedImages, similarityMatrix } from '../../evaluate/index.ts'
import { descending, NonFiniteError } from '../../tensor/index.ts'
import { examples, names } from '../options.ts'
import { answer } from '../output.ts'
import { embedLabels, imageFiles, type ModelFlags, modelOptions, openTrained, templateOption } from '../trained.ts'

interface ClassifyFlags extends ModelFlags {
  readonly labels: readonly string[]
  readonly template?: readonly string[]
}

/** The number of labels that are printed for a picture. */
const SHOWN = 3

export function addClassify(program: Command): void {
  const command = program
    .command('classify')
    .description('Say which of some labels fits each picture best: those whose prompts lie nearest to it.')
    .argument('<image...>', 'PNG, JPEG or WebP files')
    .requiredOption('--labels <a,b,c>', 'the labels to choose among', names('--labels'))
    .action(classifyImages)
  examples(
    modelOptions(templateOption(command)),
    'classify picture.png --labels "red circle,blue star" --run runs/first',
    'classify *.png --labels circle,star --template "a small red {}" --template "a large red {}" --run runs/first',
  )
}

async function classifyImages(paths: readonly string[], flags: ClassifyFlags): Promise<void> {
  const { labels, template, json } = flags
  const run = await openTrained(flags)
  const prompts = await embedLabels(run, labels, template)
  const similarity = await similarityMatrix(await embedImages(run, imageFiles(paths, run)), prompts)
  const scale = Math.exp(await run.model.logScale.item())
  const results = paths.map((image, i) => {
    const cosines = Array.from(similarity.subarray(i * labels.length, (i + 1) * labels.length))
    const most = Math.max(...cosines)
    const weights = cosines.map(cosine => Math.exp(scale * (cosine - most)))
    const total = weights.reduce((a, b) => a + b, 0)
    if (!Number.isFinite(total))
      throw new NonFiniteError(
        `${image}: Σ exp of cosine / temperature`,
        total,
        `1 / temperature is ${scale}, too large`,
      )
    const scores = labels.map((label, j) => ({ label, probability: weights[j] / total, cosine: cosines[j] }))
    scores.sort((a, b) => descending(a.cosine, b.cosine))
    return { image, label: scores[0].label, scores }
  })
  const text = results.map(({ image, scores }) => {
    const best = scores.slice(0, SHOWN).map(({ label, probability }) => `${label} ${percent(probability)}`)
    return `${image}: ${best.join(', ')}`
  })
  answer(json, results, text.join('\n'))
}
