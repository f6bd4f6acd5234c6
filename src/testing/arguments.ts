// Finds and replaces the tensors among the arguments of a call: alone, in lists or in options.

import { Tensor } from '../tensor/index.ts'

/** Arguments that cannot be checked; the message says why. */
export class ArgumentsError extends TypeError {
  override readonly name = 'ArgumentsError'
}

const isPlain = (value: object): boolean => [Object.prototype, null].includes(Object.getPrototypeOf(value))

/**
 * The tensors in arguments, in order; a tensor at two positions is listed twice.
 * @throws ArgumentsError for a tensor that cannot be replaced because an object holds it, and if there is no tensor
 */
export function tensorsIn(args: readonly unknown[]): Tensor[] {
  const found: Tensor[] = []
  replaceTensors(args, x => {
    found.push(x)
    return x
  })
  if (found.length === 0) throw new ArgumentsError('the arguments must have at least one tensor to check')
  return found
}

/** A value with its tensors replaced; a value without tensors is returned as it is. */
export function replaceTensors(value: unknown, other: (x: Tensor) => unknown): unknown {
  if (value instanceof Tensor) return other(value)
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(each => replaceTensors(each, other))
  if (isPlain(value)) {
    const entries = Object.entries(value).map(([name, field]) => [name, replaceTensors(field, other)] as const)
    return entries.every(([name, field]) => field === Reflect.get(value, name))
      ? value
      : Object.assign(Object.create(Object.getPrototypeOf(value)), Object.fromEntries(entries))
  }
  if (holdsTensor(value))
    throw new ArgumentsError(
      `a tensor in a ${value.constructor?.name ?? 'object'} among the arguments cannot be replaced: pass tensors alone, in lists or in plain objects (for parameters of a module, see withParameters)`,
    )
  return value
}

function holdsTensor(value: unknown, seen = new Set<unknown>()): boolean {
  if (value instanceof Tensor) return true
  if (value === null || typeof value !== 'object' || ArrayBuffer.isView(value) || seen.has(value)) return false
  seen.add(value)
  const inside = value instanceof Map || value instanceof Set ? [...value] : Object.values(value)
  return inside.some(each => holdsTensor(each, seen))
}
