// The common interface of checkpoint files: names with shapes, and values one tensor at a time. The format of a file is
// detected from its first bytes, not from its name.

import { DataError, TorchFileError } from '../errors.ts'
import { withFile } from '../ranges.ts'
import type { SafetensorsLayout, SafetensorsTensor } from './safetensors.ts'
import { openSafetensors } from './safetensors-file.ts'
import { openShards } from './shards.ts'
import { openTorch } from './torch-file.ts'

/** Tensors on disk. Only names and shapes are read in advance. */
export interface TensorFile {
  readonly path: string
  readonly names: readonly string[]
  /** Shape and dtype of a tensor. Throws DataError if there is no tensor of this name. */
  entry(name: string): SafetensorsLayout
  /** Reads a tensor. Throws DataError. */
  tensor(name: string): Promise<SafetensorsTensor>
}

/** What torch.compile and DataParallel put before the names of a model's parameters. */
const WRAPPERS = /^(?:module\.|_orig_mod\.)+/

/** What stands before every name of a checkpoint because the model was wrapped when it was saved; '' if it was not. */
export function wrapperOf(names: readonly string[]): string {
  const prefix = WRAPPERS.exec(names[0] ?? '')?.[0] ?? ''
  return names.every(name => name.startsWith(prefix)) ? prefix : ''
}

/**
 * Opens a checkpoint: safetensors, a file that PyTorch wrote, or the index of a checkpoint in parts of these formats.
 * @throws DataError if it cannot be read, is damaged, or contains anything but tensors
 */
export async function openTensors(path: string): Promise<TensorFile> {
  const { beginning, begins } = await beginningOf(path)
  // { could also begin the length of a header in safetensors, whose last bytes are zeros
  return begins(0x7b) && beginning[7] !== 0 ? openShards(path, openWhole) : openWhole(path)
}

async function beginningOf(path: string) {
  const beginning = await withFile(path, ({ read, length }) => read(0, Math.min(64, length)))
  const begins = (...bytes: number[]) => bytes.every((byte, i) => beginning[i] === byte)
  return { beginning, begins }
}

/** Opens a checkpoint in one file. */
async function openWhole(path: string): Promise<TensorFile> {
  const { beginning, begins } = await beginningOf(path)
  if (begins(0x80, 0x02, 0x8a, 0x0a))
    throw new TorchFileError('is in the format of PyTorch before 1.6: load it there and save it again', { file: path })
  const text = new TextDecoder('latin1').decode(beginning).trimStart().toLowerCase()
  if (text.startsWith('version https://git-lfs'))
    throw new DataError(
      'is a pointer of Git LFS, not the file: run `git lfs pull` in its repository, or download the file itself',
      {
        file: path,
      },
    )
  if (/^<(!doctype|html|head|\?xml)/.test(text))
    throw new DataError('is a web page, not a checkpoint: the link led to a page; download the file itself', {
      file: path,
    })
  // PK 3 4 starts a zip archive; it could also be a header's length, which is followed by a brace
  return begins(0x50, 0x4b, 3, 4) && beginning[8] !== 0x7b ? openTorch(path) : openSafetensors(path)
}
