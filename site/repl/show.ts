// What is shown of a value: what it has for notebooks, and of a tensor whose shape is that of images also pictures.

import type { Tensor } from 'cocagrad'
import type { Part } from './protocol.ts'

const jupyterDisplay = Symbol.for('Jupyter.display')

type Bundle = Readonly<Record<string, string>>

interface Displayable {
  [jupyterDisplay](): Bundle | Promise<Bundle>
}

export const isDisplayable = (value: unknown): value is Displayable =>
  typeof value === 'object' && value !== null && typeof (value as Partial<Displayable>)[jupyterDisplay] === 'function'

/** Sides that a picture may have: less is a table, more is not drawn. */
const [LEAST, MOST] = [8, 1024]

const isTensor = (value: object): value is Tensor => 'shape' in value && 'dtype' in value && 'data' in value

/** Whether a shape is [1 or 3, h, w] or [h, w, 1 or 3], or that of a batch of them. */
function isOfPictures(shape: readonly number[]): boolean {
  const [a, b, c] = shape.slice(-3)
  const isChannels = (n: number) => n === 1 || n === 3
  const isSide = (n: number) => n >= LEAST && n <= MOST
  return (
    [3, 4].includes(shape.length) &&
    ((isChannels(a) && isSide(b) && isSide(c)) || (isChannels(c) && isSide(a) && isSide(b)))
  )
}

/** The part for contents by MIME type: the richest that a page shows. */
export function partOf(bundle: Bundle): Part {
  const html = bundle['text/html'] ?? bundle['image/svg+xml']
  return html === undefined ? { kind: 'text', text: bundle['text/plain'] ?? '' } : { kind: 'html', html }
}

/** What replaces the text of a value; undefined where the text says it all. */
export async function shown(value: unknown): Promise<Part | undefined> {
  if (!isDisplayable(value)) return undefined
  if (!isTensor(value)) return partOf(await value[jupyterDisplay]())
  if (value.shape.length === 0) return undefined
  if (!isOfPictures(value.shape)) return partOf(await value[jupyterDisplay]())
  // both read at once: the values may be given back before the first answer
  const table = value[jupyterDisplay]()
  const { picture } = await import('cocagrad/notebook')
  const pictures = await (picture(value) as unknown as Displayable)[jupyterDisplay]()
  const values = (await table)['text/html']
  const [title = ''] = /(?<=<figcaption>).*?(?=<\/figcaption>)/.exec(values) ?? []
  const html = `<div>${title}</div>${pictures['text/html']}<details><summary>as numbers</summary>${values}</details>`
  return { kind: 'html', html }
}
