import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { FileError } from '../../src/io/errors.ts'
import { readJson, readText, writeAtomically } from '../../src/io/files.ts'
import { temporaryFolder } from '../data/folder.ts'

test('a file is written with its folders, and no temporary file remains', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'a', 'b', 'c.txt')
  await writeAtomically(path, 'héllo')
  await writeAtomically(path, [Buffer.from('over'), Buffer.alloc(0), Buffer.from('written')])
  assert.equal(await readFile(path, 'utf8'), 'overwritten')
  assert.deepEqual(await readdir(join(folder, 'a', 'b')), ['c.txt'])
})

test('a write that fails leaves only the old file', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'kept.txt')
  await writeAtomically(path, 'old')
  async function* breaking() {
    yield Buffer.from('new')
    throw new Error('the source broke')
  }
  await assert.rejects(writeAtomically(path, breaking()), { name: 'FileError', file: path, reason: 'the source broke' })
  assert.equal(await readFile(path, 'utf8'), 'old')
  assert.deepEqual(await readdir(folder), ['kept.txt'])
})

test('after concurrent writes a file has the content of one writer', async t => {
  const path = join(await temporaryFolder(t), 'contended')
  const contents = Array.from({ length: 8 }, (_, i) => String(i).repeat(10_000))
  await Promise.all(contents.map(content => writeAtomically(path, content)))
  assert.ok(contents.includes(await readFile(path, 'utf8')))
})

test('the error for a path that cannot be written names it and the reason', async t => {
  const folder = await temporaryFolder(t)
  await writeFile(join(folder, 'file'), '')
  await mkdir(join(folder, 'folder'))
  await assert.rejects(writeAtomically(join(folder, 'file', 'x'), ''), FileError)
  await assert.rejects(writeAtomically(join(folder, 'folder'), ''), /folder: is a folder, not a file/)
  assert.deepEqual((await readdir(folder)).sort(), ['file', 'folder'])
})

test('the error for a path that cannot be read names it and the reason', async t => {
  const folder = await temporaryFolder(t)
  await assert.rejects(readText(join(folder, 'absent')), /absent: does not exist/)
  await assert.rejects(readText(folder), /is a folder, not a file/)
  const path = join(folder, 'text')
  await writeFile(path, Buffer.concat([Buffer.from('one\ntwo é\nthr'), Buffer.of(0xff), Buffer.from('ee\nfour')]))
  await assert.rejects(readText(path), { name: 'FileError', line: 3, message: `${path}:3: is not UTF-8 text` })
  await writeFile(path, '\ufeff{"a": 1}')
  assert.deepEqual(await readJson(path), { a: 1 })
  await writeFile(path, '{"a": ')
  await assert.rejects(readJson(path), /text: is not JSON/)
})
