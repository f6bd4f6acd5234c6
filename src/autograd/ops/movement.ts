// Operations that move elements and compute nothing. Their gradients are movements too: slice and pad are adjoint, expand and
// sum, concat and slice, flip and flip. Reshape, permute, expand, slice and flip return views.

import { takes } from '../../tensor/arguments.ts'
import { given, isPlain } from '../../tensor/given.ts'
import {
  broadcastShapes,
  type DType,
  deviceOf,
  expandView,
  fromData,
  type Kernels,
  normalizeAxes,
  normalizeAxis,
  type Padding,
  permuteView,
  promote,
  promoteScalar,
  type Range,
  reshapeView,
  resolveRange,
  resolveReshape,
  type Shape,
  ShapeError,
  sameShape,
  show,
  sliceView,
  type Tensor,
  ValueError,
} from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { afterBatch } from '../batched.ts'
import { defineOp } from '../op.ts'
import type { Thunk, WindowGradient } from '../recording.ts'
import { take } from './gather.ts'

// the arguments of pad, slice and split: margins, ranges and sizes

const isPair = (x: unknown): boolean => Array.isArray(x) && x.length === 2 && x.every(n => typeof n === 'number')

const isPadding = new is.Kind<Padding>(
  'a list of [before, after], a pair for each axis',
  x => Array.isArray(x) && x.every(isPair),
  ([value]) => (isPair(value) ? { text: given([value]), values: 1 } : undefined),
)

/** How to write a range that is given in another library's form. */
function rangeFor(value: unknown): string | undefined {
  if (isPair(value)) return `{ start: ${(value as number[])[0]}, stop: ${(value as number[])[1]} }`
  return value === null || value === undefined || value === ':' ? '{}' : undefined
}
const isPart = (x: unknown): boolean => typeof x === 'number' || isPlain(x)

const areRanges = new is.Kind<readonly (Range | number)[]>(
  'a list of positions and ranges such as [0, { start: 1, stop: 3 }]',
  x => Array.isArray(x) && x.every(isPart),
  values => {
    if (isPair(values)) return { text: `[${rangeFor(values)}]`, values: 2 }
    const [value] = values
    const items = Array.isArray(value) ? value : isPart(value) ? [value] : []
    const texts = items.map(item => (isPart(item) ? given(item) : rangeFor(item)))
    return items.length === 0 || texts.includes(undefined) ? undefined : { text: `[${texts.join(', ')}]`, values: 1 }
  },
)

const areSizes = new is.Kind<number | readonly number[]>(
  'a size or a list of sizes',
  x => typeof x === 'number' || (Array.isArray(x) && x.every(n => typeof n === 'number')),
)

/**
 * The same elements in row-major order in another shape. One size may be -1: it is inferred from the others.
 *
 * x.reshape([2, -1])
 *
 * @throws ShapeError if the number of elements would differ
 */
export const reshape: (x: Tensor, shape: Shape) => Tensor = takes(
  'x.reshape(shape)',
  [is.tensor, is.shape],
  defineOp(
    'reshape',
    (_, x: Tensor, shape: Shape) => reshapeView(x, shape),
    (g, _, x) => [() => g.reshape(x.shape)],
    (op, batch, x, shape) => op(batch.whole(x), [batch.size, ...resolveReshape(x.shape, shape)]),
    'linear',
  ),
)

/**
 * The axes in a new order: axis i of the result is axis order[i] of x. Negative numbers count from the back.
 *
 * x.permute([2, 0, 1])
 *
 * @throws ShapeError if `order` does not name every axis once
 */
export const permute: (x: Tensor, order: readonly number[]) => Tensor = takes(
  'x.permute(order)',
  [is.tensor, is.order],
  defineOp(
    'permute',
    (_, x: Tensor, order: readonly number[]) => {
      if (normalizeAxes('permute', order, x.shape).length !== x.rank)
        throw new ShapeError(`permute: ${show(order)} must name every axis of ${show(x.shape)} once`, x.shape)
      return permuteView(
        x,
        order.map(axis => normalizeAxis('permute', axis, x.shape)),
      )
    },
    (g, _, x, order) => [() => g.permute(inverse(order.map(axis => normalizeAxis('permute', axis, x.shape))))],
    (op, batch, x, order) => op(batch.whole(x), [0, ...order.map(axis => normalizeAxis('permute', axis, x.shape) + 1)]),
    'linear',
  ),
)
const inverse = (order: readonly number[]) => order.map((_, axis) => order.indexOf(axis))

/**
 * x with axes a and b exchanged; the last two by default. PyTorch's `swapaxes`, NumPy's too; `x.T` is short for it for a matrix.
 * @throws AxisError if x does not have the axis
 */
export const transpose: (x: Tensor, a?: number, b?: number) => Tensor = takes(
  'x.transpose(a, b)',
  [is.tensor, is.optional(is.integer), is.optional(is.integer)],
  (x: Tensor, a: number = -2, b: number = -1): Tensor => {
    const [i, j] = [normalizeAxis('transpose', a, x.shape), normalizeAxis('transpose', b, x.shape)]
    return permute(
      x,
      x.shape.map((_, axis) => (axis === i ? j : axis === j ? i : axis)),
    )
  },
)

/**
 * x broadcast to a shape: axes of size 1 are repeated, and new axes added in front. Nothing is copied. NumPy's, JAX's and PyTorch's
 * `broadcast_to`.
 * @throws ShapeError if x does not broadcast to the shape
 */
export const expand: (x: Tensor, shape: Shape) => Tensor = takes(
  'x.expand(shape)',
  [is.tensor, is.shape],
  defineOp(
    'expand',
    (_, x: Tensor, shape: Shape) => expandView(x, shape),
    (g, _, x) => [() => g.sumTo(x.shape)],
    (op, batch, x, shape) => op(batch.aligned(x, shape.length), [batch.size, ...shape]),
    'linear',
  ),
)

/**
 * x without axes of size 1: all of them by default, or those given.
 * @throws ShapeError if an axis given is not of size 1, AxisError if x does not have it
 */
export const squeeze: (x: Tensor, axis?: number | readonly number[]) => Tensor = takes(
  'x.squeeze(axis)',
  [is.tensor, is.optional(is.axes)],
  (x: Tensor, axis?: number | readonly number[]): Tensor => {
    const axes =
      axis === undefined
        ? x.shape.map((_, i) => i).filter(i => x.shape[i] === 1)
        : normalizeAxes('squeeze', axis, x.shape)
    for (const i of axes)
      if (x.shape[i] !== 1) throw new ShapeError(`squeeze: axis ${i} of ${show(x.shape)} must have size 1`, x.shape)
    return reshape(
      x,
      x.shape.filter((_, i) => !axes.includes(i)),
    )
  },
)

/**
 * x with a new axis of size 1, at position `axis` of the result; -1 makes it the last.
 * @throws AxisError if the result does not have the axis
 */
export const unsqueeze: (x: Tensor, axis: number) => Tensor = takes(
  'x.unsqueeze(axis)',
  [is.tensor, is.integer],
  (x: Tensor, axis: number): Tensor => {
    const at = normalizeAxis('unsqueeze', axis, [...x.shape, 1])
    return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)])
  },
)

/** What margins are: a constant value, or values of x, as `pad` says. */
export type PaddingMode = 'constant' | 'reflect' | 'replicate' | 'circular'

/** Options of `pad`. */
export interface PadOptions {
  /** default `constant` */
  readonly mode?: PaddingMode
  /** of margins in the mode `constant`; default 0 */
  readonly value?: number
}
const padOptions = {
  mode: is.choice<PaddingMode>('constant', 'reflect', 'replicate', 'circular'),
  value: is.optional(is.number),
} satisfies Settings<PadOptions>

const isMargin = new is.Kind<number | PadOptions | undefined>(
  "a number, or options such as { mode: 'reflect' }",
  x => x === undefined || typeof x === 'number' || isPlain(x),
  ([word]) =>
    typeof word === 'string' && padOptions.mode.fits(word) ? { text: `{ mode: '${word}' }`, values: 1 } : undefined,
)

const padConstant = defineOp(
  'pad',
  (k, x: Tensor, padding: Padding, value: number) => {
    checkElement('pad', value, x.dtype)
    return k.pad(x, padding, value)
  },
  (g, _, x, padding, _value) => [
    () => g.slice(padding.map(([before], i) => ({ start: before, stop: before + x.shape[i] }))),
  ],
  (op, batch, x, padding, value) => op(batch.whole(x), [[0, 0], ...padding], value),
  ([tangent], _, _x, padding): Tensor => padConstant(tangent!, padding, 0),
)

/** The position in 0 … n - 1 whose value a position of a margin has. */
const positionIn: Readonly<Record<Exclude<PaddingMode, 'constant'>, (i: number, n: number) => number>> = {
  reflect: (i, n) => (i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i),
  replicate: (i, n) => Math.min(Math.max(i, 0), n - 1),
  circular: (i, n) => (i + n) % n,
}

/** The widest margin that an axis of size n can fill. */
const widest = (mode: Exclude<PaddingMode, 'constant'>, n: number): number =>
  mode === 'reflect' ? Math.max(0, n - 1) : mode === 'circular' || n === 0 ? n : Infinity

function padWithin(x: Tensor, padding: Padding, mode: Exclude<PaddingMode, 'constant'>): Tensor {
  padding.forEach((pair, axis) => {
    const most = widest(mode, x.shape[axis])
    if (Math.max(...pair) > most)
      throw new ShapeError(
        `pad: axis ${axis} of ${show(x.shape)} can have margins of at most ${most} in the mode '${mode}', not [${pair}]`,
        x.shape,
      )
  })
  return padding.reduce((y, [before, after], axis) => {
    if (before + after === 0) return y
    const n = x.shape[axis]
    const from = Int32Array.from({ length: before + n + after }, (_, i) => positionIn[mode](i - before, n))
    return take(y, fromData(from, [from.length], deviceOf(x)), { axis })
  }, x)
}

/**
 * x with margins: of a constant value, or of values of x. In the mode `reflect` x goes on as in a mirror at its first and last
 * element, which are not repeated (c b | a b c | b a), `replicate` repeats the first and the last element (a a | a b c | c c), and
 * `circular` starts x over again (b c | a b c | a b). The gradient of a margin goes to the elements that it repeats.
 *
 * x.pad([[0, 0], [1, 2]]) // one column before and two after
 * x.pad([[1, 1], [2, 2]], { mode: 'reflect' })
 *
 * @param padding [before, after] for every axis
 * @param value of the margins, default 0, which must be a value of the dtype: whole for int32, 0 or 1 for bool; or options with
 *   it or a mode
 * @throws ShapeError if there is not one pair of sizes, 0 or more, for every axis, or a margin is wider than what it repeats: n - 1
 *   elements for `reflect`, n for `circular`; ValueError for a value that the dtype does not have
 */
export const pad: (x: Tensor, padding: Padding, value?: number | PadOptions) => Tensor = takes(
  'x.pad(padding, value)',
  [is.tensor, isPadding, isMargin],
  (x: Tensor, padding: Padding, value: number | PadOptions = 0): Tensor => {
    if (padding.length !== x.rank || padding.flat().some(n => !Number.isInteger(n) || n < 0))
      throw new ShapeError(
        `pad: ${JSON.stringify(padding)} must have one [before, after], 0 or more, for each axis of ${show(x.shape)}`,
        x.shape,
      )
    const given = settle('x.pad(padding, options)', typeof value === 'number' ? { value } : value, padOptions)
    if (given.mode === 'constant') return padConstant(x, padding, given.value ?? 0)
    if (given.value !== undefined)
      throw new RangeError(`pad: the value is that of the mode 'constant'; the mode '${given.mode}' has none`)
    return padWithin(x, padding, given.mode)
  },
)

/** Throws ValueError for a number that is not a value of the dtype. */
function checkElement(name: string, value: number, dtype: DType): void {
  if (dtype === 'bool' ? value === 0 || value === 1 : promoteScalar(dtype, value) === dtype) return
  const values = dtype === 'bool' ? '0 or 1' : 'a whole number from -2147483648 to 2147483647'
  throw new ValueError(
    `${name}: the value must be ${values} for a tensor of ${dtype}, not ${value}; write x.cast('${promoteScalar(dtype, value)}') first`,
    value,
    [],
  )
}

/** A part of every axis with step 1, starting at `first`. */
const window = defineOp(
  'slice',
  (_, x: Tensor, first: readonly number[], lengths: readonly number[]) =>
    sliceView(
      x,
      first.map((start, i) => ({ start, stop: start + lengths[i] })),
    ),
  (g, _, x, first) => [inWindow(g, first, x.shape)],
  (op, batch, x, first, lengths) => op(batch.whole(x), [0, ...first], [batch.size, ...lengths]),
  'linear',
)

/** The gradient of a slice. */
const inWindow = (g: Tensor, first: readonly number[], shape: Shape): Thunk =>
  Object.assign(() => g.pad(first.map((start, i) => [start, shape[i] - start - g.shape[i]])), {
    window: () => ({ values: g, first, sum: sumOfWindows }),
  })

const sumOfWindows = (shape: Shape, windows: readonly WindowGradient[]): Tensor =>
  addWindows(
    shape,
    windows.map(({ first }) => first),
    ...windows.map(({ values }) => values),
  )

/** The sum of tensors that stand in windows of a shape, each at its first positions: zeros where there is none. */
const addWindows = defineOp(
  'addWindows',
  (k, shape: Shape, firsts: readonly (readonly number[])[], ...parts: Tensor[]): Tensor =>
    joinWindows(
      k,
      shape,
      parts.map((part, i) => ({ first: firsts[i], part })),
    ),
  (g, _, _shape, firsts, ...parts) => [
    undefined,
    undefined,
    ...parts.map((part, i) => () => window(g, firsts[i], part.shape)),
  ],
  (op, batch, shape, firsts, ...parts) =>
    op(
      [batch.size, ...shape],
      firsts.map(first => [0, ...first]),
      ...parts.map(part => batch.whole(part)),
    ),
  'linear',
)

/** A tensor that stands in a window of a larger one. */
interface Placed {
  readonly first: readonly number[]
  readonly part: Tensor
}

/**
 * Axis by axis: windows at one place of the axis are joined along the axes after it. The results are put side by side in layers, as
 * many as overlap, and the layers are added up: what does not overlap takes as long as the whole, however many windows there are.
 */
function joinWindows(k: Kernels, shape: Shape, windows: readonly Placed[], axis = 0): Tensor {
  const sum = (parts: readonly Tensor[]) => parts.reduce((x, y) => k.binary('add', x, y, x.dtype))
  if (axis === shape.length) return sum(windows.map(({ part }) => part))
  const startOf = ({ first }: Placed) => first[axis]
  const endOf = (placed: Placed) => startOf(placed) + placed.part.shape[axis]
  const sorted = [...windows].sort((a, b) => startOf(a) - startOf(b) || endOf(a) - endOf(b))
  const places: Placed[][] = []
  for (const placed of sorted) {
    const last = places.at(-1)
    if (last && startOf(last[0]) === startOf(placed) && endOf(last[0]) === endOf(placed)) last.push(placed)
    else places.push([placed])
  }
  const layers: Placed[][] = []
  for (const place of places) {
    const joined = { first: place[0].first, part: joinWindows(k, shape, place, axis + 1) }
    const free = layers.find(layer => endOf(layer[layer.length - 1]) <= startOf(joined))
    if (free) free.push(joined)
    else layers.push([joined])
  }
  const margins = (part: Tensor, before: number, after: number) =>
    before + after === 0
      ? part
      : k.pad(
          part,
          part.shape.map((_, i) => (i === axis ? [before, after] : [0, 0])),
          0,
        )
  return sum(
    layers.map(layer => {
      const parts = layer.map((placed, i) => {
        const before = startOf(placed) - (i === 0 ? 0 : endOf(layer[i - 1]))
        const after = i === layer.length - 1 ? shape[axis] - endOf(placed) : 0
        return margins(placed.part, before, after)
      })
      return parts.length === 1 ? parts[0] : k.concat(parts, axis)
    }),
  )
}

/**
 * A part of every axis, as in Python: a range `{ start, stop, step }` keeps the axis, and a number takes one position and removes
 * it. Negative positions count from the end; axes beyond the list are kept whole. `at` takes more kinds of indices.
 *
 * x.slice([0, { start: -2 }, { step: 2 }]) // x[0, -2:, ::2]
 *
 * @throws ShapeError if there are more ranges than axes, or an axis does not have the position
 */
export const slice: (x: Tensor, ranges: readonly (Range | number)[]) => Tensor = takes(
  'x.slice(ranges)',
  [is.tensor, areRanges],
  (x: Tensor, ranges: readonly (Range | number)[]): Tensor => {
    if (ranges.length > x.rank)
      throw new ShapeError(`slice: ${ranges.length} ranges are more than the axes of ${show(x.shape)}`, x.shape)
    const parts = x.shape.map((n, axis) => {
      const range = ranges[axis] ?? {}
      if (typeof range !== 'number') return resolveRange(range, n)
      if (!Number.isInteger(range) || range < -n || range >= n)
        throw new ShapeError(`slice: axis ${axis} of ${show(x.shape)} has no position ${range}`, x.shape)
      return { first: range < 0 ? range + n : range, length: 1, step: 1 }
    })
    // takes the range from the lowest to the highest position, then reverses it and keeps every nth element
    const reach = parts.map(({ length, step }) => (length === 0 ? 0 : (length - 1) * Math.abs(step) + 1))
    const lowest = parts.map(({ first, step }, i) => (reach[i] === 0 ? 0 : step > 0 ? first : first - reach[i] + 1))
    let result = window(x, lowest, reach)
    parts.forEach(({ step, length }, axis) => {
      if (step < 0) result = flip(result, axis)
      if (Math.abs(step) > 1 && length > 1) result = everyNth(result, axis, Math.abs(step))
    })
    const removed = ranges.flatMap((range, axis) => (typeof range === 'number' ? [axis] : []))
    return removed.length > 0 ? squeeze(result, removed) : result
  },
)

/** Positions 0, n, 2n, … of an axis: the first of each group of n, after padding to whole groups. */
function everyNth(x: Tensor, axis: number, n: number): Tensor {
  const groups = Math.ceil(x.shape[axis] / n)
  const padded = pad(
    x,
    x.shape.map((size, i) => [0, i === axis ? groups * n - size : 0]),
  )
  const grouped = padded.reshape([...x.shape.slice(0, axis), groups, n, ...x.shape.slice(axis + 1)])
  return window(
    grouped,
    grouped.shape.map(() => 0),
    grouped.shape.map((size, i) => (i === axis + 1 ? 1 : size)),
  ).squeeze(axis + 1)
}

/**
 * x with its elements in reverse order along the axes given.
 * @throws AxisError if x does not have the axis
 */
export const flip: (x: Tensor, axis: number | readonly number[]) => Tensor = takes(
  'x.flip(axis)',
  [is.tensor, is.axes],
  defineOp(
    'flip',
    (_, x: Tensor, axis: number | readonly number[]) => {
      const axes = normalizeAxes('flip', axis, x.shape)
      return sliceView(
        x,
        x.shape.map((_, i) => (axes.includes(i) ? { step: -1 } : {})),
      )
    },
    (g, _, x, axis) => [() => g.flip(normalizeAxes('flip', axis, x.shape))],
    (op, batch, x, axis) => op(batch.whole(x), afterBatch(normalizeAxes('flip', axis, x.shape))),
    'linear',
  ),
)

const join = defineOp(
  'concat',
  (k, axis: number, ...xs: Tensor[]) => {
    const dtype = xs.map(x => x.dtype).reduce(promote)
    return k.concat(
      xs.map(x => (x.dtype === dtype ? x : k.cast(x, dtype))),
      axis,
    )
  },
  (g, _, axis, ...xs) => {
    let end = 0
    const parts = xs.map(x => {
      const start = end
      end += x.shape[axis]
      return () => g.slice([...x.shape.slice(0, axis).map(() => ({})), { start, stop: start + x.shape[axis] }])
    })
    return [undefined, ...parts]
  },
  (op, batch, axis, ...xs) => op(axis + 1, ...xs.map(x => batch.whole(x))),
  'linear',
)

/**
 * Tensors joined along an existing axis (default the first): [a, …] and [b, …] → [a + b, …].
 * @throws ShapeError if they differ in another axis
 */
export const concat: (xs: readonly Tensor[], axis?: number) => Tensor = takes(
  'concat(xs, axis)',
  [is.tensors, is.optional(is.integer)],
  (xs: readonly Tensor[], axis: number = 0): Tensor => {
    if (xs.length === 0) throw new TypeError('concat: the list must have at least one tensor')
    const at = normalizeAxis('concat', axis, xs[0].shape)
    for (const x of xs)
      if (x.rank !== xs[0].rank || x.shape.some((n, i) => i !== at && n !== xs[0].shape[i]))
        throw new ShapeError(
          `concat: ${xs.map(y => show(y.shape)).join(' and ')} must have the same sizes except on axis ${at}`,
          ...xs.map(y => y.shape),
        )
    return join(at, ...xs)
  },
)

/**
 * Tensors of one shape joined along a new axis (default the first): n of [...] → [n, ...].
 * @throws ShapeError if they differ in shape
 */
export const stack: (xs: readonly Tensor[], axis?: number) => Tensor = takes(
  'stack(xs, axis)',
  [is.tensors, is.optional(is.integer)],
  (xs: readonly Tensor[], axis: number = 0): Tensor => {
    for (const x of xs)
      if (!sameShape(x.shape, xs[0].shape))
        throw new ShapeError(
          `stack: tensors must have the same shape, not ${xs.map(y => show(y.shape)).join(' and ')}; write concat to join along an existing axis`,
          ...xs.map(y => y.shape),
        )
    return concat(
      xs.map(x => unsqueeze(x, axis)),
      axis,
    )
  },
)

/**
 * Splits x along an axis (default the first) into parts of the sizes given, or of one size; the last part may then be smaller.
 * @returns the parts, in order
 * @throws ShapeError if the sizes do not add up to the size of the axis
 */
export const split: (x: Tensor, sizes: number | readonly number[], axis?: number) => Tensor[] = takes(
  'x.split(sizes, axis)',
  [is.tensor, areSizes, is.optional(is.integer)],
  (x: Tensor, sizes: number | readonly number[], axis: number = 0): Tensor[] => {
    const at = normalizeAxis('split', axis, x.shape)
    const n = x.shape[at]
    if (typeof sizes === 'number' && !(Number.isInteger(sizes) && sizes > 0))
      throw new ShapeError(`split: the size of the parts must be a positive integer, not ${sizes}`, x.shape)
    const list =
      typeof sizes === 'number'
        ? Array.from({ length: Math.ceil(n / sizes) }, (_, i) => Math.min(sizes, n - i * sizes))
        : sizes
    if (list.reduce((a, b) => a + b, 0) !== n || list.some(size => size < 0))
      throw new ShapeError(
        `split: sizes ${show(list)} must be 0 or more and add up to axis ${at} of ${show(x.shape)}`,
        x.shape,
      )
    let start = 0
    return list.map(size => {
      const part = slice(x, [...x.shape.slice(0, at).map(() => ({})), { start, stop: start + size }])
      start += size
      return part
    })
  },
)

/**
 * The tensors expanded to the shape that all of them broadcast to.
 * @throws ShapeError if the shapes do not broadcast
 */
export const broadcast: (...xs: Tensor[]) => Tensor[] = takes(
  'broadcast(...xs)',
  [is.rest(is.tensor)],
  (...xs: Tensor[]): Tensor[] => {
    const shape = broadcastShapes('broadcast', ...xs.map(x => x.shape))
    return xs.map(x => expand(x, shape))
  },
)
