// The training step in jax-js.

import * as jax from '@jax-js/jax'
import { jaxTraining } from '../../../bench/peers/jax-training.ts'
import { devDependencies } from '../../../package.json'
import type { Open } from './measure.ts'
import { startOf } from './start.ts'

export const open: Open = async ({ backend, size }) => {
  const on = backend === 'webgpu' ? 'webgpu' : 'wasm'
  const start = await startOf(size)
  const found = await jax.init(on)
  if (!found.includes(on)) throw new Error(`jax-js does not start its ${on} device here`)
  jax.defaultDevice(on)
  const threads = globalThis.crossOriginIsolated
    ? `threads as it chooses, on ${navigator.hardwareConcurrency} cores`
    : '1 thread'
  const runsOn = on === 'wasm' ? `WebAssembly, ${threads}` : 'WebGPU'
  return { ...(await jaxTraining(jax, start)), description: `jax-js ${devDependencies['@jax-js/jax']}, ${runsOn}` }
}
