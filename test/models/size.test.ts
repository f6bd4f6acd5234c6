// Sizes of configurations: counted exactly before a model is built, and refused at once where no machine could hold the model.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { familyConfigs } from '../../src/models/config.ts'
import { createModel } from '../../src/models/families.ts'
import {
  Captioner,
  CoCa,
  type CoCaConfig,
  DualEncoder,
  ImageClassifier,
  MultimodalClassifier,
  presets,
  UnimodalDecoder,
  VideoClassifier,
  VisionTransformer,
} from '../../src/models/index.ts'
import {
  captionerParts,
  classifierParts,
  cocaParts,
  dualEncoderParts,
  multimodalClassifierParts,
} from '../../src/models/size.ts'
import { ConfigError, withoutAllocation } from '../../src/nn/index.ts'
import { device, OutOfMemoryError } from '../../src/tensor/index.ts'
import { checkModelConfig } from '../../src/train/config.ts'

const { image, text, pooler } = presets.tiny
const all = {
  image: { ...image, classToken: true, inputNorm: true, outputNorm: true, patchBias: false, layers: 3, hidden: 20 },
  text: {
    ...{ ...text, classTokens: 2, width: 32, heads: 2, unimodalLayers: 2, multimodalLayers: 3 },
    multimodal: { memoryNorm: true, selfMlp: true, outputBias: false, hidden: 12 },
  },
}
const named = { queries: 3, heads: 4, width: 48, queryNorm: true } as const

/** The number of elements, and of tensors, that the parts of a configuration have. */
const sumOf = (parts: readonly { readonly times: number; readonly elements: readonly number[] }[]) => [
  parts.reduce((sum, { times, elements }) => sum + times * elements.reduce((a, b) => a + b, 0), 0),
  parts.reduce((sum, { times, elements }) => sum + times * elements.length, 0),
]

describe('the size of a configuration', () => {
  const resolve = <F extends keyof typeof familyConfigs>(family: F, config: unknown) =>
    familyConfigs[family].check(config as never) as never
  const configs: [keyof typeof familyConfigs, object, (settings: never) => Parameters<typeof sumOf>[0]][] = [
    ...(['cascade', 'parallel', 'shared'] as const).flatMap(
      (arrangement): [keyof typeof familyConfigs, object, typeof cocaParts][] => [
        ['coca', { ...presets.tiny, pooler: { ...pooler, arrangement } }, cocaParts],
        ['coca', { ...all, pooler: { ...named, arrangement }, embedding: 24 }, cocaParts],
      ],
    ),
    ['coca', { ...all, pooler: { queries: 0, arrangement: 'none' }, embedding: 24 }, cocaParts],
    ['coca', { ...all, pooler: { queries: 0, heads: 4, arrangement: 'parallel' }, embedding: 24 }, cocaParts],
    ['dual-encoder', { image, text, embedding: 8 }, dualEncoderParts],
    ['dual-encoder', { ...all, summary: 'class', embedding: 8 }, dualEncoderParts],
    ['dual-encoder', { image, text: { ...text, summary: 'highest' }, embedding: 8 }, dualEncoderParts],
    [
      'dual-encoder',
      {
        ...{ image, text: { ...text, summary: 'last', causal: false }, embedding: image.width },
        ...{ summary: 'latent', projection: { image: false, textBias: true }, contrast: 'sigmoid' },
      },
      dualEncoderParts,
    ],
    ['captioner', all, captionerParts],
    ['classifier', { image: all.image, classes: 7 }, classifierParts],
    ['video-classifier', { image: all.image, classes: 7, frames: 5 }, classifierParts],
    ['multimodal-classifier', { ...all, pooler: named, classes: 7, images: 2 }, multimodalClassifierParts],
  ]
  for (const [family, config, parts] of configs)
    it(`is that of the model: ${family} ${JSON.stringify(config).slice(0, 150)}`, () => {
      const model = withoutAllocation(() => createModel(family, config as never))
      assert.deepEqual(sumOf(parts(resolve(family, config))), [model.parameterCount(), model.parameters().length])
    })
})

type Change = (config: CoCaConfig) => CoCaConfig
const inImage =
  (changes: object): Change =>
  config => ({ ...config, image: { ...config.image, ...changes } })
const inText =
  (changes: object): Change =>
  config => ({ ...config, text: { ...config.text, ...changes } })

describe('a model that no machine can hold', () => {
  const changes: [field: string, Change][] = [
    ['image.layers', inImage({ layers: 1e9 })],
    ['image.layers', inImage({ layers: 2 ** 53 - 1 })],
    ['image.width', inImage({ width: 1e6 })],
    ['image.hidden', inImage({ hidden: 1e12 })],
    ['image.size', inImage({ size: 8e9 })],
    ['text.unimodalLayers', inText({ unimodalLayers: 2 ** 53 - 1 })],
    ['text.multimodalLayers', inText({ multimodalLayers: 1e9 })],
    ['text.context', inText({ context: 1e12 })],
    ['text.vocabulary', inText({ vocabulary: 2 ** 53 - 1 })],
    ['text.width', inText({ width: 2 ** 40 })],
    ['text.classTokens', inText({ classTokens: 2 ** 50 })],
    ['pooler.queries', config => ({ ...config, pooler: { ...config.pooler, queries: 1e15 } })],
    ['embedding', config => ({ ...config, embedding: 1e15 })],
  ]
  for (const [field, change] of changes)
    it(`is refused at once, with the setting and what it would need: ${field}`, { timeout: 5000 }, () => {
      const config = change(presets.tiny)
      const isRefusal = (error: Error) =>
        error instanceof ConfigError &&
        error.field === field &&
        /parameters, [\d,.]+ \wiB in float32/.test(error.message)
      assert.throws(() => new CoCa(config), isRefusal)
      assert.throws(() => withoutAllocation(() => new CoCa(config)), isRefusal)
      assert.throws(
        () => checkModelConfig(config, 'run.json'),
        new RegExp(`^RunConfigError: run.json: model.${field}:? `),
      )
    })

  it('is refused in every family', () => {
    const huge = { ...image, layers: 1e9 }
    const settings = { classes: 3 }
    assert.throws(
      () => new DualEncoder({ image: huge, text, embedding: 8 }),
      /image\.layers = 1000000000: makes a model/,
    )
    assert.throws(() => new Captioner({ image: huge, text }), /image\.layers = 1000000000: makes a model/)
    assert.throws(() => new ImageClassifier({ image: huge, ...settings }), /image\.layers = 1000000000/)
    assert.throws(() => new ImageClassifier({ image, classes: 2 ** 50 }), /classes = 1125899906842624/)
    assert.throws(() => new VideoClassifier({ image, ...settings, frames: 2 ** 50 }), /frames = 1125899906842624/)
    assert.throws(() => new MultimodalClassifier({ image: huge, text, pooler, ...settings }), /image\.layers/)
    assert.throws(() => new VisionTransformer(huge), /^ConfigError: layers = 1000000000/)
    assert.throws(() => new UnimodalDecoder({ ...text, context: 2 ** 50 }), /^ConfigError: context = /)
  })

  it('is refused as too large for a device, before any parameter is made', async () => {
    await device.use('cpu')
    const { bytes } = device.get().memory()
    // more than the 16 GiB of a memory with 64-bit addresses
    const larger = inImage({ layers: 200 })(presets.full)
    assert.throws(
      () => new CoCa(larger),
      (error: Error) =>
        error instanceof OutOfMemoryError && /for the \d,\d{3},\d{3},\d{3} weights of this model/.test(error.message),
    )
    assert.equal(device.get().memory().bytes, bytes)
  })
})
