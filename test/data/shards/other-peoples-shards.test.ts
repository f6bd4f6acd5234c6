// Shards as other programs write them: tars of macOS, NaN of Python, names with dots, and gzip.

import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { type BadSample, openAnyData, openData, readAllCaptions, ShardDataset } from '../../../src/data/index.ts'
import { indexShard } from '../../../src/data/shards/shard-index.ts'
import { temporaryFolder } from '../folder.ts'
import { grey, greyClip, greys, type Members, tarOf, writeTar } from './make.ts'

// copies of shards are counted, and other test files make some at the same time
const own = await mkdtemp(join(tmpdir(), 'cocagrad-'))
process.env.TMPDIR = own
after(() => rm(own, { recursive: true, force: true }))

async function index(t: TestContext, members: Members, frames?: number) {
  const path = join(await temporaryFolder(t), 'a.tar')
  await writeTar(path, members)
  const { samples, bad } = await indexShard(path, { frames })
  return { path, samples: samples.map(({ key, captions }) => [key, captions]), bad }
}

test('the files that macOS adds to a tar are not part of a sample', async t => {
  const members = greys(0, 2).flatMap(([name, content]) => [
    [`._${name}`, 'resource fork'] as const,
    [name, content] as const,
    [`__MACOSX/._${name}`, 'resource fork'] as const,
  ])
  const { samples, bad } = await index(t, [['.DS_Store', 'x'], ['./._.', 'x'], ...members, ['./x/.hidden.png', 'x']])
  assert.deepEqual(samples, [
    ['0000', ['grey 0']],
    ['0001', ['grey 1']],
  ])
  assert.deepEqual(bad, [])
})

/** A header block of a tar. */
function header(name: string, size: number, type: string): Buffer {
  const block = Buffer.alloc(512)
  block.write(name, 0)
  block.write('0000644\0', 100)
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124)
  block.write('        ', 148)
  block.write(type, 156)
  block.write('ustar\x0000', 257, 'latin1')
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

const padded = (content: Uint8Array): Buffer =>
  Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)])

test('attributes that are not text do not hide the name after them', async t => {
  const record = (key: string, value: Uint8Array) => {
    const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')])
    let length = rest.length + 1
    while (String(length).length + rest.length !== length) length = String(length).length + rest.length
    return Buffer.concat([Buffer.from(String(length)), rest])
  }
  const attributes = Buffer.concat([
    record('LIBARCHIVE.xattr.com.apple.quarantine', Buffer.from([0xff, 0xfe, 0x0a, 0x3d, 0x80, 0xc3])),
    record('path', Buffer.from('whole-name.png')),
  ])
  const picture = grey(3)
  const text = Buffer.from('words')
  const path = join(await temporaryFolder(t), 'a.tar')
  const blocks = [
    header('PaxHeader/short', attributes.length, 'x'),
    padded(attributes),
    header('short', picture.length, '0'),
    padded(picture),
    header('whole-name.txt', text.length, '0'),
    padded(text),
    Buffer.alloc(1024),
  ]
  await writeFile(path, Buffer.concat(blocks))
  const { samples, bad } = await indexShard(path)
  assert.deepEqual([samples.map(({ key }) => key), bad], [['whole-name'], []])
})

test('NaN and Infinity of Python in a .json do not cost the sample', async t => {
  const { samples, bad } = await index(t, [
    ['a.png', grey(1)],
    ['a.txt', 'one'],
    ['a.json', '{"similarity": NaN, "range": [-Infinity, Infinity], "note": "NaN \\" NaN"}'],
    ['b.png', grey(1)],
    ['b.json', '{"aesthetic": NaN, "caption": "NaN, says \\"Infinity\\""}'],
    ['c.png', grey(1)],
    ['c.json', '{"caption": NaNs}'],
  ])
  assert.deepEqual(samples, [
    ['a', ['one']],
    ['b', ['NaN, says "Infinity"']],
  ])
  assert.equal(bad.length, 1)
  assert.match(bad[0].reason, /its \.json file is not JSON/)
})

test('a .json that is nested 20,000 deep is a sample that cannot be used', async t => {
  for (const [open, close] of [
    ['[', ']'],
    ['{"a":', '}'],
  ]) {
    const deep = `${open.repeat(20_000)}1${close.repeat(20_000)}`
    const { samples, bad } = await index(t, [
      ['a.png', grey(1)],
      ['a.json', `{"caption": "x", "label": ${deep}}`],
    ])
    assert.deepEqual(samples, [])
    assert.match(bad[0].reason, /its .json file nests objects and lists deeper than 100/)
  }
})

test('names with dots are samples of their whole name', async t => {
  const { samples, bad } = await index(t, [
    ['x/Img.v1.0001.png', grey(1)],
    ['x/Img.v1.0001.txt', 'one'],
    ['x/Img.v1.0002.jpg', grey(1)],
    ['x/Img.v1.0002.json', '{"caption": "two"}'],
    ['x/Img.v1.0003.png', grey(1)],
    ['x/Img.v1.0001.mask.png', 'not looked at'],
    ['b.2.PNG', grey(1)],
    ['b.2.TXT', 'three'],
  ])
  assert.deepEqual(samples, [
    ['x/Img.v1.0001', ['one']],
    ['x/Img.v1.0002', ['two']],
    ['b.2', ['three']],
  ])
  assert.deepEqual(
    bad.map(({ key, reason }) => [key, reason]),
    [['x/Img.v1.0003', 'it has no text']],
  )
})

test('an image between the key and its ending is another file of the sample, as in WebDataset', async t => {
  const { samples, bad } = await index(t, [
    ['a.jpg', grey(1)],
    ['a.seg.png', 'not looked at'],
    ['a.old.txt', 'not looked at'],
    ['a.txt', 'one'],
  ])
  assert.deepEqual([samples, bad], [[['a', ['one']]], []])
})

test('names of clips may have dots, too', async t => {
  const members = [...greyClip('jump.v1', 1, 3, { txt: 'one' }), ...greyClip('jump.v2', 4, 2, { txt: 'two' })]
  const { samples, bad, path } = await index(t, members, 2)
  assert.deepEqual(
    [samples, bad],
    [
      [
        ['jump.v1', ['one']],
        ['jump.v2', ['two']],
      ],
      [],
    ],
  )
  await assert.rejects(openAnyData(path, { imageSize: 4 }), /holds clips/)
})

test('a shard without a sample says what it holds, and so does a tokenizer that needs its words', async t => {
  const { path, bad } = await index(t, [
    ['a.tiff', 'x'],
    ['b.md', 'y'],
    ['c.md', 'z'],
  ])
  const reason =
    "has no sample: its 3 files are called 'a.tiff', 'b.md' and so on; the files of a sample are neighbours with one name, such as 000123.jpg and 000123.txt"
  assert.deepEqual(bad, [{ file: path, reason }])
  const data = await openData(path, { imageSize: 4 })
  await assert.rejects(readAllCaptions(data), {
    name: 'DataError',
    message: `${path}: has no sample that can be used: ${reason}`,
  })
})

const copies = async (): Promise<string[]> => {
  const folders = (await readdir(tmpdir())).filter(name => name.startsWith('cocagrad-shards-'))
  return (await Promise.all(folders.map(name => readdir(join(tmpdir(), name))))).flat()
}

test('a shard that is compressed with gzip has the samples and the pixels of the shard', async t => {
  const folder = await temporaryFolder(t)
  for (const [i, name] of ['a.tar.gz', 'b.tgz'].entries())
    await writeFile(join(folder, name), gzipSync(await tarOf(greys(3 * i, 3))))
  for (const threads of [0, 2]) {
    const data = await openData(folder, { imageSize: 4, threads })
    assert.ok(data instanceof ShardDataset)
    const source = await data.all()
    assert.equal(source.length, 6)
    for (let i = 0; i < 6; i++) {
      assert.deepEqual(source.captions(i), [`grey ${i}`])
      assert.equal(Math.round(255 * (await source.image(i))[0]), i)
    }
    assert.equal(source.name(4), `${join(folder, 'b.tgz')}: 0004`)
  }
})

test('copies of compressed shards are removed when their window has passed', async t => {
  const folder = await temporaryFolder(t)
  const count = 9
  for (let i = 0; i < count; i++) await writeFile(join(folder, `${i}.tar.gz`), gzipSync(await tarOf(greys(2 * i, 2))))
  const before = (await copies()).length
  const data = await ShardDataset.open(folder, { imageSize: 4, window: 1 })
  const options = { seed: 1, shuffle: false }
  for (let window = 0; window < count; window++) {
    const source = await data.open(0, window, options)
    assert.equal(Math.round(255 * (await source.image(1))[0]), 2 * window + 1)
  }
  // they are removed in the background
  const left = async () => (await copies()).length - before
  for (let tries = 0; tries < 1000 && (await left()) > 3; tries++) await new Promise(resolve => setTimeout(resolve, 10))
  assert.ok((await left()) <= 3, 'at most the copies of three windows')
  const again = await data.open(0, 0, options)
  assert.equal(Math.round(255 * (await again.image(0))[0]), 0, 'a copy is made again')
})

test('a compressed shard that is damaged, cut off, too large or not compressed is reported', async t => {
  const folder = await temporaryFolder(t)
  const whole = gzipSync(await tarOf(greys(0, 40)), { level: 0 })
  const cases = [
    ['not.tar.gz', await tarOf(greys(0, 1)), 0, /cannot be decompressed: incorrect header check/],
    ['cut.tar.gz', whole.subarray(0, whole.length / 2), 10, /is cut off/],
    ['bomb.tar.gz', gzipSync(Buffer.alloc(2 ** 27)), 0, /more than 200 times larger/],
  ] as const
  for (const [name, bytes, least, reason] of cases) {
    const path = join(folder, name)
    await writeFile(path, bytes)
    const bad: BadSample[] = []
    const data = await openData(path, { imageSize: 4 })
    assert.ok(data instanceof ShardDataset)
    const source = await data.all(sample => bad.push(sample))
    assert.ok(source.length >= least, name)
    assert.equal(bad.length, 1, name)
    assert.match(bad[0].reason, reason)
    assert.equal(bad[0].file, path)
  }
  const plain = join(folder, 'plain.tar')
  await writeFile(plain, whole)
  assert.match((await indexShard(plain)).bad[0].reason, /compressed with gzip, so call it \.tar\.gz/)
})
