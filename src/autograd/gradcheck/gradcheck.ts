// Compares the gradients of the tape with finite differences, in float64. The result says where they differ and by how much, and whether the gradient is wrong or cannot be checked there.

import { checkArguments } from '../../tensor/arguments.ts'
import { given, isPromise } from '../../tensor/given.ts'
import { DeviceError, device, deviceOf, fromData, Generator, isFloating, scope, Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, type Settled, settle } from '../../tensor/options.ts'
import { concat } from '../ops/index.ts'
import { type TensorFunction, vjp } from '../transforms.ts'
import { type Comparison, compareWithDifferences, type DerivativeClaim, type Tolerance } from './differences.ts'
import { type Derivative, GradcheckFindings, type GradcheckResult, type Order } from './gradcheck-result.ts'

/** A function that can be checked: it maps tensors to one tensor or several. */
export type CheckedFunction = (...inputs: Tensor[]) => Tensor | readonly Tensor[]

/** Options of `gradcheck`. */
export interface GradcheckOptions {
  /** highest order of derivatives to check: 1, 2 (also gradients of gradients) or 3; default 1 */
  readonly order?: Order
  /**
   * projection (default): the derivatives of Σ w f with random weights w, in one backward pass; jacobian: the derivatives of
   * every element of the result, to find the element that is wrong
   */
  readonly mode?: 'projection' | 'jacobian'
  /** for large inputs: number of random directions per input to check instead of every element; with projection only */
  readonly directions?: number
  /**
   * first step of the differences, relative to an element above 1; default 1.137e-3, which is not a round number because a
   * periodic function may not change over one
   */
  readonly eps?: number
  /** absolute tolerance for derivatives of size 1 and more; proportionally less if all those of an input are smaller; default 1e-7 */
  readonly atol?: number
  /** relative tolerance; default 1e-5 */
  readonly rtol?: number
  /** seed of the random weights and directions; default 0 */
  readonly seed?: number
  /** where f runs, in float64: reference (default), which defines every operation, or cpu, which is faster for large functions */
  readonly device?: 'reference' | 'cpu'
}
const gradcheckOptions = {
  order: 1,
  mode: is.choice('projection', 'jacobian'),
  directions: undefined,
  eps: 1.137e-3,
  atol: 1e-7,
  rtol: 1e-5,
  seed: 0,
  device: is.choice('reference', 'cpu'),
} satisfies Settings<GradcheckOptions>

type Checks = Settled<GradcheckOptions, typeof gradcheckOptions>

/** Adds advice to the error for a tensor on another device that is not an input. */
export function advising<T>(advice: string, check: () => T): T {
  try {
    return check()
  } catch (error) {
    // an error with reasons has its advice already
    if (!(error instanceof DeviceError) || error.reasons.length > 0) throw error
    throw new DeviceError(error.message, error.device, [advice])
  }
}

/** A device that has float64 and whose values are read synchronously. */
export type ExactDevice = 'reference' | 'cpu'

/** Runs a check with this device as the one of new tensors, and frees what it made. */
export const checkedOn = <T>(on: ExactDevice, check: () => T): T =>
  advising(
    `the check runs on ${on}: create every other tensor of the function there, in device.with('${on}', …), or pass it as an input`,
    () => device.with(on, () => scope(check, 'a check of gradients')),
  )

/** The same with `reference`. */
export const onReference = <T>(check: () => T): T => checkedOn('reference', check)

/** The results of a function: one, or a list of them. @throws TypeError for anything else */
export function resultsOf(result: unknown): readonly Tensor[] {
  const list: readonly unknown[] = Array.isArray(result) ? result : [result]
  if (list.length > 0 && list.every(each => each instanceof Tensor)) return list
  const found = `${given(result)}${list.some(isPromise) ? ': it must not be async' : ''}`
  throw new TypeError(`the function to check must return a tensor or a list of tensors, not ${found}`)
}

/** An input as float64 on the device of the check; integers and booleans keep their dtype. */
function exact(x: Tensor): Tensor {
  const data = x.dataSync()
  const on = device.get()
  return isFloating(x.dtype) ? fromData(Float64Array.from(data), x.shape, on) : fromData(data, x.shape, on, x.dtype)
}

/** Random weights of both signs from 1/2 to 3/2, so that no sum of derivatives cancels. A single weight is 1. */
const weights = (n: number, generator: Generator): Float64Array =>
  n === 1
    ? Float64Array.of(1)
    : Float64Array.from({ length: n }, () => (generator.integer(2) === 0 ? -1 : 1) * (0.5 + generator.uniform()))

const vector = (data: Float64Array): Tensor => fromData(data, [data.length])
const asVector = (x: Tensor): Tensor => x.reshape([x.size])
const numbers = (x: Tensor): Float64Array => Float64Array.from(x.dataSync())
const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, x, i) => sum + x * b[i], 0)

/**
 * Compares derivatives computed by the tape with five-point differences. Inputs are converted to float64 on `reference`, or on the
 * device that is given, where `f` creates its new tensors too. A derivative that disagrees is compared again at shorter and longer steps, so that the
 * verdict says whether the gradient is wrong, does not exist (at a kink the slopes of the two sides differ), or cannot be
 * distinguished from rounding.
 * @param inputs floating inputs are checked, the others are passed on; on `reference` or `cpu`, which are read synchronously
 * @throws TypeError if no input is floating or f does not return tensors, RangeError for an invalid option, DeviceError if f
 *   uses a tensor on another device
 */
export function gradcheck(f: CheckedFunction, inputs: readonly Tensor[], options?: GradcheckOptions): GradcheckResult {
  const call = 'gradcheck(f, inputs, options)'
  checkArguments(call, [is.callback, is.tensors, is.options], [f, inputs, options])
  const checks = checkOptions(settle(call, options, gradcheckOptions))
  const { order, mode, seed, device: on } = checks
  if (!inputs.some(x => isFloating(x.dtype)))
    throw new TypeError(
      `gradcheck: at least one input must be float32 or float64, not ${inputs.map(x => x.dtype).join(', ')}`,
    )
  return checkedOn(on, () => {
    const all = inputs.map(exact)
    const floats = all.filter(x => isFloating(x.dtype))
    const check = new GradcheckFindings(inputs, on)
    // f as a vector of numbers that depends on the floating inputs only
    let level: TensorFunction = (...changed) => {
      const parts = resultsOf(f(...all.map(x => changed[floats.indexOf(x)] ?? x)))
      return parts.length === 1 ? asVector(parts[0]) : concat(parts.map(asVector))
    }
    check.sees(resultsOf(f(...all)))
    const generator = new Generator(seed)
    let within = 0
    for (let n = 1; n <= order; n++) {
      const [value, pullback] = vjp(level, ...floats)
      const w = weights(value.size, generator)
      const derivatives: Derivatives = { f: level, value: numbers(value), pullback, weights: w, within }
      if (!isRepeatable(derivatives, floats)) {
        check.isNotDeterministic(n as Order)
        break
      }
      const compared =
        mode === 'jacobian'
          ? byElementOfResult(derivatives, floats, checks)
          : byWeights(derivatives, floats, checks, generator)
      for (const each of compared) check.add(n as Order, each)
      within = Math.max(within, largest(derivatives.value))
      level = gradientOf(level, vector(w))
    }
    return check.result()
  })
}

function checkOptions(checks: Checks): Checks {
  const { order, mode, directions, eps, atol, rtol } = checks
  const demand = (holds: boolean, sentence: string) => {
    if (!holds) throw new RangeError(`gradcheck: ${sentence}`)
  }
  demand([1, 2, 3].includes(order), `the order must be 1, 2 or 3, not ${order}`)
  demand(eps > 0 && Number.isFinite(eps), `eps must be a number above 0, not ${eps}`)
  demand(atol >= 0 && rtol >= 0, `atol and rtol must be 0 or more, not ${atol} and ${rtol}`)
  if (directions === undefined) return checks
  demand(Number.isInteger(directions) && directions > 0, `directions must be a positive integer, not ${directions}`)
  demand(mode === 'projection', 'directions need the mode projection: the mode jacobian checks every element')
  return checks
}

/** The gradient of Σ w f as one vector, which the next order differentiates. */
const gradientOf =
  (f: TensorFunction, w: Tensor): TensorFunction =>
  (...xs) => {
    const [, pullback] = vjp(f, ...xs)
    return concat(pullback(w).map(asVector))
  }

/** A vector-valued function at a point, with its pullback. */
interface Derivatives {
  readonly f: TensorFunction
  readonly value: Float64Array
  readonly pullback: (v: Tensor) => Tensor[]
  readonly weights: Float64Array
  /** largest size of the results of the previous order */
  readonly within: number
}

/** Whether the same inputs give the same bits again, in the forward and the backward pass. */
function isRepeatable({ f, value, pullback, weights: w }: Derivatives, floats: readonly Tensor[]): boolean {
  return scope(() => {
    const [again, back] = vjp(f, ...floats)
    const same = (a: Float64Array, b: Float64Array) => a.every((x, i) => Object.is(x, b[i]))
    if (!same(value, numbers(again))) return false
    const [first, second] = [pullback(vector(w)), back(vector(w))]
    return first.every((g, i) => same(numbers(g), numbers(second[i])))
  })
}

type Compared = Comparison & Derivative

/** Compares every element of every input, or directions of an input, for the weighted sum of the result. */
function byWeights(
  { f, value, pullback, weights: w, within }: Derivatives,
  floats: readonly Tensor[],
  checks: Checks,
  generator: Generator,
): Compared[] {
  const gradients = scope(() => pullback(vector(w)).map(numbers))
  return floats.flatMap((x, input) => {
    const along = (all: readonly Moved[]): Compared[] => {
      const scale = largest(all.map(({ analytic }) => analytic))
      return all.map(({ moves, analytic, where }) => {
        const curve = curveOf(f, floats, input, moves)
        const claims = [{ of: w, analytic }]
        return { ...compare(curve, value, claims, stepOf(x, where, checks), { scale, within }, checks)[0], ...where }
      })
    }
    const { directions } = checks
    if (directions === undefined)
      return along(
        Array.from(gradients[input], (analytic, element) => ({
          moves: unit(x.size, element),
          analytic,
          where: { input, element },
        })),
      )
    if (x.size === 0) return []
    return along(
      Array.from({ length: directions }, (_, direction) => {
        const moves = weights(x.size, generator)
        return { moves, analytic: dot(gradients[input], moves), where: { input, direction } }
      }),
    )
  })
}

/** A direction of an input, and the derivative along it. */
interface Moved {
  readonly moves: Float64Array
  readonly analytic: number
  readonly where: Derivative
}

const largest = (list: readonly number[] | Float64Array): number =>
  Array.from(list).reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0)

/** Compares every element of every input for every element of the result. */
function byElementOfResult(
  { f, value, pullback, within }: Derivatives,
  floats: readonly Tensor[],
  checks: Checks,
): Compared[] {
  const rows = Array.from(value, (_, i) => scope(() => pullback(vector(unit(value.length, i))).map(numbers)))
  return floats.flatMap((x, input) => {
    const scale = largest(rows.map(row => largest(row[input])))
    return Array.from({ length: x.size }, (_, element) => {
      const where = { input, element }
      const claims = rows.map((row, output) => ({ of: output, analytic: row[input][element] }))
      const curve = curveOf(f, floats, input, unit(x.size, element))
      return compare(curve, value, claims, stepOf(x, where, checks), { scale, within }, checks).map((each, output) => ({
        ...each,
        ...where,
        output,
      }))
    }).flat()
  })
}

const compare = (
  curve: (t: number) => Float64Array,
  centre: Float64Array,
  claims: readonly DerivativeClaim[],
  step: number,
  sizes: Pick<Tolerance, 'scale' | 'within'>,
  { atol, rtol }: Checks,
): Comparison[] => compareWithDifferences(curve, centre, claims, step, { atol, rtol, ...sizes })

function unit(n: number, at: number): Float64Array {
  const vector = new Float64Array(n)
  vector[at] = 1
  return vector
}

/** A step that is large enough for the rounding of a large element. */
const stepOf = (x: Tensor, { element }: Derivative, { eps }: Checks): number =>
  element === undefined ? eps : eps * Math.max(1, Math.abs(x.dataSync()[element]))

/** f as one input moves along a vector. */
function curveOf(f: TensorFunction, floats: readonly Tensor[], input: number, moves: Float64Array) {
  const start = numbers(floats[input])
  const { shape } = floats[input]
  return (t: number): Float64Array =>
    scope(() => {
      const moved = fromData(
        start.map((x, i) => x + t * moves[i]),
        shape,
        deviceOf(floats[input]),
      )
      return numbers(f(...floats.with(input, moved)))
    })
}
