// Pictures as other programs write and damage them: both decoders accept and refuse the same files, and give the same pixels.

import assert from 'node:assert/strict'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { deflateSync } from 'node:zlib'
import sharp from 'sharp'
import { checkStart, readImageHeader } from '../../src/data/images/header.ts'
import { decodeImageBytes, encodePng } from '../../src/data/images/image.ts'
import { jpegSegments } from '../../src/data/images/jpeg.ts'
import { ImageError } from '../../src/io/errors.ts'
import { crc32 } from '../../src/io/formats/crc.ts'
import { fc } from '../support.ts'
import { temporaryFolder } from './folder.ts'

/**
 * What both decoders give, and sharp with TurboJPEG where the system has it: pixels, or the words of their refusal. Fails if one accepts
 * what another refuses.
 */
async function decoded(bytes: Uint8Array, size = 8): Promise<Uint8Array | string> {
  const [a, b, c] = await Promise.all(
    (['sharp', 'javascript', 'auto'] as const).map(decoder =>
      decodeImageBytes(bytes, { size, decoder }).catch((error: unknown) => {
        assert.ok(error instanceof ImageError, String(error))
        return error.message
      }),
    ),
  )
  assert.equal(typeof a, typeof b, `sharp: ${a}; javascript: ${b}`)
  assert.equal(typeof a, typeof c, `sharp: ${a}; auto: ${c}`)
  if (typeof a !== 'string') assert.deepEqual([b, c], [a, a])
  return a
}

const SIGNATURE = Buffer.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)

function chunk(name: string, content: ArrayLike<number> = [], isDamaged = false): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), Uint8Array.from(content)])
  const out = Buffer.alloc(body.length + 8)
  out.writeUInt32BE(content.length)
  body.copy(out, 4)
  out.writeUInt32BE((crc32(body) ^ Number(isDamaged)) >>> 0, body.length + 4)
  return out
}

const ihdr = (size: number, depth: number, colourType: number, interlace = 0) => [
  ...[0, 0, 0, size, 0, 0, 0, size],
  ...[depth, colourType, 0, 0, interlace],
]
/** Rows of a picture of 8 bits, each with the filter 0. */
const rows = (count: number, bytes: number) =>
  Uint8Array.from({ length: count * (bytes + 1) }, (_, i) => (i % (bytes + 1) === 0 ? 0 : (i * 29) % 256))

const [head, end] = [chunk('IHDR', ihdr(8, 8, 2)), chunk('IEND')]
const compressed = deflateSync(rows(8, 24))
const pixels = chunk('IDAT', compressed)
const png = (...chunks: Uint8Array[]) => Buffer.concat([SIGNATURE, ...chunks])
const whole = (await decoded(png(head, pixels, end))) as Uint8Array
const palette = (colours: number) => chunk('PLTE', new Uint8Array(colours * 3).fill(200))
const positions = chunk('IDAT', deflateSync(rows(2, 2).map(byte => Math.min(byte, 1))))

const read: Record<string, Buffer> = {
  'without IEND': png(head, pixels),
  'cut off inside IEND': png(head, pixels, end.subarray(0, 9)),
  'with a damaged IEND': png(head, pixels, chunk('IEND', [], true)),
  'with bytes after IEND': png(head, pixels, end, Buffer.from('more')),
  'with bytes in place of IEND': png(head, pixels, Buffer.from('\0\0\0\0\0\0\0\0\0\0\0\0more')),
  'with a damaged tIME': png(head, chunk('tIME', [7, 208, 1, 1, 0, 0, 0], true), pixels, end),
  'with a damaged gAMA': png(head, chunk('gAMA', [0, 0, 1, 0], true), pixels, end),
  'with a damaged text after the pixels': png(head, pixels, chunk('tEXt', Buffer.from('a\0b'), true), end),
  'with a text that is none': png(head, chunk('tEXt', [1, 2, 3]), pixels, end),
  'with a colour profile that is none': png(head, chunk('iCCP', [1, 2, 3]), pixels, end),
  'with a density of no unit': png(head, chunk('pHYs', [1]), pixels, end),
  'with transparency of another kind': png(head, chunk('tRNS', [1]), pixels, end),
  'with a palette that its pixels do not use': png(head, palette(3), pixels, end),
  'in two pieces': png(head, chunk('IDAT', compressed.subarray(0, 9)), chunk('IDAT', compressed.subarray(9)), end),
  'with an empty piece': png(head, chunk('IDAT'), pixels, end),
  'with more rows than it says': png(head, chunk('IDAT', deflateSync(rows(400, 24))), end),
  'with bytes after its compressed data': png(head, chunk('IDAT', [...compressed, 1, 2, 3]), end),
}
for (const [what, bytes] of Object.entries(read))
  test(`a PNG ${what} is read`, async () => assert.deepEqual(await decoded(bytes), whole))

const refused: Record<string, [Buffer, RegExp]> = {
  'with damaged pixels': [png(head, chunk('IDAT', compressed, true), end), /its chunk IDAT has a wrong checksum/],
  'with a damaged IHDR': [png(chunk('IHDR', ihdr(8, 8, 2), true), pixels, end), /its chunk IHDR has a wrong checksum/],
  'of no pixels': [png(head, end), /it has no pixels/],
  'with an unknown chunk that is needed': [
    png(head, chunk('ABCD'), pixels, end),
    /it has a chunk ABCD, which is unknown/,
  ],
  'with two headers': [png(head, head, pixels, end), /it does not begin with one chunk IHDR/],
  'with bytes between chunks': [
    png(head, Buffer.from('\0\0\0\x01\0\0\0\0\0\0\0\0\0'), pixels, end),
    /bytes between its chunks/,
  ],
  'of a row too few': [png(head, chunk('IDAT', deflateSync(rows(7, 24))), end), /PNG cannot be decoded/],
  'of a byte too few': [png(head, chunk('IDAT', deflateSync(rows(8, 24).subarray(1))), end), /PNG cannot be decoded/],
  'whose compressed data is cut off': [png(head, chunk('IDAT', compressed.subarray(0, -2)), end), /cannot be decoded/],
  'with a text inside its pixels': [
    png(head, chunk('IDAT', compressed.subarray(0, 9)), chunk('tEXt', [97, 0]), chunk('IDAT', compressed.subarray(9))),
    /PNG cannot be decoded/,
  ],
  'with an unknown filter': [png(head, chunk('IDAT', deflateSync(rows(8, 24).fill(5, 0, 1))), end), /PNG cannot be/],
  'of 3 bits': [png(chunk('IHDR', ihdr(8, 3, 2)), pixels, end), /3 bits per sample of colour type 2/],
  'of colour type 5': [png(chunk('IHDR', ihdr(8, 8, 5)), pixels, end), /8 bits per sample of colour type 5/],
  'of interlacing 2': [png(chunk('IHDR', ihdr(8, 8, 2, 2)), pixels, end), /interlacing 2 are no kind of PNG/],
  'of a longer IHDR': [png(chunk('IHDR', [...ihdr(8, 8, 2), 0]), pixels, end), /IHDR has 14 bytes in place of 13/],
  'without its palette': [png(chunk('IHDR', ihdr(2, 8, 3)), positions, end), /it has no palette before its pixels/],
  'with its palette too late': [png(chunk('IHDR', ihdr(2, 8, 3)), positions, palette(2), end), /no palette before/],
  'with two palettes': [png(chunk('IHDR', ihdr(2, 8, 3)), palette(2), palette(2), positions, end), /two palettes/],
  'with a palette of no colours': [
    png(chunk('IHDR', ihdr(2, 8, 3)), palette(0), positions, end),
    /palette has 0 bytes/,
  ],
}
for (const [what, [bytes, words]] of Object.entries(refused))
  test(`a PNG ${what} is refused`, async () => assert.match(String(await decoded(bytes)), words))

test('colours that are not in the palette are black', async () => {
  const bytes = png(chunk('IHDR', ihdr(2, 8, 3)), palette(1), positions, end)
  const values = await decoded(bytes, 2)
  assert.ok(typeof values !== 'string' && values.includes(0), String(values))
})

test('PNGs of every kind, interlaced or not, filtered in any way and damaged anywhere, are decoded alike', async () => {
  const kind = fc.constantFrom(
    ...[1, 2, 4, 8, 16].map(d => [d, 0]),
    ...[8, 16].flatMap(d => [
      [d, 2],
      [d, 4],
      [d, 6],
    ]),
    ...[1, 2, 4, 8].map(d => [d, 3]),
  )
  const damage = fc.record({
    what: fc.constantFrom('none', 'byte', 'cut', 'drop', 'twice', 'sum'),
    at: fc.nat(10_000),
    to: fc.nat(255),
  })
  let accepted = 0
  await fc.assert(
    fc.asyncProperty(
      kind,
      fc.integer({ min: 1, max: 9 }),
      fc.nat(1),
      fc.nat(1000),
      damage,
      async ([depth, type], side, interlace, seed, { what, at, to }) => {
        const channels = [1, 0, 3, 1, 2, 0, 4][type]
        const lines = linesOf(side, depth * channels, interlace, seed)
        const chunks = [
          chunk('IHDR', ihdr(side, depth, type, interlace)),
          ...(type === 3
            ? [
                chunk(
                  'PLTE',
                  Uint8Array.from({ length: 3 * (1 + (seed % 2 ** depth)) }, (_, i) => (i * 71) % 256),
                ),
              ]
            : []),
          chunk('gAMA', [0, 0, 177, 143]),
          chunk('IDAT', deflateSync(lines)),
          chunk('tEXt', Buffer.from('a\0b')),
          end,
        ]
        const chosen = at % chunks.length
        if (what === 'drop') chunks.splice(chosen, 1)
        if (what === 'twice') chunks.splice(chosen, 0, chunks[chosen])
        if (what === 'sum') chunks[chosen] = damaged(chunks[chosen], chunks[chosen].length - 1, 0)
        const file = png(...chunks)
        const bytes =
          what === 'byte' ? damaged(file, at, to) : what === 'cut' ? file.subarray(0, at % file.length) : file
        const result = await decoded(bytes, side)
        if (typeof result !== 'string') accepted++
        if (what === 'none') assert.notEqual(typeof result, 'string', String(result))
      },
    ),
    { numRuns: 400 },
  )
  assert.ok(accepted > 100, String(accepted))
})

/** Filtered rows of random bytes, of all passes. */
function linesOf(side: number, bitsPerPixel: number, interlace: number, seed: number): Uint8Array {
  const passes = interlace
    ? [
        [0, 0, 8, 8],
        [4, 0, 8, 8],
        [0, 4, 4, 8],
        [2, 0, 4, 4],
        [0, 2, 2, 4],
        [1, 0, 2, 2],
        [0, 1, 1, 2],
      ] // prettier-ignore
    : [[0, 0, 1, 1]]
  return Buffer.concat(
    passes.flatMap(([x, y, across, down]) => {
      const [columns, count] = [Math.ceil((side - x) / across), Math.ceil((side - y) / down)]
      if (columns <= 0 || count <= 0) return []
      const bytes = Math.ceil((columns * bitsPerPixel) / 8)
      return Array.from({ length: count }, (_, row) =>
        Uint8Array.from({ length: bytes + 1 }, (_, i) =>
          i === 0 ? (seed + row) % 5 : Math.imul(seed + row * 977 + i, 2654435761) >>> 24,
        ),
      )
    }),
  )
}

function damaged(bytes: Uint8Array, at: number, to: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at % copy.length] ^= to || 1
  return copy
}

const smooth = Uint8Array.from(
  { length: 40 * 24 * 3 },
  (_, i) => (i % 3) * 60 + Math.floor(i / 3 / 40) * 3 + ((i / 3) % 40),
)
const picture = sharp(smooth, { raw: { width: 40, height: 24, channels: 3 } })
const jpegs = {
  baseline: await picture.clone().jpeg().toBuffer(),
  progressive: await picture.clone().jpeg({ progressive: true }).toBuffer(),
  grey: await picture.clone().greyscale().jpeg().toBuffer(),
  turned: await picture.clone().withMetadata({ orientation: 6 }).jpeg({ chromaSubsampling: '4:4:4' }).toBuffer(),
}

/** A JPEG with these bytes before its segments for which `chosen` is true. The first follows SOI in every JPEG, as Pillow demands. */
function withJunk(jpeg: Buffer, junk: Uint8Array, chosen: (index: number) => boolean): Buffer {
  const parts: Uint8Array[] = [jpeg.subarray(0, 2)]
  // bytes after the marker 0 would be data of the scan
  for (const [i, { marker, start, end }] of [...jpegSegments(jpeg)].entries())
    parts.push(...(chosen(i) && marker !== 0 ? [junk] : []), jpeg.subarray(start, end))
  return Buffer.concat(parts)
}

for (const [what, jpeg] of Object.entries(jpegs))
  test(`a ${what} JPEG with other bytes between its segments has the same pixels`, async () => {
    const expected = await decoded(jpeg)
    assert.notEqual(typeof expected, 'string')
    const { width, height, orientation } = readImageHeader(jpeg)
    const kinds = [
      Buffer.of(0),
      Buffer.from('junk'),
      Buffer.of(0xff, 0xff),
      Buffer.of(1, 0xff, 0, 2, 0xff),
      Buffer.alloc(700),
    ]
    const last = [...jpegSegments(jpeg)].length - 1
    for (const junk of kinds) {
      const files = [
        withJunk(jpeg, junk, i => i > 0),
        withJunk(jpeg, junk, i => i === 1),
        withJunk(jpeg, junk, i => i === last),
      ]
      // bytes after the data of a scan cannot be told from it, so only those before the first scan are left out of this one
      if (what === 'progressive') files.splice(0, 3, files[1])
      for (const file of files) {
        const header = readImageHeader(file)
        assert.deepEqual([header.width, header.height, header.orientation], [width, height, orientation])
        assert.deepEqual(await decoded(file), expected)
      }
    }
  })

test('JPEGs without a segment, with one twice, cut off or with any two bytes more before their data are decoded alike', async () => {
  const damage = fc.record({
    what: fc.constantFrom('drop', 'twice', 'cut', 'junk'),
    name: fc.constantFrom(...(Object.keys(jpegs) as (keyof typeof jpegs)[])),
    at: fc.nat(10_000),
    to: fc.nat(255),
  })
  await fc.assert(
    fc.asyncProperty(damage, async ({ what, name, at, to }) => {
      const jpeg = jpegs[name]
      const segments: Buffer[] = [...jpegSegments(jpeg)].map(({ start, end }) => jpeg.subarray(start, end))
      const headers = segments.findIndex(segment => segment[1] === 0xda)
      const chosen = at % headers
      if (what === 'drop') segments.splice(chosen, 1)
      if (what === 'twice') segments.splice(chosen, 0, segments[chosen])
      if (what === 'junk') segments.splice(chosen, 0, Buffer.of(to % 255, to % 100))
      const bytes = Buffer.concat([jpeg.subarray(0, 2), ...segments])
      await decoded(what === 'cut' ? bytes.subarray(0, at % bytes.length) : bytes)
    }),
    { numRuns: 150 },
  )
})

/** A directory of EXIF with the orientation 6, as a number of a type. */
function exif(isLittle: boolean, type: number, count = 1): Buffer {
  const out = Buffer.alloc(26)
  out.write(isLittle ? 'II*\0' : 'MM\0*', 'latin1')
  const [two, four] = isLittle
    ? [out.writeUInt16LE.bind(out), out.writeUInt32LE.bind(out)]
    : [out.writeUInt16BE.bind(out), out.writeUInt32BE.bind(out)]
  four(8, 4)
  two(1, 8)
  two(0x0112, 10)
  two(type, 12)
  four(count, 14)
  const write = ({ 3: two, 8: two, 4: four, 9: four } as Record<number, typeof two>)[type]
  if (write) write(6, 18)
  else out[18] = 6
  return out
}

/** The same picture with an orientation in each format. */
function oriented(block: Uint8Array): Record<string, Buffer> {
  const segment = Buffer.concat([Buffer.from('Exif\0\0'), block])
  const app1 = Buffer.concat([Buffer.of(0xff, 0xe1, 0, segment.length + 2), segment])
  const [before, after] = [8 + 25, encoded.length - 12]
  const riff = Buffer.concat([webp, Buffer.from('EXIF'), Buffer.of(block.length, 0, 0, 0), block])
  riff.writeUInt32LE(riff.length - 8, 4)
  return {
    jpeg: Buffer.concat([jpegs.baseline.subarray(0, 2), app1, jpegs.baseline.subarray(2)]),
    'png before the pixels': Buffer.concat([
      encoded.subarray(0, before),
      chunk('eXIf', block),
      encoded.subarray(before),
    ]),
    'png after the pixels': Buffer.concat([encoded.subarray(0, after), chunk('eXIf', block), encoded.subarray(after)]),
    webp: riff,
  }
}
const encoded = Buffer.from(encodePng(smooth, 40, 24))
const webp: Buffer = await picture
  .clone()
  .withMetadata({ orientation: 1 })
  .webp({ lossless: true })
  .toBuffer()
  .then(withoutExif)

function withoutExif(file: Buffer): Buffer {
  return file.subarray(0, file.indexOf('EXIF'))
}

test('the orientation is read in every format, whatever whole number it is, and applied by both decoders', async () => {
  for (const isLittle of [true, false])
    for (const [type, isOne] of [
      [3, true],
      [4, true],
      [6, true],
      [8, true],
      [9, true],
      [1, false],
      [2, false],
      [5, false],
    ] as const) {
      for (const [what, file] of Object.entries(oriented(exif(isLittle, type)))) {
        const { orientation } = readImageHeader(file)
        assert.equal(orientation, isOne ? 6 : 1, `type ${type} of a ${what}`)
        if (type !== 4 && type !== 1) continue
        const upright = what === 'jpeg' ? jpegs.baseline : encoded
        const pixels = await picturesOf(file)
        assert.deepEqual(pixels, isOne ? turned(await picturesOf(upright)) : await picturesOf(upright), what)
      }
    }
  assert.equal(readImageHeader(oriented(exif(false, 3, 2)).jpeg).orientation, 6)
  assert.equal(readImageHeader(oriented(exif(false, 4, 2)).jpeg).orientation, 1)
  assert.equal(readImageHeader(oriented(exif(false, 3, 0)).jpeg).orientation, 1)
  assert.equal(readImageHeader(oriented(exif(false, 3).fill('XX', 0, 2)).jpeg).orientation, 1)
})

/** The square in the middle of a picture. */
async function picturesOf(file: Uint8Array): Promise<Uint8Array> {
  const result = await decoded(file, 24)
  assert.ok(typeof result !== 'string', String(result))
  return result
}

/** By a quarter, clockwise: [3, 24, 24]. */
const turned = (planes: Uint8Array): Uint8Array =>
  planes.map((_, i) => planes[Math.floor(i / 576) * 576 + (23 - (i % 24)) * 24 + (Math.floor(i / 24) % 24)])

test('an orientation in a damaged eXIf, or in the second block of a JPEG, is not applied', async () => {
  const block = exif(false, 3)
  const damagedBlock = Buffer.concat([encoded.subarray(0, 33), chunk('eXIf', block, true), encoded.subarray(33)])
  assert.equal(readImageHeader(damagedBlock).orientation, 1)
  assert.deepEqual(await decoded(damagedBlock), await decoded(encoded))
  const first = oriented(block).jpeg
  const second = Buffer.concat([
    first.subarray(0, 2 + 36),
    Buffer.of(0xff, 0xe1, 0, 10),
    Buffer.from('Exif\0\0MM'),
    first.subarray(2 + 36),
  ])
  assert.equal(readImageHeader(second).orientation, 6)
})

test("pixels: 'openclip' turns no PNG", async () => {
  const [file] = Object.values(oriented(exif(false, 4))).slice(1)
  assert.deepEqual(
    await decodeImageBytes(file, { size: 24, pixels: 'openclip' }),
    await decodeImageBytes(encoded, { size: 24, pixels: 'openclip' }),
  )
})

test('pictures of one pixel, one row and one column have the pixels of their colours', async () => {
  for (const [width, height] of [
    [1, 1],
    [1, 4000],
    [4000, 1],
    [1, 1_000_000],
  ]) {
    const file = encodePng(new Uint8Array(width * height * 3).fill(77), width, height)
    assert.deepEqual(await decoded(file, 32), new Uint8Array(3 * 32 * 32).fill(77), `${width}×${height}`)
  }
})

test('a file too large, or whose first bytes are of no picture or of one too large, is not read', async t => {
  const folder = await temporaryFolder(t)
  const sparse = async (name: string, start: Uint8Array, size: number) => {
    const file = join(folder, name)
    const handle = await open(file, 'w')
    await handle.write(start)
    await handle.truncate(size)
    await handle.close()
    return file
  }
  const large = async (width: number, height: number, colourType = encoded[25]) => {
    const file = Buffer.from(encoded)
    file[25] = colourType
    file.writeUInt32BE(width, 16)
    file.writeUInt32BE(height, 20)
    return sparse(`${width}.png`, file, 400_000_000)
  }
  const cases: [string, RegExp][] = [
    [
      await sparse('ten.png', encoded, 10 * 2 ** 30),
      /ten\.png: has 10,737,418,240 bytes: pictures of at most 536,870,912 are read$/,
    ],
    [await large(60_000, 60_000), /60000\.png: PNG of 60000×60000 pixels: at most 64000000 are decoded$/],
    [await large(6_001, 6_000, 6), /6001\.png: PNG of 6001×6000 pixels with transparency or 16 bits: at most 36000000/],
    [await large(1_000_001, 1), /1000001\.png: PNG of 1000001×1 pixels: a side of at most 1000000 is decoded$/],
    [await sparse('zero.jpg', Buffer.of(0), 400_000_000), /zero\.jpg: is no PNG, JPEG, WebP/],
  ]
  const before = process.memoryUsage().rss
  for (const [file, message] of cases)
    for (const decoder of ['sharp', 'javascript'] as const)
      await assert.rejects(decodeImageBytes(file, { size: 8, decoder }), { name: 'ImageError', file, message })
  assert.ok(process.memoryUsage().rss - before < 200e6, 'a file was read')
})

test('the size of a picture that only sharp reads is checked too', async () => {
  const tiff = await picture.clone().tiff().toBuffer()
  const [width, height] = [0, 1].map(i => tiff.indexOf(Buffer.of(i, 1), tiff.readUInt32LE(4)))
  for (const entry of [width, height]) {
    tiff.writeUInt16LE(4, entry + 2) // LONG
    tiff.writeUInt32LE(60_000, entry + 8)
  }
  await assert.rejects(decodeImageBytes(tiff, { size: 8, name: 'a.tiff' }), {
    name: 'ImageError',
    message: 'a.tiff: TIFF of 60000×60000 pixels: at most 64000000 are decoded',
  })
})

test('the start of a file is enough to see what it is', () => {
  for (const file of [encoded, jpegs.baseline, webp, Buffer.from('GIF89a')]) checkStart(file.subarray(0, 64))
})

test('transparency, 16 bits and four colours are seen in the header', async () => {
  const picture = sharp(new Uint8Array(12 * 12 * 4).fill(90), { raw: { width: 12, height: 12, channels: 4 } })
  const headerOf = (bytes: Uint8Array) => readImageHeader(bytes).deep
  for (const lossless of [true, false]) {
    assert.equal(headerOf(await picture.clone().webp({ lossless }).toBuffer()), true)
    assert.equal(headerOf(await picture.clone().removeAlpha().webp({ lossless }).toBuffer()), false)
  }
  assert.equal(headerOf(await picture.clone().png().toBuffer()), true)
  assert.equal(headerOf(await picture.clone().removeAlpha().png().toBuffer()), false)
  assert.equal(headerOf(await picture.clone().removeAlpha().toColourspace('rgb16').png().toBuffer()), true)
  assert.equal(readImageHeader(await picture.clone().removeAlpha().toColourspace('cmyk').jpeg().toBuffer()).cmyk, true)
})
