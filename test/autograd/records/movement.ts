// Records of the operations that move elements.

import * as ops from '../../../src/autograd/index.ts'
import { AxisError, type Padding, type Range, ShapeError, zeros } from '../../../src/tensor/index.ts'
import { broadcastShapes, permutation, shape } from '../../../src/testing/index.ts'
import { fc } from '../../support.ts'
import { common, make, type Plain, read } from '../plain.ts'
import { drawn, numbers, type OperationRecord, record, withNumbers } from './record.ts'

const reshapes: Record<string, (sizes: number[]) => number[]> = {
  'one row': () => [-1],
  'axes turned round': sizes => [...sizes].reverse(),
  'ones around': sizes => [1, ...sizes, 1],
  'the last axis filled in': sizes => (sizes.includes(0) ? sizes : [...sizes.slice(0, -1), -1]),
  'the first two axes joined': sizes => (sizes.length < 2 ? sizes : [sizes[0] * sizes[1], ...sizes.slice(2)]),
  'the first axis split': ([n, ...rest]) => (n === undefined ? [] : [1, n, 1, ...rest]),
}

const range: fc.Arbitrary<Range> = fc.record(
  {
    start: fc.integer({ min: -5, max: 5 }),
    stop: fc.integer({ min: -5, max: 5 }),
    step: fc.constantFrom(1, 2, 3, -1, -2, -3),
  },
  { requiredKeys: [] },
)

/** Positions that Python's range(*slice(start, stop, step).indices(n)) walks over. */
function taken({ start, stop, step = 1 }: Range, n: number): number[] {
  const bound = (x: number) => (step > 0 ? Math.min(Math.max(x, 0), n) : Math.min(Math.max(x, -1), n - 1))
  const from = start === undefined ? (step > 0 ? 0 : n - 1) : bound(start < 0 ? start + n : start)
  const to = stop === undefined ? (step > 0 ? n : -1) : bound(stop < 0 ? stop + n : stop)
  const list: number[] = []
  for (let i = from; step > 0 ? i < to : i > to; i += step) list.push(i)
  return list
}

const inFront = (axis: number, rank: number) => (axis + rank) % rank

export const movement: readonly OperationRecord[] = [
  record(
    'reshape',
    Object.entries(reshapes).map(([says, target]) =>
      drawn(
        says,
        shape().map(sizes => ({ shapes: [sizes], options: target(sizes) })),
        {},
        (to, x) => ops.reshape(x, to),
        (to, x) => ({
          shape: to.map(n => (n < 0 ? x.data.length / to.filter(m => m > 0).reduce((a, b) => a * b, 1) : n)),
          data: x.data,
        }),
      ),
    ),
    [
      [
        () => ops.reshape(zeros([2, 3]), [4, 2]),
        ShapeError,
        'reshape: [2, 3] has 6 elements and does not become [4, 2]',
      ],
      [() => ops.reshape(zeros([2, 3]), [4, -1]), ShapeError, '[2, 3] has 6 elements and does not become [4, -1]'],
      [() => ops.reshape(zeros([2, 3]), [-1, -1]), ShapeError, 'does not become [-1, -1]'],
    ],
  ),
  record(
    'permute',
    [
      drawn(
        'axes in any order',
        permutation().map(({ shape: sizes, order }) => ({ shapes: [sizes], options: order })),
        {},
        (order, x) => ops.permute(x, order),
        (order, x) =>
          make(
            order.map(axis => x.shape[axis]),
            at =>
              read(
                x,
                x.shape.map((_, axis) => at[order.indexOf(axis)]),
              ),
          ),
      ),
    ],
    [
      [() => ops.permute(zeros([2, 3]), [0]), ShapeError, 'permute: [0] does not order the axes of [2, 3]'],
      [() => ops.permute(zeros([2, 3]), [0, 0]), ShapeError, 'permute: axes [0, 0] name an axis of [2, 3] twice'],
      [() => ops.permute(zeros([2, 3]), [0, 2]), AxisError, 'permute: [2, 3] has no axis 2'],
    ],
  ),
  record(
    'transpose',
    [
      drawn(
        'two axes exchanged',
        fc
          .tuple(shape({ minRank: 2 }), fc.integer({ min: -2, max: 1 }), fc.integer({ min: -2, max: 1 }))
          .map(([sizes, a, b]) => ({ shapes: [sizes], options: { a, b } })),
        {},
        ({ a, b }, x) => ops.transpose(x, a, b),
        ({ a, b }, x) => {
          const [i, j] = [inFront(a, x.shape.length), inFront(b, x.shape.length)]
          const swapped = <T>(list: readonly T[]) => list.with(i, list[j]).with(j, list[i])
          return make(swapped(x.shape), at => read(x, swapped(at)))
        },
      ),
    ],
    [[() => ops.transpose(zeros([3])), AxisError, 'transpose: [3] has no axis -2']],
  ),
  record(
    'expand',
    [
      drawn(
        'to a shape it broadcasts to',
        broadcastShapes(2).map(([a, b]) => ({ shapes: [a], options: common(a, b) })),
        {},
        (to, x) => ops.expand(x, to),
        (to, x) => make(to, at => read(x, at)),
      ),
    ],
    [
      [() => ops.expand(zeros([2, 3]), [3]), ShapeError, 'expand: [2, 3] does not broadcast to [3]'],
      [() => ops.expand(zeros([2, 3]), [2, 4]), ShapeError, 'expand: [2, 3] does not broadcast to [2, 4]'],
      [() => ops.expand(zeros([1]), [-1]), ShapeError, 'expand: [-1] is not a shape'],
    ],
  ),
  record(
    'squeeze',
    [
      drawn(
        'every axis of size one',
        shape().map(sizes => ({ shapes: [sizes], options: undefined })),
        {},
        (_, x) => ops.squeeze(x),
        (_, x) => ({ shape: x.shape.filter(n => n !== 1), data: x.data }),
      ),
      drawn(
        'the last axis',
        shape().map(sizes => ({ shapes: [[...sizes, 1]], options: undefined })),
        {},
        (_, x) => ops.squeeze(x, -1),
        (_, x) => ({ shape: x.shape.slice(0, -1), data: x.data }),
      ),
    ],
    [
      [() => ops.squeeze(zeros([2, 1]), 0), ShapeError, 'squeeze: axis 0 of [2, 1] is not 1'],
      [() => ops.squeeze(zeros([2, 1]), 2), AxisError, 'squeeze: [2, 1] has no axis 2'],
    ],
  ),
  record(
    'unsqueeze',
    [0, -1].map(axis =>
      drawn(
        axis === 0 ? 'in front' : 'at the end',
        shape().map(sizes => ({ shapes: [sizes], options: undefined })),
        {},
        (_, x) => ops.unsqueeze(x, axis),
        (_, x) => ({ shape: axis === 0 ? [1, ...x.shape] : [...x.shape, 1], data: x.data }),
      ),
    ),
    [[() => ops.unsqueeze(zeros([2]), 2), AxisError, 'unsqueeze: [2, 1] has no axis 2']],
  ),
  record(
    'slice',
    [
      drawn(
        'ranges and positions',
        fc
          .tuple(
            shape({ maxSize: 5 }),
            fc.array(fc.option(range, { nil: undefined }), { minLength: 3, maxLength: 3 }),
            numbers,
          )
          .map(([sizes, ranges, positions]) => ({
            shapes: [sizes],
            options: sizes.map((n, i) => ranges[i] ?? (n === 0 ? {} : (positions[i] % (2 * n)) - n)),
          })),
        {},
        (ranges, x) => ops.slice(x, ranges),
        (ranges, x) => {
          const lists = ranges.map((r, i) =>
            typeof r === 'number' ? [r < 0 ? r + x.shape[i] : r] : taken(r, x.shape[i]),
          )
          const all = make(
            lists.map(list => list.length),
            at =>
              read(
                x,
                at.map((n, i) => lists[i][n]),
              ),
          )
          return { shape: all.shape.filter((_, i) => typeof ranges[i] !== 'number'), data: all.data }
        },
      ),
    ],
    [
      [() => ops.slice(zeros([2]), [{}, {}]), ShapeError, 'slice: 2 ranges for [2]'],
      [() => ops.slice(zeros([2, 3]), [0, 3]), ShapeError, 'slice: axis 1 of [2, 3] has no position 3'],
      [() => ops.slice(zeros([2, 3]), [-3]), ShapeError, 'slice: axis 0 of [2, 3] has no position -3'],
      [() => ops.slice(zeros([2]), [{ step: 0 }]), RangeError, 'slice: a step is a non-zero integer, not 0'],
      [() => ops.slice(zeros([2]), [{ start: 0.5 }]), RangeError, 'from integer to integer, not to 0.5'],
    ],
  ),
  record(
    'pad',
    [
      drawn(
        'margins of a constant',
        fc.tuple(shape({ maxSize: 2 }), numbers).map(([sizes, n]) => ({
          shapes: [sizes],
          options: sizes.map((_, i): [number, number] => [n[i] % 3, n[i + 3] % 3]),
        })),
        {},
        (padding, x) => ops.pad(x, padding, 7),
        (padding, x) =>
          make(
            x.shape.map((n, i) => n + padding[i][0] + padding[i][1]),
            at => {
              const inner = at.map((n, i) => n - padding[i][0])
              return inner.every((n, i) => n >= 0 && n < x.shape[i]) ? read(x, inner) : 7
            },
          ),
      ),
    ],
    [
      [() => ops.pad(zeros([2, 3]), [[1, 1]]), ShapeError, 'pad: [[1,1]] does not pad [2, 3]'],
      [() => ops.pad(zeros([2]), [[-1, 1]] as Padding), ShapeError, 'pad: [[-1,1]] does not pad [2]'],
    ],
  ),
  record(
    'concat',
    [
      drawn(
        'three tensors along an axis',
        withNumbers.map(([sizes, n]) => {
          const axis = n[0] % sizes.length
          return {
            shapes: [1, 2, 3].map(i => sizes.with(axis, n[i] % 4)),
            options: n[4] % 2 === 0 ? axis : axis - sizes.length,
          }
        }),
        {},
        (axis, ...xs) => ops.concat(xs, axis),
        (axis, ...xs) => joined(xs, inFront(axis, xs[0].shape.length)),
      ),
    ],
    [
      [
        () => ops.concat([zeros([2, 3]), zeros([4, 3]), zeros([2, 4])], 0),
        ShapeError,
        'concat: [2, 3] and [4, 3] and [2, 4] differ beside axis 0',
      ],
      [() => ops.concat([zeros([2]), zeros([2, 1])]), ShapeError, '[2] and [2, 1] differ beside axis 0'],
      [() => ops.concat([]), TypeError, 'concat: needs at least one tensor'],
      [() => ops.concat([zeros([2])], 1), AxisError, 'concat: [2] has no axis 1'],
    ],
  ),
  record(
    'stack',
    [
      drawn(
        'along a new axis',
        fc.tuple(shape({ maxRank: 2 }), fc.boolean()).map(([sizes, last]) => ({
          shapes: [sizes, sizes],
          options: last,
        })),
        {},
        (last, ...xs) => ops.stack(xs, last ? -1 : 0),
        (last, x, y) => {
          const sizes = last ? [...x.shape, 2] : [2, ...x.shape]
          return make(sizes, at => {
            const [n, rest] = last ? [at[at.length - 1], at.slice(0, -1)] : [at[0], at.slice(1)]
            return read(n === 0 ? x : y, rest)
          })
        },
      ),
    ],
    [[() => ops.stack([zeros([2]), zeros([3])]), ShapeError, '[1, 2] and [1, 3] differ beside axis 0']],
  ),
  record(
    'split',
    [
      drawn(
        'into parts that make it up again',
        withNumbers.map(([sizes, n]) => ({
          shapes: [sizes],
          options: { axis: n[0] % sizes.length, size: 1 + (n[1] % 3) },
        })),
        {},
        // every part weighted differently, so that none may stand in for another
        ({ axis, size }, x) => {
          const parts = ops.split(x, size, axis)
          return parts.length === 0
            ? x.mul(1)
            : ops.concat(
                parts.map((part, i) => part.mul(i + 1)),
                axis,
              )
        },
        ({ axis, size }, x) => make(x.shape, at => read(x, at) * (Math.floor(at[axis] / size) + 1)),
      ),
    ],
    [
      [() => ops.split(zeros([2, 5]), [2, 2], 1), ShapeError, 'split: sizes [2, 2] do not make up axis 1 of [2, 5]'],
      [() => ops.split(zeros([2]), [3, -1]), ShapeError, 'split: sizes [3, -1] do not make up axis 0 of [2]'],
      [() => ops.split(zeros([2]), 0), ShapeError, 'split: parts of size 0 do not make up axis 0 of [2]'],
    ],
  ),
  record(
    'flip',
    [
      drawn(
        'along an axis',
        withNumbers.map(([sizes, n]) => ({ shapes: [sizes], options: n[0] % sizes.length })),
        {},
        (axis, x) => ops.flip(x, axis),
        (axis, x) => make(x.shape, at => read(x, at.with(axis, x.shape[axis] - 1 - at[axis]))),
      ),
    ],
    [[() => ops.flip(zeros([2]), 1), AxisError, 'flip: [2] has no axis 1']],
  ),
  record(
    'broadcast',
    [
      drawn(
        'to a common shape',
        broadcastShapes(2).map(shapes => ({ shapes, options: undefined })),
        {},
        (_, ...xs) => {
          const [a, b] = ops.broadcast(...xs)
          return ops.concat([a.reshape([-1]), b.reshape([-1])])
        },
        (_, ...xs) => {
          const sizes = common(...xs.map(x => x.shape))
          const data = xs.flatMap(x => make(sizes, at => read(x, at)).data)
          return { shape: [data.length], data }
        },
      ),
    ],
    [[() => ops.broadcast(zeros([2]), zeros([3])), ShapeError, 'broadcast: [2] and [3] do not broadcast: 2 ≠ 3']],
  ),
]

function joined(xs: readonly Plain[], axis: number): Plain {
  const length = xs.reduce((sum, x) => sum + x.shape[axis], 0)
  return make(xs[0].shape.with(axis, length), at => {
    let i = at[axis]
    let n = 0
    while (i >= xs[n].shape[axis]) i -= xs[n++].shape[axis]
    return read(xs[n], at.with(axis, i))
  })
}
