// The losses of CoCa against plain loops over its outputs, and the parameters that each of them trains.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkpoint, concat, noGrad } from '../../src/autograd/index.ts'
import { Captioner, type CoCa, type CoCaConfig, DualEncoder } from '../../src/models/index.ts'
import { captioningLoss, contrastiveLoss, lossAndGradients, type TransformerBlock } from '../../src/nn/index.ts'
import { AdamW } from '../../src/optim/index.ts'
import { seed, type Tensor, tensor } from '../../src/tensor/index.ts'
import { assertCloseNumbers } from '../support.ts'
import {
  type ArrangementName,
  among,
  arranged,
  arrangements,
  assertAbove,
  assertBelow,
  coca,
  gradientsOf,
  ids,
  largestOf,
  pad,
  pictures,
  rowsOf,
  small,
  texts,
  transplant,
} from './small.ts'

/** The number of a scalar; a loss that was left out has none. */
const value = (x: Tensor | undefined): number => x!.dataSync()[0]
const weights = (contrastive: number, captioning: number): CoCaConfig => ({
  ...small,
  loss: { contrastive: { weight: contrastive }, captioning: { weight: captioning } },
})

/** Equation 2, with positives where `same` says so: [image → text, text → image], each a mean over the batch. */
function contrastiveLoops(model: CoCa, images: Tensor, tokens: Tensor, same = (i: number, j: number) => i === j) {
  const { image, text, scale } = model.forward(images, tokens)
  const [x, y] = [rowsOf(image), rowsOf(text)]
  const n = x.length
  const s = (i: number, j: number) => value(scale) * x[i].reduce((sum, a, k) => sum + a * y[j][k], 0)
  const direction = (score: (i: number, j: number) => number) => {
    let loss = 0
    for (let i = 0; i < n; i++) {
      let total = 0
      for (let j = 0; j < n; j++) total += Math.exp(score(i, j))
      const positives = [...Array(n).keys()].filter(j => same(i, j))
      for (const j of positives) loss -= Math.log(Math.exp(score(i, j)) / total) / positives.length / n
    }
    return loss
  }
  return [direction(s), direction((i, j) => s(j, i))]
}

/** Equation 3: -Σ log p(next token), and how many tokens that are. */
function captioningLoops(model: CoCa, images: Tensor, tokens: Tensor) {
  const logits = model.forward(images, tokens).logits
  let sum = 0
  let count = 0
  rowsOf(tokens).forEach((row, b) => {
    for (let t = 0; t + 1 < row.length; t++) {
      if (row[t + 1] === pad) continue
      const line = [...logits.slice([b, t]).dataSync()]
      sum -= line[row[t + 1]] - Math.log(line.reduce((total, x) => total + Math.exp(x), 0))
      count++
    }
  })
  return { sum, count }
}

describe('the losses equal plain loops over the outputs', () => {
  const images = pictures(3)
  for (const arrangement of arrangements) {
    it(`as means, λ 1 and 2, by default (${arrangement})`, () => {
      const model = coca(arranged(arrangement))
      const { total, contrastive, captioning } = model.loss(images, texts)
      const [a, b] = contrastiveLoops(model, images, texts)
      const { sum, count } = captioningLoops(model, images, texts)
      assert.equal(count, 10)
      assertCloseNumbers([value(contrastive), value(captioning)], [(a + b) / 2, sum / count], 1e-12)
      assertCloseNumbers([value(total)], [(a + b) / 2 + (2 * sum) / count], 1e-12)
    })
  }

  it('as sums, as in the paper, with any λ', () => {
    const model = coca({
      ...small,
      loss: { contrastive: { weight: 0.7, reduction: 'sum' }, captioning: { weight: 1.3, reduction: 'sum' } },
    })
    const { total, contrastive, captioning } = model.loss(images, texts)
    const [a, b] = contrastiveLoops(model, images, texts)
    const perImage = captioningLoops(model, images, texts).sum / 3
    assertCloseNumbers([value(contrastive), value(captioning)], [a + b, perImage], 1e-12)
    assertCloseNumbers([value(total)], [0.7 * (a + b) + 1.3 * perImage], 1e-12)
  })

  it('with texts of one group as positives of each other', () => {
    const model = coca()
    const groups = tensor([8, 1, 8], { dtype: 'int32' })
    const [a, b] = contrastiveLoops(model, images, texts, (i, j) => (i === 1) === (j === 1))
    const loss = model.loss(images, texts, { groups })
    assertCloseNumbers([value(loss.contrastive)], [(a + b) / 2], 1e-12)
    const apart = model.loss(images, texts)
    assertAbove(Math.abs(value(apart.contrastive) - value(loss.contrastive)), 1e-3)
    assert.equal(value(apart.captioning), value(loss.captioning))
  })

  it('with equal captions in one group, as without groups: equal texts have equal logits', () => {
    const model = coca()
    const twice = texts.take(tensor([0, 1, 0], { dtype: 'int32' }))
    const groups = tensor([8, 1, 8], { dtype: 'int32' })
    const [together, apart] = [{ groups }, {}].map(options => model.loss(images, twice, options).contrastive)
    assertCloseNumbers([value(together)], [value(apart)], 1e-14)
  })

  it('with different numbers for all groups, as without groups', () => {
    const model = coca()
    const groups = tensor([3, 1, 2], { dtype: 'int32' })
    assertCloseNumbers(
      [value(model.loss(images, texts, { groups }).total)],
      [value(model.loss(images, texts).total)],
      1e-14,
    )
  })

  it('a score is the sum of the log-probabilities of a text, without its first token and its padding', () => {
    const model = coca()
    const { sum } = captioningLoops(model, images, texts)
    const scores = [...model.score(images, texts).dataSync()]
    assert.equal(scores.length, 3)
    assertCloseNumbers([scores.reduce((a, b) => a + b)], [-sum], 1e-12)
  })
})

describe('every parameter', () => {
  for (const arrangement of arrangements) {
    it(`gets a gradient, except key biases, which softmax cancels (${arrangement})`, () => {
      const model = coca(arranged(arrangement))
      const gradients = gradientsOf(model, () => model.loss(pictures(3), texts).total)
      assert.equal(gradients.size, [...model.namedParameters()].length)
      for (const [name, gradient] of gradients) {
        // q · (k + b) adds q · b to every score of a row
        if (name.endsWith('key.bias')) assert.ok(largestOf(gradient) < 1e-14, `${name}: ${largestOf(gradient)}`)
        else assert.ok(largestOf(gradient) > 1e-6, `${name}: ${largestOf(gradient)}`)
      }
    })
  }

  it('gets a gradient in every element, except for ids and positions that no text has', () => {
    const model = coca()
    const full = ids([
      [1, 3, 4, 5, 6, 2],
      [1, 6, 5, 4, 3, 2],
      [1, 4, 4, 3, 5, 2],
    ])
    for (const [name, gradient] of gradientsOf(model, () => model.loss(pictures(3), full).total)) {
      if (name.endsWith('key.bias')) continue
      const zeros = gradient.flatMap((g, i) => (g === 0 ? [i] : []))
      const expected = name === 'unimodal.embedding.weight' ? [0, 1, 2, 3, 4, 5, 6, 7] : []
      assert.deepEqual(zeros, expected, name)
    }
  })
})

describe('λ = 0', () => {
  const images = pictures(3)
  const hasContrastivePooler = (name: ArrangementName) => name !== 'shared' && name !== 'none'
  /** what only the contrastive loss reaches, and what only the captioning loss reaches */
  const onlyContrastive = {
    cascade: among(
      'contrastivePooler.',
      'imageProjection.',
      'textProjection.',
      'unimodal.norm.',
      'unimodal.classToken',
      'logScale',
    ),
    shared: among('imageProjection.', 'textProjection.', 'unimodal.norm.', 'unimodal.classToken', 'logScale'),
  }
  const onlyCaptioning = {
    cascade: among('multimodal.'),
    parallel: among('multimodal.', 'generativePooler.'),
    shared: among('multimodal.'),
    none: among('multimodal.'),
    unpooled: among('multimodal.'),
  }

  for (const arrangement of arrangements) {
    const made = (config: CoCaConfig) => coca(arranged(arrangement, config))
    const namesOf = (model: CoCa) => [...model.namedParameters()].map(([name]) => name)

    /** Only what `unneeded` does not name gets a gradient, all of it does, and nothing is reported as unused. */
    const zeroed = (config: CoCaConfig, unneeded: (name: string) => boolean) => {
      const model = made(config)
      const { gradients, unused } = lossAndGradients(model, () => model.loss(images, texts))
      const needed = namesOf(model).filter(name => !unneeded(name))
      assert.deepEqual([[...gradients.keys()], unused], [needed, []])
      for (const [name, gradient] of gradients)
        if (!name.endsWith('key.bias')) assertAbove(largestOf(gradient.dataSync()), 0)
      return model
    }

    const cases = [
      { what: 'captions', config: weights(1, 0), unneeded: onlyCaptioning[arrangement] },
      {
        what: 'contrast',
        config: weights(0, 2),
        unneeded: onlyContrastive[hasContrastivePooler(arrangement) ? 'cascade' : 'shared'],
      },
    ]
    for (const { what, config, unneeded } of cases)
      it(`for ${what} does not change parameters that only they need, even with decay (${arrangement})`, () => {
        const model = made(config)
        const before = new Map([...model.namedParameters()].map(([name, p]) => [name, [...p.dataSync()]]))
        new AdamW(model, { weightDecay: 0.1 }).minimize(() => model.loss(images, texts).total, { learningRate: 0.1 })
        const moved = [...model.namedParameters()].filter(
          ([name, p]) => before.get(name)!.join() !== [...p.dataSync()].join(),
        )
        assert.deepEqual(
          moved.map(([name]) => name),
          namesOf(model).filter(name => !unneeded(name)),
        )
      })

    it(`for captions computes no logits, and for contrast no embedding (${arrangement})`, () => {
      const never = { forward: () => assert.fail('is computed') }
      const dual = made(weights(1, 0))
      Reflect.set(dual, 'multimodal', never)
      if (arrangement === 'parallel') Reflect.set(dual, 'generativePooler', never)
      assert.deepEqual(Object.keys(dual.loss(images, texts)), ['total', 'contrastive'])
      const captioner = made(weights(0, 2))
      for (const field of ['imageProjection', 'textProjection']) Reflect.set(captioner, field, never)
      Reflect.set(captioner.unimodal, 'norm', never)
      if (captioner.contrastivePooler) Reflect.set(captioner, 'contrastivePooler', never)
      assert.deepEqual(Object.keys(captioner.loss(images, texts)), ['total', 'captioning'])
    })

    it(`for captions trains exactly the parts of a dual encoder (${arrangement})`, () => {
      const model = zeroed(weights(1, 0), onlyCaptioning[arrangement])
      const { total, contrastive } = model.loss(images, texts)
      assert.equal(value(total), value(contrastive))
    })

    it(`for contrast trains exactly the parts of a captioner (${arrangement})`, () => {
      const model = zeroed(weights(0, 2), onlyContrastive[hasContrastivePooler(arrangement) ? 'cascade' : 'shared'])
      const { total, captioning } = model.loss(images, texts)
      assert.equal(value(total), 2 * value(captioning))
    })
  }

  it('for both throws, because no loss is left', () => {
    assert.throws(() => coca(weights(0, 0)), /^ConfigError: loss\.captioning\.weight = 0/)
  })

  it('for captions gives the loss and gradients of a DualEncoder with the same weights', () => {
    const image = { ...small.image, width: 8 }
    const pooler = { ...small.pooler, arrangement: 'parallel' as const }
    const model = coca({ ...weights(1, 0), image, pooler })
    const dual = new DualEncoder({ image, text: small.text, embedding: small.embedding })
    const rename = (name: string) => name.replace(/^contrastivePooler/, 'pooler').replace(/^unimodal/, 'text')
    transplant(model, dual, name => (onlyCaptioning.parallel(name) ? undefined : rename(name)))
    assertCloseNumbers([value(dual.loss(images, texts).total)], [value(model.loss(images, texts).total)], 1e-14)
    const expected = gradientsOf(dual, () => dual.loss(images, texts).total)
    const actual = gradientsOf(model, () => model.loss(images, texts).total)
    for (const [name, gradient] of actual)
      if (!onlyCaptioning.parallel(name)) assertCloseNumbers(gradient, expected.get(rename(name))!, 1e-12)
  })

  it('for contrast gives the loss and gradients of a Captioner with the same weights that sees the pooled image', () => {
    const model = coca(weights(0, 1))
    const captioner = new Captioner({ image: { ...small.image, width: 8 }, text: small.text })
    const rename = (name: string) => name.replace(/^unimodal/, 'text').replace(/^multimodal/, 'decoder')
    const shared = among('unimodal.', 'multimodal.')
    transplant(model, captioner, name => (shared(name) ? rename(name) : undefined))
    Reflect.set(captioner, 'encoder', { forward: (x: Tensor) => model.imageFeatures(x).tokens })
    const loss = captioner.loss(images, texts)
    assertCloseNumbers([value(loss.total)], [value(model.loss(images, texts).total)], 1e-14)
    const expected = gradientsOf(captioner, () => captioner.loss(images, texts).total)
    const actual = gradientsOf(model, () => model.loss(images, texts).total)
    // what only a summary needs is frozen there
    const none = (gradient: number[]) => gradient.map(() => 0)
    for (const [name, gradient] of actual)
      if (shared(name)) assertCloseNumbers(gradient, expected.get(rename(name)) ?? none(gradient), 1e-12)
  })
})

describe('a contrastive loss over parts of a batch', () => {
  it('has gradients that add up to those of the whole: first embeddings, then each part again', () => {
    const model = coca()
    const images = pictures(6)
    const tokens = concat([texts, texts.flip(1)])
    const whole = gradientsOf(model, () => {
      const { image, text, scale } = model.forward(images, tokens)
      return contrastiveLoss(image, text, scale, { reduction: 'mean' })
    })
    const parts = [0, 2, 4].map(from => {
      const part = [{ start: from, stop: from + 2 }]
      return { images: images.slice(part), tokens: tokens.slice(part) }
    })
    const known = parts.map(part =>
      noGrad(() => ({ image: model.encodeImage(part.images), text: model.encodeText(part.tokens) })),
    )
    const sums = new Map<string, number[]>()
    for (const [i, part] of parts.entries()) {
      const gradients = gradientsOf(model, () => {
        const own = { image: model.encodeImage(part.images), text: model.encodeText(part.tokens) }
        const all = known.with(i, own)
        // the temperature is in every part's loss: it counts once
        const scale = i === 0 ? model.logScale.exp() : model.logScale.stopGradient().exp()
        const [image, text] = [concat(all.map(x => x.image)), concat(all.map(x => x.text))]
        return contrastiveLoss(image, text, scale, { reduction: 'mean' })
      })
      for (const [name, gradient] of gradients) {
        const sum = sums.get(name) ?? gradient.map(() => 0)
        sums.set(
          name,
          gradient.map((g, k) => g + sum[k]),
        )
      }
    }
    for (const [name, gradient] of whole) assertCloseNumbers(sums.get(name)!, gradient, 1e-12)
  })
})

describe('the temperature', () => {
  it('starts at 0.07 and is learned', () => {
    const model = coca(small, 1, 0)
    assertCloseNumbers([value(model.forward(pictures(2), texts.slice([{ stop: 2 }])).scale)], [1 / 0.07], 1e-6)
    const gradient = gradientsOf(model, () => model.loss(pictures(3), texts).contrastive!).get('logScale')!
    assertAbove(Math.abs(gradient[0]), 1e-6)
  })

  it('is kept within [1 / maximum, 1] by constrain, and not changed inside', () => {
    const model = coca({ ...small, temperature: { initial: 0.1, maximumScale: 50 } }, 1, 0)
    const after = (logScale: number) => {
      model.logScale.assign(tensor(logScale, { dtype: 'float64' }))
      model.constrain()
      return value(model.logScale)
    }
    assertCloseNumbers([after(9), after(-1), after(2)], [Math.log(50), 0, 2], 1e-15)
  })
})

describe('checkpointed blocks', () => {
  it('do not change loss and gradients', () => {
    const model = coca()
    const compute = () => lossAndGradients(model, () => model.loss(pictures(3), texts))
    const plain = compute()
    const blocks: TransformerBlock[] = [...model.encoder.blocks, ...model.unimodal.blocks, ...model.multimodal.blocks]
    for (const block of blocks) block.forward = checkpoint(block.forward.bind(block))
    const again = compute()
    assert.equal(value(again.loss.total), value(plain.loss.total))
    for (const [name, gradient] of plain.gradients)
      assertCloseNumbers([...again.gradients.get(name)!.dataSync()], [...gradient.dataSync()], 1e-13)
  })
})

describe('dropout', () => {
  const model = coca({ ...small, dropout: 0.3 })
  const plain = coca(small)
  plain.loadStateDict(model.stateDict())
  const total = (which: CoCa) => value(which.loss(pictures(3), texts).total)

  it('is random in training, and the same from the same seed', () => {
    seed(4)
    const [first, second] = [total(model), total(model)]
    assert.notEqual(first, second)
    seed(4)
    assert.equal(total(model), first)
  })

  it('does nothing in evaluation, and is active again in training', () => {
    model.eval()
    assert.equal(total(model), total(plain))
    model.train()
    assert.notEqual(total(model), total(plain))
  })

  it('lets gradients through in training', () => {
    const gradients = gradientsOf(model, () => model.loss(pictures(3), texts).total)
    const dead = [...gradients].filter(([name, g]) => !name.endsWith('key.bias') && largestOf(g) === 0)
    assert.deepEqual(dead, [])
  })
})

describe('a model that copies its input', () => {
  it('has a low score: position t predicts token t + 1', () => {
    const tokens = ids([[1, 3, 4, 5, 6, 2]])
    const copying = tensor(
      [1, 3, 4, 5, 6, 2].map(id => Array.from({ length: 7 }, (_, i) => (i === id ? 9 : 0))),
      { dtype: 'float64' },
    ).unsqueeze(0)
    const predicting = copying.take(tensor([1, 2, 3, 4, 5, 0], { dtype: 'int32' }), { axis: 1 })
    assertAbove(value(captioningLoss(copying, tokens, { reduction: 'mean' })), 8)
    assertBelow(value(captioningLoss(predicting, tokens, { reduction: 'mean' })), 0.01)
  })
})
