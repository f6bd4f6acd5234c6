// What a captured function returned, so that it can be made again in the same memory, and compared with what the function returns later.

import { storagesIn } from '../scope.ts'
import { Storage } from '../storage.ts'
import { Tensor } from '../tensor.ts'
import type { Block } from './heap.ts'

/** A result that can be made again. */
export interface Template {
  /**
   * The result once more, with new tensors in the same memory for those that are the function's own.
   * @returns the storages of these, too
   */
  again(): { readonly result: unknown; readonly own: readonly Storage[] }
  /** what the result consists of, beside the values of its tensors */
  readonly parts: readonly unknown[]
}

/** Whether two results consist of the same. */
export const areSameParts = (a: readonly unknown[], b: readonly unknown[]): boolean =>
  a.length === b.length && a.every((part, i) => Object.is(current(part), current(b[i])))

const current = (part: unknown): unknown => (part instanceof Storage ? part.latest : part)

/**
 * The template of a result.
 * @param isOwn whether memory is the function's own
 * @param refuse called with the reason if the result cannot be made again
 */
export function templateOf(
  result: unknown,
  isOwn: (storage: Storage) => boolean,
  refuse: (reason: string) => void,
): Template {
  const parts: unknown[] = []
  /** what an item is inside of */
  const around = new Set<object>()
  /** the function's own storages in the result, each once, and what makes them again */
  const found: Storage[] = []
  const makers: (() => Storage)[] = []
  /** those that were made again */
  let own: readonly Storage[] = []

  const makeTensor = (item: Tensor): (() => unknown) => {
    // a parameter or a buffer: the object stays, whatever its value
    if (Object.getPrototypeOf(item) !== Tensor.prototype) return makeOther(item)
    const { storage, shape, strides, offset } = item
    const { device, dtype, length } = storage
    parts.push('tensor', dtype, shape.length, ...shape, ...strides, offset)
    if (!isOwn(storage)) {
      parts.push(storage)
      return () => renewed(item)
    }
    const block = { ...(storage.handle as Block) }
    parts.push(block.pointer)
    const known = found.indexOf(storage)
    const at = known < 0 ? found.push(storage) - 1 : known
    makers[at] ??= () => new Storage(device, dtype, length, block)
    return () => new Tensor(own[at], shape, strides, offset)
  }
  const makeOther = (item: object): (() => unknown) => {
    parts.push(item)
    if ([...storagesIn(item)].some(isOwn)) refuse(`it returns tensors in a ${item.constructor.name}`)
    return () => item
  }
  const makeAll = <Key>(kind: string, entries: readonly (readonly [Key, unknown])[]) => {
    parts.push(kind, entries.length)
    return entries.map(([key, value]) => {
      parts.push(key)
      return [key, make(value)] as const
    })
  }
  const makeInside = (item: object): (() => unknown) => {
    if (item instanceof Tensor) return makeTensor(item)
    if (Array.isArray(item)) {
      const all = makeAll('array', [...item.entries()])
      return () => all.map(([, part]) => part())
    }
    if (item instanceof Map) {
      const all = makeAll('map', [...item])
      return () => new Map(all.map(([key, part]) => [key, part()]))
    }
    if (![Object.prototype, null].includes(Object.getPrototypeOf(item))) return makeOther(item)
    const all = makeAll('object', Object.entries(item))
    return () => Object.fromEntries(all.map(([key, part]) => [key, part()]))
  }
  const make = (item: unknown): (() => unknown) => {
    if (typeof item !== 'object' || item === null) {
      parts.push(item)
      return () => item
    }
    if (around.has(item)) {
      refuse('it returns an object that contains itself')
      return () => item
    }
    around.add(item)
    const again = makeInside(item)
    around.delete(item)
    return again
  }

  const again = make(result)
  return {
    parts,
    again() {
      own = makers.map(make => make())
      return { result: again(), own }
    },
  }
}

/** A tensor, or the same view of the values that its memory has now: a parameter that was updated in place has another storage. */
const renewed = (x: Tensor): Tensor =>
  x.storage.isFreed ? new Tensor(x.storage.latest, x.shape, x.strides, x.offset) : x
