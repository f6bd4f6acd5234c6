// NumPy's file of one array, as far as embeddings need it: float32, row by row.
// Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

import { DataError } from '../errors.ts'
import { withFile } from '../ranges.ts'

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
    const words = Buffer.from(await read(start, dataStart - start)).toString('latin1')
    const found = /'descr': *'<f4'.*'fortran_order': *False.*'shape': *\((\d+), *(\d+),? *\)/.exec(words)
    if (!found) throw refuse(`does not hold rows of float32: ${words.trim()}`)
    const shape: [number, number] = [Number(found[1]), Number(found[2])]
    if (dataStart + 4 * shape[0] * shape[1] !== length)
      throw refuse(
        `[${shape}] of float32 takes ${4 * shape[0] * shape[1]} bytes, but the file holds ${length - dataStart}`,
      )
    return { shape, dataStart }
  })
}
