// Learning rates of parts in runs.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { examineRun } from '../../src/doctor/index.ts'
import {
  checkRunConfig,
  listCheckpoints,
  openRun,
  RunConfigError,
  readMetrics,
  resumeTraining,
  type StepMetrics,
  train,
} from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { values } from '../support.ts'
import { outcome, pictures, tinyConfig, tinyJson } from './tiny.ts'

let folder: string
let data: string
before(async t => {
  folder = await temporaryFolder(t as never)
  data = await pictures(folder)
})

const sgd = (others: object) => ({ name: 'sgd', learningRate: 0.01, ...others })
const short = { steps: 1, warmup: 0, schedule: 'constant', clipNorm: null, weightDecay: undefined }

test('the first step of a part is exactly that of a run with its learning rate', async () => {
  const { weightDecay: _, ...settings } = short
  const runOf = async (name: string, optimizer: object) => {
    await train(join(folder, name), tinyConfig(data, { ...settings, optimizer: sgd(optimizer) }))
    return (await openRun(join(folder, name))).model
  }
  const mixed = await runOf('mixed', { rates: { encoder: 0.25, 'encoder.positions': 0.5 } })
  const quarter = await runOf('quarter', { learningRate: 0.0025 })
  const half = await runOf('half', { learningRate: 0.005 })
  const whole = await runOf('same', {})
  const weight = 'encoder.blocks.0.attention.query.weight'
  const of = (model: typeof mixed, name: string) => values(new Map(model.namedParameters()).get(name)!)
  assert.deepEqual(of(mixed, weight), of(quarter, weight))
  assert.deepEqual(of(mixed, 'encoder.positions'), of(half, 'encoder.positions'))
  assert.deepEqual(of(mixed, 'imageProjection.weight'), of(whole, 'imageProjection.weight'))
  assert.notDeepEqual(of(mixed, weight), of(whole, weight))
})

test('a run with factors is resumed bit for bit, and its metrics and the doctor show them', async () => {
  const optimizer = { rates: { logScale: 2 }, layerDecay: 0.5 }
  const config = tinyConfig(data, { steps: 6, optimizer, warmup: 0, ema: 0.9 })
  const whole = await train(join(folder, 'whole'), config)
  const parts = join(folder, 'parts')
  const stop = new AbortController()
  await train(parts, config, { signal: stop.signal, onStep: ({ step }) => step === 2 && stop.abort() })
  await resumeTraining(parts)
  assert.deepEqual(await outcome(parts, 6), await outcome(whole.folder, 6))
  const [first] = (await readMetrics(parts)).filter((line): line is StepMetrics => line.kind === 'step')
  const { learningRate } = first
  assert.deepEqual(first.learningRates, { lowest: 0.25 * learningRate, highest: 2 * learningRate })
  const { looked } = await examineRun(parts)
  assert.match(looked.optimizer!, /, with 0.25 to 2 times the learning rate$/)
  const plain = (await readMetrics(join(folder, 'same')))[0]
  assert.equal('learningRates' in plain, false)
})

test('factors that cannot be are errors of the configuration, before anything is written', async () => {
  const problem = (optimizer: object) => {
    try {
      checkRunConfig(tinyJson(data, { optimizer }))
    } catch (error) {
      assert.ok(error instanceof RunConfigError)
      return error.problems.map(({ field, reason }) => `${field}: ${reason}`).join()
    }
    return assert.fail('no error')
  }
  assert.equal(problem({ rates: { encoder: 0 } }), 'optimizer.rates.encoder: must be above 0, not 0')
  assert.match(problem({ rates: { encoder: '1' } }), /^optimizer.rates.encoder: must be a number above 0/)
  assert.match(problem({ rates: 3 }), /^optimizer.rates: must be an object of factors by part, not 3/)
  assert.equal(problem({ layerDecay: 0 }), 'optimizer.layerDecay: must be above 0, not 0')
  assert.equal(problem({ layerDecay: 2 }), 'optimizer.layerDecay: must be at most 1, not 2')
  const wrong = train(join(folder, 'wrong'), tinyConfig(data, { optimizer: { rates: { head: 0.1 } } }))
  await assert.rejects(
    wrong,
    (error: unknown) =>
      error instanceof RunConfigError && /^optimizer.rates.head: matches nothing in this model/.test(error.message),
  )
  await assert.rejects(listCheckpoints(join(folder, 'wrong')).then(steps => assert.ok(steps.length > 0)))
})
