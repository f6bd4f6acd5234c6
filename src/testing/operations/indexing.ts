// Cases of indexing: the indices are options, in which 'ids' stands for an int32 tensor that follows x.

import fc from 'fast-check'
import * as ops from '../../autograd/index.ts'
import type { Range, Tensor } from '../../tensor/index.ts'
import { broadcastShapes, shape, slices } from '../arbitraries/shapes.ts'
import { operands, tensor } from '../arbitraries/tensors.ts'
import { drawn, sampled } from './case.ts'
import { indices, numbers } from './numbers.ts'

/** What stands for one axis in the options. */
export type DrawnIndex = ops.AxisIndex | 'ids'

const filled = (list: readonly DrawnIndex[], ids: readonly Tensor[]): ops.AxisIndex[] => {
  let next = 0
  return list.map(index => (index === 'ids' ? ids[next++] : index))
}

/** A range in Python's notation. */
function inText({ start, stop, step }: Range): ops.RangeText {
  const ends = `${start ?? ''}:${stop ?? ''}`
  return (step === undefined ? ends : `${ends}:${step}`) as ops.RangeText
}

/** Positions and ranges, some of them as text, with new axes between and the last whole axes as dots. */
const basic = fc.tuple(slices({ maxSize: 5 }), numbers).map(([{ shape: sizes, ranges }, n]) => {
  const list = ranges.flatMap((range, i): DrawnIndex[] => {
    const index = typeof range === 'number' ? range : n[i] % 2 === 0 ? range : inText(range)
    return n[i + 3] % 4 === 0 ? [null, index] : [index]
  })
  const kept = n[6] % (list.length + 1)
  return { shapes: [sizes], options: n[7] % 3 === 0 ? [...list.slice(0, kept), '...' as const] : list }
})

/** For an axis without ids: it is kept whole or turned round, removed, or a new one comes before it. */
const beside = (n: number): DrawnIndex[] => [[':'], [0], ['::-1'], [null, {}]][n % 4] as DrawnIndex[]

/** A tensor, ids for one or two of its axes, and the indices. */
const withIds = (count: 1 | 2) =>
  operands(
    fc
      .tuple(shape({ minRank: count, minSize: 1 }), broadcastShapes(count, { maxRank: 2 }), numbers)
      .map(([sizes, ids, n]) => {
        const first = n[0] % (sizes.length - count + 1)
        const second = first + 1 + (n[1] % Math.max(1, sizes.length - first - 1))
        const axes = count === 1 ? [first] : [first, second]
        return { shapes: [sizes, ...ids], options: { axes, n } }
      }),
  ).map(({ inputs: [x, ...like], options: { axes, n } }) => ({
    inputs: [
      x,
      ...like.map(({ shape: sizes }, i) =>
        indices(
          n.map(k => (k + i) % x.shape[axes[i]]),
          sizes,
        ),
      ),
    ],
    options: x.shape.flatMap((_, axis) => (axes.includes(axis) ? ['ids' as const] : beside(n[axis + 3]))),
  }))

/** A tensor, ids for its axes 1 and 3, between which axis 2 is kept, and the indices. */
const apart = operands(
  fc
    .tuple(shape({ minRank: 4, maxRank: 4, minSize: 1, maxSize: 2 }), broadcastShapes(2, { maxRank: 1 }), numbers)
    .map(([sizes, ids, n]) => ({ shapes: [sizes, ...ids], options: n })),
).map(({ inputs: [x, ...like], options: n }) => ({
  inputs: [
    x,
    ...like.map(({ shape: sizes }, i) =>
      indices(
        n.map(k => (k + i) % x.shape[1 + 2 * i]),
        sizes,
      ),
    ),
  ],
  options: [':', 'ids', n[0] % 2 === 0 ? '::-1' : {}, 'ids'] as DrawnIndex[],
}))

const read = (list: readonly DrawnIndex[], x: Tensor, ...ids: Tensor[]) => ops.at(x, ...filled(list, ids))

/** The same with values for what is selected, of which the first axis may be broadcast. */
const withValues = (count: 1 | 2) =>
  fc.tuple(withIds(count), tensor({ shape: [61] }), fc.boolean()).map(([{ inputs, options }, pool, isShared]) => {
    const [x, ...ids] = inputs
    const { shape: sizes } = read(options, x, ...ids)
    const own = isShared && sizes.length > 0 ? [1, ...sizes.slice(1)] : sizes
    const size = own.reduce((a, b) => a * b, 1)
    return {
      inputs: [
        x,
        pool
          .repeat(Math.ceil(size / 61))
          .slice([{ stop: size }])
          .reshape(own),
        ...ids,
      ],
      options,
    }
  })

const partValues = operands(basic.map(({ shapes, options }) => ({ shapes: [...shapes, []], options })))

export const indexing = {
  at: {
    'positions, ranges and new axes': drawn(basic, {}, (list, x) => ops.at(x, ...filled(list, []))),
    'a tensor of positions': sampled(withIds(1), read),
    'tensors that meet': sampled(withIds(2), read),
    'tensors that are apart': sampled(apart, read),
  },
  withAt: {
    'a part': sampled(partValues, (list, x, values) => ops.withAt(x, filled(list, []), values)),
    'a number': drawn(basic, {}, (list, x) => ops.withAt(x, filled(list, []), 7)),
    'the last of several values': sampled(withValues(1), (list, x, values, ...ids) =>
      ops.withAt(x, filled(list, ids), values),
    ),
    'places of tensors that meet': sampled(withValues(2), (list, x, values, ...ids) =>
      ops.withAt(x, filled(list, ids), values),
    ),
  },
  addAt: {
    'a part': sampled(partValues, (list, x, values) => ops.addAt(x, filled(list, []), values)),
    'the sum of several values': sampled(withValues(1), (list, x, values, ...ids) =>
      ops.addAt(x, filled(list, ids), values),
    ),
    'places of tensors that meet': sampled(withValues(2), (list, x, values, ...ids) =>
      ops.addAt(x, filled(list, ids), values),
    ),
  },
  maskedFill: {
    'a number': sampled(
      tensor({ awayFrom: [0.5] }).map(x => ({ inputs: [x], options: undefined })),
      (_, x) => ops.maskedFill(x, x.greater(0.5), -3),
    ),
    'a tensor, where a mask that broadcasts is true': sampled(
      operands(
        shape().map(sizes => ({ shapes: [sizes, sizes.map((n, i) => (i === 0 ? 1 : n))], options: undefined })),
        { awayFrom: [0] },
      ),
      (_, x, values) => ops.maskedFill(x, values.greater(0), values),
    ),
  },
}
