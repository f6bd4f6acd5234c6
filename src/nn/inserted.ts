// Changes what one module computes, and not its class: members are put between the module and the prototype of its class. The module
// stays the same object with the same fields, so that everything that refers to it sees the change.

import { prepareForward } from './forward.ts'
import { Module } from './module.ts'

/** Puts members between a module and its class. `parent` is where they find what they override. */
export function insert(module: Module, members: (parent: Module) => PropertyDescriptorMap): void {
  const parent: Module = Object.getPrototypeOf(module)
  const descriptors = members(parent)
  for (const descriptor of Object.values(descriptors)) descriptor.configurable = true
  Object.setPrototypeOf(module, Object.create(parent, descriptors))
  prepareForward(module, Module.prototype)
}

/** Removes the members that were inserted last. */
export function removeInserted(module: Module): void {
  Object.setPrototypeOf(module, Object.getPrototypeOf(Object.getPrototypeOf(module)))
}

/** The member of a name that was inserted last, or undefined. */
export const lastInserted = (module: Module, name: string): PropertyDescriptor | undefined => {
  const prototype = Object.getPrototypeOf(module)
  return Object.hasOwn(prototype, 'constructor') ? undefined : Object.getOwnPropertyDescriptor(prototype, name)
}
