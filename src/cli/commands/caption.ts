// `cocagrad caption`: what a trained model says of pictures.

import type { Command } from 'commander'
import type { Caption, GenerateOptions } from '../../models/index.ts'
import { fromData, Generator } from '../../tensor/index.ts'
import { imageBatches } from '../../train/index.ts'
import { UsageError } from '../errors.ts'
import { examples, positiveInteger, positiveNumber } from '../options.ts'
import { answer } from '../output.ts'
import { imageFiles, openTrained, type RunFlags, runOptions } from '../trained.ts'

interface CaptionFlags extends RunFlags {
  readonly beams: number
  readonly sample?: boolean
  readonly topK?: number
  readonly topP?: number
  readonly temperature?: number
}

export function addCaption(program: Command): void {
  const command = program
    .command('caption')
    .description('Write a caption for each picture: the likeliest words, beam search, or sampled.')
    .argument('<image...>', 'PNG, JPEG or WebP files')
    .option('--beams <n>', 'hypotheses kept side by side; 1 is greedy', positiveInteger, 1)
    .option('--sample', 'draw words at random instead of taking the likeliest')
    .option('--top-k <n>', 'with --sample: among the n likeliest', positiveInteger)
    .option('--top-p <x>', 'with --sample: among the likeliest that together reach probability x', positiveNumber)
    .option('--temperature <x>', 'with --sample: divides the logits; above 1 is bolder', positiveNumber)
    .action(captionImages)
  examples(
    runOptions(command),
    'caption picture.png --run runs/first',
    'caption *.png --run runs/first --beams 4 --json',
    'caption picture.png --run runs/first --sample --top-p 0.9 --seed 1',
  )
}

async function captionImages(paths: readonly string[], flags: CaptionFlags): Promise<void> {
  const options = generateOptions(flags)
  const run = await openTrained(flags)
  const { model, tokenizer } = run
  const captions: Caption[] = []
  for await (const { pixels, shape } of imageBatches(run, imageFiles(paths, run), { batchSize: 16 })) {
    const { start, end } = tokenizer
    captions.push(...(await model.generate(fromData(pixels, shape), { start, end, ...options })))
  }
  const worded = ({ ids, logProbability, finished, alternatives }: Caption): object => ({
    caption: tokenizer.decode(ids),
    logProbability,
    finished,
    ...(alternatives.length > 0 ? { alternatives: alternatives.map(worded) } : {}),
  })
  answer(
    flags.json,
    captions.map((caption, i) => ({ image: paths[i], ...worded(caption) })),
    captions.map(({ ids }, i) => `${paths[i]}: ${tokenizer.decode(ids)}`).join('\n'),
  )
}

function generateOptions({ beams, sample, topK, topP, temperature, seed }: CaptionFlags): Partial<GenerateOptions> {
  for (const [flag, value] of Object.entries({ '--top-k': topK, '--top-p': topP, '--temperature': temperature }))
    if (value !== undefined && !sample) throw new UsageError(`${flag} ${value} has no effect without --sample`)
  if (sample && beams > 1) throw new UsageError(`--sample and --beams ${beams}: beams are searched, not sampled`)
  return { beams, sample, topK, topP, temperature: temperature ?? 1, generator: new Generator(seed) }
}
