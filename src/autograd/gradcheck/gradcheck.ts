// Is a gradient right? The tape against differences, in float64 on the reference device, and what was found: where, how
// far off, and whether the gradient is wrong or the question.

import { checkArguments } from '../../tensor/arguments.ts'
import { given, isPromise } from '../../tensor/given.ts'
import { DeviceError, device, deviceOf, fromData, Generator, isFloating, scope, Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, type Settled, settle } from '../../tensor/options.ts'
import { concat } from '../ops/index.ts'
import { type TensorFunction, vjp } from '../transforms.ts'
import { type Comparison, compareWithDifferences, type DerivativeClaim, type Tolerance } from './differences.ts'
import { type Derivative, GradcheckFindings, type GradcheckResult, type Order } from './gradcheck-result.ts'

/** A function that can be checked: of tensors, to one or several. */
export type CheckedFunction = (...inputs: Tensor[]) => Tensor | readonly Tensor[]

export interface GradcheckOptions {
  /** 1 checks the gradient, 2 also the gradient of the gradient, 3 also that of the second; default 1 */
  readonly order?: Order
  /**
   * projection: the derivatives of Σ w f with random weights w, one walk back for all (default); jacobian: those of every
   * element of the result, which says which element is wrong
   */
  readonly mode?: 'projection' | 'jacobian'
  /** for large inputs: instead of every element, so many random directions an input; with projection only */
  readonly directions?: number
  /**
   * first step of the differences, relative to an element above 1; default 1.137e-3, no round number, at which something
   * periodic might stand still
   */
  readonly eps?: number
  /** of derivatives of size one and more; where all by one input are smaller, as much less; default 1e-7 */
  readonly atol?: number
  /** default 1e-5 */
  readonly rtol?: number
  /** of weights and directions; default 0 */
  readonly seed?: number
}
const gradcheckOptions = {
  order: 1,
  mode: is.choice('projection', 'jacobian'),
  directions: undefined,
  eps: 1.137e-3,
  atol: 1e-7,
  rtol: 1e-5,
  seed: 0,
} satisfies Settings<GradcheckOptions>

type Checks = Settled<GradcheckOptions, typeof gradcheckOptions>

/** Says what to do where a tensor that is no input stays on another device. */
export function advising<T>(advice: string, check: () => T): T {
  try {
    return check()
  } catch (error) {
    // one with reasons has been told already
    if (!(error instanceof DeviceError) || error.reasons.length > 0) throw error
    throw new DeviceError(error.message, error.device, [advice])
  }
}

/** Runs a check with new tensors going to `reference`, and gives back what it makes. */
export const onReference = <T>(check: () => T): T =>
  advising(
    "the check runs on reference: make what the function uses besides its inputs there, in device.with('reference', …), or pass it as an input",
    () => device.with('reference', () => scope(check, 'a check of gradients')),
  )

/** The results of a function: one, or a list of them. @throws TypeError for anything else */
export function resultsOf(result: unknown): readonly Tensor[] {
  const list: readonly unknown[] = Array.isArray(result) ? result : [result]
  if (list.length > 0 && list.every(each => each instanceof Tensor)) return list
  const found = `${given(result)}${list.some(isPromise) ? ': it may not wait' : ''}`
  throw new TypeError(`what is checked gives a tensor or a list of tensors, not ${found}`)
}

/** An input as float64 on `reference`; integers and booleans stay what they are. */
export function exact(x: Tensor): Tensor {
  const data = x.dataSync()
  const on = device.get('reference')
  return isFloating(x.dtype) ? fromData(Float64Array.from(data), x.shape, on) : fromData(data, x.shape, on, x.dtype)
}

/** Numbers that no sum of derivatives cancels under: of both signs, from 1/2 to 3/2. One alone is 1: there is no sum. */
const weights = (n: number, generator: Generator): Float64Array =>
  n === 1
    ? Float64Array.of(1)
    : Float64Array.from({ length: n }, () => (generator.integer(2) === 0 ? -1 : 1) * (0.5 + generator.uniform()))

const vector = (data: Float64Array): Tensor => fromData(data, [data.length], device.get('reference'))
const asVector = (x: Tensor): Tensor => x.reshape([x.size])
const numbers = (x: Tensor): Float64Array => Float64Array.from(x.dataSync())
const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, x, i) => sum + x * b[i], 0)

/**
 * Compares derivatives by the tape with five-point differences. Inputs are taken to float64 on `reference`, and new tensors
 * that `f` makes go there too. Where a difference disagrees it is taken again in shorter and longer steps, so that a verdict
 * says whether the gradient is wrong, or whether there is none (at a kink the two sides differ, and no gradient is right), or
 * whether rounding hides it.
 * @param inputs floating ones are checked, the others passed on; on `reference` or `cpu`, which can be read at once
 * @throws TypeError where no input is floating or f gives no tensor, RangeError for an option that cannot be, DeviceError where f
 *   uses a tensor of another device
 */
export function gradcheck(f: CheckedFunction, inputs: readonly Tensor[], options?: GradcheckOptions): GradcheckResult {
  const call = 'gradcheck(f, inputs, options)'
  checkArguments(call, [is.callback, is.tensors, is.options], [f, inputs, options])
  const checks = checkOptions(settle(call, options, gradcheckOptions))
  const { order, mode, seed } = checks
  if (!inputs.some(x => isFloating(x.dtype)))
    throw new TypeError(`gradcheck: nothing to differentiate among inputs of ${inputs.map(x => x.dtype).join(', ')}`)
  return onReference(() => {
    const all = inputs.map(exact)
    const floats = all.filter(x => isFloating(x.dtype))
    const check = new GradcheckFindings(inputs)
    // f as a vector of numbers that depends on floating inputs alone
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
  demand([1, 2, 3].includes(order), `the order is 1, 2 or 3, not ${order}`)
  demand(eps > 0 && Number.isFinite(eps), `eps is a number above 0, not ${eps}`)
  demand(atol >= 0 && rtol >= 0, `atol and rtol are 0 or more, not ${atol} and ${rtol}`)
  if (directions === undefined) return checks
  demand(Number.isInteger(directions) && directions > 0, `directions is a positive integer, not ${directions}`)
  demand(mode === 'projection', 'directions are for projection: jacobian checks every element')
  return checks
}

/** All of ∂(Σ w f) as one vector: what the next order differentiates. */
const gradientOf =
  (f: TensorFunction, w: Tensor): TensorFunction =>
  (...xs) => {
    const [, pullback] = vjp(f, ...xs)
    return concat(pullback(w).map(asVector))
  }

/** A vector-valued function at a point, and the way back from there. */
interface Derivatives {
  readonly f: TensorFunction
  readonly value: Float64Array
  readonly pullback: (v: Tensor) => Tensor[]
  readonly weights: Float64Array
  /** largest size of the results that it is a derivative of */
  readonly within: number
}

/** Whether the same inputs give the same bits again, forwards and back. */
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

/** Every element of every input, for the weighted sum of the result; or directions of an input. */
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

/** A way to move an input, and the derivative along it. */
interface Moved {
  readonly moves: Float64Array
  readonly analytic: number
  readonly where: Derivative
}

const largest = (list: readonly number[] | Float64Array): number =>
  Array.from(list).reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0)

/** Every element of every input, for every element of the result. */
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

/** A step that is not lost in the digits of a large element. */
const stepOf = (x: Tensor, { element }: Derivative, { eps }: Checks): number =>
  element === undefined ? eps : eps * Math.max(1, Math.abs(x.dataSync()[element]))

/** f while one input moves along a vector. */
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
