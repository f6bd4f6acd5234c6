import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'
import {
  AdaptiveAvgPool2d,
  AvgPool2d,
  Conv1d,
  Conv2d,
  Conv3d,
  ConvTranspose1d,
  ConvTranspose2d,
  ConvTranspose3d,
  Flatten,
  lossAndGradients,
  MaxPool2d,
  Module,
  Upsample,
} from '../../src/nn/index.ts'
import { AdamW } from '../../src/optim/index.ts'
import { randn, type Shape, ShapeError, seed, type Tensor, zeros } from '../../src/tensor/index.ts'
import { plain } from '../autograd/plain.ts'
import { loose } from '../loose.ts'
import { assertClose, assertCloseNumbers, values } from '../support.ts'

const shapesOf = (module: Module): Record<string, Shape> =>
  Object.fromEntries([...module.namedParameters()].map(([name, { shape }]) => [name, shape]))

describe('a convolution', () => {
  it('has the parameters of PyTorch, by name and shape', () => {
    assert.deepEqual(shapesOf(new Conv1d(4, 6, 3, { groups: 2 })), { weight: [6, 2, 3], bias: [6] })
    assert.deepEqual(shapesOf(new Conv2d(4, 6, [3, 1])), { weight: [6, 4, 3, 1], bias: [6] })
    assert.deepEqual(shapesOf(new Conv3d(1, 2, 3, { bias: false })), { weight: [2, 1, 3, 3, 3] })
    assert.deepEqual(shapesOf(new ConvTranspose1d(4, 6, 3, { groups: 2 })), { weight: [4, 3, 3], bias: [6] })
    assert.deepEqual(shapesOf(new ConvTranspose2d(4, 6, [3, 1])), { weight: [4, 6, 3, 1], bias: [6] })
    assert.deepEqual(shapesOf(new ConvTranspose3d(1, 2, 3, { bias: false })), { weight: [1, 2, 3, 3, 3] })
  })

  it('starts within 1 / √n of 0, where n is the size of weight[0]', () => {
    seed(3)
    for (const module of [new Conv2d(8, 64, 3, { groups: 4 }), new ConvTranspose2d(64, 8, 3, { groups: 4 })]) {
      const limit = 1 / Math.sqrt(2 * 9)
      const all = values(module.weight)
      assert.ok(all.every(x => Math.abs(x) <= limit))
      assert.ok(Math.max(...all) > 0.95 * limit && Math.min(...all) < -0.95 * limit)
      // the variance of a uniform distribution
      assertCloseNumbers([all.reduce((sum, x) => sum + x * x, 0) / all.length], [limit ** 2 / 3], 0.1)
      assert.ok(values(module.bias!).every(x => Math.abs(x) <= limit))
      assert.ok(values(module.bias!).some(x => x !== 0))
    }
  })

  it('takes an initializer', () => {
    const conv = new Conv2d(1, 1, 2, { init: shape => zeros(shape), bias: false })
    assert.deepEqual(values(conv.forward(randn([1, 1, 2, 2]))), [0])
  })

  it('passes its options on', () => {
    const x = randn([2, 4, 5, 6])
    const options = { stride: [2, 1], padding: 1, dilation: 2, groups: 2, paddingMode: 'reflect' } as const
    const conv = new Conv2d(4, 2, 2, options)
    assertClose(conv.forward(x), plain(x.conv2d(conv.weight, { ...options, bias: conv.bias })), 0)
    const back = { stride: 3, padding: 1, outputPadding: [1, 2], dilation: 2, groups: 2 }
    const transposed = new ConvTranspose2d(4, 2, 2, back)
    assertClose(
      transposed.forward(x),
      plain(x.convTranspose2d(transposed.weight, { ...back, bias: transposed.bias })),
      0,
    )
  })

  it('refuses groups that do not divide the channels, kernels of another rank, and options that there are not', () => {
    assert.throws(() => new Conv2d(3, 4, 3, { groups: 2 }), {
      name: 'RangeError',
      message: 'Conv2d: groups 2 must divide the channels 4 and 3',
    })
    assert.throws(() => new Conv2d(3, 4, [3]), {
      name: 'ShapeError',
      message: 'Conv2d: the kernel [3] must have one number for each of the 2 axes',
    })
    const { Conv2d: Loose, ConvTranspose1d: LooseTranspose } = loose({ Conv2d, ConvTranspose1d })
    assert.throws(() => new Loose(3, 4), /Conv2d: kernel is missing: it must be a whole number above 0, or a list/)
    assert.throws(
      () => new Loose(3, 4, 3, { strides: 2 }),
      /there is no option strides.*write new Conv2d\(inputs, outputs, kernel, { stride: 2 }\)/,
    )
    assert.throws(
      () => new Loose(3, 4, 3, { padding: 'sam' }),
      /padding must be .*'same' or 'valid', not 'sam'; write new Conv2d\(inputs, outputs, kernel, { padding: 'same' }\)/,
    )
    assert.throws(() => new LooseTranspose(3, 4, 3, { padding: 'same' }), /ConvTranspose1d: padding must be/)
  })
})

test('a convolutional network learns which half of an image is bright', async () => {
  class Network extends Module {
    readonly layers = [
      new Conv2d(1, 4, 3, { padding: 'same' }),
      new MaxPool2d(2),
      new Conv2d(4, 2, 2),
      new AdaptiveAvgPool2d([1, 2]),
      new Flatten(),
    ] as const

    forward(x: Tensor): Tensor {
      const [first, pool, second, mean, flat] = this.layers
      const hidden = pool.forward(first.forward(x).relu())
      return flat.forward(mean.forward(second.forward(hidden))).slice([{}, { stop: 2 }])
    }
  }
  seed(1)
  const network = new Network()
  const images = randn([16, 1, 6, 6])
  const isRight = images
    .slice([{}, 0, {}, { start: 3 }])
    .mean({ axis: [1, 2] })
    .greater(images.slice([{}, 0, {}, { stop: 3 }]).mean({ axis: [1, 2] }))
    .cast('int32')
  const optimizer = new AdamW(network.namedParameters(), { learningRate: 0.02 })
  const losses: number[] = []
  for (let step = 0; step < 60; step++) {
    const { loss, gradients } = lossAndGradients(network, () => network.forward(images).crossEntropy(isRight))
    losses.push(await loss.item())
    optimizer.step(gradients)
  }
  assert.ok(losses[losses.length - 1] < losses[0] / 4, `${losses[0]} → ${losses[losses.length - 1]}`)
})

test('pooling and resampling pass their options on', () => {
  const x = randn([1, 2, 6, 5])
  const pool = { stride: [1, 2], padding: 1, ceilMode: true } as const
  const largest = new MaxPool2d([3, 2], { ...pool, dilation: [1, 2] })
  assertClose(largest.forward(x), plain(x.maxPool2d({ ...pool, kernel: [3, 2], dilation: [1, 2] })), 0)
  const mean = new AvgPool2d([3, 2], { ...pool, countIncludePad: false })
  assertClose(mean.forward(x), plain(x.avgPool2d({ ...pool, kernel: [3, 2], countIncludePad: false })), 0)
  const resample = { size: [3, 8], mode: 'bicubic', antialias: true } as const
  assertClose(new Upsample(resample).forward(x), plain(x.interpolate(resample)), 0)
  assert.deepEqual(new Upsample({ scale: 1.5 }).forward(x).shape, [1, 2, 9, 7])
  assert.throws(() => new MaxPool2d([3]), ShapeError)
  assert.throws(() => new AdaptiveAvgPool2d([3, 2, 1]), ShapeError)
  const { Upsample: Loose } = loose({ Upsample })
  assert.throws(() => new Loose({ scaleFactor: 2 }), /Upsample: there is no option scaleFactor/)
})

test('Flatten joins the axes from one to another', () => {
  const x = zeros([2, 3, 4, 5])
  assert.deepEqual(new Flatten().forward(x).shape, [2, 60])
  assert.deepEqual(new Flatten({ start: 0, end: 1 }).forward(x).shape, [6, 4, 5])
  assert.deepEqual(new Flatten({ start: -2 }).forward(zeros([0, 3, 4])).shape, [0, 12])
  assert.throws(() => new Flatten({ start: 2, end: 1 }).forward(x), {
    name: 'ShapeError',
    message: 'flatten: axis 2 comes after axis 1 in [2, 3, 4, 5]; write { start: 1, end: 2 }',
  })
  assert.throws(() => new Flatten().forward(zeros([2])), { name: 'AxisError' })
})
