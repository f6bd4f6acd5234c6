// The data of an experiment, drawn when it is needed first, and the vocabulary of its texts.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import {
  ClipDataset,
  ImageTextDataset,
  PICTURE_SIDE,
  QuestionDataset,
  WordTokenizer,
  writeMovingShapes,
  writeShapes,
  writeShapesQuestions,
} from '../data/index.ts'
import { writeAtomically } from '../io/index.ts'
import type { DatasetConfig, ExperimentConfig } from './config.ts'

const writers = { shapes: writeShapes, moving: writeMovingShapes, questions: writeShapesQuestions }

/**
 * Draws the examples of a folder that does not exist yet. Folders are complete when they get their names, so one that exists is used.
 * @returns the folder
 */
export async function drawn(
  folder: string,
  name: string,
  { make, ...options }: DatasetConfig,
  onProgress?: (done: number, count: number) => void,
): Promise<string> {
  const out = join(folder, 'data', name)
  // the functions check their options, whose names depend on `make`
  if (!existsSync(out)) await writers[make]({ ...options, out, onProgress } as never)
  return out
}

/** Data whose captions are read, whatever it is. */
function openTexts(path: string, { make, task }: DatasetConfig) {
  const imageSize = PICTURE_SIDE
  if (make === 'moving') return ClipDataset.open(path, { imageSize, frames: 1 })
  if (make === 'shapes') return ImageTextDataset.open(path, { imageSize })
  return QuestionDataset.open(path, { imageSize, images: task === 'pairs' ? 2 : 1 })
}

/**
 * A tokenizer of all words in the texts of some data, as a file.
 * @returns its path; undefined if the experiment takes the words of its captions
 */
export async function vocabularyFile(
  folder: string,
  { vocabulary, data }: ExperimentConfig,
): Promise<string | undefined> {
  if (!vocabulary) return undefined
  const file = join(folder, 'data', 'tokenizer.json')
  if (existsSync(file)) return file
  const texts: string[] = []
  for (const name of vocabulary) {
    const path = await drawn(folder, name, data[name])
    const source = await openTexts(path, data[name])
    for (let i = 0; i < source.length; i++) texts.push(...source.captions(i))
  }
  await writeAtomically(file, `${JSON.stringify(WordTokenizer.fromCaptions(texts))}\n`)
  return file
}
