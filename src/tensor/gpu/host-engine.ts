// GPU.js without a GPU: the same kernels as WebAssembly or JavaScript, for tests.

import type { GpuBackend } from '../device.ts'
import { Compilations } from './compilations.ts'
import type { Compiled, Engine } from './engine.ts'
import { assertRuns, type GpuJs, runs, settings } from './gpujs.ts'

/** The same kernels as WebAssembly or JavaScript. Memory is a Float32Array. */
export function hostEngine(gpujs: GpuJs, backend: GpuBackend & ('webasm' | 'cpu'), description: string): Engine {
  const gpu = new gpujs.GPU({ mode: backend })
  const kernelClass = backend === 'webasm' ? gpujs.WebAssemblyKernel : gpujs.CPUKernel
  const compilations = new Compilations()
  return {
    backend,
    description,
    compilations,
    maxArrays: 7,
    fourWide: false,
    shared: false,
    layout: (_, length) => `${length}`,
    compile(program): Compiled {
      const shortcut = gpu.createKernel(program.source, settings(program))
      return {
        run(args) {
          const result = runs<Float32Array>(shortcut, args, program.label, compilations)
          assertRuns(shortcut, kernelClass, program.label)
          return result
        },
        destroy: () => shortcut.destroy(),
      }
    },
    upload: data => data.slice(),
    read: async (memory, start, length) => (memory as Float32Array).slice(start, start + length),
    free: () => undefined,
    hasFailed: () => false,
    close: () => void gpu.destroy(),
  }
}
