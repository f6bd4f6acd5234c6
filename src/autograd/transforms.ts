// Transforms of functions: gradients, and products with Jacobians and Hessians. All of them use tapes.

import { checkArguments, checkEach } from '../tensor/arguments.ts'
import { ArgumentError, allocate, deviceOf, fromData, isFloating, scope, Tensor, zerosLike } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { checkPosition, checkResult, checkVectors, floatingOf, oneOf, returnedBy } from './checks.ts'
import { identity, stack } from './ops/index.ts'
import { orZeros, Tape } from './tape.ts'

/** A function of tensors that returns one tensor. */
export type TensorFunction = (...inputs: Tensor[]) => Tensor

/** The arguments to differentiate with respect to, by position. */
export interface WrtOptions<W extends number | readonly number[] = number> {
  readonly wrt?: W
}
const wrtOptions = {
  wrt: is.optional(new is.Kind<number | readonly number[]>('a position or a list of positions', is.axes.fits)),
} satisfies Settings<WrtOptions<number | readonly number[]>>

type Gradients<W> = W extends readonly number[] ? Tensor[] : Tensor

/** The positions in `options.wrt`; default the first argument. */
function wrtOf(name: string, f: unknown, options: WrtOptions<number | readonly number[]> | undefined) {
  const call = `${name}(f, options)`
  checkArguments(call, [is.callback, is.options], [f, options])
  if ((options as unknown) instanceof Tensor)
    throw new ArgumentError(
      `${name}: ${call} returns a function, which takes the tensors; write ${name}(f)(x)`,
      name,
      'options',
      options,
    )
  return settle(call, options, wrtOptions).wrt ?? 0
}

/** Runs f on its own tape, with a distinct tensor for each input, and gives the caller what `use` returns. */
function onTape<R>(
  name: string,
  f: TensorFunction,
  inputs: readonly Tensor[],
  use: (tape: Tape, leaves: Tensor[], result: Tensor) => R,
): R {
  // an input may be passed twice, or be watched by an outer tape: its identity makes it a separate leaf here
  const leaves = inputs.map(x => identity(x))
  const tape = new Tape()
  try {
    for (const leaf of leaves) if (isFloating(leaf.dtype)) tape.watch(leaf)
    const used = use(
      tape,
      leaves,
      tape.run(() => returnedBy(name, f(...leaves))),
    )
    tape.end(used)
    return used
  } finally {
    tape.end()
  }
}

/** The gradient of a function's value: zeros if it is constant, such as the gradient of a linear function. */
const gradientOf = (tape: Tape, value: Tensor, inputs: readonly Tensor[], seed?: Tensor): Tensor[] =>
  orZeros(tape.partials(value, inputs, { seed }), inputs)

type ValueAndGradient = [value: Tensor, gradient: Tensor | Tensor[]]

function gradientAt(
  name: string,
  f: TensorFunction,
  wrt: number | readonly number[],
  inputs: readonly Tensor[],
): ValueAndGradient {
  checkEach(name, 'argument', is.tensor, inputs)
  const positions = typeof wrt === 'number' ? [wrt] : wrt
  for (const i of positions) checkPosition(name, inputs, i)
  return onTape(name, f, inputs, (tape, leaves, result) => {
    const gradients = gradientOf(
      tape,
      result,
      positions.map(i => leaves[i]),
    )
    return [result, typeof wrt === 'number' ? gradients[0] : gradients]
  })
}

/**
 * The value and gradient of a scalar function: `valueAndGrad(f)(x, …)` gives `[f(x, …), ∂f/∂x]`.
 * @param options.wrt position of the argument (default 0), or a list of positions, which gives a list of gradients
 * @throws GradientError if f(x, …) is not a scalar, and for an argument of integers
 */
export function valueAndGrad<W extends number | readonly number[] = 0>(
  f: TensorFunction,
  options?: WrtOptions<W>,
): (...inputs: Tensor[]) => [value: Tensor, gradient: Gradients<W>] {
  const wrt = wrtOf('valueAndGrad', f, options)
  return (...inputs) => gradientAt('valueAndGrad', f, wrt, inputs) as [Tensor, Gradients<W>]
}

/** The gradient of a scalar function: `grad(f)(x, …)` is ∂f/∂x; see valueAndGrad. `grad(grad(f))` is the second derivative. */
export function grad<W extends number | readonly number[] = 0>(
  f: TensorFunction,
  options?: WrtOptions<W>,
): (...inputs: Tensor[]) => Gradients<W> {
  const wrt = wrtOf('grad', f, options)
  return (...inputs) => scope(() => gradientAt('grad', f, wrt, inputs)[1] as Gradients<W>, 'grad')
}

/**
 * The value of f and its vector-Jacobian product: `const [y, pullback] = vjp(f, x, …)`, then `pullback(v)` is vᵀ ∂f/∂x for
 * every input, and may be called more than once. An input of integers is a constant: its product is zeros of its own dtype.
 * @param v of y's shape
 * @throws GradientError if no input is floating
 */
export function vjp(f: TensorFunction, ...inputs: Tensor[]): [value: Tensor, pullback: (v: Tensor) => Tensor[]] {
  checkArguments('vjp(f, ...inputs)', [is.callback, is.rest(is.tensor)], [f, ...inputs])
  return pulledBack('vjp', f, inputs)
}

function pulledBack(
  name: string,
  f: TensorFunction,
  inputs: readonly Tensor[],
): [value: Tensor, pullback: (v: Tensor) => Tensor[]] {
  const floating = floatingOf(name, inputs)
  const leaves = inputs.map(x => identity(x))
  const tape = new Tape()
  for (const i of floating) tape.watch(leaves[i])
  const value = tape.run(() => returnedBy(name, f(...leaves)))
  tape.handOver()
  const pullback = (v: Tensor): Tensor[] => {
    checkArguments('pullback(v)', [is.tensor], [v])
    const products = gradientOf(
      tape,
      value,
      floating.map(i => leaves[i]),
      v,
    )
    return leaves.map((leaf, i) => products[floating.indexOf(i)] ?? zerosLike(leaf))
  }
  return [value, pullback]
}

/** Σ g · v over the floating gradients. */
const inner = (gradients: readonly Tensor[], vectors: readonly Tensor[]): Tensor =>
  gradients.flatMap((g, i) => (isFloating(g.dtype) ? [g.mul(vectors[i]).sum()] : [])).reduce((a, b) => a.add(b))

/**
 * The value of f and its Jacobian-vector product: `[f(x, …), Σ ∂f/∂xᵢ vᵢ]`. The pullback is linear in its vector, so its
 * own pullback is the forward derivative.
 * @param tangents one per input, of its shape. An input of integers is a constant: its tangent must be of integers too, such
 *   as `zerosLike(x)`, and is ignored
 * @throws GradientError if no input is floating, and for a floating tangent of an input of integers
 */
export function jvp(
  f: TensorFunction,
  inputs: readonly Tensor[],
  tangents: readonly Tensor[],
): [value: Tensor, tangent: Tensor] {
  checkVectors('jvp', f, inputs, tangents)
  return scope(() => {
    const [value, pullback] = pulledBack('jvp', f, inputs)
    checkResult(value)
    const zero = fromData(allocate(value.dtype, value.shape, 'jvp'), value.shape, deviceOf(value))
    return [value, grad((v: Tensor) => inner(pullback(v), tangents))(zero)]
  }, 'jvp')
}

/**
 * The Hessian of a scalar function times a vector, without computing the Hessian: ∂(∂f/∂x · v)/∂x, one result per input. An
 * input of integers is a constant: its result is zeros of its own dtype.
 * @param vectors one per input, of its shape; of integers, such as `zerosLike(x)`, for an input of integers
 * @throws GradientError if no input is floating, and for a floating vector of an input of integers
 */
export function hvp(f: TensorFunction, inputs: readonly Tensor[], vectors: readonly Tensor[]): Tensor[] {
  checkVectors('hvp', f, inputs, vectors)
  const wrt = floatingOf('hvp', inputs)
  const moved = wrt.map(i => vectors[i])
  const along = (...xs: Tensor[]) => inner(gradientAt('hvp', f, wrt, xs)[1] as Tensor[], moved)
  const products = scope(() => gradientAt('hvp', along, wrt, inputs)[1] as Tensor[], 'hvp')
  return inputs.map((x, i) => products[wrt.indexOf(i)] ?? zerosLike(x))
}

/** ∂f/∂x of any function, [...shape of f(x), ...shape of x], by one backward pass for each element of the result. */
export function jacobian(f: TensorFunction, options?: WrtOptions): (...inputs: Tensor[]) => Tensor {
  const wrt = oneOf('jacobian', wrtOf('jacobian', f, options))
  return (...inputs) => jacobianAt('jacobian', f, wrt, inputs)
}

function jacobianAt(name: string, f: TensorFunction, wrt: number, inputs: readonly Tensor[]): Tensor {
  checkEach(name, 'argument', is.tensor, inputs)
  checkPosition(name, inputs, wrt)
  return onTape(name, f, inputs, (tape, leaves, result) => {
    const x = leaves[wrt]
    const rows = Array.from({ length: result.size }, (_, i) => {
      const unit = allocate(result.dtype, result.shape, name)
      unit[i] = 1
      return gradientOf(tape, result, [x], fromData(unit, result.shape, deviceOf(result)))[0]
    })
    const shape = [...result.shape, ...x.shape]
    return rows.length === 0 ? fromData(allocate(x.dtype, [0]), shape, deviceOf(x)) : stack(rows).reshape(shape)
  })
}

/** ∂²f/∂x² of a scalar function, [...shape of x, ...shape of x] */
export function hessian(f: TensorFunction, options?: WrtOptions): (...inputs: Tensor[]) => Tensor {
  const wrt = oneOf('hessian', wrtOf('hessian', f, options))
  const gradient = (...xs: Tensor[]) => scope(() => gradientAt('hessian', f, wrt, xs)[1] as Tensor, 'hessian')
  return (...inputs) => jacobianAt('hessian', gradient, wrt, inputs)
}
