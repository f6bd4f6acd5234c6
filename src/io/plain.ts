// Text of other people in messages: names and captions can be long, and can hold control characters that move the cursor
// of a terminal, set its title or forge lines of output. All messages and all output pass through these functions.

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that are replaced
const CONTROL = /[\0-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: as above, without the tab and the line feed
const CONTROL_IN_LINES = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

const NAMES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

const escaped = (character: string): string =>
  NAMES[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

/** A text on one line: control characters and those that reverse the direction of text are written as `\n` or `\u001b`. */
export const onOneLine = (text: string): string => text.replace(CONTROL, escaped)

/** As {@link onOneLine}, for a text of several lines: line feeds and tabs stay. */
export const inLines = (text: string): string => text.replace(CONTROL_IN_LINES, escaped)

/** A text of at most `length` characters, or its beginning and its end with the number of characters between them. */
export function cut(text: string, length: number): string {
  if (text.length <= length) return text
  const end = Math.floor(length / 4)
  const start = length - end
  return `${text.slice(0, start)} … (${(text.length - length).toLocaleString('en')} characters) … ${text.slice(-end)}`
}

/** The most characters of a value in a message. */
const SHOWN = 120

/** A text of a file in quotation marks, on one line and cut. */
export const quoted = (text: string): string => `'${cut(onOneLine(text), SHOWN)}'`

/** A value of a JSON file, on one line and cut. */
export const shownJson = (value: unknown): string => cut(onOneLine(JSON.stringify(value) ?? 'undefined'), SHOWN)
