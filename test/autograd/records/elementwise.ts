// Records of the elementwise operations.

import * as ops from '../../../src/autograd/index.ts'
import { type Operand, ShapeError, type Tensor, zeros } from '../../../src/tensor/index.ts'
import { broadcastShapes, shape, type ValueOptions } from '../../../src/testing/index.ts'
import { fc } from '../../support.ts'
import { erfSeries, pointwise } from '../plain.ts'
import { drawn, type OperationRecord, only, record, sampled } from './record.ts'

const one = only(shape().map(sizes => [sizes]))
const two = only(broadcastShapes(2))
const three = only(broadcastShapes(3, { maxRank: 2 }))

/** 1/4 and more away from 0, where differences of 1/x are still exact enough */
const nonZero = { awayFrom: [-1 / 8, 0, 1 / 8] }
const positive = { min: 1 / 4 }
/** no value between the eighths is a tie with one of them */
const between = 1 / 16

const unary = (
  name: string,
  f: (x: Tensor) => Tensor,
  formula: (x: number) => number,
  values: ValueOptions = {},
): OperationRecord =>
  record(name, [
    drawn(
      'of any shape',
      one,
      values,
      (_, x) => f(x),
      (_, x) => pointwise(formula)(x),
    ),
  ])

const binary = (
  name: string,
  f: (x: Operand, y: Operand) => Tensor,
  formula: (x: number, y: number) => number,
  left: ValueOptions = {},
  right: ValueOptions = {},
  number = 1.5,
): OperationRecord =>
  record(
    name,
    [
      drawn(
        'two tensors',
        two,
        [left, right],
        (_, x, y) => f(x, y),
        (_, x, y) => pointwise(formula)(x, y),
      ),
      drawn(
        'a number on the right',
        one,
        left,
        (_, x) => f(x, number),
        (_, x) => pointwise(a => formula(a, number))(x),
      ),
      drawn(
        'a number on the left',
        one,
        right,
        (_, y) => f(number, y),
        (_, y) => pointwise(b => formula(number, b))(y),
      ),
      drawn(
        'a tensor with itself',
        one,
        { ...left, ...right },
        (_, x) => f(x, x),
        (_, x) => pointwise(a => formula(a, a))(x),
      ),
    ],
    [
      [() => f(zeros([2, 3]), zeros([2, 4])), ShapeError, `${name}: [2, 3] and [2, 4] do not broadcast: 3 ≠ 4`],
      [() => f(zeros([2]), zeros([0])), ShapeError, 'do not broadcast: 2 ≠ 0'],
      [() => f(1, 2), TypeError, `${name}: needs a tensor`],
    ],
  )

const comparison = (
  name: string,
  f: (x: Operand, y: Operand) => Tensor,
  formula: (x: number, y: number) => boolean,
): OperationRecord => {
  const few = { min: -1 / 4, max: 1 / 4 }
  const flags = { order: 0, result: 'bool' } as const
  const plain = pointwise((a, b) => Number(formula(a, b)))
  return record(
    name,
    [
      drawn(
        'two tensors',
        two,
        few,
        (_, x, y) => f(x, y),
        (_, x, y) => plain(x, y),
        flags,
      ),
      drawn(
        'a number',
        one,
        few,
        (_, x) => f(x, 0),
        (_, x) => pointwise(a => Number(formula(a, 0)))(x),
        flags,
      ),
    ],
    [[() => f(zeros([2, 3]), zeros([3, 2])), ShapeError, `${name}: [2, 3] and [3, 2] do not broadcast`]],
  )
}

const truth = { dtype: 'bool', min: 0, max: 1 } as const
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x))

export const elementwise: readonly OperationRecord[] = [
  binary('add', ops.add, (x, y) => x + y),
  binary('sub', ops.sub, (x, y) => x - y),
  binary('mul', ops.mul, (x, y) => x * y),
  binary('div', ops.div, (x, y) => x / y, {}, nonZero),
  record(
    'pow',
    [
      ...binary('pow', ops.pow, (x, y) => x ** y, positive, {}).cases.slice(0, 3),
      ...[0, 1, 2, 3, -1].map(n =>
        drawn(
          `to the ${n}`,
          one,
          nonZero,
          (_, x) => ops.pow(x, n),
          (_, x) => pointwise(a => a ** n)(x),
        ),
      ),
    ],
    [[() => ops.pow(zeros([2]), zeros([3])), ShapeError, 'pow: [2] and [3] do not broadcast: 2 ≠ 3']],
  ),
  ...(
    [
      ['maximum', ops.maximum, Math.max],
      ['minimum', ops.minimum, Math.min],
    ] as const
  ).map(([name, f, formula]) => {
    return record(
      name,
      [
        drawn(
          'two tensors',
          two,
          {},
          (_, x, y) => f(x, y.add(between)),
          (_, x, y) => pointwise((a, b) => formula(a, b + between))(x, y),
        ),
        drawn(
          'a number on the right',
          one,
          {},
          (_, x) => f(x, between),
          (_, x) => pointwise(a => formula(a, between))(x),
        ),
        drawn(
          'a number on the left',
          one,
          {},
          (_, x) => f(between, x),
          (_, x) => pointwise(a => formula(a, between))(x),
        ),
      ],
      [[() => f(zeros([2, 3]), zeros([2])), ShapeError, `${name}: [2, 3] and [2] do not broadcast: 3 ≠ 2`]],
    )
  }),

  unary('neg', ops.neg, x => -x),
  unary('abs', ops.abs, x => Math.abs(x), { awayFrom: [0] }),
  unary('sign', ops.sign, x => Math.sign(x), { awayFrom: [0] }),
  unary('exp', ops.exp, x => Math.exp(x)),
  unary('expm1', ops.expm1, x => Math.exp(x) - 1),
  unary('log', ops.log, x => Math.log(x), positive),
  unary('log1p', ops.log1p, x => Math.log(1 + x), { min: -3 / 4 }),
  unary('sqrt', ops.sqrt, x => x ** 0.5, positive),
  unary('rsqrt', ops.rsqrt, x => x ** -0.5, positive),
  unary('sin', ops.sin, x => Math.sin(x)),
  unary('cos', ops.cos, x => Math.cos(x)),
  unary('tanh', ops.tanh, x => 1 - 2 / (Math.exp(2 * x) + 1)),
  unary('sigmoid', ops.sigmoid, sigmoid),
  unary('erf', ops.erf, erfSeries),
  unary('square', ops.square, x => x ** 2),
  unary('relu', ops.relu, x => Math.max(x, 0), { awayFrom: [0] }),
  unary('softplus', ops.softplus, x => Math.log(1 + Math.exp(x))),
  unary('silu', ops.silu, x => x * sigmoid(x)),
  unary('quickGelu', ops.quickGelu, x => x * sigmoid(1.702 * x)),
  record('gelu', [
    drawn(
      'exact',
      one,
      {},
      (_, x) => ops.gelu(x),
      (_, x) => pointwise(a => (a * (1 + erfSeries(a / Math.sqrt(2)))) / 2)(x),
    ),
    drawn(
      'approximated by tanh',
      one,
      {},
      (_, x) => ops.gelu(x, { approximate: 'tanh' }),
      (_, x) => pointwise(a => (a / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (a + 0.044715 * a ** 3))))(x),
    ),
  ]),
  record('clamp', [
    ...[{ min: -0.8 }, { max: 0.7 }, { min: -0.8, max: 0.7 }, {}].map(limits =>
      drawn(
        `to ${JSON.stringify(limits)}`,
        one,
        {},
        (_, x) => ops.clamp(x, limits),
        (_, x) => pointwise(a => Math.min(Math.max(a, limits.min ?? -Infinity), limits.max ?? Infinity))(x),
      ),
    ),
  ]),

  comparison('equal', ops.equal, (x, y) => x === y),
  comparison('notEqual', ops.notEqual, (x, y) => x !== y),
  comparison('greater', ops.greater, (x, y) => x > y),
  comparison('greaterEqual', ops.greaterEqual, (x, y) => x >= y),
  comparison('less', ops.less, (x, y) => x < y),
  comparison('lessEqual', ops.lessEqual, (x, y) => x <= y),
  record('logicalAnd', [
    drawn(
      'truths',
      two,
      truth,
      (_, x, y) => ops.logicalAnd(x, y),
      (_, x, y) => pointwise((a, b) => a && b)(x, y),
      {
        order: 0,
        result: 'bool',
      },
    ),
  ]),
  record('logicalOr', [
    drawn(
      'truths',
      two,
      truth,
      (_, x, y) => ops.logicalOr(x, y),
      (_, x, y) => pointwise((a, b) => a || b)(x, y),
      {
        order: 0,
        result: 'bool',
      },
    ),
  ]),
  record('logicalNot', [
    drawn(
      'truths',
      one,
      truth,
      (_, x) => ops.logicalNot(x),
      (_, x) => pointwise(a => 1 - a)(x),
      {
        order: 0,
        result: 'bool',
      },
    ),
  ]),
  record(
    'where',
    [
      drawn(
        'three tensors',
        three,
        [truth, {}, {}],
        (_, c, x, y) => ops.where(c, x, y),
        (_, c, x, y) => pointwise((t, a, b) => (t ? a : b))(c, x, y),
      ),
      drawn(
        'a number where not',
        two,
        [truth, {}],
        (_, c, x) => ops.where(c, x, -3),
        (_, c, x) => pointwise((t, a) => (t ? a : -3))(c, x),
      ),
      drawn(
        'a number where so',
        two,
        [truth, {}],
        (_, c, x) => ops.where(c, -3, x),
        (_, c, x) => pointwise((t, a) => (t ? -3 : a))(c, x),
      ),
    ],
    [
      [
        () => ops.where(zeros([2], { dtype: 'bool' }), zeros([3]), zeros([1])),
        ShapeError,
        'where: [2] and [3] and [1] do not broadcast: 2 ≠ 3',
      ],
    ],
  ),
  record('cast', [
    drawn(
      'to float64',
      one,
      {},
      (_, x) => ops.cast(x, 'float64'),
      (_, x) => x,
      { result: 'float64' },
    ),
    drawn(
      'to int32, cutting off',
      one,
      {},
      (_, x) => ops.cast(x, 'int32'),
      (_, x) => pointwise(a => Math.trunc(a) + 0)(x),
      {
        order: 0,
        result: 'int32',
      },
    ),
    drawn(
      'to bool',
      one,
      { min: -1 / 4, max: 1 / 4 },
      (_, x) => ops.cast(x, 'bool'),
      (_, x) => pointwise(a => Number(a !== 0))(x),
      {
        order: 0,
        result: 'bool',
      },
    ),
  ]),
  record('identity', [
    drawn(
      'of any shape',
      one,
      {},
      (_, x) => ops.identity(x),
      (_, x) => x,
    ),
  ]),
  record('stopGradient', [
    sampled(
      'keeps the value',
      fc.constant({ inputs: [zeros([2, 3], { dtype: 'float64' })], options: undefined }),
      (_, x) => ops.stopGradient(x),
      (_, x) => x,
      { order: 0 },
    ),
  ]),
]
