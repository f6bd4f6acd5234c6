// Output: results go to stdout, as text or with --json for a program; all other messages go to stderr, so that they do
// not get into a pipe. Control characters of names and captions are written as escapes, in JSON too, where these are equal to them.

import type { BadSample } from '../data/index.ts'
import { inLines, onOneLine } from '../io/index.ts'
import { isReporting } from './ranks.ts'

/** Prints a message. Of several processes of a launcher, rank 0 prints it. */
export function say(text: string): void {
  if (isReporting()) sayHere(text)
}

/** Prints a message of this process, whichever it is. */
export const sayHere = (text: string): void => void process.stderr.write(`${inLines(text)}\n`)

/** Prints a command's result, on rank 0: `value` as JSON, or the text for people. */
export function answer(json: boolean | undefined, value: unknown, text: string): void {
  if (!isReporting()) return
  process.stdout.write(`${inLines(json ? JSON.stringify(value, null, 2) : text)}\n`)
}

/** The message for a picture that is left out. */
export const skippedLine = ({ file, key, reason }: BadSample): string =>
  onOneLine(`skipped ${key === undefined ? file : `${file}: ${key}`}: ${reason}`)

const width = (text: string) => [...text].length

/** A paragraph in lines of at most `columns`: the first starts with `start`, the others with as many spaces. */
export function wrapped(text: string, start: string, columns = Math.min(process.stdout.columns ?? 100, 100)): string {
  const indent = ' '.repeat(width(start))
  const lines = [start]
  for (const word of text.split(' ')) {
    const line = lines[lines.length - 1]
    const isFirst = line === start || line === indent
    if (!isFirst && width(line) + 1 + width(word) > columns) lines.push(indent + word)
    else lines[lines.length - 1] = isFirst ? line + word : `${line} ${word}`
  }
  return lines.join('\n')
}

/** Columns with two spaces between them; columns of numbers are aligned to the right. */
export function table(header: readonly string[], contents: readonly (readonly string[])[]): string {
  const rows = contents.map(row => row.map(onOneLine))
  const isNumber = header.map((_, i) => rows.every(row => /^[≥<>~-]*\s*[\d.,]|^$|^—$/.test(row[i])))
  const widths = header.map((title, i) => Math.max(width(title), ...rows.map(row => width(row[i]))))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => {
        const space = ' '.repeat(widths[i] - width(cell))
        return isNumber[i] ? space + cell : cell + space
      })
      .join('  ')
      .trimEnd()
  return [line(header), widths.map(n => '─'.repeat(Math.min(n, 60))).join('  '), ...rows.map(line)].join('\n')
}
