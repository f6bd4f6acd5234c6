// The losses of CoCa and of classifiers of clips and of images with texts against finite differences, in float64: every parameter, and
// the Hessian along random directions.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { gradcheck, hvp, valueAndGrad } from '../../src/autograd/index.ts'
import { CoCa, type CoCaConfig, MultimodalClassifier, VideoClassifier } from '../../src/models/index.ts'
import { type Module, withParameters } from '../../src/nn/index.ts'
import { Generator, randn, type Tensor, tensor } from '../../src/tensor/index.ts'
import { imageShape } from '../../src/tensor/sides.ts'
import { assertCloseNumbers } from '../support.ts'
import { type ArrangementName, arranged, arrangements, ids, pictures, stirred } from './small.ts'

const minuscule: CoCaConfig = {
  image: { size: 4, patch: 2, width: 3, layers: 1, heads: 1, hidden: 1 },
  text: { vocabulary: 3, context: 3, width: 4, heads: 2, hidden: 1, unimodalLayers: 1, multimodalLayers: 1, pad: 0 },
  pooler: { queries: 2, heads: 2 },
  embedding: 2,
}
const images = pictures(2, 3, 4)
const texts = ids([
  [1, 1, 2],
  [1, 2, 0],
])
const arrange = (arrangement: ArrangementName) => arranged(arrangement, minuscule)

/** With everything that OpenCLIP's models have and the paper's do not. */
const likeOpenClip: CoCaConfig = {
  ...minuscule,
  image: { ...minuscule.image, classToken: true, inputNorm: true, patchBias: false },
  text: {
    ...minuscule.text,
    padMask: 'unimodalLate',
    padIsWord: true,
    classPosition: 'next',
    multimodal: { heads: 1, memoryNorm: true, selfMlp: true, outputBias: false },
  },
  pooler: { ...minuscule.pooler, arrangement: 'shared', queryNorm: true },
  activation: 'quickGelu',
}

/** Of rectangles, in patches that are rectangles, or of which there is one row. */
const rectangles: Record<string, CoCaConfig> = {
  'of rectangles in rectangular patches, of one channel': {
    ...minuscule,
    image: { ...minuscule.image, size: [2, 4], patch: [1, 2], channels: 1 },
  },
  'of a row of patches, of four channels': {
    ...minuscule,
    image: { ...minuscule.image, size: [2, 4], patch: 2, channels: 4, classToken: true },
  },
}
const imagesFor = ({ image: { size, channels } }: CoCaConfig): Tensor =>
  randn([2, ...imageShape(size, channels)], { dtype: 'float64', generator: new Generator(3) })

describe('the whole loss', () => {
  for (const [name, config] of Object.entries({
    ...rectangles,
    "the paper's": arrange('cascade'),
    "OpenCLIP's": likeOpenClip,
    'without a generative pooler, and with two [CLS]': {
      ...arrange('unpooled'),
      text: { ...minuscule.text, classTokens: 2 },
    },
  }))
    it(`has a gradient equal to finite differences, for every element of every parameter: ${name}`, () => {
      const model = stirred(() => new CoCa(config))
      const images = imagesFor(config)
      const { ok, checked, message } = gradcheck(
        (...parameters) => withParameters(model, parameters, () => model.loss(images, texts).total),
        model.parameters(),
        { rtol: 1e-6, atol: 1e-8 },
      )
      assert.ok(ok, message)
      assert.equal(checked, model.parameterCount())
    })

  for (const [name, config] of Object.entries(rectangles))
    it(`has a Hessian equal to differences of its gradient, along random directions: ${name}`, () => {
      const model = stirred(() => new CoCa(config))
      const images = imagesFor(config)
      checkHessian(model, () => model.loss(images, texts).total)
    })

  for (const arrangement of arrangements)
    it(`has a Hessian equal to differences of its gradient, along random directions (${arrangement})`, () => {
      const model = stirred(() => new CoCa(arrange(arrangement)))
      checkHessian(model, () => model.loss(images, texts).total)
    })
})

describe('the loss of a classifier', () => {
  const { image, text } = minuscule
  const pairs = randn([2, 2, 3, 4, 4], { dtype: 'float64', generator: new Generator(8) })
  const targets = tensor([2, 0], { dtype: 'int32' })
  const clips = () => new VideoClassifier({ image, frames: 2, classes: 3 })
  const statements = (arrangement: (typeof arrangements)[number]) => () =>
    new MultimodalClassifier({
      image,
      text,
      pooler: arrange(arrangement).pooler,
      images: 2,
      classes: 3,
      loss: { captioning: { weight: 0.5 } },
    })
  type Case = readonly [name: string, make: () => readonly [Module, loss: () => Tensor]]
  const cases: readonly Case[] = [
    [
      'of clips',
      () => {
        const model = stirred(clips)
        return [model, () => model.loss(pairs, targets, { smoothing: 0.1 }).total]
      },
    ],
    ...(['cascade', 'shared'] as const).map(
      (arrangement): Case => [
        `of pairs of images with a text (${arrangement})`,
        () => {
          const model = stirred(statements(arrangement))
          return [model, () => model.loss(pairs, texts, targets, { smoothing: 0.1 }).total]
        },
      ],
    ),
  ]
  for (const [name, make] of cases.slice(0, 2))
    it(`${name} has a gradient equal to finite differences, for every element of every parameter`, () => {
      const [model, loss] = make()
      const { ok, checked, message } = gradcheck(
        (...parameters) => withParameters(model, parameters, loss),
        model.parameters(),
        { rtol: 1e-6, atol: 1e-8 },
      )
      assert.ok(ok, message)
      assert.equal(checked, model.parameterCount())
    })

  for (const [name, make] of cases)
    it(`${name} has a Hessian equal to differences of its gradient, along random directions`, () => {
      checkHessian(...make())
    })
})

/** Compares products of the Hessian with random directions to differences of the gradient. */
function checkHessian(model: Module, compute: () => Tensor): void {
  const parameters = model.parameters().map(parameter => parameter.add(0))
  const all = parameters.map((_, i) => i)
  const loss = (...xs: Tensor[]) => withParameters(model, xs, compute)
  const generator = new Generator(5)
  for (let sample = 0; sample < 3; sample++) {
    const direction = parameters.map(x => randn(x.shape, { dtype: 'float64', generator }))
    const gradientAt = (step: number) =>
      valueAndGrad(loss, { wrt: all })(...parameters.map((x, i) => x.add(direction[i].mul(step))))[1].flatMap(g => [
        ...g.dataSync(),
      ])
    const h = 2e-5
    const [a, b, c, d] = [gradientAt(h), gradientAt(-h), gradientAt(2 * h), gradientAt(-2 * h)]
    const expected = a.map((_, i) => (8 * (a[i] - b[i]) - (c[i] - d[i])) / (12 * h))
    const actual = hvp(loss, parameters, direction).flatMap(x => [...x.dataSync()])
    assertCloseNumbers(actual, expected, 1e-6)
  }
}
