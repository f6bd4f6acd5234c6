// Records of indexing: for every place of the result, the place of x by NumPy's rules.

import * as ops from '../../../src/autograd/index.ts'
import { DTypeError, IndexError, ShapeError, type Tensor, tensor, zeros } from '../../../src/tensor/index.ts'
import type { DrawnIndex } from '../../../src/testing/operations/indexing.ts'
import { common, make, type Plain, positions, read } from '../plain.ts'
import { type OperationRecord, record } from './record.ts'

/** The positions of list(range(n))[start:stop:step]. */
function taken(index: unknown, n: number): number[] {
  const [start, stop, step = 1] =
    typeof index === 'string'
      ? index.split(':').map(part => (part === '' ? undefined : Number(part)))
      : ['start', 'stop', 'step'].map(name => (index as Record<string, number | undefined>)[name])
  const fromFront = (i: number) => (i < 0 ? i + n : i)
  const list = Array.from({ length: n }, (_, i) => i)
  const ordered = step > 0 ? list : list.reverse()
  const isPast = (i: number, end: number) => (step > 0 ? i >= end : i <= end)
  return ordered
    .filter(i => start === undefined || i === fromFront(start) || isPast(i, fromFront(start)))
    .filter(i => stop === undefined || !isPast(i, fromFront(stop)))
    .filter((_, i) => i % Math.abs(step) === 0)
}

/** The shape of the result, and the place of x for each of its places. */
function selection(shape: readonly number[], list: readonly DrawnIndex[], ids: readonly Plain[]) {
  const used = list.filter(index => index !== null && index !== '...').length
  const rest = Array<DrawnIndex>(shape.length - used).fill(':')
  const all = list.includes('...') ? list.flatMap(index => (index === '...' ? rest : [index])) : [...list, ...rest]
  let axis = 0
  let id = 0
  const parts = all.map(index => {
    if (index === null) return { size: 1, at: undefined, ids: undefined }
    const n = shape[axis++]
    if (index === 'ids') return { size: undefined, at: undefined, ids: ids[id++] }
    if (typeof index === 'number') return { size: undefined, at: [index < 0 ? index + n : index], ids: undefined }
    const at = taken(index, n)
    return { size: at.length, at, ids: undefined }
  })
  // the axes of the result before ids are applied: a position has none
  const axes = parts.filter(part => part.size !== undefined || part.ids)
  const withIds = axes.flatMap((part, i) => (part.ids ? [i] : []))
  const shared = common(...ids.map(x => x.shape), [])
  const areTogether = withIds.every((i, k) => i === withIds[0] + k)
  const front = withIds.length > 0 && areTogether ? withIds[0] : 0
  const sizes = axes.flatMap(part => part.size ?? [])
  const result = [...sizes.slice(0, front), ...shared, ...sizes.slice(front)]
  const place = (at: readonly number[]): number[] => {
    const b = at.slice(front, front + shared.length)
    const others = [...at.slice(0, front), ...at.slice(front + shared.length)]
    return parts.flatMap(part => {
      if (part.ids) return [read(part.ids, b)]
      const own = part.size === undefined ? 0 : others.shift()!
      return part.at ? [part.at[own]] : []
    })
  }
  return { shape: result, place }
}

const selected = (list: readonly DrawnIndex[], x: Plain, ...ids: Plain[]): Plain => {
  const { shape, place } = selection(x.shape, list, ids)
  return make(shape, at => read(x, place(at)))
}

/** x changed at each of the places, one after the other. */
const changed =
  (change: (old: number, value: number) => number) =>
  (list: readonly DrawnIndex[], x: Plain, values: Plain, ...ids: Plain[]): Plain => {
    const { shape, place } = selection(x.shape, list, ids)
    const data = [...x.data]
    for (const at of positions(shape)) {
      const i = place(at).reduce((sum, k, axis) => sum * x.shape[axis] + k, 0)
      data[i] = change(data[i], read(values, at))
    }
    return { shape: x.shape, data }
  }
const replaced = changed((_, value) => value)
const added = changed((old, value) => old + value)

const ids = (numbers: readonly number[]): Tensor => tensor(Int32Array.from(numbers))
const wrong = (index: unknown) => index as ops.AxisIndex

export const indexing: readonly OperationRecord[] = [
  record(
    'at',
    {
      'positions, ranges and new axes': selected,
      'a tensor of positions': selected,
      'tensors that meet': selected,
      'tensors that are apart': selected,
    },
    [
      [() => ops.at(zeros([2, 3]), 2), IndexError, 'at: index 2 is outside of -2 … 1 on axis 0 of [2, 3]'],
      [() => ops.at(zeros([2, 3]), '...', -4), IndexError, 'at: index -4 is outside of -3 … 2 on axis 1 of [2, 3]'],
      [
        () => ops.at(zeros([4, 2, 3]), 0, ':', ids([3])),
        IndexError,
        'at: index 3 is outside of 0 … 2 on axis 2 of [4, 2, 3]',
      ],
      [
        () => ops.at(zeros([2, 3]), ids([0, 1]), ids([1, -1])),
        IndexError,
        'at: index -1 is outside of 0 … 2 on axis 1 of [2, 3]',
      ],
      [() => ops.at(zeros([2]), 0, 0), ShapeError, 'at: 2 indices are more than the axes of [2]; write null'],
      [() => ops.at(zeros([2]), '...', '...'), TypeError, "at: '...' may be given once, not 2 times"],
      [
        () => ops.at(zeros([2, 2]), ids([0, 1]), ids([0, 1, 1])),
        ShapeError,
        'at: index tensors: [2] and [3] do not broadcast',
      ],
      [
        () => ops.at(zeros([2]), zeros([2], { dtype: 'bool' })),
        DTypeError,
        'at: index 0 is a tensor [2] bool, and a mask does not say how many elements it selects; write await x.maskedSelect(mask)',
      ],
      [
        () => ops.at(zeros([2, 2]), 0, zeros([1])),
        DTypeError,
        "at: index 1 is a tensor [1] and must be int32; write index.cast('int32')",
      ],
      [() => ops.at(zeros([2]), wrong([0, 1])), TypeError, "not [0, 1]; write tensor([0, 1], { dtype: 'int32' })"],
      [() => ops.at(zeros([2]), wrong('0, 1:')), TypeError, "not '0, 1:'; write 0, '1:'"],
      [() => ops.at(zeros([2]), wrong(':-')), TypeError, "'...', null, or an int32 tensor, not ':-'"],
      [() => ops.at(zeros([2]), wrong(undefined)), TypeError, "not undefined; write ':'"],
      [() => ops.at(zeros([2]), wrong(0.5)), TypeError, 'at: index 0 must be a whole number, a range such as'],
      [() => ops.at(zeros([2]), '::0'), RangeError, 'at: the step must be a non-zero integer, not 0'],
      [() => ops.at(zeros([2]), wrong({ end: 2 })), TypeError, 'at: there is no option end, which was 2'],
    ],
  ),
  record(
    'withAt',
    {
      'a part': replaced,
      'a number': (list, x) => replaced(list, x, { shape: [], data: [7] }),
      'the last of several values': replaced,
      'places of tensors that meet': replaced,
    },
    [
      [
        () => ops.withAt(zeros([2, 3]), [0], zeros([2])),
        ShapeError,
        'withAt: values [2] do not broadcast to [3], the shape of x.at(...indices)',
      ],
      [() => ops.withAt(zeros([2]), [2], 1), IndexError, 'withAt: index 2 is outside of -2 … 1 on axis 0 of [2]'],
      [
        () => ops.withAt(zeros([2]), [zeros([2], { dtype: 'bool' })], 1),
        DTypeError,
        'a mask does not say how many elements it selects; write where(mask, values, x)',
      ],
    ],
  ),
  record('addAt', { 'a part': added, 'the sum of several values': added, 'places of tensors that meet': added }, [
    [
      () => ops.addAt(zeros([2, 3]), [':', 0], zeros([3])),
      ShapeError,
      'addAt: values [3] do not broadcast to [2], the shape of x.at(...indices)',
    ],
    [() => ops.addAt(zeros([2]), [ids([5])], 1), IndexError, 'addAt: index 5 is outside of 0 … 1 on axis 0 of [2]'],
    [
      () => ops.addAt(zeros([2]), [zeros([2], { dtype: 'bool' })], 1),
      DTypeError,
      'write x.add(where(mask, values, 0))',
    ],
  ]),
  record(
    'maskedFill',
    {
      'a number': (_, x) => make(x.shape, at => (read(x, at) > 0.5 ? -3 : read(x, at))),
      'a tensor, where a mask that broadcasts is true': (_, x, values) =>
        make(x.shape, at => (read(values, at) > 0 ? read(values, at) : read(x, at))),
    },
    [
      [
        () => ops.maskedFill(zeros([2]), zeros([2]), 1),
        DTypeError,
        'maskedFill: the mask must be bool, not float32; write mask.notEqual(0)',
      ],
      [
        () => ops.maskedFill(zeros([2]), zeros([3], { dtype: 'bool' }), 1),
        ShapeError,
        'maskedFill: the mask [3] does not broadcast to [2]',
      ],
      [
        () => ops.maskedFill(zeros([1]), zeros([1], { dtype: 'bool' }), zeros([2])),
        ShapeError,
        'maskedFill: the value [2] does not broadcast to [1]',
      ],
    ],
  ),
]
