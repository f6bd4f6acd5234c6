// Checks of operations, gradient rules, transforms and backward passes. The messages say what was given, what was
// expected and what to write.

import { checkArguments, checkEach } from '../tensor/arguments.ts'
import { given, isPromise } from '../tensor/given.ts'
import {
  ArgumentError,
  broadcastsTo,
  type Device,
  DeviceError,
  deviceOf,
  isFloating,
  ShapeError,
  sameShape,
  show,
  Tensor,
} from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { GradientError, noGradients } from './gradient-error.ts'
import type { Entry, Thunks } from './recording.ts'

/** The device that the tensors among the arguments share. */
export function commonDevice(name: string, args: readonly unknown[]): Device {
  let common: Device | undefined
  for (const arg of args) {
    if (!(arg instanceof Tensor)) {
      if (isPromise(arg)) throw new ArgumentError(`${name}: an argument is a Promise; await it first`, name, '', arg)
      continue
    }
    const device = deviceOf(arg)
    common ??= device
    if (device !== common)
      throw new DeviceError(
        `${name}: one tensor is on ${common.name}, another on ${device.name}; move one of them, as in await toDevice(x, '${common.name}')`,
        device.name,
      )
  }
  if (!common) {
    const advice = is.tensor.advise(args)?.text
    const message = `${name}: needs a tensor among its arguments${args.length > 0 ? `, not ${args.map(given).join(', ')}` : ''}`
    throw new ArgumentError(advice ? `${message}; write ${advice}` : message, name, '', args[0])
  }
  return common
}

/** The result of an operation, which must be a tensor. */
export function computedBy(name: string, result: unknown): Tensor {
  if (result instanceof Tensor) return result
  throw new ArgumentError(`${name}: the result must be a tensor, not ${given(result)}`, name, '', result)
}

/** The result of a function that is differentiated, which must be one tensor. */
export function returnedBy(name: string, result: unknown): Tensor {
  if (result instanceof Tensor) return result
  const advice =
    result === undefined
      ? 'return the result'
      : typeof result === 'number'
        ? 'compute with operations on tensors, without reading their values'
        : Array.isArray(result)
          ? 'add the tensors, or join them with concat'
          : isPromise(result)
            ? 'f must not be async; await its data before the call'
            : 'return a tensor'
  throw new ArgumentError(
    `${name}: f returned ${given(result)}, and must return one tensor: ${advice}`,
    name,
    'f',
    result,
  )
}

/**
 * The value and what is returned beside it.
 * @param what the pair, in words
 */
export function pairOf(name: string, what: string, result: unknown): readonly [value: Tensor, aux: unknown] {
  if (Array.isArray(result) && result.length === 2) return [returnedBy(name, result[0]), result[1]]
  throw new ArgumentError(`${name}: f returned ${given(result)}, and must return ${what}`, name, 'f', result)
}

/** The result of a function with a rule of its own, and its residuals. */
export function resultOf<R>(result: unknown): readonly [result: Tensor, residuals: R] {
  if (Array.isArray(result))
    return pairOf('customVjp', 'a tensor, or [result, residuals]', result) as readonly [Tensor, R]
  return [returnedBy('customVjp', result), undefined as R]
}

/** The gradients that the rule of a function returned. */
export function gradientsOf(
  name: string,
  gradients: unknown,
  count: number,
  gradient: Tensor,
): readonly (Tensor | undefined)[] {
  const isRight =
    Array.isArray(gradients) &&
    gradients.length === count &&
    gradients.every(item => item === undefined || item instanceof Tensor)
  if (isRight) return gradients
  throw new GradientError(
    `${name}: the rule returned ${given(gradients)}; it must return a list of ${count}, with the gradient of each argument, a tensor or undefined`,
    gradient,
  )
}

/** Refuses a result that has no gradients. */
export function checkResult(result: Tensor): void {
  if (!isFloating(result.dtype))
    throw new GradientError(
      `the result is ${result.dtype}, and only floating results have gradients: comparisons and argmax cannot be differentiated`,
      result,
    )
}

/** Checks that a seed has the shape of the result, and that a result without a seed is a scalar. */
export function checkSeed(result: Tensor, seed: Tensor | undefined): void {
  checkResult(result)
  if (!seed && result.size !== 1)
    throw new GradientError(
      `the result has shape ${show(result.shape)}, and a gradient needs a scalar: sum it, or use vjp or jacobian`,
      result,
    )
  if (seed && !sameShape(seed.shape, result.shape))
    throw new GradientError(
      `the seed has shape ${show(seed.shape)}, and must have the shape of the result, ${show(result.shape)}`,
      seed,
    )
}

const areThunks = (thunks: unknown): thunks is Thunks =>
  Array.isArray(thunks) && thunks.every(thunk => thunk === undefined || typeof thunk === 'function')

/** The thunks that the rule of an operation returns. */
export function thunksOf(entry: Entry, gradient: Tensor): Thunks {
  const thunks: unknown = entry.rule(gradient)
  if (areThunks(thunks)) return thunks
  throw new GradientError(
    `${entry.name}: the rule returned ${given(thunks)}; it must return a list with a function for each argument, such as [() => gradient.mul(2)]`,
    gradient,
  )
}

/** Checks that a value can be the gradient of an argument. */
export function checkPart(entry: Entry, position: number, gradient: Tensor, arg: Tensor): void {
  if (!(gradient instanceof Tensor))
    throw new GradientError(
      `${entry.name}: the gradient of argument ${position} must be a tensor, not ${given(gradient)}`,
      arg,
    )
  if (!broadcastsTo(arg.shape, gradient.shape) || deviceOf(gradient) !== deviceOf(arg))
    throw new GradientError(
      `${entry.name}: the gradient of argument ${position} has shape ${show(gradient.shape)} on ${gradient.device}, but the argument has shape ${show(arg.shape)} on ${arg.device}`,
      gradient,
    )
}

/** Checks that an input can be differentiated by. */
export function checkPosition(name: string, inputs: readonly Tensor[], position: number): void {
  const x = inputs[position]
  if (!x)
    throw new RangeError(
      `${name}: wrt must be the position of one of ${inputs.length} arguments, counted from 0, not ${position}`,
    )
  if (!isFloating(x.dtype)) throw noGradients(`${name}: argument ${position}`, x)
}

/** Positions of the inputs that can be differentiated by; the others are constants. */
export function floatingOf(name: string, inputs: readonly Tensor[]): number[] {
  checkEach(name, 'input', is.tensor, inputs)
  const floating = inputs.flatMap((x, i) => (isFloating(x.dtype) ? [i] : []))
  if (inputs.length > 0 && floating.length === 0) throw noGradients(`${name}: input 0`, inputs[0])
  return floating
}

/** Checks for one vector per input, of the same shape. An integer input is a constant, so its vector is of integers too. */
export function checkVectors(name: string, f: unknown, inputs: readonly Tensor[], vectors: readonly Tensor[]): void {
  const call = `${name}(f, inputs, ${name === 'hvp' ? 'vectors' : 'tangents'})`
  checkArguments(call, [is.callback, is.tensorList, is.tensorList], [f, inputs, vectors])
  if (vectors.length !== inputs.length || vectors.some((v, i) => !sameShape(v.shape, inputs[i].shape)))
    throw new ShapeError(
      `${name}: vectors ${vectors.map(v => show(v.shape)).join(', ')} do not match inputs ${inputs.map(x => show(x.shape)).join(', ')}: give one of the same shape for each`,
      ...vectors.map(v => v.shape),
    )
  const at = inputs.findIndex((x, i) => isFloating(x.dtype) !== isFloating(vectors[i].dtype))
  if (at < 0) return
  const [x, v] = [inputs[at], vectors[at]]
  throw new GradientError(
    isFloating(x.dtype)
      ? `${name}: vector ${at} is ${v.dtype}, but its input is ${x.dtype}; write v.cast('${x.dtype}')`
      : `${name}: input ${at} is ${x.dtype}, so it is a constant, and its vector must be zerosLike(x); to differentiate by it, write x.cast('float32')`,
    v,
  )
}

/** Checks that a transform is given one argument to differentiate by. */
export function oneOf(name: string, wrt: number | readonly number[]): number {
  if (typeof wrt === 'number') return wrt
  throw new ArgumentError(
    `${name}: wrt must be one position, not ${given(wrt)}; write ${name}(f, { wrt: ${wrt[0]} })`,
    name,
    'wrt',
    wrt,
  )
}
