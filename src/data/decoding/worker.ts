// The decoding thread: jobs come as messages, a few run at once, and results are sent back in any order.

import { parentPort } from 'node:worker_threads'
import { DataError, messageOf } from '../../io/index.ts'

import { type Job, perform } from './jobs.ts'

export interface Request {
  readonly id: number
  readonly job: Job
}

/** An error loses its class when it is sent between threads, so its parts are sent. */
export interface Failure {
  readonly name: string
  readonly reason: string
  readonly file?: string
}

export type Response = { readonly id: number; readonly result?: unknown; readonly failure?: Failure }

/** Two jobs at a time: one decodes while the other waits for the disk. */
const AT_ONCE = 2

const waiting: Request[] = []
let running = 0

parentPort!.on('message', (request: Request) => {
  waiting.push(request)
  if (running < AT_ONCE) void work()
})

async function work(): Promise<void> {
  running++
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const { id, job } = next
    try {
      const result = await perform(job)
      const transfer = result instanceof Uint8Array ? [result.buffer as ArrayBuffer] : []
      parentPort!.postMessage({ id, result } satisfies Response, transfer)
    } catch (error) {
      parentPort!.postMessage({ id, failure: describe(error) } satisfies Response)
    }
  }
  running--
}

function describe(error: unknown): Failure {
  if (!(error instanceof DataError)) return { name: 'Error', reason: messageOf(error) }
  return { name: error.name, reason: error.reason, file: error.file }
}
