// Classifiers of pictures and of clips, trained on shards with labels: the classes are found before training, and a resumed run
// computes the same weights.

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { writeMovingShapes, writeShapes } from '../../src/data/index.ts'
import { examineRun } from '../../src/doctor/index.ts'
import { checkRunConfig, openRun, openRunData, resumeTraining, train } from '../../src/train/index.ts'
import { type Members, shardsOfMoving, writeTar } from '../data/shards/make.ts'
import { outcome, tinyJson, tinyModel } from './tiny.ts'

let folder: string
/** the data of a family, in shards */
const shards: Record<string, string> = {}
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cocagrad-shards-'))
  const moving = join(folder, 'moving')
  await writeMovingShapes({ out: moving, count: 24, frames: 4 })
  shards['video-classifier'] = await shardsOfMoving(moving, folder, 4)
  await writeShapes({ out: join(folder, 'shapes'), count: 24, objects: 1 })
  shards.classifier = await shardsOfShapes(join(folder, 'shapes'), folder, 4)
})
after(() => rm(folder, { recursive: true }))

/** Writes pictures as shards, whose labels are `.cls` files. @returns the list of the shards in braces */
async function shardsOfShapes(pictures: string, out: string, count: number): Promise<string> {
  const lines = (await readFile(join(pictures, 'captions.jsonl'), 'utf8')).trim().split('\n')
  for (let shard = 0; shard < count; shard++) {
    const members: Members[] = []
    for (const [i, line] of lines.entries()) {
      const { file, label } = JSON.parse(line)
      const picture = [`${i}.png`, await readFile(join(pictures, file))] as const
      if (i % count === shard) members.push([picture, [`${i}.cls`, label.split(' ')[0]]])
    }
    await writeTar(join(out, `pictures-${shard}.tar`), members.flat())
  }
  return join(out, `pictures-{0..${count - 1}}.tar`)
}

const { image } = tinyModel
const models = { classifier: { image }, 'video-classifier': { image, frames: 3 } } as const

for (const family of ['classifier', 'video-classifier'] as const)
  describe(`a ${family} on shards`, () => {
    const path = (name: string) => join(folder, `${family}-${name}`)
    const configOf = (others: Record<string, unknown> = {}) =>
      checkRunConfig(
        tinyJson(shards[family], { family, model: models[family], window: 2, steps: 8, evaluateEvery: 4, ...others }),
      )
    before(() => train(path('whole'), configOf()))

    it('has the classes of all shards, which were listed once', async () => {
      const listed: string[] = []
      const onShard = (done: number, all: number) => listed.push(`${done} of ${all}`)
      const trained = await train(path('classes'), configOf({ steps: undefined, epochs: 1 }), { onShard })
      assert.deepEqual(listed, ['1 of 3', '2 of 3', '3 of 3'], 'the held-out one was listed when it was opened')
      const expected = new Set<string>()
      const { train: data } = await openRunData({ config: { ...trained.config, validation: 0 } })
      assert.ok('all' in data)
      const source = await data.all()
      for (let index = 0; index < source.length; index++) for (const label of source.labels!(index)) expected.add(label)
      assert.ok('classes' in trained)
      assert.deepEqual(trained.classes, [...expected].sort())
      assert.ok(expected.size > 2)
    })

    it('computes the same weights when it is resumed as without the interruption', async () => {
      const stop = new AbortController()
      await train(path('parts'), configOf(), { signal: stop.signal, onStep: ({ step }) => step === 5 && stop.abort() })
      await resumeTraining(path('parts'), { onShard: () => assert.fail('the run knows its classes') })
      assert.deepEqual(await outcome(path('parts'), 8), await outcome(path('whole'), 8))
    })

    it('is measured on held-out shards, and examined by the doctor', async () => {
      const run = await openRun(path('whole'), { family })
      const { validation } = await openRunData(run)
      assert.equal(validation!.length, 6)
      assert.ok(validation!.labels)
      const { looked } = await examineRun(path('whole'))
      assert.ok(looked.gradients)
    })
  })

it('a classifier on shards without labels cannot be trained', async () => {
  await writeTar(join(folder, 'plain.tar'), [
    ['a.png', 'x'],
    ['a.txt', 'words'],
  ])
  const config = checkRunConfig(
    tinyJson(join(folder, 'plain.tar'), { family: 'classifier', model: models.classifier, validation: 0 }),
  )
  await assert.rejects(train(join(folder, 'plain'), config), {
    name: 'DataError',
    message: /plain\.tar: has no labels/,
  })
})
