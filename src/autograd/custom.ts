// Gradients that a program decides itself: a function with a rule of its own, and a look at the gradient of a tensor inside of a
// backward pass.

import { checkArguments } from '../tensor/arguments.ts'
import { given } from '../tensor/given.ts'
import { isFloating, keep, sameShape, show, Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { sameValues } from './batched.ts'
import { gradientsOf, resultOf } from './checks.ts'
import { GradientError, noGradients } from './gradient-error.ts'
import { recordEntry } from './op.ts'
import { currentRecorders, type Entry, isRecording, observing } from './recording.ts'

type Residuals<F extends (...args: never[]) => unknown> =
  ReturnType<F> extends readonly [result: Tensor, residuals: infer R] ? R : undefined

/**
 * A function whose gradient is a rule of your own, in place of that of its operations.
 *
 *     // log(1 + eˣ), whose own gradient is NaN for large x
 *     const log1pExp = customVjp(
 *       (x: Tensor) => [x.exp().log1p(), x.neg().exp()],
 *       (g, e) => [g.div(e.add(1))],
 *     )
 *
 * The rule is written in differentiable operations, so gradients of gradients follow; residuals are differentiated as well. It works
 * inside of `vmap` and of `checkpoint`. Tensors that are differentiated must be arguments: the rule has no gradient for others.
 * Called `custom_vjp` in JAX, and `torch.autograd.Function` in PyTorch. For an operation with kernels of its own, see `defineOp`.
 * @param f returns the result, or `[result, residuals]`: anything that the rule needs
 * @param rule maps the gradient of the result, the residuals (undefined if `f` returns the result alone) and the arguments to a
 *   list with the gradient of each argument, undefined for one that has none. Gradients are summed over broadcast axes
 * @throws GradientError if `f` uses a tensor from outside that is differentiated
 */
export function customVjp<F extends (...args: never[]) => Tensor | readonly [result: Tensor, residuals: unknown]>(
  f: F,
  rule: (gradient: Tensor, residuals: Residuals<F>, ...args: Parameters<F>) => readonly (Tensor | undefined)[],
): (...args: Parameters<F>) => Tensor {
  checkArguments('customVjp(f, rule)', [is.callback, is.callback], [f, rule])
  const name = f.name || 'customVjp'
  return (...args) => {
    const outside = new Outside(args)
    // its operations are recorded too: a gradient of the gradient passes through the residuals
    const [computed, residuals] = resultOf<Residuals<F>>(observing(outside, () => f(...args)))
    outside.check()
    const result = sameValues(computed)
    if (!isRecording()) return result
    const gradients = (gradient: Tensor) => {
      let all: readonly (Tensor | undefined)[] | undefined
      return args.map((arg: unknown, i) => {
        if (!(arg instanceof Tensor && isFloating(arg.dtype))) return undefined
        return () => {
          all ??= gradientsOf(name, rule(gradient, residuals, ...args), args.length, gradient)
          return all[i]
        }
      })
    }
    recordEntry({ name, args, result, rule: gradients })
    return result
  }
}

/** The tensors that a function uses from outside: those that it neither is given nor computes. */
class Outside {
  readonly #inside: Set<unknown>
  readonly #found = new Set<Tensor>()

  constructor(args: readonly unknown[]) {
    this.#inside = new Set(args)
  }

  record({ args, result }: Entry): void {
    for (const arg of args) if (arg instanceof Tensor && !this.#inside.has(arg)) this.#found.add(arg)
    this.#inside.add(result)
  }

  /** Throws GradientError for one that a tape records. */
  check(): void {
    for (const x of this.#found)
      if (currentRecorders().some(recorder => recorder.tracks?.(x)))
        throw new GradientError(
          `customVjp: f uses a tensor of shape ${show(x.shape)} from outside that is differentiated, and the rule has no gradient for it; make it an argument of the function, or a constant with stopGradient`,
          x,
        )
  }
}

/**
 * x as a separate tensor, whose gradient `f` sees in the backward pass, and may replace:
 *
 *     const seen: Tensor[] = []
 *     const loss = (x: Tensor) => onGradient(x.square(), g => void seen.push(g)).sum()
 *     grad(loss)(x)                                   // seen[0] is ∂loss/∂(x²)
 *
 *     onGradient(x, g => g.clamp({ min: -1, max: 1 }))   // limits the gradient that passes
 *
 * The gradient is that of all uses of the tensor that is returned, and of no other use of x. `f` is called in each backward pass
 * that comes by, also in that of a second derivative. Inside of `vmap` it gets the gradient of one sample, which it may
 * change and cannot read. With a tape, `tape.gradient(loss, [y])` gives the gradient of any tensor y that was computed on it. Called
 * `register_hook` in PyTorch, where it changes x.
 * @param f is given the gradient, of the shape of x, which it may keep; returns nothing, or the gradient that passes on, of the
 *   same shape
 * @throws GradientError if x is not floating
 */
export function onGradient(x: Tensor, f: (gradient: Tensor) => Tensor | undefined | void): Tensor {
  checkArguments('onGradient(x, f)', [is.tensor, is.callback], [x, f])
  if (!isFloating(x.dtype)) throw noGradients('onGradient: x', x)
  const result = sameValues(x)
  recordEntry({ name: 'onGradient', args: [x], result, rule: g => [() => passedOn(f(keep(g)), g)] })
  return result
}

function passedOn(replaced: unknown, gradient: Tensor): Tensor {
  if (replaced === undefined) return gradient
  if (replaced instanceof Tensor && sameShape(replaced.shape, gradient.shape)) return replaced
  throw new GradientError(
    `onGradient: f returned ${replaced instanceof Tensor ? `a tensor of shape ${show(replaced.shape)}` : given(replaced)}, and must return nothing, or the gradient that passes on, of shape ${show(gradient.shape)}`,
    gradient,
  )
}
