// The captions of a folder of images, or of clips, and the lines of any such list. Every error names the file, the line and the
// field, so that one typing mistake in a million lines is easy to find.

import { statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { dirname, join, posix, resolve } from 'node:path'
import type { CsvError } from 'csv-parse/sync'
import { DataError, Faults, fileError, messageOf, notAFile, parseAnyJsonLine, readText } from '../io/index.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { readClassFolders } from './label-folders.ts'
import { labelsIfAny, labelsIn, type ReadLabels } from './labels.ts'

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

/** The possible names of a folder's list of clips. */
export const CLIP_FILES = ['clips.jsonl', 'clips.csv', 'clips.tsv'] as const

/** The possible names of a folder's list of questions. */
export const QUESTION_FILES = ['questions.jsonl', 'questions.csv', 'questions.tsv'] as const

export interface ReadCaptionsOptions {
  /**
   * read the classes of images: a field or column `label` or `labels` with one name or a list of them, or, of a folder without
   * a list of captions, a folder for each class. An image without a caption has its classes as captions. Default false
   */
  readonly labels?: boolean
}
const readOptions = { labels: false } satisfies Settings<ReadCaptionsOptions>

/** What a list is called, and how its lines look. */
export interface ListKind {
  /** one example, as errors call it */
  readonly noun: 'image' | 'clip' | 'question'
  /** the possible names of the list in a folder */
  readonly lists: readonly string[]
  /** a line as it should be */
  readonly line: string
}

/** What the examples of a list are. */
export interface ListForm<Found> extends ListKind {
  /** the field or column that names an example */
  readonly field: 'file' | 'clip'
  /**
   * Looks for an example on the disk.
   * @param fields the other fields of its line
   */
  readonly find: (path: string, fields: Readonly<Record<string, unknown>>, refuse: Refuse) => Found
}

/** An example of a list, with what was found of it on the disk. */
export interface Listed<Found> {
  readonly name: string
  readonly captions: readonly string[]
  readonly labels?: readonly string[]
  readonly fields: Readonly<Record<string, unknown>>
  readonly found: Found
}

const IMAGES: ListForm<void> = {
  noun: 'image',
  field: 'file',
  lists: CAPTION_FILES,
  line: '{"file": "a.png", "caption": "a cat"}',
  find: checkOnDisk,
}

/** One line of a list, before it is read. */
interface Line {
  readonly number: number
  /** its value; throws DataError if it has none */
  readonly read: () => unknown
}

/** One line of a list: an object, whose fields are not checked yet. */
export interface ListLine {
  readonly number: number
  readonly fields: Readonly<Record<string, unknown>>
  /** an error that names the list and this line */
  readonly refuse: Refuse
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

const OTHER_LISTS = [
  [CLIP_FILES, 'clips', 'ClipDataset'],
  [QUESTION_FILES, 'questions', 'QuestionDataset'],
] as const

/** As {@link readCaptions}, with the folder of the images. */
export async function readCaptionsOf(
  folderOrFile: string,
  withLabels: ReadLabels,
): Promise<{ readonly folder: string; readonly images: CaptionedImage[] }> {
  const noList = await hasNoList(folderOrFile, CAPTION_FILES)
  for (const [lists, what, reader] of OTHER_LISTS)
    if (noList && !(await hasNoList(folderOrFile, lists)))
      throw new DataError(`has a list of ${what} and none of images: ${reader}.open(path, options) reads it`, {
        file: folderOrFile,
      })
  const found = noList && withLabels ? await readClassFolders(folderOrFile) : undefined
  if (found) return { folder: folderOrFile, images: found }
  const { folder, examples } = await readList(folderOrFile, IMAGES, withLabels)
  return { folder, images: examples.map(({ name, found: _, ...example }) => ({ file: name, ...example })) }
}

/**
 * Reads a list of images or clips, and looks for each of them on the disk.
 * @returns the examples in the order of their first line, and the folder that holds them
 */
export async function readList<Found>(
  folderOrFile: string,
  form: ListForm<Found>,
  withLabels: ReadLabels,
): Promise<{ readonly folder: string; readonly examples: Listed<Found>[] }> {
  const labels = withLabels ? ['label', 'labels'] : []
  const columns = [[form.field], withLabels === true ? labels : ['caption', ...labels]]
  const examples = new Map<string, Collected<Found>>()
  const { path, folder, eachLine } = await readLines(folderOrFile, form, columns)
  eachLine(({ fields: all, refuse }) => {
    const { [form.field]: given, caption, ...fields } = all
    const name = checkPath(given, form.field, refuse)
    const labels = labelsOf(fields, withLabels, refuse)
    const captions = labels && caption === undefined ? [...labels] : checkTexts(caption, 'caption', refuse)
    const example = examples.get(name)
    if (example === undefined) {
      const found = form.find(resolve(folder, name), fields, reason => refuse(`'${form.field}' is '${name}'${reason}`))
      examples.set(name, { captions, ...(labels && { labels: [...new Set(labels)] }), fields, found })
    } else {
      example.captions.push(...captions)
      if (labels) example.labels = [...new Set([...(example.labels ?? []), ...labels])]
      Object.assign(example.fields, fields)
    }
  })
  if (examples.size === 0) throw new DataError(`empty dataset: it names no ${form.noun}`, { file: path })
  return { folder, examples: Array.from(examples, ([name, example]) => ({ name, ...example })) }
}

/**
 * Reads the lines of a list.
 * @param columns for a header: one name of each of these must be in it
 * @returns the path of the list, the folder that its files are below, and a function that calls another with every line. It throws a
 *   DataError for the lines that are not objects, or that the other function refuses; of several it names the first few
 * @throws DataError for no list or several, and for a header without a column
 */
export async function readLines(
  folderOrFile: string,
  kind: ListKind,
  columns: readonly (readonly string[])[],
): Promise<{
  readonly path: string
  readonly folder: string
  readonly eachLine: (take: (line: ListLine) => void) => void
}> {
  const path = await findList(folderOrFile, kind)
  const text = await readText(path)
  const values = /\.jsonl$/i.test(path) ? jsonLines(text, path) : await csvLines(text, path, columns)
  return { path, folder: path === folderOrFile ? dirname(path) : folderOrFile, eachLine }

  function eachLine(take: (line: ListLine) => void): void {
    const faults = new Faults()
    for (const { number, read } of values) {
      const refuse = (reason: string) => new DataError(reason, { file: path, line: number })
      try {
        const value = read()
        if (typeof value !== 'object' || value === null || Array.isArray(value))
          throw refuse(`is not an object like ${kind.line}`)
        take({ number, fields: value as Record<string, unknown>, refuse })
      } catch (error) {
        if (!(error instanceof DataError)) throw error
        if (faults.add(error)) break
      }
    }
    faults.throwIfAny()
  }
}

/** An example while more of its lines may follow. */
interface Collected<Found> {
  readonly captions: string[]
  labels?: string[]
  readonly fields: Record<string, unknown>
  readonly found: Found
}

/** The classes of a line, at least one; undefined if they are not read, or if it has none and need not have any. */
function labelsOf(
  fields: Readonly<Record<string, unknown>>,
  withLabels: ReadLabels,
  refuse: Refuse,
): string[] | undefined {
  if (!withLabels) return undefined
  const labels = withLabels === 'optional' ? labelsIfAny(fields) : labelsIn(fields, refuse)
  if (labels.length > 0) return labels
  if (withLabels === 'optional') return undefined
  throw refuse("has no 'label' and no 'labels'")
}

/** Whether a path is a folder without a list of captions. */
export async function hasNoList(path: string, lists: readonly string[]): Promise<boolean> {
  const isFolder = await stat(path).then(
    found => found.isDirectory(),
    () => false,
  )
  return isFolder && !lists.some(name => statSync(join(path, name), { throwIfNoEntry: false }))
}

async function findList(folder: string, { noun, lists }: ListKind): Promise<string> {
  const found: string[] = []
  let isFolder: boolean
  try {
    isFolder = (await stat(folder)).isDirectory()
  } catch (error) {
    throw fileError(folder, error)
  }
  if (!isFolder && /\.(jsonl|csv|tsv)$/i.test(folder)) return folder
  if (!isFolder)
    throw new DataError(
      `is neither a folder of ${noun}s nor a .jsonl, .csv or .tsv of ${noun === 'question' ? 'questions' : 'captions'}`,
      { file: folder },
    )
  for (const name of lists) if (statSync(join(folder, name), { throwIfNoEntry: false })) found.push(name)
  if (found.length === 0) throw new DataError(`has none of ${lists.join(', ')}`, { file: folder })
  if (found.length > 1) throw new DataError(`has ${found.join(' and ')}: keep one of them`, { file: folder })
  return join(folder, found[0])
}

function* jsonLines(text: string, file: string): Generator<Line> {
  let number = 0
  for (const line of text.split('\n')) {
    number++
    if (line.trim() === '') continue
    const place = { file, line: number }
    // Python's json writes NaN, which is read as null
    yield { number, read: () => parseAnyJsonLine(line, place, { nonFinite: true }) }
  }
}

/** Comma-separated with quotes (RFC 4180), or tab-separated without: a quotation mark in a .tsv is an ordinary character. */
async function csvLines(text: string, file: string, columns: readonly (readonly string[])[]): Promise<Line[]> {
  const { parse } = await import('csv-parse/sync')
  const tabs = /\.tsv$/i.test(file)
  let records: { record: Record<string, unknown>; info: { lines: number } }[]
  try {
    records = parse(text, {
      columns: header => checkHeader(header, file, columns),
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
  return records.map(({ record, info }) => ({ number: info.lines, read: () => record }))
}

function checkHeader(header: string[], file: string, columns: readonly (readonly string[])[]): string[] {
  const names = header.map(name => name.trim())
  for (const [i, name] of names.entries())
    if (names.indexOf(name) < i) throw new DataError(`the header names '${name}' twice`, { file, line: 1 })
  for (const some of columns)
    if (!some.some(name => names.includes(name))) {
      const what = some.map(name => `'${name}'`).join(' and no ')
      throw new DataError(`the header has no ${what}: it reads ${names.join(', ')}`, { file, line: 1 })
    }
  return names
}

export type Refuse = (reason: string) => DataError

/** A normalised path within the folder. */
export function checkPath(path: unknown, field: string, refuse: Refuse): string {
  if (path === undefined) throw refuse(`has no '${field}'`)
  if (typeof path !== 'string' || path.trim() === '')
    throw refuse(`'${field}' is not a ${field === 'clip' ? 'path' : 'file name'}`)
  if (path.includes('\0')) throw refuse(`'${field}' holds a NUL character`)
  // a clip is a folder, which some write with a slash at its end
  const name = field === 'clip' ? posix.normalize(path).replace(/(.)\/$/, '$1') : posix.normalize(path)
  if (posix.isAbsolute(name) || name === '..' || name.startsWith('../') || /^[a-z]:|\\/i.test(name))
    throw refuse(`'${field}' is '${path}': it must be a path below the folder, with forward slashes`)
  return name
}

export function checkOnDisk(path: string, _: unknown, refuse: Refuse): void {
  const other = notAFile(entryAt(path, refuse))
  if (other !== undefined) throw refuse(`, which ${other}`)
}

interface Entry {
  isFile(): boolean
  isDirectory(): boolean
  isFIFO(): boolean
  isSocket(): boolean
}

/** What is at a path. The declarations of cocagrad need no types of Node, so the type is as much as is needed. */
export function entryAt(path: string, refuse: Refuse): Entry {
  let entry: Entry | undefined
  try {
    entry = statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    throw refuse(`: ${messageOf(error)}`)
  }
  if (entry === undefined) throw refuse(', which does not exist')
  return entry
}

/** The texts of a field, one or a list of them, without the spaces around them. */
export function checkTexts(given: unknown, field: string, refuse: Refuse): string[] {
  if (given === undefined) throw refuse(`has no '${field}'`)
  const texts: unknown[] = Array.isArray(given) ? given : [given]
  if (texts.length === 0) throw refuse(`'${field}' is an empty list`)
  return texts.map(text => {
    if (typeof text !== 'string') throw refuse(`'${field}' is ${JSON.stringify(text)}, not text`)
    const trimmed = text.trim()
    if (trimmed === '') throw refuse(`'${field}' is empty`)
    return trimmed
  })
}
