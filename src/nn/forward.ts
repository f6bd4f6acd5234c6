// Memory of a forward pass outside of a tape, where no intermediate value is needed after its last use. `forward` of
// every module frees what it made, except what can still be reached: its result, what it stored in its arguments (such
// as a cache) or in its own fields, and what it passed to a function among its arguments. While a tape is recording,
// nothing is freed, because the tape needs everything; a device that stores activations in less memory packs then what would be
// freed otherwise.

import { isRecording } from '../autograd/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { innermost, type Owner, runIn } from '../tensor/context.ts'
import { packsActivations } from '../tensor/devices.ts'
import { type Scope, storagesIn, type Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { scoped } from '../tensor/scope.ts'

type Forward = (this: object, ...args: unknown[]) => unknown

const prepared = new WeakSet<object>()

/**
 * Makes `forward` of an object's class, and of the classes that it extends, free what it made. Each class is changed once.
 * @param base prototype of all modules, the end of the chain of classes
 */
export function prepareForward(module: object, base: object): void {
  for (let at = Object.getPrototypeOf(module); at !== base && !prepared.has(at); at = Object.getPrototypeOf(at)) {
    prepared.add(at)
    const property = Object.getOwnPropertyDescriptor(at, 'forward')
    if (typeof property?.value === 'function')
      Object.defineProperty(at, 'forward', { ...property, value: givingBack(property.value, base) })
  }
}

function givingBack(forward: Forward, base: object): Forward {
  const isModule = (item: object) => Object.prototype.isPrototypeOf.call(base, item)
  return function (...args) {
    if (isRecording() && !packsActivations()) return forward.apply(this, args)
    const outer = innermost()
    return scoped(
      `forward of ${this.constructor.name}`,
      inner =>
        forward.apply(
          this,
          args.map(arg => ofCaller(arg, inner, outer)),
        ),
      () => storagesIn([args, Object.values(this)], isModule),
    )
  }
}

/** An argument whose functions belong to the caller: they run in its scope, which owns their arguments and results. */
function ofCaller(arg: unknown, inner: Scope, outer: Owner | null): unknown {
  if (typeof arg === 'function')
    return new Proxy(arg, {
      apply(f, self, given) {
        inner.handOver(storagesIn(given))
        return runIn(outer, () => Reflect.apply(f, self, given))
      },
    })
  if (typeof arg !== 'object' || arg === null || Object.getPrototypeOf(arg) !== Object.prototype) return arg
  const entries = Object.entries(arg)
  if (!entries.some(([, value]) => typeof value === 'function')) return arg
  return Object.fromEntries(
    entries.map(([key, value]) => [key, typeof value === 'function' ? ofCaller(value, inner, outer) : value]),
  )
}

const areModules = new is.Kind<Iterable<unknown>>(
  'a list of modules',
  x => typeof (x as Partial<Iterable<unknown>> | undefined)?.[Symbol.iterator] === 'function',
)

/**
 * Applies modules to x, one after the other. Outside of a tape each result is freed once the next is computed, so that only two
 * results are kept at a time.
 * @param step computes the result of a module from the previous result
 */
export function sequence<M>(
  x: Tensor,
  modules: Iterable<M>,
  step: (x: Tensor, module: M, index: number) => Tensor,
): Tensor {
  checkArguments('sequence(x, modules, step)', [is.tensor, areModules, is.callback], [x, modules, step])
  let y = x
  let index = 0
  for (const module of modules) {
    const next = step(y, module, index++)
    const isNeeded = y.storage === x.storage || y.storage === next.storage
    if (!isNeeded && innermost()?.owns(y.storage)) {
      if (isRecording()) y.storage.pack()
      else y.storage.free('the next module of a sequence')
    }
    y = next
  }
  return y
}
