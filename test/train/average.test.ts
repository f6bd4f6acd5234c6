// The average of the weights in runs and in `fit`: evaluations use it, checkpoints keep it, and runs open with it.

import assert from 'node:assert/strict'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { examineRun } from '../../src/doctor/index.ts'
import { DataError, readSafetensors } from '../../src/io/index.ts'
import { Linear } from '../../src/nn/index.ts'
import { ExponentialMovingAverage, SGD } from '../../src/optim/index.ts'
import { seed, tensor } from '../../src/tensor/index.ts'
import {
  CheckpointError,
  checkRunConfig,
  type EvaluationMetrics,
  fit,
  type MetricsLine,
  openModel,
  openRun,
  RunConfigError,
  RunError,
  readMetrics,
  resumeTraining,
  type TrainResult,
  train,
} from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { assertCloseNumbers, values } from '../support.ts'
import { outcome, pictures, tinyConfig, tinyJson } from './tiny.ts'

let folder: string
let data: string
let whole: TrainResult<'coca'>
const averaged = { ema: 0.8, steps: 6, checkpointEvery: 2, keepLast: 9, evaluateEvery: 3, freeze: ['encoder.patches'] }

before(async t => {
  folder = await temporaryFolder(t as never)
  data = await pictures(folder)
  whole = await train(join(folder, 'whole'), tinyConfig(data, averaged))
})

const bytes = (run: string, step: number, file: string) =>
  readFile(join(run, 'checkpoints', `step-${String(step).padStart(6, '0')}`, file))

test('an average changes nothing about the training', async () => {
  const plain = await train(join(folder, 'plain'), tinyConfig(data, { ...averaged, ema: undefined }))
  for (const file of ['model.safetensors', 'optimizer.safetensors'])
    assert.deepEqual(await bytes(whole.folder, 6, file), await bytes(plain.folder, 6, file), file)
  assert.deepEqual((await readdir(plain.checkpoint)).sort(), [
    'model.safetensors',
    'optimizer.safetensors',
    'state.json',
  ])
})

test('the average of a run is that of the weights after each step', async () => {
  const every = await train(join(folder, 'every'), tinyConfig(data, { ...averaged, checkpointEvery: 1 }))
  const steps = await Promise.all(
    [1, 2, 3, 4, 5, 6].map(step => openRun(every.folder, { step, weights: 'last' }).then(({ model }) => model)),
  )
  const name = 'imageProjection.weight'
  const weights = steps.map(model => values(model.imageProjection.weight))
  const first = (await readSafetensors(join(every.folder, 'checkpoints', 'step-000001', 'average.safetensors'))).tensors
  // after one update θ̄ = θ₀ / 10 + 9 θ₁ / 10, then (1 + n) / (10 + n)
  let mean = [...(first.get(name)!.data as Float32Array)]
  for (let n = 1; n < 6; n++) {
    const kept = Math.min(0.8, (1 + n) / (10 + n))
    mean = mean.map((x, i) => kept * x + (1 - kept) * weights[n][i])
  }
  assertCloseNumbers(values((await openRun(every.folder)).model.imageProjection.weight), mean, 1e-6)
})

test('a run with an average is resumed bit for bit', async () => {
  const parts = join(folder, 'parts')
  const stop = new AbortController()
  const onStep = ({ step }: { step: number }) => step === 3 && stop.abort()
  await train(parts, tinyConfig(data, averaged), { signal: stop.signal, onStep })
  assert.equal((await resumeTraining(parts)).step, 6)
  assert.deepEqual(await outcome(parts, 6), await outcome(whole.folder, 6))
  assert.deepEqual(await bytes(parts, 6, 'average.safetensors'), await bytes(whole.folder, 6, 'average.safetensors'))
  await resumeTraining(parts, { step: 2 })
  assert.deepEqual(await bytes(parts, 6, 'average.safetensors'), await bytes(whole.folder, 6, 'average.safetensors'))
})

test('a run opens with its average, or with its last weights', async () => {
  const opened = await openRun(whole.folder)
  const last = await openRun(whole.folder, { weights: 'last' })
  assert.deepEqual([opened.weights, last.weights, whole.weights], ['average', 'last', 'average'])
  const weightOf = ({ model }: typeof opened) => values(model.imageProjection.weight)
  assert.deepEqual(weightOf(opened), weightOf(whole))
  assert.notDeepEqual(weightOf(opened), weightOf(last))
  const { tensors } = await readSafetensors(join(whole.checkpoint, 'average.safetensors'))
  assert.deepEqual(weightOf(opened), [...(tensors.get('imageProjection.weight')!.data as Float32Array)])
  // frozen parameters have one value
  assert.equal(tensors.has('encoder.patches.projection.weight'), false)
  assert.deepEqual(
    opened.model.encoder.patches.parameters().map(values),
    last.model.encoder.patches.parameters().map(values),
  )
  assert.deepEqual(
    weightOf((await openModel(whole.folder, { weights: 'last' })) as unknown as typeof opened),
    weightOf(last),
  )
  assert.deepEqual(weightOf((await openModel(whole.folder)) as unknown as typeof opened), weightOf(opened))
  const scale = values(opened.model.logScale)[0]
  assert.ok(scale >= 0 && scale <= Math.fround(Math.log(100)))
})

test('evaluations use the average, and say so', async () => {
  const evaluations = (lines: readonly MetricsLine[]) =>
    lines.filter((line): line is EvaluationMetrics => line.kind === 'evaluation')
  const run = join(folder, 'watched')
  const seen: number[][] = []
  const trained = await train(run, tinyConfig(data, averaged), {
    async evaluate({ model }) {
      seen.push(values((model as typeof whole.model).imageProjection.weight))
      return { loss: 1 }
    },
  })
  assert.deepEqual(seen.at(-1), values(trained.model.imageProjection.weight))
  assert.notDeepEqual(seen.at(-1), values((await openRun(run, { weights: 'last' })).model.imageProjection.weight))
  assert.deepEqual(
    evaluations(await readMetrics(whole.folder)).map(({ step, weights }) => [step, weights]),
    [
      [3, 'average'],
      [6, 'average'],
    ],
  )
  const plain = evaluations(await readMetrics(join(folder, 'plain')))
  assert.deepEqual(
    plain.map(line => 'weights' in line),
    [false, false],
  )
  assert.notEqual(plain[1].values.loss, evaluations(await readMetrics(whole.folder))[1].values.loss)
})

test('the doctor examines the last weights of a run with an average', async () => {
  const { ok, findings } = await examineRun(whole.folder)
  assert.equal(ok, true, JSON.stringify(findings))
})

test('an average that is missing is an error that says so', async () => {
  await assert.rejects(openRun(join(folder, 'plain'), { weights: 'average' }), (error: unknown) => {
    assert.ok(error instanceof RunError)
    assert.match(error.message, /has no averages of the weights: the run was trained without ema/)
    return true
  })
  await assert.rejects(openModel(join(folder, 'nothing'), { weights: 'average' }), DataError)
  const run = join(folder, 'damaged')
  const { checkpoint } = await train(run, tinyConfig(data, { ...averaged, steps: 2 }))
  const config = join(run, 'config.json')
  const { ema, ...others } = JSON.parse(await readFile(config, 'utf8'))
  await writeFile(config, JSON.stringify(others))
  await assert.rejects(resumeTraining(run, { steps: 4 }), /has an average of the weights, which would be lost/)
  await writeFile(config, JSON.stringify({ ...others, ema }))
  await rm(join(checkpoint, 'average.safetensors'))
  await assert.rejects(resumeTraining(run, { steps: 4 }), /average\.safetensors: does not exist/)
  const state = JSON.parse(await readFile(join(checkpoint, 'state.json'), 'utf8'))
  await writeFile(join(checkpoint, 'state.json'), JSON.stringify({ ...state, average: undefined }))
  await assert.rejects(
    resumeTraining(run, { steps: 4 }),
    (error: unknown) =>
      error instanceof CheckpointError && /has no average of the weights, which ema/.test(error.message),
  )
})

test('a decay that cannot be is an error of the configuration', () => {
  for (const ema of [0, 1, -1, '0.9', null])
    assert.throws(
      () => checkRunConfig(tinyJson(data, { ema })),
      (error: unknown) => error instanceof RunConfigError && error.problems[0].field === 'ema',
    )
})

test('fit keeps an average, evaluates with it, and resumes with it', async t => {
  const own = await temporaryFolder(t)
  const x = tensor([[1, 1], [1, -1], [-1, 1], [-1, -1]]) // biome-ignore format: a table
  const y = tensor([[1.5], [3.5], [-2.5], [-0.5]])
  const start = (folder: string | undefined, steps: number, others = {}) => {
    seed(1)
    const model = new Linear(2, 1)
    const average = new ExponentialMovingAverage(model, { decay: 0.9 })
    const seen: number[][] = []
    const objective = {
      model,
      loss: (batch: { x: typeof x; y: typeof y }) => model.forward(batch.x).sub(batch.y).square().mean(),
      evaluate: async () => {
        seen.push(values(model.weight))
        return { loss: 0 }
      },
    }
    const optimizer = new SGD(model, { learningRate: 0.1 })
    const options = { objective, batches: [{ x, y }], optimizer, average, steps, folder, examples: 1, guard: false }
    return fit({ ...options, ...others }).then(({ metrics }) => ({ model, average, seen, metrics }))
  }
  const a = await start(undefined, 8)
  assert.deepEqual(
    a.seen[0],
    a.average.within(() => values(a.model.weight)),
  )
  assert.notDeepEqual(a.seen[0], values(a.model.weight))
  assert.equal(a.metrics.find((line): line is EvaluationMetrics => line.kind === 'evaluation')?.weights, 'average')
  const folder = join(own, 'fit')
  await start(folder, 3)
  const b = await start(folder, 8)
  assert.deepEqual([values(b.model.weight), b.average.updates], [values(a.model.weight), 8])
  assert.deepEqual(b.seen, a.seen)
  await assert.rejects(start(folder, 9, { average: undefined }), /train with the option average, or in a new folder/)
  await assert.rejects(start(undefined, 9, { average: 0.9 }), /new ExponentialMovingAverage\(model\)/)
})
