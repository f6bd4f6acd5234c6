// Scaled pixels are rounded sums of integers, for pictures and sizes of any kind.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Box, bicubicWeights, type RgbImage, resizeTo, scaledSides } from '../../src/data/images/resize.ts'
import type { Size2d } from '../../src/tensor/sides.ts'
import { fc } from '../support.ts'

/** Pixels that reach both ends of the range, where sums are clipped. */
const picture = (width: number, height: number, seed = 1): RgbImage => ({
  width,
  height,
  data: Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const mixed = Math.imul(i + seed, 2654435761) >>> 16
    return mixed % 3 === 0 ? 255 * (mixed & 1) : mixed & 255
  }),
})

/** One side at a time, each output in 64-bit floats, which hold these integers exactly. */
function expected({ width, height, data }: RgbImage, size: Size2d, part?: Box): Uint8Array {
  const [across, down] = scaledSides({ width, height }, size, part).map(bicubicWeights)
  const sum = ({ first, weights, width }: typeof across, output: number, input: (at: number) => number) => {
    let total = 2 ** 21
    for (let k = 0; k < width; k++) {
      const weight = weights[output * width + k] * 2 ** 22
      if (weight !== 0) total += Math.trunc(weight + Math.sign(weight) / 2) * input(first[output] + k)
    }
    return Math.min(255, Math.max(0, Math.floor(total / 2 ** 22)))
  }
  const narrow = new Uint8Array(height * across.count * 3)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < across.count; x++)
      for (let c = 0; c < 3; c++)
        narrow[(y * across.count + x) * 3 + c] = sum(across, x, at => data[(y * width + at) * 3 + c])
  return Uint8Array.from({ length: down.count * across.count * 3 }, (_, i) => {
    const [y, rest] = [Math.floor(i / (across.count * 3)), i % (across.count * 3)]
    return sum(down, y, at => narrow[at * across.count * 3 + rest])
  })
}

function check(image: RgbImage, size: Size2d, part?: Box): void {
  const result = resizeTo(image, size, part)
  assert.equal(Buffer.compare(result.data, expected(image, size, part)), 0, `${image.width}×${image.height} to ${size}`)
}

test('every pixel is the sum of its inputs by their weights, rounded and clipped', () => {
  const side = fc.integer({ min: 1, max: 60 })
  const share = fc.double({ min: 0, max: 1, noNaN: true })
  fc.assert(
    fc.property(side, side, side, side, fc.option(fc.tuple(share, share, share, share)), fc.nat(), (...drawn) => {
      const [width, height, rows, columns, shares, seed] = drawn
      const within = (length: number, start: number, extent: number): [number, number] => {
        const from = Math.floor(start * (length - 1))
        return [from, 1 + Math.floor(extent * (length - 1 - from))]
      }
      if (shares === null) return check(picture(width, height, seed), [rows, columns])
      const [left, across] = within(width, shares[0], shares[1])
      const [top, down] = within(height, shares[2], shares[3])
      check(picture(width, height, seed), [rows, columns], { left, top, width: across, height: down })
    }),
  )
})

test('pictures of many rows are scaled some rows at a time, with the same result', () => {
  // 2 MiB of rows are copied at once: on both sides of it, across and down
  for (const height of [699, 700, 1700]) check(picture(1000, height), 8)
  for (const rows of [2, 5]) check(picture(300, 1500), [rows, 1000], { left: 0, top: 0, width: 300, height: 1500 })
  // one row, and the rows of one output, are more than that
  check(picture(700_001, 2), [2, 3])
  check(picture(3, 700_001), [3, 2])
})
