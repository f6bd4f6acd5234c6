// Opens checkpoint files. The format of a file is detected from its first bytes, not from its name.

import { DataError, TorchFileError } from '../errors.ts'
import { withFile } from '../ranges.ts'
import { openSafetensors } from './safetensors-file.ts'
import { openShards } from './shards.ts'
import type { TensorFile } from './tensor-file.ts'
import { openTorch } from './torch-file.ts'

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
