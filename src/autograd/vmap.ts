// Maps a function over an axis of its inputs: the function is written for one sample, and is called once with tensors that have
// the shape of one sample and the values of all (batched.ts).

import { checkArguments } from '../tensor/arguments.ts'
import { given, isPlain, isPromise } from '../tensor/given.ts'
import { ArgumentError, normalizeAxis, type Shape, ShapeError, show, Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { Batched } from './batched.ts'
import { BatchLevel } from './batching.ts'
import { returnedBy } from './checks.ts'

/** The axis of the samples in an input; null for an input that is the same for all samples. */
export type BatchAxis = number | null

/** Where the samples are in the inputs and the results of a mapped function. */
export interface VmapOptions {
  /** the axis of the samples in all inputs, or a list with that of each; null for what is the same for all samples. Default 0 */
  readonly in?: BatchAxis | readonly BatchAxis[]
  /** the axis of the samples in all results, or a list with that of each, where `f` returns a list. Default 0 */
  readonly out?: number | readonly number[]
}

const isAxis = (x: unknown): boolean => x === null || Number.isInteger(x)
const isAxes = new is.Kind<NonNullable<VmapOptions['in']>>(
  'an axis, null, or a list of them',
  x => isAxis(x) || (Array.isArray(x) && x.every(isAxis)),
)
const vmapOptions = {
  // null is an axis here and not an option that was left out
  in: is.byDefault<BatchAxis | readonly BatchAxis[]>(0, isAxes),
  out: is.byDefault<number | readonly number[]>(0, is.axes),
} satisfies Settings<VmapOptions>

/** A value with other tensors, in lists, Maps and plain objects too. Anything else stays as it is. */
function mapTensors(value: unknown, change: (x: Tensor) => Tensor): unknown {
  if (value instanceof Tensor) return change(value)
  if (Array.isArray(value)) return value.map(item => mapTensors(item, change))
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, mapTensors(item, change)]))
  if (!isPlain(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, mapTensors(item, change)]))
}

function tensorsIn(value: unknown): Tensor[] {
  const found: Tensor[] = []
  mapTensors(value, x => {
    found.push(x)
    return x
  })
  return found
}

/** An axis as the first. */
function toFront(x: Tensor, axis: number): Tensor {
  return axis === 0 ? x : x.permute([axis, ...x.shape.map((_, i) => i).filter(i => i !== axis)])
}

/** The first axis at another position. */
function fromFront(x: Tensor, axis: number): Tensor {
  const rest = x.shape.map((_, i) => i).slice(1)
  return axis === 0 ? x : x.permute([...rest.slice(0, axis), 0, ...rest.slice(axis)])
}

/** The axis of the samples in each input. */
function axesOf(inputs: readonly unknown[], axes: BatchAxis | readonly BatchAxis[]): BatchAxis[] {
  if (axes === null || typeof axes === 'number') return inputs.map(() => axes)
  if (axes.length === inputs.length) return [...axes]
  throw new ArgumentError(
    `vmap: the option in has ${axes.length} axes, [${axes.join(', ')}], for ${inputs.length} inputs; give one for each, null for an input that is the same for all samples`,
    'vmap',
    'in',
    axes,
  )
}

/** The number of samples, the same in all inputs that have an axis of them. */
function samplesOf(inputs: readonly unknown[], axes: readonly BatchAxis[]): number {
  const parts = inputs.flatMap((input, i) => tensorsIn(input).map(x => ({ x, i, axis: axes[i] })))
  const sizes = parts.flatMap(({ x: { shape }, i, axis }) => {
    if (axis === null) return []
    if (axis >= -shape.length && axis < shape.length) return [shape.at(axis)!]
    throw new ShapeError(
      `vmap: input ${i} of shape ${show(shape)} has no axis ${axis} of samples; write null in place of its axis, as in { in: [${axes.map((other, j) => (j === i ? 'null' : other)).join(', ')}] }, if it is the same for all samples`,
      shape,
    )
  })
  const [size] = sizes
  if (size === undefined)
    throw new ArgumentError(
      'vmap: no input has an axis of samples; give at least one tensor whose axis is not null',
      'vmap',
      'inputs',
      inputs,
    )
  const shapes: Shape[] = parts.map(({ x }) => x.shape)
  if (sizes.some(other => other !== size))
    throw new ShapeError(
      `vmap: inputs ${shapes.map(show).join(', ')} must have one number of samples, not ${[...new Set(sizes)].join(' and ')}, on their axes ${axes.join(', ')}`,
      ...shapes,
    )
  return size
}

/** The results with their samples on an axis. */
function gathered(level: BatchLevel, result: unknown, out: number): unknown {
  return mapTensors(result, x => {
    const all = level.whole(x)
    return fromFront(all, normalizeAxis('vmap', out, all.shape))
  })
}

function returned(result: unknown): unknown {
  const isTree = Array.isArray(result) || result instanceof Map || (isPlain(result) && !isPromise(result))
  return isTree && tensorsIn(result).length > 0 ? result : returnedBy('vmap', result)
}

/** @param level made for the number of samples */
function mapped(
  level: BatchLevel,
  f: (...inputs: never[]) => unknown,
  inputs: readonly unknown[],
  axes: readonly BatchAxis[],
  out: number | readonly number[],
): unknown {
  return level.run(() => {
    const samples = inputs.map((input, i) => {
      const axis = axes[i]
      if (axis === null) return input
      return mapTensors(input, x => new Batched(level, toFront(x, normalizeAxis('vmap', axis, x.shape))))
    })
    const result = returned(f(...(samples as never[])))
    if (typeof out === 'number') return gathered(level, result, out)
    if (Array.isArray(result) && result.length === out.length)
      return result.map((item, i) => gathered(level, item, out[i]))
    throw new ArgumentError(
      `vmap: the option out has ${out.length} axes, [${out.join(', ')}], and f returned ${Array.isArray(result) ? `a list of ${result.length}` : given(result)}; give one axis, or one for each result of a list`,
      'vmap',
      'out',
      out,
    )
  })
}

/**
 * Maps a function over an axis of its inputs: `vmap(f)(x)` is `stack` of `f(x[0]), f(x[1]), …`, by operations on whole batches.
 *
 *     vmap((x, y) => x.matmul(y))(a, b)                           // [n, k] and [n, k] → [n], the product of each pair of rows
 *     vmap(grad(loss), { in: [null, 0, 0] })(weight, x, target)   // the gradient by the weight for each sample: [n, ...weight]
 *
 * `f` is called once. Its tensors have the shape of one sample; it may use tensors from outside, which are the same for all
 * samples, and return a tensor, or tensors in lists, Maps and objects. Inputs may be such, too; what is no tensor is passed on.
 * `vmap` can be used inside of `grad` and around it, and inside of `vmap`. Random tensors that `f` makes, and dropout, have
 * numbers of their own for each sample; they are drawn in another order than by a loop.
 *
 * An operation without a rule for batches (see `defineOp`) is computed for one sample after the other; a warning names it once.
 * Called `torch.vmap` in PyTorch, with `in_dims` and `out_dims`.
 * @param options.in the axis of the samples in each input; default 0
 * @param options.out the axis of the samples in the results; default 0
 * @throws VmapError if `f` reads values, and if a tensor of `f` is used after it has ended
 * @throws ShapeError if the inputs differ in the number of samples, or lack the axis
 */
export function vmap<A extends unknown[], R>(f: (...inputs: A) => R, options?: VmapOptions): (...inputs: A) => R {
  checkArguments('vmap(f, options)', [is.callback, is.options], [f, options])
  if ((options as unknown) instanceof Tensor)
    throw new ArgumentError(
      'vmap: vmap(f, options) returns a function, which takes the tensors; write vmap(f)(x)',
      'vmap',
      'options',
      options,
    )
  const { in: axes, out } = settle('vmap(f, options)', options, vmapOptions)
  return (...inputs) => {
    const each = axesOf(inputs, axes)
    return mapped(new BatchLevel(samplesOf(inputs, each)), f, inputs, each, out) as R
  }
}

/**
 * `f` for each of several vectors, [n, ...shape] → [n, ...shape of a result], without a warning for operations that compute one
 * after the other.
 */
export const forEachOf = (vectors: Tensor, f: (vector: Tensor) => Tensor): Tensor =>
  mapped(new BatchLevel(vectors.shape[0], false), f, [vectors], [0], 0) as Tensor
