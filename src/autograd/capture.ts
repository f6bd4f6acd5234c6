// Functions whose kernels are run again without the JavaScript that led to them.

import { checkArguments } from '../tensor/arguments.ts'
import { capturing } from '../tensor/capturing.ts'
import { ArgumentError, type Device, device, scope, Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { isObserved } from '../tensor/observe.ts'
import { areOperationsObserved } from './observing.ts'
import { isRecording } from './recording.ts'

/** A captured function. */
export interface Captured<Inputs extends readonly Tensor[], T> {
  (...inputs: Inputs): T
  /** whether the last call ran the kernels without the function */
  readonly isReplay: boolean
  /** why the function runs in every call; undefined if its kernels can run without it, or if that is not known yet */
  readonly reason: string | undefined
  /** Frees its memory and its last result. The next call begins anew. */
  release(): void
}

/**
 * A function that computes what `f` computes, bit for bit, without running the JavaScript of `f` each time: the kernels that `f` runs
 * are noted, and later calls run them again. This is faster for small models, in which JavaScript takes a good part of the time.
 *
 *     const step = capture((images, ids) => lossAndGradients(model, () => model.loss(images, ids)))
 *     for (const [images, ids] of batches) scope(() => optimizer.step(step(images, ids).gradients))
 *
 * As with CUDA graphs and `jax.jit`, `f` must depend on its arguments and on the values of parameters alone. What a call returns is
 * freed by the next call, to which it may be given as an argument, and whose result has the same memory. This memory, and that of temporary
 * tensors, stays allocated until `release`, or until the captured function is garbage.
 *
 * - The first call with arguments of some shapes runs `f`; the second and third note its kernels. If these are the same, later calls
 *   repeat them, each with its own arguments and the present values of parameters.
 * - `f` runs again and is compared in the 2nd, 4th, 8th, … of these calls. Without an error it runs again when a parameter has got other
 *   memory, other parameters of a `lossAndGradients` in `f` are trainable, a module has changed its mode, or `onForward` was called.
 * - Nothing is repeated, and `reason` says why, if `f` draws random numbers (dropout), reads values (`item`, `data`), keeps a tensor
 *   beside its result, steps an optimizer, or runs other kernels or returns other numbers in each call, and if an argument is a
 *   parameter. Nor while a tape records, operations are observed or kernels are profiled, and on devices other than cpu.
 * - Parameters that get other memory between calls, from other optimizers than `Adam` and `AdamW` or by `assign`, are copied before
 *   each call.
 *
 * @param f a synchronous function of tensors, which returns tensors, also in arrays, Maps and plain objects
 * @throws ArgumentError if f returns a Promise
 * @throws CaptureError if a comparison shows that `f` computes something else than what was repeated
 */
export function capture<Inputs extends readonly Tensor[], T>(f: (...inputs: Inputs) => T): Captured<Inputs, T> {
  checkArguments('capture(f)', [is.callback], [f])
  let own: { readonly device: Device; readonly calls: ReturnType<NonNullable<Device['capture']>> } | undefined
  let isReplay = false
  /** why an argument prevents it */
  let reason: string | undefined
  const synchronous = (...inputs: Inputs): T => {
    const result = f(...inputs)
    if (result instanceof Promise)
      throw new ArgumentError('capture: f must be synchronous, but it returned a Promise', 'capture', 'f', f)
    return result
  }
  const release = () => {
    own?.calls.release()
    own = undefined
  }
  const call = (...inputs: Inputs): T => {
    isReplay = false
    for (const input of inputs) checkArguments('captured(input)', [is.tensor], [input])
    const on = device.get()
    reason = inputs.map(x => unusual(x, on)).find(unusual => unusual !== undefined)
    const isWatched = capturing() || isRecording() || isObserved(on) || areOperationsObserved()
    if (!on.capture || isWatched || reason !== undefined) return scope(() => synchronous(...inputs))
    if (own?.device !== on) {
      release()
      own = { device: on, calls: on.capture(synchronous as unknown as (...inputs: readonly Tensor[]) => unknown) }
    }
    // f may release it
    const { calls } = own
    const result = calls.call(inputs)
    isReplay = calls.isReplay
    return result as T
  }
  return Object.defineProperties(Object.assign(call, { release }), {
    isReplay: { get: () => isReplay },
    reason: { get: () => reason ?? own?.calls.reason },
  }) as unknown as Captured<Inputs, T>
}

/** Why `f` must be given this very argument, and not a copy, or undefined. */
function unusual(x: Tensor, on: Device): string | undefined {
  if (Object.getPrototypeOf(x) !== Tensor.prototype) return `an argument is a ${x.constructor.name}`
  return x.storage.device === on ? undefined : `an argument is on ${x.storage.device.name}`
}
