// Finetuning runs: they start from another model's weights, do not change frozen parts, and resume to the same weights.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readSafetensors } from '../../src/io/index.ts'
import { resizeGrid } from '../../src/nn/index.ts'
import { saveOpenClip } from '../../src/openclip/index.ts'
import { fromData } from '../../src/tensor/index.ts'
import {
  checkRunConfig,
  openModel,
  openRun,
  type RunConfig,
  RunConfigError,
  resumeTraining,
  train,
  withOrigin,
} from '../../src/train/index.ts'
import { outcome, pictures, tinyConfig } from './tiny.ts'

const temporary = async (t: TestContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'finetune-'))
  t.after(() => rm(folder, { recursive: true }))
  return folder
}

const weightsAt = async (run: string, step: number) => {
  const file = join(run, 'checkpoints', `step-${String(step).padStart(6, '0')}`, 'model.safetensors')
  return new Map([...(await readSafetensors(file)).tensors].map(([name, { data }]) => [name, [...data].map(Number)]))
}

const finetuned = async (from: string, data: string, others: Record<string, unknown> = {}) =>
  checkRunConfig(
    await withOrigin({
      from,
      data,
      steps: 3,
      batchSize: 3,
      validation: 0.25,
      device: 'reference',
      guard: { every: 0 },
      ...others,
    }),
  ) as RunConfig<'coca'>

test('a finetuned run takes tokenizer, model and weights of its origin, and changes only parts that are not frozen', async t => {
  const folder = await temporary(t)
  const data = await pictures(folder)
  const first = await train(join(folder, 'first'), tinyConfig(data, { steps: 3 }))
  const config = await finetuned(first.folder, data, {
    freeze: ['encoder', 'unimodal.blocks.0-0'],
    optimizer: { learningRate: 0.01 },
  })
  assert.deepEqual(config.model, first.config.model)
  const second = await train(join(folder, 'second'), config)
  assert.deepEqual(second.tokenizer.toJSON(), first.tokenizer.toJSON())
  const [before, after] = [await weightsAt(first.folder, 3), await weightsAt(second.folder, 3)]
  for (const [name, values] of before) {
    const isFrozen = /^(encoder|unimodal\.blocks\.0)\./.test(name)
    const isSame = values.every((x, i) => x === after.get(name)?.[i])
    assert.equal(isSame, isFrozen, `${name} ${isSame ? 'stayed' : 'moved'}`)
  }
})

test('a resumed finetuned run computes the same weights as an uninterrupted one, with frozen parts', async t => {
  const folder = await temporary(t)
  const data = await pictures(folder)
  const { folder: from } = await train(join(folder, 'first'), tinyConfig(data, { steps: 2 }))
  const config = await finetuned(from, data, { freeze: ['encoder'], checkpointEvery: 1, steps: 4, accumulate: 2 })
  const whole = await train(join(folder, 'whole'), config)
  const ended = new AbortController()
  const onStep = ({ step }: { step: number }) => step === 2 && ended.abort()
  await train(join(folder, 'part'), config, { onStep, signal: ended.signal })
  const part = await resumeTraining(join(folder, 'part'))
  assert.deepEqual(await outcome(part.folder, 4), await outcome(whole.folder, 4))
  const encoder = async (run: string, step: number) =>
    [...(await weightsAt(run, step))].filter(([name]) => name.startsWith('encoder.'))
  assert.deepEqual(await encoder(part.folder, 4), await encoder(from, 2))
})

test('larger images and a new pooler: positions are interpolated, and the pooler must be listed in fresh', async t => {
  const folder = await temporary(t)
  const data = await pictures(folder)
  const first = await train(join(folder, 'first'), tinyConfig(data, { steps: 2 }))
  const larger = { model: { image: { size: 16 }, pooler: { queries: 2 } }, freeze: ['encoder.positions'] }
  await assert.rejects(
    train(join(folder, 'refused'), await finetuned(first.folder, data, larger)),
    /generativePooler\.queries is \[3, 8\] there, but \[2, 8\] here.*fresh/,
  )
  const config = await finetuned(first.folder, data, { ...larger, fresh: ['generativePooler', 'contrastivePooler'] })
  const second = await train(join(folder, 'second'), config)
  const [from, to] = [await weightsAt(first.folder, 2), await weightsAt(second.folder, 3)]
  const grid = fromData(Float32Array.from(from.get('encoder.positions')!), [4, 8])
  assert.deepEqual(to.get('encoder.positions'), [...resizeGrid(grid, 2, 4).dataSync()])
})

test("a run starts from a checkpoint in OpenCLIP's format, and a step in parts equals a whole step", async t => {
  const folder = await temporary(t)
  const data = await pictures(folder)
  const shape = {
    image: { size: 8, patch: 4, width: 8, layers: 1, heads: 2, classToken: true, inputNorm: true, patchBias: false },
    text: {
      ...{ vocabulary: 64, context: 6, width: 8, heads: 2, unimodalLayers: 1, multimodalLayers: 1, pad: 0 },
      ...{ padMask: 'unimodalLate', padIsWord: true, classPosition: 'next' },
      multimodal: { memoryNorm: true, selfMlp: true, outputBias: false },
    },
    pooler: { arrangement: 'shared', queries: 3, heads: 2, queryNorm: true },
    embedding: 8,
  }
  const {
    model,
    tokenizer,
    folder: made,
  } = await train(join(folder, 'made'), tinyConfig(data, { steps: 1, model: shape }))
  await saveOpenClip(join(folder, 'released'), { model })
  const words = join(made, 'tokenizer.json')
  const released = await openModel(join(folder, 'released'), { tokenizer: words })
  assert.deepEqual(released.tokenizer.toJSON(), tokenizer.toJSON())
  const settings = { tokenizer: words, steps: 1 }
  const [whole, parts] = await Promise.all([
    finetuned(join(folder, 'released'), data, settings),
    finetuned(join(folder, 'released'), data, { ...settings, accumulate: 3 }),
  ])
  await train(join(folder, 'whole'), whole)
  await train(join(folder, 'parts'), parts)
  const [a, b] = [await weightsAt(join(folder, 'whole'), 1), await weightsAt(join(folder, 'parts'), 1)]
  for (const [name, values] of a)
    for (const [i, x] of values.entries())
      assert.ok(Math.abs(x - b.get(name)![i]) < 3e-4, `${name} at ${i}: ${x} and ${b.get(name)![i]}`)
})

test('errors name parts that do not exist, and no folder is left', async t => {
  const folder = await temporary(t)
  const data = await pictures(folder)
  const { folder: from } = await train(join(folder, 'first'), tinyConfig(data, { steps: 1 }))
  await assert.rejects(openModel(join(folder, 'nowhere')), /nowhere/)
  await assert.rejects(
    train(join(folder, 'second'), await finetuned(from, data, { freeze: ['tower'] })),
    /freeze: 'tower' matches nothing/,
  )
  await assert.rejects(openRun(join(folder, 'second')), /second/)
  assert.equal(existsSync(join(folder, 'second')), false)
  assert.throws(() => tinyConfig(data, { fresh: ['encoder'] }), RunConfigError)
})
