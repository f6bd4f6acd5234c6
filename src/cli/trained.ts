// Shared parts of commands on a trained model: opening the model on a device, reading pictures from files, and checking
// words against its vocabulary.

import { type Command, Option } from 'commander'
import { decodeImage, type ImagePixels, picturesFor, pixelsFor } from '../data/index.ts'
import {
  type EmbeddingModel,
  type Embeddings,
  embedClasses,
  type ImageModel,
  type ImageSource,
  promptsOf,
  type TrainedModel,
  unknownWords,
} from '../evaluate/index.ts'
import { tellMemory } from '../evaluate/memory.ts'
import type { FamilyName } from '../models/index.ts'
import type { OpenClipArchitecture } from '../openclip/index.ts'
import { type OpenedModel, openModel, openRun } from '../train/index.ts'
import { UsageError } from './errors.ts'
import {
  architectureOption,
  collect,
  commonOptions,
  type DeviceOptions,
  openDevice,
  pixelsOption,
  positiveInteger,
} from './options.ts'
import { say } from './output.ts'

export interface ModelFlags extends DeviceOptions {
  readonly run?: string
  readonly model?: string
  readonly tokenizer?: string
  readonly architecture?: OpenClipArchitecture
  readonly step?: number
  readonly weights?: 'average' | 'last'
  readonly pixels?: ImagePixels
  readonly seed: number
  readonly json?: boolean
}

/** --run or --model, --step and --tokenizer, with --device, --backend, --seed and --json. */
export const modelOptions = (command: Command): Command =>
  commonOptions(
    command
      .option('--run <folder>', 'the run whose model to use')
      .option('--model <path>', 'or a checkpoint of OpenCLIP: its folder, or the file of its weights; a run too')
      .option('--tokenizer <file>', 'with a checkpoint of OpenCLIP: its tokenizer (default: the one next to it)')
      .addOption(architectureOption())
      .option('--step <n>', 'with --run: the checkpoint (default: the last)', positiveInteger)
      .addOption(
        new Option(
          '--weights <which>',
          'with --run: the averages of the weights or the last weights (default: the averages, if the run keeps them)',
        ).choices(['average', 'last']),
      )
      .addOption(pixelsOption('those of the run, else upright')),
  )

export const templateOption = (command: Command): Command =>
  command.option(
    '--template <text or file>',
    'sentence with {} for a label, or a file of some, one a line; may be repeated (default: "a {}")',
    collect,
  )

/** A model and its source. */
export type Opened<F extends FamilyName> = OpenedModel<F> & {
  readonly path: string
  /** for a run: the checkpoint and its folder */
  readonly step?: number
  readonly checkpoint?: string
}

/** Opens the model given by the flags, one of some families, on the device given by the flags. */
export async function openTrained<F extends FamilyName>(
  flags: ModelFlags,
  ...family: readonly F[]
): Promise<Opened<F>> {
  const { run, model: path, step, tokenizer, architecture, weights, pixels } = flags
  if (run !== undefined && path !== undefined) throw new UsageError('give either --run or --model')
  if (run !== undefined && tokenizer !== undefined)
    throw new UsageError(`--tokenizer ${tokenizer} has no effect with --run: a run has its own tokenizer`)
  if (run !== undefined && architecture !== undefined)
    throw new UsageError(`--architecture ${architecture} has no effect with --run: the architecture of a run is known`)
  if (run !== undefined) {
    await openDevice(flags)
    const opened = await openRun(run, { step, family, weights })
    tellMemory(opened.model, say)
    return {
      ...opened,
      pixels: pixelsFor(pixels, opened.pixels),
      family: opened.config.family,
      path: run,
    } as unknown as Opened<F>
  }
  if (path === undefined)
    throw new UsageError('give the model: --run with a run, or --model with a checkpoint of OpenCLIP')
  await openDevice(flags)
  const opened = await openModel(path, { step, tokenizer, architecture, family, weights })
  tellMemory(opened.model, say)
  if ('folder' in opened && tokenizer !== undefined)
    throw new UsageError(`--tokenizer ${tokenizer} has no effect: ${path} is a run, which has its own tokenizer`)
  return { ...opened, pixels: pixelsFor(pixels, opened.pixels), path }
}

/** Image files in the form that the model takes. */
export const imageFiles = (
  paths: readonly string[],
  { model, pixels }: Pick<Opened<FamilyName>, 'pixels'> & { readonly model: ImageModel },
): ImageSource => ({
  length: paths.length,
  name: index => paths[index],
  image: async index => {
    const { imageSize: size, channels } = picturesFor(model.config.image)
    return (await decodeImage(paths[index], { size, channels, pixels })).pixels
  },
})

/** Warns about words that are not in the model's vocabulary: they all become the same id. */
export function warnOfUnknownWords({ tokenizer }: Pick<TrainedModel, 'tokenizer'>, texts: readonly string[]): void {
  const strange = unknownWords(tokenizer, texts)
  if (strange.length > 0) say(`note: the model does not know ${strange.map(word => `'${word}'`).join(', ')}`)
}

/** For each label the mean of its prompts' embeddings, normalised to unit length. */
export async function embedLabels(
  trained: TrainedModel<EmbeddingModel>,
  labels: readonly string[],
  templates: readonly string[] = ['a {}'],
): Promise<Embeddings> {
  warnOfUnknownWords(trained, promptsOf(labels, templates))
  return embedClasses(trained, labels, { templates })
}
