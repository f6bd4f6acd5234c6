// Threads that decode images while the main thread trains. All jobs are sent at once, because a training step on cpu
// keeps the main thread too busy to send one image after the other.

import { Worker } from 'node:worker_threads'
import { DataError, FileError, ImageError } from '../../io/index.ts'

import * as is from '../../tensor/kinds.ts'
import { processorsHere } from '../../tensor/processors.ts'
import { isTypeScript, threadProgram } from '../thread-program.ts'
import { type Job, perform, type ResultOf } from './jobs.ts'
import type { Failure, Request, Response } from './worker.ts'

/** The number of threads, or `auto` to choose it. */
export type DecodeThreads = number | 'auto'
export const isThreads = new is.Kind<DecodeThreads>(
  "a number of threads or 'auto'",
  x => typeof x === 'number' || x === 'auto',
)

const MOST_THREADS = 4

/** One for every processor of this process except the one that trains. */
export const threadsHere = (): number => Math.max(1, Math.min(MOST_THREADS, processorsHere() - 1))

/** An idle thread ends after this time in milliseconds; the next image starts another. */
const PATIENCE = 5000

interface Pending {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: Error) => void
}

/** Runs jobs on a number of threads, which start at the first job, or on this thread. */
export class DecodePool {
  readonly threads: number
  #workers: PoolWorker[] = []

  /** @param threads 0 decodes on the calling thread */
  constructor(threads: number) {
    this.threads = threads
  }

  run<J extends Job>(job: J): Promise<ResultOf<J>> {
    return this.threads === 0 ? perform(job) : (this.#leastBusy().run(job) as Promise<ResultOf<J>>)
  }

  /** Ends the threads; unfinished jobs fail. */
  async close(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map(worker => worker.end()))
  }

  #leastBusy(): PoolWorker {
    this.#workers = this.#workers.filter(worker => !worker.isGone)
    const idlest = this.#workers.reduce<PoolWorker | undefined>(
      (best, worker) => (!best || worker.load < best.load ? worker : best),
      undefined,
    )
    if (idlest && (idlest.load === 0 || this.#workers.length === this.threads)) return idlest
    const started = new PoolWorker()
    this.#workers.push(started)
    return started
  }
}

/** One thread. It keeps the program alive only while it has jobs. */
class PoolWorker {
  readonly #worker = startWorker()
  readonly #pending = new Map<number, Pending>()
  #next = 0
  #idle: NodeJS.Timeout | undefined
  isGone = false

  constructor() {
    this.#worker.unref()
    this.#worker.on('message', (response: Response) => this.#answer(response))
    this.#worker.on('error', error => this.#fail(error))
    this.#worker.on('exit', () => this.#fail(new Error('a thread that decodes images has ended')))
  }

  get load(): number {
    return this.#pending.size
  }

  run(job: Job): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#pending.size === 0) this.#wake()
      const id = this.#next++
      this.#pending.set(id, { resolve, reject })
      this.#worker.postMessage({ id, job } satisfies Request)
    })
  }

  async end(): Promise<void> {
    this.isGone = true
    await this.#worker.terminate()
  }

  #wake(): void {
    clearTimeout(this.#idle)
    this.#worker.ref()
  }

  #rest(): void {
    this.#worker.unref()
    this.#idle = setTimeout(() => this.end(), PATIENCE)
    this.#idle.unref()
  }

  #answer({ id, result, failure }: Response): void {
    const { resolve, reject } = this.#pending.get(id)!
    this.#pending.delete(id)
    if (this.#pending.size === 0) this.#rest()
    if (failure) reject(errorOf(failure))
    else resolve(result)
  }

  #fail(error: Error): void {
    this.isGone = true
    for (const { reject } of this.#pending.values()) reject(error)
    this.#pending.clear()
  }
}

/** In a checkout the thread's program is TypeScript, so tsx has to be registered in every thread. */
function startWorker(): Worker {
  const program = threadProgram('decoding/worker')
  if (!isTypeScript(program.href)) return new Worker(program)
  const tsx = import.meta.resolve('tsx/esm/api')
  const code = `import('${tsx}').then(({ register }) => { register(); return import('${program}') })`
  return new Worker(code, { eval: true })
}

const CLASSES: Readonly<Record<string, typeof DataError>> = { DataError, FileError, ImageError }

function errorOf({ name, reason, file }: Failure): Error {
  const Class = CLASSES[name]
  return Class ? new Class(reason, { file }) : new Error(reason)
}
