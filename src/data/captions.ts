// The captions of a folder of images. Every error names the file, the line and the field, so that one typing mistake in
// a million lines is easy to find.

import { statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname, join, posix, resolve } from 'node:path'
import { type CsvError, parse as parseCsv } from 'csv-parse/sync'
import { DataError, fileError, messageOf, readText } from '../io/index.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { labelsIn, readClassFolders } from './labels.ts'

/** An image and its captions. */
export interface CaptionedImage {
  /** path below the folder, with forward slashes */
  readonly file: string
  /** at least one, none of them empty */
  readonly captions: readonly string[]
  /** names of its classes, at least one, if labels were read */
  readonly labels?: readonly string[]
  /** all other fields of its lines; for equal names, the last */
  readonly fields: Readonly<Record<string, unknown>>
}

/** The possible names of a folder's caption file. */
export const CAPTION_FILES = ['captions.jsonl', 'captions.csv', 'captions.tsv'] as const

export interface ReadCaptionsOptions {
  /**
   * read the classes of images: a field or column `label` or `labels` with one name or a list of them, or, of a folder without
   * a list of captions, a folder for each class. An image without a caption has its classes as captions. Default false
   */
  readonly labels?: boolean
}
const readOptions = { labels: false } satisfies Settings<ReadCaptionsOptions>

/** One line of a caption file, before it is checked. */
interface Line {
  readonly number: number
  readonly value: unknown
}

/**
 * Reads the captions of a folder, or those of one file beside its images: `captions.jsonl`, one `{"file": …, "caption": …}`
 * a line with one caption or a list of them, or `captions.csv` or `captions.tsv` with a header that names `file` and
 * `caption`. A file may have several lines, and lines may have more fields. Images come in the order of their first line.
 * @throws DataError naming file and line: no or several caption files, a broken line, a missing field, an empty
 * caption, a file outside the folder or not on the disk, no lines at all
 * @param options.labels reads classes too: see {@link ReadCaptionsOptions}
 */
export async function readCaptions(folderOrFile: string, options?: ReadCaptionsOptions): Promise<CaptionedImage[]> {
  const { labels } = settle('readCaptions(folderOrFile, options)', options, readOptions)
  return (await readCaptionsOf(folderOrFile, labels)).images
}

/** As {@link readCaptions}, with the folder of the images. */
export async function readCaptionsOf(
  folderOrFile: string,
  withLabels: boolean,
): Promise<{ readonly folder: string; readonly images: CaptionedImage[] }> {
  const found = withLabels && (await hasNoList(folderOrFile)) ? await readClassFolders(folderOrFile) : undefined
  if (found) return { folder: folderOrFile, images: found }
  const path = await findCaptions(folderOrFile)
  const folder = path === folderOrFile ? dirname(path) : folderOrFile
  const text = await readText(path)
  const lines = /\.jsonl$/i.test(path) ? jsonLines(text, path) : csvLines(text, path, withLabels)
  const images = new Map<string, { captions: string[]; labels?: string[]; fields: Record<string, unknown> }>()
  for (const { number, value } of lines) {
    const refuse = (reason: string) => new DataError(reason, { file: path, line: number })
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw refuse('is not an object like {"file": "a.png", "caption": "a cat"}')
    const { file, caption, ...fields } = value as Record<string, unknown>
    const name = checkFileName(file, refuse)
    const labels = withLabels ? labelsIn(fields, refuse) : undefined
    if (labels?.length === 0) throw refuse("has no 'label' and no 'labels'")
    const captions = labels && caption === undefined ? [...labels] : checkCaptions(caption, refuse)
    const image = images.get(name)
    if (image === undefined) {
      checkOnDisk(folder, name, refuse)
      images.set(name, { captions, ...(labels && { labels: [...new Set(labels)] }), fields })
    } else {
      image.captions.push(...captions)
      for (const label of labels ?? []) if (!image.labels!.includes(label)) image.labels!.push(label)
      Object.assign(image.fields, fields)
    }
  }
  if (images.size === 0) throw new DataError('empty dataset: it names no image', { file: path })
  return { folder, images: Array.from(images, ([file, image]) => ({ file, ...image })) }
}

/** Whether a path is a folder without a list of captions. */
async function hasNoList(path: string): Promise<boolean> {
  const isFolder = await stat(path).then(
    found => found.isDirectory(),
    () => false,
  )
  return isFolder && !CAPTION_FILES.some(name => statSync(join(path, name), { throwIfNoEntry: false }))
}

async function findCaptions(folder: string): Promise<string> {
  const found: string[] = []
  let isFolder: boolean
  try {
    isFolder = (await stat(folder)).isDirectory()
  } catch (error) {
    throw fileError(folder, error)
  }
  if (!isFolder && /\.(jsonl|csv|tsv)$/i.test(folder)) return folder
  if (!isFolder)
    throw new DataError('is neither a folder of images nor a .jsonl, .csv or .tsv of captions', { file: folder })
  for (const name of CAPTION_FILES) if (statSync(join(folder, name), { throwIfNoEntry: false })) found.push(name)
  if (found.length === 0) throw new DataError(`has none of ${CAPTION_FILES.join(', ')}`, { file: folder })
  if (found.length > 1) throw new DataError(`has ${found.join(' and ')}: keep one of them`, { file: folder })
  return join(folder, found[0])
}

function* jsonLines(text: string, file: string): Generator<Line> {
  let number = 0
  for (const line of text.split('\n')) {
    number++
    if (line.trim() === '') continue
    let value: unknown
    try {
      value = JSON.parse(line)
    } catch (error) {
      throw new DataError(`is not JSON: ${messageOf(error)}`, { file, line: number, cause: error })
    }
    yield { number, value }
  }
}

/** Comma-separated with quotes (RFC 4180), or tab-separated without: a quotation mark in a .tsv is an ordinary character. */
function csvLines(text: string, file: string, withLabels: boolean): Line[] {
  const tabs = /\.tsv$/i.test(file)
  let records: { record: Record<string, unknown>; info: { lines: number } }[]
  try {
    records = parseCsv(text, {
      columns: header => checkHeader(header, file, withLabels),
      record_delimiter: ['\r\n', '\n', '\r'],
      delimiter: tabs ? '\t' : ',',
      quote: tabs ? null : '"',
      info: true,
      skip_empty_lines: true,
    })
  } catch (error) {
    if (error instanceof DataError) throw error
    const line = (error as CsvError).lines
    throw new DataError(messageOf(error), { file, line: typeof line === 'number' ? line : undefined, cause: error })
  }
  return records.map(({ record, info }) => ({ number: info.lines, value: record }))
}

function checkHeader(header: string[], file: string, withLabels: boolean): string[] {
  const names = header.map(name => name.trim())
  for (const [i, name] of names.entries())
    if (names.indexOf(name) < i) throw new DataError(`the header names '${name}' twice`, { file, line: 1 })
  const wanted = withLabels ? [['file'], ['label', 'labels']] : [['file'], ['caption']]
  for (const some of wanted)
    if (!some.some(name => names.includes(name))) {
      const what = some.map(name => `'${name}'`).join(' and no ')
      throw new DataError(`the header has no ${what}: it reads ${names.join(', ')}`, { file, line: 1 })
    }
  return names
}

type Refuse = (reason: string) => DataError

/** A normalised path within the folder. */
function checkFileName(file: unknown, refuse: Refuse): string {
  if (file === undefined) throw refuse("has no 'file'")
  if (typeof file !== 'string' || file.trim() === '') throw refuse("'file' is not a file name")
  if (file.includes('\0')) throw refuse("'file' holds a NUL character")
  const name = posix.normalize(file)
  if (posix.isAbsolute(name) || name === '..' || name.startsWith('../') || /^[a-z]:|\\/i.test(name))
    throw refuse(`'file' is '${file}': it must be a path below the folder, with forward slashes`)
  return name
}

function checkOnDisk(folder: string, name: string, refuse: Refuse): void {
  let isFile: boolean | undefined
  try {
    isFile = statSync(resolve(folder, name), { throwIfNoEntry: false })?.isFile()
  } catch (error) {
    throw refuse(`'file' is '${name}': ${messageOf(error)}`)
  }
  if (isFile === undefined) throw refuse(`'file' is '${name}', which does not exist`)
  if (!isFile) throw refuse(`'file' is '${name}', which is a folder`)
}

function checkCaptions(caption: unknown, refuse: Refuse): string[] {
  if (caption === undefined) throw refuse("has no 'caption'")
  const captions: unknown[] = Array.isArray(caption) ? caption : [caption]
  if (captions.length === 0) throw refuse("'caption' is an empty list")
  return captions.map(text => {
    if (typeof text !== 'string') throw refuse(`'caption' is ${JSON.stringify(text)}, not text`)
    const trimmed = text.trim()
    if (trimmed === '') throw refuse("'caption' is empty")
    return trimmed
  })
}
