// A kernel that a WebGPU device compiles while the host goes on.

import type { Compilations } from './compilations.ts'
import type { ErrorLatch } from './latch.ts'

export interface Shared {
  readonly device: GPUDevice
  readonly latch: ErrorLatch
  readonly compilations: Compilations
}

export class Pipeline {
  /** undefined until it is compiled, null if the device refused it */
  compiled: GPUComputePipeline | null | undefined
  readonly #device: GPUDevice
  readonly #descriptor: GPUComputePipelineDescriptor

  /**
   * @param kernel the operation and its shapes
   * @param done called when it is compiled or refused
   */
  constructor(
    { device, latch, compilations }: Shared,
    kernel: string,
    code: string,
    layout: GPUPipelineLayout,
    done: () => void,
  ) {
    const describe = (error: { message: string }) => `the shader of ${kernel} was refused: ${error.message}\n${code}`
    this.#device = device
    compilations.ask()
    device.pushErrorScope('validation')
    const module = device.createShaderModule({ code })
    latch.watch(device.popErrorScope(), describe)
    this.#descriptor = { compute: { module, entryPoint: 'main' }, layout }
    const finish = (compiled: GPUComputePipeline | null) => {
      this.compiled ??= compiled
      compilations.finish(kernel)
      done()
    }
    const compiled = device.createComputePipelineAsync(this.#descriptor).then(
      pipeline => {
        finish(pipeline)
        return null
      },
      (error: Error) => {
        finish(null)
        return error
      },
    )
    latch.watch(compiled, describe)
  }

  /** Compiles it now. A device that refuses it says so in the constructor's promise too. */
  force(): void {
    if (this.compiled !== undefined) return
    this.#device.pushErrorScope('validation')
    this.compiled = this.#device.createComputePipeline(this.#descriptor)
    this.#device.popErrorScope().catch(() => undefined)
  }
}
