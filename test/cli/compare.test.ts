// Comparing runs: what their settings, curves and results have in common and in what they differ.

import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, test } from 'node:test'
import { bars, columnsOf, extremesOf, scaleOf } from '../../src/cli/compare/curves.ts'
import { compareResults } from '../../src/cli/compare/results.ts'
import type { ComparedRun } from '../../src/cli/compare/runs.ts'
import { type RunResult, readResults, recordResults, train } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { fc } from '../support.ts'
import { pictures, tinyConfig } from '../train/tiny.ts'
import { cocagrad } from './cli.ts'

const result = (fingerprint: string, values: Record<string, number>, others: Partial<RunResult> = {}): RunResult => ({
  ...{ date: '2026-01-01T00:00:00.000Z', step: 3, protocol: 'loss', data: 'shapes', fingerprint, examples: 4 },
  ...{ options: {}, values, ...others },
})
const runWith = (results: readonly RunResult[], family = 'coca') =>
  ({ path: '', name: '', config: { family }, metrics: [], start: undefined, results }) as unknown as ComparedRun

test('results are compared if data, protocol and options are equal, and only then', () => {
  const one = runWith([
    result('a', { loss: 9 }),
    result('a', { loss: 3, contrastive: 1 }, { step: 6 }),
    result('a', { accuracy: 0.5 }, { protocol: 'zero-shot', options: { frames: 4, classes: ['x', 'y'] } }),
  ])
  const two = runWith([
    result('a', { loss: 2, contrastive: 2 }, { data: 'elsewhere' }),
    result('b', { loss: 1 }),
    result('a', { accuracy: 0.7 }, { protocol: 'zero-shot', options: { classes: ['x', 'y'], frames: 4 } }),
    result('a', { accuracy: 0.9 }, { protocol: 'zero-shot', options: { classes: ['x', 'z'], frames: 4 } }),
  ])
  const groups = compareResults([one, two])
  assert.deepEqual(
    groups.map(({ protocol, fingerprint, steps }) => [protocol, fingerprint, steps]),
    [
      ['loss', 'a', [6, 3]], // the last of each run
      ['zero-shot', 'a', [3, 3]],
      ['loss', 'b', [undefined, 3]],
      ['zero-shot', 'a', [undefined, 3]],
    ],
  )
  const [loss, contrastive] = groups[0].measures
  assert.deepEqual([loss.values, loss.differences, loss.best], [[3, 2], [0, -1], [1]])
  assert.deepEqual([contrastive.values, contrastive.differences, contrastive.best], [[1, 2], [0, 1], [0]])
  const [accuracy] = groups[1].measures
  assert.deepEqual([accuracy.unit, accuracy.best], ['share', [1]])
})

test('the total losses of two families are not compared, their parts are', () => {
  const runs = [
    runWith([result('a', { loss: 7, captioning: 2 })]),
    runWith([result('a', { loss: 3, captioning: 3 })], 'captioner'),
  ]
  const [loss, captioning] = compareResults(runs)[0].measures
  assert.deepEqual([loss.best, loss.differences], [[], [undefined, undefined]])
  assert.deepEqual([captioning.best, captioning.differences], [[0], [0, 1]])
})

test('a result that this version does not know is shown, without a best value', () => {
  const runs = [1, 2].map(score => runWith([result('a', { score }, { protocol: 'newer' })]))
  const [{ measures }] = compareResults(runs)
  assert.deepEqual([measures[0].name, measures[0].best, measures[0].differences], ['score', [], [0, 1]])
})

const curves = fc.array(
  fc.array(fc.record({ step: fc.integer({ min: 1, max: 90 }), value: fc.double({ min: -5, max: 5, noNaN: true }) }), {
    maxLength: 30,
  }),
  { minLength: 1, maxLength: 3 },
)

test('a column is the mean of the values in its range of steps, and every value is in one', () => {
  fc.assert(
    fc.property(curves, fc.integer({ min: 1, max: 20 }), (all, columns) => {
      const { steps, means } = columnsOf({ name: '', runs: all }, columns)
      assert.ok(steps.length <= columns)
      for (const [run, points] of all.entries()) {
        const own = steps.map((last, i) => points.filter(({ step }) => step <= last && step > (steps[i - 1] ?? 0)))
        assert.equal(own.flat().length, points.length)
        for (const [i, inside] of own.entries()) {
          const mean = inside.reduce((sum, { value }) => sum + value, 0) / inside.length
          if (inside.length === 0) assert.equal(means[run][i], undefined)
          else assert.ok(Math.abs(means[run][i]! - mean) < 1e-9)
        }
      }
    }),
  )
})

test('bars of larger values are not lower, those of all rows have one scale, and a wide range is logarithmic', () => {
  const values = [0.3, 0.5, 2, 5]
  assert.equal(bars(values, scaleOf([values])), '▁▁▃█')
  assert.equal(bars([0.3, 0.5], scaleOf([values])), '▁▁')
  const wide = [0.1, 1, 10, 100]
  assert.ok(scaleOf([wide]).isLogarithmic)
  assert.equal(bars(wide, scaleOf([wide])), '▁▃▆█')
  assert.equal(bars([Number.NaN, undefined, 5], scaleOf([[0, Number.NaN], [5]])), '× █')
  assert.equal(bars([2, 2], scaleOf([[2, 2]])), '▄▄')
  const points = [4, Number.NaN, 1, 3].map((value, step) => ({ step, value }))
  assert.deepEqual(extremesOf(points), { first: 4, last: 3, least: 1, most: 4 })
})

describe('runs', () => {
  let folder = ''
  let shapes = ''
  const run = (name: string) => join(folder, name)
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cocagrad-compare-'))
    shapes = await pictures(folder, 12)
    await train(run('one'), tinyConfig(shapes, { steps: 4, evaluateEvery: 2 }))
    await train(run('two'), tinyConfig(shapes, { steps: 2, optimizer: { learningRate: 0.01 } }))
    await cp(run('one'), run('wild'), { recursive: true })
    const file = join(run('wild'), 'metrics.jsonl')
    const lines = (await readFile(file, 'utf8'))
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    const wild = lines.map(line => (line.step >= 3 && line.losses ? { ...line, losses: { total: null } } : line))
    await writeFile(file, wild.map(line => `${JSON.stringify(line)}\n`).join(''))
    const config = join(run('wild'), 'config.json')
    await writeFile(config, JSON.stringify({ ...JSON.parse(await readFile(config, 'utf8')), steps: 40 }))
  })

  after(() => rm(folder, { recursive: true, force: true }))

  it('keep the results of evaluate, and --no-record keeps none', async () => {
    const evaluate = (name: string, ...flags: string[]) =>
      cocagrad(['evaluate', '--run', run(name), '--data', shapes, '--device', 'reference', ...flags])
    for (const name of ['one', 'two']) {
      const { code, stderr } = await evaluate(name)
      assert.equal(code, 0, stderr)
    }
    assert.equal((await evaluate('two', '--protocol', 'loss', '--no-record')).code, 0)
    const [one, two] = [await readResults(run('one')), await readResults(run('two'))]
    assert.deepEqual(
      two.map(({ protocol, step, data, examples }) => [protocol, step, data, examples]),
      ['loss', 'retrieval', 'captioning', 'zero-shot'].map(protocol => [protocol, 2, shapes, 12]),
    )
    assert.equal(one[0].fingerprint, two[0].fingerprint)
    assert.deepEqual(Object.keys(one[0].values), ['loss', 'contrastive', 'captioning'])
  })

  it('are shown in text and as JSON', async () => {
    const { code, stdout, stderr } = await cocagrad(['compare', run('one'), run('two'), run('wild')])
    assert.equal(code, 0, stderr)
    assert.match(stdout, /^training +one +two +wild$/m)
    assert.match(stdout, /^steps +4 +2 +NaN at step 3$/m)
    assert.match(stdout, /^optimizer\.learningRate +0\.001 +0\.01 +0\.001$/m)
    assert.match(stdout, /^steps +4 +2 +40$/m)
    assert.doesNotMatch(stdout, /^batchSize|model\./m)
    assert.match(stdout, /^loss +to step 4 +first +last +min +max$/m)
    assert.match(stdout, /^wild +[▁-█]{2}×× .* NaN /m)
    assert.match(stdout, /results on .*pictures \([0-9a-f]{8}\)/)
    assert.match(stdout, /^at step +4 +2 +not measured$/m)
    assert.match(stdout, /^ {2}contrastive .*\*/m)
    assert.ok(stdout.split('\n').every(line => [...line].length <= 100))

    const { stdout: json } = await cocagrad(['compare', run('one'), run('two'), run('wild'), '--json'])
    const answer = JSON.parse(json)
    assert.deepEqual(Object.keys(answer), ['runs', 'settings', 'curves', 'results'])
    assert.deepEqual(
      answer.runs.map(({ name, steps, planned, notFinite }: Record<string, unknown>) => [
        name,
        steps,
        planned,
        notFinite,
      ]),
      [
        ['one', 4, 4, undefined],
        ['two', 2, 2, undefined],
        ['wild', 4, 40, 3],
      ],
    )
    const [loss] = answer.curves
    assert.equal(loss.runs[0].points.length, 4)
    const losses = answer.results.find(({ protocol }: { protocol: string }) => protocol === 'loss')
    const [a, b] = [await readResults(run('one')), await readResults(run('two'))].map(all => all[0].values.loss)
    assert.deepEqual(losses.measures[0].values, [a, b, null])
    assert.deepEqual(losses.measures[0].differences, [0, b - a, null])
    assert.deepEqual(losses.measures[0].best, [a < b ? 0 : 1])
  })

  it('that are mistakes are errors with one sentence', async () => {
    const refuses = async (message: RegExp, ...args: string[]) => {
      const { code, stdout, stderr } = await cocagrad(['compare', ...args])
      assert.deepEqual([code, stdout], [2, ''])
      assert.match(stderr, message)
    }
    await refuses(/compare needs two runs at least/, run('one'))
    await refuses(/one\/ is given twice/, run('one'), `${run('one')}/`)
    await refuses(/pictures: is not a run/, run('one'), shapes)
  })

  it('that cannot be written, or have another file there, are evaluated with a note', async () => {
    await writeFile(join(run('wild'), 'results.jsonl'), 'my notes\n')
    const { code, stderr } = await cocagrad([
      ...['evaluate', '--run', run('wild'), '--data', shapes, '--protocol', 'loss', '--device', 'reference'],
    ])
    assert.equal(code, 0, stderr)
    assert.match(stderr, /note: the results are not kept in the run: .*results\.jsonl:1: does not begin with/)
    assert.equal(await readFile(join(run('wild'), 'results.jsonl'), 'utf8'), 'my notes\n')
  })
})

test('a result that was written half is removed, and all others are kept', async t => {
  const folder = await temporaryFolder(t)
  assert.deepEqual(await readResults(folder), [])
  await recordResults(folder, [result('a', { loss: 1 })])
  const file = join(folder, 'results.jsonl')
  await writeFile(file, `${await readFile(file, 'utf8')}{"date":"2026-`)
  assert.deepEqual(await readResults(folder), [result('a', { loss: 1 })])
  await recordResults(folder, [result('b', { loss: 2 })])
  assert.deepEqual(await readResults(folder), [result('a', { loss: 1 }), result('b', { loss: 2 })])
})
