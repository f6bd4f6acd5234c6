// Questions about Shapes: every answer is right and the only right one, and no text gives its answer away.

import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  COLOURS,
  decodeImageBytes,
  QuestionDataset,
  type Scene,
  SHAPES,
  SHAPES_TASKS,
  type ShapesObject,
  type ShapesQuestionOptions,
  type ShapesTask,
  shapesQuestion,
  writeShapesQuestions,
} from '../../../src/data/index.ts'
import { undrawnQuestion } from '../../../src/data/shapes/questions.ts'
import { OptionsError } from '../../../src/tensor/options.ts'
import { temporaryFolder } from '../folder.ts'

const NUMBERS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight']

function groupBy<T>(things: readonly T[], keyOf: (thing: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const thing of things) {
    const same = groups.get(keyOf(thing))
    if (same) same.push(thing)
    else groups.set(keyOf(thing), [thing])
  }
  return groups
}

const ask = (count: number, options: ShapesQuestionOptions, from = 0) =>
  Array.from({ length: count }, (_, i) => undrawnQuestion(from + i, options))

/** The objects that words such as 'small red circle', 'red shapes', 'circles' or 'object' name. */
const named = ({ objects }: Scene, words: string): ShapesObject[] =>
  objects.filter(({ size, colour, shape }) =>
    words.split(' ').every(word => {
      const singular = word === 'crosses' ? 'cross' : word.replace(/s$/, '')
      return ['shape', 'object', size, colour, shape].includes(SHAPES.includes(word as 'cross') ? word : singular)
    }),
  )

function one(scene: Scene, words: string): ShapesObject {
  const found = named(scene, words)
  assert.equal(found.length, 1, `'${words}' names ${found.length} objects`)
  return found[0]
}

/** Whether a is on this side of b; a test fails if this is not clear. */
function isOnSide(a: ShapesObject, b: ShapesObject, relation: string): boolean {
  const [dx, dy] = [a.x - b.x, a.y - b.y]
  const along = { above: -dy, below: dy, 'left of': -dx, 'right of': dx }[relation]!
  assert.ok(Math.abs(along) > Math.abs(Math.abs(dx) < Math.abs(dy) ? dx : dy) + 0.09)
  return along > 0
}

function answerTo(text: string, [scene]: readonly Scene[]): string {
  const [, words] = /^how many (.*) are there\?$/.exec(text) ?? []
  if (words) return NUMBERS[named(scene, words).length]
  const [, property, thing] = /^what (colour|shape|size) is the (.*)\?$/.exec(text) ?? []
  if (property) return one(scene, thing)[property as 'colour' | 'shape' | 'size']
  const [, a, relation, b] = /^is the (.*) (above|below|left of|right of) the (.*)\?$/.exec(text)!
  return isOnSide(one(scene, a), one(scene, b), relation) ? 'yes' : 'no'
}

function judge(text: string, [scene]: readonly Scene[]): string {
  const [, shape, colour] = /^the (\w+) is (\w+)$/.exec(text) ?? []
  if (shape) {
    const object = one(scene, shape)
    if (object.inShadow) return 'neutral'
    return object.colour === colour ? 'entailment' : 'contradiction'
  }
  const [, words, half] = /^there is an? (.*) (?:on|at) the (\w+)$/.exec(text)!
  if (scene.hidden === half) return 'neutral'
  const isThere = ({ x, y }: ShapesObject) => ({ left: x < 0.5, right: x > 0.5, top: y < 0.5, bottom: y > 0.5 })[half]!
  return named(scene, words).some(isThere) ? 'entailment' : 'contradiction'
}

function isTrue(text: string, scenes: readonly Scene[]): string {
  const shows = (words: string) => scenes.map(scene => named(scene, words.replace(/^an? /, '')).length > 0)
  const counts = scenes.map(({ objects }) => objects.length)
  const rules: readonly [RegExp, (words: string) => boolean][] = [
    [/^both pictures show (.*)$/, words => shows(words).every(Boolean)],
    [/^exactly one picture shows (.*)$/, words => shows(words).filter(Boolean).length === 1],
    [/^the left picture shows (an? .*) and the right one does not$/, words => shows(words).join() === 'true,false'],
    [/^there are (\w+) shapes in all$/, word => counts[0] + counts[1] === NUMBERS.indexOf(word)],
    [/^the (\w+) picture shows more shapes/, side => (side === 'left' ? counts[0] > counts[1] : counts[1] > counts[0])],
  ]
  const [rule, holds] = rules.find(([rule]) => rule.test(text))!
  return String(holds(rule.exec(text)![1]))
}

const RIGHT: Record<ShapesTask, (text: string, scenes: readonly Scene[]) => string> = {
  vqa: answerTo,
  entailment: judge,
  pairs: isTrue,
}

for (const task of SHAPES_TASKS) {
  test(`${task}: the answer is the one that the picture gives`, () => {
    for (const [count, options] of [
      [1500, { task }],
      [300, { task, level: 2, pairs: 'seen' }],
      [300, { task, level: 3, seed: 5 }],
    ] as const)
      for (const { text, label, answers, scenes } of ask(count, options)) {
        assert.equal(label, RIGHT[task](text, scenes), `${text} ${JSON.stringify(scenes)}`)
        assert.ok(answers.includes(label))
        assert.equal(scenes.length, task === 'pairs' ? 2 : 1)
      }
  })

  test(`${task}: a text gives its answer away to nobody`, () => {
    const options = { task, pairs: 'seen' } as const
    const [known, asked] = [ask(6000, options), ask(3000, options, 6000)]
    /** texts as a guess may see them: whole, or without the names of colours, sizes and shapes */
    const views = [
      (text: string) => text,
      (text: string) => text.replace(new RegExp(`\\b(small|large|${[...COLOURS, ...SHAPES].join('|')})\\b`, 'g'), '…'),
    ]
    const chance = asked.reduce((sum, { answers }) => sum + 1 / answers.length, 0) / asked.length
    for (const view of views) {
      const seen = new Map<string, Map<string, number>>()
      for (const { text, label } of known) {
        const labels = seen.get(view(text)) ?? new Map<string, number>()
        labels.set(label, (labels.get(label) ?? 0) + 1)
        seen.set(view(text), labels)
      }
      const guess = (text: string, answers: readonly string[]) =>
        [...(seen.get(view(text)) ?? [])].sort(([, a], [, b]) => b - a)[0]?.[0] ?? answers[0]
      const right = asked.filter(({ text, answers, label }) => guess(text, answers) === label).length
      // 2.6 standard deviations
      const luck = 2.6 * Math.sqrt((chance * (1 - chance)) / asked.length)
      assert.ok(right / asked.length < chance + luck, `${right / asked.length} right, by chance ${chance}`)
    }
  })

  test(`${task}: kinds, and the answers of each kind, are equally likely`, () => {
    const questions = ask(5000, { task, seed: 3 })
    const kinds = groupBy(questions, ({ kind }) => kind)
    for (const [kind, some] of kinds) {
      const near = (found: number, expected: number, what: string) =>
        assert.ok(Math.abs(found - expected) < 4 * Math.sqrt(expected), `${what}: ${found}, expected ${expected}`)
      near(some.length, questions.length / kinds.size, kind)
      const choices = groupBy(some, ({ answers }) => answers.join())
      for (const [answers, same] of choices)
        for (const answer of answers.split(','))
          near(same.filter(({ label }) => label === answer).length, same.length / answers.split(',').length, answer)
    }
  })

  test(`${task}: a question depends only on its index and the options`, () => {
    const question = shapesQuestion(40, { task, level: 2 })
    shapesQuestion(41, { task, level: 2 })
    assert.deepEqual(shapesQuestion(40, { task, level: 2 }), question)
    assert.equal(question.pixels.length, question.scenes.length)
    assert.notDeepEqual(shapesQuestion(40, { task, level: 2, seed: 1 }), question)
    assert.notDeepEqual(shapesQuestion(40, { task, level: 3 }), question)
  })
}

test('a text occurs with every answer', () => {
  for (const task of ['entailment', 'pairs'] as const) {
    const texts = groupBy(ask(12_000, { task }), ({ text }) => text)
    const often = [...texts.values()].filter(({ length }) => length >= 40)
    assert.ok(often.length > 30)
    for (const same of often)
      assert.deepEqual(new Set(same.map(({ label }) => label)), new Set(same[0].answers), same[0].text)
  }
})

test('a picture alone does not tell what it entails: each has something that cannot be seen, whatever the answer', () => {
  const questions = ask(4000, { task: 'entailment', seed: 8 })
  for (const { scenes } of questions) {
    const [{ objects, hidden }] = scenes
    assert.equal(objects.filter(({ inShadow }) => inShadow).length, hidden ? 0 : 1)
  }
  for (const half of ['left', 'right', 'top', 'bottom', undefined] as const) {
    const same = questions.filter(({ scenes }) => scenes[0].hidden === half)
    for (const answer of ['entailment', 'neutral', 'contradiction']) {
      const found = same.filter(({ label }) => label === answer).length
      assert.ok(
        Math.abs(found - same.length / 3) < 4 * Math.sqrt(same.length / 3),
        `${half}: ${found} of ${same.length}`,
      )
    }
  }
})

test('a folder of questions opens as a dataset, and equal seeds give equal bytes', async t => {
  const folder = await temporaryFolder(t)
  for (const task of SHAPES_TASKS) {
    const [out, again] = [join(folder, task), join(folder, `${task}-again`)]
    const options = { task, seed: 4, level: 2 } as const
    await writeShapesQuestions({ ...options, count: 6, out })
    await writeShapesQuestions({ ...options, count: 6, out: again })
    const names = await readdir(out, { recursive: true })
    assert.deepEqual(await readdir(again, { recursive: true }), names)
    for (const name of names.filter(name => name.includes('.')))
      assert.deepEqual(await readFile(join(again, name)), await readFile(join(out, name)))
    const images = task === 'pairs' ? 2 : 1
    const data = await QuestionDataset.open(out, { imageSize: 32, images })
    assert.equal(data.length, 6)
    for (let index = 0; index < 6; index++) {
      const { text, label, kind, pixels } = shapesQuestion(index, options)
      assert.deepEqual(data.captions(index), [text])
      assert.deepEqual(data.labels?.(index), [label])
      assert.equal(data.examples[index].fields.kind, kind)
      const read = await data.images(index)
      assert.equal(read.length, images * 3 * 32 * 32)
      for (const [i, bytes] of pixels.entries())
        for (const [channel, at] of [
          [0, 500],
          [2, 17],
        ])
          assert.equal(Math.round(read[(3 * i + channel) * 1024 + at] * 255), bytes[3 * at + channel])
    }
  }
  assert.deepEqual((await readdir(join(folder, 'pairs', 'images'))).slice(0, 2), [
    '000000-left.png',
    '000000-right.png',
  ])
  await assert.rejects(writeShapesQuestions({ task: 'vqa', out: join(folder, 'vqa'), count: 1 }), /is not empty/)
  await writeShapesQuestions({ task: 'vqa', out: join(folder, 'vqa'), count: 1, force: true })
  assert.equal((await decodeImageBytes(join(folder, 'vqa/images/000000.png'), { size: 32 })).length, 3 * 32 * 32)
})

test('a mistake in the options is an error that names it', async () => {
  assert.throws(() => shapesQuestion(0, {} as ShapesQuestionOptions), OptionsError)
  assert.throws(
    () => shapesQuestion(0, { task: 'vqas' as 'vqa' }),
    /task must be 'vqa', 'entailment' or 'pairs', not 'vqas'/,
  )
  assert.throws(() => shapesQuestion(0, { task: 'vqa', pairs: 'held-out' as 'all' }), /pairs must be 'all' or 'seen'/)
  assert.throws(() => shapesQuestion(0, { task: 'vqa', level: 0 as 1 }), /level must be 1, 2 or 3, not '0'/)
  assert.throws(() => shapesQuestion(-1, { task: 'vqa' }), /index must be a non-negative integer, not -1/)
  await assert.rejects(
    writeShapesQuestions({ task: 'vqa', out: 'x', count: 0 }),
    /count must be a positive integer, not 0/,
  )
})
