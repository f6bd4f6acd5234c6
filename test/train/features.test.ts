// Training on features of a frozen encoder computes what training on the images does, and features are computed once.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { writeMovingShapes } from '../../src/data/index.ts'
import {
  checkRunConfig,
  type RunConfig,
  RunConfigError,
  readMetrics,
  resumeTraining,
  train,
} from '../../src/train/index.ts'
import { outcome, pictures, tinyModel } from './tiny.ts'

let folder: string
let data: string
let clips: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cocagrad-features-'))
  data = await pictures(folder)
  clips = join(folder, 'clips')
  await writeMovingShapes({ out: clips, count: 12, frames: 3 })
})
after(() => rm(folder, { recursive: true }))

const { image } = tinyModel
const settings = (others: object = {}): RunConfig =>
  checkRunConfig({
    family: 'classifier',
    model: { image },
    data,
    validation: 0.25,
    batchSize: 3,
    steps: 6,
    device: 'reference',
    checkpointEvery: 3,
    freeze: ['encoder'],
    guard: { every: 1 },
    ...others,
  }) as RunConfig

/** The checkpoint of a run, and its steps and evaluations. A check of the gradient is in float64, and features are in float32. */
const resultOf = async (name: string) => {
  const { checkpoint, metrics } = await outcome(join(folder, name), 6)
  const digests = checkpoint.map(bytes => createHash('sha256').update(bytes).digest('hex'))
  return { digests, metrics: metrics.filter(line => (line as { kind: string }).kind !== 'guard') }
}

describe('features', () => {
  for (const [what, others] of [
    ['images', {}],
    ['clips', { family: 'video-classifier', model: { image, frames: 3 }, data: '' }],
  ] as const)
    it(`of ${what} train the head to the same bits as the ${what} do`, async () => {
      const given = what === 'clips' ? { ...others, data: clips } : others
      await train(join(folder, `${what}-plain`), settings(given))
      const calls: number[] = []
      const cached = settings({ ...given, features: join(folder, `${what}-kept`) })
      await train(join(folder, `${what}-cached`), cached, { onFeatures: done => calls.push(done) })
      assert.deepEqual(await resultOf(`${what}-cached`), await resultOf(`${what}-plain`))
      assert.ok(calls.length > 1)
      const guards = (await readMetrics(join(folder, `${what}-cached`))).filter(line => line.kind === 'guard')
      assert.ok(guards.length > 0 && guards.every(({ ok }) => ok))
    })

  it('that are there are not computed again, by another run or a resumed one', async () => {
    const calls: number[] = []
    const onFeatures = (done: number) => void calls.push(done)
    const controller = new AbortController()
    const onStep = ({ step }: { readonly step: number }) => step === 3 && controller.abort()
    const options = { onFeatures, onStep, signal: controller.signal }
    await train(join(folder, 'again'), settings({ features: join(folder, 'images-kept') }), options)
    await resumeTraining(join(folder, 'again'), { onFeatures })
    assert.deepEqual(calls, [15, 15])
    assert.deepEqual((await resultOf('again')).digests, (await resultOf('images-plain')).digests)
  })

  it('of an interrupted computation are completed, and a half-written row is computed again', async () => {
    const kept = join(folder, 'interrupted')
    const controller = new AbortController()
    const onFeatures = (done: number) => {
      // as Ctrl-C does: a DOMException, which has a code as file errors do
      if (done >= 6) controller.abort()
    }
    const config = settings({ features: kept })
    const options = { signal: controller.signal, onFeatures }
    await assert.rejects(train(join(folder, 'stopped'), config, options), { name: 'AbortError' })
    const [rows] = (await readdir(kept)).filter(name => name.endsWith('.f32'))
    await appendFile(join(kept, rows), new Uint8Array(7))
    const calls: number[] = []
    await resumeTraining(join(folder, 'stopped'), { onFeatures: done => void calls.push(done) })
    assert.deepEqual(calls, [6, 9, 12, 15])
    assert.deepEqual(await resultOf('stopped'), await resultOf('images-plain'))
    const whole = (name: string) => readFile(join(folder, name, rows))
    assert.deepEqual(await whole('interrupted'), await whole('images-kept'))
  })

  it('of another encoder or of other pictures are other features', async () => {
    const kept = join(folder, 'several')
    const count = async () => (await readdir(kept)).filter(name => name.endsWith('.f32')).length
    await train(join(folder, 'first'), settings({ features: kept, steps: 1 }))
    await train(join(folder, 'seed'), settings({ features: kept, steps: 1, seed: 1 }))
    assert.equal(await count(), 2)
    await train(join(folder, 'scale'), settings({ features: kept, steps: 1, normalize: { mean: [0, 0, 0] } }))
    assert.equal(await count(), 3)
    await train(join(folder, 'same'), settings({ features: kept, steps: 1, optimizer: { learningRate: 0.1 } }))
    assert.equal(await count(), 3)
  })

  it('of a picture that cannot be read are left out and recorded, as the picture is', async () => {
    const broken = await pictures(join(folder, 'broken'))
    const list = (await readFile(join(broken, 'captions.jsonl'), 'utf8')).split('\n')
    const { file } = JSON.parse(list[4])
    await writeFile(join(broken, file), 'no picture')
    const skipped = new Set<string>()
    const config = settings({ data: broken, validation: 0, features: join(folder, 'kept-of-broken') })
    await train(join(folder, 'with-broken'), config, { onBadSample: bad => void skipped.add(bad.file) })
    assert.deepEqual([...skipped], [join(broken, file)])
  })

  const bad: [string, object, RegExp][] = [
    ['an encoder that is trained', { freeze: [] }, /features: needs a frozen encoder: list encoder in freeze/],
    ['an encoder of which a part is trained', { freeze: ['encoder.blocks'] }, /list encoder in freeze/],
    ['images that are changed at random', { augment: { flip: true } }, /augment.*leave it out/],
  ]
  for (const [what, others, message] of bad)
    it(`with ${what} are refused`, async () => {
      const config = settings({ features: join(folder, 'bad'), ...others })
      await assert.rejects(train(join(folder, `bad-${what.length}`), config), (error: unknown) => {
        assert.ok(error instanceof RunConfigError)
        assert.match(error.message, message)
        return true
      })
    })

  it('are no setting of a model that is not a classifier', () => {
    assert.throws(
      () => checkRunConfig({ data, model: 'tiny', steps: 1, features: 'kept' }),
      /features: is not a setting of a coca/,
    )
  })
})
