// The common interface of checkpoint files: names with shapes, and values one tensor at a time.

import type { SafetensorsLayout, SafetensorsTensor } from './safetensors.ts'

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
