// Clips of numbered frames: how they are found, ordered and sampled, and the errors of people's folders.

import assert from 'node:assert/strict'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ClipDataset, type OpenClipsOptions } from '../../src/data/clips.ts'
import { evenlySpaced } from '../../src/data/frames.ts'
import { encodePng } from '../../src/data/images/image.ts'
import { movingExample, openData, writeMovingShapes } from '../../src/data/index.ts'
import { DataError } from '../../src/io/errors.ts'
import { fc, runs } from '../support.ts'
import { temporaryFolder } from './folder.ts'

/** A folder of files: a number is an image of this grey level, 4 × 4. */
async function folderWith(t: TestContext, files: Readonly<Record<string, number | string>>): Promise<string> {
  const folder = await temporaryFolder(t)
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    const bytes = typeof content === 'number' ? encodePng(new Uint8Array(48).fill(content), 4, 4) : content
    await writeFile(join(folder, name), bytes)
  }
  return folder
}

/** Frames of one clip, with the grey levels 1, 2, … */
const clip = (name: string, count: number): Record<string, number> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${name}/frame-${i + 1}.png`, i + 1]))

const lines = (...values: readonly object[]) => values.map(value => JSON.stringify(value)).join('\n')

const open = (folder: string, options: Partial<OpenClipsOptions> = {}) =>
  ClipDataset.open(folder, { imageSize: 4, frames: 2, ...options })

/** The grey level of each frame of a clip. */
async function levels(data: ClipDataset, index: number): Promise<number[]> {
  const pixels = await data.images(index)
  assert.equal(pixels.length, data.frameCount * 3 * 4 * 4)
  return Array.from({ length: data.frameCount }, (_, i) => {
    const frame = pixels.subarray(i * 48, (i + 1) * 48)
    assert.equal(new Set(frame).size, 1)
    return Math.round(frame[0] * 255)
  })
}

test('frames are ordered by their number, not by their name', async t => {
  const folder = await folderWith(t, {
    'a/frame-10.png': 10,
    'a/frame-2.png': 2,
    'a/frame-001.png': 1,
    'a/notes.txt': 'x',
    'b/2 take 3.png': 3,
    'b/9 take 1.png': 1,
    'b/1 take 2.png': 2,
    'c/shot_9007199254740993.png': 3,
    'c/shot_9007199254740992.png': 2,
    'c/shot_5.png': 1,
  })
  const data = await open(folder, { frames: 3 })
  assert.deepEqual(data.examples[0].frames, ['frame-001.png', 'frame-2.png', 'frame-10.png'])
  assert.deepEqual(await levels(data, 0), [1, 2, 10])
  assert.deepEqual(await levels(data, 1), [1, 2, 3])
  assert.deepEqual(await levels(data, 2), [1, 2, 3])
  assert.equal(data.name(1), join(folder, 'b'))
})

test('frames with shuffled names come in the order of their numbers', async t => {
  const folder = await temporaryFolder(t)
  let run = 0
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.nat(1000), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 1, max: 5 }),
      async (numbers, digits) => {
        const place = join(folder, String(run++))
        await mkdir(join(place, 'clip'), { recursive: true })
        for (const number of numbers) {
          const image = encodePng(new Uint8Array(48).fill(number % 256), 4, 4)
          await writeFile(join(place, 'clip', `f${String(number).padStart(digits, '0')}.png`), image)
        }
        const ordered = [...numbers].sort((a, b) => a - b).map(number => number % 256)
        assert.deepEqual(await levels(await open(place, { frames: numbers.length }), 0), ordered)
      },
    ),
    runs(20),
  )
})

test('frames are at even distances, from the first to the last, and the same backwards', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), fc.nat(), (count, n) => {
      const wanted = 1 + (n % count)
      const chosen = evenlySpaced(count, wanted)
      assert.equal(chosen.length, wanted)
      const ideal = (i: number) => (wanted === 1 ? (count - 1) / 2 : (i * (count - 1)) / (wanted - 1))
      for (const [i, at] of chosen.entries()) {
        assert.ok(Math.abs(at - ideal(i)) <= 0.5 + 1e-9)
        assert.ok(i === 0 || at > chosen[i - 1])
      }
      const hasOneMiddle = wanted % 2 === 1 && count % 2 === 0
      if (!hasOneMiddle) assert.deepEqual(chosen, chosen.map(at => count - 1 - at).reverse())
    }),
    runs(300),
  )
  assert.deepEqual(evenlySpaced(4, 4), [0, 1, 2, 3])
  assert.deepEqual(evenlySpaced(16, 8), [0, 2, 4, 6, 9, 11, 13, 15])
  assert.deepEqual(evenlySpaced(5, 1), [2])
})

test('a clip with more frames than wanted is sampled', async t => {
  const data = await open(await folderWith(t, clip('a', 9)), { frames: 3 })
  assert.deepEqual(await levels(data, 0), [1, 5, 9])
  assert.deepEqual([data.frameCount, data.examples[0].frames.length], [3, 9])
})

test('a list names clips, captions and labels, over several lines', async t => {
  const list = lines(
    { clip: 'x/b/', frames: 2, caption: 'one', label: 'up', more: 1 },
    { clip: './a', caption: ['two', '2'], labels: ['down', 'slow'] },
    { clip: 'x/b', caption: 'uno', label: 'up' },
    { clip: 'c', label: 'up' },
  )
  const files = { ...clip('x/b', 2), ...clip('a', 3), ...clip('c', 2), 'clips.jsonl': list, 'stray.png': 1 }
  const folder = await folderWith(t, files)
  const data = await open(folder, { labels: true })
  assert.deepEqual(
    data.examples.map(({ clip, captions, labels, frames }) => [clip, captions, labels, frames.length]),
    [
      ['x/b', ['one', 'uno'], ['up'], 2],
      ['a', ['two', '2'], ['down', 'slow'], 3],
      ['c', ['up'], ['up'], 2],
    ],
  )
  assert.deepEqual(
    [data.classes, data.labels?.(1)],
    [
      ['down', 'slow', 'up'],
      ['down', 'slow'],
    ],
  )
  assert.equal(data.examples[0].fields.more, 1)
  assert.deepEqual(await levels(data, 1), [1, 3])
  await writeFile(join(folder, 'other.csv'), 'caption,clip,frames\n"up, then down",a,3\n')
  const other = await open(join(folder, 'other.csv'))
  assert.deepEqual([other.captions(0), other.labels, other.classes], [['up, then down'], undefined, []])
})

test('a folder for each clip has neither captions nor labels', async t => {
  const data = await open(await folderWith(t, { ...clip('b', 2), ...clip('a', 2) }))
  assert.deepEqual(
    data.examples.map(({ clip }) => clip),
    ['a', 'b'],
  )
  assert.deepEqual([data.captions(0), data.labels], [[], undefined])
})

test('a folder for each class gives labels, and captions if labels are read', async t => {
  const folder = await folderWith(t, { ...clip('up/2', 2), ...clip('up/1', 2), ...clip('down/1', 2) })
  const data = await open(folder, { labels: true })
  assert.deepEqual(
    data.examples.map(({ clip, labels, captions }) => [clip, labels, captions]),
    [
      ['down/1', ['down'], ['down']],
      ['up/1', ['up'], ['up']],
      ['up/2', ['up'], ['up']],
    ],
  )
  assert.deepEqual(data.classes, ['down', 'up'])
  const plain = await open(folder)
  assert.deepEqual([plain.length, plain.captions(0), plain.labels], [3, [], undefined])
})

const two = clip('a', 2)
const broken: [what: string, files: Record<string, number | string>, place: string, reason: RegExp, labels?: true][] = [
  ['too few frames', { ...two, ...clip('b', 1) }, 'b', /has 1 frame, and 2 are wanted/],
  ['no frames', { ...two, 'b/notes.txt': 'x' }, 'b', /has neither frames nor folders of frames/],
  ['no frames in a class', { ...clip('up/1', 2), 'up/2/x.txt': 'x' }, 'up/2', /has no frames/],
  ['a number twice', { ...two, 'a/02.png': 1 }, 'a', /two frames with the number 2: '02\.png' and 'frame-2\.png'/],
  ['no number', { ...two, 'a/cover.png': 1 }, 'a', /has a frame 'cover\.png' without a number/],
  ['frames without a folder', { 'frame-1.png': 1, 'frame-2.png': 2 }, '', /has an image 'frame-1\.png' in it/],
  ['nothing', { 'notes.txt': 'x' }, '', /has none of clips\.jsonl, clips\.csv, clips\.tsv, and no folder/],
  ['frames beside clips', { ...clip('up/1', 2), 'up/3.png': 1 }, 'up', /has an image '3\.png' beside the folder '1'/],
  ['clips beside classes', { ...two, ...clip('up/1', 2) }, '', /'a' is a clip and 'up' has clips in it/],
  ['no classes', two, '', /has no classes: use a folder for each class/, true],
  ['two lists', { ...two, 'clips.csv': '', 'clips.tsv': '' }, '', /has clips\.csv and clips\.tsv: keep one/],
]
for (const [what, files, place, reason, labels] of broken)
  test(`throws an error that names the folder: ${what}`, async t => {
    const folder = await folderWith(t, files)
    await assert.rejects(open(folder, { labels }), (error: unknown) => {
      assert.ok(error instanceof DataError, String(error))
      assert.match(error.message, reason)
      assert.equal(error.file, join(folder, place))
      return true
    })
  })

const a = { clip: 'a', caption: 'x' }
const brokenLines: [what: string, list: object | string, reason: RegExp, labels?: true][] = [
  ['no object', '3', /is not an object like \{"clip": "clips\/a"/],
  ['no clip', { caption: 'x' }, /has no 'clip'/],
  ['a number for a clip', { ...a, clip: 3 }, /'clip' is not a path/],
  ['a clip outside', { ...a, clip: '../a' }, /must be a path below the folder/],
  ['a clip that is not there', { ...a, clip: 'b' }, /'clip' is 'b', which does not exist/],
  ['a clip that is a file', { ...a, clip: 'a/frame-1.png' }, /which is no folder of frames/],
  ['a clip with too few frames', { ...a, clip: 'short' }, /'clip' is 'short', which has 1 frame, and 2 are wanted/],
  ['a clip without frames', { ...a, clip: 'empty' }, /'clip' is 'empty', which has no frames/],
  [
    'another number of frames',
    { ...a, clip: 'other', frames: 3 },
    /'clip' is 'other', which has 2 frames, but 'frames' is 3/,
  ],
  ['no caption', { clip: 'a' }, /has no 'caption'/],
  ['no label', a, /has no 'label' and no 'labels'/, true],
]
for (const [what, line, reason, labels] of brokenLines)
  test(`throws an error with file and line: ${what}`, async t => {
    const list = `${lines({ ...a, label: 'x' })}\n\n${typeof line === 'string' ? line : lines(line)}`
    const files = { ...two, ...clip('other', 2), ...clip('short', 1), 'empty/x.txt': 'x', 'clips.jsonl': list }
    const folder = await folderWith(t, files)
    await assert.rejects(open(folder, { labels }), (error: unknown) => {
      assert.ok(error instanceof DataError, String(error))
      assert.match(error.message, reason)
      assert.deepEqual([error.file, error.line], [join(folder, 'clips.jsonl'), 3])
      return true
    })
  })

test('wrong options and a missing folder are errors', async t => {
  const folder = await folderWith(t, two)
  await assert.rejects(open(folder, { frames: 0 }), /frames must be a positive integer, not 0/)
  await assert.rejects(
    open(folder, { imageSize: 0.5 }),
    /imageSize must be a whole number above 0, or \[height, width\], not 0\.5/,
  )
  await assert.rejects(open(join(folder, 'none')), { name: 'FileError', reason: 'does not exist' })
  await assert.rejects(ClipDataset.open(folder, { imageSize: 4 } as OpenClipsOptions), /frames is missing/)
  await assert.rejects(open(folder, { frame: 2 } as object), /ClipDataset\.open: there is no option frame/)
  await writeFile(join(folder, 'x.png'), '')
  await assert.rejects(open(join(folder, 'x.png')), /is neither a folder of clips nor a \.jsonl/)
})

test('frames are decoded when they are needed, and kept', async t => {
  const folder = await folderWith(t, { ...clip('a', 2), ...clip('b', 2) })
  await writeFile(join(folder, 'b/frame-2.png'), 'broken')
  const data = await open(folder)
  const first = await data.images(0)
  first.fill(9)
  await writeFile(join(folder, 'a/frame-1.png'), 'broken too')
  assert.deepEqual(await levels(data, 0), [1, 2])
  await assert.rejects(data.images(1), { name: 'ImageError', file: join(folder, 'b/frame-2.png') })
  await assert.rejects(data.images(2), /has no example 2: there are 2/)
  const none = await open(folder, { cacheBytes: 0 })
  await assert.rejects(none.images(0), { name: 'ImageError' })
})

test('a crop is the same part of every frame', async t => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'a'))
  const ramp = Uint8Array.from(
    { length: 12 * 12 * 3 },
    (_, i) => 4 * Math.floor(i / 3 / 12) + 7 * (Math.floor(i / 3) % 12),
  )
  for (const number of [1, 2]) await writeFile(join(folder, 'a', `${number}.png`), encodePng(ramp, 12, 12))
  const data = await open(folder)
  const whole = await data.images(0)
  const cropped = await data.images(0, { scale: [0.2, 0.5], seed: 3 })
  assert.notDeepEqual(cropped, whole)
  assert.deepEqual(cropped.subarray(0, 48), cropped.subarray(48))
})

test('a split depends on its seed, and its parts keep clips, captions, classes and pixels', async t => {
  const names = Array.from({ length: 12 }, (_, i) => `${i % 3 === 0 ? 'up' : 'down'}/${i}`)
  const data = await open(await folderWith(t, Object.assign({}, ...names.map(name => clip(name, 3)))), { labels: true })
  const { train, validation } = data.split({ validation: 0.25, seed: 1 })
  assert.deepEqual([train.length, validation.length, train.frameCount], [9, 3, 2])
  const both = [...train.examples, ...validation.examples].map(({ clip }) => clip)
  assert.deepEqual(both.sort(), data.examples.map(({ clip }) => clip).sort())
  assert.deepEqual([train.classes, validation.classes], [data.classes, data.classes])
  assert.deepEqual(await levels(validation, 2), [1, 3])
  assert.deepEqual(data.split({ validation: 0.25, seed: 1 }).validation.examples, validation.examples)
  assert.notDeepEqual(data.split({ validation: 0.25, seed: 2 }).validation.examples, validation.examples)
  assert.notEqual(train.fingerprint, validation.fingerprint)
  for (const share of [0, 1, Number.NaN])
    assert.throws(() => data.split({ validation: share }), /of 12 clips for validation leaves one part empty/)
})

test('the fingerprint changes only with a clip, a frame, a caption, a label or the order', async t => {
  const folder = await folderWith(t, { ...clip('a', 2), ...clip('b', 2), ...clip('c', 3) })
  const fingerprintOf = async (labels: boolean, ...values: object[]) => {
    await writeFile(join(folder, 'clips.jsonl'), lines(...values))
    return (await open(folder, { labels })).fingerprint
  }
  const [first, second] = [
    { clip: 'a', caption: 'x', label: 'l' },
    { clip: 'b', caption: 'y', label: 'm' },
  ]
  const original = await fingerprintOf(false, first, second)
  assert.equal(await fingerprintOf(false, { ...first, clip: './a/', label: 'other' }, second), original)
  const others = [
    await fingerprintOf(true, first, second),
    await fingerprintOf(true, { ...first, label: 'other' }, second),
    await fingerprintOf(false, second, first),
    await fingerprintOf(false, first),
    await fingerprintOf(false, first, { ...second, caption: 'z' }),
    await fingerprintOf(false, first, { ...second, clip: 'c' }),
  ]
  await writeFile(join(folder, 'a/3.png'), encodePng(new Uint8Array(48), 4, 4))
  others.push(await fingerprintOf(false, first, second))
  assert.equal(new Set([original, ...others]).size, 8)
})

test('a folder of clips is no folder of images, and the error says what reads it', async t => {
  const folder = await folderWith(t, { ...two, 'clips.jsonl': lines(a) })
  for (const labels of [false, true])
    await assert.rejects(openData(folder, { imageSize: 4, labels }), {
      name: 'DataError',
      file: folder,
      reason: /a list of clips and none of images: ClipDataset\.open/,
    })
})

test('Moving Shapes are read as they were written', async t => {
  const folder = join(await temporaryFolder(t), 'moving')
  await writeMovingShapes({ out: folder, count: 3, seed: 2, frames: 5 })
  const data = await ClipDataset.open(folder, { imageSize: 32, frames: 5, labels: true })
  for (let index = 0; index < 3; index++) {
    const { scene, caption, frames } = movingExample(index, { seed: 2, frames: 5 })
    assert.deepEqual([data.captions(index), data.labels?.(index)], [[caption], [scene.action]])
    const pixels = await data.images(index)
    for (const [at, bytes] of frames.entries())
      for (let i = 0; i < 32 * 32 * 3; i++)
        assert.equal(Math.round(pixels[(at * 3 + (i % 3)) * 1024 + Math.floor(i / 3)] * 255), bytes[i])
  }
})
