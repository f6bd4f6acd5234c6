// `cocagrad retrieve`: the pictures of a folder or of a file of embeddings that are nearest to a sentence or to another
// picture.

import type { Command } from 'commander'
import { openPictures, picturesFor } from '../../data/index.ts'
import {
  EmbeddingFile,
  type EmbeddingModel,
  type Embeddings,
  embedBatch,
  embedImages,
  embedTexts,
  modelFingerprint,
  pictureBatches,
  similarityMatrix,
  type TrainedModel,
} from '../../evaluate/index.ts'
import { DataError } from '../../io/index.ts'
import { descending } from '../../tensor/index.ts'

import { UsageError } from '../errors.ts'
import { interruptible } from '../interrupt.ts'
import { examples, positiveInteger } from '../options.ts'
import { answer, skippedLine, table } from '../output.ts'
import { countedBar, type Progress } from '../progress.ts'
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
    .option('--images <path>', 'a folder with images in it and below, or shards: data/{000..099}.tar')
    .option('--index <file>', 'or embeddings that `embed` wrote with the same model: a gallery of any size')
    .option('--query <text>', 'what to look for, in words')
    .option('--image <file>', 'what to look for, as a picture')
    .option('--top <n>', 'number of pictures to show', positiveInteger, 5)
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
  const trained = await openTrained(flags, 'coca', 'dual-encoder')
  if (query !== undefined) warnOfUnknownWords(trained, [query])
  const search = index === undefined ? await pictureSearch(images!, trained) : await indexSearch(index, trained)
  const wanted =
    query !== undefined ? await embedTexts(trained, [query]) : await embedImages(trained, imageFiles([image!], trained))
  const bar = await countedBar('comparing pictures', search.count)
  const { pictures, nearest } = await interruptible('stopping', signal => search.run(wanted, top, bar, signal)).finally(
    () => bar.stop(),
  )
  const found = nearest.map((each, i) => ({ rank: i + 1, ...each }))
  const rows = found.map(each => [String(each.rank), each.cosine.toFixed(3), each.image])
  answer(json, { query: query ?? image, pictures, found }, table(['rank', 'cosine', 'picture'], rows))
}

interface Found {
  /** size of the gallery */
  readonly pictures: number
  /** the best results, best first */
  readonly nearest: readonly { readonly image: string; readonly cosine: number }[]
}

/** A gallery that can be searched. */
interface Search {
  readonly count: () => Promise<number>
  run(wanted: Embeddings, top: number, bar: Progress, signal: AbortSignal): Promise<Found>
}

async function pictureSearch(path: string, trained: TrainedModel<EmbeddingModel>): Promise<Search> {
  const pictures = await openPictures(path, {
    ...picturesFor(trained.model.config.image),
    pixels: trained.pixels,
    withoutCaptions: true,
  })
  return {
    count: () => pictures.count(),
    async run(wanted, top, bar, signal) {
      const all: { image: string; cosine: number }[] = []
      for await (const batch of pictureBatches(trained, pictures, { signal })) {
        for (const bad of batch.skipped) bar.line(skippedLine(bad))
        if (batch.count > 0) {
          const cosines = await similarityMatrix(
            wanted,
            await embedBatch(trained, batch, image => batch.samples[image].name),
          )
          for (const [i, { name }] of batch.samples.entries()) all.push({ image: name, cosine: cosines[i] })
        }
        bar.update(batch.stop)
      }
      if (all.length === 0) throw new DataError('contains no pictures that can be read', { file: path })
      return { pictures: all.length, nearest: all.sort((a, b) => descending(a.cosine, b.cosine)).slice(0, top) }
    },
  }
}

/** @throws UsageError if the embeddings were made by another model */
async function indexSearch(path: string, trained: TrainedModel<EmbeddingModel>): Promise<Search> {
  const file = await EmbeddingFile.open(path)
  const model = await modelFingerprint(trained)
  if (model !== file.model)
    throw new UsageError(`--index ${path} was made with another model (${file.model}, this one is ${model})`)
  return {
    count: async () => file.count,
    async run(wanted, top, bar, signal) {
      const found = await file.nearest(wanted, top, { signal, onProgress: done => bar.update(done) })
      return { pictures: file.count, nearest: found.map(({ name, cosine }) => ({ image: name, cosine })) }
    },
  }
}
