// `cocagrad embed`: writes the embeddings of pictures and captions to a file, for searching and for other programs.

import type { Command } from 'commander'
import { openPictures, picturesFor } from '../../data/index.ts'
import { embedPictures } from '../../evaluate/index.ts'
import type { Communicator } from '../../mpi/index.ts'

import { InterruptedError } from '../errors.ts'
import { interruptible } from '../interrupt.ts'
import { examples, positiveInteger } from '../options.ts'
import { answer, say, skippedLine } from '../output.ts'
import { countedBar } from '../progress.ts'
import { amongRanks } from '../ranks.ts'
import { type ModelFlags, modelOptions, openTrained } from '../trained.ts'

interface EmbedFlags extends ModelFlags {
  readonly out: string
  readonly batchSize: number
  readonly truncate?: boolean
  readonly strict?: boolean
}

const FORMATS = `
FILE.safetensors contains the tensors image [images, width] and text [texts, width], and samples, the bytes of JSON lines
{"name", "captions"}: line i describes row i of image, and all captions in order are the rows of text.
FILE.npy contains image, FILE.text.npy text, FILE.jsonl the lines, FILE.json the settings: numpy.load opens the first two.
If it is stopped, run the same command to continue; until it is complete, the result is in the folder FILE.parts.`

export function addEmbed(program: Command): void {
  const command = program
    .command('embed')
    .description('Write the embeddings of pictures, and of their captions if there are any, to a file.')
    .argument('<data>', 'a folder of images, a file of captions or a folder with one, or shards: data/{000..099}.tar')
    .requiredOption('--out <file>', 'the file to write; its name ends in .safetensors or .npy')
    .option('--batch-size <n>', 'pictures at a time, fewer if memory is short', positiveInteger, 64)
    .option('--truncate', 'truncate captions that are too long for the model, instead of stopping at one')
    .option('--strict', 'stop at a picture that cannot be read, instead of leaving it out')
    .addHelpText('after', FORMATS)
    .action((source: string, flags: EmbedFlags) => amongRanks(ranks => embed(source, flags, ranks)))
  examples(
    modelOptions(command),
    'embed pictures --run runs/first --out pictures.safetensors',
    'embed "data/{000..099}.tar" --model coca_ViT-L-14 --out laion.npy --truncate',
  )
}

async function embed(source: string, flags: EmbedFlags, ranks: Communicator | undefined): Promise<void> {
  const { out, batchSize, truncate, strict, json } = flags
  const trained = await openTrained(flags, 'coca', 'dual-encoder')
  const pictures = await openPictures(source, {
    ...picturesFor(trained.model.config.image),
    pixels: trained.pixels,
  })
  const bar = await countedBar('embedding', () => pictures.count())
  const result = await interruptible('stopping after this batch', signal =>
    embedPictures(trained, pictures, out, {
      ...{ source, batchSize, truncate, strict, signal, ranks },
      onBadSample: bad => bar.line(skippedLine(bad)),
      onProgress: done => bar.update(done),
    }),
  )
    .catch(error => {
      if (error instanceof InterruptedError) say('run the same command to continue')
      throw error
    })
    .finally(() => bar.stop())
  const { images, texts, width, skipped } = result
  const left = skipped === 0 ? '' : `, ${skipped} could not be used`
  answer(json, { file: out, ...result }, `${out}: ${images} images and ${texts} texts, ${width} numbers each${left}`)
}
