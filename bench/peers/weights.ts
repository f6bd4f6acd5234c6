// The file that every framework begins from: a size's weights under the names of our state dict, its batch, and what
// the model is. It is read without the rest of the framework, so that a peer's memory is the peer's.

import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CoCaConfig } from '../../src/index.ts'
import { toInt32 } from '../../src/io/formats/safetensors.ts'
import { openSafetensors } from '../../src/io/formats/safetensors-file.ts'
import type { SizeName } from '../model.ts'

export const sizeNames = ['tiny', 'small', 'medium'] as const satisfies readonly SizeName[]

export function sizeName(name: string): SizeName {
  const size = sizeNames.find(known => known === name)
  if (!size) throw new RangeError(`--size ${name}: one of ${sizeNames.join(', ')}`)
  return size
}

/** Where the file of a size lies unless told otherwise. */
export const weightsFile = (size: SizeName): string => join(tmpdir(), `cocagrad-bench-${size}.safetensors`)

export interface Values {
  readonly shape: readonly number[]
  readonly data: Float32Array
}

export interface Start {
  readonly config: CoCaConfig
  /** number of images, and of texts */
  readonly batch: number
  /** names of the parameters, in the state dict's order */
  readonly names: readonly string[]
  /** number of numbers in all parameters */
  readonly parameters: number
  /** one parameter at a time, so that no two copies of a whole model are in memory */
  readonly parameter: (name: string) => Promise<Values>
  /** [batch, 3, size, size] */
  readonly images: Values
  /** [batch, context] */
  readonly ids: { readonly shape: readonly number[]; readonly data: Int32Array }
}

/** @throws Error saying how to write the file, where there is none */
export async function readStart(path: string): Promise<Start> {
  if (!existsSync(path)) throw new Error(`no ${path}: npm run -s bench:weights -- --size SIZE --weights ${path}`)
  const file = await openSafetensors(path)
  const parameter = async (name: string): Promise<Values> => {
    const { shape, data } = await file.tensor(name)
    if (!(data instanceof Float32Array)) throw new TypeError(`${path}: '${name}' is not float32`)
    return { shape, data }
  }
  const names = file.names.filter(name => !name.startsWith('batch.'))
  const sizeOf = (name: string) => file.entry(name).shape.reduce((product, extent) => product * extent, 1)
  const images = await parameter('batch.images')
  const ids = await file.tensor('batch.ids')
  return {
    config: JSON.parse(file.metadata.get('config') ?? 'null') as CoCaConfig,
    batch: images.shape[0],
    names,
    parameters: names.reduce((sum, name) => sum + sizeOf(name), 0),
    parameter,
    images,
    ids: { shape: ids.shape, data: toInt32(ids, 'batch.ids') },
  }
}
