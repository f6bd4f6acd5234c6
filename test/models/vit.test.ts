// The vision transformer of any number of channels and of rectangles: its gradients, its size, and what it refuses.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import '../reference.ts'
import { resolveVisionTransformer } from '../../src/models/config.ts'
import { CoCa, ImageClassifier, VisionTransformer, type VisionTransformerConfig } from '../../src/models/index.ts'
import { encoderParts } from '../../src/models/size.ts'
import { ConfigError } from '../../src/nn/index.ts'
import { OptionsError, ShapeError, zeros } from '../../src/tensor/index.ts'
import { loadModel, saveModel } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { checkModule, random } from '../nn/support.ts'
import { assertCloseNumbers, fc, runs, values } from '../support.ts'
import { small } from './small.ts'

const tower = { width: 4, layers: 1, heads: 2, hidden: 3 } as const

/** Sides of a patch, and numbers of patches along each axis: also one, so that a grid is a row, a column or a single patch. */
const forms = fc.record({
  channels: fc.constantFrom(1, 2, 4),
  rows: fc.integer({ min: 1, max: 3 }),
  columns: fc.integer({ min: 1, max: 3 }),
  patch: fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 2 })),
  classToken: fc.boolean(),
})

type Form = typeof forms extends fc.Arbitrary<infer T> ? T : never

describe('a vision transformer of any channels, of images and patches that are rectangles', () => {
  it('has right gradients of orders 1 and 2, by its parameters and its images', () => {
    const check = ({ channels, rows, columns, patch, classToken }: Form) => {
      const [height, width] = [rows * patch[0], columns * patch[1]]
      // without blocks, which know nothing of the form of an image; the norms make second derivatives that are not 0
      const norms = { layers: 0, inputNorm: true, outputNorm: true }
      const image = { ...tower, ...norms, size: [height, width], patch, channels, classToken } as const
      const model = new VisionTransformer(image)
      checkModule(model, x => model.forward(x), [random([2, channels, height, width])])
    }
    const [rows, columns] = [1, 3]
    for (const channels of [1, 2, 4] as const) check({ channels, rows, columns, patch: [2, 1], classToken: false })
    check({ channels: 1, rows: 3, columns: 1, patch: [1, 2], classToken: true })
    check({ channels: 1, rows: 1, columns: 1, patch: [2, 1], classToken: false })
    fc.assert(fc.property(forms, check), runs(3))
  })

  it('has as many parameters as are counted before it is made, and as many tokens as patches', () => {
    fc.assert(
      fc.property(forms, ({ channels, rows, columns, patch, classToken }) => {
        const size = [rows * patch[0], columns * patch[1]] as const
        const image = { ...tower, size, patch, channels, classToken }
        const model = new VisionTransformer(image)
        const parts = encoderParts(resolveVisionTransformer('f(image)', image))
        const counted = parts.map(({ times, elements }) => times * elements.reduce((a, b) => a + b, 0))
        assert.equal(
          model.parameterCount(),
          counted.reduce((a, b) => a + b),
        )
        assert.equal(model.tokens, rows * columns + Number(classToken))
        assert.deepEqual(model.patches.projection.weight.shape, [4, channels * patch[0] * patch[1]])
        assert.deepEqual(model.forward(zeros([2, channels, ...size])).shape, [2, model.tokens, 4])
      }),
      runs(20),
    )
  })

  it('gives a row of patches the tokens of the same patches in a column', () => {
    const [wide, high] = [[2, 6] as const, [6, 2] as const].map(
      size => new VisionTransformer({ ...tower, size, patch: 2, channels: 2 }),
    )
    const images = random([1, 2, 2, 6])
    // [batch, channel, y, patch, x] to [batch, channel, patch, y, x]
    const turned = images.reshape([1, 2, 2, 3, 2]).permute([0, 1, 3, 2, 4]).reshape([1, 2, 6, 2])
    for (const [name, parameter] of high.namedParameters()) parameter.assign(wide.stateDict().get(name)!.mul(1))
    assertCloseNumbers(values(high.forward(turned)), values(wide.forward(images)))
  })

  it('computes the same for a number and for two equal sides, and resolves both to the number', () => {
    const [one, two] = [
      { ...tower, size: 4, patch: 2 },
      { ...tower, size: [4, 4], patch: [2, 2], channels: 3 },
    ].map(config => resolveVisionTransformer('f(config)', config as unknown as VisionTransformerConfig))
    assert.deepEqual(two, one)
    assert.deepEqual([one.size, one.patch, one.channels], [4, 2, 3])
  })

  it('drops what does not fill a patch along each axis on its own', () => {
    const image = { ...tower, size: [5, 7], patch: [2, 3], channels: 1 } as const
    const [whole, cropped] = [
      new VisionTransformer({ ...image, size: [4, 6] }),
      new VisionTransformer({ ...image, cropToPatches: true }),
    ]
    for (const [name, parameter] of cropped.namedParameters()) parameter.assign(whole.stateDict().get(name)!.mul(1))
    const images = random([2, 1, 5, 7])
    const inside = images.slice([{}, {}, { stop: 4 }, { stop: 6 }])
    assertCloseNumbers(values(cropped.forward(images)), values(whole.forward(inside)))
  })

  it('refuses images of other channels or sides, with the shape that it expects', () => {
    const model = new VisionTransformer({ ...tower, size: [2, 4], patch: 2, channels: 4 })
    for (const shape of [
      [1, 3, 2, 4],
      [1, 4, 4, 2],
      [1, 4, 2, 2],
      [4, 2, 4],
    ])
      assert.throws(
        () => model.forward(zeros(shape)),
        (error: unknown) =>
          error instanceof ShapeError &&
          error.message.startsWith(`PatchEmbedding: images must be [batch, 4, 2, 4], not [${shape.join(', ')}]`),
      )
    // a single image is said to be one
    assert.throws(() => model.forward(zeros([4, 2, 4])), /write images\.unsqueeze\(0\)/)
  })

  it('refuses sizes by their name', () => {
    const make = (image: object) => () =>
      new ImageClassifier({ image: { ...tower, size: [4, 6], patch: 2, ...image }, classes: 2 })
    for (const size of [0, 1.5, [4], [4, 6, 8], [4, 0], '4'])
      assert.throws(make({ size }), (error: unknown) => error instanceof OptionsError && error.option === 'image.size')
    assert.throws(make({ channels: 0 }), /image\.channels must be a whole number above 0, not 0/)
    for (const patch of [4, [2, 4], [3, 2]])
      assert.throws(
        make({ patch }),
        (error: unknown) =>
          error instanceof ConfigError &&
          error.field === 'image.patch' &&
          error.message.endsWith('does not divide the image size [4, 6]'),
      )
    assert.throws(make({ patch: [5, 1], cropToPatches: true }), /is more than the image size \[4, 6\]/)
    assert.throws(
      make({ size: [2 ** 20, 2 ** 22] }),
      (error: unknown) => error instanceof ConfigError && error.field === 'image.size',
    )
  })

  it('is a part of a whole model, whose weights are written and read', async t => {
    const config = { ...small, image: { ...small.image, size: [4, 8], channels: 1 } } as const
    const path = `${await temporaryFolder(t)}/model.safetensors`
    const [model, again] = [new CoCa(config), new CoCa(config)]
    await saveModel(path, model)
    await loadModel(path, again)
    const images = random([2, 1, 4, 8]).cast('float32')
    assert.deepEqual(values(again.encodeImage(images)), values(model.encodeImage(images)))
    await assert.rejects(loadModel(path, new CoCa(small)), /patches\.projection\.weight/)
  })
})
