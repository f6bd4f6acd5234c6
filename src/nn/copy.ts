// A copy of a module with parameters of its own.

import { checkArguments } from '../tensor/arguments.ts'
import { isPlain } from '../tensor/given.ts'
import * as is from '../tensor/kinds.ts'
import { Module, nameOf } from './module.ts'
import { Buffer, Parameter } from './parameter.ts'

/**
 * A copy of a module and of all modules inside, with parameters and buffers of its own on the same device. Modes (`training`), frozen
 * parameters and what {@link lora}, {@link weightNorm} and {@link spectralNorm} changed are copied; what is shared inside is shared in the copy.
 * Functions, and objects of other classes, are the same in both. Functions of `onForward` are not copied.
 *
 * A class with private fields or methods (`#name`) cannot be copied, because only its constructor can make them.
 *
 *     const target = deepCopy(network).freeze()
 *
 * @throws TypeError for a class with private fields or methods: make another module instead and write
 *   `other.loadStateDict(module.stateDict())`
 */
export function deepCopy<M extends Module>(module: M): M {
  checkArguments('deepCopy(module)', [is.instance('a module', Module)], [module])
  return copyOf(module, new Map()) as M
}

function copyOf(value: unknown, copies: Map<object, unknown>): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (copies.has(value)) return copies.get(value)
  const remember = <T>(copy: T): T => {
    copies.set(value, copy)
    return copy
  }
  if (value instanceof Parameter) {
    const copy = remember(new Parameter(value))
    copy.trainable = value.trainable
    return copy
  }
  if (value instanceof Buffer) return remember(new Buffer(value))
  if (Array.isArray(value)) {
    const copy = remember<unknown[]>([])
    for (const item of value) copy.push(copyOf(item, copies))
    return copy
  }
  if (value instanceof Map) {
    const copy = remember(new Map<unknown, unknown>())
    for (const [key, item] of value) copy.set(key, copyOf(item, copies))
    return copy
  }
  if (value instanceof Set) {
    const copy = remember(new Set<unknown>())
    for (const item of value) copy.add(copyOf(item, copies))
    return copy
  }
  if (!(value instanceof Module) && !isPlain(value)) return value
  if (value instanceof Module) checkPublic(value)
  const copy = remember<object>(Object.create(Object.getPrototypeOf(value)))
  for (const [key, item] of Object.entries(value))
    Object.defineProperty(copy, key, {
      value: copyOf(item, copies),
      writable: true,
      enumerable: true,
      configurable: true,
    })
  return copy
}

/** Refuses a class that uses private names, as far as its text says. */
function checkPublic(module: Module): void {
  for (let at = module.constructor; at !== Module; at = Object.getPrototypeOf(at)) {
    const [name] = /\.#[\p{L}_$][\p{L}\p{N}_$]*/u.exec(Function.prototype.toString.call(at)) ?? []
    if (name !== undefined)
      throw new TypeError(
        `deepCopy: ${nameOf(module)} has a private field or method, ${name.slice(1)}, and only its constructor can make one; make another ${nameOf(module)} and write other.loadStateDict(module.stateDict())`,
      )
  }
}
