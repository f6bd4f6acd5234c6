// `cocagrad retrieve`: the pictures of a folder that are nearest to a sentence, or to another picture.

import type { Command } from 'commander'
import { listImages } from '../../data/index.ts'
import {
  EmbeddingFile,
  type Embeddings,
  type EvaluateOptions,
  embedImages,
  embedTexts,
  modelFingerprint,
  similarityMatrix,
  type TrainedModel,
} from '../../train/index.ts'
import { UsageError } from '../errors.ts'
import { interruptible } from '../interrupt.ts'
import { examples, positiveInteger } from '../options.ts'
import { answer, table } from '../output.ts'
import { progressBar } from '../progress.ts'
import { imageFiles, type ModelFlags, modelOptions, openTrained, warnOfUnknownWords } from '../trained.ts'

interface RetrieveFlags extends ModelFlags {
  readonly images?: string
  readonly index?: string
  readonly query?: string
  readonly image?: string
  readonly top: number
}

export function addRetrieve(program: Command): void {
  const command = program
    .command('retrieve')
    .description(
      'Find the pictures of a folder, or of embeddings in a file, that are nearest to a sentence or to another picture.',
    )
    .option('--images <folder>', 'PNG, JPEG and WebP files, in this folder and those in it')
    .option('--index <file>', 'or embeddings that `embed` wrote with the same model: a gallery of any size')
    .option('--query <text>', 'what to look for, in words')
    .option('--image <file>', 'what to look for, as a picture')
    .option('--top <n>', 'how many to show', positiveInteger, 5)
    .action(retrieveImages)
  examples(
    modelOptions(command),
    'retrieve --images shapes/images --query "a small red circle" --run runs/first',
    'retrieve --images shapes/images --image picture.png --top 10 --run runs/first --json',
    'retrieve --index pictures.safetensors --query "a small red circle" --run runs/first',
  )
}

async function retrieveImages(flags: RetrieveFlags): Promise<void> {
  const { images, index, query, image, top, json } = flags
  if ((images === undefined) === (index === undefined)) throw new UsageError('give either --images or --index')
  if ((query === undefined) === (image === undefined)) throw new UsageError('give either --query or --image')
  if (query?.trim() === '') throw new UsageError('--query is empty')
  const search = index === undefined ? await folderSearch(images!) : await indexSearch(index)
  const trained = await openTrained(flags)
  if (query !== undefined) warnOfUnknownWords(trained, [query])
  await search.check(trained)
  const wanted =
    query !== undefined ? await embedTexts(trained, [query]) : await embedImages(trained, imageFiles([image!], trained))
  const bar = progressBar(`looking at ${search.count} pictures`, search.count)
  const nearest = await interruptible('stopping', signal =>
    search.nearest(trained, wanted, top, { signal, onProgress: done => bar.update(done) }),
  ).finally(() => bar.stop())
  const found = nearest.map((each, i) => ({ rank: i + 1, ...each }))
  const rows = found.map(each => [String(each.rank), each.cosine.toFixed(3), each.image])
  answer(json, { query: query ?? image, pictures: search.count, found }, table(['rank', 'cosine', 'picture'], rows))
}

/** A gallery that can be searched. */
interface Search {
  readonly count: number
  /** Throws UsageError if the gallery is another model's. */
  check(trained: TrainedModel): Promise<void>
  nearest(
    trained: TrainedModel,
    wanted: Embeddings,
    top: number,
    options: Pick<EvaluateOptions, 'signal' | 'onProgress'>,
  ): Promise<{ readonly image: string; readonly cosine: number }[]>
}

async function folderSearch(folder: string): Promise<Search> {
  const paths = await listImages(folder)
  return {
    count: paths.length,
    check: async () => {},
    async nearest(trained, wanted, top, options) {
      const gallery = await embedImages(trained, imageFiles(paths, trained), options)
      const cosines = await similarityMatrix(wanted, gallery)
      const found = Array.from(cosines, (cosine, i) => ({ image: paths[i], cosine }))
      return found.sort((a, b) => b.cosine - a.cosine).slice(0, top)
    },
  }
}

async function indexSearch(path: string): Promise<Search> {
  const file = await EmbeddingFile.open(path)
  return {
    count: file.count,
    async check(trained) {
      const model = await modelFingerprint(trained)
      if (model !== file.model)
        throw new UsageError(`--index ${path} was made with another model (${file.model}, this one is ${model})`)
    },
    async nearest(_, wanted, top, { signal, onProgress }) {
      const found = await file.nearest(wanted, top, { signal, onProgress: done => onProgress?.(done, file.count) })
      return found.map(({ name, cosine }) => ({ image: name, cosine }))
    },
  }
}
