// Laws that hold for the correct gradient of every function. They need no finite differences, hold to the precision of float64,
// and detect errors that differences do not. A check throws an error that says how its law is violated.

import fc from 'fast-check'
import { onReference } from '../autograd/gradcheck/gradcheck.ts'
import {
  type CheckedFunction,
  type GradcheckOptions,
  type GradcheckResult,
  gradcheck,
  hvp,
  jvp,
  type TensorFunction,
  vjp,
} from '../autograd/index.ts'
import { show, type Tensor, zerosLike } from '../tensor/index.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { checkLayout } from './agreement.ts'
import { readable } from './arbitraries/readable.ts'
import { allowed, assert, compare, directions, dot, exactly, float64, largest, numbers } from './exactly.ts'

/**
 * Compares gradients with finite differences in float64 on `reference`.
 * @throws GradientAssertionError with the message of gradcheck
 */
export function checkGradients(f: CheckedFunction, inputs: readonly Tensor[], options?: GradcheckOptions): void {
  onReference(() => {
    const result = gradcheck(f, inputs, options)
    assert(result.ok, () => [result.message, ...adviceFor(result, inputs)].join('\n'))
  })
}

/** Advice on how to keep samples away from the kinks and poles that were found. */
function adviceFor({ verdict, mismatches }: GradcheckResult, inputs: readonly Tensor[]): string[] {
  if (verdict !== 'not differentiable here' && verdict !== 'not finite') return []
  const places = mismatches.flatMap(({ input, element }) => {
    if (element === undefined) return []
    const x = inputs[input]
    return [
      ...x
        .view(
          [],
          [],
          element.reduce((at, n, axis) => at + n * x.strides[axis], x.offset),
        )
        .dataSync(),
    ]
  })
  const some = [...new Set(places)].slice(0, 3)
  const kinks = some.length === 0 ? '…' : some.join(', ')
  return [`  keep samples away from it with awayFrom: [${kinks}] or another domain; from ties, with distinct: true`]
}

/** vᵀJ is linear in v: (2u - 3v)ᵀJ = 2 uᵀJ - 3 vᵀJ, and 0ᵀJ = 0. */
export function checkLinear(f: CheckedFunction, inputs: readonly Tensor[]): void {
  exactly(f, inputs, (g, xs) => {
    const [value, pullback] = vjp(g, ...xs)
    const [[u], [v]] = [directions([value], 1), directions([value], 2)]
    const together = pullback(u.mul(2).sub(v.mul(3)))
    const [apartU, apartV] = [pullback(u), pullback(v)]
    const madeOf = largest(numbers([...xs, value]))
    together.forEach((found, n) => {
      const [partsU, partsV] = [numbers([apartU[n]]), numbers([apartV[n]])]
      compare(
        numbers([found]),
        partsU.map((part, i) => 2 * part - 3 * partsV[i]),
        allowed(float64, largest([...partsU, ...partsV]), madeOf),
        (i, a, b) => `the vjp is not linear: element ${i} of the gradient is ${a}, but the sum of its parts is ${b}`,
      )
    })
    numbers(pullback(zerosLike(value))).forEach((found, i) => {
      assert(found === 0, () => `the vjp of zero is not zero: element ${i} of the gradient is ${found}`)
    })
  })
}

/** ⟨v, J u⟩ = ⟨Jᵀ v, u⟩: the forward and the reverse derivative agree. */
export function checkAdjoint(f: CheckedFunction, inputs: readonly Tensor[]): void {
  exactly(f, inputs, (g, xs) => {
    const u = directions(xs, 1)
    const [value, forward] = jvp(g, xs, u)
    const v = directions([value], 2)
    const back = vjp(g, ...xs)[1](v[0])
    const [left, right] = [dot(v, [forward]), dot(back, u)]
    assert(
      agree(left, right, xs),
      () => `⟨v, J u⟩ is ${left.sum} and ⟨Jᵀ v, u⟩ is ${right.sum}, for a result of shape ${show(value.shape)}`,
    )
  })
}

/** uᵀ H v = vᵀ H u, for the Hessian H of a weighted sum of the results of f. */
export function checkSymmetric(f: CheckedFunction, inputs: readonly Tensor[]): void {
  exactly(f, inputs, (g, xs) => {
    const weighted: TensorFunction = (...changed) => {
      const value = g(...changed)
      return value.mul(directions([value], 3)[0]).sum()
    }
    const [u, v] = [directions(xs, 1), directions(xs, 2)]
    const [hu, hv] = [hvp(weighted, xs, u), hvp(weighted, xs, v)]
    const [left, right] = [dot(u, hv), dot(v, hu)]
    assert(
      agree(left, right, xs),
      () => `the Hessian is not symmetric: uᵀ H v is ${left.sum} and vᵀ H u is ${right.sum}`,
    )
  })
}

/** Whether two sums are equal, up to the rounding of their terms. */
function agree(left: Dot, right: Dot, inputs: readonly Tensor[]): boolean {
  const list = numbers(inputs)
  // every element of the inputs is rounded separately
  const rounding = float64.rounding * (1 + list.length)
  const distance = allowed({ ...float64, rounding }, left.terms + right.terms, largest(list))
  return Math.abs(left.sum - right.sum) <= distance
}

type Dot = ReturnType<typeof dot>

/** The same inputs give the same bits again, in the forward and the backward pass. */
export function checkRepeatable(f: CheckedFunction, inputs: readonly Tensor[]): void {
  exactly(f, inputs, (g, xs) => {
    const once = () => {
      const [value, pullback] = vjp(g, ...xs)
      return numbers([value, ...pullback(directions([value], 1)[0])])
    }
    const [first, second] = [once(), once()]
    first.forEach((x, i) => {
      assert(Object.is(x, second[i]), () => `the same inputs gave ${x} and then ${second[i]}`)
    })
  })
}

/** Options of `checkLaws`. */
export interface LawsOptions {
  /** highest order of gradients; default 2 */
  readonly order?: number
}
const lawsOptions = { order: 2 } satisfies Settings<LawsOptions>

/** All of these laws and `checkLayout`; below order 2 without the symmetry of second derivatives. */
export function checkLaws(f: CheckedFunction, inputs: readonly Tensor[], options?: LawsOptions): void {
  const { order } = settle('checkLaws(f, inputs, options)', options, lawsOptions)
  checkLinear(f, inputs)
  checkAdjoint(f, inputs)
  if (order > 1) checkSymmetric(f, inputs)
  checkRepeatable(f, inputs)
  checkLayout(f, inputs)
}

/**
 * A fast-check property: the gradients of `f`, of first and second order, agree with finite differences, and the laws hold.
 *
 *     fc.assert(gradientProperty(swish, tensor({ awayFrom: [0] })))
 *
 * @param inputs an arbitrary for every argument of f
 */
export function gradientProperty(
  f: CheckedFunction,
  ...inputs: readonly fc.Arbitrary<Tensor>[]
): fc.IProperty<[Tensor[]]> {
  return fc.property(readable(fc.tuple(...inputs)), xs => {
    checkGradients(f, xs, { order: 2 })
    checkLaws(f, xs)
  })
}
