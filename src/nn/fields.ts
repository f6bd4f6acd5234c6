// Finds the parts of an object: in its fields, and in the arrays, plain objects and Maps that its fields hold, at any
// depth. The path of keys that leads to a part is its name. Tensors, typed arrays and objects of other classes are not
// searched.

/** A part of an object and its position. */
export interface FieldPlace<T> {
  /** the keys that lead to it, joined with dots */
  readonly path: string
  readonly value: T
  /** why the path cannot be its name; undefined if it can */
  readonly problem: string | undefined
  /** Puts another value here. False if this is not possible, as in a frozen object or a Set. */
  readonly put: (value: unknown) => boolean
}

/**
 * The parts of an object in the order of its fields. The parts themselves are not searched.
 * @param opened objects that were searched before and are not searched again, which ends cycles. The owner and its containers are added.
 */
export function placesIn<T extends object>(
  owner: object,
  isPart: (value: object) => value is T,
  prefix = '',
  opened = new Set<object>(),
): FieldPlace<T>[] {
  const places: FieldPlace<T>[] = []
  const open = (container: object, prefix: string, opened: Set<object>, outerProblem?: string): void => {
    if (opened.has(container)) return
    opened.add(container)
    each(container, (value, key) => {
      if (typeof value !== 'object' || value === null) return
      const isFound = isPart(value)
      if (!isFound && !isContainer(value)) return
      const path = `${prefix}${isKey(key) ? key : '?'}`
      const problem = outerProblem ?? problemOf(key, container)
      if (isFound) places.push({ path, value, problem, put: other => put(container, key, other) })
      // a part without a name here may have one elsewhere, so it is not added to the searched objects
      else open(value, `${path}.`, problem === outerProblem ? opened : new Set(opened), problem)
    })
  }
  open(owner, prefix, opened)
  return places
}

/**
 * Returns a function that tells whether objects that were searched still hold the same parts and containers under the same keys, so that
 * they need not be searched again.
 */
export function sameFields(searched: Iterable<object>, isPart: (value: object) => boolean): () => boolean {
  const owners = [...searched]
  /** all keys, each with its value if that is a part or a container */
  const held: unknown[] = []
  const isSearched = (value: unknown) =>
    typeof value === 'object' && value !== null && (isPart(value) || isContainer(value))
  for (const owner of owners) each(owner, (value, key) => held.push(key, isSearched(value) ? value : undefined))
  return () => {
    let [at, isSame] = [0, true]
    const compare = (value: unknown, key: unknown) => {
      const before = held[at + 1]
      isSame &&= key === held[at] && (value === before || (before === undefined && !isSearched(value)))
      at += 2
    }
    for (const owner of owners) each(owner, compare)
    return isSame && at === held.length
  }
}

const isKey = (key: unknown): key is string | number => typeof key === 'string' || typeof key === 'number'

/** The elements of a container with their keys; in a Set, each element is its own key. */
function each(container: object, show: (value: unknown, key: unknown) => void): void {
  if (Array.isArray(container) || container instanceof Map || container instanceof Set) container.forEach(show)
  else for (const key of Object.keys(container)) show((container as Record<string, unknown>)[key], key)
}

function isContainer(value: object): boolean {
  if (Array.isArray(value) || value instanceof Map || value instanceof Set) return true
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function problemOf(key: unknown, container: object): string | undefined {
  if (container instanceof Set) return 'elements of a Set have no names'
  if (!isKey(key)) return 'a key of a Map must be a string or a number'
  if (String(key).includes('.')) return `the key '${key}' has a dot, and dots separate the parts of a name`
  if (typeof key === 'number' && container instanceof Map && container.has(String(key)))
    return `the keys ${key} and '${key}' of a Map are one name`
  return undefined
}

function put(container: object, key: unknown, value: unknown): boolean {
  if (container instanceof Set) return false
  if (!(container instanceof Map)) return Reflect.set(container, key as PropertyKey, value)
  container.set(key, value)
  return true
}
