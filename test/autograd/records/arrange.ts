// Records of the operations that repeat, roll, cut and rename axes.

import * as ops from '../../../src/autograd/index.ts'
import { AxisError, ShapeError, zeros } from '../../../src/tensor/index.ts'
import { make, type Plain, read } from '../plain.ts'
import { type OperationRecord, record } from './record.ts'

const remainder = (i: number, n: number) => ((i % n) + n) % n

const tiled = (reps: readonly number[], x: Plain): Plain => {
  const rank = Math.max(reps.length, x.shape.length)
  const before = <T>(list: readonly T[], one: T) => [...Array<T>(rank - list.length).fill(one), ...list]
  const [sizes, times] = [before(x.shape, 1), before(reps, 1)]
  return make(
    sizes.map((n, i) => n * times[i]),
    at =>
      read(
        x,
        at.map((k, i) => k % sizes[i]),
      ),
  )
}

/** x with one axis replaced by the positions listed. */
const picked = (x: Plain, axis: number, from: readonly number[]): Plain => {
  const own = remainder(axis, x.shape.length)
  return make(x.shape.with(own, from.length), at => read(x, at.with(own, from[at[own]])))
}

const rolled = (x: Plain, shift: number, axis: number): Plain => {
  const n = x.shape[remainder(axis, x.shape.length)]
  return picked(
    x,
    axis,
    Array.from({ length: n }, (_, i) => remainder(i - shift, n)),
  )
}

const flat = (x: Plain): Plain => ({ shape: [x.data.length], data: x.data })

/** Slices of sizes along an axis, in order, each in a row and with the weight 1, 2, 3, …. */
const weighted = (x: Plain, axis: number, sizes: readonly number[]): Plain => {
  if (sizes.length === 0) return x
  const starts = sizes.map((_, i) => sizes.slice(0, i).reduce((a, b) => a + b, 0))
  const data = sizes.flatMap((n, i) =>
    picked(
      x,
      axis,
      Array.from({ length: n }, (_, k) => starts[i] + k),
    ).data.map(value => value * (i + 1)),
  )
  return { shape: [data.length], data }
}

const repeated = ({ axis, times }: { axis: number; times: number | number[] }, x: Plain): Plain => {
  const n = x.shape[remainder(axis, x.shape.length)]
  const counts = typeof times === 'number' ? Array<number>(n).fill(times) : times
  return picked(
    x,
    axis,
    counts.flatMap((count, i) => Array<number>(count).fill(i)),
  )
}

const moved = (from: readonly number[], to: readonly number[], x: Plain): Plain => {
  const rank = x.shape.length
  const order: number[] = []
  from.forEach((axis, i) => {
    order[remainder(to[i], rank)] = remainder(axis, rank)
  })
  const others = x.shape.map((_, axis) => axis).filter(axis => !from.some(each => remainder(each, rank) === axis))
  const full = x.shape.map((_, i) => order[i] ?? others.shift()!)
  return make(
    full.map(axis => x.shape[axis]),
    at =>
      read(
        x,
        x.shape.map((_, axis) => at[full.indexOf(axis)]),
      ),
  )
}

export const arrange: readonly OperationRecord[] = [
  record('tile', { 'more and fewer numbers than axes': tiled, 'one number': (n, x) => tiled([n], x) }, [
    [() => ops.tile(zeros([2]), -1), RangeError, 'tile: each number of copies must be 0 or more, not -1'],
    [() => ops.tile(zeros([2]), [2, -1]), RangeError, 'tile: each number of copies must be 0 or more, not [2, -1]'],
  ]),
  record(
    'repeat',
    {
      'each element': (times, x) => repeated({ axis: 0, times }, flat(x)),
      'each slice': repeated,
      'each slice so many times': repeated,
    },
    [
      [() => ops.repeat(zeros([2]), -1), RangeError, 'repeat: each number of times must be 0 or more, not -1'],
      [
        () => ops.repeat(zeros([2, 3]), [1, 2], { axis: 1 }),
        ShapeError,
        'repeat: 2 numbers of times must be one for each of the 3 positions on axis 1 of [2, 3]',
      ],
      [() => ops.repeat(zeros([2]), 1, { axis: 1 }), AxisError, 'repeat: [2] has no axis 1'],
    ],
  ),
  record(
    'roll',
    {
      'all elements': (n, x) => ({ shape: x.shape, data: rolled(flat(x), n, 0).data }),
      'along two axes': ({ axis, shift }, x) => rolled(rolled(x, shift[0], axis[0]), shift[1], axis[1]),
    },
    [
      [() => ops.roll(zeros([2]), 1, { axis: 1 }), AxisError, 'roll: [2] has no axis 1'],
      [() => ops.roll(zeros([2, 2]), [1, 2]), ShapeError, 'roll: 2 shifts need as many axes; write { axis: [0, 1] }'],
      [
        () => ops.roll(zeros([2, 2]), 1, { axis: [0, 1] }),
        ShapeError,
        'roll: 1 and axis [0, 1] must be one shift for each axis; write x.roll([1, 1], { axis: [0, 1] })',
      ],
    ],
  ),
  record(
    'unbind',
    {
      'slices that make it up again': (axis, x) =>
        weighted(x, axis, Array<number>(x.shape[remainder(axis, x.shape.length)]).fill(1)),
    },
    [[() => ops.unbind(zeros([])), AxisError, 'unbind: [] has no axis 0']],
  ),
  record(
    'chunk',
    {
      'parts that make it up again': ({ axis, count }, x) => {
        const n = x.shape[axis]
        if (n === 0) return weighted(x, axis, Array<number>(count).fill(0))
        const size = Math.ceil(n / count)
        const sizes: number[] = []
        for (let left = n; left > 0; left -= size) sizes.push(Math.min(size, left))
        return weighted(x, axis, sizes)
      },
    },
    [
      [() => ops.chunk(zeros([2]), 0), RangeError, 'chunk: the number of parts must be 1 or more, not 0'],
      [() => ops.chunk(zeros([2]), 1, { axis: 1 }), AxisError, 'chunk: [2] has no axis 1'],
    ],
  ),
  record(
    'flatten',
    {
      'all axes': (_, x) => flat(x),
      'neighbouring axes': ({ start, end }, x) => {
        const last = remainder(end, x.shape.length)
        const joined = x.shape.slice(start, last + 1).reduce((a, b) => a * b, 1)
        return { shape: [...x.shape.slice(0, start), joined, ...x.shape.slice(last + 1)], data: x.data }
      },
    },
    [
      [() => ops.flatten(zeros([2, 3]), { start: 2 }), AxisError, 'flatten: [2, 3] has no axis 2'],
      [
        () => ops.flatten(zeros([2, 3]), { start: 1, end: 0 }),
        ShapeError,
        'flatten: axis 1 comes after axis 0 in [2, 3]; write { start: 0, end: 1 }',
      ],
    ],
  ),
  record(
    'unflatten',
    {
      'an axis as two': ({ axis, parts }, x) => {
        const at = remainder(axis, x.shape.length)
        const known = parts.find(n => n > 0)!
        const sizes = parts.map(n => (n === -1 ? x.shape[at] / known : n))
        return { shape: [...x.shape.slice(0, at), ...sizes, ...x.shape.slice(at + 1)], data: x.data }
      },
    },
    [
      [() => ops.unflatten(zeros([2, 6]), 2, [2, 3]), AxisError, 'unflatten: [2, 6] has no axis 2'],
      [
        () => ops.unflatten(zeros([2, 6]), 1, [4, -1]),
        ShapeError,
        'unflatten: axis 1 of [2, 6] has 6 positions and cannot become [4, -1]',
      ],
      [() => ops.unflatten(zeros([2, 6]), 1, [-1, -1]), ShapeError, '6 positions and cannot become [-1, -1]'],
      [() => ops.unflatten(zeros([1]), 0, []), ShapeError, '1 positions and cannot become []'],
    ],
  ),
  record(
    'moveAxis',
    {
      'one axis': ({ from, to }, x) => moved([from], [to], x),
      'several axes': ({ from, to }, x) => moved(from, to, x),
    },
    [
      [() => ops.moveAxis(zeros([2, 3]), 2, 0), AxisError, 'moveAxis: [2, 3] has no axis 2'],
      [() => ops.moveAxis(zeros([2, 3]), [0, 0], [0, 1]), ShapeError, 'axes [0, 0] name an axis of [2, 3] twice'],
      [
        () => ops.moveAxis(zeros([2, 3]), [0, 1], 0),
        ShapeError,
        'moveAxis: [0, 1] and 0 must be as many axes of [2, 3] as positions',
      ],
    ],
  ),
  record(
    'meshgrid',
    {
      'the grid of up to three vectors': (indexing, ...xs) => {
        const axisOf = (i: number) => (indexing === 'xy' && xs.length > 1 ? ([1, 0][i] ?? i) : i)
        const sizes = xs.map(() => 0)
        xs.forEach((x, i) => {
          sizes[axisOf(i)] = x.data.length
        })
        const data = xs.flatMap((x, i) => {
          const grid = make(sizes, at => x.data[at[axisOf(i)]])
          const turned = make([...sizes].reverse(), at => read(grid, [...at].reverse()))
          return [...grid.data, ...turned.data].map(value => value * (i + 1))
        })
        return { shape: [data.length], data }
      },
    },
    [
      [
        () => ops.meshgrid([zeros([2]), zeros([2, 3])]),
        ShapeError,
        'meshgrid: tensor 1 has shape [2, 3] and must be a vector; write xs[1].flatten()',
      ],
    ],
  ),
]
