import assert from 'node:assert/strict'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { GradientError } from '../../src/autograd/index.ts'
import { equalRows } from '../../src/evaluate/inputs.ts'
import { LockedError } from '../../src/io/index.ts'

import type { CoCa, CoCaLoss } from '../../src/models/index.ts'
import { fromData, Generator, rand } from '../../src/tensor/index.ts'
import { augmentation } from '../../src/train/augment.ts'
import {
  listCheckpoints,
  openRun,
  RunError,
  readMetrics,
  resumeTraining,
  type StepMetrics,
  TrainingError,
  train,
} from '../../src/train/index.ts'

import { optimizerFor, scheduleFor } from '../../src/train/setup.ts'
import { temporaryFolder } from '../data/folder.ts'
import { outcome, pictures, tinyConfig, tinyModel } from './tiny.ts'

const everything = {
  evaluateEvery: 4,
  evaluationExamples: 3,
  model: { ...tinyModel, dropout: 0.2 },
  augment: { flip: true, shift: 1, brightness: 0.2 },
}

test('a resumed run computes the same weights as an uninterrupted one', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), everything)
  const whole = await train(join(folder, 'whole'), config)
  assert.equal(whole.finished, true)
  const parts = join(folder, 'parts')
  const stop = new AbortController()
  const stopped = await train(parts, config, {
    signal: stop.signal,
    onStep: ({ step }) => step === 7 && stop.abort(),
  })
  assert.deepEqual([stopped.finished, stopped.step], [false, 7])
  rand([5]) // whoever draws in between changes nothing
  const resumed = await resumeTraining(parts)
  assert.deepEqual([resumed.finished, resumed.step], [true, 12])
  assert.deepEqual(await outcome(parts, 12), await outcome(whole.folder, 12))
})

test('a second process cannot train a run that is being trained', async t => {
  const folder = await temporaryFolder(t)
  const run = join(folder, 'run')
  const refused: Promise<unknown>[] = []
  const onStep = ({ step }: { step: number }) =>
    step === 2 && refused.push(assert.rejects(resumeTraining(run), LockedError))
  await train(run, tinyConfig(await pictures(folder), { steps: 4 }), { onStep })
  assert.equal(refused.length, 1)
  await refused[0]
  assert.deepEqual(
    (await readMetrics(run)).filter(({ kind }) => kind === 'step').map(({ step }) => step),
    [1, 2, 3, 4],
  )
  assert.deepEqual(
    (await readdir(run)).filter(name => name.endsWith('.lock')),
    [],
  )
})

test('resuming from an earlier checkpoint removes the later ones and computes them again', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { optimizer: { name: 'adafactor' } })
  const run = join(folder, 'run')
  await train(run, config)
  const once = await outcome(run, 12)
  const seen: number[] = []
  await resumeTraining(run, { step: 6, onStart: ({ step }) => seen.push(step), onStep: ({ step }) => seen.push(step) })
  assert.deepEqual(seen, [6, 7, 8, 9, 10, 11, 12])
  assert.deepEqual(await outcome(run, 12), once)
})

test('a run can be extended, and resuming a finished one changes nothing', async t => {
  const folder = await temporaryFolder(t)
  const run = join(folder, 'run')
  await train(run, tinyConfig(await pictures(folder), { steps: 2, schedule: 'constant' }))
  const same = await resumeTraining(run, { onStep: () => assert.fail('there is nothing to do') })
  assert.deepEqual([same.step, same.finished], [2, true])
  const longer = await resumeTraining(run, { steps: 4 })
  assert.deepEqual([longer.step, longer.config.steps, (await openRun(run)).config.steps], [4, 4, 4])
  assert.deepEqual(
    (await readMetrics(run)).filter(({ kind }) => kind === 'step').map(({ step }) => step),
    [1, 2, 3, 4],
  )
})

test('only the last checkpoints are kept, and no unfinished ones', async t => {
  const folder = await temporaryFolder(t)
  const run = join(folder, 'run')
  await train(run, tinyConfig(await pictures(folder), { keepLast: 2, checkpointEvery: 2, steps: 7 }))
  assert.deepEqual(await listCheckpoints(run), [6, 7])
  assert.deepEqual(await readdir(join(run, 'checkpoints')), ['step-000006', 'step-000007'])
  const files = ['config.json', 'metrics.jsonl', 'provenance.jsonl', 'tokenizer.json']
  assert.deepEqual((await readdir(run)).sort(), ['checkpoints', ...files])
})

test('resuming truncates the metrics to the checkpoint, including an incomplete line', async t => {
  const folder = await temporaryFolder(t)
  const run = join(folder, 'run')
  await train(run, tinyConfig(await pictures(folder), { validation: 0 }))
  const file = join(run, 'metrics.jsonl')
  await writeFile(file, `${await readFile(file, 'utf8')}{"kind":"step","step":13,"lo`)
  assert.equal((await readMetrics(run)).length, 12)
  let before = 0
  const stop = new AbortController()
  stop.abort()
  await resumeTraining(run, {
    step: 9,
    signal: stop.signal,
    onStart: () => {
      before++
    },
  })
  assert.equal(before, 1)
  const lines = (await readFile(file, 'utf8')).split('\n')
  assert.equal(lines.length, 10)
  assert.deepEqual(await listCheckpoints(run), [6, 9])
})

test('metrics describe each step', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { steps: 6, warmup: 2, validation: 0, clipNorm: null })
  const { folder: run } = await train(join(folder, 'run'), config)
  const metrics = await readMetrics(run)
  const schedule = scheduleFor(config, 6)
  metrics.forEach((line, i) => {
    assert.equal(line.kind, 'step')
    if (line.kind !== 'step') return
    assert.deepEqual([line.step, line.epoch, line.learningRate], [i + 1, i < 6 ? 0 : 1, schedule(i)])
    const { total, contrastive, captioning } = line.losses
    assert.ok(Math.abs(total - (contrastive + 2 * captioning)) < 1e-5)
    assert.ok(line.gradientNorm > 0 && line.measures.scale > 1 && line.seconds > 0)
    assert.ok(Math.abs(line.examplesPerSecond! * line.seconds - 3) < 1e-9)
  })
  assert.ok(Math.abs((metrics[0] as StepMetrics).measures.scale - 1 / 0.07) < 1e-4)
})

test('epochs are converted to steps', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { steps: undefined, epochs: 2, batchSize: 7, validation: 0.3 })
  const epochs: number[] = []
  const { step } = await train(join(folder, 'run'), config, { onStep: ({ epoch }) => epochs.push(epoch!) })
  assert.equal(step, 4)
  assert.deepEqual(epochs, [0, 0, 1, 1])
})

test('training memorizes a few pictures', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder, 4), {
    steps: 70,
    batchSize: 4,
    validation: 0,
    optimizer: { learningRate: 1e-2 },
    checkpointEvery: 1000,
  })
  const { folder: run } = await train(join(folder, 'run'), config)
  const metrics = await readMetrics(run)
  const [first, last] = [0, -1].map(i => (metrics.at(i) as StepMetrics).losses.total)
  assert.ok(last < first / 4, `from ${first} to ${last}`)
})

test('a custom evaluation is recorded and does not affect training', async t => {
  const folder = await temporaryFolder(t)
  const data = await pictures(folder)
  const plain = tinyConfig(data, { validation: 0, steps: 6, model: { ...tinyModel, dropout: 0.2 } })
  await train(join(folder, 'plain'), plain)
  const evaluations: unknown[] = []
  await train(
    join(folder, 'watched'),
    { ...plain, evaluateEvery: 2 },
    {
      evaluate: async ({ step, model }) => {
        assert.equal(model.training, false)
        rand([100])
        return { twice: 2 * step }
      },
      onEvaluation: ({ step, values }) => evaluations.push([step, values.twice]),
    },
  )
  assert.deepEqual(evaluations, [
    [2, 4],
    [4, 8],
    [6, 12],
  ])
  const [a, b] = [await outcome(join(folder, 'plain'), 6), await outcome(join(folder, 'watched'), 6)]
  assert.deepEqual(a.checkpoint, b.checkpoint)
})

test('a value that is not finite stops training before the update, and the error names it', async t => {
  const folder = await temporaryFolder(t)
  const run = join(folder, 'run')
  let model: Awaited<ReturnType<typeof train>>['model'] | undefined
  const poisoned = train(run, tinyConfig(await pictures(folder), { validation: 0 }), {
    onStart: start => {
      model = start.model
    },
    onStep: ({ step }) => {
      if (step !== 4) return
      const { weight } = model!.encoder.blocks[0].mlp.up
      const values = weight.dataSync()
      values[5] = Number.NaN
      weight.assign(fromData(values, weight.shape))
    },
  })
  await assert.rejects(poisoned, (error: unknown) => {
    assert.ok(error instanceof TrainingError)
    assert.equal(error.step, 5)
    const of = (kind: string) => error.findings.filter(finding => finding.kind === kind)
    assert.deepEqual(
      of('parameter').map(({ name, index }) => [name, index]),
      [['encoder.blocks.0.mlp.up.weight', 5]],
    )
    assert.deepEqual(
      of('loss')
        .map(({ name }) => name)
        .sort(),
      ['captioning', 'contrastive', 'total'],
    )
    assert.match(of('activation')[0].name, /at encoder\.blocks\.0\.mlp\.up\.weight$/)
    assert.ok(of('gradient').length > 10)
    assert.match(error.message, /^step 5: values are not finite, first in the parameter encoder\.blocks\.0\.mlp\.up/)
    return true
  })
  assert.deepEqual(await listCheckpoints(run), [3])
  assert.equal((await readMetrics(run)).length, 4)
  const resumed = await resumeTraining(run)
  assert.equal(resumed.finished, true)
})

/** Trains a model whose loss is changed, and returns what the process is warned of. */
async function trainedOn(t: TestContext, change: (loss: CoCaLoss, model: CoCa) => CoCaLoss, accumulate: number) {
  const folder = await temporaryFolder(t)
  const emit = t.mock.method(process, 'emitWarning', () => {})
  const onStart = ({ model }: { model: CoCa }) => {
    const weigh = model.weigh.bind(model)
    model.weigh = (...losses) => change(weigh(...losses), model)
  }
  const steps: number[] = []
  const config = tinyConfig(await pictures(folder), { steps: 3, accumulate })
  const run = train(join(folder, 'run'), config, { onStart, onStep: ({ step }) => steps.push(step) })
  const result = await run.catch((error: unknown) => error)
  const warnings = emit.mock.calls.map(({ arguments: [message] }) => String(message))
  return { result, steps, warnings }
}

for (const accumulate of [1, 2]) {
  const inParts = accumulate === 1 ? '' : ', in parts too'

  test(`a loss that depends on no parameter stops training before its first update${inParts}`, async t => {
    const constant = (loss: CoCaLoss) => ({ ...loss, total: loss.total.stopGradient() })
    const { result, steps } = await trainedOn(t, constant, accumulate)
    assert.ok(result instanceof GradientError, String(result))
    assert.match(result.message, /the loss depends on no trainable parameter of CoCa/)
    assert.deepEqual(steps, [])
  })

  test(`one warning names the parameters that training does not use${inParts}`, async t => {
    const captioningOnly = (loss: CoCaLoss) => ({ ...loss, total: loss.captioning! })
    const { steps, warnings } = await trainedOn(t, captioningOnly, accumulate)
    assert.deepEqual(steps, [1, 2, 3])
    assert.equal(warnings.length, 1)
    assert.match(warnings[0], /does not depend on \d+ of \d+ trainable parameters of CoCa: contrastivePooler\.queries,/)
  })

  test(`without problems there are no warnings${inParts}`, async t => {
    const { steps, warnings } = await trainedOn(t, loss => loss, accumulate)
    assert.deepEqual([steps, warnings], [[1, 2, 3], []])
  })
}

test('parameters that are not finite are never saved in a checkpoint', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { validation: 0, steps: 1 })
  let poison = () => {}
  const poisoned = train(join(folder, 'run'), config, {
    onStart: ({ model }) => {
      poison = () => model.logScale.assign(fromData(Float32Array.of(Number.POSITIVE_INFINITY), []))
    },
    onStep: () => poison(),
  })
  await assert.rejects(poisoned, /parameter logScale \[\] has Infinity at 0/)
  assert.deepEqual(await listCheckpoints(join(folder, 'run')), [])
})

test('a new run needs an empty folder', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder))
  await assert.rejects(train(folder, config), (error: unknown) => {
    assert.ok(error instanceof RunError)
    assert.match(error.message, /is not empty: it contains pictures/)
    return true
  })
  await train(join(folder, 'run'), { ...config, steps: 1 })
  await assert.rejects(train(join(folder, 'run'), config), /already contains a run/)
})

test('resuming with other data throws', async t => {
  const folder = await temporaryFolder(t)
  const data = await pictures(folder)
  const run = join(folder, 'run')
  await train(run, tinyConfig(data, { steps: 2, validation: 0 }))
  const captions = join(data, 'captions.jsonl')
  await writeFile(captions, (await readFile(captions, 'utf8')).replace(/small/, 'large'))
  await assert.rejects(resumeTraining(run, { steps: 4 }), /pictures: the saved state belongs to other data/)
})

test('equal captions are put in different batches, count as positives of each other, or neither', async t => {
  const folder = await temporaryFolder(t)
  const data = await pictures(folder, 8)
  const file = join(data, 'captions.jsonl')
  const lines = (await readFile(file, 'utf8')).trim().split('\n')
  const recaptioned = lines.map((line, i) =>
    JSON.stringify({ file: JSON.parse(line).file, caption: `a ${'bcd'[i % 3]}` }),
  )
  await writeFile(file, recaptioned.join('\n'))
  const trainAs = async (equalCaptions: string, batchSize: number, dropout = 0) => {
    const config = tinyConfig(data, {
      equalCaptions,
      batchSize,
      steps: 1,
      validation: 0,
      model: { ...tinyModel, dropout },
    })
    const { folder: run } = await train(join(folder, `${equalCaptions} ${batchSize} ${dropout}`), config)
    return ((await readMetrics(run))[0] as StepMetrics).losses.contrastive
  }
  // equal texts have equal logits, so whom the targets are shared among makes no difference, unless dropout makes one
  assert.ok(Math.abs((await trainAs('positives', 6)) - (await trainAs('ignore', 6))) < 1e-5)
  assert.ok(Math.abs((await trainAs('positives', 6, 0.2)) - (await trainAs('ignore', 6, 0.2))) > 1e-3)
  await trainAs('distinct', 3)
  await assert.rejects(trainAs('distinct', 4), /8 examples do not fill a batch of 4 with distinct captions/)
  assert.ok(!(await readdir(folder)).some(name => name.startsWith('distinct 4')))
})

test('equal rows of ids get the index of the first', () => {
  assert.deepEqual([...equalRows(Int32Array.of(1, 2, 3, 4, 1, 2, 1, 3), [4, 2])], [0, 1, 0, 3])
})

test('augmentation shifts, mirrors and brightens within bounds, and does nothing by default', () => {
  assert.equal(augmentation({}), undefined)
  const image = Float32Array.from({ length: 27 }, (_, i) => (i % 9) / 9)
  const seen = new Set<string>()
  for (let s = 0; s < 40; s++) {
    const drawn = augmentation({ flip: true, shift: 1 })!(image.slice(), new Generator(s), [3, 3])
    const centre = drawn[4]
    assert.ok(image.includes(centre))
    assert.deepEqual(drawn.subarray(0, 9), drawn.subarray(9, 18))
    seen.add(drawn.subarray(0, 9).join())
  }
  assert.ok(seen.size > 10)
  const mirrored = new Set(
    Array.from({ length: 20 }, (_, s) =>
      augmentation({ flip: true })!(image, new Generator(s), [3, 3]).slice(0, 3).join(),
    ),
  )
  assert.deepEqual(mirrored, new Set([image.slice(0, 3).join(), image.slice(0, 3).reverse().join()]))
  const brighter = augmentation({ brightness: 0.5 })!(image, new Generator(2), [3, 3])
  const factor = brighter[1] / image[1]
  assert.ok(factor > 0.5 && factor < 1.5 && factor !== 1)
  assert.ok(brighter.every((x, i) => x <= 1 && Math.abs(x - Math.min(1, image[i] * factor)) < 1e-6))
})

test('learning rates warm up and decay according to the schedule', () => {
  const config = tinyConfig('x', { warmup: 4, optimizer: { learningRate: 1 } })
  const rates = (schedule: 'constant' | 'linear' | 'cosine') =>
    [0, 3, 4, 8, 11].map(step => scheduleFor({ ...config, schedule }, 12)(step))
  assert.deepEqual(rates('constant'), [0.25, 1, 1, 1, 1])
  assert.deepEqual(rates('linear'), [0.25, 1, 1, 0.5, 0.125])
  assert.ok(Math.abs(rates('cosine')[3] - 0.5) < 1e-12)
  assert.throws(
    () => scheduleFor({ ...config, warmup: 12 }, 12),
    /warmup: must be less than the 12 steps of the run, not 12/,
  )
})

test('the optimizer gets the settings of the configuration, and its own defaults for the rest', async t => {
  const { model } = await train(
    join(await temporaryFolder(t), 'run'),
    tinyConfig(await pictures(await temporaryFolder(t)), { steps: 1 }),
  )
  const made = (optimizer: Record<string, unknown>) => optimizerFor(model, tinyConfig('x', { optimizer }))
  assert.deepEqual(
    [made({}).algorithm, made({ name: 'adafactor' }).algorithm, made({ name: 'sgd', momentum: 0.5 }).algorithm],
    ['AdamW', 'Adafactor', 'SGD'],
  )
  const adamw = made({ betas: [0.8, 0.9], epsilon: 1e-4 }) as unknown as { betas: number[]; epsilon: number }
  assert.deepEqual([adamw.betas, adamw.epsilon], [[0.8, 0.9], 1e-4])
})
