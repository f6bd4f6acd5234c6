// Records of the operations that order elements and select by their order.

import * as ops from '../../../src/autograd/index.ts'
import { AxisError, ShapeError, type Tensor, zeros } from '../../../src/tensor/index.ts'
import type { Refusal } from '../../../src/testing/index.ts'
import { along, lines, make, type Plain, read } from '../plain.ts'
import { type OperationRecord, record } from './record.ts'

/** Positions of a line in the order of its elements. */
function positionsOf(line: readonly number[], descending = false): number[] {
  const sign = descending ? -1 : 1
  return [...line.keys()].sort((i, j) => sign * (line[i] - line[j]) || i - j)
}
const sorted = (line: readonly number[], descending = false) => positionsOf(line, descending).map(i => line[i])

interface Place {
  readonly axis: number
  readonly k: number
  readonly isYes: boolean
}

/** f of each line along the axis, which gives k numbers. */
function some(x: Plain, { axis, k }: Place, f: (line: readonly number[]) => readonly number[]): Plain {
  const own = (axis + x.shape.length) % x.shape.length
  const whole = lines(x, own, f)
  return make(x.shape.with(own, k), at => read(whole, at))
}

const first = (line: readonly number[], extreme: (...numbers: number[]) => number) => line.indexOf(extreme(...line))

function quantile(numbers: readonly number[], q: number, interpolation = 'linear'): number {
  const line = sorted(numbers)
  const rank = q * (line.length - 1)
  const [a, b] = [line[Math.floor(rank)], line[Math.ceil(rank)]]
  const share = rank - Math.floor(rank)
  switch (interpolation) {
    case 'lower':
      return a
    case 'higher':
      return b
    case 'midpoint':
      return (a + b) / 2
    case 'nearest':
      return share < 0.5 || (share === 0.5 && Math.floor(rank) % 2 === 0) ? a : b
    default:
      return a + (b - a) * share
  }
}
const shareOf = (n: number) => (n % 2 === 0 ? n / 12 : n / 11)
const interpolations = ['linear', 'lower', 'higher', 'nearest', 'midpoint']

/** The number of elements that stand before each value. */
const search = (side: 'left' | 'right', line: Plain, values: Plain): Plain =>
  make(values.shape, at => {
    const n = line.shape[line.shape.length - 1]
    const own = Array.from({ length: n }, (_, i) => read(line, line.shape.length === 1 ? [i] : at.with(-1, i)))
    const value = read(values, at)
    return own.filter(element => (side === 'left' ? element < value : element <= value)).length
  })

const missing = (name: string, f: (x: Tensor, options: { axis: number }) => unknown): Refusal => [
  () => f(zeros([2, 3]), { axis: 2 }),
  AxisError,
  `${name}: [2, 3] has no axis 2`,
]
const empty = (name: string, f: (x: Tensor) => unknown): Refusal => [
  () => f(zeros([2, 0])),
  ShapeError,
  `${name}: x must have an element to compare, and [2, 0] has none`,
]

export const order: readonly OperationRecord[] = [
  record(
    'argsort',
    {
      'of different numbers': ({ axis, descending }, x) => lines(x, axis, line => positionsOf(line, descending)),
      'of equal numbers': ({ axis, descending }, x) => lines(x, axis, line => positionsOf(line, descending)),
    },
    [missing('argsort', ops.argsort), [() => ops.argsort(zeros([])), AxisError, 'argsort: [] has no axis -1']],
  ),
  record(
    'sort',
    {
      values: ({ axis, descending }, x) => lines(x, axis, line => sorted(line, descending)),
      indices: ({ axis, descending }, x) => lines(x, axis, line => positionsOf(line, descending)),
    },
    [missing('sort', ops.sort)],
  ),
  record(
    'topk',
    {
      values: (place, x) => some(x, place, line => sorted(line, place.isYes)),
      indices: (place, x) => some(x, place, line => positionsOf(line, place.isYes)),
    },
    [
      missing('topk', (x, options) => ops.topk(x, 1, options)),
      [() => ops.topk(zeros([2, 3]), 4), RangeError, 'topk: k must be 0 … 3, the elements on axis 1 of [2, 3], not 4'],
    ],
  ),
  record(
    'kthValue',
    {
      values: ({ axis, k, isYes }, x) => along(x, [axis], isYes, line => sorted(line)[k]),
      indices: ({ axis, k }, x) => along(x, [axis], false, line => positionsOf(line)[k]),
    },
    [
      missing('kthValue', (x, options) => ops.kthValue(x, 1, options)),
      [
        () => ops.kthValue(zeros([2, 3]), 3, { axis: 0 }),
        RangeError,
        'kthValue: k must be 1 … 2, the elements on axis 0 of [2, 3], not 3',
      ],
    ],
  ),
  record(
    'maxWithIndices',
    {
      values: ({ axis, isYes }, x) => along(x, [axis], isYes, line => Math.max(...line)),
      indices: ({ axis }, x) => along(x, [axis], false, line => first(line, Math.max)),
    },
    [missing('maxWithIndices', ops.maxWithIndices), empty('maxWithIndices', ops.maxWithIndices)],
  ),
  record(
    'minWithIndices',
    {
      values: ({ axis, isYes }, x) => along(x, [axis], isYes, line => Math.min(...line)),
      indices: ({ axis }, x) => along(x, [axis], false, line => first(line, Math.min)),
    },
    [missing('minWithIndices', ops.minWithIndices), empty('minWithIndices', ops.minWithIndices)],
  ),
  record(
    'median',
    {
      'over axes': ({ axis, keepDims }, x) =>
        along(x, axis ?? [...x.shape.keys()], keepDims, line => sorted(line)[Math.ceil(line.length / 2) - 1]),
    },
    [missing('median', ops.median), empty('median', x => ops.median(x, { axis: 1 }))],
  ),
  record(
    'quantile',
    {
      'of one share': ({ axis, keepDims, n }, x) =>
        along(x, axis ?? [...x.shape.keys()], keepDims, line => quantile(line, shareOf(n), interpolations[n % 5])),
      'of several shares': ({ axis, keepDims, n }, x) => {
        const each = [shareOf(n), 0, 1]
          .slice(0, n % 4)
          .map(q => along(x, axis ?? [...x.shape.keys()], keepDims, line => quantile(line, q)))
        const { shape } = along(x, axis ?? [...x.shape.keys()], keepDims, () => 0)
        return { shape: [each.length, ...shape], data: each.flatMap(({ data }) => data) }
      },
    },
    [
      missing('quantile', (x, options) => ops.quantile(x, 0.5, options)),
      empty('quantile', x => ops.quantile(x, 0.5, { axis: 1 })),
    ],
  ),
  record(
    'searchSorted',
    {
      'in one line': search,
      'each in its line': search,
    },
    [
      [() => ops.searchSorted(zeros([]), zeros([2])), AxisError, 'searchSorted: [] has no axis -1'],
      [
        () => ops.searchSorted(zeros([2, 3]), zeros([3])),
        ShapeError,
        'searchSorted: sorted [2, 3] and values [3] must have the same sizes except on the last axis, or sorted must have one axis',
      ],
    ],
  ),
  record('histogram', {
    counts: ({ bins }, x) =>
      make([bins], ([i]) => {
        const [low, high] = [i, i + 1].map(edge => (2 * edge) / bins - 1)
        return x.data.filter(n => n >= low && (n < high || (i === bins - 1 && n === high))).length
      }),
    edges: ({ bins }, x) => {
      const [low, high] = [Math.min(...x.data), Math.max(...x.data)]
      const margin = low === high ? 0.5 : 0
      return make([bins + 1], ([i]) => low - margin + ((high - low + 2 * margin) * i) / bins)
    },
  }),
]
