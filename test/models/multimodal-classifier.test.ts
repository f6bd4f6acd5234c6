// The classifier of images with a text: it is CoCa's decoder with a new head, blind to padding, and sees which image comes first.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CoCa, MultimodalClassifier, type MultimodalClassifierConfig, MultimodalHead } from '../../src/models/index.ts'
import { ConfigError, captioningLoss, classificationLoss, lossAndGradients } from '../../src/nn/index.ts'
import { Generator, randn, ShapeError, type Tensor, tensor } from '../../src/tensor/index.ts'
import { assertCloseNumbers } from '../support.ts'
import {
  arranged,
  arrangements,
  assertAbove,
  ids,
  largestOf,
  pictures,
  small,
  stirred,
  texts,
  transplant,
} from './small.ts'

const { image, text, pooler } = small
const images = pictures(3)
const pairs = randn([3, 2, 3, 8, 8], { dtype: 'float64', generator: new Generator(4) })
const targets = tensor([2, 0, 3], { dtype: 'int32' })
const numbers = (x: Tensor): number[] => [...x.dataSync()]
const classifier = (others: Partial<MultimodalClassifierConfig> = {}) =>
  stirred(() => new MultimodalClassifier({ image, text, pooler, classes: 4, ...others }))
const withCaptions = { loss: { captioning: { weight: 0.5 } } }

describe('a classifier of images with a text', () => {
  for (const arrangement of arrangements)
    it(`has CoCa's decoder, and its parts by the same names (${arrangement})`, () => {
      const { embedding: _, ...config } = arranged(arrangement)
      const coca = stirred(() => new CoCa({ ...config, embedding: 8 }), 2)
      const model = classifier(config)
      const given = new Map(coca.namedParameters())
      const missing = [...model.namedParameters()].filter(
        ([name, x]) => String(given.get(name)?.shape) !== `${x.shape}`,
      )
      assert.ok(missing.length > 0 && missing.every(([name]) => name.startsWith('head.')))
      const own = new Set([...model.namedParameters()].map(([name]) => name))
      transplant(coca, model, name => (own.has(name) ? name : undefined))
      const logits = model.multimodal.output.forward(model.states(images, texts).slice([{}, 0]))
      assertCloseNumbers(numbers(logits), numbers(coca.logits(images, texts)), 1e-12)
    })

  it('takes one image with or without an axis of images', () => {
    const model = classifier()
    assert.deepEqual(model.forward(images, texts).shape, [3, 4])
    assert.deepEqual(numbers(model.forward(images.unsqueeze(1), texts)), numbers(model.forward(images, texts)))
  })

  it('has other logits for another text, another image, and images in another order', () => {
    const model = classifier({ images: 2 })
    const logits = model.forward(pairs, texts)
    const swapped = pairs.take(tensor([1, 0], { dtype: 'int32' }), { axis: 1 })
    const other = ids([
      [1, 4, 4, 5, 6, 2],
      [1, 5, 4, 2, 0, 0],
      [1, 5, 2, 0, 0, 0],
    ])
    for (const changed of [
      model.forward(swapped, texts),
      model.forward(pairs, other),
      model.forward(pairs.neg(), texts),
    ])
      for (let row = 0; row < 3; row++)
        assertAbove(largestOf(numbers(changed.slice([row]).sub(logits.slice([row])))), 1e-3)
  })

  it('joins what it pools from each image before the linear layer', () => {
    const model = classifier({ images: 2 })
    const { head } = model
    const pooled = [0, 1].map(at => {
      const states = model.states(pairs, texts).slice([{}, at])
      const [batch, tokens] = texts.shape
      const mask = texts.notEqual(text.pad).reshape([batch, 1, 1, tokens])
      return head.pooler.forward(states, { mask }).slice([{}, 0])
    })
    const [first, second] = pooled.map((x, at) =>
      x.matmul(head.output.weight.slice([{}, { start: at * text.width, stop: (at + 1) * text.width }]).transpose()),
    )
    const expected = first.add(second).add(head.output.bias!)
    assertCloseNumbers(numbers(model.forward(pairs, texts)), numbers(expected), 1e-12)
  })

  it('has the same logits with more padding', () => {
    const model = classifier({ images: 2 })
    const short = texts.slice([{ start: 1 }, { stop: 4 }])
    const some = pairs.slice([{ start: 1 }])
    const whole = numbers(model.forward(some, texts.slice([{ start: 1 }])))
    assertCloseNumbers(numbers(model.forward(some, short)), whole, 1e-12)
  })

  it('without a padding id pools every token', () => {
    const model = classifier({ text: { ...text, pad: undefined } })
    assert.equal(model.textMask(texts), undefined)
    const states = model.states(images, texts)
    assertCloseNumbers(numbers(model.head.forward(states)), numbers(model.forward(images, texts)), 1e-12)
  })

  it('adds the captioning loss with its weight', () => {
    const model = classifier({ images: 2, ...withCaptions })
    const { total, classification, captioning } = model.loss(pairs, texts, targets, { smoothing: 0.1 })
    const logits = [0, 1].map(at => model.multimodal.output.forward(model.states(pairs, texts).slice([{}, at])))
    const each = logits.map(x => captioningLoss(x, texts, { reduction: 'mean', ignore: text.pad }).dataSync()[0])
    const expected = classificationLoss(model.forward(pairs, texts), targets, { smoothing: 0.1 })
    assertCloseNumbers(numbers(classification), numbers(expected), 1e-12)
    assertCloseNumbers(numbers(captioning!), [(each[0] + each[1]) / 2], 1e-12)
    assertCloseNumbers(numbers(total), [numbers(classification)[0] + 0.5 * numbers(captioning!)[0]], 1e-12)
  })

  for (const [name, others, losses, frozen] of [
    [
      'without the captioning loss',
      {},
      ['total', 'classification'],
      ['multimodal.output.weight', 'multimodal.output.bias'],
    ],
    ['with it', withCaptions, ['total', 'classification', 'captioning'], []],
  ] as const)
    it(`trains the parameters that its loss needs, and freezes the others: ${name}`, () => {
      const model = classifier(others)
      const off = [...model.namedParameters()].filter(([, { trainable }]) => !trainable).map(([name]) => name)
      const unimodal = ['unimodal.classToken', 'unimodal.norm.weight', 'unimodal.norm.bias']
      assert.deepEqual(off.sort(), [...unimodal, ...frozen].sort())
      const { gradients, unused, loss } = lossAndGradients(model, () => ({ ...model.loss(images, texts, targets) }))
      assert.deepEqual([unused, Object.keys(loss)], [[], losses])
      for (const [path, gradient] of gradients)
        if (!path.endsWith('key.bias')) assertAbove(largestOf(gradient.dataSync()), 0)
    })

  it('throws errors that say what it expects', () => {
    const model = classifier({ images: 2 })
    assert.throws(
      () => model.forward(images, texts),
      (error: unknown) =>
        error instanceof ShapeError && /images must be \[batch, 2, 3, 8, 8\], not \[3, 3, 8, 8\]/.test(error.message),
    )
    const head = new MultimodalHead({ width: 4, heads: 2, classes: 3, images: 2 })
    assert.throws(
      () => head.forward(randn([2, 1, 3, 4])),
      /states must be \[batch, 2, tokens, width\], not \[2, 1, 3, 4\]/,
    )
    assert.throws(
      () => head.forward(randn([2, 2, 3, 4]), tensor([[true, false]])),
      /mask must be \[2, 3\], the tokens of every text, not \[1, 2\]/,
    )
    assert.throws(() => classifier({ images: 3 as never }), /images must be 1 or 2, not 3/)
    assert.throws(
      () => classifier({ text: { ...text, multimodalLayers: 0 } }),
      (error: unknown) => error instanceof ConfigError && error.field === 'text.multimodalLayers',
    )
  })
})
