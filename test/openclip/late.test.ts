// The weights of a released checkpoint are read from its file when they are first needed.

import assert from 'node:assert/strict'
import { appendFile, copyFile, cp, readFile, rm, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readSafetensors, writeSafetensors } from '../../src/io/index.ts'
import type { Module } from '../../src/nn/index.ts'
import { openClip, saveOpenClip } from '../../src/openclip/index.ts'
import { defaultGenerator, device, full, zeros } from '../../src/tensor/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { bytesInUse } from '../tensor/cpu/peak.ts'

await device.use('cpu')

const own = new URL('../golden/own', import.meta.url).pathname
const WEIGHTS = 'weights.safetensors'

async function copy(t: TestContext): Promise<string> {
  const folder = join(await temporaryFolder(t), 'model')
  await cp(own, folder, { recursive: true })
  return folder
}

const bytes = () => device.get().memory().bytes

/** The parts of a model of which something was read. */
const partsRead = (model: Module): string[] => [
  ...new Set([...model.namedParameters()].flatMap(([name, each]) => (each.isAbsent ? [] : [name.split('.')[0]]))),
]

const imagesFor = (size: number) => full([1, 3, size, size], 0.5)
const ids = () => zeros([1, 3], { dtype: 'int32' }).add(1)

test('opening reads no weight and draws no random number', async () => {
  const before = bytes()
  const { position } = defaultGenerator().state
  const { model } = await openClip(own)
  assert.deepEqual(partsRead(model), [])
  assert.equal(bytes(), before)
  assert.equal(defaultGenerator().state.position, position)
})

test('an embedding reads the weights of its tower, and a caption not those of the embeddings', async () => {
  const opened = async () => (await openClip(own)).model
  const size = (await opened()).config.image.size as number
  const images = await opened()
  images.encodeImage(imagesFor(size))
  assert.deepEqual(partsRead(images), ['encoder', 'generativePooler', 'imageProjection'])
  const texts = await opened()
  texts.encodeText(ids())
  assert.deepEqual(partsRead(texts), ['unimodal', 'textProjection'])
  const captions = await opened()
  const options = { start: 1, end: 2, maximumLength: 4 }
  await captions.generate(imagesFor(size), options)
  const read = partsRead(captions)
  for (const part of ['encoder', 'generativePooler', 'unimodal', 'multimodal']) assert.ok(read.includes(part), part)
  for (const part of ['imageProjection', 'textProjection', 'logScale']) assert.ok(!read.includes(part), part)
})

test('the values are those of the file, one tensor after the other', async () => {
  const { tensors } = await readSafetensors(join(own, WEIGHTS))
  const { model } = await openClip(own)
  const weight = model.textProjection.weight.load()
  const { data, shape } = tensors.get('text.text_projection')!
  const [rows, columns] = shape
  assert.deepEqual(weight.shape, [columns, rows])
  const values = weight.dataSync()
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < columns; j++) assert.equal(values[j * rows + i], data[i * columns + j])
  // a tensor of three layers is read in parts
  const { query, key, value } = model.encoder.blocks[0].attention
  const stacked = tensors.get('visual.transformer.resblocks.0.attn.in_proj_weight')!
  assert.deepEqual(
    [value, query, key].map(({ weight }) => weight.load().size * 3),
    [1, 2, 3].map(() => stacked.data.length),
  )
  const all = [query, key, value].flatMap(({ weight }) => [...weight.dataSync()])
  assert.deepEqual(all, [...stacked.data])
})

for (const [what, change, message] of [
  ['is gone', (file: string) => rm(file), /weights\.safetensors: does not exist: it was there when it was opened/],
  [
    'has grown',
    (file: string) => appendFile(file, 'x'),
    /weights\.safetensors: the file has changed since it was opened/,
  ],
  ['was cut', (file: string) => truncate(file, 100), /weights\.safetensors: the file has changed since it was opened/],
  [
    'was replaced by another of the same size',
    async (file: string) => {
      await copyFile(file, `${file}.new`)
      await rm(file)
      await copyFile(`${file}.new`, file)
    },
    /weights\.safetensors: the file has changed since it was opened/,
  ],
] as const)
  test(`a file that ${what} after it was opened is an error of the first use`, async t => {
    const folder = await copy(t)
    const { model } = await openClip(folder)
    await change(join(folder, WEIGHTS))
    assert.throws(() => model.encodeText(ids()), message)
    assert.deepEqual(partsRead(model), [])
  })

test('a weight that is not finite is an error of its first use, which names all of them', async t => {
  const folder = await copy(t)
  const { tensors } = await readSafetensors(join(folder, WEIGHTS))
  tensors.get('text.text_projection')!.data[3] = Number.NaN
  tensors.get('visual.proj')!.data[5] = Number.POSITIVE_INFINITY
  await writeSafetensors(join(folder, WEIGHTS), tensors)
  const { model } = await openClip(folder)
  assert.throws(() => model.encodeText(ids()), {
    name: 'NonFiniteWeightsError',
    message: /2 of 89 tensors have .*visual\.proj \[.*\] has Infinity at 5.*text\.text_projection \[.*\] has NaN at 3/,
  })
})

test('a checkpoint is written from its file without being held', async t => {
  const folder = join(await temporaryFolder(t), 'saved')
  const opened = await openClip(own)
  // the models of other tests are collected before
  const before = await bytesInUse()
  await saveOpenClip(folder, opened)
  assert.deepEqual(partsRead(opened.model), [])
  assert.equal(await bytesInUse(), before)
  const again = await readSafetensors(join(folder, 'open_clip_model.safetensors'))
  const { tensors } = await readSafetensors(join(own, WEIGHTS))
  for (const [name, { data }] of tensors) assert.deepEqual(again.tensors.get(name)!.data, data, name)
  assert.ok((await readFile(join(folder, 'open_clip_config.json'))).length > 0)
})
