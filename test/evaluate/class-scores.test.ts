// What the measures of classification mean: top-1, top-5, the mean over classes, ties, examples of several classes.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ClassLabel, scoreClasses } from '../../src/evaluate/index.ts'
import { fc } from '../support.ts'

const namesOf = (count: number) => Array.from({ length: count }, (_, i) => `class ${i}`)
const score = (scores: readonly (readonly number[])[], labels: readonly ClassLabel[]) =>
  scoreClasses('score', {
    classes: namesOf(scores[0].length),
    labels,
    rows: scores.map((row, i) => ({ row: i, scores: row })),
  })

/** Scores of some examples, often equal, and the classes of each. */
const examples = fc.integer({ min: 1, max: 9 }).chain(classes =>
  fc.array(
    fc.record({
      scores: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: classes, maxLength: classes }),
      label: fc.uniqueArray(fc.nat(classes - 1), { minLength: 1, maxLength: 3 }),
    }),
    { minLength: 1, maxLength: 12 },
  ),
)

test('the measures are those of sorting each row, with wrong classes before right ones of equal score', async () => {
  await fc.assert(
    fc.asyncProperty(examples, async list => {
      const classes = list[0].scores.length
      const all = list.map(({ scores }) => scores)
      const labels = list.map(({ label }) => label)
      const result = await score(all, labels)
      const sorted = list.map(({ scores, label }) => {
        const isRight = (i: number) => label.includes(i)
        return [...scores.keys()].sort((a, b) => scores[b] - scores[a] || Number(isRight(a)) - Number(isRight(b)))
      })
      const right = (k: number) => sorted.map((order, i) => order.slice(0, k).some(c => labels[i].includes(c)))
      const share = (each: boolean[]) => each.filter(Boolean).length / Math.max(1, each.length)
      assert.equal(result.accuracy, share(right(1)))
      assert.equal(result.top5, classes > 5 ? share(right(5)) : undefined)
      assert.ok((result.top5 ?? 1) >= result.accuracy)
      for (const { class: name, count, accuracy } of result.perClass) {
        const own = right(1).filter((_, i) => labels[i].includes(namesOf(classes).indexOf(name)))
        assert.deepEqual([count, accuracy], [own.length, share(own)])
      }
      const present = result.perClass.filter(({ count }) => count > 0)
      const mean = present.reduce((sum, { accuracy }) => sum + accuracy, 0) / present.length
      assert.ok(Math.abs(result.meanPerClass - mean) < 1e-12)
      for (const [i, order] of sorted.entries()) {
        assert.equal(all[i][result.predictions[i]], all[i][order[0]], 'the predicted class has the largest score')
        assert.equal(labels[i].includes(result.predictions[i]), right(1)[i])
      }
      const cells = result.confusion.flatMap((row, i) => row.map((count, j) => ({ count, isDiagonal: i === j })))
      assert.equal(
        cells.reduce((sum, { count }) => sum + count, 0),
        list.length,
      )
      const diagonal = cells.reduce((sum, { count, isDiagonal }) => sum + (isDiagonal ? count : 0), 0)
      assert.equal(diagonal / list.length, result.accuracy)
    }),
  )
})

test('equal scores are right for no example, whatever the classes are', async () => {
  const labels = [0, 0, 0, 5, 6]
  const { accuracy, top5, meanPerClass } = await score(
    labels.map(() => new Array(8).fill(0.25)),
    labels,
  )
  assert.deepEqual([accuracy, top5, meanPerClass], [0, 0, 0])
})

test('the mean over classes does not depend on how many examples they have', async () => {
  // nine of ten examples are of class 0, which is always predicted
  const labels = [...new Array(9).fill(0), 1]
  const { accuracy, meanPerClass } = await score(
    labels.map(() => [1, 0, 0]),
    labels,
  )
  assert.deepEqual([accuracy, meanPerClass], [0.9, 0.5])
})

test('an example of several classes is right if one of them is predicted', async () => {
  const { accuracy, perClass, ranks } = await score(
    [
      [0, 3, 2],
      [0, 1, 2],
    ],
    [
      [0, 1],
      [1, 0],
    ],
  )
  assert.equal(accuracy, 0.5)
  assert.deepEqual([...ranks], [1, 2])
  assert.deepEqual(
    perClass.map(({ count, accuracy: own }) => [count, own]),
    [
      [2, 0.5],
      [2, 0.5],
      [0, 0],
    ],
  )
})

test('labels that are not classes throw', async () => {
  await assert.rejects(score([[0, 1]], [2]), /score: label 2 of image 0 is not one of 2 classes/)
  await assert.rejects(score([[0, 1]], [[]]), /score: image 0 has no label/)
})
