// Numbers at the edge, the same on every device: integers that overflow, numbers between two float32, limits and results that are
// infinite or NaN. Expected values are PyTorch's 2.13 unless a comment says otherwise.

import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import {
  concat,
  equal,
  grad,
  greater,
  greaterEqual,
  hessian,
  less,
  lessEqual,
  notEqual,
  pow,
  scatterAdd,
  where,
} from '../../src/autograd/index.ts'
import {
  type DeviceName,
  type DType,
  device,
  rand,
  seed,
  type Tensor,
  tensor,
  ValueError,
  zeros,
} from '../../src/tensor/index.ts'
import { assertCloseNumbers, values } from '../support.ts'

const int32 = (data: number | number[] | number[][]) => tensor(data, { dtype: 'int32' })
const [LEAST, GREATEST] = [-(2 ** 31), 2 ** 31 - 1]

interface Case {
  readonly says: string
  readonly compute: () => Tensor
  readonly gives: readonly number[]
  readonly dtype?: DType
  /** not on gpu, where int32 is stored as float32 */
  readonly exact?: boolean
}

const slope = (f: (x: Tensor) => Tensor, at: number[]) => grad((x: Tensor) => f(x).sum())(tensor(at))

const integers: readonly Case[] = [
  {
    says: 'products wrap around, modulo 2³²',
    compute: () => int32([123456789, LEAST, 65537]).mul(int32([987654321, -1, 65537])),
    gives: [-67153019, LEAST, 131073],
    dtype: 'int32',
    exact: true,
  },
  {
    says: 'powers wrap around, and negative ones are truncated',
    compute: () => int32([3, -3, 2, 2, 7, 46341, 2, 1, -1, 0]).pow(int32([21, 21, 31, 32, 30, 2, -1, -1, -1, -1])),
    gives: [1870418611, -1870418611, LEAST, 0, 1878557649, -2147479015, 0, 1, -1, 0],
    dtype: 'int32',
    exact: true,
  },
  {
    says: 'sums wrap around, also where float64 would lose digits',
    compute: () =>
      int32([GREATEST, 3])
        .unsqueeze(1)
        .expand([2, 2 ** 22 + 1])
        .sum(),
    gives: [Number(BigInt.asIntN(32, (BigInt(GREATEST) + 3n) * (2n ** 22n + 1n)))],
    dtype: 'int32',
    exact: true,
  },
  {
    says: 'the product of matrices is int32 and exact, modulo 2³²',
    compute: () =>
      int32([
        [123456, 2],
        [GREATEST, 1],
      ]).matmul(
        int32([
          [123456, 1, 0, 0, 7],
          [16777217, 1, 0, 0, 7],
        ]),
      ),
    gives: [-1904930814, 123458, 0, 0, 864206, 16653761, LEAST, 0, 0, LEAST],
    dtype: 'int32',
    exact: true,
  },
  {
    says: 'the product of a stack of transposed matrices is exact',
    compute: () =>
      int32([16777217, 2, 3, 4])
        .reshape([2, 2, 1])
        .transpose()
        .matmul(
          int32([
            [1, 3],
            [1, 1],
          ]).transpose(),
        ),
    gives: [16777223, 16777219, 15, 7],
    dtype: 'int32',
    exact: true,
  },
  {
    says: 'the product of bools counts',
    compute: () => tensor([[true, true, false]]).matmul(tensor([[true], [true], [true]])),
    gives: [2],
    dtype: 'int32',
  },
  {
    says: 'the mean does not overflow',
    compute: () => int32([GREATEST, GREATEST]).mean(),
    gives: [2 ** 31],
    dtype: 'float32',
  },
  {
    says: '-2³¹ is a number of int32',
    compute: () => int32([1]).add(LEAST),
    gives: [1 + LEAST],
    dtype: 'int32',
    exact: true,
  },
  {
    says: 'scattered sums wrap around',
    compute: () => scatterAdd([2], int32([0, 0, 1]), int32([GREATEST, 1, 5])),
    gives: [LEAST, 5],
    dtype: 'int32',
    exact: true,
  },
]

const byName = { equal, notEqual, greater, greaterEqual, less, lessEqual }

/** As int32 has no such numbers, PyTorch wraps them or rounds to float32; here they are compared as they are. */
const comparisons: readonly Case[] = (
  [
    ['less', 2 ** 31, [1, 1]],
    ['lessEqual', 2 ** 31, [1, 1]],
    ['greater', 2 ** 31, [0, 0]],
    ['greaterEqual', 2 ** 31, [0, 0]],
    ['equal', 2 ** 31, [0, 0]],
    ['notEqual', 2 ** 31, [1, 1]],
    ['less', LEAST - 1, [0, 0]],
    ['lessEqual', -Infinity, [0, 0]],
    ['greater', LEAST - 1, [1, 1]],
    ['greaterEqual', -Infinity, [1, 1]],
    ['equal', LEAST - 1, [0, 0]],
    ['notEqual', LEAST - 1, [1, 1]],
    ['less', NaN, [0, 0]],
    ['equal', NaN, [0, 0]],
    ['notEqual', NaN, [1, 1]],
    ['less', 7.5, [0, 1]],
    ['lessEqual', 7.5, [0, 1]],
    ['greater', 6.5, [1, 1]],
    ['greaterEqual', 7.5, [1, 0]],
    ['equal', 7.5, [0, 0]],
    ['notEqual', 7.5, [1, 1]],
  ] as const
).flatMap(([name, limit, gives]) => {
  const turned = { less: 'greater', lessEqual: 'greaterEqual', greater: 'less', greaterEqual: 'lessEqual' } as const
  const other = name === 'equal' || name === 'notEqual' ? name : turned[name]
  return [
    { says: `integers ${name} ${limit}`, compute: () => int32([GREATEST, 7])[name](limit), gives },
    { says: `${limit} ${other} integers`, compute: () => byName[other](limit, int32([GREATEST, 7])), gives },
  ]
})
const floats: readonly Case[] = [
  { says: 'a number is rounded before it is compared', compute: () => tensor([0.1]).equal(0.1), gives: [1] },
  { says: 'and so is not below itself', compute: () => tensor([0.1]).greater(0.1), gives: [0] },
  { says: 'a limit is rounded', compute: () => tensor([0.1, 5]).clamp({ max: 0.1 }).equal(0.1), gives: [1, 1] },
  { says: 'and its gradient passes at the limit', compute: () => slope(x => x.clamp({ min: 0.1 }), [0.1]), gives: [1] },
  { says: 'a number ties with its rounding', compute: () => slope(x => x.maximum(0.1), [0.1]), gives: [0.5] },
  { says: 'a number beyond float32 is ∞', compute: () => tensor([0, 1e-5]).mul(1e39), gives: [NaN, Infinity] },
  { says: 'int32 meets float32 as float32', compute: () => int32([16777217]).equal(tensor([16777216])), gives: [1] },
  { says: 'NaN is true in where', compute: () => where(tensor([NaN, 0, 1]), 1, 2), gives: [1, 2, 1] },
  { says: 'and as bool', compute: () => tensor([NaN, 0, 1]).cast('bool'), gives: [1, 0, 1] },
  {
    says: 'an infinite lower limit moves everything',
    compute: () => tensor([1, 5, -Infinity]).clamp({ min: Infinity }),
    gives: [Infinity, Infinity, Infinity],
  },
  {
    says: 'and an infinite upper one',
    compute: () => tensor([1, 5, Infinity]).clamp({ max: -Infinity }),
    gives: [-Infinity, -Infinity, -Infinity],
  },
  {
    says: 'no limit leaves integers as they are',
    compute: () => int32([1, 5]).clamp({ min: -Infinity, max: 4 }),
    gives: [1, 4],
    dtype: 'int32',
  },
  {
    says: 'limits in the wrong order give the upper one',
    compute: () => tensor([0, 5]).clamp({ min: 2, max: 1 }),
    gives: [1, 1],
  },
  {
    says: 'an infinite gradient does not pass a limit',
    compute: () => slope(x => x.clamp({ max: 1 }).mul(Infinity), [2, 0]),
    gives: [0, Infinity],
  },
  {
    says: 'nor relu',
    compute: () => slope(x => x.relu().mul(Infinity), [-2, 2]),
    gives: [0, Infinity],
  },
  {
    says: 'nor maximum, to the smaller one',
    compute: () => slope(x => x.maximum(1).mul(Infinity), [0, 2]),
    gives: [0, Infinity],
  },
  {
    says: 'logSumExp of ∞',
    compute: () => slope(x => x.logSumExp(), [Infinity, 1, 2]).slice([{ start: 1 }]),
    gives: [0, 0],
  },
  {
    says: 'the derivative of a power of 0 by a negative exponent is -∞',
    compute: () => slope(y => pow(tensor([0, 0, 0, 0, 2]), y), [-1, -0.5, 0, 2, -1]),
    gives: [-Infinity, -Infinity, 0, 0, Math.LN2 / 2],
  },
  { says: 'also of the number 0', compute: () => slope(y => pow(0, y), [-1, 0, 2]), gives: [-Infinity, 0, 0] },
  { says: 'x⁰ has the derivative 0 everywhere', compute: () => slope(x => x.pow(0), [Infinity, 0]), gives: [0, 0] },
  { says: 'a correction above n', compute: () => tensor([1, 2]).variance({ correction: 3 }), gives: [Infinity] },
  {
    says: 'a correction above n, of equal elements',
    compute: () => tensor([1, 1]).variance({ correction: 3 }),
    gives: [NaN],
  },
  { says: 'the variance of nothing', compute: () => zeros([0]).variance(), gives: [NaN] },
  { says: 'NaN is the largest', compute: () => tensor([1, NaN, 3]).argmax(), gives: [1] },
  { says: 'the first NaN is', compute: () => tensor([NaN, 3, NaN]).argmax(), gives: [0] },
  { says: 'log of 0 and below', compute: () => tensor([0, -1, -0]).log(), gives: [-Infinity, NaN, -Infinity] },
  { says: 'log1p of -1 and below', compute: () => tensor([-1, -2]).log1p(), gives: [-Infinity, NaN] },
  // the limits: PyTorch's tanh approximation has no digits left below -5, and its gradient is NaN beyond 10¹⁹
  {
    says: 'activations of very large numbers',
    compute: () => {
      const x = tensor([3e38, -3e38])
      return concat([x.silu(), x.quickGelu(), x.gelu(), x.gelu({ approximate: 'tanh' })])
    },
    gives: new Array(4).fill([Math.fround(3e38), 0]).flat(),
  },
  {
    says: 'their derivatives, for a large gradient',
    compute: () =>
      concat(
        [
          (x: Tensor) => x.silu(),
          (x: Tensor) => x.quickGelu(),
          (x: Tensor) => x.gelu(),
          (x: Tensor) => x.gelu({ approximate: 'tanh' }),
        ].map(f => slope(x => f(x).mul(1e30), [1e30, -1e30, 100, 3e38]).div(1e30)),
      ),
    gives: new Array(4).fill([1, 0, 1, 1]).flat(),
  },
  {
    says: 'the derivative of silu where only its product with x overflows',
    compute: () => slope(x => x.silu().mul(1e38), [10, -10]).div(1e38),
    gives: [1.0004086, -4.0856e-4],
  },
]
function check({ compute, gives, dtype }: Case, found: readonly number[], result: Tensor): void {
  if (dtype) assert.equal(result.dtype, dtype)
  assert.equal(found.length, gives.length, String(compute))
  found.forEach((x, i) => {
    const near = Number.isFinite(gives[i]) && Math.abs(x - gives[i]) <= 3e-6 * Math.abs(gives[i]) + 1e-7
    assert.ok(
      Object.is(x, gives[i]) || x === gives[i] || (dtype !== 'int32' && near),
      `[${i}] is ${x}, not ${gives[i]}`,
    )
  })
}

for (const name of ['reference', 'cpu', 'gpu'] as const satisfies readonly DeviceName[])
  describe(`on ${name}`, () => {
    before(() => (name === 'gpu' ? device.open('gpu', { backend: 'cpu' }) : undefined))
    for (const each of [...integers, ...comparisons, ...floats])
      if (name !== 'gpu' || !each.exact)
        it(each.says, async () => {
          const result = device.with(name, each.compute)
          check(each, [...(await result.data())], result)
        })
  })

for (const name of ['reference', 'cpu'] as const) {
  it(`what is NaN makes gradients NaN (${name})`, () =>
    device.with(name, () => {
      for (const [f, at, gives] of [
        [(x: Tensor) => x.logSumExp(), [NaN, 1, 2], [NaN, NaN, NaN]],
        [(x: Tensor) => x.logSumExp(), [Infinity, Infinity, 2], [NaN, NaN, 0]],
        [(x: Tensor) => x.max(), [NaN, 1], [NaN, NaN]],
        [(x: Tensor) => x.maximum(1), [NaN, 2], [1, 1]],
        [(x: Tensor) => x.clamp({ min: 0 }), [NaN, 2], [0, 1]],
      ] as const)
        assert.deepEqual(values(slope(f, [...at])), gives)
      for (const limits of [{ min: NaN }, { max: NaN }])
        assert.deepEqual(values(tensor([1, -Infinity]).clamp(limits)), [NaN, NaN])
    }))

  it(`conventions that differ from PyTorch's, as documented (${name})`, () =>
    device.with(name, () => {
      assert.deepEqual(values(tensor([1, -1, NaN]).pow(tensor([NaN, Infinity, 0]))), [NaN, NaN, 1])
      assert.deepEqual(values(tensor([NaN, -0]).sign()), [NaN, -0])
      assert.deepEqual(values(tensor([NaN, Infinity, 3e9, -1.9]).cast('int32')), [0, 0, 3e9 - 2 ** 32, -1])
      assert.deepEqual(values(hessian((x: Tensor) => x.norm())(zeros([2]))), [1, 0, 0, 1])
      // targets that add up to ½: (1 - 0.1) p + 0.1 · ½ / 3
      const logits = tensor([[1, 2, 3]])
      const smoothed = [0.2, 0.2, 0.1].map(p => 0.9 * p + (0.1 * 0.5) / 3)
      const loss = logits.crossEntropy(tensor([[0.2, 0.2, 0.1]]), { smoothing: 0.1 })
      assertCloseNumbers(
        values(loss),
        values(
          logits
            .logSoftmax()
            .mul(tensor([smoothed]))
            .sum()
            .neg(),
        ),
        1e-6,
      )
    }))
}

it('margins must be values of the dtype', () => {
  for (const [x, value, advice] of [
    [tensor([true]), 2, /must be 0 or 1 for a tensor of bool, not 2; write x\.cast\('int32'\) first/],
    [int32([1]), 1.5, /a whole number from -2147483648 to 2147483647 .* not 1\.5; write x\.cast\('float32'\) first/],
    [int32([1]), 2 ** 31, /not 2147483648/],
    [int32([1]), NaN, /not NaN/],
  ] as const)
    assert.throws(
      () => x.pad([[1, 0]], value),
      (error: unknown) => error instanceof ValueError && advice.test(error.message),
    )
  assert.deepEqual(values(tensor([false]).pad([[1, 0]], 1)), [1, 0])
  assert.deepEqual(values(int32([1]).pad([[1, 0]], LEAST)), [LEAST, 1])
  assert.deepEqual(values(tensor([1]).pad([[1, 0]], -Infinity)), [-Infinity, 1])
})

it('random numbers are below the upper end, whatever is rounded', () => {
  for (const dtype of ['float32', 'float64'] as const)
    for (const [low, high] of [
      [1000, 1001],
      [2 ** 24 - 1, 2 ** 24],
      [-(2 ** 24) - 2, -(2 ** 24)],
      [-2, -1],
      [-1, 0],
      [0, 3],
    ]) {
      seed(0)
      const x = values(rand([30000], { low, high, dtype, device: 'reference' }))
      assert.ok(
        x.every(value => low <= value && value < high),
        `${dtype} [${low}, ${high})`,
      )
    }
})

it('the tail of gelu keeps its digits in float64 and float32', () => {
  // x Φ(x) to 17 digits, by mpmath
  const exact = new Map([
    [-1, -0.15865525393145705],
    [-2.87, -0.0058902703154770942],
    [-6.5, -2.6104003795084266e-10],
    [-10, -7.6198530241605261e-23],
    [-13, -7.9523137194148436e-38],
    [-20, -5.5072482372124674e-88],
  ])
  for (const [x, y] of exact) {
    const found = values(tensor([x], { dtype: 'float64', device: 'reference' }).gelu())[0]
    assert.ok(Math.abs(found / y - 1) < 1e-13, `gelu(${x}) is ${found}, not ${y}`)
    for (const name of ['reference', 'cpu'] as const) {
      const rounded = values(tensor([x], { device: name }).gelu())[0]
      assert.ok(Math.abs(rounded - y) <= 1e-6 * Math.abs(y) + 2 ** -149, `gelu(${x}) on ${name} is ${rounded}`)
    }
  }
})
