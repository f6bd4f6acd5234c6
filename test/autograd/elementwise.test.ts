// Elementwise functions, reductions and scans at the ends of their domains: signed zeros, infinities, NaN, ties, integers, bools, and
// the gradients there.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  atan2,
  fmod,
  grad,
  hessian,
  hypot,
  jacobian,
  logaddexp,
  remainder,
  type TensorFunction,
  vjp,
} from '../../src/autograd/index.ts'
import { device, ones, type Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import { assertCloseNumbers, values } from '../support.ts'

const float64 = (data: number | readonly number[]) => tensor(data, { dtype: 'float64' })
const int32 = (data: number | readonly number[]) => tensor(data, { dtype: 'int32' })
const slope = (f: TensorFunction, x: Tensor) => values(grad((y: Tensor) => f(y).sum())(x))

/** Fails unless numbers are the same, the signs of zeros included. */
const same = (actual: readonly number[], expected: readonly number[]) => assert.deepStrictEqual([...actual], expected)

for (const on of ['reference', 'cpu'] as const)
  describe(`on ${on}`, () => {
    const of = (...numbers: number[]) => device.with(on, () => tensor(numbers))

    it('round gives the even one of two numbers that are equally near', () => {
      same(values(of(0.5, 1.5, 2.5, 3.5, -0.5, -1.5, -2.5).round()), [0, 2, 2, 4, -0, -2, -2])
      // the number below ½, and the largest with a fraction
      same(values(of(0.49999997, 8388607.5, 8388608, 16777215, -0.2).round()), [0, 8388608, 8388608, 16777215, -0])
    })

    it('rounding keeps zeros of both signs, infinities and NaN', () => {
      const special = [0, -0, Infinity, -Infinity, NaN]
      for (const f of ['floor', 'ceil', 'trunc', 'round'] as const) same(values(of(...special)[f]()), special)
      same(values(of(-0.5).ceil()), [-0])
      same(values(of(-0.5).trunc()), [-0])
    })

    it('remainders have the sign of x or of y', () => {
      same(values(of(5, -5, 5, -5).fmod(of(3, 3, -3, -3))), [2, -2, 2, -2])
      same(values(of(5, -5, 5, -5).remainder(of(3, 3, -3, -3))), [2, 1, -1, -2])
      same(values(of(6, -6, -0).fmod(3)), [0, -0, -0])
      same(values(of(1, -1, 1).remainder(Infinity)), [1, Infinity, 1])
      same(values(of(1, -1, 1).fmod(-Infinity)), [1, -1, 1])
      same(values(of(1, 0, Infinity, NaN).fmod(0)), [NaN, NaN, NaN, NaN])
      same(values(of(Infinity, NaN).remainder(2)), [NaN, NaN])
    })

    it('remainders of integers are integers, and 0 after a division by 0', () => {
      const x = device.with(on, () => int32([7, -7, 7, -7, -(2 ** 31), 5]))
      const y = device.with(on, () => int32([3, 3, -3, -3, -1, 0]))
      const truncated = x.fmod(y)
      const floored = x.remainder(y)
      assert.deepEqual([truncated.dtype, floored.dtype], ['int32', 'int32'])
      same(values(truncated), [1, -1, 1, -1, 0, 0])
      same(values(floored), [1, 2, -2, -1, 0, 0])
      assert.equal(x.remainder(0.5).dtype, 'float32')
      assert.equal(x.fmod(2).dtype, 'int32')
      const truths = device.with(on, () => tensor([true, false]))
      assert.deepEqual([truths.fmod(truths).dtype, ...values(truths.fmod(truths))], ['int32', 0, 0])
    })

    it('atan2 knows all quadrants, axes and corners', () => {
      const corners = [-Infinity, -1, -0, 0, 1, Infinity]
      for (const y of corners)
        for (const x of corners) assertCloseNumbers(values(atan2(of(y), of(x))), [Math.fround(Math.atan2(y, x))], 1e-7)
      same(values(atan2(of(-0, 0, -0), of(1, -0, 0))), [-0, Math.fround(Math.PI), -0])
      same(values(atan2(of(NaN, 1, 0), of(1, NaN, NaN))), [NaN, NaN, NaN])
    })

    it('hypot neither overflows nor loses small numbers', () => {
      same(values(hypot(of(3e38, 3e-38, 0, -0), of(0, 4e-38, 0, 0))), [
        Math.fround(3e38),
        ...[...values(of(5e-38))],
        0,
        0,
      ])
      same(values(hypot(of(Infinity, NaN, -Infinity, NaN), of(NaN, -Infinity, 1, 1))), [
        Infinity,
        Infinity,
        Infinity,
        NaN,
      ])
    })

    it('inverse functions are NaN outside of their domains', () => {
      const outside = of(1.5, -1.5, Infinity, -Infinity)
      for (const f of ['asin', 'acos', 'atanh'] as const) same(values(outside[f]()), [NaN, NaN, NaN, NaN])
      same(values(of(0.5, -2, -1e30, -Infinity).acosh()), [NaN, NaN, NaN, NaN])
      same(values(of(1, -1).atanh()), [Infinity, -Infinity])
      same(values(of(0, -0).asinh()), [0, -0])
      same(values(of(3.4e38, -3.4e38).asinh()).map(Math.round), [89, -89])
    })

    it('log2 and log10 of powers are exact', () => {
      const powers = Array.from({ length: 60 }, (_, i) => i - 30)
      same(values(of(...powers.map(n => 2 ** n)).log2()), powers)
      const tens = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
      same(values(of(...tens.map(n => 10 ** n)).log10()), tens)
    })

    it('logaddexp of infinities', () => {
      const [x, y] = [of(-Infinity, -Infinity, Infinity, Infinity), of(-Infinity, 2, Infinity, -Infinity)]
      same(values(logaddexp(x, y)), [-Infinity, 2, Infinity, Infinity])
      const [, pullback] = vjp(logaddexp as TensorFunction, x, y)
      same(pullback(of(1, 1, 1, 1)).flatMap(values), [0.5, 0, 0.5, 1, 0.5, 1, 0.5, 0])
    })

    it('isNaN, isInf, isFinite and nanToNum', () => {
      const x = of(1, NaN, Infinity, -Infinity)
      same(values(x.isNaN()), [0, 1, 0, 0])
      same(values(x.isInf()), [0, 0, 1, 1])
      same(values(x.isFinite()), [1, 0, 0, 0])
      const largest = 3.4028234663852886e38
      same(values(x.nanToNum()), [1, 0, largest, -largest])
      same(values(x.nanToNum({ nan: 2, posInf: 3, negInf: 4 })), [1, 2, 3, 4])
      same(
        slope(y => y.nanToNum(), x),
        [1, 0, 0, 0],
      )
    })

    it('lerp ends exactly at both ends', () => {
      const [x, y] = [of(0.1, -7e10, 3), of(0.7, 1e-3, 3)]
      for (const [weight, end] of [
        [0, x],
        [1, y],
      ] as const) {
        same(values(x.lerp(y, weight)), values(end))
        same(values(x.lerp(y, of(weight))), values(end))
      }
    })

    it('the norm of a large order does not overflow', () => {
      assertCloseNumbers(values(of(1e30, 1e30).norm({ order: 10 }).div(1e30)), [2 ** 0.1], 1e-6)
      assertCloseNumbers(values(of(1e-30, 1e-30).norm({ order: -10 }).div(1e-30)), [2 ** -0.1], 1e-6)
      same(values(of(Infinity, 1).norm({ order: 3 })), [Infinity])
      same(values(of(Infinity, Infinity).norm({ order: -3 })), [Infinity])
    })

    it('the standard deviation of equal numbers is 0, with gradient 0', () => {
      // the mean of three 0.1 is not 0.1 in float64
      for (const n of [1, 3, 7]) {
        const x = device.with(on, () => tensor(new Array<number>(n).fill(0.1), { dtype: 'float64' }))
        same(values(x.std({ correction: 0 })), [0])
        same(
          slope(y => y.std({ correction: 0 }), x),
          new Array<number>(n).fill(0),
        )
      }
    })

    it('argmin finds the first of the smallest, NaN as the smallest', () => {
      same(values(of(2, 1, 1).argmin()), [1])
      same(values(of(2, NaN, -Infinity, NaN).argmin()), [1])
      const x = device.with(on, () => int32([5, -(2 ** 31), 2 ** 31 - 1]))
      same([...values(x.argmin()), ...values(device.with(on, () => tensor([true, false])).argmin())], [1, 1])
    })

    it('scans of NaN, infinities and integers', () => {
      same(values(of(1, NaN, 2).cummax()), [1, NaN, NaN])
      same(values(of(-Infinity, -Infinity, 1, -2).cummax()), [-Infinity, -Infinity, 1, 1])
      same(values(of(-Infinity, -Infinity, 0, 0).logCumSumExp()).slice(0, 3), [-Infinity, -Infinity, 0])
      const x = device.with(on, () => int32([3, -(2 ** 31), 5]))
      assert.deepEqual([x.cummin().dtype, x.cumprod().dtype, x.prod().dtype], ['int32', 'int32', 'int32'])
      same(values(x.cummin()), [3, -(2 ** 31), -(2 ** 31)])
      same(values(device.with(on, () => int32([65536, 65537])).prod()), [65536])
      assert.equal(device.with(on, () => int32([1])).logCumSumExp().dtype, 'float32')
    })
  })

it('rounding returns integers and bools as they are', () => {
  for (const x of [int32([3, -4]), tensor([true, false])])
    for (const f of ['floor', 'ceil', 'trunc', 'round'] as const) {
      assert.equal(x[f]().dtype, x.dtype)
      same(values(x[f]()), values(x))
    }
})

it('functions of integers are float32', () => {
  const x = int32([1, 2])
  for (const f of ['tan', 'atan', 'sinh', 'asinh', 'exp2', 'log2', 'reciprocal', 'std'] as const)
    assert.equal(x[f]().dtype, 'float32')
  for (const y of [x.atan2(x), x.hypot(2), x.logaddexp(x), x.norm({ order: 3 })]) assert.equal(y.dtype, 'float32')
  assert.equal(x.cube().dtype, 'int32')
  assert.deepEqual([x.nanToNum().dtype, x.isFinite().dtype], ['int32', 'bool'])
})

it('the gradient of a rounded number is 0, also times infinity', () => {
  for (const f of ['floor', 'ceil', 'trunc', 'round', 'sign'] as const)
    same(
      slope(x => x[f]().mul(Infinity), float64([0.3, 2])),
      [0, 0],
    )
})

it('the gradients of remainders by y are whole quotients', () => {
  const [x, y] = [float64([5.3, -5.3]), float64([-2, 0.7])]
  const byY = (f: (x: Tensor, y: Tensor) => Tensor) => slope(z => f(x, z), y)
  same(byY(fmod), [2, 7])
  same(byY(remainder), [3, 8])
})

it('the gradients of hypot and atan2 at the origin are 0', () => {
  const zero = zeros([1], { dtype: 'float64' })
  for (const f of [hypot, atan2]) {
    const [, pullback] = vjp(f as TensorFunction, zero, zero)
    assertCloseNumbers(pullback(ones([1], { dtype: 'float64' })).flatMap(values), [0, 0])
  }
})

describe('products with zeros have exact gradients', () => {
  const product = (list: readonly number[]) => list.reduce((a, b) => a * b, 1)
  for (const x of [
    [2, 0, -3, 5],
    [0, 2, 0, 4, 3],
    [0, 0, 0],
  ]) {
    const without = (...places: number[]) => product(x.filter((_, i) => !places.includes(i)))
    it(`prod of ${x}`, () => {
      same(
        slope(y => y.prod(), float64(x)).map(n => n + 0),
        x.map((_, i) => without(i) + 0),
      )
      same(
        values(hessian(y => y.prod())(float64(x))).map(n => n + 0),
        x.flatMap((_, i) => x.map((_, j) => (i === j ? 0 : without(i, j) + 0))),
      )
    })

    it(`cumprod of ${x}`, () => {
      const part = (i: number, j: number) => (j > i ? 0 : product(x.slice(0, i + 1).filter((_, k) => k !== j)) + 0)
      same(
        values(jacobian(y => y.cumprod())(float64(x))).map(n => n + 0),
        x.flatMap((_, i) => x.map((_, j) => part(i, j))),
      )
    })
  }
})

it('the gradients of norms are 0 at zeros', () => {
  for (const order of [0, 0.5, 1, 1.5, 2, 3, -1, Infinity, -Infinity]) {
    const of = (x: number[]) => slope(y => y.norm({ order }), float64(x)).map(n => n + 0)
    same(of([0, 0]), [0, 0])
    if (order !== -Infinity) assert.equal(of([0, 2, -2])[0], 0)
  }
})

it('the norm of nothing', () => {
  const nothing = zeros([0])
  for (const order of [0, 0.5, 1, 2, 3]) same(values(nothing.norm({ order })), [0])
  same(values(nothing.norm({ order: -1 })), [Infinity])
  for (const order of [Infinity, -Infinity])
    assert.throws(() => nothing.norm({ order }), { name: 'ShapeError', message: /x must have an element to compare/ })
})

it('products, any and all of nothing', () => {
  const nothing = zeros([2, 0])
  same(values(nothing.prod({ axis: 1 })), [1, 1])
  same(values(nothing.any({ axis: 1 })), [0, 0])
  same(values(nothing.all({ axis: 1 })), [1, 1])
  same(values(tensor([NaN, 0]).any()), [1])
  same(values(tensor([true, true]).prod()), [1])
})

it('isClose and allClose', async () => {
  const x = float64([1, NaN, Infinity, -Infinity, 1e-9, 100])
  const y = float64([1 + 9e-6, NaN, Infinity, Infinity, 0, 100.01])
  same(values(x.isClose(y)), [1, 0, 1, 0, 1, 0])
  same(values(x.isClose(y, { equalNan: true, rtol: 1e-3 })), [1, 1, 1, 0, 1, 1])
  // everything would be within a share of infinity
  same(values(float64([1, -Infinity, NaN]).isClose(Infinity)), [0, 0, 0])
  assert.equal(await x.allClose(y), false)
  assert.equal(await x.slice([{ stop: 1 }]).allClose(y.slice([{ stop: 1 }])), true)
  assert.equal(await x.slice([{ stop: 3 }]).allClose(y.slice([{ stop: 3 }]), { equalNan: true }), true)
  assert.equal(await zeros([0]).allClose(3), true)
  assert.equal(await int32([2, 2]).allClose(2), true)
  assert.throws(() => x.allClose(zeros([4])), { name: 'ShapeError' })
})
