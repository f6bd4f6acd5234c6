// Names of classes and templates of sentences, on the command line or in a file.

import { statSync } from 'node:fs'
import { DataError, Faults, messageOf, parseJson, quoted, readText } from '../io/index.ts'
import { UsageError } from './errors.ts'
import { names } from './options.ts'

/**
 * The names of classes: separated by commas, or in a file, one a line or as a JSON list.
 * @throws UsageError or DataError for an empty name, and for a name that is listed twice; of several lines it names the first few
 */
export const readLabels = async (given: string): Promise<readonly string[]> =>
  isFile(given) ? listIn(given, 'labels') : names('--labels')(given)

/**
 * Sentences with {} for a label. Each is given itself or is a file of some, one a line or as a JSON list.
 * @throws UsageError, or DataError naming the line, for a sentence without {}; of several lines it names the first few
 */
export async function readTemplates(given: readonly string[] | undefined): Promise<string[] | undefined> {
  if (given === undefined) return undefined
  const lists = await Promise.all(
    given.map(async text => {
      if (text.includes('{}')) return [text]
      if (isFile(text)) return listIn(text, 'templates')
      throw new UsageError(`--template '${text}' has no {} for the label, and is no file`)
    }),
  )
  return lists.flat()
}

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false

/** The lines of a file that are not empty, or the texts of a JSON list in it. */
async function listIn(file: string, what: 'labels' | 'templates'): Promise<string[]> {
  const text = await readText(file)
  const items = text.trimStart().startsWith('[') ? jsonItems(text, file) : lineItems(text)
  if (items.length === 0) throw new DataError(`contains no ${what}`, { file })
  const seen = new Set<string>()
  const faults = new Faults()
  for (const { item, line } of items) {
    const reason = seen.has(item)
      ? 'is listed twice'
      : what === 'templates' && !item.includes('{}')
        ? 'has no {} for the label'
        : undefined
    if (reason !== undefined && faults.add(new DataError(`${quoted(item)} ${reason}`, { file, line }))) break
    seen.add(item)
  }
  faults.throwIfAny()
  return [...seen]
}

interface Item {
  readonly item: string
  readonly line?: number
}

const lineItems = (text: string): Item[] =>
  text.split('\n').flatMap((line, i) => (line.trim() === '' ? [] : [{ item: line.trim(), line: i + 1 }]))

function jsonItems(text: string, file: string): Item[] {
  let list: unknown
  try {
    list = parseJson(text)
  } catch (cause) {
    throw new DataError(`begins with [ and ${messageOf(cause)}`, { file, cause })
  }
  if (!(Array.isArray(list) && list.every(item => typeof item === 'string' && item.trim() !== '')))
    throw new DataError('is not a list of texts that are not empty', { file })
  return list.map(item => ({ item: item.trim() }))
}
