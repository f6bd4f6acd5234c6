// Tensors from host data, and host data from tensors.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import ndarray from 'ndarray'
import {
  arange,
  DTypeError,
  device,
  eye,
  floating,
  fromData,
  fromNdarray,
  full,
  Generator,
  linspace,
  ones,
  onesLike,
  promote,
  promoteScalar,
  rand,
  randint,
  randn,
  ShapeError,
  seed,
  type Tensor,
  tensor,
  toDevice,
  toNdarray,
  zeros,
  zerosLike,
} from '../../src/tensor/index.ts'
import { tensor as tensors } from '../../src/testing/index.ts'
import { fc, values } from '../support.ts'

const says = (x: Tensor) => [x.dtype, [...x.shape], values(x)]

describe('tensor', () => {
  it('takes numbers, booleans, lists and typed arrays, with the dtype they suggest', () => {
    assert.deepEqual(says(tensor(3)), ['float32', [], [3]])
    assert.deepEqual(says(tensor([[1, 2, 3]])), ['float32', [1, 3], [1, 2, 3]])
    assert.deepEqual(says(tensor([true, false])), ['bool', [2], [1, 0]])
    assert.deepEqual(says(tensor([])), ['float32', [0], []])
    assert.deepEqual(says(tensor([[], []])), ['float32', [2, 0], []])
    assert.deepEqual(says(tensor(Int32Array.of(1, 2))), ['int32', [2], [1, 2]])
    assert.deepEqual(says(tensor(Float64Array.of(1, 2), { shape: [2, 1] })), ['float64', [2, 1], [1, 2]])
    assert.deepEqual(says(tensor([Float32Array.of(1, 2), Float32Array.of(3, 4)])), ['float32', [2, 2], [1, 2, 3, 4]])
  })

  it('converts to the dtype that is asked for', () => {
    assert.deepEqual(says(tensor([1.7, -1.7], { dtype: 'int32' })), ['int32', [2], [1, -1]])
    assert.deepEqual(says(tensor([2, 0, -0.5], { dtype: 'bool' })), ['bool', [3], [1, 0, 1]])
    assert.deepEqual(says(tensor(Uint8Array.of(0, 255))), ['bool', [2], [0, 1]])
    assert.deepEqual(says(tensor(Uint8Array.of(0, 255), { dtype: 'float32' })), ['float32', [2], [0, 255]])
    assert.deepEqual(says(full([2], 5, { dtype: 'bool' })), ['bool', [2], [1, 1]])
  })

  it('copies what it takes', () => {
    const data = Float32Array.of(1, 2)
    const x = tensor(data)
    data[0] = 9
    assert.deepEqual(values(x), [1, 2])
    x.dataSync()[1] = 9
    assert.deepEqual(values(x), [1, 2])
  })

  it('refuses lists of uneven length or depth, and says where', () => {
    assert.throws(() => tensor([[1, 2], [3]]), {
      name: 'ShapeError',
      message: 'tensor: a list of 1 stands on axis 1 of [2, 2] where 2 was expected',
    })
    assert.throws(() => tensor([1, [2]]), /a list of 1 stands on axis 1 of \[2\] where a number was expected/)
    assert.throws(() => tensor([[1], 2]), /a number stands on axis 1 of \[2, 1\] where a list was expected/)
    assert.throws(() => tensor([1, 2], { shape: [3] }), /2 values do not fill \[3\], which has 3/)
    assert.throws(() => zeros([-1]), ShapeError)
  })
})

describe('sequences and constants', () => {
  it('are what their names say', () => {
    assert.deepEqual(says(zeros([2])), ['float32', [2], [0, 0]])
    assert.deepEqual(says(ones([1, 2], { dtype: 'int32' })), ['int32', [1, 2], [1, 1]])
    assert.deepEqual(says(zerosLike(ones([2], { dtype: 'float64' }))), ['float64', [2], [0, 0]])
    assert.deepEqual(says(onesLike(zeros([2], { dtype: 'int32' }))), ['int32', [2], [1, 1]])
    assert.deepEqual(says(arange(4)), ['int32', [4], [0, 1, 2, 3]])
    assert.deepEqual(says(arange(5, 0, -2)), ['int32', [3], [5, 3, 1]])
    assert.deepEqual(says(arange(0, 1, 0.25)), ['float32', [4], [0, 0.25, 0.5, 0.75]])
    assert.deepEqual(says(arange(3, 1)), ['int32', [0], []])
    assert.deepEqual(says(linspace(0, 1, 5)), ['float32', [5], [0, 0.25, 0.5, 0.75, 1]])
    assert.deepEqual(says(linspace(2, 3, 1)), ['float32', [1], [2]])
    assert.deepEqual(says(eye(2, 3)), ['float32', [2, 3], [1, 0, 0, 0, 1, 0]])
    assert.throws(() => arange(0, 1, 0), RangeError)
    assert.throws(() => arange(Infinity), RangeError)
  })
})

describe('dtypes', () => {
  const order = ['bool', 'int32', 'float32', 'float64'] as const

  it('meet in the wider one', () => {
    for (const [i, a] of order.entries())
      for (const [j, b] of order.entries()) assert.equal(promote(a, b), order[Math.max(i, j)])
    assert.deepEqual(order.map(floating), ['float32', 'float32', 'float32', 'float64'])
  })

  it('hold a number, or give way to float32', () => {
    assert.equal(promoteScalar('float64', 0.5), 'float64')
    assert.equal(promoteScalar('float32', 1e300), 'float32')
    assert.equal(promoteScalar('int32', 3), 'int32')
    assert.equal(promoteScalar('int32', -(2 ** 31) + 1), 'int32')
    for (const value of [0.5, 2 ** 31, -1e30, Infinity, Number.NaN])
      assert.equal(promoteScalar('int32', value), 'float32')
    assert.equal(promoteScalar('bool', 1), 'int32')
  })

  it('that a device has not are refused', () => {
    const narrow = { ...device.get(), dtypes: ['float32'] as const }
    assert.throws(() => fromData(Float64Array.of(1), [1], narrow), DTypeError)
  })
})

describe('reading', () => {
  it('gives elements in row-major order, nested arrays, or the one element', async () => {
    await fc.assert(
      fc.asyncProperty(tensors(), async x => {
        assert.deepEqual([...(await x.data())], values(x))
        assert.deepEqual(says(tensor((await x.array()) as number[], { dtype: x.dtype, shape: x.shape })), says(x))
      }),
    )
    assert.deepEqual(await tensor([[true], [false]]).array(), [[true], [false]])
    assert.equal(await tensor([[4]]).item(), 4)
    await assert.rejects(zeros([2, 3]).item(), /item: \[2, 3\] has 6 elements, not one/)
  })

  it('and ndarrays go there and back, strides and all', async () => {
    const nd = ndarray(Float64Array.of(1, 2, 3, 4, 5, 6), [2, 3])
      .transpose(1, 0)
      .step(-1, 1)
    const before = device.get().memory().buffers
    const x = fromNdarray(nd)
    assert.equal(device.get().memory().buffers - before, 1)
    assert.deepEqual(says(x), ['float64', [3, 2], [3, 6, 2, 5, 1, 4]])
    const back = await toNdarray(x)
    assert.deepEqual([back.shape, back.get(0, 1)], [[3, 2], 6])
    assert.equal(await toDevice(x, 'reference'), x)
  })
})

describe('random tensors', () => {
  it('come from a seed, or a generator of their own', () => {
    seed(5)
    const first = [rand([3]), randn([3]), randint(2, 9, [3])].map(values)
    seed(5)
    assert.deepEqual([rand([3]), randn([3]), randint(2, 9, [3])].map(values), first)
    const own = () => values(randn([4], { generator: new Generator(1), dtype: 'float64' }))
    assert.deepEqual(own(), own())
  })

  it('keep to their range, which high is not part of', () => {
    const generator = new Generator(2)
    const low = values(rand([2000], { low: -3, high: -1, generator }))
    assert.ok(low.every(x => x >= -3 && x < -1))
    const integers = values(randint(-2, 2, [2000], { generator }))
    assert.deepEqual(
      [...new Set(integers)].sort((a, b) => a - b),
      [-2, -1, 0, 1],
    )
    class AlmostOne extends Generator {
      override uniform(): number {
        return 1 - 2 ** -53
      }
    }
    assert.ok(values(rand([1], { generator: new AlmostOne() }))[0] < 1)
  })
})
