// Displays objects in the consoles of Node, Deno and Bun, in notebooks, and in the console of a browser. Each of these finds
// the method by a global symbol, so nothing is imported from them. Inside another object, an object is shown as one line.

import type { TypedArray } from './dtype.ts'
import { preformattedHtml, tableHtml } from './html.ts'
import { ends, formatValues, type PrintOptions, type PrintSettings, printed, printSettings } from './print.ts'
import { show, sizeOf } from './shape.ts'
import type { View } from './storage.ts'

/** Key of the method that Node, Deno and Bun call to print an object. */
export const inspectCustom: unique symbol = Symbol.for('nodejs.util.inspect.custom')

/** Key of the method that Deno's Jupyter kernel calls on the value of a cell. */
export const jupyterDisplay: unique symbol = Symbol.for('Jupyter.display')

/** The settings that a console passes to the method. */
export interface InspectOptions {
  /** number of levels of objects to expand; null for all */
  readonly depth?: number | null
  /** colours a text by its style, if the console has colours */
  readonly stylize?: (text: string, style: 'special' | 'number' | 'boolean') => string
}

/** One content in several formats, by MIME type: a notebook shows the richest that it supports. */
export type MimeBundle = Readonly<Record<string, string>>

/** Colours the values in a text. */
export type Paint = (values: string) => string

const plain: Paint = values => values

/** The texts that display an object. */
export interface Appearance {
  /** name of its class */
  readonly name: string
  /** its text inside another object */
  line(paint: Paint): string
  /** its full text */
  text(paint: Paint): string
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** The result of `inspectCustom`. It never throws: for an object that cannot be shown, the text gives the reason. */
export function inspected(
  { name, line, text }: Appearance,
  depth: number | null = null,
  options: InspectOptions = {},
): string {
  const stylize = options.stylize ?? (word => word)
  if (depth !== null && depth < 0) return stylize(`[${name}]`, 'special')
  const isPart = depth !== null && depth < (options.depth ?? depth)
  try {
    return (isPart ? line : text)(values =>
      values.replaceAll(/[^\s[\],]+/g, word => {
        if (word === '...') return word
        return stylize(word, word === 'true' || word === 'false' ? 'boolean' : 'number')
      }),
    )
  } catch (error) {
    return stylize(`[${name}: ${reasonOf(error)}]`, 'special')
  }
}

/** The result of `jupyterDisplay`. */
export const mimeBundle = (text: string, html = preformattedHtml(text)): MimeBundle => ({
  'text/plain': text,
  'text/html': html,
})

/** A text with every line indented by two columns. */
export const indented = (text: string): string => text.replaceAll(/^(?=.)/gm, '  ')

/** A tensor's kind, shape, dtype and device in one line. */
export const titleOf = (kind: string, { storage, shape }: View, ...facts: readonly string[]): string =>
  [
    `${kind} ${show(shape)} ${storage.dtype} on ${storage.device.name}`,
    ...facts,
    ...(storage.isFreed ? ['freed'] : []),
  ].join(', ')

/** The values of a tensor to print, or the reason why they cannot be read. */
type Readable = TypedArray | string

function readNow(x: View, settings: PrintSettings): Readable {
  const { device } = x.storage
  if (!device.readSync) return 'await x.text() prints it, await x.array() reads it'
  try {
    return device.readSync(ends(x, settings))
  } catch (error) {
    return reasonOf(error)
  }
}

const readSoon = (x: View, settings: PrintSettings): Promise<Readable> =>
  x.storage.device.read(ends(x, settings)).catch(reasonOf)

const format = ({ shape, storage }: View, values: TypedArray, settings: PrintSettings): string =>
  formatValues(values, shape, storage.dtype, settings)

/** The title, followed by the values on the same line, or below it if they take several lines. */
function describe(title: string, x: View, values: Readable, settings: PrintSettings, paint = plain): string {
  const isText = typeof values === 'string'
  const { lineWidth } = settings
  const body = isText ? values : format(x, values, { ...settings, lineWidth: lineWidth - 2 })
  const fits = !body.includes('\n') && title.length + 2 + body.length <= lineWidth
  const shown = isText ? body : paint(body)
  return fits ? `${title}: ${shown}` : `${title}:\n${indented(shown)}`
}

/** The values in one line of at most 60 columns: as many as fit, or none. */
export function briefValues(x: View): string {
  const room = 60
  for (const edgeItems of [3, 2, 1]) {
    const settings = printSettings({ threshold: 0, edgeItems, lineWidth: Number.POSITIVE_INFINITY })
    // a value takes at least three columns: `1, `
    if (3 * sizeOf(ends(x, settings).shape) > room) continue
    const values = readNow(x, settings)
    if (typeof values === 'string') return ''
    const line = format(x, values, settings).replaceAll(/\s+/g, ' ').replaceAll('[ ', '[')
    if (line.length <= room) return line
  }
  return ''
}

/** The text of a tensor, with its values if they can be read synchronously. */
export function textNow(title: string, x: View, options?: PrintOptions, paint?: Paint): string {
  const settings = printSettings(options)
  return describe(title, x, readNow(x, settings), settings, paint)
}

/** The same, with its values on every device. */
export async function textSoon(title: string, x: View, options?: PrintOptions): Promise<string> {
  const settings = printSettings(options)
  return describe(title, x, await readSoon(x, settings), settings)
}

/** The title and a few values in one line. */
export function lineNow(title: string, x: View, paint: Paint): string {
  const values = briefValues(x)
  return values === '' ? title : `${title}: ${paint(values)}`
}

/** The display of a tensor in a notebook. */
export async function displayed(title: string, x: View): Promise<MimeBundle> {
  const settings = printSettings()
  const values = await readSoon(x, settings)
  const text = describe(title, x, values, settings)
  if (typeof values === 'string') return mimeBundle(text)
  return mimeBundle(text, tableHtml(title, printed(values, x.shape, x.storage.dtype, settings)))
}
