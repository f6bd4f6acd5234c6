// Operations that repeat, roll, cut and rename axes, composed of those in movement.ts: their gradients are of any order without
// a rule. What only changes shape and strides is a view; what repeats or rolls elements copies them.

import { takes } from '../../tensor/arguments.ts'
import { given } from '../../tensor/given.ts'
import { normalizeAxes, normalizeAxis, type Shape, ShapeError, show, type Tensor, tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { take } from './gather.ts'
import { concat, expand, permute, reshape, slice, split } from './movement.ts'

const isWhole = (x: unknown): boolean => Number.isInteger(x)

const areNumbers = (what: string): is.Kind<number | readonly number[]> =>
  new is.Kind(what, x => isWhole(x) || (Array.isArray(x) && x.every(isWhole)))

/** x viewed with one axis at `axis` replaced by other sizes. */
const withSizes = (x: Tensor, axis: number, sizes: Shape): Tensor =>
  reshape(x, [...x.shape.slice(0, axis), ...sizes, ...x.shape.slice(axis + 1)])

/**
 * Copies of x side by side along each axis, as NumPy's `tile`; PyTorch's `repeat`, and `tile` too.
 *
 *     tensor([1, 2]).tile(2)       // [1, 2, 1, 2]
 *     tensor([1, 2]).tile([2, 1])  // [[1, 2], [1, 2]]
 *
 * @param reps number of copies along each axis, aligned at the last: axes of x before those given are copied once, and more
 *   numbers than axes add axes in front
 * @throws RangeError for a number of copies below 0
 */
export const tile: (x: Tensor, reps: number | readonly number[]) => Tensor = takes(
  'x.tile(reps)',
  [is.tensor, areNumbers('a number of copies or a list of them')],
  (x: Tensor, reps: number | readonly number[]): Tensor => {
    const counts = typeof reps === 'number' ? [reps] : reps
    if (counts.some(n => n < 0))
      throw new RangeError(`tile: each number of copies must be 0 or more, not ${given(reps)}`)
    const rank = Math.max(x.rank, counts.length)
    const sizes = [...Array<number>(rank - x.rank).fill(1), ...x.shape]
    const times = [...Array<number>(rank - counts.length).fill(1), ...counts]
    // [n] → [1, n] → [times, n] → [times · n] on each axis
    const pairs = reshape(
      x,
      sizes.flatMap(n => [1, n]),
    )
    const copies = expand(
      pairs,
      sizes.flatMap((n, i) => [times[i], n]),
    )
    return reshape(
      copies,
      sizes.map((n, i) => n * times[i]),
    )
  },
)

/** Options of `repeat`. */
export interface RepeatOptions {
  /** default: x is flattened first */
  readonly axis?: number
}
const repeatOptions = { axis: is.optional(is.integer) } satisfies Settings<RepeatOptions>

/**
 * Each element, or each slice along an axis, several times in a row, as NumPy's and JAX's `repeat`; PyTorch's
 * `repeat_interleave`. PyTorch's `repeat` is `tile` here.
 *
 *     tensor([1, 2]).repeat(2)       // [1, 1, 2, 2]
 *     tensor([1, 2]).repeat([3, 1])  // [1, 1, 1, 2]
 *
 * @param times how many times: one number, or one for each position on the axis
 * @throws RangeError for a number of times below 0, ShapeError if there is not one for each position, AxisError if x does not have
 *   the axis
 */
export const repeat: (x: Tensor, times: number | readonly number[], options?: RepeatOptions) => Tensor = takes(
  'x.repeat(times, options)',
  [is.tensor, areNumbers('a number of times or a list of them'), is.options],
  (x: Tensor, times: number | readonly number[], options?: RepeatOptions): Tensor => {
    const { axis } = settle('x.repeat(times, options)', options, repeatOptions)
    const rows = axis === undefined ? reshape(x, [x.size]) : x
    const at = normalizeAxis('repeat', axis ?? 0, rows.shape)
    const n = rows.shape[at]
    const counts = typeof times === 'number' ? [times] : times
    if (counts.some(count => count < 0))
      throw new RangeError(`repeat: each number of times must be 0 or more, not ${given(times)}`)
    if (typeof times === 'number') {
      const single = withSizes(rows, at, [n, 1])
      const copies = expand(single, single.shape.with(at + 1, times))
      return reshape(copies, rows.shape.with(at, n * times))
    }
    if (times.length !== n)
      throw new ShapeError(
        `repeat: ${times.length} numbers of times must be one for each of the ${n} positions on axis ${at} of ${show(rows.shape)}`,
        rows.shape,
      )
    const from = times.flatMap((count, i) => Array<number>(count).fill(i))
    return take(rows, tensor(Int32Array.from(from), { device: x.device }), { axis: at })
  },
)

/** Options of `roll`. */
export interface RollOptions {
  /** an axis, or one for each shift; default: x is rolled as if it was flattened */
  readonly axis?: number | readonly number[]
}
const rollOptions = { axis: is.optional(is.axes) } satisfies Settings<RollOptions>

/**
 * x with its elements moved by `shift` positions along an axis; those that leave it at one end come back at the other:
 * out[i] = x[(i - shift) mod n].
 *
 *     tensor([1, 2, 3]).roll(1)  // [3, 1, 2]
 *
 * @param shift positions towards the end of the axis, or the beginning if it is negative; a list for several axes
 * @throws ShapeError if there is not one shift for each axis, AxisError if x does not have an axis
 */
export const roll: (x: Tensor, shift: number | readonly number[], options?: RollOptions) => Tensor = takes(
  'x.roll(shift, options)',
  [is.tensor, areNumbers('a number of positions or a list of them'), is.options],
  (x: Tensor, shift: number | readonly number[], options?: RollOptions): Tensor => {
    const { axis } = settle('x.roll(shift, options)', options, rollOptions)
    const shifts = typeof shift === 'number' ? [shift] : shift
    if (axis === undefined) {
      if (shifts.length !== 1)
        throw new ShapeError(`roll: ${shifts.length} shifts need as many axes; write { axis: [0, 1] }`, x.shape)
      return reshape(rolled(reshape(x, [x.size]), shifts[0], 0), x.shape)
    }
    const axes = typeof axis === 'number' ? [axis] : axis
    if (axes.length !== shifts.length)
      throw new ShapeError(
        `roll: ${given(shift)} and axis ${given(axis)} must be one shift for each axis; write x.roll([${axes.map(() => given(shifts[0] ?? 1)).join(', ')}], { axis: [${axes.join(', ')}] })`,
        x.shape,
      )
    return axes.reduce((y, each, i) => rolled(y, shifts[i], normalizeAxis('roll', each, x.shape)), slice(x, []))
  },
)

function rolled(x: Tensor, shift: number, axis: number): Tensor {
  const n = x.shape[axis]
  const first = n === 0 ? 0 : ((shift % n) + n) % n
  if (first === 0) return x
  const [start, end] = split(x, [n - first, first], axis)
  return concat([end, start], axis)
}

/** Options of `unbind` and `chunk`. */
export interface PartsOptions {
  /** default 0, the first */
  readonly axis?: number
}
const partsOptions = { axis: 0 } satisfies Settings<PartsOptions>

/**
 * The slices of x along an axis (default the first), without the axis: [n, ...] → n of [...]. Each is a view.
 * @throws AxisError if x does not have the axis
 */
export const unbind: (x: Tensor, options?: PartsOptions) => Tensor[] = takes(
  'x.unbind(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: PartsOptions): Tensor[] => {
    const { axis } = settle('x.unbind(options)', options, partsOptions)
    const at = normalizeAxis('unbind', axis, x.shape)
    const before = x.shape.slice(0, at).map(() => ({}))
    return Array.from({ length: x.shape[at] }, (_, i) => slice(x, [...before, i]))
  },
)

/**
 * x cut along an axis (default the first) into at most `count` parts, as PyTorch's `chunk`: of size ⌈n / count⌉, of which the last
 * may be smaller, so that there may be fewer parts: 5 positions in 4 chunks are 2, 2 and 1. `split` cuts into parts of given
 * sizes. Each part is a view.
 * @throws RangeError for a count below 1, AxisError if x does not have the axis
 */
export const chunk: (x: Tensor, count: number, options?: PartsOptions) => Tensor[] = takes(
  'x.chunk(count, options)',
  [is.tensor, is.integer, is.options],
  (x: Tensor, count: number, options?: PartsOptions): Tensor[] => {
    const { axis } = settle('x.chunk(count, options)', options, partsOptions)
    if (count < 1) throw new RangeError(`chunk: the number of parts must be 1 or more, not ${count}`)
    const at = normalizeAxis('chunk', axis, x.shape)
    const n = x.shape[at]
    return split(x, n === 0 ? Array<number>(count).fill(0) : Math.ceil(n / count), at)
  },
)

/** Options of `flatten`, and of the module `Flatten`. */
export interface FlattenOptions {
  /** the first of the axes that are joined; default 0 */
  readonly start?: number
  /** the last of them; default -1, the last of x */
  readonly end?: number
}
const flattenOptions = { start: 0, end: -1 } satisfies Settings<FlattenOptions>

/**
 * The axes from `start` to `end`, both included, joined into one; all of them by default. A scalar becomes [1].
 *
 *     images.flatten({ start: 1 })  // [batch, 3, 32, 32] → [batch, 3072]
 *
 * @throws AxisError if x does not have an axis, ShapeError if `start` comes after `end`
 */
export const flatten: (x: Tensor, options?: FlattenOptions) => Tensor = takes(
  'x.flatten(options)',
  [is.tensor, is.options],
  (x: Tensor, options?: FlattenOptions): Tensor => {
    const settled = settle('x.flatten(options)', options, flattenOptions)
    // a scalar counts as one axis
    const sizes = x.rank === 0 ? [1] : x.shape
    const [start, end] = [settled.start, settled.end].map(axis => normalizeAxis('flatten', axis, sizes))
    if (start > end)
      throw new ShapeError(
        `flatten: axis ${settled.start} comes after axis ${settled.end} in ${show(x.shape)}; write { start: ${settled.end}, end: ${settled.start} }`,
        x.shape,
      )
    const joined = sizes.slice(start, end + 1).reduce((product, n) => product * n, 1)
    return reshape(x, [...sizes.slice(0, start), joined, ...sizes.slice(end + 1)])
  },
)

/**
 * One axis as several of the sizes given: the opposite of `flatten`. One size may be -1: it is inferred from the others.
 *
 *     x.unflatten(-1, [heads, -1])  // [batch, tokens, width] → [batch, tokens, heads, width / heads]
 *
 * @throws AxisError if x does not have the axis, ShapeError if the product of the sizes is not the size of the axis
 */
export const unflatten: (x: Tensor, axis: number, sizes: Shape) => Tensor = takes(
  'x.unflatten(axis, sizes)',
  [is.tensor, is.integer, is.shape],
  (x: Tensor, axis: number, sizes: Shape): Tensor => {
    const at = normalizeAxis('unflatten', axis, x.shape)
    const n = x.shape[at]
    const unknown = sizes.filter(size => size === -1).length
    const known = sizes.reduce((product, size) => (size === -1 ? product : product * size), 1)
    const rest = unknown === 0 ? 1 : known === 0 ? 0 : n / known
    if (
      sizes.some(size => !isWhole(size) || size < -1) ||
      sizes.length === 0 ||
      unknown > 1 ||
      !isWhole(rest) ||
      known * rest !== n
    )
      throw new ShapeError(
        `unflatten: axis ${at} of ${show(x.shape)} has ${n} positions and cannot become ${show(sizes)}`,
        x.shape,
        sizes,
      )
    return withSizes(
      x,
      at,
      sizes.map(size => (size === -1 ? rest : size)),
    )
  },
)

/**
 * x with axes moved to other positions; the others keep their order. NumPy's `moveaxis`; PyTorch's `movedim`. To exchange two axes,
 * see `transpose`.
 *
 *     images.moveAxis(-1, 1)  // [batch, height, width, 3] → [batch, 3, height, width]
 *
 * @param from an axis of x, or a list of them
 * @param to the position of each in the result
 * @throws AxisError if x does not have an axis, ShapeError if there are not as many positions as axes, or one twice
 */
export const moveAxis: (x: Tensor, from: number | readonly number[], to: number | readonly number[]) => Tensor = takes(
  'x.moveAxis(from, to)',
  [is.tensor, is.axes, is.axes],
  (x: Tensor, from: number | readonly number[], to: number | readonly number[]): Tensor => {
    const [sources, targets] = [from, to].map(axes => {
      normalizeAxes('moveAxis', axes, x.shape)
      return (typeof axes === 'number' ? [axes] : axes).map(axis => normalizeAxis('moveAxis', axis, x.shape))
    })
    if (sources.length !== targets.length)
      throw new ShapeError(
        `moveAxis: ${given(from)} and ${given(to)} must be as many axes of ${show(x.shape)} as positions`,
        x.shape,
      )
    const others = x.shape.map((_, axis) => axis).filter(axis => !sources.includes(axis))
    const order = x.shape.map((_, at) => {
      const moved = targets.indexOf(at)
      return moved >= 0 ? sources[moved] : others.shift()!
    })
    return permute(x, order)
  },
)

/** Options of `meshgrid`. */
export interface MeshgridOptions {
  /** 'ij': the first vector varies along axis 0; 'xy': along axis 1, and the second along axis 0, as in a picture; default 'ij' */
  readonly indexing?: 'ij' | 'xy'
}
const meshgridOptions = { indexing: is.choice('ij', 'xy') } satisfies Settings<MeshgridOptions>

/**
 * The coordinates of a grid: vectors of n₁, n₂, … numbers → as many tensors [n₁, n₂, …], of which each varies along its own axis:
 * out_k[i₁, i₂, …] = xs_k[i_k]. Each is a view. The default of `indexing` is 'ij', as in PyTorch; NumPy's and JAX's is 'xy'.
 *
 *     const [y, x] = meshgrid([arange(height), arange(width)])
 *
 * @param xs vectors; a scalar counts as a vector of one number
 * @throws ShapeError for a tensor of more than one axis
 */
export const meshgrid: (xs: readonly Tensor[], options?: MeshgridOptions) => Tensor[] = takes(
  'meshgrid(xs, options)',
  [is.tensors, is.options],
  (xs: readonly Tensor[], options?: MeshgridOptions): Tensor[] => {
    const { indexing } = settle('meshgrid(xs, options)', options, meshgridOptions)
    const wrong = xs.findIndex(x => x.rank > 1)
    if (wrong >= 0)
      throw new ShapeError(
        `meshgrid: tensor ${wrong} has shape ${show(xs[wrong].shape)} and must be a vector; write xs[${wrong}].flatten()`,
        xs[wrong].shape,
      )
    const axisOf = (i: number): number => (indexing === 'xy' && i < 2 && xs.length > 1 ? 1 - i : i)
    const sizes = xs.map(() => 1)
    xs.forEach((x, i) => {
      sizes[axisOf(i)] = x.size
    })
    return xs.map((x, i) =>
      expand(
        reshape(
          x,
          sizes.map((n, axis) => (axis === axisOf(i) ? n : 1)),
        ),
        sizes,
      ),
    )
  },
)
