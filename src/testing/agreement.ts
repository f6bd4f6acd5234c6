// Compares two ways to compute the same: a fused operation and its definition, a function and its checkpoint, two layouts in
// memory, a device and the reference. A check throws an error that says where they differ.

import { advising, onReference, resultsOf } from '../autograd/gradcheck/gradcheck.ts'
import { type CheckedFunction, checkpoint, grad, type TensorFunction, vjp } from '../autograd/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import {
  type DeviceName,
  device,
  deviceOf,
  isFloating,
  scope,
  show,
  type Tensor,
  type TypedArray,
} from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import {
  allowed,
  assert,
  compare,
  directions,
  exact,
  exactly,
  float32,
  float64,
  isNear,
  joined,
  largest,
  memoryOf,
  numbers,
  ofFloats,
  sameView,
} from './exactly.ts'
import { layOut, layouts } from './layouts.ts'

/** Options of the functions that compare two computations. */
export interface SameOptions {
  /** 1 compares values and gradients; 2 (default) second derivatives too */
  readonly order?: number
  /** tolerance relative to the largest number compared; default 1e-9 */
  readonly tolerance?: number
}
const sameOptions = { order: 2, tolerance: float64.relative } satisfies Settings<SameOptions>

/** Checks that value, gradient and second derivatives of two functions are the same, in float64 on `reference`. */
export function checkSame(
  f: CheckedFunction,
  expected: CheckedFunction,
  inputs: readonly Tensor[],
  options?: SameOptions,
): void {
  const call = 'checkSame(f, expected, inputs, options)'
  checkArguments(call, [is.callback, is.callback, is.tensors], [f, expected, inputs])
  const { order, tolerance: relative } = settle(call, options, sameOptions)
  exactly(f, inputs, (g, xs) =>
    exactly(expected, inputs, h => {
      const madeOf = largest(numbers(xs))
      const size = largest(numbers([h(...xs)]))
      // a value above rounding is its own unit: the cube of a small value would vanish
      const unit = size > allowed(float64, 0, madeOf) ? size : 1
      for (const { what, derive, magnifies } of derivatives(xs, unit).slice(0, order + 1)) {
        const [actual, right] = [derive(g), derive(h)]
        actual.forEach((x, n) => {
          assert(
            show(x.shape) === show(right[n].shape),
            () =>
              `the ${what} has shape ${show(x.shape)}, but that of the other function has shape ${show(right[n].shape)}`,
          )
          const other = numbers([right[n]])
          const { rounding } = float64
          const distance = allowed({ relative, rounding: rounding * magnifies }, largest(other), madeOf)
          compare(
            numbers([x]),
            other,
            distance,
            (i, a, b) => `element ${i} of the ${what} is ${a}, but that of the other function is ${b}`,
          )
        })
      }
    }),
  )
}

interface Derived {
  readonly what: string
  /** factor by which rounding grows in it */
  readonly magnifies: number
  derive(f: TensorFunction): Tensor[]
}

/** Derivatives of order 0, 1 and 2. @param unit size of the values */
function derivatives(xs: readonly Tensor[], unit: number): Derived[] {
  const wrt = xs.map((_, i) => i)
  const gradient = (f: TensorFunction, ...ys: Tensor[]) => {
    const [value, pullback] = vjp(f, ...ys)
    return pullback(directions([value], 1)[0])
  }
  // cubed, so that the products of all pairs of elements count
  const cubed =
    (f: TensorFunction): TensorFunction =>
    (...ys) =>
      f(...ys)
        .div(unit)
        .pow(3)
        .sum()
  const slope =
    (f: TensorFunction): TensorFunction =>
    (...ys) =>
      grad(cubed(f), { wrt })(...ys)
        .map(g => g.square().sum())
        .reduce((a, b) => a.add(b))
  return [
    { what: 'value', magnifies: 1, derive: f => [f(...xs)] },
    { what: 'gradient', magnifies: 1, derive: f => gradient(f, ...xs) },
    { what: 'second derivative', magnifies: Math.max(1, 1 / unit), derive: f => grad(slope(f), { wrt })(...xs) },
  ]
}

const checkpointOptions = { order: 2 } satisfies Settings<Pick<SameOptions, 'order'>>

/** Checks that `checkpoint(f)`, which stores no intermediate values, has the value and derivatives of f. */
export const checkCheckpoint = (
  f: CheckedFunction,
  inputs: readonly Tensor[],
  options?: Pick<SameOptions, 'order'>,
): void => {
  const call = 'checkCheckpoint(f, inputs, options)'
  checkArguments(call, [is.callback, is.tensors], [f, inputs])
  const { order } = settle(call, options, checkpointOptions)
  const single: TensorFunction = (...xs) => joined(resultsOf(f(...xs)))
  checkSame(checkpoint(single), single, inputs, { order, tolerance: 1e-12 })
}

/** Whether gradients are compared too. */
export interface GradientsOption {
  /** whether to compare gradients; default true */
  readonly gradients?: boolean
}
const gradientsOption = { gradients: true } satisfies Settings<GradientsOption>

/**
 * Checks that the layout in memory changes nothing: value and gradient are the same for contiguous inputs, for the given layout,
 * and for the same numbers with axes reversed, backwards, with gaps between them, and as a part of a larger tensor.
 */
export function checkLayout(f: CheckedFunction, inputs: readonly Tensor[], options?: GradientsOption): void {
  const call = 'checkLayout(f, inputs, options)'
  checkArguments(call, [is.callback, is.tensors], [f, inputs])
  const { gradients } = settle(call, options, gradientsOption)
  onReference(() => {
    const given = inputs.map(exact)
    const on = device.get('reference')
    const laid = (n: number) =>
      given.map((x, i) => {
        const values = x.dataSync()
        // the values in the gaps show when an operation reads them
        const gap = isFloating(x.dtype) ? Number.NaN : 0
        return layOut(j => values[j], x.shape, layouts[(n === 0 ? 0 : n + i) % layouts.length], {
          dtype: x.dtype,
          on,
          gap,
        })
      })
    const right = outcomesOf(f, laid(0), gradients)
    const madeOf = largest(numbers([...given.filter(isFloat), ...right.map(({ tensor }) => tensor)]))
    for (const xs of [given, ...layouts.slice(1).map((_, n) => laid(n + 1))]) {
      const lies = () => xs.map(x => `${show(x.shape)} with strides ${show(x.strides)} from ${x.offset}`).join(', ')
      outcomesOf(f, xs, gradients).forEach(({ what, tensor }, n) => {
        const expected = right[n].tensor
        assert(
          show(tensor.shape) === show(expected.shape),
          () =>
            `the layout in memory changes the ${what}: for ${lies()} its shape is ${show(tensor.shape)}, else ${show(expected.shape)}`,
        )
        const other = numbers([expected])
        compare(
          numbers([tensor]),
          other,
          allowed(float64, largest(other), madeOf),
          (i, a, b) =>
            `the layout in memory changes the ${what}: for ${lies()} element ${i} is ${a}, for contiguous inputs ${b}`,
        )
      })
    }
  })
}

/**
 * Checks that value and gradient on a device are those on `reference`, for inputs with their layout in memory: in float32, and in
 * float64 if the device has it. They may differ by rounding: in float32 by 10⁻⁵ of the largest element and 5 · 10⁻⁷ of the largest input
 * or result, and where that is not enough, by four times the error of `reference` itself, as measured against float64.
 * @param name name of a device, which is opened if it is not open
 * @throws GradientAssertionError if they differ, DeviceError if the device cannot be opened
 */
export async function checkDevice(
  f: CheckedFunction,
  inputs: readonly Tensor[],
  name: DeviceName,
  options?: GradientsOption,
): Promise<void> {
  const call = 'checkDevice(f, inputs, name, options)'
  checkArguments(call, [is.callback, is.tensors, is.text], [f, inputs, name])
  const { gradients } = settle(call, options, gradientsOption)
  await device.open(name)
  for (const dtype of ['float32', 'float64'] as const)
    if (device.get(name).dtypes.includes(dtype)) await compareWithReference(f, inputs, name, gradients, dtype)
}

async function compareWithReference(
  f: CheckedFunction,
  inputs: readonly Tensor[],
  name: DeviceName,
  gradients: boolean,
  dtype: 'float32' | 'float64',
): Promise<void> {
  const precision = dtype === 'float32' ? float32 : float64
  const where = dtype === 'float32' ? `on ${name}` : `on ${name}, in float64,`
  const memories = await Promise.all(inputs.map(x => inType(x, dtype)))
  const advice = `the check runs on ${name} and on reference: pass every other tensor of the function as an input, too`
  // the values to read are fixed when reading begins, so the memory can be freed then
  const compute = (on: DeviceName, from: readonly TypedArray[] = memories) =>
    scope(() =>
      device.with(on, () => {
        const moved = inputs.map((x, i) => sameView(x, from[i], device.get(on)))
        const outcomes = advising(advice, () => outcomesOf(f, moved, gradients))
        return outcomes.map(({ what, tensor: x }) => ({
          what,
          kind: `${x.dtype} ${show(x.shape)}`,
          isExact: !isFloating(x.dtype),
          reading: x.data(),
        }))
      }),
    )
  const [actual, expected] = [compute(name), compute('reference')]
  const right = await Promise.all(expected.map(({ reading }) => reading))
  const isValue = (n: number) => !expected[n].what.startsWith('gradient')
  const madeOf = Math.max(
    ...memories.filter((_, i) => isFloat(inputs[i])).map(largest),
    ...right.filter((_, n) => isValue(n)).map(largest),
  )
  // measured only where the usual bound is too small
  let roundings: Promise<readonly number[]> | undefined
  for (const [n, { what, kind, isExact, reading }] of actual.entries()) {
    assert(kind === expected[n].kind, () => `${where} the ${what} is ${kind}, on reference ${expected[n].kind}`)
    const found = await reading
    let distance = isExact ? 0 : allowed(precision, largest(right[n]), madeOf)
    if (found.every((a, i) => isNear(a, right[n][i], distance))) continue
    if (!isExact && dtype === 'float32') {
      roundings ??= roundingOf(memories, from => compute('reference', from).map(outcome => outcome.reading))
      distance += ROUNDINGS * (await roundings)[n]
    }
    compare(found, right[n], distance, (i, a, b) => `${where} element ${i} of the ${what} is ${a}, on reference ${b}`)
  }
}

/** How many times the rounding of the reference may be the difference from it: its own, and that of another order of operations. */
const ROUNDINGS = 4

/**
 * The error of each result in float32, in its largest element, as measured against float64: the largest of several places near
 * the inputs. It is far above that of the inputs where a result is a small difference of large numbers: p (g - Σ p g), the gradient
 * of softmax, loses what all g have in common, up to the rounding of Σ p.
 */
async function roundingOf(
  memories: readonly TypedArray[],
  compute: (memories: readonly TypedArray[]) => readonly Promise<TypedArray>[],
): Promise<readonly number[]> {
  const most: number[] = []
  for (let place = 0; place < 8; place++) {
    // zeros stay, and numbers that are equal
    const shift = (x: number) => x * (1 + place * 2 ** -16 * Math.sin(1e6 * x + place))
    const near = memories.map(memory => (memory instanceof Float32Array ? memory.map(shift) : memory))
    const wide = near.map(memory => (memory instanceof Float32Array ? Float64Array.from(memory) : memory))
    const [rounded, precise] = await Promise.all([near, wide].map(from => Promise.all(compute(from))))
    for (const [n, list] of rounded.entries())
      most[n] = Math.max(most[n] ?? 0, largest(Float64Array.from(list, (x, i) => x - precise[n][i])))
  }
  return most
}

const isFloat = (x: Tensor): boolean => isFloating(x.dtype)

interface Outcome {
  readonly what: string
  readonly tensor: Tensor
}

/** All results of f, and the gradients of its floating inputs. */
function outcomesOf(f: CheckedFunction, inputs: readonly Tensor[], withGradients: boolean): Outcome[] {
  let results: readonly Tensor[] = []
  let gradients: readonly Tensor[] = []
  if (withGradients) {
    const floats = inputs.filter(x => isFloating(x.dtype))
    const g = ofFloats(f, inputs, floats)
    const [y, pullback] = vjp(
      (...changed) => {
        results = resultsOf(g(...changed))
        return joined(results)
      },
      ...floats,
    )
    gradients = pullback(y.mul(0.5).add(0.25))
  } else results = resultsOf(f(...inputs))
  return [
    ...results.map((tensor, n) => ({ what: results.length === 1 ? 'value' : `value ${n}`, tensor })),
    ...gradients.map((tensor, n) => ({ what: `gradient ${n}`, tensor })),
  ]
}

/** The whole memory of a tensor, with floating numbers as float32 or float64. */
async function inType(x: Tensor, dtype: 'float32' | 'float64'): Promise<TypedArray> {
  const memory = await deviceOf(x).read(memoryOf(x))
  if (!isFloating(x.dtype)) return memory
  return dtype === 'float32' ? Float32Array.from(memory) : Float64Array.from(memory)
}
