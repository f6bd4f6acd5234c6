// Starts TensorFlow.js on Node. Its wasm backend takes itself to be single-threaded there, because its workers come from
// blob: addresses, which Node's workers do not open; given the same script as text, they work.

import { createRequire } from 'node:module'
import type * as Os from 'node:os'
import { dirname } from 'node:path'
import type * as WorkerThreads from 'node:worker_threads'
import { env, ready, setBackend, version_core } from '@tensorflow/tfjs-core'

const require = createRequire(import.meta.url)

export type TfjsBackend = 'wasm' | 'cpu'

/** @returns the library's version */
export async function startTfjs(backend: TfjsBackend, threads: number): Promise<string> {
  // what a bundler finds by itself: Node's build of the core has no gradients
  require('@tensorflow/tfjs-core/dist/register_all_gradients.js')
  if (backend === 'cpu') {
    await import('@tensorflow/tfjs-backend-cpu')
    await setBackend('cpu')
    return version_core
  }
  const { getThreadsCount, setThreadsCount, setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm')
  env().set('WASM_HAS_MULTITHREAD_SUPPORT', threads > 1)
  setThreadsCount(threads)
  setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`)
  const restore = threads > 1 ? giveWorkers(threads) : () => {}
  if (!(await setBackend('wasm'))) throw new Error('TensorFlow.js does not start its wasm backend')
  await ready()
  restore()
  if (getThreadsCount() !== threads) throw new Error(`TensorFlow.js took ${getThreadsCount()} threads, not ${threads}`)
  return version_core
}

interface WorkerMessage {
  readonly cmd?: string
  readonly urlOrBlob?: unknown
}

/** @returns what undoes it once the workers run */
function giveWorkers(threads: number): () => void {
  const script = '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd'
  const { wasmWorkerContents } = require(`${script}.worker.js`) as { readonly wasmWorkerContents: string }
  // it stands inside a template, which has already made line ends of what are escapes in its strings
  const source = wasmWorkerContents.replaceAll('\n', '\\n')
  const main = require.resolve(`${script}.js`)

  // the very objects that the backend takes these from when it starts
  const library = require('node:worker_threads') as { Worker: typeof WorkerThreads.Worker }
  const os = require('node:os') as { cpus: typeof Os.cpus }
  const { Worker } = library
  const { cpus } = os
  library.Worker = class extends Worker {
    constructor() {
      super(source, { eval: true })
    }

    override postMessage(message: WorkerMessage): void {
      super.postMessage(message.cmd === 'load' ? { ...message, urlOrBlob: main } : message)
    }
  }
  // it takes half of the processors at most, as if each were two
  os.cpus = () => Array.from({ length: 2 * threads }, () => cpus()[0])
  return () => {
    library.Worker = Worker
    os.cpus = cpus
  }
}
