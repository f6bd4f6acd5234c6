// Is a gradient right? Finite differences, and four laws that need none. Each check throws when it fails and says what it
// found, so it stands in a test as it is or inside a fast-check property.

import fc from 'fast-check'
import { exact } from '../autograd/gradcheck.ts'
import { type GradcheckOptions, gradcheck, hvp, jvp, type TensorFunction, vjp } from '../autograd/index.ts'
import { device, fromData, isFloating, scope, show, type Tensor } from '../tensor/index.ts'

/** A gradient that is not what it should be; the message says where and by how much. */
export class GradientAssertionError extends Error {
  override readonly name = 'GradientAssertionError'
}

function assert(holds: boolean, message: () => string): asserts holds {
  if (!holds) throw new GradientAssertionError(message())
}

/**
 * Compares gradients with finite differences in float64 on `reference`.
 * @throws GradientAssertionError with the message of gradcheck
 */
export function checkGradients(f: TensorFunction, inputs: readonly Tensor[], options: GradcheckOptions = {}): void {
  const result = gradcheck(f, inputs, options)
  assert(result.ok, () => result.message)
}

/** Relative to the largest number compared: float64 arithmetic of a few hundred operations. */
const tolerance = 1e-9

const numbers = (xs: readonly Tensor[]): number[] => xs.flatMap(x => [...x.dataSync()])
const dot = (xs: readonly Tensor[], ys: readonly Tensor[]): number => {
  const b = numbers(ys)
  return numbers(xs).reduce((sum, a, i) => sum + a * b[i], 0)
}
const largest = (list: readonly number[]): number => list.reduce((a, b) => Math.max(a, Math.abs(b)), 1)

/** Vectors like some tensors, whose entries are irrational, of both signs and different for every n. */
const directions = (like: readonly Tensor[], n: number): Tensor[] =>
  like.map((x, j) =>
    fromData(
      Float64Array.from({ length: x.size }, (_, i) => Math.sin(1 + 2.399963 * (i + 1) + 1.324718 * n + j)),
      x.shape,
    ),
  )

/** f as a function of its floating inputs alone, in float64 on `reference`. */
function differentiable<T>(
  f: TensorFunction,
  inputs: readonly Tensor[],
  check: (f: TensorFunction, inputs: readonly Tensor[]) => T,
): T {
  return device.with('reference', () =>
    scope(() => {
      const all = inputs.map(exact)
      const floats = all.filter(x => isFloating(x.dtype))
      const partial = (...changed: Tensor[]) => f(...all.map(x => changed[floats.indexOf(x)] ?? x))
      return check(partial, floats)
    }, 'a check of gradients'),
  )
}

/** vᵀJ is linear in v: (2u - 3v)ᵀJ = 2 uᵀJ - 3 vᵀJ. */
export function checkLinear(f: TensorFunction, inputs: readonly Tensor[]): void {
  differentiable(f, inputs, (g, xs) => {
    const [value, pullback] = vjp(g, ...xs)
    const [[u], [v]] = [directions([value], 1), directions([value], 2)]
    const together = numbers(pullback(u.mul(2).sub(v.mul(3))))
    const [apartU, apartV] = [numbers(pullback(u)), numbers(pullback(v))]
    const apart = apartU.map((a, i) => 2 * a - 3 * apartV[i])
    const scale = largest([...apartU, ...apartV])
    apart.forEach((expected, i) => {
      assert(
        Math.abs(expected - together[i]) <= tolerance * scale,
        () => `the vjp is not linear: element ${i} of the gradient is ${together[i]}, of its parts ${expected}`,
      )
    })
  })
}

/** ⟨v, J u⟩ = ⟨Jᵀ v, u⟩: the forward derivative agrees with the one backwards. */
export function checkAdjoint(f: TensorFunction, inputs: readonly Tensor[]): void {
  differentiable(f, inputs, (g, xs) => {
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
  differentiable(f, inputs, (g, xs) => {
    const weighted = (...changed: Tensor[]) => {
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
  differentiable(f, inputs, (g, xs) => {
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

/** All four laws. */
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
  return fc.property(fc.tuple(...inputs), xs => {
    checkGradients(f, xs, { order: 2 })
    checkLaws(f, xs)
  })
}
