// Is a gradient right? Finite differences in float64 on the reference device against the tape, element by element.

import { device, deviceOf, fromData, isFloating, scope, show, type Tensor } from '../tensor/index.ts'
import { type TensorFunction, vjp } from './transforms.ts'

export interface GradcheckOptions {
  /** 1 checks the gradient, 2 also the gradient of the gradient; default 1 */
  readonly order?: 1 | 2
  /** step of the differences, default 1e-3: five points are taken, so the error falls with its fourth power */
  readonly eps?: number
  /** default 1e-7 */
  readonly atol?: number
  /** default 1e-5 */
  readonly rtol?: number
}

/** One element in which the tape and the differences disagree. */
export interface GradientMismatch {
  readonly order: 1 | 2
  readonly input: number
  readonly element: readonly number[]
  readonly analytic: number
  readonly numeric: number
  /** |analytic - numeric| over the tolerance: above 1 it is a mismatch */
  readonly ratio: number
}

export interface GradcheckResult {
  readonly ok: boolean
  /** largest error over tolerance that was met */
  readonly worst: number
  /** number of derivatives compared */
  readonly checked: number
  readonly mismatches: readonly GradientMismatch[]
  /** says in words what was found */
  readonly message: string
}

/** An input as float64 on `reference`; integers and booleans stay what they are. */
export function exact(x: Tensor): Tensor {
  const data = x.dataSync()
  return fromData(isFloating(x.dtype) ? Float64Array.from(data) : data, x.shape, device.get('reference'))
}

/** Weights that no sum of derivatives cancels under: irrational, of both signs, none near 0. */
function weightsFor(x: Tensor): Tensor {
  const data = Float64Array.from(
    { length: x.size },
    (_, i) => (i % 2 === 0 ? 1 : -1) * (0.5 + ((i * 0.6180339887498949) % 1)),
  )
  return fromData(data, x.shape, deviceOf(x))
}

/** Position of a flat index in a shape. */
function unravel(flat: number, shape: readonly number[]): number[] {
  const position = new Array<number>(shape.length)
  let rest = flat
  for (let i = shape.length - 1; i >= 0; i--) {
    position[i] = rest % shape[i]
    rest = Math.floor(rest / shape[i])
  }
  return position
}

/**
 * Compares the gradients of `f` with finite differences. The result of `f` is weighted with fixed irrational numbers
 * and summed, so that functions of any shape can be checked; inputs are taken to float64 on `reference`, and new tensors
 * that `f` makes go there too.
 * @param f should be smooth near the inputs: at a kink the two sides differ and no gradient is right
 * @param inputs floating ones are checked, the others passed on
 */
export function gradcheck(
  f: TensorFunction,
  inputs: readonly Tensor[],
  options: GradcheckOptions = {},
): GradcheckResult {
  const { order = 1, eps = 1e-3, atol = 1e-7, rtol = 1e-5 } = options
  return device.with('reference', () =>
    scope(() => {
      const xs = inputs.map(exact)
      const mismatches: GradientMismatch[] = []
      let worst = 0
      let checked = 0

      const compare = (g: TensorFunction, level: 1 | 2) => {
        const floats = xs.map((_, i) => i).filter(i => isFloating(xs[i].dtype))
        const partial = (...changed: Tensor[]) =>
          g(...xs.map((x, i) => (floats.includes(i) ? changed[floats.indexOf(i)] : x)))
        const [value, pullback] = vjp(partial, ...floats.map(i => xs[i]))
        const weights = weightsFor(value)
        const analytic = pullback(weights)
        const weigh = (at: number, flat: number, step: number): number =>
          scope(() => {
            const moved = xs[at].dataSync()
            moved[flat] += step
            const result = g(...xs.map((x, i) => (i === at ? fromData(moved, x.shape, deviceOf(x)) : x)))
            return result.mul(weights).sum().dataSync()[0]
          })
        floats.forEach((input, n) => {
          const gradient = analytic[n].dataSync()
          for (let flat = 0; flat < gradient.length; flat++) {
            const difference = (h: number) => weigh(input, flat, h) - weigh(input, flat, -h)
            const numeric = (8 * difference(eps) - difference(2 * eps)) / (12 * eps)
            const error = Math.abs(gradient[flat] - numeric)
            const ratio = error / (atol + rtol * Math.abs(numeric))
            checked++
            // a NaN on either side is no agreement
            if (!(ratio <= 1)) {
              const element = unravel(flat, xs[input].shape)
              mismatches.push({ order: level, input, element, analytic: gradient[flat], numeric, ratio })
            }
            worst = Number.isNaN(ratio) ? Number.POSITIVE_INFINITY : Math.max(worst, ratio)
          }
        })
      }

      compare(f, 1)
      if (order === 2) {
        // the gradient itself as a function: weighted by v, by every input, laid end to end
        compare((...changed) => {
          const floats = changed.filter(x => isFloating(x.dtype))
          const inner = (...leaves: Tensor[]) =>
            f(...changed.map(x => (floats.includes(x) ? leaves[floats.indexOf(x)] : x)))
          const [value, pullback] = vjp(inner, ...floats)
          return pullback(weightsFor(value))
            .map(g => g.mul(weightsFor(g)).sum())
            .reduce((a, b) => a.add(b))
        }, 2)
      }
      return { ok: mismatches.length === 0, worst, checked, mismatches, message: describe(checked, mismatches, xs) }
    }, 'gradcheck'),
  )
}

function describe(checked: number, mismatches: readonly GradientMismatch[], inputs: readonly Tensor[]): string {
  if (mismatches.length === 0) return `${checked} derivatives agree with finite differences`
  const lines = mismatches
    .slice(0, 5)
    .map(
      ({ order, input, element, analytic, numeric, ratio }) =>
        `order ${order}, input ${input} ${show(inputs[input].shape)} at ${show(element)}: ` +
        `the tape says ${analytic}, differences say ${numeric} (${ratio.toPrecision(3)} times the tolerance)`,
    )
  return [`${mismatches.length} of ${checked} derivatives disagree with finite differences`, ...lines].join('\n  ')
}
