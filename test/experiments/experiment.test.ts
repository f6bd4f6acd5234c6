// Experiments on the smallest models: parts are computed once, an interrupted one continues to the same numbers, and mistakes in a
// configuration are named.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ExperimentError, experimentNames, runExperiment } from '../../src/experiments/index.ts'
import { device } from '../../src/tensor/index.ts'
import { tinyModel } from '../train/tiny.ts'

const images = { make: 'shapes', count: 12, seed: 1, objects: 1 }
const rows = {
  kind: 'rows',
  title: 'Two losses',
  question: 'Which is better?',
  data: { train: images, test: { ...images, seed: 2 }, labelled: { ...images, count: 60, seed: 3 } },
  seeds: 2,
  run: { model: tinyModel, batchSize: 4, steps: 3, validation: 0, guard: { every: 0 }, checkpointEvery: 1 },
  base: 'both',
  rows: [
    { name: 'both', run: {} },
    { name: 'contrastive', run: { model: { loss: { captioning: { weight: 0 } } } } },
    { name: 'captioning', run: { model: { loss: { contrastive: { weight: 0 } } } } },
    { name: 'classes', run: { family: 'classifier', fresh: ['head'] } },
  ],
  protocols: [
    { protocol: 'retrieval', title: 'retrieval', on: 'test' },
    { protocol: 'captioning', title: 'captions', on: 'test' },
    {
      protocol: 'task',
      title: 'frozen features',
      on: 'labelled',
      run: {
        family: 'classifier',
        data: 'labelled',
        freeze: ['encoder'],
        fresh: ['head'],
        validation: 0,
        steps: 2,
        batchSize: 4,
      },
    },
    { protocol: 'cost', title: 'cost', of: 'contrastive', rounds: 2 },
  ],
}
const transfer = {
  kind: 'transfer',
  title: 'From a pretrained model, or from scratch',
  question: 'How much do labels matter?',
  data: {
    train: images,
    labelled: { ...images, count: 1, seed: 5, pairs: 'seen' },
    test: { ...images, seed: 5, count: 8, pairs: 'seen' },
  },
  seeds: 2,
  run: rows.run,
  examples: [8, 12],
  tasks: [
    {
      name: 'image',
      train: 'labelled',
      on: 'labelled',
      run: { family: 'classifier', steps: 2, batchSize: 4, validation: 0 },
    },
  ],
  methods: [
    { name: 'frozen', from: true, run: { freeze: ['encoder'], fresh: ['head'] } },
    { name: 'scratch', from: false, run: {} },
    {
      name: 'soup',
      from: true,
      run: { fresh: ['head'] },
      soup: {
        runs: [{ optimizer: { learningRate: 1e-3 } }, { optimizer: { learningRate: 2e-3 } }],
        write: 'greedy',
        validation: { image: 'labelled' },
      },
    },
  ],
  base: 'scratch',
}

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cocagrad-experiment-'))
  await device.use('cpu')
})
after(async () => {
  await rm(folder, { recursive: true })
  await device.use('reference')
})

async function file(name: string, config: object): Promise<string> {
  const path = join(folder, `${name}.json`)
  await writeFile(path, JSON.stringify(config))
  return path
}

/** The lines of the record, without how long each part took. */
const parts = async (out: string) =>
  (await readFile(join(out, 'parts.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .slice(1)
    .map(line => ({ ...JSON.parse(line), seconds: 0 }))
    // durations differ from run to run
    .filter(({ part }) => part !== 'cost')

describe('an experiment over rows', () => {
  it('measures every row by the protocols that apply to it, and compares rows seed by seed', async () => {
    const out = join(folder, 'rows')
    const { result, files } = await runExperiment(await file('rows', rows), { out })
    const measured = Object.fromEntries(result.rows.map(({ name, cells }) => [name, Object.keys(cells).sort()]))
    const retrieval = ['retrieval/imageToTextR1', 'retrieval/textToImageR1']
    const captions = ['captions/ciderD', 'captions/exact']
    const all = ['cost/ratio', 'frozen features/accuracy']
    assert.deepEqual(measured, {
      both: [...captions, ...all, ...retrieval],
      contrastive: [...all, ...retrieval],
      captioning: [...captions, ...all],
      classes: all,
    })
    const [base, contrastive] = result.rows
    assert.ok(Object.values(base.cells).every(({ difference }) => difference === undefined))
    const cell = contrastive.cells['retrieval/imageToTextR1']
    assert.equal(cell.values.length, 2)
    const expected = cell.values.map((value, i) => value - base.cells['retrieval/imageToTextR1'].values[i])
    assert.equal(cell.difference?.mean, (expected[0] + expected[1]) / 2)
    assert.equal(contrastive.cells['cost/ratio'].mean, 1)
    const names = files.map(path => path.slice(out.length + 1))
    assert.deepEqual(names, ['results.json', 'results.md', 'means.svg', 'differences.svg'])
    const page = await readFile(join(out, 'results.md'), 'utf8')
    assert.match(page, /^# Two losses\n\nWhich is better\?\n/)
    assert.match(page, /\| contrastive \| .* ± .* \|/)
    assert.match(await readFile(join(out, 'means.svg'), 'utf8'), /^<svg.*contrastive.*<\/svg>$/s)
  })

  it('starts all rows of a seed from the same weights', async () => {
    const { openRun } = await import('../../src/train/index.ts')
    const start = await openRun(join(folder, 'rows', 'runs', 'seed-1', 'start'))
    assert.equal(start.step, 0)
    for (const name of ['both', 'contrastive']) {
      const { config } = await openRun(join(folder, 'rows', 'runs', 'seed-1', name))
      assert.deepEqual([config.from, config.seed], [start.folder, 1])
    }
  })

  it('that is finished computes nothing again, and more seeds can be added', async () => {
    const out = join(folder, 'rows')
    const path = await file('rows', rows)
    const started: string[] = []
    const onPart = ({ part }: { readonly part: string }) => void started.push(part)
    await runExperiment(path, { out, onPart })
    assert.equal(started.length, 0)
    const { result } = await runExperiment(path, { out, onPart, seeds: 3 })
    assert.ok(started.length > 0 && started.every(part => part.startsWith('seed-2/')))
    assert.equal(result.rows[0].cells['captions/exact'].values.length, 3)
  })

  it('that is interrupted at any moment gives the same numbers as one that is not', async () => {
    const path = await file('rows', rows)
    const out = join(folder, 'stopped')
    for (let stops = 1; ; stops++) {
      const controller = new AbortController()
      let progress = 0
      const stop = () => {
        if (++progress === 11) controller.abort(new Error('stopped'))
      }
      try {
        await runExperiment(path, { out, seeds: 2, signal: controller.signal, onProgress: stop })
        assert.ok(stops > 3, `it was stopped only ${stops - 1} times`)
        break
      } catch (error) {
        assert.equal((error as Error).message, 'stopped')
        assert.ok(stops < 200)
      }
    }
    const whole = (await parts(join(folder, 'rows'))).filter(({ part }) => !part.startsWith('seed-2/'))
    assert.deepEqual(await parts(out), whole)
  })

  it('is not continued with other settings', async () => {
    const path = await file('other', { ...rows, run: { ...rows.run, steps: 4 } })
    await assert.rejects(
      runExperiment(path, { out: join(folder, 'rows') }),
      (error: unknown) =>
        error instanceof ExperimentError &&
        /was started with other settings: run\.steps differs.*--out/.test(error.message),
    )
  })
})

describe('an experiment over labelled examples', () => {
  it('trains every method on every number of examples', async () => {
    const out = join(folder, 'transfer')
    const { result, files } = await runExperiment(await file('transfer', transfer), { out })
    assert.deepEqual(
      result.rows.map(({ name, cells }) => [name, Object.keys(cells)]),
      [
        ['frozen', ['image/8', 'image/12']],
        ['scratch', ['image/8', 'image/12']],
        ['soup', ['image/8', 'image/12']],
      ],
    )
    assert.ok(files.some(path => path.endsWith('transfer.svg')))
  })
})

describe('a configuration', () => {
  const bad: [string, object, RegExp][] = [
    ['a setting that does not exist', { ...rows, seedz: 1 }, /seedz/],
    ['a base that is not a row', { ...rows, base: 'none' }, /base: 'none' is not one of both, contrastive/],
    [
      'data that is not drawn',
      { ...rows, protocols: [{ protocol: 'retrieval', title: 'r', on: 'elsewhere' }] },
      /elsewhere/,
    ],
    ['two rows of one name', { ...rows, rows: [rows.rows[0], rows.rows[0]] }, /'both' is the name of two rows/],
    [
      'a row with a setting that no run has',
      { ...rows, rows: [rows.rows[0], { ...rows.rows[1], run: { ...rows.rows[1].run, stepz: 3 } }] },
      /row 'contrastive': stepz: is not a setting/,
    ],
    [
      'a preset that does not exist',
      { ...rows, run: { ...rows.run, model: 'tinny' } },
      /row 'both': .*"tinny" is not a preset/,
    ],
    ['an unknown protocol', { ...rows, protocols: [{ protocol: 'guess', title: 'r', on: 'test' }] }, /protocols\.0/],
  ]
  for (const [what, config, message] of bad)
    it(`with ${what} is refused with the name of the file and the field`, async () => {
      const path = await file('bad', config)
      await assert.rejects(runExperiment(path, { out: join(folder, 'bad') }), (error: unknown) => {
        assert.ok(error instanceof ExperimentError)
        assert.match(error.message, message)
        assert.ok(error.message.includes(path))
        assert.ok(!existsSync(join(folder, 'bad')), 'nothing is written, so the mistake can be mended')
        return true
      })
    })

  it('that the package does not have is refused with those that it has', async () => {
    await assert.rejects(
      runExperiment('nothing', { out: join(folder, 'bad') }),
      /is not an experiment: there are .*objectives/,
    )
    assert.ok(experimentNames().includes('objectives'))
  })
})
