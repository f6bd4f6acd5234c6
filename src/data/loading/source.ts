// The forms of data that a DataLoader takes, as one interface: examples that are read by their number, or one after the other.

import { BatchError } from '../../io/errors.ts'
import { type Generator, type HostArray, Tensor } from '../../tensor/index.ts'
import { isHostArray, isShaped, type ShapedData } from './collate.ts'

/** What `get` of a dataset and `map` are told about an example. */
export interface ExampleContext {
  /** its number in the data, from 0 */
  readonly index: number
  /** from 0 */
  readonly epoch: number
  /** random numbers of this example in this epoch; they depend on the seed, and not on when or where the example is prepared */
  readonly random: Generator
}

/** Examples that are read by their number, in any order. */
export interface Dataset<Example> {
  /** number of examples */
  readonly length: number
  /** Example `index`, from 0; may be a promise. Random changes of it take their numbers from `context.random`. */
  get(index: number, context: ExampleContext): Example | Promise<Example>
}

/** The values of one field for all examples; of arrays and tensors, the first axis counts examples. */
export type Column = Tensor | HostArray | ShapedData | readonly unknown[]

/** Columns of equal length, by name. */
export type Columns = Readonly<Record<string, Column>>

/** Whatever a DataLoader takes. */
export type LoaderData = Dataset<unknown> | Iterable<unknown> | AsyncIterable<unknown> | Column | Columns

/** An element of a column: of arrays and tensors its numbers and their shape. */
export type ElementOf<C> = C extends Tensor | HostArray | ShapedData
  ? ShapedData
  : C extends readonly (infer Value)[]
    ? Value
    : never

/** An example of some data. */
export type ExampleOf<Data> = Data extends Tensor | HostArray | ShapedData
  ? ShapedData
  : Data extends Dataset<infer Example>
    ? Example
    : Data extends Iterable<infer Example> | AsyncIterable<infer Example>
      ? Example
      : { -readonly [K in keyof Data]: ElementOf<Data[K]> }

/** Reads an example. */
export type ReadExample = (index: number, context: ExampleContext) => unknown

/** Data as the loader reads it. */
export type Source =
  | { readonly kind: 'examples'; readonly length: number; prepare(): Promise<ReadExample> }
  | { readonly kind: 'stream'; readonly data: Iterable<unknown> | AsyncIterable<unknown> }

const isColumn = (value: unknown): value is Column =>
  value instanceof Tensor || isHostArray(value) || isShaped(value) || Array.isArray(value)

/** @throws BatchError for what is no data, and for columns of different lengths */
export function sourceOf(data: LoaderData): Source {
  if (isColumn(data)) {
    return { kind: 'examples', length: lengthOf(data, 'the data'), prepare: () => elements(data) }
  }
  if (typeof data !== 'object' || data === null) throw noData()
  if ('get' in data && typeof data.get === 'function' && 'length' in data) {
    const dataset = data as Dataset<unknown>
    if (!Number.isSafeInteger(dataset.length) || dataset.length < 0)
      throw new BatchError(`length of the dataset must be a whole number, 0 or more, not ${dataset.length}`)
    return {
      kind: 'examples',
      length: dataset.length,
      prepare: async () => (index, context) => dataset.get(index, context),
    }
  }
  if (Symbol.iterator in data || Symbol.asyncIterator in data)
    return { kind: 'stream', data: data as Iterable<unknown> }
  const columns = Object.entries(data as Columns)
  if (columns.length === 0 || !columns.every(([, column]) => isColumn(column))) throw noData()
  const [first, column] = columns[0]
  const length = lengthOf(column, `column '${first}'`)
  for (const [name, other] of columns) {
    const count = lengthOf(other, `column '${name}'`)
    if (count !== length)
      throw new BatchError(
        `column '${name}' has ${count} examples, but '${first}' has ${length}: the first axis of all columns must be equal`,
      )
  }
  return {
    kind: 'examples',
    length,
    async prepare() {
      const read = await Promise.all(columns.map(async ([name, each]) => [name, await elements(each)] as const))
      return index => Object.fromEntries(read.map(([name, element]) => [name, element(index)]))
    },
  }
}

const noData = (): BatchError =>
  new BatchError(
    'the data must be a list of examples, a tensor or an array, an object of them such as { x, y }, an object with length and get(index), or an iterable',
  )

function lengthOf(column: Column, name: string): number {
  if (Array.isArray(column) || isHostArray(column)) return column.length
  const { shape } = column as Tensor | ShapedData
  if (shape.length === 0) throw new BatchError(`${name} is one number, without an axis of examples`)
  const size = shape.reduce((n, each) => n * each, 1)
  if (isShaped(column) && column.data.length !== size)
    throw new BatchError(
      `${name} has ${column.data.length} numbers, but a shape of [${shape.join(', ')}] needs ${size}`,
    )
  return shape[0]
}

/** Reads an element of a column by its number. A tensor is read once. */
async function elements(column: Column): Promise<(index: number) => unknown> {
  if (Array.isArray(column)) return index => column[index]
  const { data, shape, dtype }: ShapedData =
    column instanceof Tensor
      ? { data: await column.data(), shape: column.shape, dtype: column.dtype }
      : isHostArray(column)
        ? { data: column, shape: [column.length] }
        : (column as ShapedData)
  const rest = shape.slice(1)
  const size = rest.reduce((n, each) => n * each, 1)
  return index => ({
    data: data.subarray(index * size, (index + 1) * size),
    shape: rest,
    ...(dtype && { dtype }),
  })
}
