// Starts jax-js on Node. Its wasm device uses several threads only if a browser's Worker exists when the library is loaded, so
// the library is imported only here.

import { resolveObjectURL } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { Worker as NodeWorker } from 'node:worker_threads'

export type Jax = typeof import('@jax-js/jax')

/** The version of jax-js, which exports neither its version nor its package.json. */
export function jaxVersion(): string {
  const main = createRequire(import.meta.url).resolve('@jax-js/jax')
  const { version } = JSON.parse(readFileSync(join(dirname(main), '../package.json'), 'utf8')) as { version: string }
  return version
}

/** Code that is put before a browser's worker script so that Node can run it. */
const PREAMBLE = `
const { parentPort } = require('node:worker_threads')
globalThis.self = globalThis
globalThis.postMessage = message => parentPort.postMessage(message)
parentPort.on('message', data => self.onmessage({ data }))
`

/** The part of a browser's Worker that jax-js uses: a script from a blob: address, messages both ways. */
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
