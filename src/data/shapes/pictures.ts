// Shapes as data for batches, drawn when they are needed: the same examples, pixels and fingerprint as a folder of `writeShapes`, so that
// a training in a page continues in Node on such a folder, and the other way round.

import { DataError, sha256 } from '../../io/browser.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import type { ImageTextSource } from '../image-text-source.ts'
import { toChannelsFirst, toUnitRange } from '../images/pixels.ts'
import { describe } from './captions.ts'
import { drawScene, PICTURE_SIDE } from './drawing.ts'
import { type ShapesOptions, shapesOptions, shapesScene } from './scenes.ts'

/** Options of {@link ShapesPictures}. */
export interface ShapesPicturesOptions extends ShapesOptions {
  /** number of pictures: those with index 0 … count - 1 */
  readonly count: number
}
const picturesOptions = { ...shapesOptions, count: is.count } satisfies Settings<ShapesPicturesOptions>

/** The name of a picture in a folder of Shapes. */
const fileOf = (index: number): string => `images/${String(index).padStart(6, '0')}.png`

/**
 * Shapes for a `BatchIterator`.
 *
 *     const data = new ShapesPictures({ count: 16_000, seed: 1, pairs: 'seen' })
 *     const tokenizer = WordTokenizer.fromCaptions(data.allCaptions)
 *     const batches = new BatchIterator(data, tokenizer, { batchSize: 16, contextLength: 12 })
 */
export class ShapesPictures implements ImageTextSource {
  readonly length: number
  readonly imageSize = PICTURE_SIDE
  /** that of a folder with these pictures */
  readonly fingerprint: string
  /** the caption of every picture */
  readonly allCaptions: readonly string[]
  readonly #options: ShapesOptions

  constructor(options: ShapesPicturesOptions) {
    const { count, ...shapes } = settle('new ShapesPictures(options)', options, picturesOptions)
    this.length = count
    this.#options = shapes
    this.allCaptions = Array.from({ length: count }, (_, index) => describe(shapesScene(index, shapes)))
    this.fingerprint = sha256(
      this.allCaptions.map((caption, index) => `${JSON.stringify([fileOf(index), [caption]])}\n`).join(''),
    )
  }

  captions(index: number): readonly string[] {
    const caption = this.allCaptions[index]
    if (caption === undefined) throw new DataError(`Shapes: there is no picture ${index} of ${this.length}`)
    return [caption]
  }

  name(index: number): string {
    return `Shapes, ${fileOf(index)}`
  }

  async image(index: number): Promise<Float32Array> {
    const data = drawScene(shapesScene(index, this.#options))
    return toUnitRange(toChannelsFirst({ width: PICTURE_SIDE, height: PICTURE_SIDE, data }, 3))
  }
}
