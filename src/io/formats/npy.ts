// NumPy's file of one array: rows of float32 for embeddings, and arrays of any numbers in memory.
// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

import { DataError } from '../errors.ts'
import { withFile } from '../ranges.ts'

/** NumPy's own limit on a header that is not trusted. */
const LONGEST_HEADER = 10_000

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59] // \x93NUMPY

/** The header: version 1.0, little-endian float32, padded so that the numbers begin at a multiple of 64 bytes. */
export function npyHead(shape: readonly [rows: number, columns: number]): Uint8Array {
  const words = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`
  const length = Math.ceil((10 + words.length + 1) / 64) * 64
  const head = Buffer.alloc(length, ' ')
  head.set([...MAGIC, 1, 0])
  head.writeUInt16LE(length - 10, 8)
  head.write(words, 10, 'latin1')
  head[length - 1] = 0x0a
  return head
}

/**
 * The position of the numbers in a file.
 * @throws DataError if it is not such a file, is truncated, or contains anything but rows of little-endian float32
 */
export async function openNpy(path: string): Promise<{ shape: [rows: number, columns: number]; dataStart: number }> {
  return withFile(path, async ({ read, length }) => {
    const refuse = (reason: string) => new DataError(reason, { file: path })
    const prefix = Buffer.from(await read(0, Math.min(12, length)))
    if (prefix.length < 12 || MAGIC.some((byte, i) => prefix[i] !== byte)) throw refuse('is not a .npy file')
    const [lengthAt, width] = prefix[6] === 1 ? [8, 2] : [8, 4]
    const start = lengthAt + width
    const dataStart = start + prefix.readUIntLE(lengthAt, width)
    if (dataStart > length) throw refuse(`claims a header of ${dataStart} bytes, but has ${length} bytes`)
    if (dataStart - start > LONGEST_HEADER)
      throw refuse(`has a header of ${dataStart - start} bytes; at most ${LONGEST_HEADER} are read`)
    const words = Buffer.from(await read(start, dataStart - start)).toString('latin1')
    const fields = headerFields(words)
    const found = /^\((\d+), *(\d+),? *\)$/.exec(fields?.get('shape') ?? '')
    if (!found || fields?.get('descr') !== "'<f4'" || fields.get('fortran_order') !== 'False' || fields.size !== 3)
      throw refuse(`does not hold rows of float32: ${words.trim().slice(0, 200)}`)
    const shape: [number, number] = [Number(found[1]), Number(found[2])]
    if (dataStart + 4 * shape[0] * shape[1] !== length)
      throw refuse(
        `[${shape}] of float32 takes ${4 * shape[0] * shape[1]} bytes, but the file holds ${length - dataStart}`,
      )
    return { shape, dataStart }
  })
}

/** An array of NumPy. */
export interface NpyArray {
  /** row by row; 64-bit integers as Int32Array, booleans as bytes 0 and 1 */
  readonly data:
    | Int8Array
    | Uint8Array
    | Int16Array
    | Uint16Array
    | Int32Array
    | Uint32Array
    | Float32Array
    | Float64Array
  readonly shape: readonly number[]
  readonly dtype?: 'bool'
}

type Elements = new (length: number) => NpyArray['data']
type ReadElement = (view: DataView, at: number, little: boolean) => number

/** Types of numbers by NumPy's letter and number of bytes. */
const NUMBERS = new Map<string, readonly [Elements, ReadElement]>([
  ['b1', [Uint8Array, (view, at) => Number(view.getUint8(at) !== 0)]],
  ['i1', [Int8Array, (view, at) => view.getInt8(at)]],
  ['u1', [Uint8Array, (view, at) => view.getUint8(at)]],
  ['i2', [Int16Array, (view, at, little) => view.getInt16(at, little)]],
  ['u2', [Uint16Array, (view, at, little) => view.getUint16(at, little)]],
  ['i4', [Int32Array, (view, at, little) => view.getInt32(at, little)]],
  ['u4', [Uint32Array, (view, at, little) => view.getUint32(at, little)]],
  ['i8', [Int32Array, (view, at, little) => Number(view.getBigInt64(at, little))]],
  ['u8', [Int32Array, (view, at, little) => Number(view.getBigUint64(at, little))]],
  ['f4', [Float32Array, (view, at, little) => view.getFloat32(at, little)]],
  ['f8', [Float64Array, (view, at, little) => view.getFloat64(at, little)]],
])

/**
 * The array of a .npy file in memory, of booleans, integers, float32 or float64.
 * @throws the result of `refuse` for other types (float16, texts, objects), for columns before rows (Fortran order), for another
 *   number of bytes than the shape says, and for a 64-bit integer that int32 does not have
 */
export function parseNpy(bytes: Uint8Array, refuse: (reason: string) => Error): NpyArray {
  if (bytes.length < 12 || MAGIC.some((byte, i) => bytes[i] !== byte)) throw refuse('is not a .npy file')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const start = bytes[6] === 1 ? 10 : 12
  const length = bytes[6] === 1 ? view.getUint16(8, true) : view.getUint32(8, true)
  if (start + length > bytes.length) throw refuse(`claims a header of ${length} bytes, but has ${bytes.length} bytes`)
  if (length > LONGEST_HEADER) throw refuse(`has a header of ${length} bytes; at most ${LONGEST_HEADER} are read`)
  const words = new TextDecoder('latin1').decode(bytes.subarray(start, start + length))
  const fields = headerFields(words)
  const shown = words.trim().slice(0, 200)
  const found = /^\(((?:\d+, *)*\d*)\)$/.exec(fields?.get('shape') ?? '')
  const type = /^'([<>|=])([a-z]\d+)'$/.exec(fields?.get('descr') ?? '')
  const kind = NUMBERS.get(type?.[2] ?? '')
  if (!found || !type || fields?.size !== 3) throw refuse(`has a header of another form: ${shown}`)
  if (!kind) throw refuse(`has elements of ${type[2]}, which are not read: save x.astype(np.float32)`)
  const shape = found[1].split(',').flatMap(size => (size.trim() === '' ? [] : [Number(size)]))
  if (fields.get('fortran_order') !== 'False' && shape.length > 1)
    throw refuse('has columns before rows (Fortran order): save np.ascontiguousarray(x)')
  const width = Number(type[2].slice(1))
  const count = shape.reduce((n, size) => n * size, 1)
  if (start + length + width * count !== bytes.length)
    throw refuse(
      `[${shape.join(', ')}] of ${type[2]} takes ${width * count} bytes, but there are ${bytes.length - start - length}`,
    )
  const [Elements, read] = kind
  const data = new Elements(count)
  for (let i = 0; i < count; i++) {
    const value = read(view, start + length + width * i, type[1] !== '>')
    data[i] = value
    if (width === 8 && data instanceof Int32Array && data[i] !== value)
      throw refuse(`has the number ${value} at ${i}, which int32 does not have: save x.astype(np.float64)`)
  }
  return { data, shape, ...(type[2] === 'b1' && { dtype: 'bool' }) }
}

/** The three fields of a header as they are written, or undefined if it is not a dictionary or names a field twice. */
function headerFields(words: string): Map<string, string> | undefined {
  const fields = new Map<string, string>()
  const field = / *'(\w+)' *: *('[^']*'|\w+|\([^()]*\)) *(?:,|(?=\}))/y
  const body = words.trim()
  if (!body.startsWith('{')) return undefined
  let at = 1
  for (;;) {
    field.lastIndex = at
    const found = field.exec(body)
    if (!found) return body.slice(at).trim() === '}' ? fields : undefined
    if (fields.has(found[1])) return undefined
    fields.set(found[1], found[2])
    at = field.lastIndex
  }
}
