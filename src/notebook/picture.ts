// Tensors as pictures: the least value is black, the greatest white.

import { checkArguments } from '../tensor/arguments.ts'
import { inspected } from '../tensor/display.ts'
import {
  type InspectOptions,
  inspectCustom,
  jupyterDisplay,
  type MimeBundle,
  ShapeError,
  show,
  type Tensor,
} from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { escaped } from './markup.ts'
import { encodePng } from './png.ts'

/** Options of `picture`. */
export interface GalleryOptions {
  /** a text below each picture; default none */
  readonly captions?: readonly string[]
  /** the text below them all; default which values are black and white */
  readonly caption?: string
  /** the most pictures of a batch that are shown; default 16 */
  readonly most?: number
}
const galleryOptions = {
  captions: is.optional(is.list) as is.Kind<GalleryOptions['captions']>,
  caption: is.optional(is.text),
  most: is.byDefault(16, is.count),
} satisfies Settings<GalleryOptions>

/** Pixels of a side on the screen: small pictures are enlarged to it, by a whole number. */
const SIDE = 128

interface Layout {
  readonly count: number
  readonly channels: 1 | 3
  readonly height: number
  readonly width: number
  /** position of an element */
  at(picture: number, channel: number, y: number, x: number): number
}

/** How a shape is read as pictures, or undefined: [h, w], [1 or 3, h, w], [h, w, 1 or 3], or a batch of the last two. */
export function layoutOf(shape: readonly number[]): Layout | undefined {
  if (shape.length < 2 || shape.length > 4 || shape.includes(0)) return undefined
  const [count, a, b, c] = [1, 1, ...shape].slice(-4)
  const isChannels = (n: number): n is 1 | 3 => n === 1 || n === 3
  if (isChannels(a))
    return { count, channels: a, height: b, width: c, at: (i, k, y, x) => ((i * a + k) * b + y) * c + x }
  if (isChannels(c))
    return { count, channels: c, height: a, width: b, at: (i, k, y, x) => ((i * a + y) * b + x) * c + k }
  return undefined
}

const digits = (value: number) => String(Number(value.toPrecision(3)))

/** Pictures of a tensor. Deno's Jupyter kernel and the editor of the site show them. */
export class Gallery {
  /** the values */
  readonly values: Tensor
  readonly #layout: Layout
  readonly #options: GalleryOptions & { readonly most: number }
  // read at once: the values may be freed before they are shown
  readonly #data: Promise<ArrayLike<number>>

  constructor(values: Tensor, layout: Layout, options: GalleryOptions & { readonly most: number }) {
    this.values = values
    this.#layout = layout
    this.#options = options
    this.#data = values.data() as Promise<ArrayLike<number>>
    this.#data.catch(() => {}) // who shows them gets the error
  }

  /** How many there are, and their size. */
  toString(): string {
    const { count, channels, height, width } = this.#layout
    const what = channels === 1 ? 'grey' : 'coloured'
    return `${count} ${what} picture${count > 1 ? 's' : ''} of ${height} × ${width} pixels`
  }

  /** The text that the consoles of Node, Deno and Bun print. */
  [inspectCustom](depth?: number | null, options?: InspectOptions): string {
    const words = () => this.toString()
    return inspected({ name: 'Gallery', line: words, text: words }, depth, options)
  }

  /** The display in a notebook. */
  async [jupyterDisplay](): Promise<MimeBundle> {
    const { count, channels, height, width, at } = this.#layout
    const { captions, caption, most } = this.#options
    const data = await this.#data
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
    for (let i = 0; i < data.length; i++) {
      if (data[i] < low) low = data[i]
      if (data[i] > high) high = data[i]
    }
    const brightness = high > low ? 255 / (high - low) : 0
    const scale = Math.max(1, Math.min(8, Math.floor(SIDE / Math.max(width, height))))
    const one = async (_: unknown, i: number) => {
      const pixels = new Uint8Array(height * width * channels)
      for (let y = 0, to = 0; y < height; y++)
        for (let x = 0; x < width; x++)
          for (let k = 0; k < channels; k++, to++) pixels[to] = Math.round((data[at(i, k, y, x)] - low) * brightness)
      const file = await encodePng(pixels, width, height, channels)
      const source = `data:image/png;base64,${btoa(Array.from(file, byte => String.fromCharCode(byte)).join(''))}`
      const below = captions?.[i]
      const name = escaped(below ?? `picture ${i + 1} of ${count}`)
      const size = `width="${width * scale}" height="${height * scale}"`
      const image = `<img alt="${name}" ${size} style="image-rendering: pixelated" src="${source}">`
      if (below === undefined) return image
      return `<figure style="display: inline-block; margin: 0 8px 8px 0; width: ${Math.max(110, width * scale)}px; vertical-align: top">${image}<figcaption>${escaped(below)}</figcaption></figure>`
    }
    const shown = Math.min(count, most)
    const images = await Promise.all(Array.from({ length: shown }, one))
    const facts = [
      caption ?? `black is ${digits(low)}, white is ${digits(high)}`,
      ...(shown < count ? [`the first ${shown} of ${count}`] : []),
    ]
    const html = `<figure class="cocagrad-pictures" style="margin: 0"><div>${images.join(' ')}</div><figcaption>${escaped(facts.join('; '))}</figcaption></figure>`
    return { 'text/plain': this.toString(), 'text/html': html }
  }
}

/**
 * Values as pictures: the least value of all is black, the greatest white.
 *
 *     picture(images, { captions })
 *
 * @param values [height, width], [1 or 3, height, width] or [height, width, 1 or 3], or a batch [n, …] of the last two
 * @returns the pictures, which a notebook shows as the value of a cell or by `display`
 * @throws ShapeError for another shape, RangeError for another number of captions, OptionsError
 */
export function picture(values: Tensor, options?: GalleryOptions): Gallery {
  checkArguments('picture(values, options)', [is.tensor, is.options], [values, options])
  const settled = settle('picture(values, options)', options, galleryOptions)
  const layout = layoutOf(values.shape)
  if (!layout)
    throw new ShapeError(
      `picture: shape ${show(values.shape)} is not that of pictures; write [height, width], [1 or 3, height, width] or [n, 1 or 3, height, width]`,
    )
  const { captions } = settled
  if (captions && captions.length !== layout.count)
    throw new RangeError(`picture: ${captions.length} captions for ${layout.count} pictures; give one for each`)
  return new Gallery(values, layout, settled)
}
