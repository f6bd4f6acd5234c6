// Normalizations of channels: what they remember and where, and what they refuse. Values and gradients: test/golden/pytorch/norms.ts
// and test/autograd/records.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { grad } from '../../src/autograd/index.ts'
import {
  BatchNorm1d,
  BatchNorm2d,
  BatchNorm3d,
  Buffer,
  Dropout2d,
  GroupNorm,
  InstanceNorm1d,
  InstanceNorm2d,
  InstanceNorm3d,
  Linear,
  lossAndGradients,
  Module,
  RMSNorm,
  StateDictError,
  withoutAllocation,
  withParameters,
} from '../../src/nn/index.ts'
import { averageWeights, ExponentialMovingAverage, SGD } from '../../src/optim/index.ts'
import { device, ones, randn, ShapeError, seed, type Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import { assertCloseNumbers, values } from '../support.ts'
import { random } from './support.ts'

class Net extends Module {
  readonly first = new Linear(3, 4)
  readonly norm = new BatchNorm1d(4)

  forward(x: Tensor): Tensor {
    return this.norm.forward(this.first.forward(x))
  }
}

const names = (module: Module) => [...module.stateDict().keys()]

describe('buffers', () => {
  test('are in the state dict after the parameters, and no parameters', () => {
    const net = new Net()
    assert.deepEqual(names(net), [
      'first.weight',
      'first.bias',
      'norm.weight',
      'norm.bias',
      'norm.runningMean',
      'norm.runningVariance',
      'norm.batches',
    ])
    assert.equal(net.parameterCount(), 3 * 4 + 4 + 4 + 4)
    assert.deepEqual(
      [...net.namedBuffers()].map(([name]) => name),
      ['norm.runningMean', 'norm.runningVariance', 'norm.batches'],
    )
    assert.match(String(net), /runningMean: \[4\] buffer/)
    assert.match(String(net.norm.batches), /Buffer/)
  })

  test('a state dict brings them to another module, in evaluation with the same results', () => {
    const net = new Net()
    const x = random([5, 3]).cast('float32')
    for (let i = 0; i < 3; i++) net.forward(x)
    const twin = new Net().loadStateDict(net.stateDict())
    assert.deepEqual(values(twin.norm.batches!), [3])
    assert.deepEqual(values(twin.eval().forward(x)), values(net.eval().forward(x)))
    const without = new Map(net.stateDict())
    without.delete('norm.runningMean')
    assert.throws(
      () => twin.loadStateDict(without),
      (error: unknown) => {
        assert.ok(error instanceof StateDictError)
        assert.deepEqual(error.missing, ['norm.runningMean'])
        return true
      },
    )
    const wrong = new Map(net.stateDict()).set('norm.batches', zeros([]))
    assert.throws(() => twin.loadStateDict(wrong), /norm\.batches is int32 here and float32 there/)
  })

  test('move to another device', async () => {
    const net = device.with('reference', () => new Net())
    await net.to('cpu')
    assert.deepEqual(
      [...net.stateDict().values()].map(x => x.device),
      names(net).map(() => 'cpu'),
    )
    net.forward(device.with('cpu', () => ones([5, 3])))
    assert.equal(net.norm.runningMean!.device, 'cpu')
  })

  test('an optimizer, gradients and averages of weights leave them alone', () => {
    const net = new Net()
    const optimizer = new SGD(net)
    const average = new ExponentialMovingAverage(net)
    const x = randn([5, 3])
    const { gradients, unused } = lossAndGradients(net, () => net.forward(x).square().sum())
    assert.deepEqual([...gradients.keys()], ['first.weight', 'first.bias', 'norm.weight', 'norm.bias'])
    assert.deepEqual(unused, [])
    const before = values(net.norm.runningMean!)
    optimizer.step(gradients)
    average.update()
    assert.deepEqual(values(net.norm.runningMean!), before)
  })

  test('the mean of several models has the mean of their buffers, and the count of the first', () => {
    const [one, other] = [new BatchNorm1d(2), new BatchNorm1d(2)]
    for (const [norm, n] of [[one, 1], [other, 2]] as const) // biome-ignore format: pairs
      for (let i = 0; i < n; i++) norm.forward(tensor([[1, 2], [3, 5]])) // biome-ignore format: a matrix
    const soup = new BatchNorm1d(2).loadStateDict(averageWeights([one, other]))
    assertCloseNumbers(values(soup.runningMean!), [(0.2 + 0.38) / 2, (0.35 + 0.665) / 2], 1e-6)
    assert.deepEqual(values(soup.batches!), [1])
  })

  test('of a model without memory have shapes', () => {
    const norm = withoutAllocation(() => new BatchNorm2d(8))
    assert.deepEqual([...norm.runningMean!.shape], [8])
    assert.equal(norm.batches!.dtype, 'int32')
  })

  test('assign refuses another shape or dtype, and says that it is a buffer', () => {
    const buffer = new Buffer(zeros([2]))
    assert.throws(() => buffer.assign(zeros([3])), /the value has shape \[3\], but the buffer has shape \[2\]/)
    assert.throws(() => buffer.assign(zeros([2], { dtype: 'int32' })), /the value is int32, but the buffer is float32/)
    const old = buffer.mul(1).add(0)
    buffer.assign(ones([2]))
    assert.deepEqual([values(buffer), values(old)], [[1, 1], [0, 0]]) // biome-ignore format: pairs
  })
})

describe('batch normalization', () => {
  test('remembers the mean and the unbiased variance in training, and nothing in evaluation', () => {
    const norm = new BatchNorm2d(1, { momentum: 0.5 })
    const x = tensor([[[[1, 2]]], [[[3, 6]]]])
    norm.forward(x)
    const variance = (4 + 1 + 0 + 9) / 3
    const expected = [[1.5], [0.5 + variance / 2], [1]]
    const found = () => [norm.runningMean!, norm.runningVariance!, norm.batches!].map(values)
    found().forEach((numbers, i) => {
      assertCloseNumbers(numbers, expected[i], 1e-6)
    })
    const before = found()
    const y = norm.eval().forward(x)
    assert.deepEqual(found(), before)
    assertCloseNumbers(
      values(y),
      [1, 2, 3, 6].map(v => (v - 1.5) / Math.sqrt(expected[1][0] + 1e-5)),
      1e-5,
    )
  })

  test('in training, its statistics are part of the gradient: the result does not change with a shift', () => {
    const norm = new BatchNorm1d(3)
    const x = random([4, 3])
    const slope = grad((shift: Tensor) => norm.forward(x.add(shift)).pow(3).sum())(zeros([3], { dtype: 'float64' }))
    assertCloseNumbers(values(slope), [0, 0, 0], 1e-9)
    assert.notDeepEqual(values(grad((s: Tensor) => norm.eval().forward(x.add(s)).sum())(zeros([3]))), [0, 0, 0])
  })

  test('keeps the dtype of its buffers, and a check on another device does not count as training', () => {
    const norm = device.with('cpu', () => new BatchNorm1d(3))
    const x = device.with('reference', () => random([4, 3]))
    const parameters = device.with('reference', () => [ones([3]), zeros([3])])
    const trained = withParameters(norm, parameters, () => norm.forward(x))
    assert.deepEqual(values(norm.batches!), [0])
    const evaluated = withParameters(norm.eval(), parameters, () => norm.forward(x))
    assert.deepEqual([trained.device, evaluated.device], ['reference', 'reference'])
    assertCloseNumbers(values(evaluated), values(x), 1e-4)
    const own = device.with('reference', () => new BatchNorm1d(3))
    own.forward(x)
    assert.equal(own.runningMean!.dtype, 'float32')
  })

  test('without running statistics it has no buffers, and uses those of the batch in evaluation', () => {
    const norm = new BatchNorm1d(3, { running: false, affine: false })
    assert.deepEqual(names(norm), [])
    const x = random([4, 3])
    assert.deepEqual(values(norm.eval().forward(x)), values(norm.train().forward(x)))
  })

  test('a step of training frees all but the result', () => {
    const norm = new BatchNorm1d(3)
    const x = randn([4, 3])
    norm.forward(x)
    const { bytes } = device.get().memory()
    norm.forward(x)
    assert.ok(device.get().memory().bytes <= bytes + 4 * 12 + 64)
  })

  test('refuses other forms, one number a channel in training, and a momentum out of range', () => {
    assert.throws(
      () => new BatchNorm1d(3).forward(zeros([2, 4])),
      /BatchNorm1d: x must be \[batch, 3\] or \[batch, 3, length\], not \[2, 4\]/,
    )
    assert.throws(
      () => new BatchNorm2d(3).forward(zeros([3, 4, 4])),
      /BatchNorm2d: x must be \[batch, 3, height, width\], not \[3, 4, 4\]; write x.unsqueeze\(0\) for a batch of one/,
    )
    assert.throws(() => new BatchNorm3d(3).forward(zeros([2, 3, 4, 4])), ShapeError)
    assert.throws(
      () => new BatchNorm1d(3).forward(zeros([1, 3])),
      /more than one number, and x is \[1, 3\]; call eval\(\)/,
    )
    assert.doesNotThrow(() => new BatchNorm1d(3).eval().forward(zeros([1, 3])))
    assert.throws(() => new BatchNorm1d(3, { momentum: 2 }), /BatchNorm1d: the momentum must be in \[0, 1\], not 2/)
  })
})

describe('group and instance normalization', () => {
  test('take any axes, or those of their name', () => {
    assert.equal(new GroupNorm(2, 4).forward(random([2, 4])).rank, 2)
    assert.deepEqual(names(new GroupNorm(2, 4, { affine: false })), [])
    assert.deepEqual(names(new InstanceNorm2d(4)), [])
    assert.deepEqual(names(new InstanceNorm2d(4, { affine: true })), ['weight', 'bias'])
    const y = values(new InstanceNorm1d(2).forward(random([1, 2, 5])))
    for (const start of [0, 5]) assertCloseNumbers([y.slice(start, start + 5).reduce((a, b) => a + b)], [0], 1e-9)
    assert.throws(
      () => new InstanceNorm2d(3).forward(zeros([2, 3, 4])),
      /InstanceNorm2d: x must be \[batch, 3, height, width\]/,
    )
    assert.throws(() => new InstanceNorm3d(3).forward(zeros([2, 4, 1, 1, 1])), ShapeError)
    assert.throws(() => new GroupNorm(3, 4), /the number of groups, 3, must divide that of channels, 4/)
  })

  test('RMSNorm divides by the root of the mean square', () => {
    assertCloseNumbers(
      values(new RMSNorm(2).forward(tensor([[3, 4]]))),
      [3 / Math.sqrt(12.5), 4 / Math.sqrt(12.5)],
      1e-6,
    )
  })
})

describe('Dropout2d', () => {
  test('drops whole channels of each example in training, with the mean kept, and nothing in evaluation', () => {
    seed(1)
    const dropout = new Dropout2d(0.25)
    const y = values(dropout.forward(ones([40, 50, 3])))
    const channels = Array.from({ length: 2000 }, (_, i) => y.slice(3 * i, 3 * i + 3))
    assert.ok(channels.every(channel => channel.every(v => v === channel[0])))
    const kept = channels.filter(channel => channel[0] > 0)
    assert.ok(kept.every(channel => Math.abs(channel[0] - 4 / 3) < 1e-6))
    assert.ok(Math.abs(kept.length / 2000 - 0.75) < 0.05, String(kept.length))
    const x = random([2, 3, 4])
    assert.equal(dropout.eval().forward(x), x)
    assert.throws(() => dropout.forward(zeros([3])), /x must be \[batch, channels, ...\], not \[3\]/)
    assert.throws(() => new Dropout2d(1), /must be in \[0, 1\), not 1/)
  })
})
