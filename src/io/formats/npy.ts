// NumPy's file of one array, as far as embeddings need it: float32, row by row.
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
