// Records of the reductions, and of matrix products and einsum.

import * as ops from '../../../src/autograd/index.ts'
import { AxisError, ShapeError, type Tensor, zeros } from '../../../src/tensor/index.ts'
import {
  axes,
  broadcastShapes,
  matmulShapes,
  type ShapeOptions,
  shape,
  type ValueOptions,
} from '../../../src/testing/index.ts'
import { fc } from '../../support.ts'
import { along, common, lines, make, type Plain, positions, read, times, total } from '../plain.ts'
import { type Case, drawn, type OperationRecord, only, record } from './record.ts'

interface Reduce {
  readonly axis: readonly number[] | undefined
  readonly keepDims: boolean
}

/** A shape, some of its axes (none of them named: all), and keepDims. */
const reductions = (options: ShapeOptions = {}) =>
  fc.tuple(axes(options), fc.boolean()).map(([chosen, keepDims]) => ({
    shapes: [chosen.shape],
    options: { axis: chosen.axes.length === 0 ? undefined : chosen.axes, keepDims },
  }))

const filled: ShapeOptions = { minSize: 1 }

const reducing = (
  says: string,
  f: (x: Tensor, options: Reduce) => Tensor,
  formula: (numbers: readonly number[]) => number,
  shapes: ShapeOptions = {},
  values: ValueOptions = {},
  order: 0 | 2 = 2,
): Case =>
  drawn(
    says,
    reductions(shapes),
    values,
    (options, x) => f(x, options),
    ({ axis, keepDims }, x) => along(x, axis ?? x.shape.map((_, i) => i), keepDims, formula),
    { order },
  )

const missing = (name: string, f: (x: Tensor, options: { axis: number | number[] }) => unknown) =>
  [
    [() => f(zeros([2, 3]), { axis: 2 }), AxisError, `${name}: [2, 3] has no axis 2`],
    [() => f(zeros([2, 3]), { axis: -3 }), AxisError, `${name}: [2, 3] has no axis -3`],
  ] as const

const twice = (name: string, f: (x: Tensor, options: { axis: number[] }) => unknown) =>
  [() => f(zeros([2, 3]), { axis: [0, -2] }), ShapeError, `${name}: axes [0, 0] name an axis of [2, 3] twice`] as const

const mean = (numbers: readonly number[]) => total(numbers) / numbers.length
const deviations = (numbers: readonly number[]) => total(numbers.map(x => (x - mean(numbers)) ** 2))

/** A shape with at least one axis, and one of them. */
const oneAxis = (options: ShapeOptions = {}) =>
  fc.tuple(shape({ minRank: 1, ...options }), fc.integer({ min: -3, max: 2 })).map(([sizes, n]) => ({
    shapes: [sizes],
    options: { axis: n < 0 ? Math.max(n, -sizes.length) : n % sizes.length },
  }))

export const reduce: readonly OperationRecord[] = [
  record('sum', [reducing('over axes', ops.sum, total)], [...missing('sum', ops.sum), twice('sum', ops.sum)]),
  record(
    'mean',
    [reducing('over axes', ops.mean, mean, filled), reducing('of nothing too', ops.mean, mean, {}, {}, 0)],
    [...missing('sum', ops.mean)],
  ),
  ...(
    [
      ['max', ops.max, Math.max],
      ['min', ops.min, Math.min],
    ] as const
  ).map(([name, f, pick]) =>
    record(
      name,
      [
        reducing('of different numbers', f, list => pick(...list), filled, { distinct: true }),
        reducing('of equal numbers', f, list => pick(...list), filled, { min: 0, max: 1 / 4 }, 0),
      ],
      [
        ...missing(name, f),
        twice(name, f),
        [() => f(zeros([2, 0])), ShapeError, `${name}: [2, 0] has nothing to compare`],
      ],
    ),
  ),
  record('variance', [
    reducing(
      'of what is there',
      (x, o) => ops.variance(x, { ...o, correction: 0 }),
      l => deviations(l) / l.length,
      filled,
    ),
    reducing('of a sample', ops.variance, l => deviations(l) / (l.length - 1), { minRank: 1, minSize: 2 }),
  ]),
  record(
    'logSumExp',
    [reducing('over axes', ops.logSumExp, list => Math.log(total(list.map(x => Math.exp(x)))))],
    [...missing('logSumExp', ops.logSumExp)],
  ),
  record(
    'norm',
    [
      reducing('Euclidean', ops.norm, list => Math.sqrt(total(list.map(x => x * x))), filled, { awayFrom: [0] }),
      reducing('of nothing too', ops.norm, list => Math.sqrt(total(list.map(x => x * x))), {}, {}, 0),
      reducing(
        'sum of sizes',
        (x, o) => ops.norm(x, { ...o, order: 1 }),
        l => total(l.map(Math.abs)),
        {},
        {
          awayFrom: [0],
        },
      ),
      reducing(
        'largest size',
        (x, o) => ops.norm(x, { ...o, order: Infinity }),
        list => Math.max(...list.map(Math.abs)),
        filled,
        { min: -4, max: -1 / 8, distinct: true },
      ),
    ],
    [
      [() => zeros([2]).norm({ order: 3 }), RangeError, 'norm: the order is 1, 2 or Infinity, not 3'],
      ...missing('norm', ops.norm),
    ],
  ),
  record(
    'argmax',
    [
      drawn(
        'the first of the largest',
        oneAxis(filled),
        { min: -1 / 4, max: 1 / 4 },
        ({ axis }, x) => ops.argmax(x, { axis }),
        ({ axis }, x) => along(x, [axis], false, list => list.indexOf(Math.max(...list))),
        { order: 0, result: 'int32' },
      ),
      drawn(
        'keeping the axis',
        oneAxis(filled),
        {},
        ({ axis }, x) => ops.argmax(x, { axis, keepDims: true }),
        ({ axis }, x) => along(x, [axis], true, list => list.indexOf(Math.max(...list))),
        { order: 0, result: 'int32' },
      ),
    ],
    [
      [() => ops.argmax(zeros([2, 0])), ShapeError, 'argmax: [2, 0] has nothing to compare'],
      [() => ops.argmax(zeros([2]), { axis: 1 }), AxisError, 'argmax: [2] has no axis 1'],
    ],
  ),
  record(
    'cumsum',
    [
      drawn(
        'along an axis',
        oneAxis({ maxSize: 5, maxRank: 2 }),
        {},
        ({ axis }, x) => ops.cumsum(x, { axis }),
        ({ axis }, x) => lines(x, axis, line => line.map((_, i) => total(line.slice(0, i + 1)))),
      ),
    ],
    [[() => ops.cumsum(zeros([2]), { axis: 1 }), AxisError, 'cumsum: [2] has no axis 1']],
  ),
  record(
    'sumTo',
    [
      drawn(
        'a shape that broadcasts to its own',
        broadcastShapes(2).map(([a, b]) => ({ shapes: [common(a, b)], options: a })),
        {},
        (target, x) => ops.sumTo(x, target),
        (target, x) =>
          make(target, at =>
            total(
              positions(x.shape)
                .filter(p => at.every((n, i) => target[i] === 1 || n === p[i + p.length - at.length]))
                .map(p => read(x, p)),
            ),
          ),
      ),
    ],
    [
      [() => ops.sumTo(zeros([2, 3]), [3, 2]), ShapeError, 'sumTo: [3, 2] does not broadcast to [2, 3]'],
      [() => ops.sumTo(zeros([6]), [2, 3]), ShapeError, 'sumTo: [2, 3] does not broadcast to [6]'],
    ],
  ),
  record(
    'matmul',
    [
      drawn(
        'matrices, stacks and vectors',
        only(matmulShapes({ maxRank: 4 })),
        {},
        (_, x, y) => ops.matmul(x, y),
        (_, x, y) => times(x, y),
      ),
    ],
    [
      [
        () => ops.matmul(zeros([8, 16]), zeros([15, 4])),
        ShapeError,
        'matmul: [8, 16] and [15, 4] do not agree: 16 ≠ 15',
      ],
      [() => ops.matmul(zeros([3]), zeros([4, 2])), ShapeError, 'matmul: [3] and [4, 2] do not agree: 3 ≠ 4'],
      [() => ops.matmul(zeros([3]), zeros([4])), ShapeError, 'matmul: [3] and [4] do not agree: 3 ≠ 4'],
      [() => ops.matmul(zeros([]), zeros([4])), ShapeError, 'matmul: [] and [4]: a scalar is not a matrix'],
      [
        () => ops.matmul(zeros([2, 3, 4]), zeros([3, 4, 5])),
        ShapeError,
        'matmul: [2, 3, 4] and [3, 4, 5]: leading axes: [2] and [3] do not broadcast: 2 ≠ 3',
      ],
    ],
  ),
  record(
    'einsum',
    [
      ...[
        'ij,jk->ik',
        'bqd,bkd->bqk',
        'ii->i',
        'iji->j',
        'ij->ji',
        'ij->',
        'i,j->ij',
        'ij,ij->j',
        'ij,jk,kl->il',
        'ba',
        'ij,jk',
        'i,i,i->i',
        ',ij->i',
      ].map(equation => named(equation, equation)),
      // an ellipsis in the place of e, and with it of size one
      named('eij,jk->eik', '...ij,jk->...ik'),
      named('ei,ei->e', '...i,...i'),
      named('eij,Ejk->eik', '...ij,...jk->...ik'),
    ],
    [
      [
        () => ops.einsum('ij,jk->ik', zeros([2, 3]), zeros([4, 5])),
        ShapeError,
        'einsum "ij,jk->ik": axis "j" has sizes 3 and 4 in [2, 3] and [4, 5]',
      ],
      [() => ops.einsum('ij,jk->ik', zeros([2, 3])), ShapeError, '2 terms for 1 operands'],
      [() => ops.einsum('ijk->i', zeros([2, 3])), ShapeError, '"ijk" does not name the axes of [2, 3]'],
      [() => ops.einsum('ij->ik', zeros([2, 3])), ShapeError, 'the result cannot have the axes "ik"'],
      [() => ops.einsum('ij->ii', zeros([2, 3])), ShapeError, 'the result cannot have the axes "ii"'],
      [() => ops.einsum('ii->i', zeros([2, 3])), ShapeError, 'axis "i" has sizes 2 and 3'],
    ],
  ),
]

/** Every product of elements whose labels agree, added where the result's labels say. E is e with size one. */
function named(letters: string, equation: string): Case {
  const [left, right] = letters.split('->')
  const terms = left.split(',')
  const labels = [...new Set(left.toLowerCase().replaceAll(',', ''))]
  const output =
    right ??
    labels
      .filter(label => left.split(label).length === 2)
      .sort()
      .join('')
  const sizes = fc.array(fc.integer({ min: 0, max: 3 }), { minLength: labels.length, maxLength: labels.length })
  const shapes = sizes.map(numbers => {
    const sizeOf = Object.fromEntries(labels.map((label, i) => [label, numbers[i]]))
    return {
      shapes: terms.map(term => [...term].map(label => (label === 'E' ? 1 : sizeOf[label]))),
      options: sizeOf,
    }
  })
  return drawn(
    equation,
    shapes,
    {},
    (_, ...xs) => ops.einsum(equation, ...xs),
    (sizeOf, ...xs: Plain[]) => {
      const all = positions(labels.map(label => sizeOf[label]))
      const at = (position: readonly number[], term: string) =>
        [...term].map(label => (label === 'E' ? 0 : position[labels.indexOf(label)]))
      return make(
        [...output].map(label => sizeOf[label]),
        place =>
          total(
            all
              .filter(position => at(position, output).every((n, i) => n === place[i]))
              .map(position => xs.reduce((product, x, i) => product * read(x, at(position, terms[i])), 1)),
          ),
      )
    },
  )
}
