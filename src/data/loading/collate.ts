// Joins examples into a batch: numbers and arrays of every field into one tensor, texts into a list. An example that does not fit
// the others is an error that names the example and its field.

import { BatchError } from '../../io/errors.ts'
import { type DType, dtypes, fromData, type HostArray, Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'

/** Numbers on the host, in row-major order, with their shape. */
export interface ShapedData {
  /** the values, row by row */
  readonly data: HostArray
  /** [] for one number */
  readonly shape: readonly number[]
  /** default that of `tensor(data)`: int32 for integers of any width */
  readonly dtype?: DType
}

/** A list of numbers, or of such lists. */
export type NumberLists = readonly (number | NumberLists)[]

/** What `collate` makes of examples of a type. */
export type Collated<Item> = Item extends number | boolean | HostArray | Tensor | ShapedData | NumberLists
  ? Tensor
  : Item extends readonly unknown[]
    ? { -readonly [K in keyof Item]: Collated<Item[K]> }
    : Item extends string | bigint | null | undefined | Date | Map<unknown, unknown> | Set<unknown>
      ? Item[]
      : Item extends object
        ? { -readonly [K in keyof Item]: Collated<Item[K]> }
        : Item[]

/** Options of `collate`. */
export interface CollateOptions {
  /**
   * the dtype of a field by its path, such as `{ label: 'int32' }` or `{ 'target.0': 'int32' }`; the path of an example that is no
   * object is ''. Default that of `tensor(…)`: float32 for numbers, int32 for typed arrays of integers
   */
  readonly dtypes?: Readonly<Record<string, DType>>
  /** the number of each example in the data, for errors; default its place in the list */
  readonly indices?: readonly number[]
}

export const isDTypes = is.optional(
  new is.Kind<Readonly<Record<string, DType>>>(
    "an object of dtypes by field, such as { label: 'int32' }",
    x =>
      typeof x === 'object' && x !== null && !Array.isArray(x) && Object.values(x).every(each => dtypes.includes(each)),
  ),
)
const collateOptions = {
  dtypes: isDTypes,
  indices: is.optional(is.list as is.Kind<readonly number[]>),
} satisfies Settings<CollateOptions>

export const isHostArray = (value: unknown): value is HostArray =>
  ArrayBuffer.isView(value) && !(value instanceof DataView)

/** Whether a value is numbers on the host with their shape. */
export const isShaped = (value: unknown): value is ShapedData =>
  typeof value === 'object' &&
  value !== null &&
  'data' in value &&
  isHostArray(value.data) &&
  'shape' in value &&
  Array.isArray(value.shape)

const isNumberLists = (value: unknown): value is NumberLists =>
  Array.isArray(value) && value.length > 0 && value.every(each => typeof each === 'number' || isNumberLists(each))

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && [Object.prototype, null].includes(Object.getPrototypeOf(value))

const sizeOf = (shape: readonly number[]): number => shape.reduce((n, size) => n * size, 1)

/**
 * Joins examples into a batch.
 *
 * - Numbers, booleans and typed arrays become a tensor with a new first axis: n numbers [n], n arrays of 4 numbers [n, 4]. So do
 *   tensors, `{ data, shape }`, and lists of numbers.
 * - Objects are joined field by field, and other lists element by element.
 * - Everything else, such as texts, becomes a list of the n values.
 * @param items at least one
 * @returns tensors on the current device
 * @throws BatchError naming the example and the field, for a field that is missing, is of another kind, or has another shape than
 *   in the first example, and for a path in `dtypes` that no field has
 */
export function collate<Item>(items: readonly Item[], options?: CollateOptions): Collated<Item> {
  const { dtypes = {}, indices } = settle('collate(items, options)', options, collateOptions)
  if (items.length === 0) throw new BatchError('collate: there is no example to join')
  const joining = new Joining(dtypes, indices ?? items.map((_, i) => i))
  const batch = joining.join(items, '')
  const unused = Object.keys(dtypes).find(path => !joining.numeric.has(path))
  if (unused !== undefined)
    throw new BatchError(
      `dtypes names the field '${unused}', which has no numbers: those with numbers are ${[...joining.numeric].map(each => `'${each}'`).join(', ')}`,
    )
  return batch as Collated<Item>
}

type FieldKind = 'number' | 'boolean' | 'array' | 'object' | 'list' | 'text' | 'other'

const KIND_NAMES: Readonly<Record<FieldKind, string>> = {
  number: 'a number',
  boolean: 'true or false',
  array: 'an array of numbers',
  object: 'an object',
  list: 'a list',
  text: 'a text',
  other: 'another value',
}

function kindOf(value: unknown): FieldKind {
  if (typeof value === 'number' || typeof value === 'boolean') return typeof value as 'number' | 'boolean'
  if (typeof value === 'string') return 'text'
  if (value instanceof Tensor || isHostArray(value) || isShaped(value) || isNumberLists(value)) return 'array'
  if (Array.isArray(value)) return 'list'
  return isPlain(value) ? 'object' : 'other'
}

const kindName = (value: unknown): string =>
  value === undefined ? 'missing' : value === null ? 'null' : KIND_NAMES[kindOf(value)]

/** An example with the values of its tensors on the host, which not all devices can read at once. */
export async function readTensors(value: unknown): Promise<unknown> {
  if (value instanceof Tensor) return { data: await value.data(), shape: value.shape, dtype: value.dtype }
  const branches = Array.isArray(value) ? Object.entries(value) : isPlain(value) ? Object.entries(value) : []
  // most examples have no tensor, and are returned as they are
  const read = await Promise.all(
    branches
      .filter(([, each]) => hasTensor(each))
      .map(async ([name, each]) => [name, await readTensors(each)] as const),
  )
  if (read.length === 0) return value
  return Array.isArray(value)
    ? Object.assign([...value], Object.fromEntries(read))
    : { ...(value as object), ...Object.fromEntries(read) }
}

const hasTensor = (value: unknown): boolean =>
  value instanceof Tensor ||
  (Array.isArray(value) && value.some(hasTensor)) ||
  (isPlain(value) && Object.values(value).some(hasTensor))

class Joining {
  /** the paths of the fields with numbers */
  readonly numeric = new Set<string>()
  readonly #dtypes: Readonly<Record<string, DType>>
  readonly #indices: readonly number[]

  constructor(dtypes: Readonly<Record<string, DType>>, indices: readonly number[]) {
    this.#dtypes = dtypes
    this.#indices = indices
  }

  join(values: readonly unknown[], path: string): unknown {
    const kind = kindOf(values[0])
    for (const [i, value] of values.entries())
      if (kindOf(value) !== kind || (value === undefined) !== (values[0] === undefined))
        throw this.#refuse(i, path, `is ${kindName(value)}`, `it is ${kindName(values[0])}`)
    switch (kind) {
      case 'number':
        return this.#tensor(Float64Array.from(values as number[]), [values.length], path, 'float32')
      case 'boolean':
        return this.#tensor(Uint8Array.from(values as boolean[], Number), [values.length], path, 'bool')
      case 'array':
        return this.#stack(values, path)
      case 'object':
        return this.#fields(values as Record<string, unknown>[], path)
      case 'list':
        return this.#elements(values as unknown[][], path)
      default:
        return [...values]
    }
  }

  #fields(values: readonly Record<string, unknown>[], path: string): Record<string, unknown> {
    const names = Object.keys(values[0])
    for (const [i, value] of values.entries()) {
      const more = Object.keys(value).find(name => !names.includes(name))
      if (more !== undefined) throw this.#refuse(i, inside(path, more), 'is there', 'there is none')
    }
    return Object.fromEntries(
      names.map(name => [
        name,
        this.join(
          values.map(value => value[name]),
          inside(path, name),
        ),
      ]),
    )
  }

  #elements(values: readonly unknown[][], path: string): unknown[] {
    for (const [i, value] of values.entries())
      if (value.length !== values[0].length)
        throw this.#refuse(i, path, `has ${value.length} elements`, `it has ${values[0].length}`)
    return values[0].map((_, at) =>
      this.join(
        values.map(value => value[at]),
        inside(path, String(at)),
      ),
    )
  }

  #stack(values: readonly unknown[], path: string): Tensor {
    const parts = values.map((value, i) => this.#shaped(value, path, i))
    const { shape, dtype } = parts[0]
    for (const [i, part] of parts.entries()) {
      if (part.shape.length !== shape.length || part.shape.some((size, axis) => size !== shape[axis]))
        throw this.#refuse(i, path, `has the shape [${part.shape.join(', ')}]`, `it has [${shape.join(', ')}]`)
      if (part.data.constructor !== parts[0].data.constructor || part.dtype !== dtype)
        throw this.#refuse(i, path, `is ${typeName(part)}`, `it is ${typeName(parts[0])}`)
    }
    const size = sizeOf(shape)
    const all = new (parts[0].data.constructor as new (length: number) => HostArray)(parts.length * size)
    for (const [i, { data }] of parts.entries()) (all as Float64Array).set(data as Float64Array, i * size)
    return this.#tensor(all, [parts.length, ...shape], path, dtype)
  }

  #shaped(value: unknown, path: string, i: number): ShapedData {
    if (isHostArray(value)) return { data: value, shape: [value.length] }
    if (value instanceof Tensor) return { data: value.dataSync(), shape: value.shape, dtype: value.dtype }
    if (isNumberLists(value)) {
      const shape = shapeOfLists(value)
      if (!shape) throw this.#wrong(i, path, 'has lists of different lengths or depths')
      return { data: Float64Array.from((value as unknown[]).flat(shape.length) as number[]), shape, dtype: 'float32' }
    }
    const given = value as ShapedData
    if (given.data.length !== sizeOf(given.shape))
      throw this.#wrong(
        i,
        path,
        `has ${given.data.length} numbers, but a shape of [${given.shape.join(', ')}] needs ${sizeOf(given.shape)}`,
      )
    return given
  }

  #tensor(data: HostArray, shape: readonly number[], path: string, dtype?: DType): Tensor {
    this.numeric.add(path)
    const wanted = Object.hasOwn(this.#dtypes, path) ? this.#dtypes[path] : dtype
    try {
      return fromData(data, shape, undefined, wanted)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      throw new BatchError(
        `${fieldName(path)} of the examples ${this.#indices.slice(0, 5).join(', ')}${this.#indices.length > 5 ? ', …' : ''}: ${error.message}`,
        { cause: error },
      )
    }
  }

  /** @param first what the first example has instead */
  #refuse(i: number, path: string, found: string, first: string): BatchError {
    return this.#wrong(i, path, `${found}, but ${first} in example ${this.#indices[0]}`)
  }

  #wrong(i: number, path: string, found: string): BatchError {
    return new BatchError(
      `${fieldName(path)} of example ${this.#indices[i]} ${found}: make the examples equal in map, or join them in collate`,
    )
  }
}

const inside = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`)
const fieldName = (path: string): string => (path === '' ? 'the value' : `the field '${path}'`)
const typeName = ({ data, dtype }: ShapedData): string => `${data[Symbol.toStringTag]}${dtype ? ` of ${dtype}` : ''}`

/** The shape of nested lists, or undefined if they differ in length or depth. */
function shapeOfLists(value: NumberLists): number[] | undefined {
  const shapes = value.map(each => (typeof each === 'number' ? [] : shapeOfLists(each)))
  const [first] = shapes
  return first && shapes.every(shape => shape && String(shape) === String(first)) ? [value.length, ...first] : undefined
}
