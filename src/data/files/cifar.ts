// The binary versions of CIFAR-10 and CIFAR-100: records of one or two labels and 3072 bytes of a picture.
// Format: https://www.cs.toronto.edu/~kriz/cifar.html

import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { bytesOf, type FileSource, refusalOf } from './source.ts'

/** Options of `readCifar`. */
export interface ReadCifarOptions {
  /** 10 for CIFAR-10, 100 for CIFAR-100; default 10 */
  readonly classes?: 10 | 100
}
const cifarOptions = {
  classes: is.byDefault(10, new is.Kind<10 | 100>('10 or 100', x => x === 10 || x === 100)),
} satisfies Settings<ReadCifarOptions>

/** Pictures with their classes; columns of a DataLoader. */
export interface CifarData {
  /** [n, 3, 32, 32] of bytes 0 … 255: red, green, blue, row by row */
  readonly images: { readonly data: Uint8Array; readonly shape: readonly [number, 3, 32, 32] }
  /** [n] from 0 to `classes` - 1, in CIFAR-100 the fine labels */
  readonly labels: Int32Array
}

const PIXELS = 3 * 32 * 32

/**
 * Reads the binary version of CIFAR-10 or CIFAR-100.
 * @param sources paths or bytes: `data_batch_1.bin` … `data_batch_5.bin`, or `train.bin`
 * @throws DataError naming the file and the record, for a length that is no number of records and for a label that is no class
 */
export async function readCifar(
  sources: FileSource | readonly FileSource[],
  options?: ReadCifarOptions,
): Promise<CifarData> {
  const { classes } = settle('readCifar(sources, options)', options, cifarOptions)
  const labelBytes = classes === 10 ? 1 : 2
  const record = labelBytes + PIXELS
  const files: Uint8Array[] = []
  const list: readonly FileSource[] = typeof sources === 'string' || sources instanceof Uint8Array ? [sources] : sources
  for (const source of list) {
    const refuse = refusalOf(source)
    const bytes = await bytesOf(source)
    if (bytes.length === 0 || bytes.length % record !== 0)
      throw refuse(
        `has ${bytes.length} bytes, which is no number of records of ${record} bytes: CIFAR-${classes} in its binary version has 1 or more${bytes.length > 0 && bytes.length % (PIXELS + 3 - labelBytes) === 0 ? `; for this file write classes: ${110 - classes}` : ''}`,
      )
    for (let at = labelBytes - 1; at < bytes.length; at += record)
      if (bytes[at] >= classes)
        throw refuse(`has the label ${bytes[at]} in record ${Math.floor(at / record)}: it must be below ${classes}`)
    files.push(bytes)
  }
  const count = files.reduce((n, { length }) => n + length / record, 0)
  const data = new Uint8Array(count * PIXELS)
  const labels = new Int32Array(count)
  let i = 0
  for (const bytes of files)
    for (let at = 0; at < bytes.length; at += record, i++) {
      labels[i] = bytes[at + labelBytes - 1]
      data.set(bytes.subarray(at + labelBytes, at + record), i * PIXELS)
    }
  return { images: { data, shape: [count, 3, 32, 32] }, labels }
}
