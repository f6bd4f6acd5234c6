// Checkpoints in parts, with an index as Hugging Face writes it.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openTensors, type SafetensorsTensor, writeSafetensors } from '../../src/io/index.ts'
import { temporaryFolder } from '../data/folder.ts'

const tensor = (value: number): SafetensorsTensor => ({ dtype: 'F32', shape: [1], data: Float32Array.of(value) })

/** A folder with two parts and an index. */
async function checkpoint(t: TestContext, index: unknown): Promise<string> {
  const folder = await temporaryFolder(t)
  await writeSafetensors(join(folder, '1.safetensors'), new Map([['a', tensor(1)]]))
  await writeSafetensors(
    join(folder, '2.safetensors'),
    new Map([
      ['b', tensor(2)],
      ['more', tensor(3)],
    ]),
  )
  const file = join(folder, 'model.safetensors.index.json')
  await writeFile(file, typeof index === 'string' ? index : JSON.stringify(index))
  return file
}

test('tensors are found in the parts that the index names', async t => {
  const path = await checkpoint(t, { metadata: {}, weight_map: { b: '2.safetensors', a: '1.safetensors' } })
  const file = await openTensors(path)
  assert.deepEqual(file.names, ['b', 'a'])
  assert.deepEqual(file.entry('b').shape, [1])
  assert.deepEqual([(await file.tensor('a')).data[0], (await file.tensor('b')).data[0]], [1, 2])
  // it is in a part, but the index does not name it
  await assert.rejects(file.tensor('more'), { name: 'DataError', file: path, message: /has no tensor 'more'/ })
})

test('an index that is wrong is refused by an error that names it, or the part', async t => {
  const wrong: [index: unknown, message: RegExp][] = [
    ['{"weight_map": ', /index\.json: is not an index of a checkpoint in parts: is not JSON/],
    ['{"weights": 1}  ', /has no 'weight_map' that names a file for each tensor/],
    [{ weight_map: { a: 1 } }, /has no 'weight_map' that names a file for each tensor/],
    [{ weight_map: { a: '2.safetensors' } }, /says that 2\.safetensors has 'a', which it does not/],
    [{ weight_map: { a: '3.safetensors' } }, /3\.safetensors: does not exist/],
    [{ weight_map: { a: '../1.safetensors' } }, /'a' is in '\.\.\/1\.safetensors', which is not the name of a file/],
    [{ weight_map: { a: '/etc/passwd' } }, /'a' is in '\/etc\/passwd', which is not the name of a file/],
    // an index is no part of an index
    [{ weight_map: { a: 'model.safetensors.index.json' } }, /index\.json: /],
  ]
  for (const [index, message] of wrong) await assert.rejects(openTensors(await checkpoint(t, index)), message)
})
