// The common interface of checkpoint files: names with shapes, and values one tensor at a time.

import type { SafetensorsData, SafetensorsLayout, SafetensorsTensor } from './safetensors.ts'

/** Part of a tensor: some rows of its first axis. */
export interface RowRange {
  readonly first: number
  readonly count: number
}

/** The elements of some rows, as positions in the tensor: [begin, end). @throws RangeError for rows that it does not have */
export function elementsOf(
  name: string,
  shape: readonly number[],
  rows: RowRange | undefined,
): { readonly begin: number; readonly end: number } {
  const size = shape.reduce((a, b) => a * b, 1)
  if (rows === undefined) return { begin: 0, end: size }
  const [count = 1] = shape
  if (!(rows.first >= 0 && rows.count >= 0 && rows.first + rows.count <= count))
    throw new RangeError(`'${name}' of [${shape}] has no rows ${rows.first} to ${rows.first + rows.count}`)
  const step = size / Math.max(1, count)
  return { begin: rows.first * step, end: (rows.first + rows.count) * step }
}

/** Tensors on disk. Only names and shapes are read in advance. */
export interface TensorFile {
  /** path of the file */
  readonly path: string
  /** names of the tensors */
  readonly names: readonly string[]
  /** Shape and dtype of a tensor. Throws DataError if there is no tensor of this name. */
  entry(name: string): SafetensorsLayout
  /** Reads a tensor. Throws DataError. */
  tensor(name: string): Promise<SafetensorsTensor>
  /**
   * Reads a tensor, or some of its rows, synchronously and in pieces, so that it need not fit into memory twice. Half precisions are
   * widened to float32. A piece is valid until the next is asked for.
   * @throws DataError if the file has changed since it was opened, is gone, or its bytes are not those of its checksum
   */
  pieces(name: string, rows?: RowRange): Iterable<SafetensorsData>
}

/** What torch.compile and DataParallel put before the names of a model's parameters. */
const WRAPPERS = /^(?:module\.|_orig_mod\.)+/

/** What stands before every name of a checkpoint because the model was wrapped when it was saved; '' if it was not. */
export function wrapperOf(names: readonly string[]): string {
  const prefix = WRAPPERS.exec(names[0] ?? '')?.[0] ?? ''
  return names.every(name => name.startsWith(prefix)) ? prefix : ''
}
