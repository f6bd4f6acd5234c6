// Records of the operations that normalize along an axis.

import * as ops from '../../../src/autograd/index.ts'
import { AxisError, ShapeError, zeros } from '../../../src/tensor/index.ts'
import { lines, make, type Plain, pointwise, positions, read, total } from '../plain.ts'
import { type OperationRecord, record } from './record.ts'

const standard =
  (epsilon: number) =>
  (line: readonly number[]): number[] => {
    const mean = total(line) / line.length
    const variance = total(line.map(x => (x - mean) ** 2)) / line.length
    return line.map(x => (x - mean) / Math.sqrt(variance + epsilon))
  }

const rootMeanSquare =
  (epsilon: number) =>
  (line: readonly number[]): number[] =>
    line.map(x => x / Math.sqrt(total(line.map(y => y * y)) / line.length + epsilon))

/** Standardizes each element together with all that belong to it. */
const together = (x: Plain, epsilon: number, belongs: (at: readonly number[], other: readonly number[]) => boolean) =>
  make(x.shape, at => {
    const others = positions(x.shape).filter(other => belongs(at, other))
    const place = others.findIndex(other => other.every((n, i) => n === at[i]))
    return standard(epsilon)(others.map(other => read(x, other)))[place]
  })

/** Of the same example and group. */
const grouped = (x: Plain, groups: number, epsilon: number) => {
  const groupOf = (channel: number) => Math.floor((channel * groups) / x.shape[1])
  return together(x, epsilon, (a, b) => a[0] === b[0] && groupOf(a[1]) === groupOf(b[1]))
}

/** Of the same channel. */
const batched = (x: Plain, epsilon: number) => together(x, epsilon, (a, b) => a[1] === b[1])

/** f of each element and the numbers of its channel. */
const byChannel = (x: Plain, rows: readonly Plain[], f: (x: number, ...row: number[]) => number) =>
  make(x.shape, at => f(read(x, at), ...rows.map(row => row.data[at[1]])))

export const normalization: readonly OperationRecord[] = [
  record('standardize', { 'over the last axis': (_, x) => lines(x, -1, standard(0.25)) }),
  record(
    'layerNorm',
    {
      plain: (_, x) => lines(x, -1, standard(0.25)),
      'with scale and shift': (_, x, weight, bias) =>
        pointwise((a, w, b) => a * w + b)(lines(x, -1, standard(0.25)), weight, bias),
      'with scale alone': (_, x, weight) => pointwise((a, w) => a * w)(lines(x, -1, standard(0.25)), weight),
      'with shift alone': (_, x, bias) => pointwise((a, b) => a + b)(lines(x, -1, standard(0.25)), bias),
      'with the usual epsilon': (_, x) => lines(x, -1, standard(1e-5)),
    },
    [
      [
        () => ops.layerNorm(zeros([2, 3]), { weight: zeros([2]) }),
        ShapeError,
        'layerNorm: the weight must be [3] for x [2, 3], not [2]',
      ],
    ],
  ),
  record(
    'rmsNorm',
    {
      plain: (_, x) => lines(x, -1, rootMeanSquare(0.25)),
      'with scale': (_, x, weight) => pointwise((a, w) => a * w)(lines(x, -1, rootMeanSquare(0.25)), weight),
      'with the usual epsilon': (_, x) => lines(x, -1, rootMeanSquare(1e-6)),
    },
    [
      [
        () => ops.rmsNorm(zeros([2, 3]), { weight: zeros([2]) }),
        ShapeError,
        'rmsNorm: the weight must be [3] for x [2, 3], not [2]',
      ],
      [() => ops.rmsNorm(zeros([])), AxisError, 'rmsNorm: [] has no axis -1: a scalar has none'],
    ],
  ),
  record(
    'groupNorm',
    {
      'in two groups': (_, x) => grouped(x, 2, 0.25),
      'with scale and shift': (_, x, weight, bias) =>
        byChannel(grouped(x, 1, 0.25), [weight, bias], (a, w, b) => a * w + b),
      'a group for each channel, with the usual epsilon': (_, x) => grouped(x, x.shape[1], 1e-5),
    },
    [
      [
        () => ops.groupNorm(zeros([2, 3, 4]), { groups: 2 }),
        ShapeError,
        'groupNorm: 2 groups must divide the channels of x [2, 3, 4]',
      ],
      [
        () => ops.groupNorm(zeros([2, 4]), { groups: 2, bias: zeros([2]) }),
        ShapeError,
        'groupNorm: the bias must be [4] for x [2, 4], not [2]',
      ],
      [
        () => ops.groupNorm(zeros([4]), { groups: 2 }),
        ShapeError,
        'groupNorm: x must be [batch, channels, ...], not [4]',
      ],
    ],
  ),
  record(
    'batchNorm',
    {
      'of the batch': (_, x) => batched(x, 0.25),
      'with scale and shift': (_, x, weight, bias) =>
        byChannel(batched(x, 0.25), [weight, bias], (a, w, b) => a * w + b),
      'with a given mean and variance': (_, x, mean, deviation) =>
        byChannel(x, [mean, deviation], (a, m, d) => (a - m) / Math.sqrt(d * d + 0.25)),
      'with the usual epsilon': (_, x) => batched(x, 1e-5),
    },
    [
      [
        () => ops.batchNorm(zeros([2, 3]), { mean: zeros([2]), variance: zeros([3]) }),
        ShapeError,
        'batchNorm: the mean must be [3] for x [2, 3], not [2]',
      ],
      [() => ops.batchNorm(zeros([3])), ShapeError, 'batchNorm: x must be [batch, channels, ...], not [3]'],
      [
        () => ops.batchNorm(zeros([2, 3]), { mean: zeros([3]) }),
        TypeError,
        'batchNorm: mean and variance must be given together, or neither of them',
      ],
    ],
  ),
  record(
    'normalize',
    {
      'along an axis': (axis, x) => lines(x, axis, line => line.map(a => a / Math.sqrt(total(line.map(b => b * b))))),
    },
    [[() => ops.normalize(zeros([2]), { axis: 1 }), AxisError, 'normalize: [2] has no axis 1']],
  ),
]
