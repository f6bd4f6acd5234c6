// JPEGs decoded by the system's TurboJPEG: the same pixels, and the same files accepted and refused, as without it.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import sharp from 'sharp'
import { javascriptDecoder, type PixelDecoder, sharpDecoder, turboJpegDecoder } from '../../src/data/images/decoders.ts'
import { readImageHeader } from '../../src/data/images/header.ts'
import { isComplete, jpegSegments } from '../../src/data/images/jpeg.ts'
import type { RgbImage } from '../../src/data/images/resize.ts'
import { openTurboJpeg, type TurboJpeg, tested } from '../../src/data/images/turbojpeg.ts'
import { ImageError } from '../../src/io/errors.ts'
import { fc, runs } from '../support.ts'

const found = await openTurboJpeg(undefined)
const skip = typeof found === 'string' && found
// a library that is there is used
if (skip) assert.match(skip, /install/)
const turbo = found as TurboJpeg

const sharpAlone = sharpDecoder(sharp)
const none = () => assert.fail('it was not decoded by TurboJPEG')
const turboAlone = turboJpegDecoder(async () => turbo, { rgb: none, stored: none })

/** The pixels alone. They are not released, so they stay. */
async function decode(decoder: PixelDecoder, file: Uint8Array): Promise<RgbImage> {
  const { width, height, data } = await decoder.rgb(file, readImageHeader(file))
  return { width, height, data }
}

/** A picture with edges and noise: [height, width, 3]. */
const picture = (width: number, height: number, seed: number) =>
  sharp(
    Uint8Array.from({ length: width * height * 3 }, (_, i) => {
      const [x, y, c] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width), i % 3]
      return (x * (5 + c) + (y > x ? 90 : 0) + (Math.imul(seed + i, 2654435761) >>> 28)) % 256
    }),
    { raw: { width, height, channels: 3 } },
  )

const kind = fc.record({
  width: fc.integer({ min: 1, max: 50 }),
  height: fc.integer({ min: 1, max: 50 }),
  seed: fc.nat(),
  isGrey: fc.boolean(),
  options: fc.record({
    quality: fc.integer({ min: 1, max: 100 }),
    progressive: fc.boolean(),
    chromaSubsampling: fc.constantFrom('4:2:0', '4:4:4'),
    optimiseCoding: fc.boolean(),
    trellisQuantisation: fc.boolean(),
    optimiseScans: fc.boolean(),
  }),
})

type Kind = typeof kind extends fc.Arbitrary<infer K> ? K : never

const made = ({ width, height, seed, isGrey, options }: Kind): Promise<Buffer> =>
  picture(width, height, seed).greyscale(isGrey).jpeg(options).toBuffer()

test('TurboJPEG gives the pixels of sharp for JPEGs of every size, progressive or not, in grey and in colour', {
  skip,
}, async () => {
  await fc.assert(
    fc.asyncProperty(kind, async kind => {
      const file = await made(kind)
      assert.deepEqual(await decode(turboAlone, file), await decode(sharpAlone, file))
    }),
    runs(200),
  )
})

const golden = join(import.meta.dirname, '../golden/images')
for (const name of ['baseline', 'progressive', 'low', '422', '444', 'grey', 'upright', 'exif6'])
  test(`TurboJPEG gives the pixels of sharp, and of the decoder in WebAssembly, for ${name}.jpg`, {
    skip,
  }, async () => {
    const file = readFileSync(join(golden, `${name}.jpg`))
    const image = await decode(turboAlone, file)
    for (const others of [sharpAlone, javascriptDecoder]) assert.deepEqual(image, await decode(others, file))
    const { release: _, ...stored } = await turboAlone.stored(file, readImageHeader(file))
    assert.deepEqual(stored, await sharpAlone.stored(file, readImageHeader(file)))
  })

const damage = fc.record({
  what: fc.constantFrom('byte', 'bytes', 'cut', 'end', 'behind', 'drop', 'more', 'less'),
  at: fc.nat(),
  to: fc.nat(255),
})

/** A file with damage somewhere: other bytes, more or fewer, cut off with or without an end, bytes after the pixels, or a segment too few. */
function damaged(file: Buffer, { what, at, to }: { what: string; at: number; to: number }): Buffer {
  const [before, after] = [file.subarray(0, at % file.length), file.subarray(at % file.length)]
  switch (what) {
    case 'byte':
      return Buffer.concat([before, Buffer.of(to), after.subarray(1)])
    case 'bytes':
      return Buffer.concat([before, after.subarray(0, 40).map(byte => byte ^ to), after.subarray(40)])
    case 'cut':
      return before
    case 'end':
      return Buffer.concat([before, Buffer.of(0xff, 0xd9)])
    case 'behind':
      return Buffer.concat([file.subarray(0, -2), Buffer.of(to, at % 255), file.subarray(-2)])
    case 'more':
      return Buffer.concat([before, Buffer.of(to), after])
    case 'less':
      return Buffer.concat([before, after.subarray(1)])
    default: {
      const segments = [...jpegSegments(file)]
      const { start, end } = segments[at % segments.length]
      return Buffer.concat([file.subarray(0, start), file.subarray(end)])
    }
  }
}

test('damaged JPEGs have the same pixels, or are refused with the same words, as without TurboJPEG', {
  skip,
}, async () => {
  const by = { turbo: 0, others: 0, refused: 0 }
  const outcome = async (decoder: PixelDecoder, file: Uint8Array) => {
    try {
      return await decode(decoder, file)
    } catch (error) {
      return (error as Error).message
    }
  }
  for (const others of [sharpAlone, javascriptDecoder])
    await fc.assert(
      fc.asyncProperty(kind, damage, async (kind, damage) => {
        const file = damaged(await made(kind), damage)
        let isPassedOn = false
        const rgb: PixelDecoder['rgb'] = (...args) => {
          isPassedOn = true
          return others.rgb(...args)
        }
        const result = await outcome(
          turboJpegDecoder(async () => turbo, { ...others, rgb }),
          file,
        )
        if (typeof result === 'string') by.refused++
        else by[isPassedOn ? 'others' : 'turbo']++
        // the libjpeg in WebAssembly is older: it warns of more, and rounds values that are out of range in another way
        if (others === sharpAlone || typeof result === 'string' || isPassedOn)
          assert.deepEqual(result, await outcome(others, file))
      }),
      runs(150),
    )
  for (const [who, count] of Object.entries(by)) assert.ok(count > 2, `${who}: ${count}`)
})

test('four colours, arithmetic codes and missing scans are not for TurboJPEG', { skip }, async () => {
  const passedOn: RgbImage = { width: 1, height: 1, data: Uint8Array.of(1, 2, 3) }
  const others: PixelDecoder = { rgb: async () => passedOn, stored: async () => ({ ...passedOn, mode: 'CMYK' }) }
  const decoder = turboJpegDecoder(async () => turbo, others)
  const cmyk = readFileSync(join(golden, 'cmyk.jpg'))
  assert.deepEqual(await decode(decoder, cmyk), passedOn)
  assert.equal((await decoder.stored(cmyk, readImageHeader(cmyk))).mode, 'CMYK')
  const png = await picture(3, 3, 1).png().toBuffer()
  assert.deepEqual(await decode(decoder, png), passedOn)

  const progressive = readFileSync(join(golden, 'progressive.jpg'))
  assert.ok(isComplete(progressive))
  const segments = [...jpegSegments(progressive)]
  const scans = segments.filter(({ marker }) => marker === 0xda)
  assert.ok(scans.length > 3)
  for (const { start, end } of scans) {
    const data = segments.find(segment => segment.marker === 0 && segment.start === end)!
    const file = Buffer.concat([progressive.subarray(0, start), progressive.subarray(data.end)])
    // a scan may repeat bits that come again
    if (isComplete(file)) continue
    assert.deepEqual(await decode(decoder, file), passedOn)
  }

  const arithmetic = readFileSync(join(golden, 'baseline.jpg'))
  arithmetic[arithmetic.indexOf(Buffer.of(0xff, 0xc0)) + 1] = 0xc9
  assert.deepEqual(await decode(decoder, arithmetic), passedOn)
})

test('a scan with fewer bits, fewer coefficients or without a component makes a JPEG incomplete', () => {
  /** the marker, the length, and the content of a segment */
  const segment = (marker: number, ...content: number[]) => [0xff, marker, 0, content.length + 2, ...content]
  const frame = segment(0xc2, 8, 0, 9, 0, 9, 2, 1, 0x11, 0, 7, 0x11, 0)
  const scan = (names: number[], first: number, last: number, bits: number) =>
    segment(0xda, names.length, ...names.flatMap(name => [name, 0]), first, last, bits)
  const isWhole = (...parts: number[][]) =>
    isComplete(Uint8Array.from([0xff, 0xd8, ...parts.flat(), ...segment(0xfe), 0xff, 0xd9]))
  const [dc, ac, other] = [scan([1, 7], 0, 0, 0), scan([1], 1, 63, 0), scan([7], 1, 63, 0)]
  assert.equal(isWhole(frame, dc, ac, other), true)
  assert.equal(isWhole(frame, scan([1, 7], 0, 63, 0)), true)
  assert.equal(isWhole(frame, dc, scan([1], 1, 63, 1), other, scan([1], 1, 63, 0x10)), true)
  assert.equal(isWhole(frame, dc, scan([1], 1, 63, 1), other), false)
  assert.equal(isWhole(frame, dc, scan([1], 1, 62, 0), other), false)
  assert.equal(isWhole(frame, dc, ac), false)
  assert.equal(isWhole(frame, ac, other), false)
  assert.equal(isWhole(frame, frame, dc, ac, other), false)
  assert.equal(isWhole(dc, ac, other), false)
  assert.equal(isWhole(frame), false)
})

test('a JPEG of another size than its header is not decoded', { skip }, async () => {
  const file = readFileSync(join(golden, 'baseline.jpg'))
  const { width, height } = readImageHeader(file)
  assert.ok(await turbo.decode(file, { width, height }))
  for (const size of [
    { width: width + 1, height },
    { width, height: height - 1 },
    { width: height, height: width * 2 },
  ])
    assert.equal(await turbo.decode(file, size), undefined)
  assert.equal(await turbo.decode(new Uint8Array(0), { width, height }), undefined)
})

test('pictures keep their pixels until they are released, and their memory is used again afterwards', {
  skip,
}, async () => {
  const files = await Promise.all(
    [40, 9, 31, 18, 50].map(side =>
      picture(side, side + 3, side)
        .jpeg({ quality: 90 })
        .toBuffer(),
    ),
  )
  const expected = await Promise.all(files.map(file => decode(sharpAlone, file)))
  const held = fc.array(fc.record({ file: fc.nat(files.length - 1), for: fc.nat(6) }), { minLength: 8, maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(held, async order => {
      await Promise.all(
        order.map(async ({ file, for: turns }) => {
          const image = (await turbo.decode(files[file], expected[file]))!
          for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
          assert.deepEqual(image.data, expected[file].data)
          image.release!()
          // a second time does not count
          image.release!()
        }),
      )
    }),
    runs(50),
  )
  const first = (await turbo.decode(files[0], expected[0]))!
  const second = (await turbo.decode(files[0], expected[0]))!
  assert.notEqual(first.data.buffer, second.data.buffer)
  second.release!()
  assert.equal((await turbo.decode(files[0], expected[0]))!.data.buffer, second.data.buffer)
})

test('hundreds are decoded at once', { skip }, async () => {
  const file = readFileSync(join(golden, 'baseline.jpg'))
  const expected = await decode(sharpAlone, file)
  const images = await Promise.all(Array.from({ length: 600 }, () => decode(turboAlone, file)))
  for (const image of images) assert.deepEqual(image, expected)
})

test('without TurboJPEG the reason says what to install, and a library that is named must be there', async () => {
  assert.equal(await openTurboJpeg('off'), 'TurboJPEG is switched off')
  const decoder = turboJpegDecoder(() => openTurboJpeg('off'), javascriptDecoder)
  const file = readFileSync(join(golden, 'baseline.jpg'))
  assert.deepEqual(await decode(decoder, file), await decode(javascriptDecoder, file))
  await assert.rejects(openTurboJpeg('/nowhere/libturbojpeg.so'), {
    name: 'ImageError',
    message: /^COCAGRAD_TURBOJPEG is \/nowhere\/libturbojpeg\.so, which cannot be used as TurboJPEG: /,
  })
})

test('a library that decodes in another way, or does not notice damage, is not used', async () => {
  const image = (value: number): RgbImage => ({ width: 13, height: 9, data: new Uint8Array(351).fill(value) })
  const of = (decode: TurboJpeg['decode']) => tested({ library: 'other.so', decode })
  const words = (message: RegExp) => (error: unknown) => error instanceof ImageError && message.test(error.message)
  await assert.rejects(
    of(async () => image(7)),
    words(/^other\.so has other pixels than Pillow$/),
  )
  await assert.rejects(
    of(async () => undefined),
    words(/^other\.so has other pixels than Pillow$/),
  )
  // the sample itself, decoded by sharp, which then gives the same for a damaged file
  let sample: RgbImage | undefined
  const careless = of(async jpeg => (sample ??= await decode(sharpAlone, jpeg)))
  await assert.rejects(careless, words(/^other\.so does not notice damage$/))
})
