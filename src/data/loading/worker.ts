// A worker of a DataLoader: opens the dataset, and prepares the examples that it is asked for.

import { parentPort, workerData } from 'node:worker_threads'
import { BatchError } from '../../io/errors.ts'
import { listenToDraws } from '../../tensor/draws.ts'
import { defaultGenerator, device } from '../../tensor/index.ts'
import { readTensors } from './collate.ts'
import { contextOf } from './example.ts'
import type { ExamplesRequest, ExamplesResponse, WorkerFailure, WorkerSettings } from './messages.ts'
import { packed } from './packed.ts'
import { type Source, sourceOf } from './source.ts'

const { dataset, length, seed, readsTensors, device: deviceName } = workerData as WorkerSettings

listenToDraws(generator => {
  if (generator === defaultGenerator())
    throw new BatchError(
      'random numbers of the default generator differ between workers: take those of `random` in get(index, { random })',
    )
})

async function open(): Promise<Extract<Source, { kind: 'examples' }>> {
  // cpu opens by itself, and a gpu is left to the main thread
  if (deviceName === 'reference') await device.use('reference')
  const exports: Readonly<Record<string, unknown>> = await import(dataset.url)
  const make = exports[dataset.name]
  if (typeof make !== 'function')
    throw new BatchError(
      `it does not export the dataset as ${dataset.name}: write export ${
        dataset.name === 'default' ? 'default' : `const ${dataset.name} =`
      } defineDataset(import.meta.url, …), or give the name of the export in the options of defineDataset`,
    )
  const source = sourceOf(await make(...dataset.arguments))
  if (source.kind !== 'examples' || source.length !== length)
    throw new BatchError(
      `the dataset has ${source.kind === 'examples' ? source.length : 'no'} examples in a worker, but ${length} on the main thread: it must depend on its arguments only`,
    )
  return source
}

const reading = open().then(source => source.prepare())
// the first request tells of it
reading.catch(() => {})

parentPort!.on('message', async (request: ExamplesRequest) => {
  const { id } = request
  const answer = (response: ExamplesResponse, transfer?: ArrayBuffer[]) => parentPort!.postMessage(response, transfer)
  try {
    const transfer: ArrayBuffer[] = []
    answer({ id, items: await prepare(request, transfer) }, transfer)
  } catch (error) {
    answer({ id, failure: error instanceof Failed ? error.failure : failureOf(error) })
  }
})

/** The failure of an example. */
class Failed extends Error {
  readonly failure: WorkerFailure

  constructor(failure: WorkerFailure) {
    super(failure.message)
    this.failure = failure
  }
}

async function prepare({ epoch, indices }: ExamplesRequest, transfer: ArrayBuffer[]): Promise<unknown[]> {
  const read = await reading
  const prepared = await Promise.allSettled(
    indices.map(async index => {
      const item = await read(index, contextOf(seed, epoch, index))
      return packed(readsTensors ? await readTensors(item) : item, transfer)
    }),
  )
  return prepared.map((each, i) => {
    // the first example that failed, whichever failed first
    if (each.status === 'rejected') throw new Failed({ index: indices[i], ...failureOf(each.reason) })
    return each.value
  })
}

function failureOf(error: unknown): WorkerFailure {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error) }
  const { name, message, stack } = error
  return { name, message, stack }
}
