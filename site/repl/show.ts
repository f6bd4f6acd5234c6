// What is shown of a value: the table or the outline that it has for notebooks, and pictures where its shape is that of images.

import type { Tensor } from 'cocagrad'
import type { Part, Picture } from './protocol.ts'

const jupyterDisplay = Symbol.for('Jupyter.display')

interface Displayable {
  [jupyterDisplay](): Promise<Readonly<Record<string, string>>>
}

export const isDisplayable = (value: unknown): value is Displayable =>
  typeof value === 'object' && value !== null && typeof (value as Partial<Displayable>)[jupyterDisplay] === 'function'

const isTensor = (value: object): value is Tensor => 'shape' in value && 'dtype' in value && 'data' in value

/** Sides that a picture may have: less is a table, more is not drawn. */
const [LEAST, MOST] = [8, 1024]
const MOST_PICTURES = 16

interface Layout {
  readonly count: number
  readonly channels: number
  readonly height: number
  readonly width: number
  /** position of an element */
  at(picture: number, channel: number, y: number, x: number): number
}

/** How a shape is read as pictures: [1 or 3, h, w] or [h, w, 1 or 3], or a batch of them; with `isMatrix` also [h, w]. */
export function layoutOf(shape: readonly number[], isMatrix = false): Layout | undefined {
  const [count, a, b, c] =
    shape.length === 4
      ? shape
      : shape.length === 3
        ? [1, ...shape]
        : isMatrix && shape.length === 2
          ? [1, 1, ...shape]
          : []
  const isChannels = (n: number) => n === 1 || n === 3
  const isSide = (n: number) => n >= (isMatrix ? 1 : LEAST) && n <= MOST
  if (isChannels(a) && isSide(b) && isSide(c)) {
    const at = (i: number, k: number, y: number, x: number) => ((i * a + k) * b + y) * c + x
    return { count, channels: a, height: b, width: c, at }
  }
  if (isChannels(c) && isSide(a) && isSide(b)) {
    const at = (i: number, k: number, y: number, x: number) => ((i * a + y) * b + x) * c + k
    return { count, channels: c, height: a, width: b, at }
  }
  return undefined
}

const digits = (value: number) => String(Number(value.toPrecision(3)))

/** Pictures of values; the least is black and the greatest is white. */
export function draw(
  values: ArrayLike<number>,
  layout: Layout,
): { readonly pictures: Picture[]; readonly range: string } {
  const { count, channels, height, width, at } = layout
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let i = 0; i < values.length; i++) {
    if (values[i] < low) low = values[i]
    if (values[i] > high) high = values[i]
  }
  const scale = high > low ? 255 / (high - low) : 0
  const pictures = Array.from({ length: Math.min(count, MOST_PICTURES) }, (_, i) => {
    const pixels = new Uint8ClampedArray(4 * width * height)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        for (let k = 0; k < 4; k++) {
          const value = values[at(i, Math.min(k, channels - 1), y, x)]
          pixels[4 * (y * width + x) + k] = k === 3 ? 255 : (value - low) * scale
        }
    return { width, height, pixels }
  })
  const some = count > MOST_PICTURES ? `; the first ${MOST_PICTURES} of ${count}` : ''
  return { pictures, range: `black is ${digits(low)}, white is ${digits(high)}${some}` }
}

/** What replaces the text of a value; undefined where the text says it all. */
export async function shown(value: unknown): Promise<Part | undefined> {
  if (!isDisplayable(value)) return undefined
  if (isTensor(value) && value.shape.length === 0) return undefined
  const layout = isTensor(value) ? layoutOf(value.shape) : undefined
  // both read at once: the values may be given back before the first answer
  const [bundle, data] = await Promise.all([
    value[jupyterDisplay](),
    layout && isTensor(value) ? value.data() : undefined,
  ])
  const html = bundle['text/html']
  if (layout && data) {
    const { pictures, range } = draw(data as ArrayLike<number>, layout)
    const title = /<figcaption>(.*?)<\/figcaption>/.exec(html)?.[1] ?? ''
    return { kind: 'pictures', pictures, caption: `${title}: ${range}`, html }
  }
  return html ? { kind: 'html', html } : undefined
}
