// Parameter counts against the paper's, and errors for invalid configurations and inputs, with names or shapes.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CoCa, type CoCaConfig, DualEncoder, presets } from '../../src/models/index.ts'
import { ConfigError, withoutAllocation } from '../../src/nn/index.ts'
import { DTypeError, device, IndexError, OptionsError, ShapeError, tensor } from '../../src/tensor/index.ts'
import { assertAbove, coca, ids, pictures, small, texts } from './small.ts'

const sized = (config: CoCaConfig) => withoutAllocation(() => new CoCa(config))

describe("the paper's models", () => {
  // Table 1, in millions, to the digits it prints
  const table = {
    base: { encoder: 86, decoder: 297, total: 383 },
    large: { encoder: 303, decoder: 484, total: 787 },
    full: { encoder: 1000, decoder: 1100, total: 2100 },
  }
  for (const name of ['base', 'large', 'full'] as const) {
    const model = sized(presets[name])
    const encoder = model.encoder.parameterCount()
    const decoder = model.unimodal.parameterCount() + model.multimodal.parameterCount()
    const paper = table[name]

    it(`have the paper's parameters in encoder and decoder: ${name}`, () => {
      if (name === 'full') {
        // 1 B, 1.1 B and 2.1 B are cut off, not rounded: 1.012, 1.180 and 2.192
        for (const [count, millions] of [
          [encoder, paper.encoder],
          [decoder, paper.decoder],
          [encoder + decoder, paper.total],
        ])
          assert.equal(Math.floor(count / 1e8) * 100, millions)
      } else {
        assert.ok(Math.abs(encoder / 1e6 - paper.encoder) < 1, `${encoder}`)
        assert.ok(Math.abs(decoder / 1e6 - paper.decoder) < 1, `${decoder}`)
        assert.ok(Math.abs((encoder + decoder) / 1e6 - paper.total) < 1, `${encoder + decoder}`)
      }
    })

    it(`have two poolers, two projections and a temperature in addition: ${name}`, () => {
      const { width } = presets[name].text
      const attention = 4 * (width * width + width)
      const norms = 4 * width
      const pooler = (queries: number) => queries * width + attention + norms
      const rest = pooler(256) + pooler(1) + 2 * width * width + 1
      assert.equal(model.parameterCount(), encoder + decoder + rest)
    })
  }
})

describe('the models of the training step', () => {
  const step = (
    [size, patch]: number[],
    [width, heads]: number[],
    [layers, unimodalLayers, multimodalLayers]: number[],
    [queries, context, vocabulary]: number[],
  ): CoCaConfig => ({
    image: { size, patch, width, layers, heads },
    text: { vocabulary, context, width, heads, unimodalLayers, multimodalLayers },
    pooler: { arrangement: 'shared', queries, heads },
    embedding: width,
  })
  const expected: [string, CoCaConfig, number][] = [
    ['tiny', step([32, 8], [64, 4], [2, 1, 1], [8, 12, 64]), 265_153],
    ['small', step([64, 8], [192, 3], [6, 3, 3], [32, 24, 1024]), 6_462_593],
    ['medium', step([128, 16], [384, 6], [12, 6, 6], [64, 32, 8192]), 53_686_785],
  ]
  for (const [name, config, count] of expected) {
    it(`have the same number of parameters as other implementations: ${name}, ${count}`, () =>
      assert.equal(sized(config).parameterCount(), count))
  }
})

describe('counting', () => {
  it('allocates no memory, and the counted model cannot compute', () => {
    const before = device.get('reference').memory()
    const model = sized(presets.full)
    assert.deepEqual(device.get('reference').memory(), before)
    assert.throws(() => model.encodeText(ids([[1, 2]])), /withoutAllocation/)
  })

  it('agrees with the sizes of the parameters', () => {
    for (const config of [small, presets.tiny]) {
      const model = new CoCa(config)
      const numbers = model.parameters().reduce((sum, parameter) => sum + parameter.dataSync().length, 0)
      assert.equal(numbers, sized(config).parameterCount())
    }
  })

  it('every preset can be built without allocating memory', () => {
    for (const config of Object.values(presets)) assertAbove(sized(config).parameterCount(), 0)
  })
})

describe('an invalid configuration', () => {
  const { image, text, pooler } = small
  const bad: [string, string, CoCaConfig][] = [
    ['image heads that do not divide the width', 'image.heads', { ...small, image: { ...image, heads: 5 } }],
    ['no image heads', 'image.heads', { ...small, image: { ...image, heads: 0 } }],
    ['text heads that do not divide the width', 'text.heads', { ...small, text: { ...text, heads: 3 } }],
    ['pooler heads that do not divide the width', 'pooler.heads', { ...small, pooler: { ...pooler, heads: 3 } }],
    ['pooler heads that do not divide its own width', 'pooler.heads', { ...small, pooler: { ...pooler, width: 9 } }],
    ['a pooler without width', 'pooler.width', { ...small, pooler: { ...pooler, width: 0 } }],
    ['a pooler whose width is not an integer', 'pooler.width', { ...small, pooler: { ...pooler, width: 2.5 } }],
    ['a cascade without queries', 'pooler.queries', { ...small, pooler: { ...pooler, queries: 0 } }],
    [
      'a shared pooler without queries',
      'pooler.queries',
      { ...small, pooler: { ...pooler, arrangement: 'shared', queries: 0 } },
    ],
    ['a CoCa that reads the highest id', 'text.summary', { ...small, text: { ...text, summary: 'highest' } }],
    [
      'no pooler and no class token',
      'image.classToken',
      { ...small, image: { ...image, classToken: false }, pooler: { queries: 0, arrangement: 'none' } },
    ],
    [
      'no pooler, but queries',
      'pooler.queries',
      { ...small, image: { ...image, classToken: true }, pooler: { ...pooler, arrangement: 'none' } },
    ],
    ['a negative epsilon', 'image.normEpsilon', { ...small, image: { ...image, normEpsilon: -1 } }],
    ['patches larger than the image', 'image.patch', { ...small, image: { ...image, patch: 9, cropToPatches: true } }],
    ['no [CLS]', 'text.classTokens', { ...small, text: { ...text, classTokens: 0 } }],
    [
      'several [CLS] with the late mask',
      'text.classTokens',
      { ...small, text: { ...text, classTokens: 2, padMask: 'unimodalLate' } },
    ],
    ['patches that do not fill the image', 'image.patch', { ...small, image: { ...image, patch: 3 } }],
    ['an image without size', 'image.size', { ...small, image: { ...image, size: 0 } }],
    ['a negative number of layers', 'image.layers', { ...small, image: { ...image, layers: -1 } }],
    ['feed-forward layers without width', 'image.hidden', { ...small, image: { ...image, hidden: 0 } }],
    ['a context that is too short', 'text.context', { ...small, text: { ...text, context: 1 } }],
    ['a text encoder without layers', 'text.unimodalLayers', { ...small, text: { ...text, unimodalLayers: 0 } }],
    [
      'a multimodal decoder without layers',
      'text.multimodalLayers',
      { ...small, text: { ...text, multimodalLayers: 0 } },
    ],
    ['padding outside of the vocabulary', 'text.pad', { ...small, text: { ...text, pad: 7 } }],
    ['padding that is not an id', 'text.pad', { ...small, text: { ...text, pad: 0.5 } }],
    ['no embedding', 'embedding', { ...small, embedding: 0 }],
    ['a temperature of 0', 'temperature.initial', { ...small, temperature: { initial: 0 } }],
    ['a temperature above 1', 'temperature.initial', { ...small, temperature: { initial: 1.5 } }],
    ['a temperature beyond its limit', 'temperature.initial', { ...small, temperature: { maximumScale: 10 } }],
    ['a limit below 1', 'temperature.maximumScale', { ...small, temperature: { maximumScale: 0.5 } }],
    ['a dropout of 1', 'dropout', { ...small, dropout: 1 }],
  ]
  for (const [what, field, config] of bad) {
    it(`throws an error that names the setting: ${what}, ${field}`, () => {
      assert.throws(
        () => sized(config),
        (error: unknown) => {
          assert.ok(error instanceof ConfigError || error instanceof OptionsError, String(error))
          const [group, name] = field.split('.')
          const given = Reflect.get(config, group)
          assert.equal(error instanceof ConfigError ? error.field : error.option, field)
          assert.ok(error.message.includes(`${field} `), error.message)
          if (field !== 'temperature.initial') assert.equal(error.value, name ? Reflect.get(given, name) : given)
          return true
        },
      )
    })
  }
})

describe('an input that does not fit', () => {
  const model = coca()
  const images = pictures(3)
  const mentions =
    (error: typeof ShapeError | typeof DTypeError, ...words: string[]) =>
    (thrown: unknown) => {
      assert.ok(thrown instanceof error, String(thrown))
      for (const word of words) assert.ok(thrown.message.includes(word), `${thrown.message} says nothing of ${word}`)
      return true
    }

  it('throws: a text longer than the context', () => {
    const long = ids([[1, 3, 4, 5, 6, 3, 2]])
    assert.throws(() => model.encodeText(long), mentions(ShapeError, '7', '6'))
    assert.throws(() => model.loss(pictures(1), long), mentions(ShapeError, '7', '6'))
  })

  it('throws: ids that are not int32, or not [batch, tokens]', () => {
    const floats = tensor([[1, 3, 2]])
    assert.throws(() => model.encodeText(floats), mentions(ShapeError, 'float32', '[1, 3]', 'int32 [batch, tokens]'))
    const flat = tensor([1, 3, 2], { dtype: 'int32' })
    assert.throws(() => model.encodeText(flat), mentions(ShapeError, 'int32', '[3]'))
  })

  it('throws: ids outside the vocabulary', () => {
    for (const id of [7, -1]) assert.throws(() => model.encodeText(ids([[1, id]])), IndexError)
  })

  it('throws: images of another size, number of channels or rank', () => {
    const shapes = [
      [1, 3, 8, 12],
      [1, 3, 4, 4],
      [1, 1, 8, 8],
      [3, 8, 8],
    ]
    for (const shape of shapes) {
      const wrong = tensor(new Float32Array(shape.reduce((a, b) => a * b)), { shape })
      const words = [`[${shape.join(', ')}]`, '[batch, 3, 8, 8]']
      assert.throws(() => model.encodeImage(wrong), mentions(ShapeError, ...words))
    }
  })

  it('throws: images of unscaled bytes or integers', () => {
    for (const data of [new Uint8Array(192), new Int32Array(192)]) {
      const wrong = tensor(data, { shape: [1, 3, 8, 8] })
      assert.throws(() => model.encodeImage(wrong), mentions(DTypeError, '[1, 3, 8, 8]', wrong.dtype))
    }
  })

  it('throws: different numbers of images and texts, including one image for many texts', () => {
    for (const [m, n] of [
      [2, 3],
      [1, 3],
      [3, 1],
    ]) {
      const [some, few] = [images.slice([{ stop: m }]), texts.slice([{ stop: n }])]
      for (const f of [() => model.loss(some, few), () => model.score(some, few), () => model.forward(some, few)])
        assert.throws(f, mentions(ShapeError, `[${m}, `, `[${n}, `))
    }
    const dual = new DualEncoder({ image: small.image, text: small.text, embedding: 8 })
    const some = tensor(new Float32Array(192), { shape: [1, 3, 8, 8] })
    assert.throws(() => dual.loss(some, texts), mentions(ShapeError, '[1, 8]', '[3, 8]'))
  })
})
