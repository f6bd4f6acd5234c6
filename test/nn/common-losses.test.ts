// Each of the common losses against its definition in loops, at extreme inputs, and for what it refuses.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { grad, type Reduction } from '../../src/autograd/index.ts'
import {
  bceWithLogitsLoss,
  cosineEmbeddingLoss,
  diceLoss,
  focalLoss,
  huberLoss,
  infoNceLoss,
  klDivergenceLoss,
  l1Loss,
  mseLoss,
  nllLoss,
  smoothL1Loss,
  tripletLoss,
} from '../../src/nn/index.ts'
import { DTypeError, full, IndexError, ShapeError, type Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import { assertCloseNumbers, values } from '../support.ts'
import { random, rows } from './support.ts'

const int = (data: readonly number[]) => tensor([...data], { dtype: 'int32' })
const sum = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0)
const dot = (x: readonly number[], y: readonly number[]) => sum(x.map((v, i) => v * y[i]))
const length = (x: readonly number[]) => Math.sqrt(dot(x, x))
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))

/** Compares every reduction with the losses that a loop computed. */
function assertReductions(loss: (reduction: Reduction) => Tensor, expected: readonly number[], weight?: number): void {
  assertCloseNumbers(values(loss('none')), [...expected])
  assertCloseNumbers(values(loss('sum')), [sum(expected)])
  assertCloseNumbers(values(loss('mean')), [sum(expected) / (weight ?? expected.length)])
}

describe('losses of a difference', () => {
  const [x, y] = [random([3, 4], 1).mul(3), random([3, 4], 2)]
  const differences = values(x).map((v, i) => v - values(y)[i])

  test('equal their formulas in every reduction', () => {
    assertReductions(
      reduction => mseLoss(x, y, { reduction }),
      differences.map(d => d * d),
    )
    assertReductions(
      reduction => l1Loss(x, y, { reduction }),
      differences.map(d => Math.abs(d)),
    )
    for (const delta of [0.5, 1, 2]) {
      const huber = differences.map(d => (Math.abs(d) <= delta ? (d * d) / 2 : delta * (Math.abs(d) - delta / 2)))
      assertReductions(reduction => huberLoss(x, y, { delta, reduction }), huber)
      assertReductions(
        reduction => smoothL1Loss(x, y, { beta: delta, reduction }),
        huber.map(loss => loss / delta),
      )
    }
    assertReductions(
      reduction => smoothL1Loss(x, y, { beta: 0, reduction }),
      differences.map(d => Math.abs(d)),
    )
  })

  test('the Huber losses have a bounded gradient for a difference that has no square, or is infinite', () => {
    for (const far of [1e30, Infinity]) {
      const slope = (f: (x: Tensor) => Tensor) => values(grad(f)(tensor([far, -far])))
      assertCloseNumbers(
        slope(x => huberLoss(x, zeros([2]), { delta: 2, reduction: 'sum' })),
        [2, -2],
      )
      assertCloseNumbers(
        slope(x => smoothL1Loss(x, zeros([2]), { beta: 2, reduction: 'sum' })),
        [1, -1],
      )
    }
  })

  test('a prediction and a target of other shapes are an error, though they broadcast', () => {
    for (const loss of [mseLoss, l1Loss, huberLoss, smoothL1Loss])
      assert.throws(
        () => loss(zeros([3, 1]), zeros([3])),
        (error: unknown) =>
          error instanceof ShapeError &&
          error.message.startsWith(`${loss.name}: the prediction [3, 1] and target [3] must`) &&
          error.message.includes('write target.reshape([3, 1])'),
      )
    assert.throws(() => huberLoss(zeros([2]), zeros([2]), { delta: 0 }), /huberLoss: delta must be above 0/)
    assert.throws(() => smoothL1Loss(zeros([2]), zeros([2]), { beta: -1 }), /smoothL1Loss: beta must be at least 0/)
  })

  test('the mean of nothing is 0', () => {
    assert.deepEqual(values(mseLoss(zeros([0, 2]), zeros([0, 2]))), [0])
  })
})

describe('losses of yes-or-no questions', () => {
  const x = random([3, 4], 1).mul(3)
  const y = random([3, 4], 2).sigmoid()
  const [logits, targets] = [values(x), values(y)]
  const hard = random([3, 4], 3).greater(0)
  const isPositive = values(hard)

  test('bceWithLogitsLoss equals its formula, with weights of elements and of positives', () => {
    const [weight, positives] = [random([4], 5).exp(), random([4], 6).exp()]
    const formula = (w: readonly number[], p: readonly number[]) =>
      logits.map((l, i) => {
        const q = sigmoid(l)
        return -w[i % 4] * (p[i % 4] * targets[i] * Math.log(q) + (1 - targets[i]) * Math.log(1 - q))
      })
    const one = [1, 1, 1, 1]
    assertReductions(reduction => bceWithLogitsLoss(x, y, { reduction }), formula(one, one))
    assertReductions(
      reduction => bceWithLogitsLoss(x, y, { reduction, weight, positiveWeight: positives }),
      formula(values(weight), values(positives)),
    )
    assertReductions(reduction => bceWithLogitsLoss(x, y, { reduction, positiveWeight: 3 }), formula(one, [3, 3, 3, 3]))
  })

  test('focalLoss equals its formula, and bceWithLogitsLoss where gamma is 0', () => {
    for (const gamma of [0.5, 2])
      for (const alpha of [undefined, 0.25])
        assertReductions(
          reduction => focalLoss(x, hard, { gamma, alpha, reduction }),
          logits.map((l, i) => {
            const p = isPositive[i] ? sigmoid(l) : 1 - sigmoid(l)
            const share = alpha === undefined ? 1 : isPositive[i] ? alpha : 1 - alpha
            return -share * (1 - p) ** gamma * Math.log(p)
          }),
        )
    assertCloseNumbers(values(focalLoss(x, y, { gamma: 0 })), values(bceWithLogitsLoss(x, y)))
  })

  test('keep their digits where the answer is sure and right', () => {
    const sure = tensor([80, -80])
    const expected = [Math.exp(-80), Math.exp(-80)]
    const relative = (loss: Tensor) => values(loss).map((l, i) => l / expected[i])
    const answers = tensor([true, false])
    assertCloseNumbers(relative(bceWithLogitsLoss(sure, answers, { reduction: 'none' })), [1, 1], 1e-4)
    assertCloseNumbers(relative(focalLoss(sure, answers, { gamma: 0, reduction: 'none' })), [1, 1], 1e-4)
  })

  test('both orders of gradients are finite at any finite logit', () => {
    const extreme = tensor([1e30, 1e30, -1e30, -1e30, 200, -200])
    const answers = tensor([true, false, true, false, true, true])
    for (const loss of [
      (x: Tensor) => bceWithLogitsLoss(x, answers, { positiveWeight: 2 }),
      (x: Tensor) => focalLoss(x, answers),
      (x: Tensor) => focalLoss(x, answers, { gamma: 0.5, alpha: 0.25 }),
    ]) {
      const slope = grad(loss)
      const found = [loss(extreme), slope(extreme), grad((x: Tensor) => slope(x).sum())(extreme)]
      for (const x of found) assert.ok(values(x).every(Number.isFinite), String(x))
      // positives that are far off have a slope below 0
      assert.ok(values(found[1])[2] < 0 && values(found[1])[1] > 0)
    }
  })

  test('diceLoss equals its formula for each mask, and is 0 for a mask that is right', () => {
    const p = random([2, 3, 4], 1).sigmoid()
    const masks = random([2, 3, 4], 2).greater(0)
    const [found, wanted] = [values(p), values(masks).map(Number)]
    const dice = (start: number, count: number, s: number) => {
      const [ps, ys] = [found.slice(start, start + count), wanted.slice(start, start + count)]
      return 1 - (2 * dot(ps, ys) + s) / (sum(ps) + sum(ys) + s)
    }
    assertReductions(reduction => diceLoss(p, masks, { reduction }), [dice(0, 12, 1), dice(12, 12, 1)])
    assertReductions(
      reduction => diceLoss(p, masks, { reduction, axis: -1, smooth: 0.5 }),
      [0, 4, 8, 12, 16, 20].map(start => dice(start, 4, 0.5)),
    )
    const empty = zeros([2, 3])
    assertCloseNumbers(values(diceLoss(empty, empty)), [0])
    assertCloseNumbers(values(diceLoss(masks.cast('float64'), masks)), [0])
    assertCloseNumbers(
      values(diceLoss(tensor([0.25, 1], { dtype: 'float64' }), tensor([1, 1]), { reduction: 'none', smooth: 0 })),
      [1 - 0.5 / 1.25, 0],
    )
  })

  test('refuse targets of another shape, and settings out of range', () => {
    for (const loss of [bceWithLogitsLoss, focalLoss]) assert.throws(() => loss(zeros([3, 1]), zeros([3])), ShapeError)
    assert.throws(() => diceLoss(zeros([3, 1]), zeros([3])), ShapeError)
    assert.throws(
      () => bceWithLogitsLoss(zeros([2, 3]), zeros([2, 3]), { positiveWeight: zeros([2]) }),
      /the positiveWeight \[2\] must broadcast to the logits \[2, 3\]/,
    )
    assert.throws(
      () => bceWithLogitsLoss(zeros([3]), zeros([3]), { weight: zeros([2, 3]) }),
      /the weight \[2, 3\] must broadcast to the logits \[3\]/,
    )
    assert.throws(() => focalLoss(zeros([2]), zeros([2]), { gamma: -1 }), /gamma must be at least 0/)
    assert.throws(() => focalLoss(zeros([2]), zeros([2]), { alpha: 2 }), /alpha must be in \[0, 1\], not 2/)
    assert.throws(() => diceLoss(zeros([2]), zeros([2]), { smooth: -1 }), /smooth must be at least 0/)
  })
})

describe('losses of distributions', () => {
  test('nllLoss picks the log-probability of each id, weighted, without the ignored ones', () => {
    const logP = random([2, 3, 4], 1).logSoftmax()
    const table = rows(logP)
    const ids = [3, 0, 1, 0, 2, 2]
    const at = int(ids).reshape([2, 3])
    const weights = [0.5, 1, 2, 4]
    const weight = tensor(weights, { dtype: 'float64' })
    const plain = (w: readonly number[], ignore?: number) =>
      ids.map((id, i) => (id === ignore ? 0 : -w[id] * table[i][id]))
    const total = (w: readonly number[], ignore?: number) => sum(ids.filter(id => id !== ignore).map(id => w[id]))
    const one = [1, 1, 1, 1]
    assertReductions(reduction => nllLoss(logP, at, { reduction }), plain(one))
    assertReductions(reduction => nllLoss(logP, at, { reduction, weight }), plain(weights), total(weights))
    assertReductions(reduction => nllLoss(logP, at, { reduction, ignore: 0 }), plain(one, 0), total(one, 0))
    assertReductions(
      reduction => nllLoss(logP, at, { reduction, weight, ignore: 2 }),
      plain(weights, 2),
      total(weights, 2),
    )
    assert.deepEqual(values(nllLoss(logP, int([5, 5, 5, 5, 5, 5]).reshape([2, 3]), { ignore: 5 })), [0])
  })

  test('nllLoss refuses ids and weights that do not fit', () => {
    assert.throws(
      () => nllLoss(zeros([2, 3]), int([0, 1, 2])),
      /ids \[3\] must be \[2\] for log-probabilities \[2, 3\]/,
    )
    assert.throws(() => nllLoss(zeros([2, 3]), zeros([2])), DTypeError)
    assert.throws(() => nllLoss(zeros([2, 3]), int([0, 3])), IndexError)
    assert.throws(() => nllLoss(zeros([2, 3]), int([0, 1]), { weight: zeros([2]) }), /weight must be \[3\]/)
  })

  test('klDivergenceLoss is Σ p (log p - log q), in that order, and 0 for equal distributions', () => {
    const [p, q] = [random([3, 4], 1).logSoftmax(), random([3, 4], 2).logSoftmax()]
    const [ps, qs] = [rows(p), rows(q)]
    assertReductions(
      reduction => klDivergenceLoss(p, q, { reduction }),
      ps.map((row, i) => sum(row.map((l, c) => Math.exp(l) * (l - qs[i][c])))),
    )
    assertCloseNumbers(values(klDivergenceLoss(p, p)), [0])
    assert.throws(() => klDivergenceLoss(p, zeros([4])), ShapeError)
  })

  test('a class that P does not have adds nothing to klDivergenceLoss, nor to its gradients', () => {
    const p = tensor([[0, -Infinity, -Infinity]], { dtype: 'float64' })
    const q = tensor([[Math.log(0.5), Math.log(0.5), -Infinity]], { dtype: 'float64' })
    assertCloseNumbers(values(klDivergenceLoss(p, q)), [Math.log(2)])
    assertCloseNumbers(values(grad((q: Tensor) => klDivergenceLoss(p, q))(q)), [-1, 0, 0])
    assertCloseNumbers(values(grad((p: Tensor) => klDivergenceLoss(p, q))(p)), [1 + Math.log(2), 0, 0])
    const curvature = (f: (x: Tensor) => Tensor, x: Tensor) => values(grad((y: Tensor) => grad(f)(y).sum())(x))
    assertCloseNumbers(
      curvature((p: Tensor) => klDivergenceLoss(p, q), p),
      [2 + Math.log(2), 0, 0],
    )
    assertCloseNumbers(
      curvature((q: Tensor) => klDivergenceLoss(p, q), q),
      [0, 0, 0],
    )
    // and a class that only Q lacks is infinitely surprising
    assert.deepEqual(values(klDivergenceLoss(q, p)), [Infinity])
  })
})

describe('losses of embeddings', () => {
  const [x, y, z] = [random([4, 3], 1), random([4, 3], 2), random([4, 3], 3)]
  const [xs, ys, zs] = [rows(x), rows(y), rows(z)]

  test('cosineEmbeddingLoss equals its formula, for bools and for signs', () => {
    const together = [true, false, false, true]
    const signs = tensor(together.map(t => (t ? 1 : -1)))
    for (const margin of [0, -0.8]) {
      const expected = xs.map((v, i) => {
        const cosine = dot(v, ys[i]) / (length(v) * length(ys[i]))
        return together[i] ? 1 - cosine : Math.max(0, cosine - margin)
      })
      for (const labels of [tensor(together), signs])
        assertReductions(reduction => cosineEmbeddingLoss(x, y, labels, { margin, reduction }), expected)
    }
    const none = zeros([1, 3])
    assert.deepEqual(values(cosineEmbeddingLoss(none, none, tensor([true]))), [1])
    assert.throws(() => cosineEmbeddingLoss(x, y, zeros([3])), /together \[3\] must be \[4\]/)
    assert.throws(() => cosineEmbeddingLoss(x, y, signs, { margin: 2 }), /margin must be in \[-1, 1\], not 2/)
  })

  test('tripletLoss equals its formula in every norm, with and without the swap', () => {
    const norms: [number, (x: readonly number[]) => number][] = [
      [1, v => sum(v.map(Math.abs))],
      [2, length],
      [Infinity, v => Math.max(...v.map(Math.abs))],
    ]
    for (const [p, norm] of norms)
      for (const swap of [false, true]) {
        const distance = (a: readonly number[], b: readonly number[]) => norm(a.map((v, i) => v - b[i] + 1e-6))
        const expected = xs.map((a, i) => {
          const apart = swap ? Math.min(distance(a, zs[i]), distance(ys[i], zs[i])) : distance(a, zs[i])
          return Math.max(0, distance(a, ys[i]) - apart + 0.7)
        })
        assertReductions(reduction => tripletLoss(x, y, z, { p, swap, margin: 0.7, reduction }), expected)
      }
    assert.throws(() => tripletLoss(x, y, zeros([3])), /the anchor \[4, 3\] and negative \[3\] must/)
    assert.throws(() => tripletLoss(x, y, z, { margin: -1 }), /margin must be at least 0/)
  })

  test('tripletLoss has finite gradients where the anchor is its positive', () => {
    const slope = grad((a: Tensor) => tripletLoss(a, x, z, { margin: 9 }))(x)
    assert.ok(values(slope).every(Number.isFinite))
  })

  /** -log of the share of the first */
  const chosen = (own: number, others: readonly number[]) => Math.log(sum([own, ...others].map(s => Math.exp(s - own))))

  test('infoNceLoss equals a loop over queries: keys of the others, shared negatives, and negatives of each', () => {
    const [shared, each] = [random([5, 3], 4), random([4, 2, 3], 5)]
    const [common, own] = [rows(shared), rows(each)]
    const temperature = 0.3
    const loop = (negatives: (i: number) => number[][]) =>
      xs.map((q, i) =>
        chosen(
          dot(q, ys[i]) / temperature,
          negatives(i).map(n => dot(q, n) / temperature),
        ),
      )
    assertReductions(
      reduction => infoNceLoss(x, y, { temperature, reduction }),
      loop(i => ys.filter((_, j) => j !== i)),
    )
    assertReductions(
      reduction => infoNceLoss(x, y, { temperature, reduction, negatives: shared }),
      loop(() => common),
    )
    assertReductions(
      reduction => infoNceLoss(x, y, { temperature, reduction, negatives: each }),
      loop(i => own.slice(2 * i, 2 * i + 2)),
    )
  })

  test('infoNceLoss is finite at any temperature, and refuses what does not fit', () => {
    assert.ok(values(grad((q: Tensor) => infoNceLoss(q, y, { temperature: 1e-6 }))(x)).every(Number.isFinite))
    assert.throws(() => infoNceLoss(x, y, { temperature: 0 }), /temperature must be above 0/)
    assert.throws(() => infoNceLoss(x, zeros([3, 3])), ShapeError)
    assert.throws(() => infoNceLoss(full([4], 1), full([4], 1)), /must be \[batch, width\], not \[4\]/)
    assert.throws(
      () => infoNceLoss(x, y, { negatives: zeros([2, 2, 3]) }),
      /negatives must be \[n, 3\] or \[4, n, 3\], not \[2, 2, 3\]/,
    )
  })
})
