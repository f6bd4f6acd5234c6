// A GPU that computes nothing: the null backend of Dawn. What is left of a training step on it is JavaScript, which can
// be counted and timed on any machine.

import { create, globals } from 'webgpu'

/** Makes `device.use('gpu')` open the null backend, where every number is read as zero. Call it before the device is opened. */
export function useNullGpu(): void {
  // the null backend has memory, with what was last uploaded to it
  prototypeOf('GPUBuffer').getMappedRange = function () {
    return new ArrayBuffer((this as GPUBuffer).size)
  }
  const value = { gpu: create(['backend=null']) }
  Object.defineProperty(globalThis, 'navigator', { value, configurable: true })
}

/** What JavaScript asked of WebGPU. */
export interface Counts {
  dispatches: number
  passes: number
  submits: number
  /** writes of the queue into buffers, and their bytes */
  writes: number
  uploadedBytes: number
  bindGroups: number
  /** buffers created, without those that a read maps */
  buffers: number
  pipelines: number
  /** the bytes of all storage buffers that the dispatches read or write */
  boundBytes: number
}

type Method = (this: object, ...args: never[]) => unknown

const prototypeOf = (type: string) => (globals as Record<string, { prototype: Record<string, Method> }>)[type].prototype

const MAP_READ = 0x1
const UNIFORM = 0x40

/** Counts every call of WebGPU from now on, until it is stopped. */
export class Counter {
  counts: Counts = none()
  /** the text of every shader module, in order */
  readonly shaders: string[] = []
  readonly #restore: (() => void)[] = []

  constructor() {
    const bytesOf = new WeakMap<object, number>()
    const bound = new WeakMap<object, number>()
    this.#on('GPUDevice', 'createBuffer', ([{ usage }]: [GPUBufferDescriptor]) => {
      if (!(usage & MAP_READ)) this.counts.buffers++
    })
    this.#on('GPUDevice', 'createShaderModule', ([{ code }]: [GPUShaderModuleDescriptor]) => {
      this.shaders.push(code)
    })
    this.#on('GPUDevice', 'createComputePipeline', () => this.counts.pipelines++)
    this.#on('GPUDevice', 'createComputePipelineAsync', () => this.counts.pipelines++)
    this.#on('GPUDevice', 'createBindGroup', ([{ entries }]: [GPUBindGroupDescriptor], group) => {
      this.counts.bindGroups++
      let bytes = 0
      for (const { resource } of entries) {
        const { buffer, size = buffer.size } = resource as GPUBufferBinding
        if (!(buffer.usage & UNIFORM)) bytes += size
      }
      bytesOf.set(group as object, bytes)
    })
    this.#on('GPUQueue', 'writeBuffer', ([, , data, , size]: Parameters<GPUQueue['writeBuffer']>) => {
      this.counts.writes++
      this.counts.uploadedBytes += size ?? data.byteLength
    })
    this.#on('GPUQueue', 'submit', () => this.counts.submits++)
    this.#on('GPUCommandEncoder', 'beginComputePass', () => this.counts.passes++)
    this.#on('GPUComputePassEncoder', 'setBindGroup', ([, group]: [number, object], _, pass) => {
      bound.set(pass, bytesOf.get(group) ?? 0)
    })
    this.#on('GPUComputePassEncoder', 'dispatchWorkgroups', (_, __, pass) => {
      this.counts.dispatches++
      this.counts.boundBytes += bound.get(pass) ?? 0
    })
  }

  /** Returns the counts so far, and counts from zero. */
  take(): Counts {
    const { counts } = this
    this.counts = none()
    return counts
  }

  /** Stops counting: the methods are those of WebGPU again. */
  stop(): void {
    for (const restore of this.#restore) restore()
  }

  #on<A extends unknown[]>(type: string, name: string, see: (args: A, result: unknown, self: object) => void): void {
    const prototype = prototypeOf(type)
    const method = prototype[name]
    prototype[name] = function (...args) {
      const result = method.apply(this, args)
      see(args as unknown as A, result, this)
      return result
    }
    this.#restore.push(() => {
      prototype[name] = method
    })
  }
}

const none = (): Counts => ({
  dispatches: 0,
  passes: 0,
  submits: 0,
  writes: 0,
  uploadedBytes: 0,
  bindGroups: 0,
  buffers: 0,
  pipelines: 0,
  boundBytes: 0,
})
