// Records of the reductions.

import * as ops from '../../../src/autograd/index.ts'
import { AxisError, ShapeError, type Tensor, zeros } from '../../../src/tensor/index.ts'
import type { Refusal } from '../../../src/testing/index.ts'
import { along, lines, make, type Plain, positions, read, total } from '../plain.ts'
import { type OperationRecord, record } from './record.ts'

interface Reduce {
  readonly axis: readonly number[] | undefined
  readonly keepDims: boolean
}

/** A formula of all the numbers that become one. */
const of =
  (formula: (numbers: readonly number[]) => number) =>
  ({ axis, keepDims }: Reduce, x: Plain): Plain =>
    along(x, axis ?? x.shape.map((_, i) => i), keepDims, formula)

const missing = (name: string, f: (x: Tensor, options: { axis: number | number[] }) => unknown): readonly Refusal[] => [
  [() => f(zeros([2, 3]), { axis: 2 }), AxisError, `${name}: [2, 3] has no axis 2`],
  [() => f(zeros([2, 3]), { axis: -3 }), AxisError, `${name}: [2, 3] has no axis -3`],
]

const twice = (name: string, f: (x: Tensor, options: { axis: number[] }) => unknown): Refusal => [
  () => f(zeros([2, 3]), { axis: [0, -2] }),
  ShapeError,
  `${name}: axes [0, 0] name an axis of [2, 3] twice`,
]

const mean = (numbers: readonly number[]) => total(numbers) / numbers.length
const deviations = (numbers: readonly number[]) => total(numbers.map(x => (x - mean(numbers)) ** 2))
const largest = (numbers: readonly number[]) => Math.max(...numbers)
const smallest = (numbers: readonly number[]) => Math.min(...numbers)
const ofOrder = (p: number) => (numbers: readonly number[]) => total(numbers.map(x => Math.abs(x) ** p)) ** (1 / p)
const length = (numbers: readonly number[]) => Math.sqrt(total(numbers.map(x => x * x)))
const placeOfSmallest = (numbers: readonly number[]) => numbers.indexOf(smallest(numbers))
const placeOfLargest = (numbers: readonly number[]) => numbers.indexOf(largest(numbers))

export const reduce: readonly OperationRecord[] = [
  record('sum', { 'over axes': of(total) }, [...missing('sum', ops.sum), twice('sum', ops.sum)]),
  record('mean', { 'over axes': of(mean), 'of nothing too': of(mean) }, [
    ...missing('mean', ops.mean),
    twice('mean', ops.mean),
  ]),
  record(
    'prod',
    {
      'over axes': of(list => list.reduce((a, b) => a * b, 1)),
      'with zeros': of(list => list.reduce((a, b) => a * b, 1)),
    },
    [...missing('prod', ops.prod), twice('prod', ops.prod)],
  ),
  record('any', { 'over axes': of(list => Number(list.some(x => x !== 0))) }, [
    ...missing('any', ops.any),
    twice('any', ops.any),
  ]),
  record('all', { 'over axes': of(list => Number(list.every(x => x !== 0))) }, [
    ...missing('all', ops.all),
    twice('all', ops.all),
  ]),
  record('max', { 'of different numbers': of(largest), 'of equal numbers': of(largest) }, [
    ...missing('max', ops.max),
    twice('max', ops.max),
    [() => ops.max(zeros([2, 0])), ShapeError, 'max: x must have an element to compare, and [2, 0] has none'],
  ]),
  record('min', { 'of different numbers': of(smallest), 'of equal numbers': of(smallest) }, [
    ...missing('min', ops.min),
    twice('min', ops.min),
    [() => ops.min(zeros([2, 0])), ShapeError, 'min: x must have an element to compare, and [2, 0] has none'],
  ]),
  record(
    'variance',
    {
      'of what is there': of(list => deviations(list) / list.length),
      'of a sample': of(list => deviations(list) / (list.length - 1)),
    },
    [...missing('variance', ops.variance), twice('variance', ops.variance)],
  ),
  record(
    'varianceAndMean',
    {
      'the variance': of(list => deviations(list) / (list.length - 1)),
      'the variance of what is there': of(list => deviations(list) / list.length),
      'the mean': of(mean),
    },
    [...missing('varianceAndMean', ops.varianceAndMean), twice('varianceAndMean', ops.varianceAndMean)],
  ),
  record(
    'std',
    {
      'of what is there': of(list => Math.sqrt(deviations(list) / list.length)),
      'of a sample': of(list => Math.sqrt(deviations(list) / (list.length - 1))),
      'of equal numbers too': of(list => Math.sqrt(deviations(list) / list.length)),
    },
    [...missing('std', ops.std), twice('std', ops.std)],
  ),
  record(
    'logSumExp',
    { 'over axes': of(list => Math.log(total(list.map(x => Math.exp(x))))) },
    missing('logSumExp', ops.logSumExp),
  ),
  record(
    'norm',
    {
      Euclidean: of(length),
      'of nothing too': of(length),
      'sum of sizes': of(list => total(list.map(Math.abs))),
      'largest size': of(list => Math.max(...list.map(Math.abs))),
      'smallest size': of(list => Math.min(...list.map(Math.abs))),
      'of order 3': of(ofOrder(3)),
      'of order 1/2': of(ofOrder(0.5)),
      'of order -2': of(ofOrder(-2)),
      'of order 3, of zeros and nothing too': of(ofOrder(3)),
      'of order -2, of zeros and nothing too': of(ofOrder(-2)),
      'count of what is not 0': of(list => list.filter(x => x !== 0).length),
    },
    [
      [() => zeros([2]).norm({ order: Number.NaN }), RangeError, 'norm: the order must be a number such as 2'],
      ...missing('norm', ops.norm),
      twice('norm', ops.norm),
      twice('norm', (x, o) => ops.norm(x, { ...o, order: 3 })),
    ],
  ),
  record(
    'argmin',
    {
      'the first of the smallest': ({ axis }, x) => along(x, [axis], false, placeOfSmallest),
      'of whole numbers': ({ axis }, x) => along(x, [axis], true, placeOfSmallest),
    },
    [
      [() => ops.argmin(zeros([2, 0])), ShapeError, 'argmin: x must have an element to compare, and [2, 0] has none'],
      [() => ops.argmin(zeros([2]), { axis: 1 }), AxisError, 'argmin: [2] has no axis 1'],
    ],
  ),
  record(
    'argmax',
    {
      'the first of the largest': ({ axis }, x) => along(x, [axis], false, placeOfLargest),
      'keeping the axis': ({ axis }, x) => along(x, [axis], true, placeOfLargest),
    },
    [
      [() => ops.argmax(zeros([2, 0])), ShapeError, 'argmax: x must have an element to compare, and [2, 0] has none'],
      [() => ops.argmax(zeros([2]), { axis: 1 }), AxisError, 'argmax: [2] has no axis 1'],
    ],
  ),
  record(
    'cumsum',
    { 'along an axis': ({ axis }, x) => lines(x, axis, line => line.map((_, i) => total(line.slice(0, i + 1)))) },
    [[() => ops.cumsum(zeros([2]), { axis: 1 }), AxisError, 'cumsum: [2] has no axis 1']],
  ),
  record(
    'sumTo',
    {
      'a shape that broadcasts to its own': (target, x) =>
        make(target, at =>
          total(
            positions(x.shape)
              .filter(p => at.every((n, i) => target[i] === 1 || n === p[i + p.length - at.length]))
              .map(p => read(x, p)),
          ),
        ),
    },
    [
      [() => ops.sumTo(zeros([2, 3]), [3, 2]), ShapeError, 'sumTo: [3, 2] does not broadcast to [2, 3]'],
      [() => ops.sumTo(zeros([6]), [2, 3]), ShapeError, 'sumTo: [2, 3] does not broadcast to [6]'],
    ],
  ),
]
