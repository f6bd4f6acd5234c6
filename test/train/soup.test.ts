// Model soups: of models in memory, and of runs.

import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { examineRun } from '../../src/doctor/index.ts'
import { Linear, StateDictError } from '../../src/nn/index.ts'
import { ArgumentError, Generator, OptionsError, tensor } from '../../src/tensor/index.ts'
import {
  checkRunConfig,
  greedySoup,
  makeSoup,
  openRun,
  type RunConfig,
  RunError,
  readMetrics,
  resumeTraining,
  SoupError,
  train,
} from '../../src/train/index.ts'
import { assertCloseNumbers, values } from '../support.ts'
import { pictures, tinyJson, tinyModel } from './tiny.ts'

describe('greedySoup', () => {
  /** A model with one weight. */
  const one = (weight: number) => {
    const model = new Linear(1, 1, { bias: false })
    model.weight.assign(tensor([[weight]]))
    return model
  }
  const weightOf = (model: Linear) => values(model.weight)[0]
  /** Higher nearer to 0. */
  const score = (model: Linear) => -Math.abs(weightOf(model))

  test('adds a model to the mean if the score does not fall', async () => {
    const model = one(0)
    // best first: 1, -2 (mean -0.5), 3 (mean 2/3: worse), -4 (mean -5/3: worse), 5 (mean 4/3: worse)
    const soup = await greedySoup([5, 1, 3, -2, -4].map(one), { model, score })
    assert.deepEqual(soup, { scores: [-5, -1, -3, -2, -4], chosen: [1, 3], score: -0.5 })
    assert.equal(weightOf(model), -0.5)
    const equal = await greedySoup([2, 2, 2].map(one), { model, score })
    assert.deepEqual([equal.chosen, equal.score, weightOf(model)], [[0, 1, 2], -2, 2])
    assert.deepEqual((await greedySoup([one(3)], { model, score })).chosen, [0])
  })

  test('is never worse than the best model', async () => {
    const generator = new Generator(3)
    for (let i = 0; i < 30; i++) {
      const models = Array.from({ length: 1 + (i % 5) }, () => one(2 * generator.normal()))
      const model = one(0)
      const soup = await greedySoup(models, { model, score: async m => Math.round(5 * score(m)) })
      assert.ok(soup.score >= Math.max(...soup.scores))
      assert.equal(Math.round(5 * score(model)), soup.score)
    }
  })

  test('refuses what cannot be averaged or compared', async () => {
    const model = one(1)
    await assert.rejects(greedySoup([], { model, score }), ArgumentError)
    await assert.rejects(greedySoup([one(1)], { model } as never), OptionsError)
    await assert.rejects(greedySoup([one(1)], { model, score: () => Number.NaN }), /score returned NaN/)
    await assert.rejects(greedySoup([one(1), new Linear(2, 1)], { model, score: () => 1 }), StateDictError)
  })
})

describe('makeSoup', () => {
  let folder: string
  let data: string
  const path = (name: string) => join(folder, name)
  const models = { coca: tinyModel, classifier: { image: tinyModel.image } }
  const configOf = (family: 'coca' | 'classifier', others: Record<string, unknown> = {}): RunConfig =>
    checkRunConfig(tinyJson(data, { family, model: models[family], steps: 4, checkpointEvery: 4, ...others }))
  after(() => rm(folder, { recursive: true }))
  const runs: Record<'coca' | 'classifier', string[]> = { coca: [], classifier: [] }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cocagrad-soup-'))
    data = await pictures(folder)
    for (const family of ['coca', 'classifier'] as const) {
      const base = path(`${family}-base`)
      await train(base, configOf(family))
      for (const [i, rate] of [1e-3, 3e-2, 1].entries()) {
        const run = path(`${family}-${i}`)
        const words = family === 'coca' && { tokenizer: join(base, 'tokenizer.json') }
        const ema = i === 1 ? 0.9 : undefined
        await train(
          run,
          configOf(family, { from: base, ...words, seed: i, ema, optimizer: { name: 'sgd', learningRate: rate } }),
        )
        runs[family].push(run)
      }
    }
  })

  for (const family of ['coca', 'classifier'] as const)
    test(`of ${family}s is the mean of the weights, and every command opens it`, async () => {
      const out = path(`${family}-soup`)
      const seen: string[][] = []
      const result = await makeSoup(runs[family], { data, out, onEvaluation: some => seen.push([...some]) })
      const { score, examples, ingredients, uniform, greedy } = result
      assert.deepEqual([score, examples], [family === 'coca' ? 'loss' : 'accuracy', 20])
      assert.deepEqual(seen.slice(0, 4), [runs[family], ...runs[family].map(run => [run])])
      const better = (a: number, b: number) => (score === 'loss' ? a <= b : a >= b)
      for (const { values } of ingredients) assert.ok(better(greedy.values[score], values[score]))
      assert.deepEqual(
        ingredients.map(({ run, step, weights }) => [run, step, weights]),
        runs[family].map((run, i) => [run, 4, i === 1 ? 'average' : 'last']),
      )
      const all = await Promise.all(runs[family].map(run => openRun(run, { family })))
      const soup = await openRun(out, { family })
      const of = ({ model }: typeof soup) => values(model.encoder.positions)
      const three = all.map(of)
      assertCloseNumbers(
        of(soup),
        three[0].map((x, i) => (x + three[1][i] + three[2][i]) / 3),
        1e-6,
      )
      assert.deepEqual([soup.step, soup.weights], [0, 'last'])
      const about = JSON.parse(await readFile(join(out, 'soup.json'), 'utf8'))
      assert.deepEqual([about.soup, about.values, about.ingredients.length], ['uniform', uniform.values, 3])
      assert.match(about.ingredients[0].sha256, /^[0-9a-f]{64}$/)
      assert.notEqual(about.ingredients[0].sha256, about.ingredients[1].sha256)
      const [line] = await readMetrics(out)
      assert.deepEqual([line.kind, line.step], ['evaluation', 0])
      const { findings } = await examineRun(out)
      assert.deepEqual(
        findings.filter(({ severity, area }) => severity === 'wrong' || area === 'optimizer'),
        [],
      )
      await train(
        path(`${family}-tuned`),
        configOf(family, { from: out, steps: 1, ...(family === 'coca' && { tokenizer: join(out, 'tokenizer.json') }) }),
      )
      assert.equal((await resumeTraining(out, { steps: 1 })).step, 1)
    })

  test('of equal runs is the run, and greedy writes the greedy soup', async () => {
    const [run] = runs.classifier
    const again = path('again')
    await train(
      again,
      configOf('classifier', {
        from: path('classifier-base'),
        seed: 0,
        optimizer: { name: 'sgd', learningRate: 1e-3 },
      }),
    )
    const out = path('equal')
    const { written, greedy } = await makeSoup([run, again], { data, out, write: 'greedy' })
    assert.deepEqual([written, greedy.runs], [{ run: out, soup: 'greedy' }, [run, again]])
    assert.deepEqual(
      await readFile(join(out, 'checkpoints', 'step-000000', 'model.safetensors')),
      await readFile(join(run, 'checkpoints', 'step-000004', 'model.safetensors')),
    )
    const best = await makeSoup(runs.classifier, { data, out: path('greedy'), write: 'greedy' })
    const [name] = best.greedy.runs
    const chosen = best.ingredients.find(({ run }) => run === name)!
    const most = Math.max(...best.ingredients.map(({ values }) => values.accuracy))
    assert.equal(chosen.values.accuracy, most)
    if (best.greedy.runs.length === 1)
      assert.deepEqual(
        values((await openRun(path('greedy'), { family: 'classifier' })).model.head.output.weight),
        values((await openRun(name, { family: 'classifier' })).model.head.output.weight),
      )
  })

  test('refuses runs that do not belong together, and says what differs', async () => {
    const refused = async (
      others: readonly string[],
      reason: RegExp,
      type: typeof SoupError | typeof RunError = SoupError,
    ) => {
      const out = path('never')
      await assert.rejects(makeSoup(others, { data, out }), (error: unknown) => {
        assert.ok(error instanceof type, String(error))
        assert.match(error.message, reason)
        return true
      })
      assert.ok(!(await readdir(folder)).includes('never'))
    }
    const [first] = runs.coca
    await refused([first, runs.classifier[0]], /classifier-0: its family is "classifier", but "coca" in .*coca-0/)
    await refused([first, path('coca-base')], /its origin is "random weights of seed 0", but ".*coca-base" in /)
    const wide = path('wide')
    const image = { ...tinyModel.image, layers: 2 }
    await train(wide, configOf('coca', { model: { ...tinyModel, image }, steps: 1 }))
    await refused([path('coca-base'), wide], /its model.image is not that of|its model.image is .*"layers":2/)
    const bright = path('bright')
    await train(bright, configOf('coca', { normalize: { mean: [0.4, 0.5, 0.5] }, steps: 1 }))
    await refused([path('coca-base'), bright], /its normalize is /)
    const words = path('words')
    await train(words, configOf('coca', { data: await pictures(path('more'), 6), steps: 1 }))
    await refused([path('coca-base'), words], /its (tokenizer|model.text) is /)
    await refused([first, path('nothing')], /is not a run/, RunError)
    await assert.rejects(makeSoup(runs.coca, { data, out: first }), RunError)
    await assert.rejects(makeSoup([first], { data }), ArgumentError)
    await assert.rejects(makeSoup(runs.coca, { data, greedy: true } as never), OptionsError)
    const stopped = AbortSignal.abort(new Error('stopped'))
    await assert.rejects(makeSoup(runs.coca, { data, out: path('never'), signal: stopped }), /stopped/)
    assert.ok(!(await readdir(folder)).includes('never'))
  })
})
