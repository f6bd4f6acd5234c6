// The parts of the demo on a small dataset; `npm start` runs the whole demo.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { ImageTextDataset, pairNames, paraphrases, WordTokenizer, writeShapes } from '../../src/data/index.ts'
import { demoData, demoRun, demoSteps, demoTargets } from '../../src/demo/config.ts'
import { evaluateDemo } from '../../src/demo/evaluate.ts'
import { reportPage } from '../../src/demo/report/report.ts'
import { measuredSeeds, rangeOverSeeds } from '../../src/demo/seeds.ts'
import { tensor } from '../../src/tensor/index.ts'
import { checkRunConfig, train } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'

it('the settings of the demo are valid settings of a run', () => {
  const config = checkRunConfig({ ...demoRun, steps: 1000, data: 'anywhere', device: 'reference' })
  assert.equal(config.model.text.width, 48)
  assert.equal(new Set(Object.values(demoData).map(({ seed }) => seed)).size, 3)
})

it('five seeds were measured, and every target was reached on each', () => {
  assert.equal(new Set(measuredSeeds.map(({ seed }) => seed)).size, 5)
  for (const figure of Object.keys(demoTargets) as (keyof typeof demoTargets)[]) {
    const { lowest, highest, seeds } = rangeOverSeeds(figure)
    assert.equal(seeds, 5)
    assert.ok(lowest <= highest && highest <= 1)
    assert.ok(lowest >= demoTargets[figure], figure)
  }
})

/** Small datasets, and a run of two steps. */
async function smallDemo(t: TestContext) {
  const folder = await temporaryFolder(t)
  const dataset = async (name: keyof typeof demoData, count: number) => {
    const out = join(folder, name)
    await writeShapes({ ...demoData[name], out, count })
    return ImageTextDataset.open(out, { imageSize: 16 })
  }
  const data = {
    train: await dataset('train', 8),
    unseen: await dataset('unseen', 14),
    heldOut: await dataset('held-out', 8),
  }
  const small = { width: 8, heads: 2 }
  const model = {
    preset: 'tiny',
    image: { ...small, size: 16, layers: 1 },
    text: { ...small, context: 12 },
    pooler: { queries: 2, heads: 2 },
    embedding: 8,
  }
  const tokenizer = join(folder, 'words.json')
  const words = WordTokenizer.fromCaptions([...pairNames, 'a small large above below left of right'])
  await writeFile(tokenizer, JSON.stringify(words))
  const settings = { ...demoRun, model, batchSize: 4, warmup: 0, steps: 2, tokenizer, data: join(folder, 'train') }
  const run = await train(join(folder, 'run'), checkRunConfig({ ...settings, device: 'reference' }))
  return { run, data, words }
}

it('a demo is evaluated by every target, and its page contains every section', async t => {
  const { run, data, words } = await smallDemo(t)
  const { targets, report } = await evaluateDemo(run, data, { signal: new AbortController().signal })

  assert.deepEqual(
    targets.map(({ target }) => target),
    Object.values(demoTargets),
  )
  for (const { value } of targets) assert.ok(value >= 0 && value <= 1)
  assert.ok(
    targets.every(({ overSeeds }) => overSeeds === undefined),
    'a training of two steps is not one of those that were measured',
  )
  const whole = await evaluateDemo({ ...run, step: demoSteps }, data, { signal: new AbortController().signal })
  assert.deepEqual(
    whole.targets.map(({ overSeeds }) => overSeeds),
    Object.keys(demoTargets).map(key => rangeOverSeeds(key as keyof typeof demoTargets)),
  )
  assert.deepEqual(
    report.curve.map(({ step }) => step),
    [1, 2],
  )
  assert.equal(report.captions.length, 12)
  assert.equal(report.zeroShot.pairs.length, 48)
  assert.equal(report.zeroShot.pairs.filter(({ heldOut }) => heldOut).length, 8)
  assert.equal(
    report.zeroShot.pairs.reduce((sum, { heldOut, count }) => sum + (heldOut ? count : 0), 0),
    8,
  )
  for (const { attention } of [...report.pooler, ...report.tokens.flatMap(({ tokens }) => tokens)]) {
    assert.equal(attention.length, 4)
    assert.ok(Math.abs(Array.from(attention).reduce((a, b) => a + b, 0) - 1) < 1e-5)
  }
  const headings = [...reportPage(report).matchAll(/<h2>/g)]
  assert.equal(headings.length, 10)

  // a model that describes every picture, and names the other object first
  let next = 0
  run.model.generate = async images =>
    Array.from({ length: images.shape[0] }, () => ({
      ids: words.encode(paraphrases(data.unseen.captions(next++)[0]).at(-1)!),
      logProbability: 0,
      score: 0,
      finished: true,
      alternatives: [],
    }))
  const { targets: reached, report: right } = await evaluateDemo(run, data, { signal: new AbortController().signal })
  assert.equal(reached.find(({ name }) => name.startsWith('captions'))?.value, 1)
  assert.ok(
    right.captions.some(({ reference, generated }) => reference !== generated),
    'no caption has two objects',
  )
  assert.ok(
    right.captions.every(({ isRight }) => isRight),
    'a true caption is called wrong',
  )
  assert.doesNotMatch(reportPage(right), /✗ wrong|<ins>/)
})

it('a picture has the name in the nearest caption, also if the two captions of each name are far apart', async t => {
  const { run, data, words } = await smallDemo(t)
  // the mean of both captions is the same direction for every name
  const embeddingOf = (caption: string) => {
    const [, size, ...name] = caption.split(' ')
    const turn = (Math.PI * (1 + pairNames.indexOf(name.join(' ')))) / (pairNames.length + 1)
    return [Math.cos(turn), 0, 0, 0, 0, 0, 0, 0].with(1, size === 'small' ? Math.sin(turn) : -Math.sin(turn))
  }
  const isSingle = (caption: string) => caption.split(' ').length === 4
  const captions = [data.unseen, data.heldOut].flatMap(source =>
    source.examples.map((_, i) => source.captions(i)[0]).filter(isSingle),
  )
  assert.ok(captions.length > data.heldOut.length)
  let next = 0
  run.model.encodeImage = images =>
    tensor(Array.from({ length: images.shape[0] }, () => embeddingOf(captions[next++] ?? captions[0])))
  run.model.encodeText = ids => {
    const [count, length] = ids.shape
    const all = Array.from(ids.dataSync())
    const texts = Array.from({ length: count }, (_, i) => words.decode(all.slice(i * length, (i + 1) * length)))
    return tensor(texts.map(embeddingOf))
  }
  const { targets, report } = await evaluateDemo(run, data, { signal: new AbortController().signal })
  assert.deepEqual(
    targets.slice(0, 2).map(({ value }) => value),
    [1, 1],
  )
  assert.deepEqual(report.zeroShot.confusions, [])
})
