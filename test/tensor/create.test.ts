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
  ValueError,
  zeros,
  zerosLike,
} from '../../src/tensor/index.ts'
import { tensor as tensors } from '../../src/testing/index.ts'
import { fc, values } from '../support.ts'

const says = (x: Tensor) => [x.dtype, [...x.shape], values(x)]

describe('tensor', () => {
  it('takes numbers, booleans, lists and typed arrays, and infers the dtype', () => {
    assert.deepEqual(says(tensor(3)), ['float32', [], [3]])
    assert.deepEqual(says(tensor([[1, 2, 3]])), ['float32', [1, 3], [1, 2, 3]])
    assert.deepEqual(says(tensor([true, false])), ['bool', [2], [1, 0]])
    assert.deepEqual(says(tensor([])), ['float32', [0], []])
    assert.deepEqual(says(tensor([[], []])), ['float32', [2, 0], []])
    assert.deepEqual(says(tensor(Int32Array.of(1, 2))), ['int32', [2], [1, 2]])
    assert.deepEqual(says(tensor(Float64Array.of(1, 2), { shape: [2, 1] })), ['float64', [2, 1], [1, 2]])
    assert.deepEqual(says(tensor([Float32Array.of(1, 2), Float32Array.of(3, 4)])), ['float32', [2, 2], [1, 2, 3, 4]])
  })

  it('converts to the given dtype', () => {
    assert.deepEqual(says(tensor([1.7, -1.7], { dtype: 'int32' })), ['int32', [2], [1, -1]])
    assert.deepEqual(says(tensor([2, 0, -0.5], { dtype: 'bool' })), ['bool', [3], [1, 0, 1]])
    assert.deepEqual(says(tensor(Uint8Array.of(0, 255), { dtype: 'float32' })), ['float32', [2], [0, 255]])
    assert.deepEqual(says(full([2], 5, { dtype: 'bool' })), ['bool', [2], [1, 1]])
  })

  it('takes integers of every width as int32, including pixels and buffers, alone and in lists', () => {
    const arrays = [Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array]
    for (const numbers of [...arrays.map(type => type.of(0, 1, 100)), Buffer.from([0, 1, 100])]) {
      assert.deepEqual(says(tensor(numbers)), ['int32', [3], [0, 1, 100]])
      assert.deepEqual(says(tensor([numbers, numbers])), ['int32', [2, 3], [0, 1, 100, 0, 1, 100]])
      assert.deepEqual(says(tensor(numbers, { dtype: 'float32', shape: [3, 1] })), ['float32', [3, 1], [0, 1, 100]])
      assert.deepEqual(says(tensor(numbers, { dtype: 'bool' })), ['bool', [3], [0, 1, 1]])
      assert.deepEqual(says(fromData(numbers, [3])), ['int32', [3], [0, 1, 100]])
    }
    for (const numbers of [BigInt64Array.of(-1n, 7n), BigInt64Array.from([-1n, 7n])]) {
      assert.deepEqual(says(tensor(numbers)), ['int32', [2], [-1, 7]])
      assert.deepEqual(says(tensor([numbers])), ['int32', [1, 2], [-1, 7]])
      assert.deepEqual(says(tensor(numbers, { dtype: 'float64' })), ['float64', [2], [-1, 7]])
    }
    assert.deepEqual(says(tensor(BigUint64Array.of(0n, 5n), { dtype: 'bool' })), ['bool', [2], [0, 1]])
    assert.deepEqual(says(tensor([Uint8Array.of(200), [1.5]])), ['float32', [2, 1], [200, 1.5]])
    assert.deepEqual(says(tensor([Float32Array.of(1), Uint8Array.of(2)])), ['float32', [2, 1], [1, 2]])
  })

  it('takes booleans that were read from a tensor, as bytes and as lists', async () => {
    const truths = tensor([
      [true, false],
      [false, true],
    ])
    assert.deepEqual(says(tensor(await truths.data(), { dtype: 'bool', shape: [2, 2] })), says(truths))
    assert.deepEqual(says(fromData(await truths.data(), [2, 2], undefined, 'bool')), says(truths))
    assert.deepEqual(says(tensor((await truths.array()) as boolean[][])), says(truths))
    assert.deepEqual(says(await toDevice(truths, 'cpu')), says(truths))
    assert.deepEqual(says(fromNdarray(await toNdarray(truths), { dtype: 'bool' })), says(truths))
  })

  it('throws for a number outside of int32, with the number and its position', () => {
    const refused = (f: () => Tensor, value: number | bigint, position: number[]) =>
      assert.throws(f, (error: unknown) => {
        assert.ok(error instanceof ValueError, `${error}`)
        assert.deepEqual([error.value, error.position], [value, position])
        assert.match(
          error.message,
          / does not fit into int32, which holds -2147483648 to 2147483647; write \{ dtype: 'float32' \}/,
        )
        return true
      })
    const int32 = { dtype: 'int32' } as const
    refused(() => tensor(Uint32Array.of(1, 2 ** 31)), 2 ** 31, [1])
    refused(() => tensor(BigInt64Array.of(1n, 2n, -(2n ** 40n)), { shape: [3, 1] }), -(2n ** 40n), [2])
    refused(() => tensor([Uint32Array.of(1), Uint32Array.of(2 ** 32 - 1)]), 2 ** 32 - 1, [1, 0])
    refused(
      () =>
        tensor(
          [
            [1, 2],
            [3, Number.NaN],
          ],
          int32,
        ),
      Number.NaN,
      [1, 1],
    )
    refused(() => tensor(Float32Array.of(0, Number.POSITIVE_INFINITY), int32), Number.POSITIVE_INFINITY, [1])
    refused(() => tensor(-(2 ** 31) - 1, int32), -(2 ** 31) - 1, [])
    refused(() => fromData(Float64Array.of(0, 0, 0, 2 ** 31), [2, 2], undefined, 'int32'), 2 ** 31, [1, 1])
    refused(() => full([2], 2 ** 31, int32), 2 ** 31, [])
    refused(() => arange(2 ** 31 - 1, 2 ** 31 + 2), 2 ** 31, [1])
    refused(() => randint(0, 2 ** 32, [2]), 2 ** 32 - 1, [])
    refused(() => fromNdarray(ndarray(Uint32Array.of(1, 2 ** 31, 3, 4), [2, 2]).transpose(1, 0)), 2 ** 31, [1, 0])
    const ends = [2 ** 31 - 1, -(2 ** 31), 2 ** 31 - 0.5, -(2 ** 31) - 0.5]
    assert.deepEqual(values(tensor(ends, int32)), [2 ** 31 - 1, -(2 ** 31), 2 ** 31 - 1, -(2 ** 31)])
  })

  it('throws for a value that is not a number, with its position', () => {
    const program = { now: new Date(0), later: Promise.resolve(1), inside: tensor([1, 2]) }
    const refused = (data: unknown, position: number[], words: string) =>
      assert.throws(
        () => tensor(data as number[]),
        (error: unknown) => {
          assert.ok(error instanceof ValueError, `${error}`)
          assert.deepEqual([error.position, error.message], [position, `tensor: ${words}`])
          return true
        },
      )
    refused([1, undefined], [1], 'undefined at [1] is not a number')
    refused([[1], [null]], [1, 0], 'null at [1, 0] is not a number')
    refused(['a'], [0], "'a' at [0] is not a number")
    refused([1, '2'], [1], "'2' at [1] is not a number; write Number('2')")
    refused([program.now], [0], 'a Date at [0] is not a number')
    refused([program.later], [0], 'a Promise at [0] is not a number; await it first')
    refused([[program.inside]], [0, 0], 'a tensor [2] at [0, 0] is not a number; write stack([…]) to join tensors')
    refused([1n], [0], '1n at [0] is not a number; write Number(1n)')
    refused(new Array(2), [0], 'undefined at [0] is not a number')
    refused([{}], [0], '{} at [0] is not a number')
  })

  it('copies its input', () => {
    const data = Float32Array.of(1, 2)
    const x = tensor(data)
    data[0] = 9
    assert.deepEqual(values(x), [1, 2])
    x.dataSync()[1] = 9
    assert.deepEqual(values(x), [1, 2])
  })

  it('throws for lists of uneven length or depth, with the position', () => {
    const rule = 'lists on one axis must have the same length and depth'
    assert.throws(() => tensor([[1, 2], [3]]), {
      name: 'ShapeError',
      message: `tensor: a list of 1 at [1] does not match a list of 2 at [0]; ${rule}`,
    })
    assert.throws(() => tensor([1, [2]]), {
      message: `tensor: a list of 1 at [1] does not match a number at [0]; ${rule}`,
    })
    assert.throws(() => tensor([[1], 2]), { message: `tensor: 2 at [1] does not match a list of 1 at [0]; ${rule}` })
    assert.throws(() => tensor([1, 2], { shape: [3] }), /2 values do not fill \[3\], which has 3 elements/)
    assert.throws(() => zeros([-1]), ShapeError)
  })
})

describe('sequences and constants', () => {
  it('have the values that their names state', () => {
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

  it('promote to the wider one', () => {
    for (const [i, a] of order.entries())
      for (const [j, b] of order.entries()) assert.equal(promote(a, b), order[Math.max(i, j)])
    assert.deepEqual(order.map(floating), ['float32', 'float32', 'float32', 'float64'])
  })

  it('keep their dtype with a number that it can represent, and promote otherwise', () => {
    assert.equal(promoteScalar('float64', 0.5), 'float64')
    assert.equal(promoteScalar('float32', 1e300), 'float32')
    assert.equal(promoteScalar('int32', 3), 'int32')
    assert.equal(promoteScalar('int32', -(2 ** 31) + 1), 'int32')
    for (const value of [0.5, 2 ** 31, -1e30, Infinity, Number.NaN])
      assert.equal(promoteScalar('int32', value), 'float32')
    assert.equal(promoteScalar('bool', 1), 'int32')
  })

  it('that a device does not support throw', () => {
    const narrow = { ...device.get(), dtypes: ['float32'] as const }
    assert.throws(() => fromData(Float64Array.of(1), [1], narrow), DTypeError)
  })
})

describe('reading', () => {
  it('gives elements in row-major order, nested arrays, or a single element', async () => {
    await fc.assert(
      fc.asyncProperty(tensors(), async x => {
        assert.deepEqual([...(await x.data())], values(x))
        assert.deepEqual(says(tensor((await x.array()) as number[], { dtype: x.dtype, shape: x.shape })), says(x))
      }),
    )
    assert.deepEqual(await tensor([[true], [false]]).array(), [[true], [false]])
    assert.equal(await tensor([[4]]).item(), 4)
    await assert.rejects(zeros([2, 3]).item(), /item: the tensor must have one element, and \[2, 3\] has 6/)
  })

  it('ndarrays convert in both directions, with any strides', async () => {
    const nd = ndarray(Float64Array.of(1, 2, 3, 4, 5, 6), [2, 3])
      .transpose(1, 0)
      .step(-1, 1)
    const before = device.get().memory().buffers
    const x = fromNdarray(nd)
    assert.equal(device.get().memory().buffers - before, 1)
    assert.deepEqual(says(x), ['float64', [3, 2], [3, 6, 2, 5, 1, 4]])
    const pixels = Uint8Array.of(0, 1, 127, 255)
    assert.deepEqual(says(fromNdarray(ndarray(pixels, [2, 2]))), ['int32', [2, 2], [0, 1, 127, 255]])
    assert.deepEqual(says(fromNdarray(ndarray([1.5, 2], [2]))), ['float32', [2], [1.5, 2]])
    const back = await toNdarray(x)
    assert.deepEqual([back.shape, back.get(0, 1)], [[3, 2], 6])
    assert.equal(await toDevice(x, 'reference'), x)
  })
})

describe('random tensors', () => {
  it('depend on the seed, or on a given generator', () => {
    seed(5)
    const first = [rand([3]), randn([3]), randint(2, 9, [3])].map(values)
    seed(5)
    assert.deepEqual([rand([3]), randn([3]), randint(2, 9, [3])].map(values), first)
    const own = () => values(randn([4], { generator: new Generator(1), dtype: 'float64' }))
    assert.deepEqual(own(), own())
  })

  it('are within their range, which excludes high', () => {
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
