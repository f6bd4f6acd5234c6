// Indexing as in NumPy and PyTorch: `at` reads, `withAt` replaces, `addAt` adds. Tensors are immutable, so that the last two return
// new tensors. All are composed: `at` of slices and gathered elements; the others look up, with `at`, which places of x are meant.

import { checkEach, takes } from '../../tensor/arguments.ts'
import { meet } from '../../tensor/dtype.ts'
import { given, isPlain } from '../../tensor/given.ts'
import {
  arange,
  broadcastShapes,
  broadcastsTo,
  DTypeError,
  deviceOf,
  fromData,
  full,
  IndexError,
  type Operand,
  onesLike,
  type Range,
  resolveRange,
  type Shape,
  ShapeError,
  show,
  sizeOf,
  Tensor,
} from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { add, cast, greaterEqual, maximum, mul, where } from './elementwise.ts'
import { scatterAdd, take } from './gather.ts'
import { expand, permute, reshape, slice } from './movement.ts'

type End = bigint | ''

/** A range in Python's notation: `':'`, `'1:'`, `':-1'`, `'::2'`, `'::-1'`; `'...'` is as many whole axes as there are left. */
export type RangeText = '...' | `${End}:${End}` | `${End}:${End}:${End}`

/** What `at` takes for an axis: a position, a range as an object or in Python's notation, int32 positions, or `null` for a new axis. */
export type AxisIndex = number | Range | RangeText | Tensor | null

const TEXT = /^(-?\d+)?:(-?\d+)?(?::(-?\d+)?)?$/

const isIndex = new is.Kind<AxisIndex>(
  "a whole number, a range such as { start: 1, stop: 3 } or '1:3', '...', null, or an int32 tensor",
  x =>
    Number.isInteger(x) ||
    x === null ||
    x === '...' ||
    x instanceof Tensor ||
    isPlain(x) ||
    (typeof x === 'string' && TEXT.test(x)),
  ([value]) => {
    const text = written(value)
    return text === undefined ? undefined : { text, values: 1 }
  },
)

/** How to write an index that is given in another form. */
function written(value: unknown): string | undefined {
  if (value === undefined) return "':'"
  if (Array.isArray(value) && value.every(Number.isInteger)) return `tensor(${given(value)}, { dtype: 'int32' })`
  if (typeof value !== 'string') return undefined
  const parts = value.replace(/^\[|\]$/g, '').split(',')
  const texts = parts.map(part => {
    const trimmed = part.replace(/\s/g, '')
    if (/^-?\d+$/.test(trimmed)) return trimmed
    if (trimmed === 'None' || trimmed === 'null') return 'null'
    return trimmed === '...' || TEXT.test(trimmed) ? `'${trimmed}'` : undefined
  })
  return texts.includes(undefined) ? undefined : texts.join(', ')
}

const areIndices = new is.Kind<readonly AxisIndex[]>(
  "a list of indices as x.at takes, such as [0, '1:3']",
  Array.isArray,
  ([value]) => (isIndex.fits(value) ? { text: `[${given(value)}]`, values: 1 } : undefined),
)

/** What to write in place of a mask, for each function. */
type MaskAdvice = (index: string) => string

/** The indices, one for each axis of x, and where new axes come. */
interface Plan {
  /** for each axis of x: a position or a range; the whole axis where a tensor selects from it */
  readonly ranges: readonly (Range | number)[]
  /** for each axis of the result before tensors are applied: whether it is new */
  readonly isNew: readonly boolean[]
  /** the tensors, with their axis in x and in the result before they are applied */
  readonly selections: readonly Selection[]
}

interface Selection {
  readonly indices: Tensor
  /** its axis in x */
  readonly of: number
  /** its axis after positions have removed theirs and new axes are there */
  readonly axis: number
}

function plan(name: string, shape: Shape, indices: readonly AxisIndex[], forMask: MaskAdvice): Plan {
  checkEach(name, 'index', isIndex, indices)
  for (const [i, index] of indices.entries()) checkTensor(name, index, i, forMask)
  const used = indices.filter(index => index !== null && index !== '...').length
  const dots = indices.filter(index => index === '...').length
  if (dots > 1) throw new TypeError(`${name}: '...' may be given once, not ${dots} times`)
  if (used > shape.length)
    throw new ShapeError(
      `${name}: ${used} indices are more than the axes of ${show(shape)}; write null for a new axis`,
      shape,
    )
  const whole = Array<AxisIndex>(shape.length - used).fill(':')
  const list = dots === 1 ? indices.flatMap(index => (index === '...' ? whole : [index])) : [...indices, ...whole]
  const ranges: (Range | number)[] = []
  const isNew: boolean[] = []
  const selections: Selection[] = []
  for (const index of list) {
    if (index === null) {
      isNew.push(true)
      continue
    }
    const of = ranges.length
    if (typeof index === 'number') {
      const n = shape[of]
      if (index < -n || index >= n) throw new IndexError(name, index, n, { axis: of, shape, fromBack: true })
      ranges.push(index)
      continue
    }
    if (index instanceof Tensor) selections.push({ indices: index, of, axis: isNew.length })
    const range = index instanceof Tensor ? {} : typeof index === 'string' ? rangeOf(index) : index
    resolveRange(range, shape[of], 'x.at(range)')
    ranges.push(range)
    isNew.push(false)
  }
  return { ranges, isNew, selections }
}

function checkTensor(name: string, index: AxisIndex, i: number, forMask: MaskAdvice): void {
  if (!(index instanceof Tensor) || index.dtype === 'int32') return
  const what = `${name}: index ${i} is ${given(index)}`
  throw new DTypeError(
    index.dtype === 'bool'
      ? `${what}, and a mask does not say how many elements it selects; ${forMask('mask')}`
      : `${what} and must be int32; write index.cast('int32'), or tensor([…], { dtype: 'int32' })`,
    index.dtype,
  )
}

/** A range in Python's notation as an object. */
function rangeOf(text: string): Range {
  const [, start, stop, step] = TEXT.exec(text)!
  const end = (digits: string | undefined) => (digits ? Number(digits) : undefined)
  return { start: end(start), stop: end(stop), step: end(step) }
}

/** The elements of x that a plan selects. */
function select(name: string, x: Tensor, { ranges, isNew, selections }: Plan): Tensor {
  const part = slice(x, ranges)
  let at = 0
  const sizes = isNew.map(isAdded => (isAdded ? 1 : part.shape[at++]))
  const parts = isNew.includes(true) ? reshape(part, sizes) : part
  if (selections.length > 1) return takeTogether(name, x.shape, parts, selections)
  const [only] = selections
  return only ? naming(name, x.shape, only.of, () => take(parts, only.indices, { axis: only.axis })) : parts
}

/** What f returns; an IndexError gets the name of the operation and the axis of x that it is about. */
function naming(name: string, shape: Shape, axis: number, f: () => Tensor): Tensor {
  try {
    return f()
  } catch (error) {
    throw error instanceof IndexError ? new IndexError(name, error.index, error.size, { axis, shape }) : error
  }
}

/** Refuses to number more places than a device has whole numbers for. */
function checkNumbers(name: string, x: Tensor, n: number): void {
  if (x.device === 'gpu' && n > 2 ** 24)
    throw new ShapeError(
      `${name}: ${n} places of ${show(x.shape)} are more than the whole numbers that gpu has, which are exact up to 2^24; index a part of it, as in x.at(0)`,
      x.shape,
    )
}

/**
 * Elements by several indices that meet, as in NumPy: out[…, b, …] = x[…, i₁[b], i₂[b], …]. Their axes are joined into one, along
 * which the position is i₁ n₂ n₃ … + i₂ n₃ … + ….
 */
function takeTogether(name: string, shape: Shape, x: Tensor, selections: readonly Selection[]): Tensor {
  broadcastShapes(`${name}: index tensors`, ...selections.map(({ indices }) => indices.shape))
  const axes = selections.map(({ axis }) => axis)
  const areTogether = axes.every((axis, i) => axis === axes[0] + i)
  const others = x.shape.map((_, axis) => axis).filter(axis => !axes.includes(axis))
  const first = areTogether ? axes[0] : 0
  const sizes = axes.map(axis => x.shape[axis])
  checkNumbers(name, x, sizeOf(sizes))
  const order = [...others.slice(0, first), ...axes, ...others.slice(first)]
  const before = others.slice(0, first).map(axis => x.shape[axis])
  const after = others.slice(first).map(axis => x.shape[axis])
  const joined = reshape(permute(x, order), [...before, sizeOf(sizes), ...after])
  // the part of each index comes from a table, so that every index is checked against its own axis
  const place = selections
    .map(({ indices, of }, i) => {
      const steps = mul(arange(0, sizes[i], 1, { device: x.device }), sizeOf(sizes.slice(i + 1)))
      return naming(name, shape, of, () => take(steps, indices))
    })
    .reduce((a, b) => add(a, b))
  return take(joined, place, { axis: first })
}

/**
 * The elements at an index for each axis, as x[…] in NumPy and PyTorch. Axes beyond the list are kept whole.
 *
 *     x.at(0)                    // x[0]
 *     x.at(-1, '1:3')            // x[-1, 1:3]
 *     x.at('...', null, '::-1')  // x[..., None, ::-1]
 *     x.at(ids)                  // x[ids], the rows of these ids
 *     x.at(rows, columns)        // x[rows, columns], one element for each pair
 *
 * What an index may be:
 *
 * - a number: one position, whose axis is removed; negative numbers count from the end;
 * - a range `{ start, stop, step }`, or the same in Python's notation, `'1:3'`, `':-1'`, `'::2'`: the axis is kept; ends out of range
 *   are clipped, as in `slice`;
 * - `'...'`: as many whole axes as there are left; once;
 * - `null`: a new axis of size 1;
 * - an int32 tensor of positions from 0 on: its axes replace the axis, as in `take`. Several broadcast together, and their common
 *   axes stand where they stand if they are side by side, else in front. They are applied after numbers and `null`, as in PyTorch;
 *   NumPy counts a number beside a tensor as one of the tensors.
 *
 * A mask is no index, because the size of the result would have to be read: `await x.maskedSelect(mask)` waits for it, and
 * `maskedFill` and `where` keep the shape. Without tensors the result is a view, unless a step is not ±1. On `gpu` positions that
 * were computed there are not checked.
 * @throws IndexError for a position that the axis does not have, ShapeError for more indices than axes or tensors that do not
 *   broadcast, DTypeError for a tensor that is not int32, ArgumentError for what is no index
 */
export const at: (x: Tensor, ...indices: AxisIndex[]) => Tensor = takes(
  'x.at(...indices)',
  [is.tensor, is.rest(is.anything)],
  (x: Tensor, ...indices: readonly AxisIndex[]): Tensor =>
    select(
      'at',
      x,
      plan('at', x.shape, indices, mask => `write await x.maskedSelect(${mask})`),
    ),
)

/** For each place that is selected, its number in row-major order in x; int32, of the shape of the selection. */
function places(name: string, x: Tensor, indices: readonly AxisIndex[], forMask: MaskAdvice): Tensor {
  checkNumbers(name, x, x.size)
  const numbers = arange(0, x.size, 1, { device: x.device }).reshape(x.shape)
  return select(name, numbers, plan(name, x.shape, indices, forMask))
}

function checkValues(name: string, values: Operand, selected: Tensor): void {
  if (typeof values === 'number' || broadcastsTo(values.shape, selected.shape)) return
  throw new ShapeError(
    `${name}: values ${show(values.shape)} do not broadcast to ${show(selected.shape)}, the shape of x.at(...indices)`,
    values.shape,
    selected.shape,
  )
}

/**
 * x with the elements `x.at(...indices)` replaced by values, as `x[indices] = values` in NumPy and `x.at[indices].set(values)` in
 * JAX; PyTorch's `index_put`. x itself does not change.
 *
 *     x.withAt([0], 1)                 // the first row is ones
 *     x.withAt(['...', '::2'], evens)  // every second column
 *
 * Where tensors name a place several times, the last value stands there. The gradient of x is 0 at the places that are replaced, and
 * a value that does not stand in the result has gradient 0. The dtype is that in which x and the values meet, as in `where`.
 * @param indices as `at` takes them, in a list
 * @param values a number, or a tensor that broadcasts to the shape of `x.at(...indices)`
 * @throws ShapeError if the values do not broadcast; what `at` throws
 */
export const withAt: (x: Tensor, indices: readonly AxisIndex[], values: Operand) => Tensor = takes(
  'x.withAt(indices, values)',
  [is.tensor, areIndices, is.operand],
  (x: Tensor, indices: readonly AxisIndex[], values: Operand): Tensor => {
    const selected = places('withAt', x, indices, mask => `write where(${mask}, values, x)`)
    checkValues('withAt', values, selected)
    if (selected.size === 0) return cast(x, meet(x, values))
    const order = reshape(selected, [selected.size])
    const mayRepeat = indices.some(index => index instanceof Tensor)
    // for each place in x, the number of its value, counted from 1; 0 where x stays
    const sources = scatterAdd(
      [x.size],
      order,
      numbersFromOne(order, mayRepeat ? lastOfEach(order, x.size) : undefined),
    )
    const replaced = reshape(greaterEqual(sources, 1), x.shape)
    if (typeof values === 'number') return where(replaced, values, x)
    const flat = reshape(expand(values, selected.shape), [selected.size])
    return where(replaced, reshape(take(flat, maximum(add(sources, -1), 0)), x.shape), x)
  },
)

/** 1, 2, 3, … for each element that counts, else 0. */
function numbersFromOne(order: Tensor, counts: Tensor | undefined): Tensor {
  const numbers = arange(1, order.size + 1, 1, { device: order.device })
  return counts ? mul(counts, numbers) : numbers
}

/**
 * 1 for the last of the elements of `order` that are equal, else 0: of those that are equal, bit by bit from the highest, the ones
 * are kept whose position has the bit, if there are any. log₂ m sums for m elements.
 */
function lastOfEach(order: Tensor, size: number): Tensor {
  const m = order.size
  let left = onesLike(order)
  for (let bit = 2 ** Math.floor(Math.log2(Math.max(1, m - 1))); bit >= 1; bit /= 2) {
    const bits = Int32Array.from({ length: m }, (_, i) => Math.floor(i / bit) % 2)
    const having = mul(left, fromData(bits, [m], deviceOf(order)))
    const haveAny = take(scatterAdd([size], order, having), order)
    left = where(greaterEqual(haveAny, 1), having, left)
  }
  return left
}

/**
 * x with values added to the elements `x.at(...indices)`, as `np.add.at` in NumPy and `x.at[indices].add(values)` in JAX; PyTorch's
 * `index_add` and `index_put` with `accumulate`. Where tensors name a place several times, all of its values are added. x itself does
 * not change.
 *
 *     counts.addAt([ids], 1)
 *
 * The gradient of x passes everywhere, that of the values is `gradient.at(...indices)`. The dtype is that of a sum of x and the values.
 * @param indices as `at` takes them, in a list
 * @param values a number, or a tensor that broadcasts to the shape of `x.at(...indices)`
 * @throws ShapeError if the values do not broadcast; what `at` throws
 */
export const addAt: (x: Tensor, indices: readonly AxisIndex[], values: Operand) => Tensor = takes(
  'x.addAt(indices, values)',
  [is.tensor, areIndices, is.operand],
  (x: Tensor, indices: readonly AxisIndex[], values: Operand): Tensor => {
    const selected = places('addAt', x, indices, mask => `write x.add(where(${mask}, values, 0))`)
    checkValues('addAt', values, selected)
    const terms =
      typeof values === 'number'
        ? full(selected.shape, values, { dtype: meet(x, values), device: x.device })
        : expand(values, selected.shape)
    const sums = scatterAdd([x.size], reshape(selected, [selected.size]), reshape(terms, [selected.size]))
    return add(x, reshape(sums, x.shape))
  },
)

/**
 * x with a value in place of the elements where a mask is true: where(mask, value, x). The gradient of x is 0 there.
 *
 *     scores.maskedFill(mask.logicalNot(), -Infinity)
 *
 * @param mask bool, of a shape that broadcasts to that of x
 * @param value a number, or a tensor that broadcasts to the shape of x. The dtype is that in which x and it meet, as in `where`
 * @throws DTypeError for a mask that is not bool, ShapeError if it or the value does not broadcast to x
 */
export const maskedFill: (x: Tensor, mask: Tensor, value: Operand) => Tensor = takes(
  'x.maskedFill(mask, value)',
  [is.tensor, is.tensor, is.operand],
  (x: Tensor, mask: Tensor, value: Operand): Tensor => {
    if (mask.dtype !== 'bool')
      throw new DTypeError(`maskedFill: the mask must be bool, not ${mask.dtype}; write mask.notEqual(0)`, mask.dtype)
    for (const [what, given] of [
      ['the mask', mask],
      ['the value', value],
    ] as const)
      if (given instanceof Tensor && !broadcastsTo(given.shape, x.shape))
        throw new ShapeError(
          `maskedFill: ${what} ${show(given.shape)} does not broadcast to ${show(x.shape)}`,
          given.shape,
          x.shape,
        )
    return where(mask, value, x)
  },
)
