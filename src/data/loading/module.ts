// Datasets that worker threads can open. A function cannot be sent to a thread, but the module that exports it can be imported there.

import { checkArguments } from '../../tensor/arguments.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import type { Dataset } from './source.ts'

/** How another thread opens a dataset: the export of a module is called with these arguments. */
export interface DatasetReference {
  /** of the module, such as file:///home/me/pictures.ts */
  readonly url: string
  /** the name of the export */
  readonly name: string
  readonly arguments: readonly unknown[]
}

/** The options of {@link defineDataset}. */
export interface DefineDatasetOptions {
  /** the name by which the module exports it; default 'default' */
  readonly name?: string
}
const defineOptions = { name: is.byDefault('default', is.text) } satisfies Settings<DefineDatasetOptions>

const references = new WeakMap<object, DatasetReference>()

/** How other threads open a dataset; undefined if it is not one of `defineDataset`. */
export const referenceOf = (data: unknown): DatasetReference | undefined =>
  typeof data === 'object' && data !== null ? references.get(data) : undefined

/**
 * A dataset that the `workers` of a `DataLoader` can open: the module that exports it is imported in each of them, and `open` is called
 * there with the same arguments. Give the dataset a file of its own, `tones.ts`:
 *
 *     export default defineDataset(import.meta.url, (count: number) => ({
 *       length: count,
 *       get: (index, { random }) => ({ x: tone(index, random), y: index % 2 }),
 *     }))
 *
 * and use it in another one:
 *
 *     import tones from './tones.ts'
 *     const loader = new DataLoader(await tones(1000), { batchSize: 32, shuffle: true, workers: 2 })
 *
 * @param url `import.meta.url` of the module
 * @param open makes the dataset; may be asynchronous. Its arguments are sent to the workers, so they are plain values: numbers, texts,
 *   typed arrays, and lists and objects of them. Equal arguments must give equal datasets
 * @returns `open`, as an asynchronous function
 */
export function defineDataset<Arguments extends readonly unknown[], Made extends Dataset<unknown>>(
  url: string,
  open: (...args: Arguments) => Made | Promise<Made>,
  options?: DefineDatasetOptions,
): (...args: Arguments) => Promise<Made> {
  const call = 'defineDataset(url, open, options)'
  checkArguments(call, [is.text, is.callback], [url, open])
  const { name } = settle(call, options, defineOptions)
  return async (...args) => {
    const made = await open(...args)
    if (typeof made === 'object' && made !== null) references.set(made, { url, name, arguments: args })
    return made
  }
}
