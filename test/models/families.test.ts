// The classifier, the dual encoder and the captioner: their losses, the parameters that these train, and invalid settings.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Captioner, DualEncoder, ImageClassifier } from '../../src/models/index.ts'
import { ConfigError, captioningLoss, contrastiveLoss, lossAndGradients, type Module } from '../../src/nn/index.ts'
import { type Tensor, tensor } from '../../src/tensor/index.ts'
import { assertCloseNumbers } from '../support.ts'
import { end, ids, largestOf, pictures, small, start, stirred, texts } from './small.ts'

const { image, text } = small
const images = pictures(3)
const value = (x: Tensor): number => x.dataSync()[0]

const classifier = () => stirred(() => new ImageClassifier({ image, classes: 4 }))
const dual = () => stirred(() => new DualEncoder({ image, text, embedding: 8 }), 1, 0.1)
const captioner = () => stirred(() => new Captioner({ image, text }))

describe('the loss of a family is { total, … }, and its gradient reaches every trainable parameter', () => {
  const targets = tensor([2, 0, 3], { dtype: 'int32' })
  const families: [name: string, model: Module, loss: () => { readonly total: Tensor }][] = []
  const [a, b, c] = [classifier(), dual(), captioner()]
  families.push(['classification', a, () => a.loss(images, targets)])
  families.push(['contrastive', b, () => b.loss(images, texts)])
  families.push(['captioning', c, () => c.loss(images, texts)])
  for (const [name, model, loss] of families)
    it(name, () => {
      const { gradients, unused, loss: parts } = lossAndGradients(model, loss)
      assert.deepEqual([Object.keys(parts), unused], [['total', name], []])
      assert.equal(Reflect.get(parts, name), parts.total)
      for (const [path, gradient] of gradients)
        if (!path.endsWith('key.bias')) assert.ok(largestOf(gradient.dataSync()) > 0, path)
    })
})

describe('a dual encoder', () => {
  it('treats pairs of one group as positives of each other', () => {
    const model = dual()
    const groups = tensor([8, 1, 8], { dtype: 'int32' })
    const [x, y] = [model.encodeImage(images), model.encodeText(texts)]
    const expected = contrastiveLoss(x, y, model.logScale.exp(), { reduction: 'mean', groups })
    assertCloseNumbers([value(model.loss(images, texts, { groups }).total)], [value(expected)], 1e-14)
    assert.notEqual(value(model.loss(images, texts).total), value(expected))
  })

  it('has an initial temperature of 0.07 and keeps its scale within [1, 100]', () => {
    const model = new DualEncoder({ image, text, embedding: 8 })
    assertCloseNumbers([value(model.logScale.exp())], [1 / 0.07], 1e-5)
    const after = (logScale: number) => {
      model.logScale.assign(tensor(logScale))
      model.constrain()
      return value(model.logScale.exp())
    }
    assertCloseNumbers([after(9), after(-1), after(2)], [100, 1, Math.exp(2)], 1e-4)
  })
})

describe('a captioner', () => {
  it('does not train parameters that only [CLS] uses', () => {
    const frozen = [...captioner().namedParameters()].filter(([, { trainable }]) => !trainable).map(([name]) => name)
    assert.deepEqual(frozen, ['text.classToken', 'text.norm.weight', 'text.norm.bias'])
  })

  for (const classToken of [false, true])
    it(`generates what it predicts, and attends to patches${classToken ? ' with a class token' : ''}`, async () => {
      const model = stirred(() => new Captioner({ image: { ...image, classToken }, text })).eval()
      const rows = [[start], [start], [start]]
      for (let length = 1; length < text.context; length++) {
        const logits = model.forward(images, ids(rows))
        for (const [i, row] of rows.entries()) {
          const last = [...logits.slice([i, -1]).dataSync()].map((x, id) => (id === text.pad ? -Infinity : x))
          row.push(last.indexOf(Math.max(...last)))
        }
      }
      const written = await model.generate(images, { start })
      assert.deepEqual(
        written.map(caption => caption.ids),
        rows,
      )
      for await (const { attention } of model.stream(images.slice([{ stop: 1 }]), { start, end }))
        assert.equal(attention.length, (image.size / image.patch) ** 2)
    })

  it('has a loss that is the mean over all tokens', () => {
    const model = captioner()
    const expected = captioningLoss(model.forward(images, texts), texts, { reduction: 'mean', ignore: text.pad })
    assert.equal(value(model.loss(images, texts).captioning), value(expected))
  })
})

describe('an invalid setting throws an error that names it', () => {
  const refused: [field: string, make: () => Module][] = [
    ['image.heads', () => new ImageClassifier({ image: { ...image, heads: 5 }, classes: 3 })],
    ['image.patch', () => new DualEncoder({ image: { ...image, patch: 3 }, text, embedding: 8 })],
    ['text.unimodalLayers', () => new DualEncoder({ image, text: { ...text, unimodalLayers: 0 }, embedding: 8 })],
    ['text.multimodalLayers', () => new Captioner({ image, text: { ...text, multimodalLayers: 0 } })],
    ['text.pad', () => new Captioner({ image, text: { ...text, pad: 7 } })],
  ]
  for (const [field, make] of refused)
    it(field, () => assert.throws(make, (error: unknown) => error instanceof ConfigError && error.field === field))
})
