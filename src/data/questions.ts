// Pictures with a text and an answer, as a dataset: questions about a picture (VQA), hypotheses that it entails or
// contradicts (SNLI-VE), statements about two pictures (NLVR2). Every line of the list is one example, so a picture may
// occur in many of them.

import { join, resolve } from 'node:path'
import { DataError } from '../io/index.ts'
import { type Settings, settle } from '../tensor/options.ts'
import type { Size2d } from '../tensor/sides.ts'
import {
  checkOnDisk,
  checkPath,
  checkTexts,
  type ListKind,
  QUESTION_FILES,
  type Refuse,
  readLines,
} from './captions.ts'
import { datasetOptions, FolderDataset, ImageCache, type OpenDatasetOptions, type SplitOptions } from './dataset.ts'
import type { PictureChannels } from './images/image.ts'
import type { RandomCrop } from './images/random-crop.ts'
import { classesOf, labelsIn } from './labels.ts'

/** A text about one or more pictures, and its answer. */
export interface PictureQuestion {
  /** paths of the pictures below the dataset's folder, with forward slashes */
  readonly files: readonly string[]
  /** the text: a question, a hypothesis or a statement */
  readonly captions: readonly [text: string]
  /** the right answers, at least one */
  readonly labels: readonly string[]
  /** all other fields of its line */
  readonly fields: Readonly<Record<string, unknown>>
}

/** Options for opening a folder of pictures with questions. */
export interface OpenQuestionsOptions extends Omit<OpenDatasetOptions, 'labels'> {
  /** number of pictures of every example; default 1 */
  readonly images?: number
}
const { labels: _, ...pictureOptions } = datasetOptions
const questionsOptions = { ...pictureOptions, images: 1 } satisfies Settings<OpenQuestionsOptions>

/** Questions, hypotheses or statements about the pictures of a folder, with their answers. */
export class QuestionDataset extends FolderDataset<PictureQuestion> {
  /** pixels of every picture: the side of a square, or [height, width] */
  readonly imageSize: Size2d
  /** channels of the images */
  readonly channels: PictureChannels
  /** number of pictures of every example */
  readonly imagesPerExample: number
  readonly #cache: ImageCache

  private constructor(
    folder: string,
    examples: readonly PictureQuestion[],
    images: number,
    cache: ImageCache,
    classes: readonly string[],
  ) {
    super(folder, examples, classes, ({ files }) => files)
    this.imageSize = cache.imageSize
    this.channels = cache.channels
    this.imagesPerExample = images
    this.#cache = cache
  }

  /**
   * Opens a folder with a list `questions.jsonl`, one example a line:
   *
   *     {"file": "a.png", "text": "how many shapes are there?", "label": "two"}
   *     {"files": ["a.png", "b.png"], "text": "both pictures show a circle", "label": "true"}
   *
   * or with a `questions.csv` or `questions.tsv` whose header names `file` or `files`, `text` and `label`; in a column
   * `files`, names are separated by `|`. `path` may also be the list itself. `labels` with a list of answers may take the
   * place of `label`, and lines may have more fields. The classes are all answers that occur.
   * @throws DataError naming the file and line of the list: another number of pictures than `images`, a broken line, a missing
   *   field, an empty text, a picture outside the folder or not on the disk, the text and the pictures of an earlier line, no
   *   lines at all
   */
  static async open(path: string, options: OpenQuestionsOptions): Promise<QuestionDataset> {
    const settled = settle('QuestionDataset.open(path, options)', options, questionsOptions)
    const { images } = settled
    if (!Number.isSafeInteger(images) || images < 1)
      throw new DataError(`images must be a positive integer, not ${images}`, { file: path })
    const { folder, questions } = await readQuestions(path, images)
    const cache = await ImageCache.for(join(folder, questions[0].files[0]), settled)
    return new QuestionDataset(folder, questions, images, cache, classesOf(questions))
  }

  /** The paths of the pictures, separated by a comma. */
  name(index: number): string {
    return this.#paths(index).join(', ')
  }

  /**
   * The pictures of example `index` in the order of the list: [imagesPerExample, channels, height, width] in 0 … 1; the caller
   * may change them.
   * @param crop use this part of each picture instead of its centre
   * @throws ImageError naming the file of a picture that cannot be decoded
   */
  async images(index: number, crop?: RandomCrop): Promise<Float32Array> {
    return this.#cache.together(this.#paths(index), crop)
  }

  #paths(index: number): string[] {
    return this.example(index).files.map(file => resolve(this.folder, file))
  }

  /**
   * Splits the examples at random into two datasets that share one cache. All examples with the same pictures are in the same
   * part, so that no picture is learned with one question and tested with another; `validation` is the share of pictures, or of
   * sets of pictures. Both parts keep the order of the whole dataset.
   * @throws DataError if a part would be empty
   */
  split(options: SplitOptions): { train: QuestionDataset; validation: QuestionDataset } {
    const noun = this.imagesPerExample === 1 ? 'picture' : 'picture set'
    const { train, validation } = this.parts(options, noun, ({ files }) => JSON.stringify(files))
    const part = (examples: readonly PictureQuestion[]) =>
      new QuestionDataset(this.folder, examples, this.imagesPerExample, this.#cache, this.classes)
    return { train: part(train), validation: part(validation) }
  }
}

const QUESTIONS: ListKind = {
  noun: 'question',
  lists: QUESTION_FILES,
  line: '{"file": "a.png", "text": "how many shapes are there?", "label": "two"}',
}

const COLUMNS = [['file', 'files'], ['text'], ['label', 'labels']] as const

async function readQuestions(
  path: string,
  images: number,
): Promise<{ readonly folder: string; readonly questions: PictureQuestion[] }> {
  const { path: list, folder, eachLine } = await readLines(path, QUESTIONS, COLUMNS)
  const questions: PictureQuestion[] = []
  const lineOf = new Map<string, number>()
  eachLine(({ number, fields: all, refuse }) => {
    const { file, files: several, text: given, label, labels: answers, ...fields } = all
    const files = filesIn(file, several, list, refuse)
    if (files.length !== images) throw refuse(`has ${picturesOf(files.length)}, and ${images} are wanted`)
    for (const name of files)
      checkOnDisk(resolve(folder, name), undefined, reason => refuse(`the picture is '${name}'${reason}`))
    const texts = checkTexts(given, 'text', refuse)
    if (texts.length > 1) throw refuse(`'text' is a list of ${texts.length}: write a line for each of them`)
    const labels = [...new Set(labelsIn({ label, labels: answers }, refuse))]
    if (labels.length === 0) throw refuse("has no 'label' and no 'labels'")
    const key = JSON.stringify([files, texts])
    const before = lineOf.get(key)
    if (before !== undefined)
      throw refuse(`has the text and the pictures of line ${before}: write one line with 'labels', a list of answers`)
    lineOf.set(key, number)
    questions.push({ files, captions: [texts[0]], labels, fields })
  })
  if (questions.length === 0) throw new DataError('empty dataset: it has no question', { file: list })
  return { folder, questions }
}

/** The names of the pictures of a line. */
function filesIn(file: unknown, files: unknown, list: string, refuse: Refuse): string[] {
  if (file !== undefined && files !== undefined) throw refuse("has both 'file' and 'files': use one of them")
  if (file !== undefined) return [checkPath(file, 'file', refuse)]
  if (files === undefined) throw refuse("has no 'file' and no 'files'")
  const inColumn = typeof files === 'string' && !/\.jsonl$/i.test(list)
  const names: unknown = inColumn ? files.split('|').map(name => name.trim()) : files
  if (!Array.isArray(names)) throw refuse(`'files' is ${JSON.stringify(files)}, not a list of file names`)
  return names.map(name => checkPath(name, 'files', refuse))
}

const picturesOf = (count: number): string => (count === 1 ? '1 picture' : `${count} pictures`)
