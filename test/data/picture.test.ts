// Pictures that are decoded already become the pixels that decodeImage gives of their files.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { decodeImage, encodePng } from '../../src/data/images/image.ts'
import { type RawPicture, resizeImage } from '../../src/data/images/picture.ts'
import { IMAGE_PIXELS } from '../../src/data/images/pixels.ts'
import { runs } from '../support.ts'

const channels = fc.constantFrom(1, 3, 4)
const picture = fc
  .record({ width: fc.integer({ min: 1, max: 40 }), height: fc.integer({ min: 1, max: 40 }), channels })
  .chain(({ width, height, channels }) => {
    const length = width * height * channels
    return fc.uint8Array({ minLength: length, maxLength: length }).map((data): RawPicture => ({ width, height, data }))
  })
const options = fc.record({
  size: fc.oneof(
    fc.integer({ min: 1, max: 30 }),
    fc.tuple(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 30 })),
  ),
  channels: fc.constantFrom(1, 3),
  pixels: fc.constantFrom(...IMAGE_PIXELS),
  crop: fc.option(fc.record({ scale: fc.constant([0.2, 1] as const), seed: fc.nat() }), { nil: undefined }),
})

describe('resizeImage', () => {
  test('gives the pixels that decodeImage gives of a file with the same pixels', async () => {
    await fc.assert(
      fc.asyncProperty(picture, options, async (picture, options) => {
        const file = encodePng(picture.data as Uint8Array, picture.width, picture.height)
        const expected = await decodeImage(file, { ...options, decoder: 'javascript' })
        assert.deepEqual(resizeImage(picture, options), expected)
      }),
      runs(60),
    )
  })

  test('takes clamped bytes, as of an ImageData, and bytes within a buffer', () => {
    const data = Uint8Array.from({ length: 5 * 4 * 4 }, (_, i) => (i * 29) % 256)
    const within = new Uint8Array([1, 2, 3, ...data]).subarray(3)
    const expected = resizeImage({ width: 5, height: 4, data }, { size: 3 })
    for (const bytes of [new Uint8ClampedArray(data), within])
      assert.deepEqual(resizeImage({ width: 5, height: 4, data: bytes }, { size: 3 }), expected)
  })

  const wrong: Readonly<Record<string, [unknown, RegExp]>> = {
    'another number of bytes': [
      { width: 2, height: 2, data: new Uint8Array(8) },
      /^cat\.png: has 8 bytes, which are not 1, 3 or 4 channels of 2×2 pixels$/,
    ],
    'no pixels': [{ width: 0, height: 2, data: new Uint8Array() }, /has 0×2 pixels/],
    'floats, whose range is not known': [{ width: 1, height: 1, data: new Float32Array(3) }, /must be a Uint8Array/],
    'a picture that must be drawn, without a browser': [{ width: 3, height: 2 }, /there is no browser to draw it/],
    'a path': ['cat.png', /a picture such as an ImageData/],
  }
  for (const [what, [picture, message]] of Object.entries(wrong))
    test(`refuses ${what}`, () => {
      assert.throws(() => resizeImage(picture as RawPicture, { size: 2, name: 'cat.png' }), { message })
    })
})
