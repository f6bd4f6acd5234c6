// Tables of comma-separated values (RFC 4180): rows of numbers and texts by the names of their columns.

import type { CsvError } from 'csv-parse/sync'
import { DataError, Faults, messageOf, quoted, readText } from '../../io/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { type FileSource, refusalOf } from './source.ts'

/** What the values of a column are. */
export type CsvType = 'number' | 'integer' | 'text'

/** The types of columns by name. */
export type CsvTypes = Readonly<Record<string, CsvType>>

/** A row; without types, columns whose values are all numbers are numbers. */
export type CsvRow<Types extends CsvTypes = CsvTypes> = string extends keyof Types
  ? Record<string, number | string>
  : { [Name in keyof Types]: Types[Name] extends 'text' ? string : number }

export interface ReadCsvOptions<Types extends CsvTypes = CsvTypes> {
  /** the columns to read, with their types; default all, with types by their values */
  readonly columns?: Types
  /** names of the columns of a file without a header; default its first line */
  readonly header?: readonly string[]
  /** default a comma */
  readonly delimiter?: string
  /** the values that stand for a missing one; default only the empty one. In numbers it is NaN, in texts '', and no integer may be missing */
  readonly missing?: readonly string[]
}
const texts = new is.Kind<readonly string[]>('a list of strings', x => Array.isArray(x) && x.every(is.text.fits))
const csvTypes = is.oneOf<CsvType>('number', 'integer', 'text')
const csvOptions = {
  columns: is.optional(
    new is.Kind<CsvTypes>(
      "an object of types by column, such as { age: 'number', city: 'text' }",
      x => typeof x === 'object' && x !== null && !Array.isArray(x) && Object.values(x).every(csvTypes.fits),
    ),
  ),
  header: is.optional(texts),
  delimiter: ',',
  missing: is.byDefault<readonly string[]>([''], texts),
} satisfies Settings<ReadCsvOptions>

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

interface Read {
  readonly fits: (value: string) => boolean
  readonly of: (value: string) => number | string
  readonly says: string
}

const NUMBERS: Read = { fits: value => NUMBER.test(value), of: Number, says: 'a number' }
const INTEGERS: Read = {
  fits: value => NUMBER.test(value) && Number.isSafeInteger(Number(value)),
  of: Number,
  says: 'a whole number',
}
const TEXTS: Read = { fits: () => true, of: value => value, says: 'a text' }
const READS: Readonly<Record<CsvType, Read>> = { number: NUMBERS, integer: INTEGERS, text: TEXTS }

/**
 * Reads a table: rows for a DataLoader, by the names of its header.
 *
 *     await readCsv('iris.csv', { columns: { petal_length: 'number', species: 'text' } })
 *     // [{ petal_length: 1.4, species: 'setosa' }, …]
 *
 * Values may be in quotation marks, and may then contain delimiters, line feeds and doubled quotation marks. Spaces around numbers
 * are ignored, and so are empty lines.
 * @param source a path or the bytes of the file, in UTF-8
 * @throws DataError naming file, line and column: for a value of another type, a line with too many or too few values, an open
 *   quotation mark, a column that is not in the header, and for a file without a row
 */
export async function readCsv<const Types extends CsvTypes = CsvTypes>(
  source: FileSource,
  options?: ReadCsvOptions<Types>,
): Promise<CsvRow<Types>[]> {
  const { columns, header, delimiter, missing } = settle(
    'readCsv(source, options)',
    options as ReadCsvOptions | undefined,
    csvOptions,
  )
  const refuse = refusalOf(source)
  const lines = await parsed(await textOf(source), delimiter, refuse)
  const first = header ? undefined : lines.shift()
  const names = header ?? first?.values.map(name => name.trim()) ?? []
  for (const [i, name] of names.entries())
    if (names.indexOf(name) < i) throw refuse(`the header names '${name}' twice`, first?.number)
  for (const name of Object.keys(columns ?? {}))
    if (!names.includes(name))
      throw refuse(`the header has no column '${name}': it reads ${names.join(', ')}`, first?.number)
  if (lines.length === 0) throw refuse('has no row')
  const faults = new Faults()
  const wrong = (reason: string, line: number) => faults.add(refuse(reason, line))
  const isMissing = new Set(missing)
  for (const { number, values } of lines)
    if (values.length !== names.length)
      if (wrong(`has ${values.length} values, but there are ${names.length} columns`, number)) break
  faults.throwIfAny()
  const reads = names.flatMap((name, at) => {
    const isNumber = () => lines.every(({ values }) => isMissing.has(values[at]) || NUMBER.test(values[at].trim()))
    if (columns) return Object.hasOwn(columns, name) ? [{ name, at, read: READS[columns[name]] }] : []
    return [{ name, at, read: isNumber() ? NUMBERS : TEXTS }]
  })
  const rows: Record<string, number | string>[] = []
  for (const { number, values } of lines) {
    const entries: [string, number | string][] = []
    for (const { name, at, read } of reads) {
      const value = read === TEXTS ? values[at] : values[at].trim()
      if (isMissing.has(values[at]) && read !== INTEGERS) entries.push([name, read === TEXTS ? '' : Number.NaN])
      else if (read.fits(value)) entries.push([name, read.of(value)])
      else if (wrong(`column '${name}' is ${quoted(value)}, not ${read.says}`, number)) faults.throwIfAny()
    }
    rows.push(Object.fromEntries(entries))
  }
  faults.throwIfAny()
  return rows as CsvRow<Types>[]
}

async function textOf(source: FileSource): Promise<string> {
  if (typeof source === 'string') return readText(source)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(source)
  } catch {
    throw refusalOf(source)('is not UTF-8 text')
  }
}

/** The values of every line, with the number of the line. */
async function parsed(text: string, delimiter: string, refuse: ReturnType<typeof refusalOf>) {
  const { parse } = await import('csv-parse/sync')
  try {
    const records = parse(text, {
      bom: true,
      delimiter,
      info: true,
      record_delimiter: ['\r\n', '\n', '\r'],
      relax_column_count: true,
      skip_empty_lines: true,
    }) as unknown as { record: string[]; info: { lines: number } }[]
    return records.map(({ record, info }) => ({ values: record, number: info.lines }))
  } catch (error) {
    if (error instanceof DataError) throw error
    const line = (error as CsvError).lines
    throw refuse(messageOf(error), typeof line === 'number' ? line : undefined)
  }
}
