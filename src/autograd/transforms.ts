// Functions of functions: gradients, products with Jacobians and Hessians, and recomputation instead of storage. All
// are made of tapes.

import {
  allocate,
  deviceOf,
  fromData,
  type Generator,
  isFloating,
  ShapeError,
  sameShape,
  scope,
  show,
  Tensor,
} from '../tensor/index.ts'
import { derivedRule, fresh } from './op.ts'
import { identity, stack } from './ops/index.ts'
import { announceDraw, type Entry, noGrad, observing, orZeros, record, Tape } from './tape.ts'

/** A function of tensors that gives one tensor. */
export type TensorFunction = (...inputs: Tensor[]) => Tensor

/** Which arguments a gradient is for, by position. */
export interface WrtOptions<W extends number | readonly number[] = number> {
  readonly wrt?: W
}

type Gradients<W> = W extends readonly number[] ? Tensor[] : Tensor

/** Runs f on a tape of its own, with inputs that are distinct to it, and hands over what `use` returns. */
function onTape<R>(
  f: TensorFunction,
  inputs: readonly Tensor[],
  use: (tape: Tape, leaves: Tensor[], result: Tensor) => R,
): R {
  // an input may be passed twice, or be watched by an outer tape: as its own identity it is one leaf here
  const leaves = inputs.map(x => identity(x))
  const tape = new Tape()
  try {
    for (const leaf of leaves) if (isFloating(leaf.dtype)) tape.watch(leaf)
    const used = use(
      tape,
      leaves,
      tape.run(() => f(...leaves)),
    )
    tape.end(used)
    return used
  } finally {
    tape.end()
  }
}

/** The gradient of a function's value. A function may be constant, as the gradient of a linear one is: its gradient is zeros. */
const gradientOf = (tape: Tape, value: Tensor, inputs: readonly Tensor[], seed?: Tensor): Tensor[] =>
  orZeros(tape.partials(value, inputs, { seed }), inputs)

function leafAt(leaves: readonly Tensor[], position: number): Tensor {
  const leaf = leaves[position]
  if (!leaf) throw new RangeError(`wrt: there is no argument ${position} among ${leaves.length}`)
  return leaf
}

/**
 * The value and gradient of a scalar function: `valueAndGrad(f)(x, …)` gives `[f(x, …), ∂f/∂x]`.
 * @param options.wrt position of the argument (default 0), or a list of positions, which gives a list of gradients
 * @throws GradientError where f(x, …) is not a scalar
 */
export function valueAndGrad<W extends number | readonly number[] = 0>(
  f: TensorFunction,
  options: WrtOptions<W> = {},
): (...inputs: Tensor[]) => [value: Tensor, gradient: Gradients<W>] {
  const wrt: number | readonly number[] = options.wrt ?? 0
  return (...inputs) => {
    const positions = typeof wrt === 'number' ? [wrt] : wrt
    return onTape(f, inputs, (tape, leaves, result) => {
      const chosen = positions.map(i => leafAt(leaves, i))
      const gradients = gradientOf(tape, result, chosen)
      return [result, (typeof wrt === 'number' ? gradients[0] : gradients) as Gradients<W>]
    })
  }
}

/** The gradient of a scalar function: `grad(f)(x, …)` is ∂f/∂x; see valueAndGrad. `grad(grad(f))` is what it says. */
export function grad<W extends number | readonly number[] = 0>(
  f: TensorFunction,
  options: WrtOptions<W> = {},
): (...inputs: Tensor[]) => Gradients<W> {
  return (...inputs) => scope(() => valueAndGrad(f, options)(...inputs)[1], 'grad')
}

/**
 * The value of f and its vector-Jacobian product: `const [y, pullback] = vjp(f, x, …)`, then `pullback(v)` is vᵀ ∂f/∂x for
 * every input, as often as wanted.
 * @param v of y's shape
 */
export function vjp(f: TensorFunction, ...inputs: Tensor[]): [value: Tensor, pullback: (v: Tensor) => Tensor[]] {
  const leaves = inputs.map(x => identity(x))
  const tape = new Tape()
  for (const leaf of leaves) tape.watch(leaf)
  const value = tape.run(() => f(...leaves))
  tape.handOver()
  return [value, v => gradientOf(tape, value, leaves, v)]
}

/** One vector for each input, of its shape. */
function checkVectors(name: string, inputs: readonly Tensor[], vectors: readonly Tensor[]): void {
  if (vectors.length !== inputs.length || vectors.some((v, i) => !sameShape(v.shape, inputs[i].shape)))
    throw new ShapeError(
      `${name}: vectors ${vectors.map(v => show(v.shape)).join(', ')} for inputs ${inputs.map(x => show(x.shape)).join(', ')}`,
      ...vectors.map(v => v.shape),
    )
}

/**
 * The value of f and its Jacobian-vector product: `[f(x, …), Σ ∂f/∂xᵢ vᵢ]`. The pullback is linear in its vector, so its
 * own pullback is the forward derivative.
 * @param tangents one of each input's shape
 */
export function jvp(
  f: TensorFunction,
  inputs: readonly Tensor[],
  tangents: readonly Tensor[],
): [value: Tensor, tangent: Tensor] {
  checkVectors('jvp', inputs, tangents)
  return scope(() => {
    const [value, pullback] = vjp(f, ...inputs)
    const zero = fromData(allocate(value.dtype, value.size), value.shape, deviceOf(value))
    const along = (v: Tensor) =>
      pullback(v)
        .map((g, i) => g.mul(tangents[i]).sum())
        .reduce((a, b) => a.add(b))
    return [value, grad(along)(zero)]
  }, 'jvp')
}

/**
 * The Hessian of a scalar function times a vector, without the Hessian: ∂(∂f/∂x · v)/∂x, one result an input.
 * @param vectors one of each input's shape
 */
export function hvp(f: TensorFunction, inputs: readonly Tensor[], vectors: readonly Tensor[]): Tensor[] {
  checkVectors('hvp', inputs, vectors)
  const all = inputs.map((_, i) => i)
  const along = (...xs: Tensor[]) =>
    grad(f, { wrt: all })(...xs)
      .map((g, i) => g.mul(vectors[i]).sum())
      .reduce((a, b) => a.add(b))
  return grad(along, { wrt: all })(...inputs)
}

/** ∂f/∂x of any function, [...shape of f(x), ...shape of x], one walk back for each element of the result. */
export function jacobian(f: TensorFunction, options: WrtOptions = {}): (...inputs: Tensor[]) => Tensor {
  const { wrt = 0 } = options
  return (...inputs) =>
    onTape(f, inputs, (tape, leaves, result) => {
      const x = leafAt(leaves, wrt)
      const rows = Array.from({ length: result.size }, (_, i) => {
        const unit = allocate(result.dtype, result.size)
        unit[i] = 1
        return gradientOf(tape, result, [x], fromData(unit, result.shape, deviceOf(result)))[0]
      })
      const shape = [...result.shape, ...x.shape]
      return rows.length === 0 ? fromData(allocate(x.dtype, 0), shape, deviceOf(x)) : stack(rows).reshape(shape)
    })
}

/** ∂²f/∂x² of a scalar function, [...shape of x, ...shape of x] */
export const hessian = (f: TensorFunction, options: WrtOptions = {}): ((...inputs: Tensor[]) => Tensor) =>
  jacobian(grad(f, options), options)

/**
 * f, with nothing of its inside kept for the backward pass: it is run again there (Chen et al. 2016). What f uses from
 * outside, parameters say, gets its gradients too, and random numbers come out the same the second time.
 */
export function checkpoint<A extends readonly unknown[]>(f: (...args: A) => Tensor): (...args: A) => Tensor {
  return (...args) => {
    const made = new Set<Tensor>()
    const captured = new Set<Tensor>()
    const draws = new Map<Generator, number>()
    // whatever an operation inside takes that was not made inside comes from outside
    const observer = {
      record({ args: used, result }: Entry) {
        for (const x of used) if (x instanceof Tensor && !made.has(x) && isFloating(x.dtype)) captured.add(x)
        made.add(result)
      },
      draw: (generator: Generator, position: number) => void (draws.has(generator) || draws.set(generator, position)),
    }
    const inside = noGrad(() => observing(observer, () => f(...args)))
    // what is handed through unchanged comes from outside, too
    if (inside instanceof Tensor && !made.has(inside) && isFloating(inside.dtype)) captured.add(inside)
    const result = fresh(inside, [...captured])
    // a checkpoint around this one repeats the same draws
    for (const [generator, position] of draws) announceDraw(generator, position)
    const inputs = [...captured].filter(x => !x.storage.isFreed)
    const rule = derivedRule((..._captured: Tensor[]) => replaying(draws, () => f(...args)))
    record({ name: 'checkpoint', args: inputs, result, rule: gradient => rule(gradient, result, ...inputs) })
    return result
  }
}

/** Runs f with generators set back to where they were, and then on to where they are. */
function replaying<T>(positions: ReadonlyMap<Generator, number>, f: () => T): T {
  const now = new Map([...positions.keys()].map(generator => [generator, generator.state.position]))
  for (const [generator, position] of positions) generator.seek(position)
  try {
    return f()
  } finally {
    for (const [generator, position] of now) generator.seek(position)
  }
}
