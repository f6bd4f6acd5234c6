// Starts TensorFlow.js on Node. Its wasm backend is single-threaded there, because it starts its workers from blob: addresses,
// which Node's workers cannot open. Given the same script as text, the workers run.

import { createRequire } from 'node:module'
import type * as Os from 'node:os'
import { dirname } from 'node:path'
import type * as WorkerThreads from 'node:worker_threads'
import { env, ready, setBackend, version_core } from '@tensorflow/tfjs-core'

const require = createRequire(import.meta.url)

export type TfjsBackend = 'wasm' | 'cpu' | 'webgpu'

/** @returns the library's version */
export async function startTfjs(backend: TfjsBackend, threads: number): Promise<string> {
  // the build for bundlers: Node's build of the core has no gradients
  require('@tensorflow/tfjs-core/dist/register_all_gradients.js')
  if (backend === 'cpu') {
    await import('@tensorflow/tfjs-backend-cpu')
    await setBackend('cpu')
    return version_core
  }
  if (backend === 'webgpu') {
    await import('@tensorflow/tfjs-backend-webgpu')
    if (!(await setBackend('webgpu'))) throw new Error('TensorFlow.js does not start its webgpu backend')
    await ready()
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
  if (getThreadsCount() !== threads) throw new Error(`TensorFlow.js uses ${getThreadsCount()} threads, not ${threads}`)
  return version_core
}

interface WorkerMessage {
  readonly cmd?: string
  readonly urlOrBlob?: unknown
}

/** @returns a function that undoes it once the workers run */
function giveWorkers(threads: number): () => void {
  const script = '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-threaded-simd'
  const { wasmWorkerContents } = require(`${script}.worker.js`) as { readonly wasmWorkerContents: string }
  // the script was inside a template literal, which has replaced escapes in its strings by line ends
  const source = wasmWorkerContents.replaceAll('\n', '\\n')
  const main = require.resolve(`${script}.js`)

  // the objects from which the backend reads these when it starts
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
  // the backend uses at most half of the processors, assuming two per core
  os.cpus = () => Array.from({ length: 2 * threads }, () => cpus()[0])
  return () => {
    library.Worker = Worker
    os.cpus = cpus
  }
}
