// Order at the edges, the same on every device: NaN, infinities, zeros of both signs, equal elements, whole numbers, truths and
// empty axes. Values are PyTorch's 2.13 unless a comment says otherwise.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { grad } from '../../src/autograd/index.ts'
import { type DeviceName, device, scope, type Tensor, type TensorData, tensor, zeros } from '../../src/tensor/index.ts'
import '../support.ts'

const [LEAST, GREATEST] = [-(2 ** 31), 2 ** 31 - 1]
const { NaN: nan } = Number

await device.open('gpu', { backend: 'cpu' })
for (const name of ['reference', 'cpu', 'gpu'] as const satisfies readonly DeviceName[])
  describe(`on ${name}`, () => {
    const make = (data: TensorData) => tensor(data, { device: name })
    const int32 = (data: TensorData) => tensor(data, { dtype: 'int32', device: name })
    const check = async (x: Tensor, expected: unknown, dtype = x.dtype) => {
      assert.deepEqual(await x.array(), expected)
      assert.equal(x.dtype, dtype)
    }
    const test = (says: string, body: () => Promise<void>) => it(says, () => scope(body))

    const mixed = () => make([0, nan, 1, -Infinity, -0, Infinity, nan, -1, 0])

    test('NaN is the largest, zeros are equal, and equal elements stay in order', async () => {
      await check(mixed().argsort(), [3, 7, 0, 4, 8, 2, 5, 1, 6], 'int32')
      await check(mixed().argsort({ descending: true }), [1, 6, 5, 2, 0, 4, 8, 7, 3])
      await check(mixed().sort().values, [-Infinity, -1, 0, -0, 0, 1, Infinity, nan, nan])
    })

    test('every NaN is the largest, whatever its sign and its bits', async () => {
      const bits = Uint32Array.of(0x3f800000, 0xffc00000, 0x7fc00001, 0x7fc00000, 0)
      const x = tensor(new Float32Array(bits.buffer), { device: name })
      await check(x.argsort(), [4, 0, 1, 2, 3], 'int32')
      await check(x.argsort({ descending: true }), [1, 2, 3, 0, 4], 'int32')
    })

    test('whole numbers and truths', async () => {
      // beyond 2²⁴ gpu has not every whole number
      const [least, greatest] = name === 'gpu' ? [-(2 ** 24), 2 ** 24] : [LEAST, GREATEST]
      const whole = int32([5, least, 0, greatest, -1, 5])
      const { values, indices } = whole.sort()
      await check(values, [least, -1, 0, 5, 5, greatest], 'int32')
      await check(indices, [1, 4, 2, 0, 5, 3])
      await check(whole.sort({ descending: true }).indices, [3, 0, 5, 2, 4, 1])
      const smallest = whole.minWithIndices()
      await check(smallest.values, least, 'int32')
      await check(smallest.indices, 1)
      await check(whole.median(), 0, 'int32')
      await check(whole.slice([{ stop: 5 }]).quantile(0.5), 0, 'float32')
      const truths = make([true, false, true, false])
      await check(truths.sort().values, [false, false, true, true], 'bool')
      await check(truths.argsort({ descending: true }), [0, 2, 1, 3])
      await check(truths.minWithIndices().indices, 1)
      await check(truths.maxWithIndices().values, true, 'bool')
      await check(truths.topk(3).indices, [0, 2, 1])
    })

    test('lines that are long, on both sides of the ways to sort', async () => {
      for (const n of [31, 32, 33, 257]) {
        const line = Array.from({ length: n }, (_, i) => ((i * 37) % 101) - 50 + (i % 3) / 4)
        const order = [...line.keys()].sort((i, j) => line[i] - line[j] || i - j)
        await check(make(line).argsort(), order)
        await check(
          make(line).sort({ descending: true }).values,
          line.toSorted((a, b) => b - a),
        )
      }
    })

    test('empty axes, one element and views', async () => {
      await check(zeros([2, 0], { device: name }).argsort(), [[], []], 'int32')
      await check(zeros([0, 2], { device: name }).sort({ axis: 1 }).values, [])
      await check(zeros([2, 0], { device: name }).topk(0).values, [[], []])
      assert.deepEqual(zeros([0, 3], { device: name }).median({ axis: 1 }).shape, [0])
      await check(make([[3], [1]]).argsort(), [[0], [0]])
      const x = make([
        [3, 1, 2],
        [0, 5, 4],
      ])
      await check(x.transpose().argsort(), [
        [1, 0],
        [0, 1],
        [0, 1],
      ])
      await check(x.transpose().flip(0).argsort({ axis: 0 }), [
        [1, 2],
        [0, 0],
        [2, 1],
      ])
      await check(make([2, 1]).expand([2, 2]).argsort(), [
        [1, 0],
        [1, 0],
      ])
    })

    test('topk and kthValue take the first of equal elements', async () => {
      const x = make([2, 3, 3, 1, 2, nan])
      await check(x.topk(4).values, [nan, 3, 3, 2])
      await check(x.topk(4).indices, [5, 1, 2, 0])
      await check(x.topk(3, { largest: false }).indices, [3, 0, 4])
      await check(x.kthValue(3).values, 2)
      await check(x.kthValue(3).indices, 4)
      await check(x.kthValue(6).values, nan)
    })

    test('NaN wins in both directions, and the first of equal elements', async () => {
      const x = make([
        [1, nan, 3, nan],
        [-0, 2, 2, 0],
      ])
      await check(x.maxWithIndices().indices, [1, 1])
      await check(x.minWithIndices().indices, [1, 0])
      await check(x.minWithIndices({ keepDims: true }).values, [[nan], [-0]])
      await check(make([Infinity, -Infinity]).minWithIndices().values, -Infinity)
    })

    test('the median is an element, or NaN', async () => {
      await check(make([4, 1, 3, 2]).median(), 2)
      await check(make([nan, 1, 3]).median(), nan)
      await check(
        make([
          [Infinity, 1, Infinity],
          [nan, 1, 2],
        ]).median({ axis: 1, keepDims: true }),
        [[Infinity], [nan]],
      )
    })

    test('quantiles beside infinities and NaN', async () => {
      const x = make([1, 2, 4, 8])
      await check(x.quantile(0.5), 3)
      await check(x.quantile([0, 0.25, 1]), [1, 1.75, 8])
      for (const [interpolation, value] of [
        ['lower', 2],
        ['higher', 4],
        ['nearest', 4],
        ['midpoint', 3],
      ] as const)
        await check(x.quantile(0.5, { interpolation }), value)
      // a rank of 0.5 is rounded to the even 0
      await check(make([1, 2]).quantile(0.5, { interpolation: 'nearest' }), 1)
      await check(make([1, nan]).quantile([0, 0.5]), [nan, nan])
      // PyTorch gives NaN
      await check(make([0, Infinity, Infinity]).quantile(0.75), Infinity)
      await check(make([-Infinity, 0, 1]).quantile([0.125, 0.25]), [-Infinity, -Infinity])
      await check(make([-3e38, 3e38]).quantile(0.5), 0)
      await check(make([3, 3]).quantile(0.3), 3)
    })

    test('searchSorted counts what is smaller, or not larger', async () => {
      const line = make([-Infinity, 1, 1, 2, Infinity, nan])
      const values = make([0, 1, 2, 3, Infinity, -Infinity, nan])
      await check(line.searchSorted(values), [1, 1, 3, 4, 4, 0, 5], 'int32')
      await check(line.searchSorted(values, { side: 'right' }), [1, 3, 4, 4, 5, 1, 6])
      await check(make([]).searchSorted(make([1, nan])), [0, 0])
      await check(int32([1, 3]).searchSorted(make([2.5, 3])), [1, 1])
      await check(make([1, 2, 3]).searchSorted(make(2)), 1)
    })

    test('histogram counts the last edge, and neither NaN nor what is outside', async () => {
      const x = make([0, 0.5, 1, 2, 2, -3, nan, 5])
      const { counts, edges } = x.histogram({ bins: 4, range: [0, 2] })
      await check(edges, [0, 0.5, 1, 1.5, 2])
      await check(counts, [1, 1, 1, 2], 'int32')
      await check(make([3, 3]).histogram({ bins: 2 }).edges, [2.5, 3, 3.5])
      await check(make([3, 3]).histogram({ bins: 2 }).counts, [0, 2])
      await check(make([3]).histogram({ bins: 2, range: [3, 3] }).counts, [0, 1])
      const none = zeros([0], { device: name }).histogram()
      await check(none.counts, new Array(10).fill(0))
      assert.deepEqual(none.edges.shape, [11])
      await check(int32([1, 2, 2, 9]).histogram({ bins: 2 }).counts, [3, 1])
    })

    test('gradients go to the elements, and equal elements do not share them', async () => {
      const x = make([2, nan, 1, 2])
      const seed = make([1, 10, 100, 1000])
      await check(grad((y: Tensor) => y.sort().values.mul(seed).sum())(x), [10, 1000, 1, 100])
      await check(grad((y: Tensor) => y.topk(2).values.sum())(x), [1, 1, 0, 0])
      await check(grad((y: Tensor) => y.maxWithIndices().values)(make([1, 3, 3])), [0, 1, 0])
      await check(grad((y: Tensor) => y.max())(make([1, 3, 3])), [0, 0.5, 0.5])
      await check(grad((y: Tensor) => y.minWithIndices().values)(make([3, 1, 1])), [0, 1, 0])
      await check(grad((y: Tensor) => y.median())(make([4, 1, 3, 2])), [0, 0, 0, 1])
      await check(grad((y: Tensor) => y.median())(x), [0, 1, 0, 0])
      await check(grad((y: Tensor) => y.quantile(0.25))(make([4, 0, 8])), [0.5, 0.5, 0])
    })
  })

it('on cpu the largest whole numbers and lines that threads share', () => {
  const n = 70
  const rows = 500
  const data = Int32Array.from({ length: n * rows }, (_, i) => Math.imul(i + 1, 0x9e3779b1))
  const orders = (['reference', 'cpu'] as const).map(on =>
    [0, 1].map(axis =>
      tensor(data, { shape: [rows, n], device: on })
        .argsort({ axis, descending: axis === 0 })
        .dataSync(),
    ),
  )
  assert.deepEqual(orders[1], orders[0])
})
