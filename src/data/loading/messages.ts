// What the main thread and the workers of a DataLoader send each other.

import type { DeviceName } from '../../tensor/index.ts'
import type { DatasetReference } from './module.ts'

/** What a worker is started with. */
export interface WorkerSettings {
  /** tells a worker of a DataLoader from other threads */
  readonly loads: 'examples'
  readonly dataset: DatasetReference
  /** the number of examples that the dataset has on the main thread */
  readonly length: number
  readonly seed: number
  /** whether tensors are sent as their numbers */
  readonly readsTensors: boolean
  readonly device: DeviceName
}

/** Examples to prepare. */
export interface ExamplesRequest {
  readonly id: number
  readonly epoch: number
  readonly indices: readonly number[]
}

/** An error loses its class when it is sent between threads, so its parts are sent. */
export interface WorkerFailure {
  /** the example; undefined if the dataset could not be opened */
  readonly index?: number
  readonly name: string
  readonly message: string
  readonly stack?: string
}

/** The prepared examples in the order of the request, or what went wrong. */
export type ExamplesResponse = { readonly id: number } & (
  | { readonly items: readonly unknown[] }
  | { readonly failure: WorkerFailure }
)

/** Whether what a thread was started with makes it a worker of a DataLoader. */
export const isLoading = (started: unknown): started is WorkerSettings =>
  typeof started === 'object' && started !== null && 'loads' in started && started.loads === 'examples'
