// Files that are made to take much time or memory: each is refused at once, by an error that says why.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { readBytes, readJson } from '../../src/io/files.ts'
import { npyHead, openNpy } from '../../src/io/formats/npy.ts'
import { openTensors } from '../../src/io/formats/open-tensors.ts'
import { parseSafetensors } from '../../src/io/formats/safetensors.ts'
import { writeSafetensors } from '../../src/io/formats/safetensors-file.ts'
import { withFile } from '../../src/io/ranges.ts'
import { readKeptBatch } from '../../src/train/guard/kept.ts'
import { temporaryFolder } from '../data/folder.ts'
import { archive } from './zip.ts'

test('pipes and devices are refused without waiting', {
  skip: process.platform === 'win32' && 'Windows has neither mkfifo nor /dev/zero',
}, async t => {
  const folder = await temporaryFolder(t)
  const [pipe, device] = [join(folder, 'pipe.json'), join(folder, 'zero.json')]
  execFileSync('mkfifo', [pipe])
  await symlink('/dev/zero', device)
  for (const path of [pipe, device]) {
    await assert.rejects(readBytes(path), { name: 'FileError', file: path, message: /is a (pipe|device), not a file/ })
    await assert.rejects(
      withFile(path, async () => {}),
      { name: 'FileError', file: path },
    )
  }
})

test('JSON nested deeply is refused, and brackets within a text are not counted', async t => {
  const path = join(await temporaryFolder(t), 'deep.json')
  await writeFile(path, '['.repeat(20_000) + ']'.repeat(20_000))
  await assert.rejects(readJson(path), { name: 'FileError', file: path, message: /deeper than 100/ })
  await writeFile(path, JSON.stringify({ a: `\\"${'['.repeat(500)}` }))
  assert.deepEqual(await readJson(path), { a: `\\"${'['.repeat(500)}` })
})

const safetensors = (json: string): Buffer => {
  const head = Buffer.alloc(8)
  head.writeBigUInt64LE(BigInt(Buffer.byteLength(json)))
  return Buffer.concat([head, Buffer.from(json)])
}

test('a safetensors header of many objects or dimensions is refused', () => {
  const many = `{${Array.from({ length: 1000 }, (_, i) => `"${i}":{}`).join()}}`
  assert.throws(() => parseSafetensors(safetensors(many)), {
    name: 'SafetensorsError',
    message: /more than \d+ objects/,
  })
  assert.throws(() => parseSafetensors(safetensors(JSON.stringify({ a: [[[1]]] }))), /deeper than 3/)
  const shape = JSON.stringify({ a: { dtype: 'U8', shape: Array(60_000).fill(1), data_offsets: [0, 1] } })
  assert.throws(() => parseSafetensors(Buffer.concat([safetensors(shape), Buffer.of(0)])), /60000 dimensions/)
})

test('a pickle cannot make more items by calls than it has bytes', async t => {
  const path = join(await temporaryFolder(t), 'calls.pt')
  const pair = Buffer.concat([Buffer.of(0x4b, 1), Buffer.of(0x4b, 2), Buffer.of(0x86)])
  const list = Buffer.concat([Buffer.from(']('), ...Array(100).fill(pair), Buffer.from('eq\0' + '0')])
  const call = Buffer.from('ccollections\nOrderedDict\nh\0\x85R0', 'latin1')
  const pickle = Buffer.concat([Buffer.of(0x80, 2), list, ...Array(1000).fill(call), Buffer.from('}.')])
  await writeFile(path, archive({ 'a/data.pkl': pickle }))
  await assert.rejects(openTensors(path), { name: 'TorchFileError', message: /makes dictionaries of more than/ })
})

test('an npy header that is long or names a field twice is refused', async t => {
  const path = join(await temporaryFolder(t), 'a.npy')
  const write = (words: string) => {
    const head = Buffer.from(npyHead([1, 1]).subarray(0, 10))
    head.writeUInt16LE(words.length, 8)
    return writeFile(path, Buffer.concat([head, Buffer.from(words), Buffer.alloc(4)]))
  }
  await write("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1), }\n")
  assert.deepEqual((await openNpy(path)).shape, [1, 1])
  await write("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), 'shape': (1, 1), }\n")
  await assert.rejects(openNpy(path), { name: 'DataError', message: /does not hold rows of float32/ })
  await write("'descr': ".repeat(4_000))
  await assert.rejects(openNpy(path), { name: 'DataError', message: /header of 36000 bytes/ })
})

test('settings have no field of a name that every object has', async t => {
  const path = join(await temporaryFolder(t), 'settings.json')
  for (const name of ['__proto__', 'constructor', 'prototype']) {
    await writeFile(path, `{"model": {"preset": "tiny", "${name}": {"dropout": 0.5}}}`)
    await assert.rejects(readJson(path), {
      name: 'FileError',
      file: path,
      message: new RegExp(`has a field 'model\\.${name}': no field may have this name`),
    })
    await writeFile(path, JSON.stringify({ texts: [name] }))
    assert.deepEqual(await readJson(path), { texts: [name] })
  }
  await writeFile(path, '[1, [{"\\u005f_proto__": 1}]]')
  await assert.rejects(readJson(path), /has a field '1\.0\.__proto__'/)
})

test('the batch that a guard saved is refused where it nests too deeply', async t => {
  const path = join(await temporaryFolder(t), 'kept.safetensors')
  const batch = `${'['.repeat(20_000)}${']'.repeat(20_000)}`
  await writeSafetensors(path, new Map(), { step: '1', parts: '1', position: '0', batch })
  await assert.rejects(readKeptBatch(path), { name: 'DataError', file: path, message: /deeper than 100/ })
})
