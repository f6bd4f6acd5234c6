// Transforms of functions: gradients, and products with Jacobians and Hessians. All of them use tapes.

import { checkArguments, checkEach } from '../tensor/arguments.ts'
import { ArgumentError, allocate, deviceOf, fromData, isFloating, scope, Tensor, zerosLike } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { VmapError } from './batched.ts'
import { checkPosition, checkResult, checkVectors, floatingOf, oneOf, pairOf, returnedBy } from './checks.ts'
import { concat, identity, stack } from './ops/index.ts'
import { pack, unpacking } from './ops/packed.ts'
import { tangentOf } from './tangents.ts'
import { orZeros, Tape } from './tape.ts'
import { forEachOf } from './vmap.ts'

/** A function of tensors that returns one tensor. */
export type TensorFunction = (...inputs: Tensor[]) => Tensor

/** The arguments to differentiate with respect to, by position. */
export interface WrtOptions<W extends number | readonly number[] = number> {
  /** position of the argument, from 0, or a list of positions; default 0 */
  readonly wrt?: W
}
const wrtOptions = {
  wrt: is.optional(new is.Kind<number | readonly number[]>('a position or a list of positions', is.axes.fits)),
} satisfies Settings<WrtOptions<number | readonly number[]>>

/** Options of valueAndGrad for a function that returns more than the value. */
export interface AuxOptions<W extends number | readonly number[] = number> extends WrtOptions<W> {
  /** whether f returns `[value, aux]`, where aux may be anything and is not differentiated; default false */
  readonly aux: true
}
const auxOptions = { ...wrtOptions, aux: false } satisfies Settings<
  WrtOptions<number | readonly number[]> & { readonly aux?: boolean }
>

type Gradients<W> = W extends readonly number[] ? Tensor[] : Tensor

/** The call of a transform, whose function and options are of their kinds. */
function callOf(name: string, f: unknown, options: object | undefined): string {
  const call = `${name}(f, options)`
  checkArguments(call, [is.callback, is.options], [f, options])
  if ((options as unknown) instanceof Tensor)
    throw new ArgumentError(
      `${name}: ${call} returns a function, which takes the tensors; write ${name}(f)(x)`,
      name,
      'options',
      options,
    )
  return call
}

/** The positions in `options.wrt`; default the first argument. */
const wrtOf = (name: string, f: unknown, options: WrtOptions<number | readonly number[]> | undefined) =>
  settle(callOf(name, f, options), options, wrtOptions).wrt ?? 0

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

type ValueAndGradient = [value: Tensor, gradient: Tensor | Tensor[], beside: unknown]

/** @param beside called after f: what is kept in addition to the result */
function gradientAt(
  name: string,
  f: TensorFunction,
  wrt: number | readonly number[],
  inputs: readonly Tensor[],
  beside: () => unknown = () => undefined,
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
    return [result, typeof wrt === 'number' ? gradients[0] : gradients, beside()]
  })
}

/**
 * The value and gradient of a scalar function: `valueAndGrad(f)(x, …)` gives `[f(x, …), ∂f/∂x]`.
 * With `aux`, f returns `[value, aux]`, and the result is `[[value, aux], ∂value/∂x]`:
 *
 *     const [[loss, { accuracy }], gradient] = valueAndGrad(f, { aux: true })(w)
 *
 * @param options.wrt position of the argument (default 0), or a list of positions, which gives a list of gradients
 * @param options.aux whether f returns more than the value (`has_aux` in JAX and in torch.func); default false
 * @throws GradientError if f(x, …) is not a scalar, and for an argument of integers
 */
export function valueAndGrad<T, W extends number | readonly number[] = 0>(
  f: (...inputs: Tensor[]) => readonly [value: Tensor, aux: T],
  options: AuxOptions<W>,
): (...inputs: Tensor[]) => [result: [value: Tensor, aux: T], gradient: Gradients<W>]
export function valueAndGrad<W extends number | readonly number[] = 0>(
  f: TensorFunction,
  options?: WrtOptions<W>,
): (...inputs: Tensor[]) => [value: Tensor, gradient: Gradients<W>]
export function valueAndGrad(
  f: (...inputs: Tensor[]) => unknown,
  options?: WrtOptions<number | readonly number[]> & { readonly aux?: boolean },
): (...inputs: Tensor[]) => unknown {
  const { wrt = 0, aux } = settle(callOf('valueAndGrad', f, options), options, auxOptions)
  if (!aux)
    return (...inputs) => {
      const [value, gradient] = gradientAt('valueAndGrad', f as TensorFunction, wrt, inputs)
      return [value, gradient]
    }
  return (...inputs) => {
    let beside: unknown
    const scalar = (...xs: Tensor[]) => {
      const [value, other] = pairOf(
        'valueAndGrad',
        '[value, aux] with the option aux, where aux may be anything',
        f(...xs),
      )
      beside = other
      return value
    }
    const [value, gradient] = gradientAt('valueAndGrad', scalar, wrt, inputs, () => beside)
    return [[value, beside], gradient]
  }
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
  const [value, pullback] = pulledBack('vjp', f, inputs)
  return [value, pullback]
}

/** Runs f on a tape that stays, with a distinct tensor for each input. */
function taped(
  f: TensorFunction,
  inputs: readonly Tensor[],
  watched: readonly number[],
  name: string,
): [value: Tensor, tape: Tape, leaves: readonly Tensor[]] {
  const leaves = inputs.map(x => identity(x))
  const tape = new Tape()
  for (const i of watched) tape.watch(leaves[i])
  const value = tape.run(() => returnedBy(name, f(...leaves)))
  tape.handOver()
  return [value, tape, leaves]
}

function pulledBack(
  name: string,
  f: TensorFunction,
  inputs: readonly Tensor[],
): [value: Tensor, pullback: (v: Tensor) => Tensor[], largest: number] {
  const floating = floatingOf(name, inputs)
  const [value, tape, leaves] = taped(f, inputs, floating, name)
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
  return [value, pullback, largestOf(tape)]
}

/**
 * The value of f and its derivative as a linear function: `const [y, pushforward] = linearize(f, x, …)`, then `pushforward(v, …)`
 * is Σ ∂f/∂xᵢ vᵢ, of y's shape, and may be called many times: f and its pullback run once. `jvp` is one call of it.
 *
 * f runs once, on a tape; each call of the pushforward carries the tangents through its operations in the same order, and costs about as
 * much as f.
 * @returns the value, and a function of one tangent per input, of its shape; the tangent of an input of integers must be of
 *   integers too, and is ignored
 * @throws GradientError if no input is floating, or the value is not
 */
export function linearize(
  f: TensorFunction,
  ...inputs: Tensor[]
): [value: Tensor, pushforward: (...tangents: Tensor[]) => Tensor] {
  checkArguments('linearize(f, ...inputs)', [is.callback, is.rest(is.tensor)], [f, ...inputs])
  const [value, pushforward] = linearized('linearize', f, inputs)
  return [
    value,
    (...tangents) => {
      checkVectors('pushforward', f, inputs, tangents)
      return pushforward(tangents)
    },
  ]
}

function linearized(
  name: string,
  f: TensorFunction,
  inputs: readonly Tensor[],
): [value: Tensor, pushforward: (tangents: readonly Tensor[]) => Tensor, largest: number] {
  const floating = floatingOf(name, inputs)
  const [value, tape, leaves] = taped(f, inputs, floating, name)
  checkResult(value)
  const pushforward = (tangents: readonly Tensor[]): Tensor => {
    const known = floating.map(i => [leaves[i], tangents[i]] as const)
    return tangentOf(value, tape.entries, known) ?? zerosLike(value)
  }
  return [value, pushforward, largestOf(tape)]
}

/** The number of elements of the largest tensor that was computed on a tape. */
const largestOf = ({ entries }: Tape): number => entries.reduce((most, { result }) => Math.max(most, result.size), 1)

/** Σ g · v over the floating gradients. */
const inner = (gradients: readonly Tensor[], vectors: readonly Tensor[]): Tensor =>
  gradients.flatMap((g, i) => (isFloating(g.dtype) ? [g.mul(vectors[i]).sum()] : [])).reduce((a, b) => a.add(b))

/**
 * The value of f and its Jacobian-vector product: `[f(x, …), Σ ∂f/∂xᵢ vᵢ]`. For many tangents at the same inputs, see `linearize`.
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
    const [value, pushforward] = linearized('jvp', f, inputs)
    return [value, pushforward(tangents)]
  }, 'jvp')
}

/** How hvp computes its product. */
export interface HvpOptions {
  /**
   * `reverse-over-reverse` (default): the gradient of ∇f · v, by two backward passes. `forward-over-reverse`: the forward derivative
   * of ∇f along v. Both give the same numbers and cost about the same.
   */
  readonly mode?: 'reverse-over-reverse' | 'forward-over-reverse'
}
const hvpOptions = {
  mode: is.choice('reverse-over-reverse', 'forward-over-reverse'),
} satisfies Settings<HvpOptions>

/**
 * The Hessian of a scalar function times a vector, without computing the Hessian: ∂(∂f/∂x · v)/∂x, one result per input. An
 * input of integers is a constant: its result is zeros of its own dtype.
 * @param vectors one per input, of its shape; of integers, such as `zerosLike(x)`, for an input of integers
 * @param options.mode how it is computed
 * @throws GradientError if no input is floating, and for a floating vector of an input of integers
 */
export function hvp(
  f: TensorFunction,
  inputs: readonly Tensor[],
  vectors: readonly Tensor[],
  options?: HvpOptions,
): Tensor[] {
  checkVectors('hvp', f, inputs, vectors)
  const { mode } = settle('hvp(f, inputs, vectors, options)', options, hvpOptions)
  const wrt = floatingOf('hvp', inputs)
  const product = mode === 'forward-over-reverse' ? forwardOverReverse : reverseOverReverse
  const products = scope(() => product(f, wrt, inputs, vectors), 'hvp')
  return inputs.map((x, i) => products[wrt.indexOf(i)] ?? zerosLike(x))
}

/** @returns the products with respect to the positions in `wrt` */
type HessianProduct = (
  f: TensorFunction,
  wrt: readonly number[],
  inputs: readonly Tensor[],
  vectors: readonly Tensor[],
) => Tensor[]

const reverseOverReverse: HessianProduct = (f, wrt, inputs, vectors) => {
  const moved = wrt.map(i => vectors[i])
  const along = (...xs: Tensor[]) => inner(gradientAt('hvp', f, wrt, xs)[1] as Tensor[], moved)
  return gradientAt('hvp', along, wrt, inputs)[1] as Tensor[]
}

const forwardOverReverse: HessianProduct = (f, wrt, inputs, vectors) => {
  const gradients = (...xs: Tensor[]) => pack(gradientAt('hvp', f, wrt, xs)[1] as Tensor[])
  const [, pushforward] = linearized('hvp', gradients, inputs)
  const part = unpacking(
    () => pushforward(vectors),
    wrt.map(i => inputs[i].shape),
  )
  return wrt.map((at, i) => part(i).cast(inputs[at].dtype))
}

/** The most elements that a tensor has while several rows of a Jacobian are computed at once. */
const MOST_AT_ONCE = 2 ** 22

/**
 * A linear function of each unit vector, [size of x, ...shape of a result]: of many at once, as long as the memory is small.
 * @param largest number of elements of the largest tensor that is computed for one
 */
function ofUnits(name: string, like: Tensor, largest: number, f: (unit: Tensor) => Tensor): Tensor[] {
  const { size, dtype, shape } = like
  const atOnce = Math.max(1, Math.floor(MOST_AT_ONCE / Math.max(largest, size)))
  const parts: Tensor[] = []
  for (let start = 0; start < size; start += atOnce) {
    const count = Math.min(atOnce, size - start)
    const units = allocate(dtype, [count, ...shape], name)
    for (let i = 0; i < count; i++) units[i * size + start + i] = 1
    parts.push(ofEach(fromData(units, [count, ...shape], deviceOf(like)), f))
  }
  return parts
}

/** A rule that works with values, and not with operations, is run for one vector after the other. */
function ofEach(vectors: Tensor, f: (vector: Tensor) => Tensor): Tensor {
  try {
    return forEachOf(vectors, f)
  } catch (error) {
    if (!(error instanceof VmapError)) throw error
    return stack(Array.from({ length: vectors.shape[0] }, (_, i) => f(vectors.slice([i]))))
  }
}

/**
 * ∂f/∂x of any function, [...shape of f(x), ...shape of x], by one backward pass for all elements of the result: the pullback, mapped
 * over the unit vectors. Where that would take much memory, they are divided among several passes. It costs less than `jacfwd`
 * where f(x) has fewer elements than x.
 */
export function jacobian(f: TensorFunction, options?: WrtOptions): (...inputs: Tensor[]) => Tensor {
  const wrt = oneOf('jacobian', wrtOf('jacobian', f, options))
  return (...inputs) => jacobianAt('jacobian', f, wrt, inputs)
}

function jacobianAt(name: string, f: TensorFunction, wrt: number, inputs: readonly Tensor[]): Tensor {
  checkEach(name, 'argument', is.tensor, inputs)
  checkPosition(name, inputs, wrt)
  return onTape(name, f, inputs, (tape, leaves, result) => {
    checkResult(result)
    const x = leaves[wrt]
    const rows = ofUnits(name, result, largestOf(tape), unit => gradientOf(tape, result, [x], unit)[0])
    const shape = [...result.shape, ...x.shape]
    return rows.length === 0 ? noElements(x, shape) : concat(rows).reshape(shape)
  })
}

const noElements = (x: Tensor, shape: readonly number[]): Tensor => fromData(allocate(x.dtype, [0]), shape, deviceOf(x))

/**
 * The same as `jacobian`, [...shape of f(x), ...shape of x], by forward derivatives: the pushforward of `linearize`, mapped over the
 * unit vectors of x. It costs less where f(x) has many more elements than x.
 */
export function jacfwd(f: TensorFunction, options?: WrtOptions): (...inputs: Tensor[]) => Tensor {
  const wrt = oneOf('jacfwd', wrtOf('jacfwd', f, options))
  return (...inputs) => {
    checkEach('jacfwd', 'argument', is.tensor, inputs)
    checkPosition('jacfwd', inputs, wrt)
    const x = inputs[wrt]
    return scope(() => {
      const ofX = (moved: Tensor) => f(...inputs.with(wrt, moved))
      const [value, pushforward, largest] = linearized('jacfwd', ofX, [x])
      const columns = ofUnits('jacfwd', x, largest, unit => pushforward([unit]))
      const shape = [...value.shape, ...x.shape]
      if (columns.length === 0) return noElements(x, shape)
      return concat(columns).reshape([x.size, value.size]).transpose().reshape(shape)
    }, 'jacfwd')
  }
}

/** ∂²f/∂x² of a scalar function, [...shape of x, ...shape of x] */
export function hessian(f: TensorFunction, options?: WrtOptions): (...inputs: Tensor[]) => Tensor {
  const wrt = oneOf('hessian', wrtOf('hessian', f, options))
  const gradient = (...xs: Tensor[]) => scope(() => gradientAt('hessian', f, wrt, xs)[1] as Tensor, 'hessian')
  return (...inputs) => jacobianAt('hessian', gradient, wrt, inputs)
}
