// What is true of every right gradient, whatever the function: laws that need no finite differences, hold to the last
// digits of float64, and see what differences do not. A check throws when its law is broken and says what it found.

import fc from 'fast-check'
import { type GradcheckOptions, gradcheck, hvp, jvp, type TensorFunction, vjp } from '../autograd/index.ts'
import { show, type Tensor, zerosLike } from '../tensor/index.ts'
import { readable } from './arbitraries/readable.ts'
import { assert, directions, dot, exactly, largest, numbers } from './exactly.ts'

/** Relative to the largest number compared: float64 arithmetic of a few hundred operations. */
const tolerance = 1e-9

/**
 * Compares gradients with finite differences in float64 on `reference`.
 * @throws GradientAssertionError with the message of gradcheck
 */
export function checkGradients(f: TensorFunction, inputs: readonly Tensor[], options: GradcheckOptions = {}): void {
  const result = gradcheck(f, inputs, options)
  assert(result.ok, () => result.message)
}

/** vᵀJ is linear in v: (2u - 3v)ᵀJ = 2 uᵀJ - 3 vᵀJ, and 0ᵀJ = 0. */
export function checkLinear(f: TensorFunction, inputs: readonly Tensor[]): void {
  exactly(f, inputs, (g, xs) => {
    const [value, pullback] = vjp(g, ...xs)
    const [[u], [v]] = [directions([value], 1), directions([value], 2)]
    const together = numbers(pullback(u.mul(2).sub(v.mul(3))))
    const [apartU, apartV] = [numbers(pullback(u)), numbers(pullback(v))]
    const scale = largest([...apartU, ...apartV])
    together.forEach((found, i) => {
      const expected = 2 * apartU[i] - 3 * apartV[i]
      assert(
        Math.abs(expected - found) <= tolerance * scale,
        () => `the vjp is not linear: element ${i} of the gradient is ${found}, of its parts ${expected}`,
      )
    })
    numbers(pullback(zerosLike(value))).forEach((found, i) => {
      assert(found === 0, () => `the vjp of zero is not zero: element ${i} of the gradient is ${found}`)
    })
  })
}

/** ⟨v, J u⟩ = ⟨Jᵀ v, u⟩: the forward derivative agrees with the one backwards. */
export function checkAdjoint(f: TensorFunction, inputs: readonly Tensor[]): void {
  exactly(f, inputs, (g, xs) => {
    const u = directions(xs, 1)
    const [value, forward] = jvp(g, xs, u)
    const v = directions([value], 2)
    const back = vjp(g, ...xs)[1](v[0])
    const [left, right] = [dot(v, [forward]), dot(back, u)]
    assert(
      Math.abs(left - right) <= tolerance * largest([...numbers([forward]), ...numbers(back)]) * (1 + value.size),
      () => `⟨v, J u⟩ is ${left} and ⟨Jᵀ v, u⟩ is ${right}, for a result of shape ${show(value.shape)}`,
    )
  })
}

/** uᵀ H v = vᵀ H u, for the Hessian of the weighted sum of what f computes. */
export function checkSymmetric(f: TensorFunction, inputs: readonly Tensor[]): void {
  exactly(f, inputs, (g, xs) => {
    const weighted: TensorFunction = (...changed) => {
      const value = g(...changed)
      return value.mul(directions([value], 3)[0]).sum()
    }
    const [u, v] = [directions(xs, 1), directions(xs, 2)]
    const [hu, hv] = [hvp(weighted, xs, u), hvp(weighted, xs, v)]
    const [left, right] = [dot(u, hv), dot(v, hu)]
    assert(
      Math.abs(left - right) <= tolerance * largest([...numbers(hu), ...numbers(hv)]) * (1 + numbers(xs).length),
      () => `the Hessian is not symmetric: uᵀ H v is ${left} and vᵀ H u is ${right}`,
    )
  })
}

/** The same twice gives the same bits, forwards and back. */
export function checkRepeatable(f: TensorFunction, inputs: readonly Tensor[]): void {
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

/** The four laws. */
export function checkLaws(f: TensorFunction, inputs: readonly Tensor[]): void {
  checkLinear(f, inputs)
  checkAdjoint(f, inputs)
  checkSymmetric(f, inputs)
  checkRepeatable(f, inputs)
}

/**
 * A fast-check property: the gradients of `f`, first and second order, are those of finite differences, and the laws hold.
 *
 *     fc.assert(gradientProperty(swish, tensor({ awayFrom: [0] })))
 *
 * @param inputs an arbitrary for every argument of f
 */
export function gradientProperty(
  f: TensorFunction,
  ...inputs: readonly fc.Arbitrary<Tensor>[]
): fc.IProperty<[Tensor[]]> {
  return fc.property(readable(fc.tuple(...inputs)), xs => {
    checkGradients(f, xs, { order: 2 })
    checkLaws(f, xs)
  })
}
