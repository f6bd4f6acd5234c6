import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { indexShard } from '../../../src/data/shards/shard-index.ts'
import { tarMembers } from '../../../src/io/formats/tar.ts'
import { WindowedFile } from '../../../src/io/formats/windowed-file.ts'
import { fc } from '../../support.ts'
import { temporaryFolder } from '../folder.ts'
import { grey, greys, type Members, tarOf, writeTar } from './make.ts'

async function index(t: TestContext, members: Members) {
  const path = join(await temporaryFolder(t), 'a.tar')
  await writeTar(path, members)
  const { samples, bad } = await indexShard(path)
  return {
    path,
    samples,
    bad,
    keys: samples.map(sample => sample.key),
    // what follows is the message of the JSON parser, which differs between versions of Node
    reasons: bad.map(({ key, reason }) => [key, reason.replace(/(is not JSON): .*/, '$1')]),
  }
}

test('a sample consists of the files with one name, and its image is at the position in the index', async t => {
  const { path, samples, bad } = await index(t, greys(7, 3))
  assert.deepEqual(bad, [])
  const bytes = await readFile(path)
  for (const [i, { key, images, captions }] of samples.entries()) {
    const [{ offset, size }] = images
    assert.equal(images.length, 1)
    assert.deepEqual([key, captions], [`000${7 + i}`, [`grey ${7 + i}`]])
    assert.deepEqual(new Uint8Array(bytes.subarray(offset, offset + size)), grey(7 + i))
  }
})

test('captions come from a .txt, or from a list or a caption in a .json', async t => {
  const { samples, bad } = await index(t, [
    ['x/a.1.JPG', 'not looked at'],
    ['x/b.jpg', ''],
    ['x/b.json', '["one", " two "]'],
    ['c.jpg', ''],
    ['c.txt', 'three\n'],
    ['c.json', '{"captions": ["four", "five"], "caption": "six"}'],
    ['d.webp', ''],
    ['d.json', '{"caption": "seven", "width": 4}'],
    ['e.png', ''],
    ['e.txt', 'eight'],
    ['e.json', '{"caption": "nine"}'],
    ['f.jpeg', ''],
    ['f.json', '"ten"'],
    ['notes/readme.md', '# nothing'],
  ])
  assert.deepEqual(
    samples.map(({ key, captions }) => [key, captions]),
    [
      ['x/b', ['one', 'two']],
      ['c', ['four', 'five']],
      ['d', ['seven']],
      ['e', ['eight']],
      ['f', ['ten']],
    ],
  )
  assert.deepEqual(bad, [])
})

test('a sample with an error is left out, and the error is reported with its key', async t => {
  const { keys, reasons, bad, path } = await index(t, [
    ...greys(0, 1),
    ['no-text.png', grey(1)],
    ['no-image.txt', 'words'],
    ['two.png', grey(1)],
    ['two.jpg', grey(1)],
    ['two.txt', 'words'],
    ['twice.png', grey(1)],
    ['twice.png', grey(2)],
    ['twice.txt', 'words'],
    ['empty.png', grey(1)],
    ['empty.txt', ' \n'],
    ['list.png', grey(1)],
    ['list.json', '[]'],
    ['number.png', grey(1)],
    ['number.json', '{"caption": 4}'],
    ['broken.png', grey(1)],
    ['broken.json', '{'],
    ['latin.png', grey(1)],
    ['latin.txt', Uint8Array.of(0xe9, 0x74, 0xe9)],
    ...greys(0, 2),
  ])
  assert.deepEqual(keys, ['0000', '0001'])
  assert.deepEqual(reasons, [
    ['no-text', 'it has no text'],
    ['no-image', 'it has no image'],
    ['two', 'it has 2 images'],
    ['twice', 'it has two files .png'],
    ['empty', 'its caption is empty'],
    ['list', 'its list of captions is empty'],
    ['number', "its .json file has no 'caption'"],
    ['broken', 'its .json file is not JSON'],
    ['latin', "'latin.txt' is not UTF-8 text"],
    ['0000', 'its key occurred before'],
  ])
  assert.ok(bad.every(({ file }) => file === path))
})

test('a truncated shard has the samples before the end, and the truncation is reported', async t => {
  const whole = await tarOf(greys(0, 4))
  const path = join(await temporaryFolder(t), 'a.tar')
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1025), async length => {
      await writeFile(path, whole.subarray(0, length))
      const { samples, bad } = await indexShard(path)
      const sure = Math.floor(length / 2048) // header and content, image and text
      assert.deepEqual(
        samples.slice(0, sure).map(sample => sample.key),
        ['0000', '0001', '0002', '0003'].slice(0, sure),
      )
      assert.ok(
        bad.some(({ key, reason }) => key === undefined && /cut off/.test(reason)),
        `${length} bytes`,
      )
    }),
    { numRuns: 60 },
  )
})

test('a shard ends at a damaged header', async t => {
  const bytes = await tarOf(greys(0, 3))
  bytes[2048 + 3] ^= 0xff
  const path = join(await temporaryFolder(t), 'a.tar')
  await writeFile(path, bytes)
  const { samples, bad } = await indexShard(path)
  assert.deepEqual([samples.length, bad], [1, [{ file: path, reason: 'has no header at byte 2048' }]])
})

test('names that are long or not ASCII are read in all formats of the tar program', async t => {
  const folder = await temporaryFolder(t)
  const long = `${'folder-with-a-long-name/'.repeat(6)}${'picture'.repeat(12)}é.png`
  await mkdir(join(folder, long, '..'), { recursive: true })
  await writeFile(join(folder, long), 'content')
  for (const format of ['gnu', 'pax']) {
    const path = join(folder, `${format}.tar`)
    execFileSync('tar', ['--format', format, '-cf', path, '-C', folder, long.split('/')[0]])
    const tar = await WindowedFile.open(path)
    const members = []
    for await (const member of tarMembers(tar, path)) members.push(member)
    await tar.close()
    assert.deepEqual(
      members.map(({ name, size }) => [name, size]),
      [[long, 7]],
    )
  }
})

test('a file that is not a tar, and a missing one', async t => {
  const path = join(await temporaryFolder(t), 'a.tar')
  await writeFile(path, 'x'.repeat(2000))
  assert.deepEqual((await indexShard(path)).bad, [{ file: path, reason: 'has no header at byte 0' }])
  await assert.rejects(indexShard(`${path}x`), { name: 'FileError', reason: 'does not exist' })
})
