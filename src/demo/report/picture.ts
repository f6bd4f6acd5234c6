// Pictures in a page: as PNG data, so that the page needs no other file, with an overlay that shows the attention of a
// model.

import { encodePng } from '../../data/index.ts'
import { type Size2d, sidesOf } from '../../tensor/index.ts'
import { type Html, html } from './html.ts'

export interface Picture {
  /** [height, width, 3], 0 … 255 */
  readonly pixels: Uint8Array
  readonly size: readonly [height: number, width: number]
  /** alternative text */
  readonly alt: string
}

/** Converts [3, height, width] in 0 … 1, the result of an image decoder, to a picture. */
export function pictureOf(planes: Float32Array, size: Size2d, alt: string): Picture {
  const area = planes.length / 3
  const pixels = new Uint8Array(planes.length)
  for (let i = 0; i < area; i++) for (let c = 0; c < 3; c++) pixels[i * 3 + c] = Math.round(255 * planes[c * area + i])
  return { pixels, size: sidesOf(size), alt }
}

const dataUri = ({ pixels, size: [height, width] }: Picture): string =>
  `data:image/png;base64,${Buffer.from(encodePng(pixels, width, height)).toString('base64')}`

export const image = (picture: Picture, className = 'picture'): Html =>
  html`<img class="${className}" src="${dataUri(picture)}" width="${picture.size[1]}" height="${picture.size[0]}" alt="${picture.alt}">`

/**
 * A picture that is darkened where there is no attention.
 * @param attention one share per patch, row by row, summing to 1
 * @param grid number of patches in a column and in a row
 */
export function attended(
  picture: Picture,
  attention: ArrayLike<number>,
  [rows, columns]: readonly [number, number],
  alt: string,
): Html {
  const most = Array.from(attention).reduce((a, b) => Math.max(a, b), 0) || 1
  const patches = Array.from(attention, (share, i) => {
    const veil = (0.82 * (1 - share / most)).toFixed(3)
    const title = `${(100 * share).toFixed(0)} % of the attention`
    return html`<rect x="${i % columns}" y="${Math.floor(i / columns)}" width="1" height="1" fill-opacity="${veil}"><title>${title}</title></rect>`
  })
  return html`<svg class="attended" viewBox="0 0 ${columns} ${rows}" role="img" aria-label="${alt}"><image href="${dataUri(picture)}" width="${columns}" height="${rows}" preserveAspectRatio="none" style="image-rendering:pixelated"/>${patches}</svg>`
}
