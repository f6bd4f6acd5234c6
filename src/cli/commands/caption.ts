// `cocagrad caption`: captions that a trained model generates for pictures.

import type { Command } from 'commander'
import { z } from 'zod'
import { openPictures, type Pictures, picturesFor } from '../../data/index.ts'
import {
  type CaptionModel,
  modelFingerprint,
  type PictureBatch,
  pictureBatches,
  type TrainedModel,
  writeCaptions,
} from '../../evaluate/index.ts'
import { DataError, LineFile, parseJsonLine } from '../../io/index.ts'

import type { Caption, GenerateOptions } from '../../models/index.ts'
import { Generator } from '../../tensor/index.ts'

import { InterruptedError, UsageError } from '../errors.ts'
import {
  checkGenerationFlags,
  type GenerationFlags,
  type GenerationOf,
  generationOf,
  generationOptions,
} from '../generation.ts'
import { interruptible } from '../interrupt.ts'
import { examples, positiveInteger } from '../options.ts'
import { answer, say, skippedLine } from '../output.ts'
import { countedBar } from '../progress.ts'
import { type ModelFlags, modelOptions, openTrained, warnOfUnknownWords } from '../trained.ts'

interface CaptionFlags extends ModelFlags, GenerationFlags {
  readonly out?: string
  readonly strict?: boolean
  readonly batchSize: number
  readonly seed: number
}

export function addCaption(program: Command): void {
  const command = program
    .command('caption')
    .description('Generate a caption for each picture: greedy, by beam search, or sampled.')
    .argument(
      '<image...>',
      'images (PNG, JPEG or WebP, with sharp also GIF, AVIF or TIFF), folders of them, or shards: data/{000..099}.tar',
    )
    .option('--out <file>', 'append JSON lines {"file", "caption", "logProbability", "model"} to this file')
    .option('--batch-size <n>', 'pictures at a time, fewer if memory is short', positiveInteger, 16)
    .option('--strict', 'with --out: stop at a picture that cannot be read, instead of leaving it out')
    .action(captionPictures)
  examples(
    modelOptions(generationOptions(command)),
    'caption picture.png --run runs/first',
    'caption *.png --run runs/first --beams 4 --length-penalty 1 --json',
    'caption picture.png --run runs/first --beams 6 --groups 3 --min-length 6 --max-length 12',
    'caption picture.png --run runs/first --prompt "a photo of" --repetition-penalty 1.2',
    'caption picture.png --run runs/first --sample --top-p 0.9 --seed 1',
    'caption pictures --model coca_ViT-L-14 --out captions.jsonl',
  )
}

async function captionPictures(paths: readonly string[], flags: CaptionFlags): Promise<void> {
  const { out, strict, batchSize, json } = flags
  if (strict && out === undefined)
    throw new UsageError('--strict has no effect without --out: then it always stops at a picture that cannot be read')
  checkGenerationFlags(flags)
  const trained = await openTrained(flags, 'coca', 'captioner')
  const { prompt } = flags
  const generation = generationOf(flags, trained)
  if (prompt !== undefined) warnOfUnknownWords(trained, [prompt])
  const pictures = await openAll(paths, {
    ...picturesFor(trained.model.config.image),
    pixels: trained.pixels,
    withoutCaptions: true,
  })
  if (out !== undefined) return captionInto(out, pictures, trained, { ...flags, generation })
  const captions: { image: string; caption: Caption }[] = []
  const generator = new Generator(flags.seed)
  for await (const batch of pictureBatches(trained, pictures, { batchSize, strict: true }))
    for (const [i, caption] of (await captionsOf(trained, batch, generation(batch.count, generator))).entries())
      captions.push({ image: batch.samples[i].name, caption })
  const { tokenizer } = trained
  const worded = ({ ids, logProbability, finished, alternatives }: Caption): object => ({
    caption: tokenizer.decode(ids),
    logProbability,
    finished,
    ...(alternatives.length > 0 ? { alternatives: alternatives.map(worded) } : {}),
  })
  answer(
    json,
    captions.map(({ image, caption }) => ({ image, ...worded(caption) })),
    captions.map(({ image, caption }) => `${image}: ${tokenizer.decode(caption.ids)}`).join('\n'),
  )
}

const captionsOf = (
  trained: TrainedModel<CaptionModel>,
  batch: PictureBatch,
  options: Partial<GenerateOptions>,
): Promise<Caption[]> => writeCaptions(trained, batch, options, image => batch.samples[image].name)

/** Writes captions as lines of a file, one batch at a time. Pictures that are in the file already are skipped. */
async function captionInto(
  out: string,
  pictures: Pictures,
  trained: TrainedModel<CaptionModel>,
  flags: CaptionFlags & { readonly generation: GenerationOf },
): Promise<void> {
  const file = await LineFile.open(out, { begins: '{"file":' })
  const model = (await modelFingerprint(trained)).slice(0, 12)
  const without = new Set(file.lines.map((line, i) => fileOf(line, model, { file: out, line: i + 1 })))
  const before = without.size
  const bar = await countedBar('captioning', () => pictures.count())
  const { tokenizer } = trained
  const counts = { written: 0, skipped: 0 }
  await interruptible('stopping after this batch', async signal => {
    const options = { batchSize: flags.batchSize, strict: flags.strict, without, signal }
    for await (const batch of pictureBatches(trained, pictures, options)) {
      for (const bad of batch.skipped) bar.line(skippedLine(bad))
      // a batch draws the same words, whichever lines exist already
      const generator = new Generator(flags.seed).fork(`pictures from ${batch.start} on`)
      const captions = await captionsOf(trained, batch, flags.generation(batch.count, generator))
      const lines = captions.map(({ ids, logProbability }, i) =>
        JSON.stringify({ file: batch.samples[i].name, caption: tokenizer.decode(ids), logProbability, model }),
      )
      if (lines.length > 0) await file.append(lines)
      counts.written += lines.length
      counts.skipped += batch.skipped.length
      bar.update(batch.stop)
    }
  })
    .catch(error => {
      if (error instanceof InterruptedError) say('run the same command to continue')
      throw error
    })
    .finally(() => bar.stop())
    .finally(() => file.close())
  const rest = [
    ...(before > 0 ? [`${before} were already there`] : []),
    ...(counts.skipped > 0 ? [`${counts.skipped} could not be read`] : []),
  ]
  answer(flags.json, { file: out, before, ...counts }, [`${out}: ${counts.written} captions`, ...rest].join(', '))
}

const captionForm = z.looseObject({ file: z.string(), model: z.string().optional() })

/** @throws DataError if the caption was generated by another model */
function fileOf(line: string, model: string, place: { readonly file: string; readonly line: number }): string {
  const written = parseJsonLine(line, captionForm, place)
  if (written.model !== undefined && written.model !== model)
    throw new DataError(`was written with another model (${written.model}, this one is ${model})`, place)
  return written.file
}

/** Pictures of several paths, one after the other. */
async function openAll(paths: readonly string[], options: Parameters<typeof openPictures>[1]): Promise<Pictures> {
  const all: Pictures[] = []
  for (const path of new Set(paths)) all.push(await openPictures(path, options))
  return {
    fingerprint: all.map(({ fingerprint }) => fingerprint).join(' '),
    count: async () => (await Promise.all(all.map(each => each.count()))).reduce((a, b) => a + b, 0),
    async *samples({ onBadSample } = {}) {
      for (const each of all) yield* each.samples({ onBadSample })
    },
  }
}
