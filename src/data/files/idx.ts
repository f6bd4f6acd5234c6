// The idx format, in which MNIST and datasets like it are published, also compressed (`train-images-idx3-ubyte.gz`).
// Format: http://yann.lecun.com/exdb/mnist/, "The IDX file format".

import type { ShapedData } from '../loading/collate.ts'
import { bytesOf, type FileSource, type RefuseFile, refusalOf, unzipped } from './source.ts'

type View = DataView<ArrayBufferLike>

/** The types of numbers, by the third byte; all are big-endian. */
const TYPES = new Map<number, { readonly bytes: number; readonly read: (view: View, n: number) => ShapedData['data'] }>(
  [
    [0x08, { bytes: 1, read: ({ buffer, byteOffset }, n) => new Uint8Array(buffer, byteOffset, n).slice() }],
    [0x09, { bytes: 1, read: (view, n) => Int8Array.from({ length: n }, (_, i) => view.getInt8(i)) }],
    [0x0b, { bytes: 2, read: (view, n) => Int16Array.from({ length: n }, (_, i) => view.getInt16(2 * i)) }],
    [0x0c, { bytes: 4, read: (view, n) => Int32Array.from({ length: n }, (_, i) => view.getInt32(4 * i)) }],
    [0x0d, { bytes: 4, read: (view, n) => Float32Array.from({ length: n }, (_, i) => view.getFloat32(4 * i)) }],
    [0x0e, { bytes: 8, read: (view, n) => Float64Array.from({ length: n }, (_, i) => view.getFloat64(8 * i)) }],
  ],
)

/** The most bytes that a file may decompress to. */
const LARGEST = 2 ** 31

/**
 * Reads a file of the idx format: images of MNIST as bytes [60000, 28, 28], its labels as bytes [60000].
 * @param source a path or the bytes of the file; they may be compressed with gzip
 * @returns an array of the type that the file has
 * @throws DataError naming what is wrong: no such file, an unknown type, a length that is not that of the header
 */
export async function readIdx(source: FileSource): Promise<ShapedData> {
  const refuse = refusalOf(source)
  const bytes = unzipped(await bytesOf(source), head => headerOf(head, refuse).end, refuse)
  const { type, shape, start, count } = headerOf(bytes, refuse)
  return { data: type.read(new DataView(bytes.buffer, bytes.byteOffset + start), count), shape }
}

function headerOf(bytes: Uint8Array, refuse: RefuseFile) {
  const type = TYPES.get(bytes[2])
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0 || !type)
    throw refuse(
      'is not an idx file: it must begin with two zeros, the type of its numbers (8, 9, 11 to 14) and the number of axes',
    )
  const axes = bytes[3]
  const start = 4 + 4 * axes
  if (bytes.length < start) throw refuse(`has ${bytes.length} bytes, but a header of ${axes} axes has ${start}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, start)
  const shape = Array.from({ length: axes }, (_, axis) => view.getUint32(4 + 4 * axis))
  const count = shape.reduce((n, size) => n * size, 1)
  const end = start + count * type.bytes
  if (end > LARGEST)
    throw refuse(`says that it has the shape [${shape.join(', ')}], which takes ${end} bytes; at most 2 GiB are read`)
  return { type, shape, start, count, end }
}
