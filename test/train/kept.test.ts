// The file in which a guard saves a batch: it is read as it was written, whatever the batch is made of, and so are older files.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { DataError, readSafetensors, type SafetensorsTensor, writeSafetensors } from '../../src/io/index.ts'
import { Linear } from '../../src/nn/index.ts'
import { tensor } from '../../src/tensor/index.ts'
import { keepIn, readKeptBatch } from '../../src/train/guard/kept.ts'
import { RunFolder } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { values } from '../support.ts'

const model = new Linear(2, 1)
const objective = { model, loss: () => model.weight.sum() }

test('a batch of tensors, arrays, words and numbers is read as it was written', async t => {
  const folder = new RunFolder(await temporaryFolder(t))
  const x = tensor([
    [1, 2],
    [3, 4],
  ])
  const mask = tensor([1, 0], { dtype: 'bool' })
  const batch = { x, mask, ids: Int32Array.of(7, 8), labels: [['cat'], ['dog', 'fox']], more: { scale: 0.5 } }
  const name = await keepIn(folder, { objective, batch, parts: 2, position: 11 }, 3)
  const { step, parts, position, parameters, batch: read } = await readKeptBatch<typeof batch>(join(folder.path, name))
  assert.deepEqual({ step, parts, position }, { step: 3, parts: 2, position: 11 })
  assert.deepEqual(
    [[...values(read.x)], read.x.shape],
    [
      [1, 2, 3, 4],
      [2, 2],
    ],
  )
  assert.deepEqual([[...values(read.mask)], read.mask.dtype], [[1, 0], 'bool'])
  assert.deepEqual({ ...read, x: 0, mask: 0 }, { ...batch, x: 0, mask: 0 })
  assert.deepEqual([...parameters.get('weight')!.data], [...values(model.weight)])
})

/** A file as the guard of a CoCa wrote it before batches of any form were saved. */
async function older(folder: string, change: (tensors: Map<string, SafetensorsTensor>) => void = () => {}) {
  const file = join(folder, 'older.safetensors')
  const tensors = new Map<string, SafetensorsTensor>([
    ['images', { dtype: 'F32', shape: [1, 3, 1, 1], data: Float32Array.of(1, 2, 3) }],
    ['tokens', { dtype: 'I32', shape: [1, 2], data: Int32Array.of(4, 5) }],
    ['parameter.weight', { dtype: 'F32', shape: [1, 2], data: Float32Array.of(6, 7) }],
  ])
  change(tensors)
  await writeSafetensors(file, tensors, { step: '501', parts: '1', position: '9' })
  return file
}

test('a file of an older version has the images and the texts of a CoCa', async t => {
  const file = await older(await temporaryFolder(t))
  const { step, batch, parameters } = await readKeptBatch(file)
  assert.equal(step, 501)
  assert.deepEqual(batch, {
    images: Float32Array.of(1, 2, 3),
    imageShape: [1, 3, 1, 1],
    tokens: Int32Array.of(4, 5),
    tokenShape: [1, 2],
  })
  assert.deepEqual([...parameters.keys()], ['weight'])
})

test('a file without a batch, or with a part of one, is an error that names the file', async t => {
  const folder = await temporaryFolder(t)
  const isNone = (error: unknown) =>
    error instanceof DataError && error.message.includes('is not a batch that a guard saved')
  await assert.rejects(readKeptBatch(await older(folder, tensors => tensors.delete('tokens'))), isNone)
  const run = new RunFolder(folder)
  const name = await keepIn(run, { objective, batch: { x: tensor([1]) }, parts: 1, position: 0 }, 1)
  const { tensors, metadata } = await readSafetensors(join(folder, name))
  tensors.delete('x')
  const damaged = join(folder, 'damaged.safetensors')
  await writeSafetensors(damaged, tensors, Object.fromEntries(metadata))
  await assert.rejects(readKeptBatch(damaged), isNone)
})
