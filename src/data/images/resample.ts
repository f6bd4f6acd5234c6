// Sums of pixels by their weights, in WebAssembly. Rows are copied into its memory some at a time, so that this memory stays small
// for pictures of any size.

import { compileModule } from '../../tensor/compile.ts'
import { type Filters, filtersModule } from './filters.ts'

/** The inputs and weights of every output. */
export interface Taps {
  readonly count: number
  /** the most inputs of an output */
  readonly width: number
  /** first input of every output */
  readonly first: Int32Array
  /** number of inputs of every output; neither they nor their ends decrease */
  readonly counts: Int32Array
  /** [count, width], in units of 2^-22 */
  readonly weights: Int32Array
}

/** Weights are integers with this number of fractional bits: the sum of their products with 255 fits in 32 bits. */
export const BITS = 22

/** Bytes of rows that are copied at once; a row, or the rows of one output, may be more. */
const AT_ONCE = 2 ** 21

/** Loads and stores of vectors may go beyond the end by less than this. */
const VECTOR = 16

let loaded: (Filters & { readonly memory: WebAssembly.Memory }) | undefined

function filters(): NonNullable<typeof loaded> {
  loaded ??= new WebAssembly.Instance(
    compileModule(
      Uint8Array.from(atob(filtersModule), character => character.charCodeAt(0)),
      'resizing a picture',
      'resize it on a canvas',
    ),
  ).exports as unknown as NonNullable<typeof loaded>
  return loaded
}

/** Addresses in the memory of the filters for so many bytes each, until the next call. */
function reserve(...sizes: readonly number[]): number[] {
  const { memory } = filters()
  let end = 0
  const addresses = sizes.map(size => {
    const address = end
    end += Math.ceil(size / VECTOR + 1) * VECTOR
    return address
  })
  const missing = end - memory.buffer.byteLength
  if (missing > 0) memory.grow(Math.ceil(missing / 2 ** 16))
  return addresses
}

/**
 * Horizontally, then vertically; the intermediate result is bytes.
 * @param data pixels row by row, three bytes each: [height, width, 3]
 */
export function resample(
  { width, data }: { readonly width: number; readonly data: Uint8Array },
  across: Taps,
  down: Taps,
): { width: number; height: number; data: Uint8Array } {
  const top = down.first[0]
  const bottom = down.first[down.count - 1] + down.counts[down.count - 1]
  const narrow = filterAcross(data.subarray(top * width * 3, bottom * width * 3), width * 3, across)
  return { width: across.count, height: down.count, data: filterDown(narrow, across.count * 3, down) }
}

/** [rows, rowBytes] to [rows, taps.count, 3]. */
function filterAcross(rows: Uint8Array, rowBytes: number, { count, width, first, counts, weights }: Taps): Uint8Array {
  const { memory, across } = filters()
  const height = rows.length / rowBytes
  const most = Math.min(height, Math.ceil(AT_ONCE / rowBytes))
  const result = new Uint8Array(height * count * 3)
  const [places, lengths, factors, from, to] = reserve(
    first.byteLength,
    counts.byteLength,
    weights.byteLength,
    most * rowBytes,
    most * count * 3,
  )
  const bytes = new Uint8Array(memory.buffer)
  const integers = new Int32Array(memory.buffer)
  integers.set(
    first.map(input => input * 3),
    places / 4,
  )
  integers.set(counts, lengths / 4)
  integers.set(weights, factors / 4)
  for (let y = 0; y < height; y += most) {
    const some = Math.min(most, height - y)
    bytes.set(rows.subarray(y * rowBytes, (y + some) * rowBytes), from)
    across(to, from, some, rowBytes, count, places, lengths, factors, width)
    result.set(bytes.subarray(to, to + some * count * 3), y * count * 3)
  }
  return result
}

/** [rows, rowBytes], of which the first one is the first input, to [taps.count, rowBytes]. */
function filterDown(rows: Uint8Array, rowBytes: number, { count, width, first, counts, weights }: Taps): Uint8Array {
  const { memory, down } = filters()
  const result = new Uint8Array(count * rowBytes)
  const endOf = (y: number) => first[y] + counts[y]
  for (let start = 0, end = 0; start < count; start = end) {
    const top = first[start]
    for (end = start + 1; end < count && (endOf(end) - top) * rowBytes <= AT_ONCE; ) end++
    const inputs = rows.subarray((top - first[0]) * rowBytes, (endOf(end - 1) - first[0]) * rowBytes)
    const [factors, from, to] = reserve(weights.byteLength, inputs.length, (end - start) * rowBytes)
    const bytes = new Uint8Array(memory.buffer)
    new Int32Array(memory.buffer).set(weights, factors / 4)
    bytes.set(inputs, from)
    for (let y = start; y < end; y++)
      down(
        to + (y - start) * rowBytes,
        from + (first[y] - top) * rowBytes,
        rowBytes,
        factors + y * width * 4,
        counts[y],
      )
    result.set(bytes.subarray(to, to + (end - start) * rowBytes), start * rowBytes)
  }
  return result
}
