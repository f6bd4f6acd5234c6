// Looks into modules while they run: a function that sees what a module computes, and the weights of all attention.

import { checkArguments } from '../tensor/arguments.ts'
import { announceChange, capturing } from '../tensor/capturing.ts'
import { innermost } from '../tensor/context.ts'
import { keep, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { MultiHeadAttention, observeWeights, showsWeights } from './attention.ts'
import { Module, placesBelow } from './module.ts'

/** A module with a method `forward`. */
export type Computing = Module & {
  /** Computes the result of the module. */
  forward(...args: never[]): unknown
}

type Hook = (input: unknown, output: unknown) => unknown
type Forward = (this: Module, ...args: unknown[]) => unknown

const hooksOf = new WeakMap<Module, Hook[]>()

/**
 * Calls `f` after each `forward` of a module, with its first argument and its result. What `f` returns takes the place of the result, unless
 * it is undefined. Several functions are called in the order in which they were given.
 *
 * While a tape records, the tensors stay, rounded where the device packs activations; otherwise `keep(output)` keeps one after the `forward`
 * around it has ended.
 *
 *     const remove = onForward(model.encoder, (input, output) => console.log(output.shape))
 *     …
 *     remove()
 *
 * It is `register_forward_hook` of PyTorch.
 * @returns a function that removes `f`
 */
export function onForward<M extends Computing>(
  module: M,
  f: (
    input: Parameters<M['forward']>[0],
    output: ReturnType<M['forward']>,
  ) => ReturnType<M['forward']> | undefined | void,
): () => void {
  const isComputing = new is.Kind<Module>(
    'a module with a method forward',
    x => x instanceof Module && typeof (x as Partial<Computing>).forward === 'function',
  )
  checkArguments('onForward(module, f)', [isComputing, is.callback], [module, f])
  // a function of its own for each call, so that the same f may be given twice
  const hook: Hook = (input, output) => (f as Hook)(input, output)
  const hooks = hooksOf.get(module) ?? watch(module)
  hooks.push(hook)
  announceChange()
  return () => {
    if (hooks.includes(hook)) hooks.splice(hooks.indexOf(hook), 1)
    announceChange()
    if (hooks.length > 0 || hooksOf.get(module) !== hooks) return
    hooksOf.delete(module)
    Reflect.deleteProperty(module, 'forward')
  }
}

/** Gives a module a `forward` of its own that calls its hooks. It cannot be enumerated, so that it is no field. */
function watch(module: Module): Hook[] {
  const hooks: Hook[] = []
  hooksOf.set(module, hooks)
  const value: Forward = function (...args) {
    let output = (Object.getPrototypeOf(this).forward as Forward).apply(this, args)
    if (hooks.length > 0) capturing()?.refuse('it calls a function that onForward was given')
    for (const hook of [...hooks]) {
      const other = hook(args[0], output)
      if (other !== undefined) output = other
    }
    return output
  }
  Object.defineProperty(module, 'forward', { value, configurable: true, enumerable: false, writable: true })
  return hooks
}

/** Whether something looks into the modules inside of a module: a function of {@link onForward}, or {@link captureAttention}. */
export const isObserved = (module: Module): boolean =>
  placesBelow(module).some(
    ({ value }) =>
      (value instanceof Module && hooksOf.has(value)) || (value instanceof MultiHeadAttention && showsWeights(value)),
  )

/** What {@link captureAttention} gives. */
export interface CapturedAttention<T> {
  /** of the function */
  readonly result: T
  /** by the path of an attention module, one tensor [batch, heads, queries, keys] for each time it ran; none that did not run */
  readonly weights: ReadonlyMap<string, readonly Tensor[]>
}

/**
 * Runs a function and gives the weights of every {@link MultiHeadAttention} in a model that ran in it, before dropout. The weights belong to
 * the scope of the caller. Attention computes them in full here, and may differ from its usual result by rounding.
 *
 *     const { weights } = captureAttention(model, () => model.forward(images))
 *     weights.get('blocks.0.attention') // [Tensor [batch, heads, tokens, tokens]]
 *
 * @throws TypeError if the function returns a Promise
 */
export function captureAttention<T>(model: Module, f: () => T): CapturedAttention<T> {
  checkArguments('captureAttention(model, f)', [is.instance('a module', Module), is.callback], [model, f])
  const paths = new Map<MultiHeadAttention, string>()
  if (model instanceof MultiHeadAttention) paths.set(model, '')
  for (const { path, value } of placesBelow(model))
    if (value instanceof MultiHeadAttention && !paths.has(value)) paths.set(value, path)
  const weights = new Map<string, Tensor[]>()
  const outer = innermost()
  const removers = [...paths].map(([module, path]) =>
    observeWeights(module, x => {
      if (outer) outer.adopt(x.storage)
      else keep(x)
      weights.set(path, [...(weights.get(path) ?? []), x])
    }),
  )
  try {
    const result = f()
    if (result instanceof Promise)
      throw new TypeError('captureAttention: f must not be async; await its data before the call')
    return { result, weights }
  } finally {
    for (const remove of removers.reverse()) remove()
  }
}
