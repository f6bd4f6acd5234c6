// What every command on a trained model begins with: the run opened on a device, pictures from files, words it knows.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { DataError, decodeImage } from '../data/index.ts'
import { type Embeddings, embedTexts, type ImageSource, openRun, type Run, type TrainedModel } from '../train/index.ts'
import { UsageError } from './errors.ts'
import { collect, commonOptions, type DeviceOptions, openDevice, positiveInteger } from './options.ts'
import { say } from './output.ts'

export interface RunFlags extends DeviceOptions {
  readonly run: string
  readonly step?: number
  readonly seed: number
  readonly json?: boolean
}

/** --run and --step, with --device, --backend, --seed and --json. */
export const runOptions = (command: Command): Command =>
  commonOptions(
    command
      .requiredOption('--run <folder>', 'the run whose model to use')
      .option('--step <n>', 'of which checkpoint (default: the last)', positiveInteger),
  )

export const templateOption = (command: Command): Command =>
  command.option('--template <text>', 'sentence with {} for a label; may be given again (default: "a {}")', template)

function template(value: string, before?: readonly string[]): string[] {
  if (!value.includes('{}')) throw new UsageError(`--template '${value}' has no {} for the label`)
  return collect(value, before)
}

/** The run that flags name, on the device that they name. */
export async function openTrained(flags: RunFlags): Promise<Run> {
  await openDevice(flags)
  return openRun(flags.run, { step: flags.step })
}

/** Image files as the model wants them. */
export const imageFiles = (paths: readonly string[], { model }: TrainedModel): ImageSource => ({
  length: paths.length,
  image: async index => (await decodeImage(paths[index], { size: model.config.image.size })).pixels,
})

const IMAGE = /\.(png|jpe?g|webp)$/i

/**
 * Every PNG, JPEG and WebP in a folder and the folders in it, in order.
 * @throws DataError if there is none; an error of the file system if there is no such folder
 */
export async function listImages(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true })
  const files = entries.filter(name => IMAGE.test(name)).sort()
  if (files.length === 0) throw new DataError('holds no PNG, JPEG or WebP file', { file: folder })
  return files.map(name => join(folder, name))
}

/** Says which words of some texts the model has never met: it reads all of them as one. */
export function warnOfUnknownWords({ tokenizer }: TrainedModel, texts: readonly string[]): void {
  const words = [...new Set(texts.flatMap(text => text.split(/\s+/)))]
  const strange = words.filter(
    word => tokenizer.unknown !== undefined && tokenizer.encode(word).includes(tokenizer.unknown),
  )
  if (strange.length > 0) say(`note: the model does not know ${strange.map(word => `'${word}'`).join(', ')}`)
}

/** For each label the mean of its prompts' embeddings, of unit length again. */
export async function embedLabels(
  trained: TrainedModel,
  labels: readonly string[],
  templates: readonly string[] = ['a {}'],
): Promise<Embeddings> {
  const prompts = labels.flatMap(label => templates.map(text => text.replaceAll('{}', label)))
  warnOfUnknownWords(trained, prompts)
  const { data, width } = await embedTexts(trained, prompts)
  const means = new Float32Array(labels.length * width)
  for (const [i, value] of data.entries())
    means[Math.floor(i / (width * templates.length)) * width + (i % width)] += value
  for (let start = 0; start < means.length; start += width) {
    const mean = means.subarray(start, start + width)
    const length = Math.hypot(...mean) || 1
    for (let i = 0; i < width; i++) mean[i] /= length
  }
  return { data: means, count: labels.length, width }
}
