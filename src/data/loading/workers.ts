// The worker threads of a DataLoader. Each opens the dataset for itself and prepares a part of every batch.

import { BatchError, DataError } from '../../io/errors.ts'
import { firstFew } from '../../tensor/first-few.ts'
import { askNode } from '../../tensor/host.ts'
import { isTypeScript, threadProgram } from '../thread-program.ts'
import {
  type ExamplesRequest,
  type ExamplesResponse,
  isLoading,
  type WorkerFailure,
  type WorkerSettings,
} from './messages.ts'

/** An example that a worker could not prepare. `cause` is the error that was thrown there, with its stack. */
export class ExampleError extends DataError {
  /** its number in the data, from 0 */
  readonly index: number

  constructor(index: number, cause: Error) {
    super(`example ${index} could not be prepared: ${cause.message}`, { cause })
    this.index = index
  }
}

/** Workers without work for this time in milliseconds between two epochs end; the next epoch starts others. */
const PATIENCE = 30_000

/** Node's module of threads, which takes 2 ms to load, so it is not loaded before it is needed. */
const nodeThreads = () => askNode(node => node.getBuiltinModule('node:worker_threads'))

type NodeWorker = InstanceType<NonNullable<ReturnType<typeof nodeThreads>>['Worker']>

/** Why workers are not available, or undefined. */
export function withoutWorkers(): string | undefined {
  const inNode = nodeThreads()
  if (!inNode) return 'workers need Node 20.16 or later, and a browser has none: leave workers out'
  if (isLoading(inNode.workerData))
    return 'a worker cannot start workers: it imports the module of the dataset, which must not load or train by itself'
  return undefined
}

/** Prepares examples in a number of threads, which start at the first batch. */
export class ExampleWorkers {
  readonly #settings: WorkerSettings
  readonly #workers: (ExampleWorker | undefined)[]
  #idle: ReturnType<typeof setTimeout> | undefined
  isClosed = false

  constructor(count: number, settings: WorkerSettings) {
    this.#settings = settings
    this.#workers = Array.from({ length: count })
  }

  /**
   * Prepares the examples of a batch, a part in each worker.
   * @throws ExampleError for the first one that cannot be prepared; BatchError if the dataset cannot be opened or a worker has ended
   */
  async prepare(indices: readonly number[], epoch: number): Promise<unknown[]> {
    const size = Math.ceil(indices.length / this.#workers.length)
    const parts: Promise<readonly unknown[]>[] = []
    for (let at = 0; at < indices.length; at += size) {
      const part = this.#leastBusy().run(indices.slice(at, at + size), epoch)
      // the error of the first part is thrown, and all others with it
      part.catch(() => {})
      parts.push(part)
    }
    const items: unknown[] = []
    for (const part of parts) items.push(...(await part))
    return items
  }

  /** Keeps the threads for the next epoch, if it comes soon. */
  rest(): void {
    this.#idle = setTimeout(() => this.close(), PATIENCE)
    askNode(() => (this.#idle as NodeJS.Timeout).unref())
  }

  /** Whether the threads are there for another epoch. */
  wake(): boolean {
    clearTimeout(this.#idle)
    return !this.isClosed
  }

  /** Ends the threads; unfinished examples fail. */
  async close(): Promise<void> {
    this.isClosed = true
    clearTimeout(this.#idle)
    await Promise.all(this.#workers.map(worker => worker?.end()))
  }

  #leastBusy(): ExampleWorker {
    let best = 0
    for (const [i, worker] of this.#workers.entries())
      if ((worker?.load ?? 0) < (this.#workers[best]?.load ?? 0)) best = i
    const name = `worker ${best + 1} of ${this.#workers.length}`
    const worker = this.#workers[best] ?? new ExampleWorker(name, this.#settings)
    this.#workers[best] = worker
    return worker
  }
}

interface Pending {
  readonly indices: readonly number[]
  readonly resolve: (items: readonly unknown[]) => void
  readonly reject: (error: Error) => void
}

/** One thread. It keeps the program alive only while it prepares examples. */
class ExampleWorker {
  readonly #name: string
  readonly #url: string
  readonly #worker: NodeWorker
  readonly #pending = new Map<number, Pending>()
  #next = 0
  /** why the thread has ended */
  #ended: { readonly reason: string; readonly cause?: unknown } | undefined

  constructor(name: string, settings: WorkerSettings) {
    this.#name = name
    this.#url = settings.dataset.url
    this.#worker = startWorker(settings)
    this.#worker.unref()
    this.#worker.on('message', (response: ExamplesResponse) => this.#answer(response))
    this.#worker.on('error', cause => this.#fail({ reason: `has ended: ${cause.message}`, cause }))
    this.#worker.on('exit', code => this.#fail({ reason: `has ended, with exit code ${code}` }))
  }

  /** number of examples that it has not yet prepared */
  get load(): number {
    return [...this.#pending.values()].reduce((sum, { indices }) => sum + indices.length, 0)
  }

  run(indices: readonly number[], epoch: number): Promise<readonly unknown[]> {
    return new Promise((resolve, reject) => {
      const pending = { indices, resolve, reject }
      if (this.#ended) return reject(this.#goneWith(pending))
      this.#worker.ref()
      const id = this.#next++
      this.#pending.set(id, pending)
      this.#worker.postMessage({ id, epoch, indices } satisfies ExamplesRequest)
    })
  }

  async end(): Promise<void> {
    this.#ended ??= { reason: 'has ended, because the iteration was left' }
    await this.#worker.terminate()
  }

  #answer(response: ExamplesResponse): void {
    const { resolve, reject } = this.#pending.get(response.id)!
    this.#pending.delete(response.id)
    // the program waits for the end of a thread
    if (this.#pending.size === 0 && !this.#ended) this.#worker.unref()
    if ('items' in response) resolve(response.items)
    else reject(errorOf(response.failure, this.#url))
  }

  #fail(ended: { readonly reason: string; readonly cause?: unknown }): void {
    // an error is followed by the exit
    this.#ended ??= ended
    for (const pending of this.#pending.values()) pending.reject(this.#goneWith(pending))
    this.#pending.clear()
  }

  #goneWith({ indices }: Pick<Pending, 'indices'>): BatchError {
    const { reason, cause } = this.#ended!
    return new BatchError(`${this.#name} ${reason}; it was to prepare the examples ${firstFew(indices.map(String))}`, {
      cause,
    })
  }
}

function errorOf({ index, name, message, stack }: WorkerFailure, url: string): Error {
  const cause = Object.assign(new Error(message), { name, stack })
  return index === undefined
    ? new BatchError(`a worker cannot open the dataset of ${url}: ${message}`, { cause })
    : new ExampleError(index, cause)
}

/** A thread. One that reads TypeScript registers tsx, as its program does, where Node itself cannot read it. */
function startWorker(settings: WorkerSettings): NodeWorker {
  const { url } = settings.dataset
  if (isMain(url))
    throw new BatchError(
      `${url} is the program itself, which a worker would run again: put the dataset into a module of its own`,
    )
  const { Worker } = nodeThreads()!
  // in a checkout the thread's program is TypeScript too
  const program = threadProgram('loading/worker')
  try {
    if (!isTypeScript(program.href) && !isTypeScript(url)) return new Worker(program, { workerData: settings })
    const tsx = typeScriptReader(url)
    const code = `${tsx ? `import(${JSON.stringify(tsx)}).then(({ register }) => register())` : 'Promise.resolve()'}.then(() => import(${JSON.stringify(program.href)}))`
    return new Worker(code, { eval: true, workerData: settings })
  } catch (error) {
    if (!(error instanceof Error && error.name === 'DataCloneError')) throw error
    throw new BatchError(
      `the arguments of the dataset of ${url} cannot be sent to a worker: ${error.message}. Give numbers, texts, typed arrays, and lists and plain objects of them`,
      { cause: error },
    )
  }
}

/** tsx, where the program runs with it or Node cannot read TypeScript. @throws BatchError if there is none */
function typeScriptReader(url: string): string | undefined {
  const isWithTsx = process.execArgv.some(argument => /(?:^|[\\/=])tsx(?:$|[\\/@])/.test(argument))
  const isNative = Boolean((process.features as { readonly typescript?: unknown }).typescript)
  if (!isWithTsx && isNative) return undefined
  const { createRequire } = process.getBuiltinModule('node:module')
  const { pathToFileURL } = process.getBuiltinModule('node:url')
  for (const from of [url, import.meta.url])
    try {
      // require finds the CommonJS form, and the other one is beside it
      return pathToFileURL(
        createRequire(from)
          .resolve('tsx/esm/api')
          .replace(/\.cjs$/, '.mjs'),
      ).href
    } catch {}
  if (isNative) return undefined
  throw new BatchError(
    `a worker of Node ${process.versions.node} cannot read TypeScript, as in ${url}: install tsx, or compile it`,
  )
}

/** Whether a module is the program that was started. */
function isMain(url: string): boolean {
  const { pathToFileURL } = process.getBuiltinModule('node:url')
  const { realpathSync } = process.getBuiltinModule('node:fs')
  try {
    return pathToFileURL(realpathSync(process.argv[1])).href === url.replace(/[?#].*$/, '')
  } catch {
    return false
  }
}
