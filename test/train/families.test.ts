// Runs of every family of models: resuming gives the same weights, the gradient in parts equals that of the whole batch and
// agrees with finite differences, and evaluation, freezing, finetuning and the doctor work for each family.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { BatchIterator, writeMovingShapes } from '../../src/data/index.ts'
import { examineKeptBatch, examineRun } from '../../src/doctor/index.ts'
import { BatchError, DataError } from '../../src/io/index.ts'
import { type FamilyName, familyNames, type ImageClassifier } from '../../src/models/index.ts'
import { device } from '../../src/tensor/index.ts'
import {
  batchGradients,
  checkRunConfig,
  evaluateMoment,
  type GuardMetrics,
  InitializationError,
  openRun,
  openRunData,
  openSettings,
  type RunConfig,
  RunConfigError,
  RunError,
  readMetrics,
  resumeTraining,
  type StepMetrics,
  train,
  withOrigin,
} from '../../src/train/index.ts'
import { type Naming, objectiveOf } from '../../src/train/objectives/families.ts'
import { textOptions } from '../../src/train/setup.ts'
import { values } from '../support.ts'
import { outcome, pictures, tinyJson, tinyModel } from './tiny.ts'

const { image, text, pooler, embedding } = tinyModel
const models: Readonly<Record<FamilyName, object>> = {
  coca: tinyModel,
  'dual-encoder': { image, text, embedding },
  captioner: { image, text },
  classifier: { image },
  'video-classifier': { image, frames: 3 },
  'multimodal-classifier': { image, text, pooler, images: 2, loss: { captioning: { weight: 0.5 } } },
}

let folder: string
let data: string
let clips: string
let questions: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cocagrad-families-'))
  data = await pictures(folder)
  clips = join(folder, 'clips')
  await writeMovingShapes({ out: clips, count: 20, frames: 3 })
  questions = join(data, 'questions.jsonl')
  await writeFile(questions, (await pairsIn(data)).map(line => `${JSON.stringify(line)}\n`).join(''))
})

/** Statements about pairs of pictures, some with several labels. */
async function pairsIn(data: string) {
  const lines = (await readFile(join(data, 'captions.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  return lines.map(({ file, caption }, i) => {
    const other = lines[(i + 1) % lines.length]
    const [first, second] = [caption, other.caption].map((text: string) => text.split(' ').at(-1))
    const text = i % 2 === 0 ? `both show a ${first}` : `one ${first}`
    const labels = [i % 2 === 1 || first === second ? 'true' : 'false', ...(i % 5 === 0 ? ['sure'] : [])]
    return { files: [file, other.file], text, labels }
  })
}

const dataOf = (family: FamilyName): string =>
  family === 'video-classifier' ? clips : family === 'multimodal-classifier' ? questions : data
after(() => rm(folder, { recursive: true }))

const configOf = (family: FamilyName, others: Record<string, unknown> = {}): RunConfig =>
  checkRunConfig(tinyJson(dataOf(family), { family, model: models[family], ...others }))

const measured: Readonly<Record<FamilyName, readonly string[]>> = {
  coca: ['loss', 'contrastive', 'captioning', 'imageToTextR1', 'textToImageR1', 'exactCaptions', 'tokenAccuracy'],
  'dual-encoder': ['loss', 'contrastive', 'imageToTextR1', 'textToImageR1'],
  captioner: ['loss', 'captioning', 'exactCaptions', 'tokenAccuracy'],
  classifier: ['loss', 'accuracy'],
  'video-classifier': ['loss', 'accuracy'],
  'multimodal-classifier': ['loss', 'accuracy'],
}
const losses: Readonly<Record<FamilyName, readonly string[]>> = {
  coca: ['total', 'contrastive', 'captioning'],
  'dual-encoder': ['total', 'contrastive'],
  captioner: ['total', 'captioning'],
  classifier: ['total', 'classification'],
  'video-classifier': ['total', 'classification'],
  'multimodal-classifier': ['total', 'classification', 'captioning'],
}

const stepsOf = async (run: string) =>
  (await readMetrics(run)).filter((line): line is StepMetrics => line.kind === 'step')

for (const family of familyNames)
  describe(`a run of a ${family}`, () => {
    const path = (name: string) => join(folder, `${family}-${name}`)
    /** A trained run, which no test changes. */
    let whole: string
    before(async () => {
      whole = (await train(path('whole'), configOf(family, { steps: 6, evaluateEvery: 3 }))).folder
    })

    it('computes the same weights when it is resumed as without the interruption', async () => {
      const stop = new AbortController()
      const config = configOf(family, { steps: 6, evaluateEvery: 3 })
      await train(path('parts'), config, { signal: stop.signal, onStep: ({ step }) => step === 2 && stop.abort() })
      const resumed = await resumeTraining(path('parts'), { family })
      assert.equal(resumed.config.family, family)
      assert.deepEqual(await outcome(path('parts'), 6), await outcome(whole, 6))
    })

    it('records its losses and its evaluations', async () => {
      const [first] = await stepsOf(whole)
      assert.deepEqual(Object.keys(first.losses).sort(), [...losses[family]].sort())
      const evaluations = (await readMetrics(whole)).filter(line => line.kind === 'evaluation')
      assert.deepEqual(
        evaluations.map(({ step, values }) => [step, Object.keys(values).sort()]),
        [3, 6].map(step => [step, [...measured[family]].sort()]),
      )
    })

    it('opens as its family with the same results, and throws for any other family', async () => {
      const run = await openRun(whole, { family })
      assert.equal(run.config.family, family)
      const { validation } = await openRunData(run)
      const again = await evaluateMoment({ ...run, validation } as Parameters<typeof evaluateMoment>[0])
      const last = (await readMetrics(whole)).findLast(line => line.kind === 'evaluation')!
      for (const [name, value] of Object.entries(last.values))
        assert.ok(Math.abs(again[name] - value) < 1e-6, `${name}: ${again[name]} and ${value}`)
      const other = familyNames.find(name => name !== family)!
      await assert.rejects(
        openRun(whole, { family: other }),
        (error: unknown) =>
          error instanceof RunError && error.message.includes(`is a run of a ${family}, not of a ${other}`),
      )
    })

    it('has a gradient that agrees with finite differences, and the same gradient in parts', async () => {
      await train(path('guarded'), configOf(family, { steps: 2, guard: { every: 1, share: 100 } }))
      const checks = (await readMetrics(path('guarded'))).filter((line): line is GuardMetrics => line.kind === 'guard')
      assert.equal(checks.length, 2)
      for (const { ok, error } of checks) assert.ok(ok && error < 1e-4, `error ${error}`)
      const { config, ...naming }: { readonly config: RunConfig } & Naming = await openSettings(whole)
      const { model } = await openRun(whole, { family })
      const objective = objectiveOf(model, config, naming)
      const { train: source } = await openRunData({ config })
      const iterator = new BatchIterator(source, naming.tokenizer, { ...textOptions(config), batchSize: 7 })
      const batch = await iterator.next()
      const one = batchGradients(objective, batch, 1)
      for (const parts of [2, 3, 7]) {
        const { loss, gradients } = batchGradients(objective, batch, parts)
        assert.ok(Math.abs(values(loss.total)[0] - values(one.loss.total)[0]) < 1e-5)
        assert.deepEqual([...gradients.keys()].sort(), [...one.gradients.keys()].sort())
        for (const [name, gradient] of gradients) {
          const expected = values(one.gradients.get(name)!)
          values(gradient).forEach((x, i) => {
            assert.ok(Math.abs(x - expected[i]) < 1e-5, `${name}[${i}] in ${parts} parts: ${x} and ${expected[i]}`)
          })
        }
      }
    })

    it('does not change frozen parts, and changes the others', async () => {
      const names = (run: { readonly model: ImageClassifier | object }) =>
        new Map([...(run.model as ImageClassifier).namedParameters()].map(([name, x]) => [name, [...values(x)]]))
      let initial = new Map<string, number[]>()
      const frozen = await train(path('frozen'), configOf(family, { steps: 2, freeze: ['encoder.blocks.0-0'] }), {
        onStart: start => {
          initial = names(start)
        },
      })
      let moved = 0
      for (const [name, now] of names(frozen)) {
        if (name.startsWith('encoder.blocks.')) assert.deepEqual(now, initial.get(name), name)
        else if (now.some((x, i) => x !== initial.get(name)![i])) moved++
      }
      assert.ok(moved > 3)
    })

    it('is examined by the doctor, and so is a batch that the guard saved', async () => {
      const examination = await examineRun(whole)
      assert.equal(examination.step, 6)
      assert.deepEqual(
        examination.findings.filter(({ area }) => area === 'gradients'),
        [],
      )
      assert.match(examination.looked.gradients, /parts of the model/)
      const run = path('kept')
      const guard = { every: 1, share: 100, bound: 1e-300, onError: 'warn' }
      let kept = ''
      await train(run, configOf(family, { steps: 1, guard }), {
        onGuard: ({ file }) => {
          kept = file ?? kept
        },
      })
      const { looked } = await examineKeptBatch(run, join(run, kept))
      assert.match(looked.gradients, /parts of the model/)
    })

    it('can start from the weights of another run of its family', async () => {
      const settings = {
        from: whole,
        data: dataOf(family),
        steps: 1,
        batchSize: 3,
        validation: 0.25,
        device: 'reference',
      }
      const config = checkRunConfig(await withOrigin({ ...settings, guard: { every: 0 } }))
      assert.equal(config.family, family)
      let began = [] as number[]
      await train(path('tuned'), config, {
        onStart: ({ model }) => {
          began = [...values(model.encoder.patches.projection.weight)]
        },
      })
      const { model } = await openRun(whole, { family })
      assert.deepEqual(began, [...values(model.encoder.patches.projection.weight)])
    })
  })

describe('a model that starts from one of another family', () => {
  /** what is not in the settings of the other model */
  const own: Partial<Record<FamilyName, object>> = {
    'video-classifier': { frames: 3 },
    'multimodal-classifier': { images: 2 },
  }
  const started = async (family: FamilyName, source: FamilyName, image: object = {}, fresh: string[] = []) => {
    const from = join(folder, `${source}-whole`)
    const changed = { image, ...own[family] }
    const settings = { family, from, fresh, model: changed, data: dataOf(family), steps: 1, batchSize: 3, seed: 3 }
    const config = checkRunConfig(await withOrigin({ ...settings, device: 'reference', guard: { every: 0 } }))
    const began = new Map<string, number[]>()
    await train(await mkdtemp(join(folder, 'started-')), config, {
      onStart: ({ model }) => {
        for (const [name, x] of model.namedParameters()) began.set(name, [...values(x)])
      },
    })
    const { model } = await openRun(from, { family: source })
    const there = new Map([...model.namedParameters()].map(([name, x]) => [name, [...values(x)]]))
    const copied = [...began].filter(([name, now]) => there.get(name)?.join() === now.join()).map(([name]) => name)
    return { config, copied, fresh: [...began.keys()].filter(name => !copied.includes(name)) }
  }

  for (const [family, source] of [
    ['classifier', 'coca'],
    ['video-classifier', 'coca'],
    ['video-classifier', 'classifier'],
    ['classifier', 'video-classifier'],
    ['multimodal-classifier', 'coca'],
  ] as const)
    it(`copies all but the head, which is new: a ${family} from a ${source}`, async () => {
      const { copied, fresh } = await started(family, source)
      assert.ok(fresh.length > 0 && fresh.every(name => name.startsWith('head.')), fresh.join())
      const parts = new Set(copied.filter(name => !name.startsWith('head.')).map(name => name.split('.')[0]))
      const others = family === 'multimodal-classifier' ? ['generativePooler', 'unimodal', 'multimodal'] : []
      assert.deepEqual([...parts], ['encoder', ...others])
      // a new position or weight is never that of the other head
      assert.deepEqual(
        copied.filter(name => /^head\.(framePositions|.*weight$)/.test(name) && !name.includes('orm')),
        [],
      )
    })

  it('takes its settings, but not the weights of its losses', async () => {
    const { config } = await started('multimodal-classifier', 'coca')
    assert.deepEqual(Object.keys(config.model), ['image', 'text', 'pooler', 'images'])
  })

  it('needs every other part, or its name in fresh', async () => {
    await assert.rejects(
      started('video-classifier', 'coca', { layers: 2 }),
      (error: unknown) =>
        error instanceof InitializationError && /encoder\.blocks\.1\.\S+ is missing there/.test(error.message),
    )
    const { fresh } = await started('video-classifier', 'coca', { layers: 2 }, ['encoder.blocks.1'])
    assert.ok(fresh.every(name => name.startsWith('head.') || name.startsWith('encoder.blocks.1.')))
    await assert.rejects(started('multimodal-classifier', 'classifier'), RunConfigError)
  })
})

describe('a multimodal classifier', () => {
  it('keeps its tokenizer and its classes', async () => {
    const { tokenizer, classes, config } = await openRun(join(folder, 'multimodal-classifier-whole'), {
      family: 'multimodal-classifier',
    })
    assert.deepEqual(classes, ['false', 'sure', 'true'])
    assert.deepEqual([config.model.classes, config.model.text.vocabulary], [3, tokenizer.vocabularySize])
    assert.ok(tokenizer.encode('both show a').every(id => id !== tokenizer.unknown))
  })
})

describe('a classifier', () => {
  it('saves the names of the classes of its data', async () => {
    const { config, classes, model } = await openRun(join(folder, 'classifier-whole'), { family: 'classifier' })
    const labels = (await readFile(join(data, 'captions.jsonl'), 'utf8'))
      .trim()
      .split('\n')
      .map(line => JSON.parse(line).label as string)
    assert.deepEqual(classes, [...new Set(labels)].sort())
    assert.deepEqual([config.model.classes, model.config.classes], [classes.length, classes.length])
  })

  it('memorizes a few images', async () => {
    const settings = { steps: 200, validation: 0, batchSize: 10, optimizer: { learningRate: 0.03 }, device: 'cpu' }
    const { folder: run } = await train(join(folder, 'by-heart'), configOf('classifier', settings))
    const steps = await stepsOf(run)
    assert.ok(steps[199].losses.total < 0.2 * steps[0].losses.total, `${steps[199].losses.total}`)
  })

  it('smooths its targets with labelSmoothing', async () => {
    const first = async (labelSmoothing: number) => {
      const run = join(folder, `smoothing-${labelSmoothing}`)
      await train(run, configOf('classifier', { steps: 1, labelSmoothing }))
      return (await stepsOf(run))[0].losses.total
    }
    assert.notEqual(await first(0), await first(0.5))
  })

  it('does not copy a head of other classes', async () => {
    const lines = (await readFile(join(data, 'captions.jsonl'), 'utf8')).trim().split('\n')
    const other = join(data, 'other.jsonl')
    const renamed = lines.map(line => JSON.parse(line)).map(({ label, ...rest }) => ({ ...rest, label: `my ${label}` }))
    await writeFile(other, renamed.map(line => `${JSON.stringify(line)}\n`).join(''))
    const settings = {
      from: join(folder, 'classifier-whole'),
      data: other,
      steps: 1,
      batchSize: 3,
      device: 'reference',
    }
    await assert.rejects(
      train(join(folder, 'renamed'), checkRunConfig(await withOrigin(settings))),
      (error: unknown) =>
        error instanceof InitializationError && /its class 0 is '.*', but 'my .*' in the data/.test(error.message),
    )
  })

  it('needs labels, and the number of classes in its configuration', async () => {
    const captions = join(data, 'unlabelled.jsonl')
    await writeFile(captions, '{"file": "images/000000.png", "caption": "a thing"}\n')
    await assert.rejects(
      train(join(folder, 'unlabelled'), configOf('classifier', { data: captions })),
      (error: unknown) =>
        error instanceof DataError && /unlabelled\.jsonl:1: has no 'label' and no 'labels'/.test(error.message),
    )
    await assert.rejects(
      train(join(folder, 'two'), configOf('classifier', { model: { image, classes: 2 } })),
      (error: unknown) =>
        error instanceof RunConfigError &&
        /model\.classes: must be \d+, the number of classes of the data \(.+\), not 2/.test(error.message),
    )
  })
})

describe('a configuration', () => {
  const problems = (settings: Record<string, unknown>): string[] => {
    try {
      checkRunConfig({ data: 'x', steps: 1, ...settings })
    } catch (error) {
      assert.ok(error instanceof RunConfigError)
      return error.problems.map(({ field, reason }) => `${field}: ${reason}`)
    }
    return []
  }

  it('defaults to the family coca', () => {
    assert.equal(checkRunConfig({ model: 'tiny', data: 'x', steps: 1 }).family, 'coca')
  })

  it('takes the settings of a preset that its family has', () => {
    const preset = (family: FamilyName) =>
      Object.keys(checkRunConfig({ family, model: 'tiny', data: 'x', steps: 1 }).model)
    assert.deepEqual(preset('dual-encoder'), ['image', 'text', 'embedding'])
    assert.deepEqual(preset('captioner'), ['image', 'text'])
    assert.deepEqual(preset('classifier'), ['image'])
  })

  it('with settings of another family throws one error that names them all', () => {
    assert.deepEqual(problems({ family: 'clip', model: 'tiny' }), [
      'family: must be one of coca, dual-encoder, captioner, classifier, video-classifier, multimodal-classifier, not "clip"',
    ])
    assert.deepEqual(
      problems({ family: 'classifier', model: 'tiny', tokenizer: 'x', equalCaptions: 'ignore' }),
      ['equalCaptions: is not a setting of a classifier', 'tokenizer: is not a setting of a classifier'].sort((a, b) =>
        b.localeCompare(a),
      ),
    )
    assert.deepEqual(problems({ model: 'tiny', labelSmoothing: 0.1 }), ['labelSmoothing: is not a setting of a coca'])
    assert.deepEqual(
      problems({ family: 'captioner', model: { image: { ...image, size: 0, width: '8' }, text, pooler: {} } }),
      [
        'model.pooler: is not a setting',
        'model.image.size: must be a whole number above 0, or [height, width], not 0',
        "model.image.width: must be a whole number above 0, not '8'",
      ],
    )
  })
})

describe('batches without a tokenizer', () => {
  it('have no ids, and options of texts throw', async () => {
    const { train: source } = await openRunData({ config: configOf('classifier') })
    const batch = await new BatchIterator(source, undefined, { batchSize: 3 }).next()
    assert.deepEqual([batch.tokens.length, batch.tokenShape, batch.labels?.length], [0, [3, 0], 3])
    for (const options of [{ contextLength: 4 }, { distinctCaptions: true }])
      assert.throws(
        () => new BatchIterator(source, undefined, { batchSize: 3, ...options }),
        (error: unknown) => error instanceof BatchError && error.message.includes(Object.keys(options)[0]),
      )
  })
})

after(() => device.use('cpu'))
