import assert from 'node:assert/strict'
import { cp, mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { trainBytePairs } from '../../src/data/index.ts'
import {
  DataError,
  NonFiniteWeightsError,
  readSafetensors,
  SafetensorsError,
  type SafetensorsTensor,
  writeSafetensors,
} from '../../src/io/index.ts'
import { AdamW } from '../../src/optim/index.ts'
import { device, Generator, randn, tensor } from '../../src/tensor/index.ts'
import {
  CheckpointError,
  listCheckpoints,
  openRun,
  openRunData,
  RunConfigError,
  RunError,
  readMetrics,
  resumeTraining,
  TrainingError,
  type TrainResult,
  train,
} from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { values } from '../support.ts'
import { pictures, tinyConfig, tinyModel } from './tiny.ts'

let trained: TrainResult<'coca'>

before(async t => {
  const folder = await temporaryFolder(t as never)
  trained = await train(join(folder, 'run'), tinyConfig(await pictures(folder), { steps: 4, checkpointEvery: 2 }))
})

/** A copy of the run, to be damaged. */
async function copyOfRun(t: Parameters<typeof temporaryFolder>[0]): Promise<string> {
  const run = join(await temporaryFolder(t), 'run')
  await cp(trained.folder, run, { recursive: true })
  return run
}

/** Fails unless the promise is rejected with an error of the data, whose message has these parts. */
const refused = (promise: Promise<unknown>, type: new (...args: never[]) => DataError, ...parts: (string | RegExp)[]) =>
  assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof type, String(error))
    for (const part of parts)
      assert.ok(typeof part === 'string' ? error.message.includes(part) : part.test(error.message), error.message)
    return true
  })

test('an opened run computes the same as the trained model', async () => {
  const run = await openRun(trained.folder)
  assert.deepEqual([run.step, run.checkpoint, run.config], [4, trained.checkpoint, trained.config])
  assert.equal(run.model.training, false)
  assert.deepEqual(run.tokenizer.toJSON(), trained.tokenizer.toJSON())
  const images = randn([2, 3, 8, 8], { generator: new Generator(1) })
  assert.deepEqual(values(run.model.encodeImage(images)), values(trained.model.encodeImage(images)))
})

test('a run uses the tokenizer of a file, saves it, and resumes with it', async t => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'pairs.json')
  const bytePairs = trainBytePairs(['a small red circle', 'a large blue square'], { vocabularySize: 280 })
  await writeFile(file, JSON.stringify(bytePairs))
  const run = join(folder, 'run')
  const config = tinyConfig(await pictures(folder), { tokenizer: file, steps: 2, truncateCaptions: true })
  const first = await train(run, config)
  assert.equal(first.model.config.text.vocabulary, bytePairs.vocabularySize)
  await rm(file)
  const { tokenizer, step } = await resumeTraining(run, { steps: 3, family: 'coca' })
  assert.deepEqual([tokenizer.encode('a red star'), step], [bytePairs.encode('a red star'), 3])
  await refused(train(join(folder, 'other'), config), DataError, 'pairs.json', 'does not exist')
})

test('opening a run draws no random numbers', async () => {
  const { defaultGenerator } = await import('../../src/tensor/index.ts')
  const { position } = defaultGenerator().state
  await openRun(trained.folder)
  assert.equal(defaultGenerator().state.position, position)
})

test('an earlier checkpoint can be opened, and the error for a missing one lists those that exist', async () => {
  assert.deepEqual(await listCheckpoints(trained.folder), [2, 4])
  const earlier = await openRun(trained.folder, { step: 2 })
  assert.equal(earlier.step, 2)
  assert.notDeepEqual(values(earlier.model.unimodal.classToken!), values(trained.model.unimodal.classToken!))
  await refused(openRun(trained.folder, { step: 3 }), RunError, 'has no checkpoint of step 3: there are 2, 4')
  await refused(resumeTraining(trained.folder, { step: 3 }), RunError, 'has no checkpoint of step 3: there are 2, 4')
})

test('the images of a run are split as they were in training', async () => {
  const [one, two] = [await openRunData(trained), await openRunData(await openRun(trained.folder))]
  assert.equal(one.train.fingerprint, two.train.fingerprint)
  assert.equal(one.validation?.fingerprint, two.validation?.fingerprint)
  assert.deepEqual([one.train.length, one.validation?.length], [15, 5])
})

test('opening a folder that is missing or not a run throws RunError', async t => {
  const folder = await temporaryFolder(t)
  await refused(openRun(join(folder, 'nothing')), RunError, 'nothing: is not a run: it has no config.json')
  await writeFile(join(folder, 'config.json'), '{}')
  await refused(openRun(folder), RunError, 'is not a run: it has no tokenizer.json')
  await refused(resumeTraining(folder), RunError, 'is not a run')
})

test('opening a run without a checkpoint throws, and resuming it starts at step 0', async t => {
  const run = await copyOfRun(t)
  await rm(join(run, 'checkpoints'), { recursive: true })
  await refused(openRun(run), RunError, 'has no checkpoint yet')
  const again = await resumeTraining(run)
  assert.deepEqual(
    await readFile(join(again.checkpoint, 'model.safetensors')),
    await readFile(join(trained.checkpoint, 'model.safetensors')),
  )
  assert.equal((await readMetrics(run)).length, 5)
})

test('an unfinished checkpoint is ignored, and resuming removes it', async t => {
  const run = await copyOfRun(t)
  const unfinished = join(run, 'checkpoints', 'step-000006.00ff.tmp')
  await mkdir(unfinished)
  assert.deepEqual(await listCheckpoints(run), [2, 4])
  await resumeTraining(run)
  await assert.rejects(readFile(unfinished), { code: 'ENOENT' })
})

test('errors name damaged files and the damage', async t => {
  const run = await copyOfRun(t)
  const checkpoint = join(run, 'checkpoints', 'step-000004')
  await truncate(join(checkpoint, 'model.safetensors'), 3000)
  await refused(openRun(run), SafetensorsError, join(checkpoint, 'model.safetensors'))
  await rm(join(checkpoint, 'model.safetensors'))
  await refused(openRun(run), DataError, 'model.safetensors: does not exist')
  await writeFile(join(checkpoint, 'state.json'), '{"version":2,"step":4}')
  await refused(resumeTraining(run), CheckpointError, 'state.json: version')
  await writeFile(join(run, 'tokenizer.json'), '{"type":"words"}')
  await refused(openRun(run), DataError, 'tokenizer.json: lowerCase')
})

test('the error for a checkpoint of another shape names the parameter and both shapes', async t => {
  const run = await copyOfRun(t)
  const file = join(run, 'config.json')
  const config = JSON.parse(await readFile(file, 'utf8'))
  config.model.embedding = 6
  await writeFile(file, JSON.stringify(config))
  await refused(
    openRun(run),
    CheckpointError,
    'model.safetensors',
    'imageProjection.weight is [6, 8] here and [8, 8] there',
  )
  config.model.embedding = 8
  config.optimizer.name = 'adafactor'
  await writeFile(file, JSON.stringify(config))
  await refused(
    resumeTraining(run),
    CheckpointError,
    'optimizer.safetensors',
    'state of AdamW, but this optimizer is Adafactor',
  )
  config.model.text.vocabulary = 9
  await writeFile(file, JSON.stringify(config))
  await refused(openRun(run), RunError, 'tokenizer.json', /ids, but model\.text\.vocabulary in config\.json is 9/)
})

/** Changes the tensors of the last checkpoint's model or optimizer. */
async function change(
  run: string,
  file: string,
  f: (tensors: Map<string, SafetensorsTensor>) => void,
): Promise<string> {
  const path = join(run, 'checkpoints', 'step-000004', file)
  const { tensors } = await readSafetensors(path)
  f(tensors)
  await writeSafetensors(path, tensors)
  return path
}

test('weights and moments that are not finite throw an error with the file, the tensors and advice', async t => {
  const run = await copyOfRun(t)
  const spoil = (name: string, value: number) => (tensors: Map<string, SafetensorsTensor>) => {
    tensors.get(name)!.data[1] = value
  }
  const moments = await change(run, 'optimizer.safetensors', spoil('secondMoment.encoder.positions', Infinity))
  await openRun(run)
  await refused(
    resumeTraining(run, { steps: 6 }),
    NonFiniteWeightsError,
    `${moments}: 1 of 198 tensors has values that are not finite: secondMoment.encoder.positions [4, 8] has Infinity at 1`,
    `Use an earlier checkpoint: --step N, or remove ${join(run, 'checkpoints', 'step-000004')} before you resume`,
    `cocagrad doctor ${run}`,
  )
  const weights = await change(run, 'model.safetensors', spoil('encoder.positions', Number.NaN))
  const opened = openRun(run).then(({ model }) => model.parameters().map(each => each.load()))
  for (const opening of [opened, resumeTraining(run, { steps: 6 })])
    await refused(
      opening,
      NonFiniteWeightsError,
      `${weights}: 1 of 99 tensors`,
      'encoder.positions [4, 8] has NaN at 1',
    )
  assert.equal((await openRun(run, { step: 2 })).step, 2)
  assert.equal((await resumeTraining(run, { step: 2, steps: 3 })).step, 3)
})

test('weights in integers or in a dtype that the device does not support throw', async t => {
  const run = await copyOfRun(t)
  const as = (tensor: SafetensorsTensor) => (tensors: Map<string, SafetensorsTensor>) =>
    void tensors.set('unimodal.norm.bias', tensor)
  await change(run, 'model.safetensors', as({ dtype: 'I32', shape: [8], data: new Int32Array(8) }))
  await refused(
    openRun(run),
    CheckpointError,
    'model.safetensors',
    'unimodal.norm.bias is float32 here and int32 there',
  )
  await change(run, 'model.safetensors', as({ dtype: 'BOOL', shape: [8], data: new Uint8Array(8) }))
  await refused(openRun(run), CheckpointError, 'model.safetensors', 'unimodal.norm.bias is float32 here and bool there')
  await change(run, 'model.safetensors', as({ dtype: 'F64', shape: [8], data: new Float64Array(8) }))
  await device.use('gpu', { backend: 'cpu' })
  t.after(() => device.use('reference'))
  await refused(
    openRun(run),
    CheckpointError,
    "model.safetensors: tensor 'unimodal.norm.bias' is F64, but device gpu supports float32, int32, bool",
  )
  await device.use('cpu')
  const { model } = await openRun(run)
  assert.equal(model.stateDict().get('unimodal.norm.bias')!.dtype, 'float64')
})

test('moments that are not finite are not saved', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { steps: 2, checkpointEvery: 1 })
  const { stateDict } = AdamW.prototype
  t.mock.method(AdamW.prototype, 'stateDict', function (this: AdamW) {
    const state = stateDict.call(this)
    return { ...state, tensors: new Map([...state.tensors, ['firstMoment.logScale', tensor(Number.NaN)]]) }
  })
  await assert.rejects(
    train(join(folder, 'run'), config),
    (error: unknown) =>
      error instanceof TrainingError &&
      error.message ===
        'step 1: values are not finite, first in the moment firstMoment.logScale\n  moment firstMoment.logScale [] has NaN at 0',
  )
  assert.deepEqual(await listCheckpoints(join(folder, 'run')), [])
})

test('the error for damaged metrics names the line', async t => {
  const run = await copyOfRun(t)
  await writeFile(join(run, 'metrics.jsonl'), '{"kind":"step","step":1}\nwhat\n')
  await refused(readMetrics(run), DataError, 'metrics.jsonl:2: is not JSON')
})

test('a vocabulary that is too small for the captions is an error that says what to write', async t => {
  const folder = await temporaryFolder(t)
  const model = { ...tinyModel, text: { ...tinyModel.text, vocabulary: 9 } }
  const config = tinyConfig(await pictures(folder), { model })
  await refused(
    train(join(folder, 'run'), config),
    RunConfigError,
    /model\.text\.vocabulary: must be at least (\d+), for the \d+ words .* not 9; write .*"vocabulary": \1\}/,
  )
})
