// The training step in TensorFlow.js, with its files from this site.

import '@tensorflow/tfjs-core/dist/register_all_gradients'
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm'
import plain from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url'
import simd from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url'
import threaded from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm?url'
import { env, ready, setBackend, version_core } from '@tensorflow/tfjs-core'
import { tfjsTraining } from '../../../bench/peers/tfjs-training.ts'
import type { Open } from './measure.ts'
import { startOf } from './start.ts'

export const open: Open = async ({ backend, size, threads }) => {
  const start = await startOf(size)
  let runsOn = 'WebGPU'
  if (backend === 'wasm') {
    const { getThreadsCount } = await import('@tensorflow/tfjs-backend-wasm')
    env().set('WASM_HAS_MULTITHREAD_SUPPORT', threads > 1)
    setThreadsCount(threads)
    setWasmPaths({
      'tfjs-backend-wasm.wasm': plain,
      'tfjs-backend-wasm-simd.wasm': simd,
      'tfjs-backend-wasm-threaded-simd.wasm': threaded,
    })
    if (!(await setBackend('wasm'))) throw new Error('TensorFlow.js does not start its wasm backend here')
    await ready()
    const count = threads > 1 ? getThreadsCount() : 1
    runsOn = `WebAssembly with SIMD, ${count} thread${count === 1 ? '' : 's'}`
  } else {
    await import('@tensorflow/tfjs-backend-webgpu')
    if (!(await setBackend('webgpu').catch(() => false)))
      throw new Error('TensorFlow.js does not start its webgpu backend: this browser gives no WebGPU adapter')
    await ready()
  }
  return { ...(await tfjsTraining(start)), description: `TensorFlow.js ${version_core}, ${runsOn}` }
}
