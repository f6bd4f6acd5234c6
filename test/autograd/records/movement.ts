// Records of the operations that move elements.

import * as ops from '../../../src/autograd/index.ts'
import { AxisError, type Padding, type Range, ShapeError, zeros } from '../../../src/tensor/index.ts'
import { common, make, type Plain, read } from '../plain.ts'
import { outside } from './convolution.ts'
import { type OperationRecord, record } from './record.ts'

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

const reshaped = (to: readonly number[], x: Plain): Plain => ({
  shape: to.map(n => (n < 0 ? x.data.length / to.filter(m => m > 0).reduce((a, b) => a * b, 1) : n)),
  data: x.data,
})

export const movement: readonly OperationRecord[] = [
  record(
    'reshape',
    {
      'one row': reshaped,
      'axes turned round': reshaped,
      'ones around': reshaped,
      'the last axis filled in': reshaped,
      'the first two axes joined': reshaped,
      'the first axis split': reshaped,
    },
    [
      [() => ops.reshape(zeros([2, 3]), [4, 2]), ShapeError, 'reshape: [2, 3] has 6 elements and cannot become [4, 2]'],
      [() => ops.reshape(zeros([2, 3]), [4, -1]), ShapeError, '[2, 3] has 6 elements and cannot become [4, -1]'],
      [() => ops.reshape(zeros([2, 3]), [-1, -1]), ShapeError, 'cannot become [-1, -1]'],
    ],
  ),
  record(
    'permute',
    {
      'axes in any order': (order, x) =>
        make(
          order.map(axis => x.shape[axis]),
          at =>
            read(
              x,
              x.shape.map((_, axis) => at[order.indexOf(axis)]),
            ),
        ),
    },
    [
      [() => ops.permute(zeros([2, 3]), [0]), ShapeError, 'permute: [0] must name every axis of [2, 3] once'],
      [() => ops.permute(zeros([2, 3]), [0, 0]), ShapeError, 'permute: axes [0, 0] name an axis of [2, 3] twice'],
      [() => ops.permute(zeros([2, 3]), [0, 2]), AxisError, 'permute: [2, 3] has no axis 2'],
    ],
  ),
  record(
    'transpose',
    {
      'two axes exchanged': ({ a, b }, x) => {
        const [i, j] = [inFront(a, x.shape.length), inFront(b, x.shape.length)]
        const swapped = <T>(list: readonly T[]) => list.with(i, list[j]).with(j, list[i])
        return make(swapped(x.shape), at => read(x, swapped(at)))
      },
    },
    [[() => ops.transpose(zeros([3])), AxisError, 'transpose: [3] has no axis -2']],
  ),
  record('expand', { 'to a shape it broadcasts to': (to, x) => make(to, at => read(x, at)) }, [
    [() => ops.expand(zeros([2, 3]), [3]), ShapeError, 'expand: [2, 3] does not broadcast to [3]'],
    [() => ops.expand(zeros([2, 3]), [2, 4]), ShapeError, 'expand: [2, 3] does not broadcast to [2, 4]'],
    [() => ops.expand(zeros([1]), [-1]), ShapeError, 'expand: [-1] is not a shape'],
  ]),
  record(
    'squeeze',
    {
      'every axis of size one': (_, x) => ({ shape: x.shape.filter(n => n !== 1), data: x.data }),
      'the last axis': (_, x) => ({ shape: x.shape.slice(0, -1), data: x.data }),
    },
    [
      [() => ops.squeeze(zeros([2, 1]), 0), ShapeError, 'squeeze: axis 0 of [2, 1] must have size 1'],
      [() => ops.squeeze(zeros([2, 1]), 2), AxisError, 'squeeze: [2, 1] has no axis 2'],
    ],
  ),
  record(
    'unsqueeze',
    {
      'in front': (_, x) => ({ shape: [1, ...x.shape], data: x.data }),
      'at the end': (_, x) => ({ shape: [...x.shape, 1], data: x.data }),
    },
    [[() => ops.unsqueeze(zeros([2]), 2), AxisError, 'unsqueeze: [2, 1] has no axis 2']],
  ),
  record(
    'slice',
    {
      'ranges and positions': (ranges, x) => {
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
    },
    [
      [() => ops.slice(zeros([2]), [{}, {}]), ShapeError, 'slice: 2 ranges are more than the axes of [2]'],
      [() => ops.slice(zeros([2, 3]), [0, 3]), ShapeError, 'slice: axis 1 of [2, 3] has no position 3'],
      [() => ops.slice(zeros([2, 3]), [-3]), ShapeError, 'slice: axis 0 of [2, 3] has no position -3'],
      [() => ops.slice(zeros([2]), [{ step: 0 }]), RangeError, 'slice: the step must be a non-zero integer, not 0'],
      [() => ops.slice(zeros([2]), [{ start: 0.5 }]), RangeError, 'start and stop must be integers, not 0.5'],
    ],
  ),
  record(
    'pad',
    {
      'margins of a constant': (padding, x) =>
        make(
          x.shape.map((n, i) => n + padding[i][0] + padding[i][1]),
          at => {
            const inner = at.map((n, i) => n - padding[i][0])
            return inner.every((n, i) => n >= 0 && n < x.shape[i]) ? read(x, inner) : 7
          },
        ),
      'margins of its own values': ({ mode, padding }, x) =>
        make(
          x.shape.map((n, i) => n + padding[i][0] + padding[i][1]),
          at =>
            read(
              x,
              at.map((n, i) => outside[mode](n - padding[i][0], x.shape[i])),
            ),
        ),
    },
    [
      [
        () =>
          ops.pad(
            zeros([2, 3]),
            [
              [0, 0],
              [0, 3],
            ],
            { mode: 'reflect' },
          ),
        ShapeError,
        "pad: axis 1 of [2, 3] can have margins of at most 2 in the mode 'reflect', not [0,3]",
      ],
      [
        () => ops.pad(zeros([2]), [[3, 0]], { mode: 'circular' }),
        ShapeError,
        "pad: axis 0 of [2] can have margins of at most 2 in the mode 'circular', not [3,0]",
      ],
      [
        () => ops.pad(zeros([0]), [[1, 0]], { mode: 'replicate' }),
        ShapeError,
        "pad: axis 0 of [0] can have margins of at most 0 in the mode 'replicate', not [1,0]",
      ],
      [
        () => ops.pad(zeros([2]), [[1, 0]], { mode: 'replicate', value: 1 }),
        RangeError,
        "pad: the value is that of the mode 'constant'; the mode 'replicate' has none",
      ],
      [
        () => ops.pad(zeros([2, 3]), [[1, 1]]),
        ShapeError,
        'pad: [[1,1]] must have one [before, after], 0 or more, for each axis of [2, 3]',
      ],
      [
        () => ops.pad(zeros([2]), [[-1, 1]] as Padding),
        ShapeError,
        'pad: [[-1,1]] must have one [before, after], 0 or more, for each axis of [2]',
      ],
    ],
  ),
  record(
    'concat',
    {
      'three tensors along an axis': (axis, ...xs) => joined(xs, inFront(axis, xs[0].shape.length)),
    },
    [
      [
        () => ops.concat([zeros([2, 3]), zeros([4, 3]), zeros([2, 4])], 0),
        ShapeError,
        'concat: [2, 3] and [4, 3] and [2, 4] must have the same sizes except on axis 0',
      ],
      [
        () => ops.concat([zeros([2]), zeros([2, 1])]),
        ShapeError,
        '[2] and [2, 1] must have the same sizes except on axis 0',
      ],
      [() => ops.concat([]), TypeError, 'concat: the list must have at least one tensor'],
      [() => ops.concat([zeros([2])], 1), AxisError, 'concat: [2] has no axis 1'],
    ],
  ),
  record(
    'stack',
    {
      'along a new axis': (axis, x, y) => {
        const sizes = axis === 0 ? [2, ...x.shape] : [...x.shape, 2]
        return make(sizes, at => {
          const [n, rest] = axis === 0 ? [at[0], at.slice(1)] : [at[at.length - 1], at.slice(0, -1)]
          return read(n === 0 ? x : y, rest)
        })
      },
    },
    [
      [
        () => ops.stack([zeros([2]), zeros([3])]),
        ShapeError,
        'stack: tensors must have the same shape, not [2] and [3]',
      ],
    ],
  ),
  record(
    'split',
    {
      'into parts that make it up again': ({ axis, size }, x) =>
        make(x.shape, at => read(x, at) * (Math.floor(at[axis] / size) + 1)),
    },
    [
      [
        () => ops.split(zeros([2, 5]), [2, 2], 1),
        ShapeError,
        'split: sizes [2, 2] must be 0 or more and add up to axis 1 of [2, 5]',
      ],
      [
        () => ops.split(zeros([2]), [3, -1]),
        ShapeError,
        'split: sizes [3, -1] must be 0 or more and add up to axis 0 of [2]',
      ],
      [() => ops.split(zeros([2]), 0), ShapeError, 'split: the size of the parts must be a positive integer, not 0'],
    ],
  ),
  record(
    'flip',
    {
      'along an axis': (axis, x) => make(x.shape, at => read(x, at.with(axis, x.shape[axis] - 1 - at[axis]))),
    },
    [[() => ops.flip(zeros([2]), 1), AxisError, 'flip: [2] has no axis 1']],
  ),
  record(
    'broadcast',
    {
      'to a common shape': (_, ...xs) => {
        const sizes = common(...xs.map(x => x.shape))
        const data = xs.flatMap(x => make(sizes, at => read(x, at)).data)
        return { shape: [data.length], data }
      },
    },
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
