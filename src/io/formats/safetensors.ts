// The safetensors format on plain bytes, so that a browser can read a checkpoint too: eight bytes with the length of
// the header, a JSON header, then the tensors one after the other. A file is checked in full before a value is read
// from it, and every size in it is checked against the length of the file.
// Format: https://github.com/huggingface/safetensors#format

import { DataError, messageOf, SafetensorsError } from '../errors.ts'
import { parseJson } from '../json.ts'

/** Bytes per element of every dtype that can be read. */
const BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const

/** The typed array that holds each dtype; the two half precisions are widened to float32. */
const ARRAYS = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Float32Array,
  BF16: Float32Array,
  I64: BigInt64Array,
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U64: BigUint64Array,
  U32: Uint32Array,
  U16: Uint16Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const

/** A dtype of the format safetensors, as its header names it. */
export type SafetensorsDtype = keyof typeof BYTES

export const safetensorElementBytes = (dtype: SafetensorsDtype): number => BYTES[dtype]

/** The elements of a tensor of a file. F16 and BF16 are converted to float32. */
export type SafetensorsData =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint32Array
  | Uint16Array
  | Uint8Array

/** A tensor as stored in a file: `data` has the number of elements of `shape`, row by row. BOOL is 0 or 1. */
export interface SafetensorsTensor {
  /** the dtype in the file */
  readonly dtype: SafetensorsDtype
  /** sizes of its axes; [] for a scalar */
  readonly shape: readonly number[]
  /** the elements, row by row */
  readonly data: SafetensorsData
}

/** The position of a tensor: bytes `begin` to `end` of the data section. */
export interface SafetensorsEntry {
  /** the dtype in the file */
  readonly dtype: SafetensorsDtype
  /** sizes of its axes; [] for a scalar */
  readonly shape: readonly number[]
  /** the first byte of the tensor, from the start of the data section */
  readonly begin: number
  /** the byte after the last one */
  readonly end: number
}

/** Shape and dtype of a tensor. */
export type SafetensorsLayout = Pick<SafetensorsEntry, 'dtype' | 'shape'>

/** A header that has been checked against the length of its file. */
export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>
  readonly metadata: ReadonlyMap<string, string>
  /** start of the data section in the file */
  readonly dataStart: number
}

/** The format's own limit. */
const LONGEST_HEADER = 100_000_000
/** Bytes that the shortest entry of a tensor takes, rounded down: a header has no more objects than its length allows. */
const SHORTEST_ENTRY = 40

/** Most dimensions of a tensor in a file: PyTorch's own limit. */
export const MOST_DIMENSIONS = 64

/**
 * The length of the JSON header in bytes, from the first eight bytes of a file.
 * @param prefix at least the first 8 bytes
 * @param fileLength bytes in the whole file
 * @throws SafetensorsError if the file is too short for this length
 */
export function safetensorsHeaderLength(prefix: Uint8Array, fileLength: number, file?: string): number {
  if (fileLength < 8 || prefix.length < 8)
    throw new SafetensorsError(`too short: ${fileLength} bytes, but the header's length alone takes 8`, { file })
  const claimed = new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true)
  if (claimed > BigInt(LONGEST_HEADER))
    throw new SafetensorsError(`claims a header of ${claimed} bytes; the format allows ${LONGEST_HEADER}`, { file })
  if (claimed > BigInt(fileLength - 8))
    throw new SafetensorsError(`claims a header of ${claimed} bytes, but only ${fileLength - 8} follow`, { file })
  return Number(claimed)
}

/**
 * Reads and checks a header: every entry's shape, dtype and byte range agree, and together the ranges cover the data
 * section once, without overlap or gap.
 * @param head the first 8 + header length bytes of the file, or more
 * @param fileLength bytes in the whole file
 * @throws SafetensorsError naming the tensor and the numbers that do not agree
 */
export function parseSafetensorsHeader(head: Uint8Array, fileLength: number, file?: string): SafetensorsHeader {
  const length = safetensorsHeaderLength(head, fileLength, file)
  const dataStart = 8 + length
  const json = parseHeaderJson(head.subarray(8, dataStart), file)
  const metadata = new Map<string, string>()
  const tensors = new Map<string, SafetensorsEntry>()
  for (const [name, value] of Object.entries(json)) {
    if (name === '__metadata__') readMetadata(value, metadata, file)
    else tensors.set(name, readEntry(name, value, file))
  }
  checkCoverage(tensors, fileLength - dataStart, file)
  return { tensors, metadata, dataStart }
}

function parseHeaderJson(bytes: Uint8Array, file?: string): Record<string, unknown> {
  let text: string
  let json: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    json = parseJson(text, { depth: 3, objects: 2 + Math.floor(bytes.length / SHORTEST_ENTRY) })
  } catch (error) {
    throw new SafetensorsError(
      `header ${error instanceof DataError ? error.reason : `is not JSON: ${messageOf(error)}`}`,
      { file, cause: error },
    )
  }
  if (!isRecord(json)) throw new SafetensorsError('header is not a JSON object', { file })
  const repeated = repeatedKey(text)
  if (repeated !== undefined) throw new SafetensorsError(`header names '${repeated}' twice`, { file })
  return json
}

/** Finds the first repeated key of valid JSON, if any. JSON.parse keeps the last of two equal keys without an error. */
function repeatedKey(json: string): string | undefined {
  const objects: Set<string>[] = []
  const colon = /\s*:/y
  let stringStart = -1
  for (const { 0: token, index } of json.matchAll(/\\.|["{}]/g)) {
    if (stringStart >= 0) {
      if (token !== '"') continue
      const literal = json.slice(stringStart, index + 1)
      stringStart = -1
      colon.lastIndex = index + 1
      if (!colon.test(json)) continue
      const key: string = JSON.parse(literal)
      const keys = objects.at(-1)!
      if (keys.has(key)) return key
      keys.add(key)
    } else if (token === '"') stringStart = index
    else if (token === '{') objects.push(new Set())
    else objects.pop()
  }
  return undefined
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function readMetadata(value: unknown, metadata: Map<string, string>, file?: string): void {
  if (!isRecord(value)) throw new SafetensorsError('__metadata__ is not an object of strings', { file })
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw new SafetensorsError(`__metadata__ '${key}' is not a string`, { file })
    metadata.set(key, text)
  }
}

const isSize = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

function readEntry(name: string, value: unknown, file?: string): SafetensorsEntry {
  const refuse = (reason: string) => new SafetensorsError(`tensor '${name}': ${reason}`, { file })
  if (!isRecord(value)) throw refuse('its entry is not an object')
  const { dtype, shape, data_offsets: offsets } = value
  if (typeof dtype !== 'string' || !Object.hasOwn(BYTES, dtype))
    throw refuse(`dtype ${JSON.stringify(dtype)} is not one of ${Object.keys(BYTES).join(', ')}`)
  if (!Array.isArray(shape) || !shape.every(isSize)) throw refuse('its shape is not a list of sizes')
  if (shape.length > MOST_DIMENSIONS)
    throw refuse(`has ${shape.length} dimensions; at most ${MOST_DIMENSIONS} are read`)
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize))
    throw refuse('its data_offsets are not two offsets')
  const [begin, end] = offsets
  const bytes = shape.reduce((product: number, size: number) => product * size, BYTES[dtype as SafetensorsDtype])
  if (end - begin !== bytes)
    throw refuse(`[${shape}] of ${dtype} takes ${bytes} bytes, but data_offsets ${begin} to ${end} hold ${end - begin}`)
  return { dtype: dtype as SafetensorsDtype, shape, begin, end }
}

/** Checks that every byte of the data section belongs to exactly one tensor. */
function checkCoverage(tensors: ReadonlyMap<string, SafetensorsEntry>, dataLength: number, file?: string): void {
  const inOrder = [...tensors].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)
  let covered = 0
  for (const [name, { begin, end }] of inOrder) {
    const place = `tensor '${name}' takes bytes ${begin} to ${end}`
    if (end > dataLength) throw new SafetensorsError(`${place}, but the data ends at ${dataLength}`, { file })
    if (begin < covered)
      throw new SafetensorsError(`${place}, which overlaps the one that ends at ${covered}`, { file })
    if (begin > covered) throw new SafetensorsError(`${place}, so bytes ${covered} to ${begin} are unused`, { file })
    covered = end
  }
  if (covered !== dataLength)
    throw new SafetensorsError(`the tensors take ${covered} bytes, but the data section holds ${dataLength}`, { file })
}

/**
 * Converts the bytes of one tensor to numbers. The numbers are a copy, so `bytes` need not be aligned.
 * @param bytes exactly the entry's range
 */
export function decodeSafetensor(entry: SafetensorsLayout, bytes: Uint8Array): SafetensorsTensor {
  const { dtype, shape } = entry
  const buffer = new Uint8Array(bytes).buffer
  if (dtype === 'F16') return { dtype, shape, data: halfToFloat(new Uint16Array(buffer)) }
  if (dtype === 'BF16') return { dtype, shape, data: brainToFloat(new Uint16Array(buffer)) }
  return { dtype, shape, data: new ARRAYS[dtype](buffer) }
}

/**
 * The numbers of some whole elements. They may share the memory of the bytes, and are valid as long as these are.
 * @param bytes at the start of their buffer
 */
export function decodePiece(dtype: SafetensorsDtype, bytes: Uint8Array<ArrayBuffer>): SafetensorsData {
  const { buffer, length } = bytes
  const count = length / BYTES[dtype]
  if (dtype === 'F16') return halfToFloat(new Uint16Array(buffer, 0, count))
  if (dtype === 'BF16') return brainToFloat(new Uint16Array(buffer, 0, count))
  return new ARRAYS[dtype](buffer, 0, count)
}

/** IEEE 754 binary16: 1 sign bit, 5 exponent bits of bias 15, 10 fraction bits. */
function halfToFloat(halves: Uint16Array): Float32Array {
  const values = new Float32Array(halves.length)
  for (let i = 0; i < halves.length; i++) {
    const exponent = (halves[i] >> 10) & 31
    const fraction = halves[i] & 1023
    const sign = halves[i] & 0x8000 ? -1 : 1
    if (exponent === 31) values[i] = fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
    else values[i] = sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25))
  }
  return values
}

/** A bfloat16 is the upper half of a float32. */
function brainToFloat(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length)
  for (let i = 0; i < bits.length; i++) words[i] = bits[i] << 16
  return new Float32Array(words.buffer)
}

/** A whole file in memory, or read from one. */
export interface SafetensorsContent {
  /** by name, in the order of the header */
  readonly tensors: Map<string, SafetensorsTensor>
  /** texts by key, the `__metadata__` of the header */
  readonly metadata: ReadonlyMap<string, string>
}

/**
 * Reads a whole file from its bytes.
 * @param file what to call it in an error
 * @throws SafetensorsError for anything that does not follow the format
 */
export function parseSafetensors(bytes: Uint8Array, file?: string): SafetensorsContent {
  const { tensors, metadata, dataStart } = parseSafetensorsHeader(bytes, bytes.length, file)
  const decode = (entry: SafetensorsEntry) =>
    decodeSafetensor(entry, bytes.subarray(dataStart + entry.begin, dataStart + entry.end))
  return { tensors: new Map([...tensors].map(([name, entry]) => [name, decode(entry)])), metadata }
}

/**
 * Converts integers of any stored dtype, such as token ids and positions, to int32, and checks that each fits.
 * @throws SafetensorsError naming the first value that is not a 32-bit integer
 */
export function toInt32(tensor: SafetensorsTensor, name = 'tensor'): Int32Array {
  return Int32Array.from(tensor.data as ArrayLike<number | bigint>, value => {
    const number = Number(value)
    if (number !== (number | 0)) throw new SafetensorsError(`tensor '${name}': ${value} is not a 32-bit integer`)
    return number
  })
}

/**
 * The start of a file, and the order of its tensors. The header is padded to a multiple of 8 and wider
 * elements come first, so every tensor is aligned to its element size in the file.
 * @throws SafetensorsError for a name or a dtype that cannot be written, or an invalid shape
 */
export function safetensorsHead(
  layouts: ReadonlyMap<string, SafetensorsLayout>,
  metadata: Readonly<Record<string, string>> = {},
): { readonly head: Uint8Array<ArrayBuffer>; readonly names: readonly string[] } {
  const header: Record<string, unknown> = Object.create(null)
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata
  let offset = 0
  const widestFirst = [...layouts].sort(([, a], [, b]) => BYTES[b.dtype] - BYTES[a.dtype])
  for (const [name, { dtype, shape }] of widestFirst) {
    const refuse = (reason: string) => new SafetensorsError(`tensor '${name}': ${reason}`)
    if (name === '__metadata__') throw refuse('this name is reserved by the format')
    if (dtype === 'F16' || dtype === 'BF16' || !Object.hasOwn(BYTES, dtype)) throw refuse(`${dtype} cannot be written`)
    if (!shape.every(isSize)) throw refuse(`[${shape}] is not a shape`)
    const end = offset + BYTES[dtype] * shape.reduce((product, extent) => product * extent, 1)
    header[name] = { dtype, shape, data_offsets: [offset, end] }
    offset = end
  }
  const json = new TextEncoder().encode(JSON.stringify(header))
  const headerLength = Math.ceil(json.length / 8) * 8
  const head = new Uint8Array(8 + headerLength).fill(0x20)
  new DataView(head.buffer).setBigUint64(0, BigInt(headerLength), true)
  head.set(json, 8)
  return { head, names: widestFirst.map(([name]) => name) }
}

/**
 * The bytes of one tensor, as they are stored in a file.
 * @throws SafetensorsError if the data does not agree with shape and dtype
 */
export function safetensorBytes(
  name: string,
  { dtype, shape }: SafetensorsLayout,
  data: SafetensorsData,
): Uint8Array<ArrayBuffer> {
  const refuse = (reason: string) => new SafetensorsError(`tensor '${name}': ${reason}`)
  if (!(data instanceof ARRAYS[dtype]))
    throw refuse(`${dtype} is written from ${ARRAYS[dtype].name}, not from ${(data as object).constructor.name}`)
  const size = shape.reduce((product, extent) => product * extent, 1)
  if (data.length !== size) throw refuse(`[${shape}] has ${size} elements, but the data has ${data.length}`)
  const { buffer, byteOffset, byteLength } = data
  if (buffer instanceof ArrayBuffer) return new Uint8Array(buffer, byteOffset, byteLength)
  // a page cannot write memory that is shared with threads
  return new Uint8Array(new Uint8Array(buffer, byteOffset, byteLength))
}

/**
 * The pieces of a file, to be written one after the other, or in a page to become one: `new Blob(pieces)`.
 * @param tensors F16 and BF16 are read, not written
 * @throws SafetensorsError if a tensor's shape, dtype and data do not agree
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, SafetensorsTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer>[] {
  const { head, names } = safetensorsHead(tensors, metadata)
  return [head, ...names.map(name => safetensorBytes(name, tensors.get(name)!, tensors.get(name)!.data))]
}
