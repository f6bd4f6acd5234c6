// Each loss against its definition in loops, and its general properties.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { grad, normalize } from '../../src/autograd/index.ts'
import { captioningLoss, classificationLoss, contrastiveLoss, sigmoidContrastiveLoss } from '../../src/nn/index.ts'
import { full, ShapeError, type Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import { checkGradients } from '../../src/testing/index.ts'
import { assertCloseNumbers, fc, runs, values } from '../support.ts'
import { random, rows } from './support.ts'

const int = (data: number[] | number[][]) => tensor(data, { dtype: 'int32' })
const sum = (xs: readonly number[]) => xs.reduce((a, b) => a + b, 0)
const scalar = (x: Tensor) => {
  assert.deepEqual([...x.shape], [])
  return values(x)[0]
}

/** -log softmax(logits)[at] */
const surprise = (logits: readonly number[], at: number) => Math.log(sum(logits.map(x => Math.exp(x - logits[at]))))

const unit = (shape: readonly number[], seed: number) => normalize(random(shape, seed))

describe('contrastive loss', () => {
  const reduction = fc.constantFrom('sum' as const, 'mean' as const)
  const batch = fc.integer({ min: 1, max: 6 })

  /** Equation 2 in loops; images and texts of a group are each other's positives, in equal parts. */
  function plain(image: Tensor, text: Tensor, scale: number, groups: readonly number[]): number {
    const [xs, ys] = [rows(image), rows(text)]
    const direction = (from: number[][], to: number[][]) =>
      sum(
        from.map((x, i) => {
          const logits = to.map(y => scale * sum(x.map((v, c) => v * y[c])))
          const positives = groups.flatMap((g, j) => (g === groups[i] ? [j] : []))
          return sum(positives.map(j => surprise(logits, j))) / positives.length
        }),
      ) / from.length
    return direction(xs, ys) + direction(ys, xs)
  }

  test('equals a double loop over images and texts, as a sum and as a mean', () => {
    fc.assert(
      fc.property(batch, reduction, fc.nat(1000), (n, how, seed) => {
        const [image, text, scale] = [unit([n, 3], seed), unit([n, 3], seed + 1), 5]
        const expected = plain(image, text, scale, [...Array(n).keys()]) * (how === 'sum' ? 1 : 0.5)
        assertCloseNumbers([scalar(contrastiveLoss(image, text, scale, { reduction: how }))], [expected])
      }),
      runs(30),
    )
  })

  test('counts pairs of one group as positives', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2), { minLength: 1, maxLength: 6 }), reduction, (groups, how) => {
        const [image, text] = [unit([groups.length, 3], 1), unit([groups.length, 3], 2)]
        const found = contrastiveLoss(image, text, 4, { reduction: how, groups: int(groups) })
        assertCloseNumbers([scalar(found)], [plain(image, text, 4, groups) * (how === 'sum' ? 1 : 0.5)])
      }),
      runs(30),
    )
  })

  test('is unchanged by groups of one pair each', () => {
    const [image, text] = [unit([4, 3], 1), unit([4, 3], 2)]
    const groups = int([7, 3, 9, 1])
    assertCloseNumbers(
      [scalar(contrastiveLoss(image, text, 4, { reduction: 'sum', groups }))],
      [scalar(contrastiveLoss(image, text, 4, { reduction: 'sum' }))],
    )
  })

  test('is invariant to exchanging images and texts, and to the order of pairs', () => {
    fc.assert(
      fc.property(batch, reduction, fc.nat(1000), (n, how, seed) => {
        const [image, text] = [unit([n, 4], seed), unit([n, 4], seed + 1)]
        const loss = (a: Tensor, b: Tensor) => scalar(contrastiveLoss(a, b, 10, { reduction: how }))
        assertCloseNumbers(
          [loss(text, image), loss(image.flip(0), text.flip(0))],
          [loss(image, text), loss(image, text)],
        )
      }),
      runs(20),
    )
  })

  test('is 2 ln N as a sum and ln N as a mean if all embeddings are equal', () => {
    for (const n of [1, 2, 7]) {
      const same = normalize(full([n, 3], 1, { dtype: 'float64' }))
      for (const [how, expected] of [
        ['sum', 2 * Math.log(n)],
        ['mean', Math.log(n)],
      ] as const)
        assertCloseNumbers([scalar(contrastiveLoss(same, same, 14, { reduction: how }))], [expected])
    }
  })

  test('has right gradients for both embeddings and the scale', () => {
    for (const groups of [undefined, int([0, 1, 0])])
      checkGradients(
        (image, text, scale) =>
          contrastiveLoss(normalize(image), normalize(text), scale.exp(), { reduction: 'sum', groups }),
        [random([3, 2], 1), random([3, 2], 2), tensor(0.5)],
        { order: 2 },
      )
  })

  test('stays finite at any scale, and so do its gradients', () => {
    for (const dtype of ['float32', 'float64'] as const) {
      const [image, text] = [unit([4, 3], 1).cast(dtype), unit([4, 3], 2).cast(dtype)]
      const loss = (x: Tensor) => contrastiveLoss(x, text, 1e6, { reduction: 'sum' })
      assert.ok(Number.isFinite(scalar(loss(image))))
      assert.ok(values(grad(loss)(image)).every(Number.isFinite))
    }
  })

  test('throws with both shapes for images and texts that are not pairs', () => {
    assert.throws(
      () => contrastiveLoss(zeros([3, 4]), zeros([2, 4]), 1, { reduction: 'sum' }),
      (error: unknown) => error instanceof ShapeError && /\[3, 4\] and texts \[2, 4\]/.test(error.message),
    )
    assert.throws(() => contrastiveLoss(zeros([4]), zeros([4]), 1, { reduction: 'sum' }), ShapeError)
  })
})

describe('sigmoid contrastive loss', () => {
  const batch = fc.integer({ min: 1, max: 5 })

  test('equals a double loop over images and texts, with the positives of each group', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(3), { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        fc.nat(1000),
        (of, grouped, seed) => {
          const n = of.length
          const [image, text, scale, bias] = [unit([n, 3], seed), unit([n, 3], seed + 1), 5, -2]
          const [xs, ys] = [rows(image), rows(text)]
          const losses = xs.flatMap((x, i) =>
            ys.map((y, j) => {
              const logit = scale * sum(x.map((v, c) => v * y[c])) + bias
              return Math.log1p(Math.exp((grouped ? of[i] === of[j] : i === j) ? -logit : logit))
            }),
          )
          const found = sigmoidContrastiveLoss(image, text, scale, bias, { groups: grouped ? int(of) : undefined })
          assertCloseNumbers([scalar(found)], [sum(losses) / n])
        },
      ),
      runs(30),
    )
  })

  test('is invariant to exchanging images and texts', () => {
    fc.assert(
      fc.property(batch, fc.nat(1000), (n, seed) => {
        const [image, text] = [unit([n, 4], seed), unit([n, 4], seed + 1)]
        const loss = (a: Tensor, b: Tensor) => scalar(sigmoidContrastiveLoss(a, b, 10, -3))
        assertCloseNumbers([loss(text, image)], [loss(image, text)])
      }),
      runs(20),
    )
  })

  test('has right first and second gradients for both embeddings, the scale and the bias', () => {
    fc.assert(
      fc.property(fc.constantFrom([0, 1, 2], [0, 1, 0]), fc.nat(1000), (of, seed) => {
        checkGradients(
          (image, text, scale, bias) =>
            sigmoidContrastiveLoss(normalize(image), normalize(text), scale.exp(), bias, { groups: int([...of]) }),
          [random([3, 2], seed), random([3, 2], seed + 1), tensor(0.5), tensor(-1)],
          { order: 2 },
        )
      }),
      runs(3),
    )
  })

  test('stays finite at any scale, and so do its gradients', () => {
    for (const dtype of ['float32', 'float64'] as const) {
      const [image, text] = [unit([4, 3], 1).cast(dtype), unit([4, 3], 2).cast(dtype)]
      const loss = (x: Tensor) => sigmoidContrastiveLoss(x, text, 1e6, -10)
      assert.ok(Number.isFinite(scalar(loss(image))))
      assert.ok(values(grad(loss)(image)).every(Number.isFinite))
    }
  })

  test('throws with both shapes for images and texts that are not pairs', () => {
    assert.throws(() => sigmoidContrastiveLoss(zeros([3, 4]), zeros([2, 4]), 1, 0), /\[3, 4\] and texts \[2, 4\]/)
  })
})

describe('captioning loss', () => {
  const vocabulary = 4
  const captions = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 2, max: 5 })).chain(([batch, length]) =>
    fc.array(fc.array(fc.nat(vocabulary - 1), { minLength: length, maxLength: length }), {
      minLength: batch,
      maxLength: batch,
    }),
  )

  test('equals a double loop over captions and tokens, each predicted from the previous position', () => {
    fc.assert(
      fc.property(captions, fc.constantFrom(undefined, 0), fc.nat(100), (tokens, ignore, seed) => {
        const [batch, length] = [tokens.length, tokens[0].length]
        const logits = random([batch, length, vocabulary], seed)
        const table = rows(logits)
        const losses = tokens.flatMap((caption, b) =>
          caption.flatMap((token, t) =>
            t === 0 || token === ignore ? [] : [surprise(table[b * length + t - 1], token)],
          ),
        )
        const loss = (reduction: 'sum' | 'mean') => scalar(captioningLoss(logits, int(tokens), { reduction, ignore }))
        assertCloseNumbers(
          [loss('sum'), loss('mean')],
          [sum(losses) / batch, losses.length === 0 ? 0 : sum(losses) / losses.length],
        )
      }),
      runs(40),
    )
  })

  test('a prediction before padding changes nothing and gets no gradient', () => {
    const tokens = int([
      [1, 2, 3, 0],
      [3, 1, 0, 0],
    ])
    const logits = random([2, 4, 4])
    for (const reduction of ['sum', 'mean'] as const) {
      const gradient = rows(grad((x: Tensor) => captioningLoss(x, tokens, { reduction, ignore: 0 }))(logits))
      const silent = gradient.map(row => row.every(g => g === 0))
      assert.deepEqual(silent, [false, false, true, true, false, true, true, true])
    }
  })

  test('is ln V per token if all tokens are equally likely', () => {
    const tokens = int([[1, 2, 3, 1, 0]])
    const logits = full([1, 5, 9], 3, { dtype: 'float64' })
    const loss = (reduction: 'sum' | 'mean', ignore?: number) =>
      scalar(captioningLoss(logits, tokens, { reduction, ignore }))
    assertCloseNumbers(
      [loss('mean'), loss('sum'), loss('mean', 0), loss('sum', 0)],
      [Math.log(9), 4 * Math.log(9), Math.log(9), 3 * Math.log(9)],
    )
  })

  test('is large for a model that copies its input and small for one that predicts the next token', () => {
    const tokens = [[1, 2, 3, 0, 2]]
    const sure = (ids: number[]) => tensor([ids.map(id => Array.from({ length: 4 }, (_, v) => (v === id ? 20 : 0)))])
    const loss = (logits: Tensor) => scalar(captioningLoss(logits, int(tokens), { reduction: 'mean' }))
    assert.ok(loss(sure(tokens[0])) > 10)
    assert.ok(loss(sure([...tokens[0].slice(1), 1])) < 1e-6)
  })

  test('has right gradients', () => {
    const tokens = int([
      [1, 2, 0],
      [2, 1, 2],
    ])
    for (const reduction of ['sum', 'mean'] as const)
      checkGradients(x => captioningLoss(x, tokens, { reduction, ignore: 0 }), [random([2, 3, 3])], { order: 2 })
  })

  test('stays finite at large logits, and so do its gradients', () => {
    const tokens = int([[0, 1, 2]])
    const logits = random([1, 3, 3]).mul(1e6).cast('float32')
    const loss = (x: Tensor) => captioningLoss(x, tokens, { reduction: 'mean' })
    assert.ok(Number.isFinite(scalar(loss(logits))))
    assert.ok(values(grad(loss)(logits)).every(Number.isFinite))
  })

  test('throws with both shapes for logits that do not match the tokens', () => {
    assert.throws(
      () => captioningLoss(zeros([2, 3, 4]), int([[1, 2, 3]]), { reduction: 'sum' }),
      (error: unknown) =>
        error instanceof ShapeError &&
        /\[2, 3, 4\] must be \[batch, tokens, vocabulary\] for tokens \[1, 3\]/.test(error.message),
    )
  })
})

describe('classification loss', () => {
  const classes = 4
  const reductions = ['none', 'sum', 'mean'] as const

  /** -Σ ((1 - s) p + s / classes) log q for every row, in loops. */
  const plain = (logits: Tensor, targets: number[][], smoothing: number) =>
    rows(logits).map((row, i) => {
      const total = sum(targets[i])
      return sum(
        row.map((_, c) => ((1 - smoothing) * (targets[i][c] / total) + smoothing / classes) * surprise(row, c)),
      )
    })
  const reduced = (losses: number[], reduction: (typeof reductions)[number]) =>
    reduction === 'none' ? losses : [sum(losses) / (reduction === 'mean' ? losses.length : 1)]

  const oneHot = (ids: readonly number[]) =>
    ids.map(id => Array.from({ length: classes }, (_, c) => (c === id ? 1 : 0)))
  const smoothing = fc.constantFrom(0, 0.2, 1)

  test('equals a double loop in every reduction, for class ids and one-hot targets', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(classes - 1), { minLength: 1, maxLength: 5 }), smoothing, (ids, s) => {
        const logits = random([ids.length, classes])
        const expected = plain(logits, oneHot(ids), s)
        for (const reduction of reductions)
          for (const target of [int(ids), int(oneHot(ids)), tensor(oneHot(ids))])
            assertCloseNumbers(
              values(classificationLoss(logits, target, { reduction, smoothing: s })),
              reduced(expected, reduction),
            )
      }),
      runs(20),
    )
  })

  test('of several classes divides the target among them', () => {
    const row = fc.array(fc.nat(1), { minLength: classes, maxLength: classes }).filter(bits => sum(bits) > 0)
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 5 }), smoothing, (targets, s) => {
        const logits = random([targets.length, classes])
        for (const reduction of reductions)
          for (const target of [int(targets), tensor(targets.map(bits => bits.map(Boolean)))])
            assertCloseNumbers(
              values(classificationLoss(logits, target, { reduction, smoothing: s })),
              reduced(plain(logits, targets, s), reduction),
            )
      }),
      runs(20),
    )
  })

  test('a row without a class adds nothing, and makes no NaN', () => {
    const logits = random([2, classes])
    const target = tensor([
      [0, 0, 0, 0],
      [0, 1, 0, 1],
    ])
    const found = values(classificationLoss(logits, target, { reduction: 'none' }))
    assert.equal(Math.abs(found[0]), 0)
    const gradient = rows(grad((x: Tensor) => classificationLoss(x, target))(logits))
    assert.ok(gradient[0].every(g => Math.abs(g) === 0) && gradient[1].every(g => g !== 0))
  })

  test('is ln C if all classes are equally likely', () => {
    assertCloseNumbers([scalar(classificationLoss(zeros([2, 5], { dtype: 'float64' }), int([1, 4])))], [Math.log(5)])
  })

  test('has right gradients', () => {
    for (const target of [int([2, 0]), tensor([[1, 0, 1], [0, 1, 0]])]) // biome-ignore format: a matrix
      checkGradients(x => classificationLoss(x, target, { smoothing: 0.1 }), [random([2, 3])], { order: 2 })
  })

  test('stays finite at large logits, and so do its gradients', () => {
    const logits = tensor([[1e30, -1e30, 0]])
    assert.ok(Number.isFinite(scalar(classificationLoss(logits, int([0])))))
    assert.ok(values(grad((x: Tensor) => classificationLoss(x, int([1])))(logits)).every(Number.isFinite))
  })

  test('throws with both shapes for targets of another shape', () => {
    assert.throws(() => classificationLoss(zeros([2, 3]), int([1])), ShapeError)
    assert.throws(() => classificationLoss(zeros([2, 3]), zeros([2, 4])), ShapeError)
  })
})
