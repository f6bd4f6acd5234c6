// Operations whose result has a size that depends on values: they read the values, so they return a Promise. A tape records
// synchronous code only; to differentiate, find the positions first and select by them inside of the differentiated function.

import { takes } from '../../tensor/arguments.ts'
import {
  allocate,
  broadcastShapes,
  contiguousStrides,
  deviceOf,
  fromData,
  IndexError,
  ShapeError,
  sameShape,
  show,
  type Tensor,
  zeros,
} from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { GradientError } from '../gradient-error.ts'
import { isRecording, noGrad } from '../recording.ts'
import { checkIndices, scatterAdd, take } from './gather.ts'
import { stack } from './movement.ts'
import { argsort } from './order.ts'

/** int32 positions in the memory of a tensor's device. */
const positions = (data: Int32Array, shape: readonly number[], like: Tensor): Tensor =>
  fromData(data, shape, deviceOf(like))

/** The positions of a flat list at which it is not 0. */
function placesIn(data: ArrayLike<number>): Int32Array {
  let n = 0
  for (let i = 0; i < data.length; i++) if (data[i] !== 0) n++
  const places = new Int32Array(n)
  for (let i = 0, at = 0; i < data.length; i++) if (data[i] !== 0) places[at++] = i
  return places
}

/** Throws where a tape would not record the result. */
function checkUnrecorded(name: string, x: Tensor, instead: string): void {
  if (isRecording())
    throw new GradientError(
      `${name}: the size of its result is known later, and a tape records synchronous code; before the differentiated function write ${instead}`,
      x,
    )
}

/**
 * The positions of the elements that are not 0, in row-major order. The elements are read, so the result is a Promise. NaN is not 0.
 *
 * const rows = (await mask.nonzero()).squeeze(1) // of a mask [n], before the differentiated function
 * const loss = grad(x => x.take(rows).square().sum())
 *
 * @returns int32 [count, rank]: one row for each element, with its position on every axis
 */
export const nonzero: (x: Tensor) => Promise<Tensor> = takes(
  'x.nonzero()',
  [is.tensor],
  async (x: Tensor): Promise<Tensor> => {
    const places = placesIn(await x.data())
    const strides = contiguousStrides(x.shape)
    const rows = new Int32Array(places.length * x.rank)
    places.forEach((place, row) => {
      strides.forEach((stride, axis) => {
        rows[row * x.rank + axis] = Math.floor(place / stride) % x.shape[axis]
      })
    })
    return positions(rows, [places.length, x.rank], x)
  },
)

/**
 * The elements of x where the mask is not 0, in row-major order; both broadcast. The mask is read, so the result is a Promise, and
 * cannot be differentiated. To differentiate, find the positions first and take the elements by them:
 *
 * const places = (await mask.reshape([-1]).nonzero()).squeeze(1)
 * const gradient = grad(x => x.reshape([-1]).take(places).square().sum())(x)
 *
 * @returns [count]
 * @throws ShapeError if x and the mask do not broadcast, GradientError inside of a differentiated function
 */
export const maskedSelect: (x: Tensor, mask: Tensor) => Promise<Tensor> = takes(
  'x.maskedSelect(mask)',
  [is.tensor, is.tensor],
  (x: Tensor, mask: Tensor): Promise<Tensor> => {
    const instead = 'places = (await mask.reshape([-1]).nonzero()).squeeze(1), and in it x.reshape([-1]).take(places)'
    checkUnrecorded('maskedSelect', x, instead)
    const shape = broadcastShapes('maskedSelect', x.shape, mask.shape)
    return select(x.expand(shape).reshape([-1]), mask.expand(shape).reshape([-1]))
  },
)

async function select(x: Tensor, mask: Tensor): Promise<Tensor> {
  const places = placesIn(await mask.data())
  return take(x, positions(places, [places.length], x))
}

/** The distinct elements of a tensor. */
export interface Unique {
  /** [count], sorted */
  readonly values: Tensor
  /** int32 of the shape of x: which of the values each element is */
  readonly inverse: Tensor
  /** int32 [count]: how often each value occurs */
  readonly counts: Tensor
}

/**
 * The distinct elements in order, where they occur and how often: `values.take(inverse)` is x. The elements are read, so the result
 * is a Promise. 0 and -0 are one value, the first of them; each NaN is a value by itself, as in PyTorch, and last. unique has no
 * gradient.
 */
export const unique: (x: Tensor) => Promise<Unique> = takes(
  'x.unique()',
  [is.tensor],
  async (x: Tensor): Promise<Unique> => {
    const [sorted, order] = noGrad(() => {
      const flat = x.reshape([-1])
      const at = argsort(flat)
      return [flat.take(at), at]
    })
    const [data, places] = await Promise.all([sorted.data(), order.data()])
    const starts = placesIn(data.map((value, i) => Number(i === 0 || value !== data[i - 1])))
    const values = allocate(x.dtype, starts.length)
    const inverse = new Int32Array(data.length)
    const counts = new Int32Array(starts.length)
    starts.forEach((start, group) => {
      const end = group + 1 < starts.length ? starts[group + 1] : data.length
      values[group] = data[start]
      counts[group] = end - start
      for (let i = start; i < end; i++) inverse[places[i]] = group
    })
    return {
      values: fromData(values, [starts.length], deviceOf(x), x.dtype),
      inverse: positions(inverse, x.shape, x),
      counts: positions(counts, [starts.length], x),
    }
  },
)

/** Options of `bincount`. */
export interface BincountOptions {
  /** of the shape of the ids: what is added in place of 1 */
  readonly weights?: Tensor
  /** the least number of entries; default 0 */
  readonly minLength?: number
}
const bincountOptions = {
  weights: is.optional(is.tensor),
  minLength: is.byDefault(0, is.size),
} satisfies Settings<BincountOptions>

/**
 * out[i] is the number of ids that are i, or the sum of their weights. The result has max(ids) + 1 entries, or minLength if that is
 * more, so the ids are read and the result is a Promise. Where the number n of entries is known, `scatterAdd([n], ids, weights)` is
 * the same: it is synchronous and can be differentiated; for counts the weights are `onesLike(ids)`.
 * @param ids int32 of any shape, 0 or more
 * @returns [entries], int32 or of the dtype of the weights (int32 for bool)
 * @throws DTypeError if the ids are not int32, ShapeError if the weights are of another shape, IndexError if an id is negative,
 *   GradientError for weights inside of a differentiated function
 */
export const bincount: (ids: Tensor, options?: BincountOptions) => Promise<Tensor> = takes(
  'ids.bincount(options)',
  [is.indices, is.options],
  (ids: Tensor, options?: BincountOptions): Promise<Tensor> => {
    const { weights, minLength } = settle('ids.bincount(options)', options, bincountOptions)
    checkIndices('bincount', ids, 'ids')
    if (weights) {
      checkUnrecorded('bincount', weights, 'n = (await ids.max().item()) + 1, and in it scatterAdd([n], ids, weights)')
      if (!sameShape(ids.shape, weights.shape))
        throw new ShapeError(
          `bincount: the weights ${show(weights.shape)} must have the shape of the ids, ${show(ids.shape)}`,
          weights.shape,
          ids.shape,
        )
    }
    return countOf(ids.reshape([-1]), weights?.reshape([-1]), minLength)
  },
)

async function countOf(ids: Tensor, weights: Tensor | undefined, minLength: number): Promise<Tensor> {
  const [least, most] = ids.size === 0 ? [0, -1] : await stack([ids.min(), ids.max()]).data()
  const length = Math.max(most + 1, minLength)
  if (least < 0) throw new IndexError('bincount', least, length)
  const ones = () => zeros([1], { dtype: 'int32', device: ids.device }).add(1)
  return scatterAdd([length], ids, weights ?? ones())
}
