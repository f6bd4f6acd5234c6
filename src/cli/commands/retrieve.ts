// `cocagrad retrieve`: the pictures of a folder that are nearest to a sentence, or to another picture.

import type { Command } from 'commander'
import { embedImages, embedTexts, similarityMatrix } from '../../train/index.ts'
import { UsageError } from '../errors.ts'
import { interruptible } from '../interrupt.ts'
import { examples, positiveInteger } from '../options.ts'
import { answer, table } from '../output.ts'
import { progressBar } from '../progress.ts'
import { imageFiles, listImages, openTrained, type RunFlags, runOptions, warnOfUnknownWords } from '../trained.ts'

interface RetrieveFlags extends RunFlags {
  readonly images: string
  readonly query?: string
  readonly image?: string
  readonly top: number
}

export function addRetrieve(program: Command): void {
  const command = program
    .command('retrieve')
    .description('Find the pictures of a folder that are nearest to a sentence or to another picture.')
    .requiredOption('--images <folder>', 'PNG, JPEG and WebP files, in this folder and those in it')
    .option('--query <text>', 'what to look for, in words')
    .option('--image <file>', 'what to look for, as a picture')
    .option('--top <n>', 'how many to show', positiveInteger, 5)
    .action(retrieveImages)
  examples(
    runOptions(command),
    'retrieve --images shapes/images --query "a small red circle" --run runs/first',
    'retrieve --images shapes/images --image picture.png --top 10 --run runs/first --json',
  )
}

async function retrieveImages(flags: RetrieveFlags): Promise<void> {
  const { images: folder, query, image, top, json } = flags
  if ((query === undefined) === (image === undefined)) throw new UsageError('give either --query or --image')
  if (query?.trim() === '') throw new UsageError('--query is empty')
  const paths = await listImages(folder)
  const run = await openTrained(flags)
  if (query !== undefined) warnOfUnknownWords(run, [query])
  const wanted =
    query !== undefined ? await embedTexts(run, [query]) : await embedImages(run, imageFiles([image!], run))
  const bar = progressBar(`looking at ${paths.length} pictures`, paths.length)
  const gallery = await interruptible('stopping', signal =>
    embedImages(run, imageFiles(paths, run), { signal, onProgress: done => bar.update(done) }),
  ).finally(() => bar.stop())
  const cosines = await similarityMatrix(wanted, gallery)
  const found = Array.from(cosines, (cosine, i) => ({ image: paths[i], cosine }))
    .sort((a, b) => b.cosine - a.cosine)
    .slice(0, top)
    .map((each, i) => ({ rank: i + 1, ...each }))
  const rows = found.map(each => [String(each.rank), each.cosine.toFixed(3), each.image])
  answer(json, { query: query ?? image, pictures: paths.length, found }, table(['rank', 'cosine', 'picture'], rows))
}
