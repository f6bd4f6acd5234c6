// Records of the elementwise operations.

import * as ops from '../../../src/autograd/index.ts'
import { type Operand, ShapeError, type Tensor, zeros } from '../../../src/tensor/index.ts'
import type { Refusal } from '../../../src/testing/index.ts'
import { erfSeries, type Plain, pointwise } from '../plain.ts'
import { type Formula, type OperationRecord, record } from './record.ts'

type Binary = (x: Operand, y: Operand) => Tensor

/** A formula of numbers for tensors that meet. */
export const each =
  (f: (...numbers: number[]) => number): Formula =>
  (_, ...xs: Plain[]) =>
    pointwise(f)(...xs)

export const unary = (f: (x: number) => number) => ({ 'of any shape': each(f) })

export const pairs = (f: (x: number, y: number) => number, number = 1.5) => ({
  'two tensors': each(f),
  'a number on the right': each(x => f(x, number)),
  'a number on the left': each(y => f(number, y)),
})

export const binary = (f: (x: number, y: number) => number) => ({
  ...pairs(f),
  'a tensor with itself': each(x => f(x, x)),
})

export const refusesOf = (name: string, f: Binary): readonly Refusal[] => [
  [() => f(zeros([2, 3]), zeros([2, 4])), ShapeError, `${name}: [2, 3] and [2, 4] do not broadcast: 3 ≠ 4`],
  [() => f(zeros([2]), zeros([0])), ShapeError, 'do not broadcast: 2 ≠ 0'],
  [() => f(1, 2), TypeError, `${name}: needs a tensor`],
]

/** as in the calls: no eighth is a tie with it */
const between = 1 / 16
const extremum = (f: (x: number, y: number) => number) => ({
  'two tensors': each((x, y) => f(x, y + between)),
  'a number on the right': each(x => f(x, between)),
  'a number on the left': each(x => f(between, x)),
})

const comparison = (f: (x: number, y: number) => boolean) => ({
  'two tensors': each((x, y) => Number(f(x, y))),
  'a number': each(x => Number(f(x, 0))),
})
const incomparable = (name: string, f: Binary): readonly Refusal[] => [
  [() => f(zeros([2, 3]), zeros([3, 2])), ShapeError, `${name}: [2, 3] and [3, 2] do not broadcast`],
]

const logical = (f: (...truths: boolean[]) => boolean) => {
  const formula = each((...numbers) => Number(f(...numbers.map(x => x !== 0))))
  return { truths: formula, 'numbers and truths': formula }
}

const clamped = (low: number, high: number) => each(x => Math.min(Math.max(x, low), high))

export const elementwise: readonly OperationRecord[] = [
  record(
    'add',
    binary((x, y) => x + y),
    refusesOf('add', ops.add),
  ),
  record(
    'sub',
    binary((x, y) => x - y),
    refusesOf('sub', ops.sub),
  ),
  record(
    'mul',
    binary((x, y) => x * y),
    refusesOf('mul', ops.mul),
  ),
  record(
    'div',
    binary((x, y) => x / y),
    refusesOf('div', ops.div),
  ),
  record(
    'pow',
    {
      ...pairs((x, y) => x ** y),
      'to the 0': each(() => 1),
      'to the 1': each(x => x),
      'to the 2': each(x => x * x),
      'to the 3': each(x => x * x * x),
      'to the -1': each(x => 1 / x),
    },
    refusesOf('pow', ops.pow),
  ),
  record('maximum', extremum(Math.max), refusesOf('maximum', ops.maximum)),
  record('minimum', extremum(Math.min), refusesOf('minimum', ops.minimum)),

  record(
    'neg',
    unary(x => -x),
  ),
  record(
    'abs',
    unary(x => Math.abs(x)),
  ),
  record(
    'sign',
    unary(x => Math.sign(x)),
  ),
  record(
    'exp',
    unary(x => Math.exp(x)),
  ),
  record(
    'expm1',
    unary(x => Math.exp(x) - 1),
  ),
  record(
    'log',
    unary(x => Math.log(x)),
  ),
  record(
    'log1p',
    unary(x => Math.log(1 + x)),
  ),
  record(
    'log2',
    unary(x => Math.log(x) / Math.LN2),
  ),
  record(
    'log10',
    unary(x => Math.log(x) / Math.LN10),
  ),
  record(
    'exp2',
    unary(x => Math.exp(x * Math.LN2)),
  ),
  record(
    'sqrt',
    unary(x => x ** 0.5),
  ),
  record(
    'rsqrt',
    unary(x => x ** -0.5),
  ),
  record(
    'sin',
    unary(x => Math.sin(x)),
  ),
  record(
    'cos',
    unary(x => Math.cos(x)),
  ),
  record(
    'tanh',
    unary(x => 1 - 2 / (Math.exp(2 * x) + 1)),
  ),
  record('erf', unary(erfSeries)),
  record(
    'square',
    unary(x => x ** 2),
  ),
  record(
    'cube',
    unary(x => x ** 3),
  ),
  record(
    'reciprocal',
    unary(x => x ** -1),
  ),
  record(
    'logaddexp',
    binary((x, y) => Math.log(Math.exp(x) + Math.exp(y))),
    refusesOf('logaddexp', ops.logaddexp),
  ),
  record(
    'lerp',
    {
      'a number as the weight': each((x, y) => 0.75 * x + 0.25 * y),
      'a large number as the weight': each((x, y) => -0.5 * x + 1.5 * y),
      'weights that broadcast': each((x, y, w) => (1 - w) * x + w * y),
    },
    [[() => ops.lerp(zeros([2]), zeros([3]), 0.5), ShapeError, 'do not broadcast']],
  ),
  record('clamp', {
    'from below': clamped(-0.8, Infinity),
    'from above': clamped(-Infinity, 0.7),
    'on both sides': clamped(-0.8, 0.7),
    'not at all': clamped(-Infinity, Infinity),
  }),

  record(
    'equal',
    comparison((x, y) => x === y),
    incomparable('equal', ops.equal),
  ),
  record(
    'notEqual',
    comparison((x, y) => x !== y),
    incomparable('notEqual', ops.notEqual),
  ),
  record(
    'greater',
    comparison((x, y) => x > y),
    incomparable('greater', ops.greater),
  ),
  record(
    'greaterEqual',
    comparison((x, y) => x >= y),
    incomparable('greaterEqual', ops.greaterEqual),
  ),
  record(
    'less',
    comparison((x, y) => x < y),
    incomparable('less', ops.less),
  ),
  record(
    'lessEqual',
    comparison((x, y) => x <= y),
    incomparable('lessEqual', ops.lessEqual),
  ),
  record(
    'logicalAnd',
    logical((x, y) => x && y),
  ),
  record(
    'logicalOr',
    logical((x, y) => x || y),
  ),
  record(
    'logicalNot',
    logical(x => !x),
  ),

  record('isNaN', { 'of 0 / 0': each(x => Number(x === 0)) }),
  record('isInf', { 'of 1 / 0': each(x => Number(x === 0)) }),
  record('isFinite', { 'of 1 / 0': each(x => Number(x !== 0)), 'of 0 / 0': each(x => Number(x !== 0)) }),
  record(
    'isClose',
    {
      'two tensors': each((x, y) => Number(Math.abs(x - y) <= 1 / 16 + Math.abs(y) / 2)),
      'a number': each(x => Number(Math.abs(x - 0.125) <= 0.0625)),
      'NaN too': each(() => 1),
    },
    [
      [() => ops.isClose(zeros([2]), zeros([3])), ShapeError, 'isClose: [2] and [3] do not broadcast: 2 ≠ 3'],
      [() => ops.isClose(zeros([2]), 0, { atol: -1 }), RangeError, 'isClose: atol must be 0 or more, not -1'],
    ],
  ),
  record('nanToNum', {
    'of numbers': each(x => x),
    'of logarithms': each(x => (x < 0 ? 7 : x === 0 ? -9 : Math.log(x))),
    'of quotients': each(x => (x === 0 ? 5 : 1 / x)),
  }),

  record(
    'where',
    {
      'three tensors': each((c, x, y) => (c ? x : y)),
      'a number where not': each((c, x) => (c ? x : -3)),
      'a number where so': each((c, x) => (c ? -3 : x)),
    },
    [
      [
        () => ops.where(zeros([2], { dtype: 'bool' }), zeros([3]), zeros([1])),
        ShapeError,
        'where: [2] and [3] and [1] do not broadcast: 2 ≠ 3',
      ],
    ],
  ),
  record('cast', {
    'to float64': each(x => x),
    'to int32, cutting off': each(x => Math.trunc(x) + 0),
    'to bool': each(x => Number(x !== 0)),
  }),
  record(
    'identity',
    unary(x => x),
  ),
  record('stopGradient', { 'keeps the value': each(x => x) }),
]
