// A GPU that computes nothing: the null backend of Dawn. What is left of a training step on it is JavaScript, which can
// be counted and timed on any machine.

import { create, globals } from 'webgpu'

/** Makes `device.use('gpu')` open the null backend, where every number is read as zero. Call it before the device is opened. */
export function useNullGpu(): void {
  // the null backend has memory, with what was last uploaded to it
  prototypeOf('GPUBuffer').getMappedRange = function () {
    return new ArrayBuffer((this as GPUBuffer).size)
  }
  // other frameworks read the constants of WebGPU, and whether the browser has limits that they know
  Object.assign(globalThis, globals)
  const value = { gpu: create(['backend=null']), userAgent: 'Node.js' }
  Object.defineProperty(globalThis, 'navigator', { value, configurable: true })
}

/**
 * What JavaScript asked of WebGPU. The bytes of kernel calls are those of the ranges that their bind groups give them, without uniforms:
 * each buffer once a call, whether it is read, written or both. A kernel that reads an element several times hopes to find it in a
 * cache; one that reads a part of a tensor, or a buffer of a pool that is larger than its tensor, is counted with the whole. So this is
 * what a step moves if every call touches its memory once, the same count for every framework.
 */
export interface Counts {
  dispatches: number
  passes: number
  submits: number
  bindGroups: number
  /** buffers created, without those that a read maps */
  buffers: number
  pipelines: number
  kernelBytes: number
  /** commands that copy or clear a buffer, and their bytes, without those for a read */
  copies: number
  copiedBytes: number
  /** writes by the host into buffers, and their bytes; uniforms are among them */
  writes: number
  writtenBytes: number
  /** what is copied into buffers that the host maps */
  readBytes: number
}

type Method = (this: object, ...args: never[]) => unknown

const prototypeOf = (type: string) => (globals as Record<string, { prototype: Record<string, Method> }>)[type].prototype

/** The bytes of each buffer that a bind group gives to a kernel. */
type Ranges = Map<GPUBuffer, number>

type ClearArguments = [buffer: GPUBuffer, first?: number, size?: number]

const MAP_READ = 0x1
const UNIFORM = 0x40

/** Counts every call of WebGPU from now on, until it is stopped. */
export class Counter {
  counts: Counts = none()
  /** the text of every shader module, in order */
  readonly shaders: string[] = []
  /** bytes of the buffers that were made since the start and not destroyed, without those that a read maps */
  bufferBytes = 0
  /** called at every kernel call */
  onDispatch: (() => void) | undefined
  readonly #restore: (() => void)[] = []

  constructor() {
    const rangesOf = new WeakMap<object, Ranges>()
    const bound = new WeakMap<object, Map<number, Ranges>>()
    const copied = (to: GPUBuffer, bytes: number) => {
      if (to.usage & MAP_READ) this.counts.readBytes += bytes
      else {
        this.counts.copies++
        this.counts.copiedBytes += bytes
      }
    }
    this.#on('GPUDevice', 'createBuffer', ([{ usage, size, mappedAtCreation }]: [GPUBufferDescriptor]) => {
      if (!(usage & MAP_READ)) {
        this.counts.buffers++
        this.bufferBytes += size
      }
      if (!mappedAtCreation) return
      this.counts.writes++
      this.counts.writtenBytes += size
    })
    const destroyed = new WeakSet<object>()
    this.#on('GPUBuffer', 'destroy', (_, __, buffer) => {
      const { usage, size } = buffer as GPUBuffer
      if (usage & MAP_READ || destroyed.has(buffer)) return
      destroyed.add(buffer)
      this.bufferBytes -= size
    })
    this.#on('GPUDevice', 'createShaderModule', ([{ code }]: [GPUShaderModuleDescriptor]) => {
      this.shaders.push(code)
    })
    this.#on('GPUDevice', 'createComputePipeline', () => this.counts.pipelines++)
    this.#on('GPUDevice', 'createComputePipelineAsync', () => this.counts.pipelines++)
    this.#on('GPUDevice', 'createBindGroup', ([{ entries }]: [GPUBindGroupDescriptor], group) => {
      this.counts.bindGroups++
      const ranges = new Map<GPUBuffer, number>()
      for (const { resource } of entries) {
        const { buffer, offset = 0, size = buffer.size - offset } = resource as GPUBufferBinding
        if (!(buffer.usage & UNIFORM)) ranges.set(buffer, Math.max(size, ranges.get(buffer) ?? 0))
      }
      rangesOf.set(group as object, ranges)
    })
    this.#on('GPUQueue', 'writeBuffer', ([, , data, , size]: Parameters<GPUQueue['writeBuffer']>) => {
      const unit = (data as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1
      this.counts.writes++
      this.counts.writtenBytes += size === undefined ? data.byteLength : size * unit
    })
    this.#on('GPUQueue', 'submit', () => this.counts.submits++)
    this.#on('GPUCommandEncoder', 'beginComputePass', () => this.counts.passes++)
    this.#on('GPUCommandEncoder', 'copyBufferToBuffer', (args: readonly unknown[]) => {
      // (from, to, bytes) or (from, first, to, first, bytes)
      const [from, to, bytes] = args.length > 3 ? [args[0], args[2], args[4]] : args
      copied(to as GPUBuffer, (bytes as number | undefined) ?? (from as GPUBuffer).size)
    })
    this.#on('GPUCommandEncoder', 'clearBuffer', ([buffer, first = 0, size = buffer.size - first]: ClearArguments) =>
      copied(buffer, size),
    )
    this.#on('GPUComputePassEncoder', 'setBindGroup', ([index, group]: [number, object], _, pass) => {
      const groups = bound.get(pass) ?? new Map<number, Ranges>()
      bound.set(pass, groups.set(index, rangesOf.get(group) ?? new Map()))
    })
    this.#on('GPUComputePassEncoder', 'dispatchWorkgroups', (_, __, pass) => {
      this.counts.dispatches++
      this.onDispatch?.()
      const ranges = new Map([...(bound.get(pass)?.values() ?? [])].flatMap(group => [...group]))
      for (const bytes of ranges.values()) this.counts.kernelBytes += bytes
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
  bindGroups: 0,
  buffers: 0,
  pipelines: 0,
  kernelBytes: 0,
  copies: 0,
  copiedBytes: 0,
  writes: 0,
  writtenBytes: 0,
  readBytes: 0,
})
