// Starts jax-js on Node. Its wasm device takes more than one thread only where there is a browser's Worker, and asks for
// it while it is being loaded: so the library is imported here and nowhere else.

import { resolveObjectURL } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { Worker as NodeWorker } from 'node:worker_threads'

type Jax = typeof import('@jax-js/jax')

/** It does not say so itself, and keeps its package.json to itself. */
export function jaxVersion(): string {
  const main = createRequire(import.meta.url).resolve('@jax-js/jax')
  const { version } = JSON.parse(readFileSync(join(dirname(main), '../package.json'), 'utf8')) as { version: string }
  return version
}

/** What stands before a browser's worker script so that Node runs it. */
const PREAMBLE = `
const { parentPort } = require('node:worker_threads')
globalThis.self = globalThis
globalThis.postMessage = message => parentPort.postMessage(message)
parentPort.on('message', data => self.onmessage({ data }))
`

/** As much of a browser's Worker as jax-js uses: a script from a blob: address, messages both ways. */
class BrowserWorker {
  onmessage: ((event: { data: unknown }) => void) | null = null
  onerror: ((error: Error) => void) | null = null
  readonly #worker: Promise<NodeWorker>

  constructor(url: string) {
    const script = resolveObjectURL(url)
    if (!script) throw new Error(`no script at ${url}`)
    this.#worker = script.text().then(source => {
      const worker = new NodeWorker(PREAMBLE + source, { eval: true })
      worker.on('message', data => this.onmessage?.({ data }))
      worker.on('error', error => this.onerror?.(error))
      return worker
    })
  }

  postMessage(message: unknown): void {
    this.#worker.then(worker => worker.postMessage(message))
  }
}

export async function startJax(threads: number): Promise<Jax> {
  if (threads > 1) {
    Object.defineProperty(globalThis, 'Worker', { value: BrowserWorker, configurable: true })
    Object.defineProperty(globalThis, 'navigator', { value: { hardwareConcurrency: threads }, configurable: true })
  }
  return import('@jax-js/jax')
}
