// The file from which every framework starts: the weights of a size under the names of our state dict, its batch, and the
// model's configuration. It is read without the rest of this package, so that only the peer's memory is measured.

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

/** The default path of the file of a size. */
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
  /** number of elements in all parameters */
  readonly parameters: number
  /** one parameter at a time, so that no two copies of a whole model are in memory */
  readonly parameter: (name: string) => Promise<Values>
  /** [batch, 3, size, size] */
  readonly images: Values
  /** [batch, context] */
  readonly ids: { readonly shape: readonly number[]; readonly data: Int32Array }
}

/** @throws Error that says how to write the file, if it does not exist */
export async function readStart(path: string): Promise<Start> {
  if (!existsSync(path))
    throw new Error(`${path} does not exist: npm run -s bench:weights -- --size SIZE --weights ${path}`)
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
