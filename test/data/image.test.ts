import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { deflateSync } from 'node:zlib'
import { encode } from 'fast-png'
import jpeg from 'jpeg-js'
import sharp from 'sharp'
import {
  decodeImage,
  decodeImageBytes,
  encodePng,
  type ImageDecoder,
  type ImagePixels,
  imageDecoder,
  normalize,
  normalizeBytes,
  pixelsFor,
  toUnitRange,
} from '../../src/data/images/image.ts'
import { neededSegments } from '../../src/data/images/jpeg.ts'
import { chooseCrop } from '../../src/data/images/random-crop.ts'
import { ImageError } from '../../src/io/errors.ts'
import { OptionsError } from '../../src/tensor/index.ts'
import { fc } from '../support.ts'
import { temporaryFolder } from './folder.ts'

/** `auto` decodes JPEGs with TurboJPEG where the system has it. */
const decoders: ImageDecoder[] = ['sharp', 'javascript', 'auto']

/** A picture of smooth colours: [height, width, 3]. */
function gradient(width: number, height: number): Uint8Array {
  return Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [x, y, c] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width), i % 3]
    return [(255 * x) / width, (255 * y) / height, 127 + 90 * Math.sin((6 * (x + y)) / (width + height))][c]
  })
}

const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i])), 0)

const meanDifference = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length

test('a PNG of the given size is unchanged, channels first, from 0 to 1, with both decoders', async () => {
  const pixels = gradient(9, 9)
  for (const decoder of decoders) {
    const image = await decodeImage(encodePng(pixels, 9, 9), { size: 9, decoder })
    assert.deepEqual([image.width, image.height, image.pixels.length], [9, 9, 3 * 81])
    for (let i = 0; i < 81; i++)
      for (let c = 0; c < 3; c++) assert.equal(image.pixels[c * 81 + i], Math.fround(pixels[i * 3 + c] / 255))
  }
})

test('both decoders give equal pixels for every kind of PNG, transparent or not', async () => {
  const kind = fc.record({
    size: fc.integer({ min: 1, max: 7 }),
    channels: fc.constantFrom(1, 2, 3, 4),
    depth: fc.constantFrom(8 as const, 16 as const),
    interlace: fc.constantFrom('null' as const, 'Adam7' as const),
    seed: fc.nat(),
  })
  await fc.assert(
    fc.asyncProperty(kind, async ({ size, channels, depth, interlace, seed }) => {
      const length = size * size * channels
      const values = Array.from({ length }, (_, i) => Math.imul(seed + i, 2654435761) >>> (32 - depth))
      const data = depth === 8 ? Uint8Array.from(values) : Uint16Array.from(values)
      const png = encode({ width: size, height: size, channels, depth, data }, { interlace })
      const [a, b] = await Promise.all(decoders.map(decoder => decodeImageBytes(png, { size, decoder })))
      assert.deepEqual(a, b)
    }),
    { numRuns: 150 },
  )
})

const golden = join(import.meta.dirname, '../golden/images')
const { side, modes } = JSON.parse(readFileSync(join(golden, 'index.json'), 'utf8'))
for (const [name, mode] of Object.entries(modes))
  test(`${name} (${mode}) has the pixels of Pillow`, async () => {
    const pixels = readFileSync(join(golden, `${name}.rgb`)) // [side, side, 3]
    const expected = Uint8Array.from(pixels, (_, i) => pixels[(i % side ** 2) * 3 + Math.floor(i / side ** 2)])
    for (const decoder of decoders) {
      const bytes = await decodeImageBytes(join(golden, name), { size: side, decoder })
      // without sharp, four colours are decoded by another library
      const allowed = mode === 'CMYK' && decoder === 'javascript' ? 2 : 0
      assert.ok(largestDifference(bytes, expected) <= allowed, `${decoder}: ${largestDifference(bytes, expected)}`)
    }
  })

const preprocessed = join(import.meta.dirname, '../golden/pixels')
const {
  sides,
  squash,
  rectangles,
  modes: storedModes,
} = JSON.parse(readFileSync(join(preprocessed, 'index.json'), 'utf8'))
for (const [name, mode] of Object.entries(storedModes))
  test(`${name} (${mode}) has the pixels of OpenCLIP with pixels: 'openclip'`, async () => {
    const all = readFileSync(join(preprocessed, `${name}.rgb`)) // a square of [side, side, 3] for each side
    const needsSharp = /\.(gif|tiff)$/.test(name)
    for (const decoder of needsSharp ? (['sharp', 'auto'] as const) : decoders) {
      let start = 0
      for (const side of sides as number[]) {
        const pixels = all.subarray(start, start + 3 * side ** 2)
        start += pixels.length
        const expected = Uint8Array.from(pixels, (_, i) => pixels[(i % side ** 2) * 3 + Math.floor(i / side ** 2)])
        const bytes = await decodeImageBytes(join(preprocessed, name), { size: side, decoder, pixels: 'openclip' })
        // without sharp, four colours are decoded by another library, and converted before they are scaled
        const allowed = mode === 'CMYK' && decoder === 'javascript' ? 3 : 0
        assert.ok(largestDifference(bytes, expected) <= allowed, `${decoder}: ${largestDifference(bytes, expected)}`)
      }
      const both = readFileSync(join(preprocessed, `${name}.rectangles`)) // [height, width, 3], and the luma [height, width]
      let at = 0
      for (const size of rectangles as [number, number][])
        for (const channels of [3, 1] as const) {
          const area = size[0] * size[1]
          const part = both.subarray(at, at + channels * area)
          at += part.length
          const expected = Uint8Array.from(part, (_, i) => part[(i % area) * channels + Math.floor(i / area)])
          const options = { size, channels, decoder, pixels: 'openclip' } as const
          const difference = largestDifference(await decodeImageBytes(join(preprocessed, name), options), expected)
          const allowed = mode === 'CMYK' && decoder === 'javascript' ? 3 : 0
          assert.ok(difference <= allowed, `${decoder}, ${size.join(' × ')}, ${channels}: ${difference}`)
        }
      const pixels = readFileSync(join(preprocessed, `${name}.squash.rgb`))
      const expected = Uint8Array.from(pixels, (_, i) => pixels[(i % squash ** 2) * 3 + Math.floor(i / squash ** 2)])
      const options = { size: squash, decoder, pixels: 'openclip-squash' } as const
      const difference = largestDifference(await decodeImageBytes(join(preprocessed, name), options), expected)
      assert.ok(
        difference <= (mode === 'CMYK' && decoder === 'javascript' ? 3 : 0),
        `${decoder}, squashed: ${difference}`,
      )
    }
  })

test('a picture that is squashed keeps its edges', async () => {
  // a picture twice as wide as high: the left quarter is black, which a crop to the centre leaves out
  const [width, height] = [40, 20]
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (Math.floor(i / 3) % width < 10 ? 0 : 255))
  const picture = encodePng(data, width, height)
  const columns = async (pixels: ImagePixels) =>
    [...(await decodeImageBytes(picture, { size: 20, pixels })).subarray(0, 20)]
      .map(x => (x > 127 ? 'w' : 'b'))
      .join('')
  assert.equal(await columns('upright'), 'w'.repeat(20))
  assert.equal(await columns('squash'), 'bbbbb'.padEnd(20, 'w'))
  assert.equal(await columns('openclip-squash'), 'bbbbb'.padEnd(20, 'w'))
})

test('a model that was trained on squashed pictures gets squashed pictures, whatever else is asked for', () => {
  assert.equal(pixelsFor('openclip', 'squash'), 'openclip-squash')
  assert.equal(pixelsFor('upright', 'openclip-squash'), 'squash')
  assert.equal(pixelsFor(undefined, 'squash'), 'squash')
  assert.equal(pixelsFor('openclip', undefined), 'openclip')
  assert.equal(pixelsFor('squash', 'upright'), 'squash')
  assert.equal(pixelsFor(undefined, undefined), undefined)
})

test('crops are of the stored picture with pixels: openclip', async () => {
  const crop = { scale: [0.3, 0.5], seed: 4 } as const
  for (const name of ['rgba.png', 'palette.png', 'grey16.png', 'cmyk.jpg']) {
    const bytes = await decodeImageBytes(join(preprocessed, name), { size: 8, crop, pixels: 'openclip' })
    assert.equal(bytes.length, 192)
    assert.deepEqual(bytes, await decodeImageBytes(join(preprocessed, name), { size: 8, crop, pixels: 'openclip' }))
  }
  const plain = join(golden, 'baseline.jpg')
  assert.deepEqual(
    await decodeImageBytes(plain, { size: 8, crop, pixels: 'openclip' }),
    await decodeImageBytes(plain, { size: 8, crop }),
  )
})

test('GIF, AVIF and TIFF are read by sharp, whatever the name of the file, and BMP is not', async t => {
  const folder = await temporaryFolder(t)
  const picture = sharp(gradient(20, 20), { raw: { width: 20, height: 20, channels: 3 } })
  const upright = await decodeImageBytes(encodePng(gradient(20, 20), 20, 20), { size: 20 })
  const files = {
    GIF: await picture.clone().gif().toBuffer(),
    TIFF: await picture.clone().tiff({ compression: 'lzw' }).toBuffer(),
    AVIF: await picture.clone().avif({ quality: 90, chromaSubsampling: '4:4:4' }).toBuffer(),
  }
  for (const [format, bytes] of Object.entries(files)) {
    const file = join(folder, `${format}.png`)
    await writeFile(file, bytes)
    assert.ok(meanDifference(await decodeImageBytes(file, { size: 20 }), upright) < 6, format)
    await assert.rejects(decodeImageBytes(file, { size: 20, decoder: 'javascript' }), {
      name: 'ImageError',
      message: `${file}: is ${format}, which only sharp reads: write decoder: 'sharp', or save it as PNG`,
    })
    const cut = decodeImageBytes(bytes.subarray(0, bytes.length >> 1), { size: 20 })
    await assert.rejects(cut, { name: 'ImageError', message: new RegExp(`${format} cannot be decoded: `) })
  }
  await assert.rejects(decodeImageBytes(Buffer.from('BM......'), { size: 8 }), /is BMP: only PNG, JPEG, WebP, GIF/)
})

test('the upper 8 of 16 bits are used, in grey too', async () => {
  const grey = encode({ width: 2, height: 1, channels: 1, depth: 16, data: Uint16Array.of(0x12ff, 0xfe01) })
  for (const decoder of decoders) {
    const bytes = await decodeImageBytes(grey, { size: 1, decoder })
    assert.ok(bytes[0] === 0x12 || bytes[0] === 0xfe, String(bytes[0]))
  }
})

test('transparency is ignored: transparent pixels have their stored colour', async () => {
  const png = encodePng(Uint8Array.of(200, 100, 0, 0, 200, 100, 0, 255, 200, 100, 0, 128, 0, 0, 0, 128), 2, 2)
  for (const decoder of decoders) {
    const bytes = await decodeImageBytes(png, { size: 2, decoder })
    assert.deepEqual([...bytes.subarray(0, 4)], [200, 200, 200, 0])
  }
})

test('upright: false keeps the stored orientation', async () => {
  const [turned, plain] = ['exif3.jpg', 'baseline.jpg'].map(name => join(golden, name))
  const stored = await decodeImageBytes(turned, { size: side, upright: false })
  assert.deepEqual(stored, await decodeImageBytes(plain, { size: side }))
  assert.notDeepEqual(stored, await decodeImageBytes(turned, { size: side }))
})

test('a random crop depends on its seed, has the given area and aspect ratio, and is inside the picture', () => {
  const picture = fc.record({ width: fc.integer({ min: 1, max: 300 }), height: fc.integer({ min: 1, max: 300 }) })
  fc.assert(
    fc.property(picture, fc.nat(), (picture, seed) => {
      const crop = { scale: [0.2, 0.9], seed } as const
      const box = chooseCrop(picture, crop)
      assert.deepEqual(chooseCrop(picture, crop), box)
      assert.ok(box.width >= 1 && box.height >= 1 && box.left >= 0 && box.top >= 0, JSON.stringify(box))
      assert.ok(box.left + box.width <= picture.width && box.top + box.height <= picture.height, JSON.stringify(box))
    }),
  )
  const boxes = Array.from({ length: 300 }, (_, seed) =>
    chooseCrop({ width: 1000, height: 1000 }, { scale: [0.25, 0.64], seed }),
  )
  for (const { width, height } of boxes) {
    const [share, ratio] = [(width * height) / 1e6, width / height]
    assert.ok(share > 0.249 && share < 0.641 && ratio > 0.749 && ratio < 1.336, `${share} ${ratio}`)
  }
  assert.ok(new Set(boxes.map(box => box.left)).size > 100, 'places differ')
})

test('a crop of the whole picture is the picture', async () => {
  const png = encodePng(gradient(20, 20), 20, 20)
  const whole = await decodeImageBytes(png, { size: 8, crop: { scale: [1, 1], ratio: [1, 1], seed: 3 } })
  assert.deepEqual(whole, await decodeImageBytes(png, { size: 8 }))
})

/** A PNG made by hand, for the kinds that the encoder does not write. */
function handmadePng(size: number, depth: number, colourType: number, rows: number[][], chunks: [string, number[]][]) {
  const chunk = (name: string, content: Uint8Array) => {
    const body = Buffer.concat([Buffer.from(name), content])
    const out = Buffer.alloc(body.length + 8)
    out.writeUInt32BE(content.length)
    body.copy(out, 4)
    out.writeUInt32BE(crc32(body), body.length + 4)
    return out
  }
  const size4 = [0, 0, 0, size]
  return Buffer.concat([
    Buffer.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk('IHDR', Buffer.from([...size4, ...size4, depth, colourType, 0, 0, 0])),
    ...chunks.map(([name, content]) => chunk(name, Buffer.from(content))),
    chunk('IDAT', deflateSync(Buffer.from(rows.flatMap(row => [0, ...row])))),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function crc32(bytes: Uint8Array): number {
  let crc = -1
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return ~crc >>> 0
}

test('both decoders give equal pixels for palettes, packed samples and a transparent colour', async () => {
  const palette = [10, 20, 30, 200, 0, 0, 0, 200, 0, 1, 2, 3]
  const images: Record<string, [Buffer, number[]]> = {
    'palette of 2 bits': [handmadePng(3, 2, 3, [[0x18], [0x6c], [0xc4]], [['PLTE', palette]]), [10, 200, 0]],
    'palette with alpha': [
      handmadePng(
        2,
        8,
        3,
        [
          [0, 1],
          [2, 3],
        ],
        [
          ['PLTE', palette],
          ['tRNS', [255, 0, 128]],
        ],
      ),
      [10, 200, 0, 1],
    ],
    'grey of 1 bit': [handmadePng(3, 1, 0, [[0xa0], [0x40], [0xe0]], []), [255, 0, 255, 0, 255, 0, 255, 255, 255]],
    'grey of 4 bits': [handmadePng(2, 4, 0, [[0x1f], [0x80]], []), [17, 255, 136, 0]],
    'grey with a transparent level': [handmadePng(2, 4, 0, [[0x1f], [0x80]], [['tRNS', [0, 1]]]), [17, 255, 136, 0]],
    'colour with a transparent one': [
      handmadePng(
        2,
        8,
        2,
        [
          [1, 2, 3, 1, 2, 4],
          [5, 5, 5, 9, 9, 9],
        ],
        [['tRNS', [0, 1, 0, 2, 0, 3]]],
      ),
      [1, 1, 5, 9],
    ],
  }
  for (const [name, [png, reds]] of Object.entries(images)) {
    const size = png[19]
    const [a, b] = await Promise.all(decoders.map(decoder => decodeImageBytes(png, { size, decoder })))
    assert.deepEqual([...b.subarray(0, reds.length)], reds, name)
    assert.deepEqual(a, b, name)
  }
})

test('both decoders crop a longer side in the middle, at the same pixel', async () => {
  for (const [width, height] of [
    [5, 2],
    [2, 5],
    [8, 3],
    [3, 8],
  ]) {
    const png = encodePng(gradient(width, height), width, height)
    const size = Math.min(width, height)
    const [a, b] = await Promise.all(decoders.map(decoder => decodeImageBytes(png, { size, decoder })))
    assert.deepEqual(a, b, `${width}×${height}`)
  }
})

test('a fine chessboard shrinks to grey', async () => {
  const board = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => {
    const p = Math.floor(i / 3)
    return ((p % 64) + Math.floor(p / 64)) % 2 === 0 ? 255 : 0
  })
  for (const decoder of decoders) {
    const bytes = await decodeImageBytes(encodePng(board, 64, 64), { size: 10, decoder })
    const inside = bytes.filter((_, i) => i % 10 > 0 && i % 10 < 9)
    assert.ok(largestDifference(inside, new Float32Array(inside.length).fill(127.5)) < 24, decoder)
  }
})

test('a constant colour does not change at any size', async () => {
  const size = fc.integer({ min: 1, max: 20 })
  await fc.assert(
    fc.asyncProperty(size, size, size, fc.nat(255), async (width, height, size, value) => {
      const png = encodePng(new Uint8Array(width * height * 3).fill(value), width, height)
      const bytes = await decodeImageBytes(png, { size, decoder: 'javascript' })
      assert.deepEqual(bytes, new Uint8Array(3 * size * size).fill(value))
    }),
    { numRuns: 60 },
  )
})

test('a JPEG is close to its original pixels, in colour or grey, baseline or progressive', async () => {
  const pixels = gradient(48, 48)
  const raw = sharp(pixels, { raw: { width: 48, height: 48, channels: 3 } })
  const planes = await decodeImageBytes(encodePng(pixels, 48, 48), { size: 48 })
  const colour = [
    await raw.clone().jpeg({ quality: 98 }).toBuffer(),
    await raw.clone().jpeg({ quality: 98, progressive: true }).toBuffer(),
    jpeg.encode({ width: 48, height: 48, data: await raw.clone().ensureAlpha().raw().toBuffer() }, 98).data,
  ]
  for (const decoder of decoders) {
    for (const file of colour)
      assert.ok(meanDifference(await decodeImageBytes(file, { size: 48, decoder }), planes) < 2.5, decoder)
    const grey = await decodeImageBytes(await raw.clone().greyscale().jpeg().toBuffer(), { size: 48, decoder })
    assert.deepEqual(grey.subarray(0, 48 * 48), grey.subarray(48 * 48, 2 * 48 * 48))
  }
})

test('both decoders undo every EXIF orientation', async () => {
  const upright = gradient(40, 24)
  const expected = await decodeImageBytes(encodePng(upright, 40, 24), { size: 16 })
  // where the first stored row and the first stored column belong in the upright picture (Exif 2.3, 4.6.4)
  const sides = [
    'top left',
    'top right',
    'bottom right',
    'bottom left',
    'left top',
    'right top',
    'right bottom',
    'left bottom',
  ]
  for (let orientation = 1; orientation <= 8; orientation++) {
    const side = sides[orientation - 1]
    const [columns, rows] = /^(top|bottom)/.test(side) ? [40, 24] : [24, 40]
    const stored = new Uint8Array(upright.length)
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        const [down, across] = columns === 40 ? [row, column] : [column, row]
        const y = side.includes('bottom') ? 23 - down : down
        const x = side.includes('right') ? 39 - across : across
        stored.set(upright.subarray((y * 40 + x) * 3, (y * 40 + x) * 3 + 3), (row * columns + column) * 3)
      }
    const raw = sharp(stored, { raw: { width: columns, height: rows, channels: 3 } })
    const file = await raw.jpeg({ quality: 98, chromaSubsampling: '4:4:4' }).withMetadata({ orientation }).toBuffer()
    for (const decoder of decoders) {
      const bytes = await decodeImageBytes(file, { size: 16, decoder })
      assert.ok(
        meanDifference(bytes, expected) < 3,
        `orientation ${orientation} by ${decoder}: ${meanDifference(bytes, expected)}`,
      )
    }
  }
})

const goodPng = Buffer.from(encodePng(gradient(20, 20), 20, 20))
const goodJpeg = Buffer.from(jpeg.encode({ width: 20, height: 20, data: new Uint8Array(1600).fill(90) }, 80).data)

const goodWebp = await sharp(gradient(20, 20), { raw: { width: 20, height: 20, channels: 3 } })
  .webp()
  .toBuffer()

function webpOf(width: number, height: number): Buffer {
  const file = Buffer.from(goodWebp)
  file.writeUInt16LE(width, 26)
  file.writeUInt16LE(height, 28)
  return file
}

function pngOf(width: number, height: number): Buffer {
  const png = Buffer.from(goodPng)
  png.writeUInt32BE(width, 16)
  png.writeUInt32BE(height, 20)
  return png
}

function jpegOf(width: number, height: number): Buffer {
  const file = Buffer.from(goodJpeg)
  const frame = file.indexOf(Buffer.of(0xff, 0xc0))
  file.writeUInt16BE(height, frame + 5)
  file.writeUInt16BE(width, frame + 7)
  return file
}

/** A PNG without compression, one of whose pixels has changed on the way: only its checksum can tell. */
function pngWithOneWrongPixel(): Buffer {
  const png = Buffer.from(
    encode({ width: 20, height: 20, channels: 3, data: gradient(20, 20) }, { zlib: { level: 0 } }),
  )
  png[png.indexOf('IDAT') + 600] ^= 1
  return png
}

/** The segments of a JPEG in another order, which the standard leaves free: Huffman tables before the frame. */
function jpegWithTablesFirst(): Buffer {
  const frame = goodJpeg.indexOf(Buffer.of(0xff, 0xc0))
  const tables = frame + 2 + goodJpeg.readUInt16BE(frame + 2)
  const scan = goodJpeg.indexOf(Buffer.of(0xff, 0xda))
  const parts = [goodJpeg.subarray(0, frame), goodJpeg.subarray(tables, scan), goodJpeg.subarray(frame, tables)]
  return Buffer.concat([...parts, goodJpeg.subarray(scan)])
}

test('the order of the segments of a JPEG does not matter', async () => {
  for (const decoder of decoders) {
    const reordered = await decodeImageBytes(jpegWithTablesFirst(), { size: 20, decoder })
    assert.deepEqual(reordered, await decodeImageBytes(goodJpeg, { size: 20, decoder }))
  }
})

const bad: Record<string, [Uint8Array, RegExp]> = {
  'an empty file': [new Uint8Array(0), /is empty: not an image/],
  'a text file': [Buffer.from('not an image at all'), /is no PNG, JPEG, WebP, GIF, AVIF or TIFF/],
  'a GIF': [Buffer.from('GIF89a......'), /GIF cannot be decoded|is GIF, which only sharp reads/],
  'a WebP cut off in its header': [goodWebp.subarray(0, 20), /WebP is cut off inside its header/],
  'a WebP cut off in its data': [goodWebp.subarray(0, goodWebp.length - 40), /WebP cannot be decoded/],
  'a WebP of 16383×16383': [webpOf(16_383, 16_383), /WebP of 16383×16383 pixels: at most/],
  'a WebP without an image': [Buffer.from(`RIFF....WEBPJUNK${'.'.repeat(40)}`), /WebP does not begin with an image/],
  'a PNG cut off in its header': [goodPng.subarray(0, 20), /PNG is cut off inside its header/],
  'a PNG cut off in its data': [goodPng.subarray(0, goodPng.length - 30), /PNG cannot be decoded/],
  'a PNG with a flipped bit': [Buffer.from(goodPng).fill(0x55, 60, 64), /PNG cannot be decoded/],
  'a PNG with a wrong pixel': [pngWithOneWrongPixel(), /PNG cannot be decoded/],
  'a PNG of 100000×100000': [pngOf(100_000, 100_000), /PNG of 100000×100000 pixels: at most 64000000/],
  'a PNG of no width': [pngOf(0, 20), /PNG of 0×20 pixels is empty/],
  'a JPEG cut off in its header': [goodJpeg.subarray(0, 100), /JPEG is cut off inside its header/],
  'a JPEG cut off in its data': [goodJpeg.subarray(0, goodJpeg.length - 8), /JPEG cannot be decoded/],
  'a JPEG of 65500×65500': [jpegOf(65_500, 65_500), /JPEG of 65500×65500 pixels/],
}
for (const [what, [bytes, message]] of Object.entries(bad))
  test(`${what} throws an error with the file name in both decoders`, async t => {
    const path = join(await temporaryFolder(t), 'picture')
    await writeFile(path, bytes)
    for (const decoder of decoders)
      await assert.rejects(
        decodeImage(path, { size: 8, decoder }),
        error => error instanceof ImageError && error.file === path && message.test(error.message),
        decoder,
      )
  })

test('truncated JPEGs throw an error about the file, also many at once', async () => {
  const cut = goodJpeg.subarray(0, goodJpeg.length - 8)
  const decoded = Array.from({ length: 64 }, () => decodeImage(cut, { size: 8, decoder: 'sharp' }))
  for (const outcome of await Promise.allSettled(decoded)) {
    assert.equal(outcome.status, 'rejected')
    assert.match(outcome.reason.message, /JPEG cannot be decoded: .*(cut off|premature end)/)
  }
})

test('corrupted files decode or throw an ImageError', async () => {
  const edit = fc.record({ at: fc.nat(), to: fc.nat(255) })
  const corrupted = fc
    .tuple(fc.constantFrom(goodPng, goodJpeg, goodWebp), fc.array(edit, { minLength: 1, maxLength: 4 }), fc.nat())
    .map(([file, edits, cut]) => {
      const bytes = Buffer.from(file)
      for (const { at, to } of edits) bytes[at % file.length] = to
      return cut % 3 === 0 ? bytes.subarray(0, cut % file.length) : bytes
    })
  await fc.assert(
    fc.asyncProperty(corrupted, fc.constantFrom(...decoders), async (bytes, decoder) => {
      try {
        const { pixels } = await decodeImage(bytes, { size: 8, decoder })
        assert.equal(pixels.length, 192)
      } catch (error) {
        assert.ok(error instanceof ImageError, String(error))
      }
    }),
    { numRuns: 400 },
  )
})

test('the error for a missing image names its path', async () => {
  await assert.rejects(decodeImage('/nowhere/a.png', { size: 8 }), { name: 'FileError', file: '/nowhere/a.png' })
})

test('an invalid size throws', async () => {
  for (const size of [0, -1, 2.5, Number.NaN, [4], [4, 0]] as number[])
    await assert.rejects(decodeImage(goodPng, { size }), OptionsError)
})

test('normalize subtracts the mean and divides by the deviation of each channel', () => {
  const pixels = Float32Array.of(0.5, 1, 0.25, 0.75, 0, 1)
  assert.deepEqual(normalize(pixels, [0.5, 0.25, 0], [0.5, 0.25, 2]), Float32Array.of(0, 1, 0, 2, 0, 0.5))
  assert.throws(() => normalize(pixels, [0, 0], [1]), /6 pixels, 2 means, 1 standard deviations/)
  assert.throws(() => normalize(pixels, [0, 0], [1, 0]), /are not all above 0/)
})

test('encoding pixels that do not fit their size throws', () => {
  assert.throws(() => encodePng(new Uint8Array(10), 2, 2), /10 bytes are not 1 to 4 channels of 2×2 pixels/)
})

test('without sharp and koffi, images are decoded in JavaScript, as the report states', async () => {
  const { name, turboJpeg, note } = await imageDecoder()
  assert.equal(name, 'sharp')
  assert.equal(turboJpeg === undefined, note !== undefined)
  const hook = `export function resolve(name, context, next) {
    if (name === 'sharp' || name === 'koffi') throw new Error("Cannot find package '" + name + "'")
    return next(name, context)
  }`
  const program = `
    import { register } from 'node:module'
    register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hook)}))
    const { decodeImage, imageDecoder } = await import(${JSON.stringify(new URL('../../src/data/images/image.ts', import.meta.url).href)})
    const png = Buffer.from('${goodPng.toString('base64')}', 'base64')
    const jpeg = Buffer.from('${goodJpeg.toString('base64')}', 'base64')
    const { pixels } = await decodeImage(png, { size: 20 })
    const { pixels: colours } = await decodeImage(jpeg, { size: 20 })
    const refusal = await decodeImage(png, { size: 20, decoder: 'sharp' }).catch(error => error.message)
    const gif = await decodeImage(Buffer.from('GIF89a'), { size: 20 }).catch(error => error.message)
    console.log(JSON.stringify({ pixels: pixels.length, colours: colours.length, refusal, gif, ...(await imageDecoder()) }))`
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--import',
    'tsx',
    '--input-type=module',
    '--eval',
    program,
  ])
  const report = JSON.parse(stdout)
  assert.equal(report.name, 'javascript')
  assert.deepEqual([report.pixels, report.colours], [1200, 1200])
  assert.match(report.note, /sharp cannot be loaded \(Cannot find package 'sharp'\)/)
  assert.match(report.note, /TurboJPEG would decode JPEGs in about half the time: npm install koffi$/)
  assert.equal(report.turboJpeg, undefined)
  assert.match(report.gif, /^is GIF, which only sharp reads, but sharp cannot be loaded .*npm install sharp/)
  assert.match(report.refusal, /decoder is 'sharp', but sharp cannot be loaded .* npm install sharp/)
})

test('bytes are normalised to the numbers of the same values in 0 … 1, bit for bit', () => {
  const channel = fc.record({
    mean: fc.double({ min: -1, max: 2, noNaN: true }),
    std: fc.double({ min: 1e-3, max: 3, noNaN: true }),
  })
  fc.assert(
    fc.property(
      fc.array(channel, { minLength: 1, maxLength: 4 }),
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
      (channels, plane) => {
        const [mean, std] = [channels.map(({ mean }) => mean), channels.map(({ std }) => std)]
        const bytes = Uint8Array.from(channels.flatMap((_, c) => [...plane].map(value => value ^ c)))
        const into = new Float32Array(bytes.length)
        normalizeBytes(bytes, mean, std, into)
        assert.deepEqual(into, normalize(toUnitRange(bytes), mean, std))
      },
    ),
  )
  assert.throws(() => normalizeBytes(new Uint8Array(6), [0, 0], [1], new Float32Array(6)), /6 pixels, 2 means/)
})

test('of a JPEG that has only what its pixels need nothing is copied', () => {
  const app1 = [0xff, 0xe1, 0, 4, 1, 2]
  const parts = [
    [0xff, 0xd8],
    [0xff, 0xe0, 0, 3, 9],
    [0xff, 0xdb, 0, 3, 5],
    [0xff, 0xda, 0, 2],
    [7, 8],
    [0xff, 0xd9],
  ]
  const plain = Uint8Array.from(parts.flat())
  assert.equal(neededSegments(plain).buffer, plain.buffer)
  assert.deepEqual(neededSegments(plain), plain)
  // a segment that is not needed, bytes that belong to none, and what follows the end
  for (let at = 1; at < 4; at++) {
    const more = Uint8Array.from([...parts.slice(0, at), app1, [1, 2], ...parts.slice(at), [1]].flat())
    assert.deepEqual(Uint8Array.from(neededSegments(more)), plain)
  }
})
