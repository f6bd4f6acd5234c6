// GPU.js on our own WebGPU device: its kernels are made to build without being awaited and to put their calls into a queue, and
// results are taken from kernels before the kernels can keep references to them.

import { DeviceError } from '../device.ts'
import { Compilations } from './compilations.ts'
import { type Binding, DispatchQueue } from './dispatch.ts'
import type { Dispatch, Engine, Launch } from './engine.ts'
import {
  type Argument,
  assertRuns,
  type Counted,
  type GpuJs,
  type KernelSettings,
  settings,
  type WebGpuHandle,
} from './gpujs.ts'
import { ErrorLatch } from './latch.ts'
import { Pipeline } from './pipeline.ts'
import { BufferPool } from './pool.ts'
import { WIDEST } from './shader.ts'
import { Timer } from './timer.ts'

/** Writes a size of one axis as GPU.js does. */
function writeSize(integers: Int32Array, at: number, n: number, last: number): void {
  integers[at] = n
  integers[at + 1] = 1
  integers[at + 2] = 1
  integers[at + 3] = last
}

/** WebGPU on our own device: kernels that compile while the host goes on, pooled memory, errors collected until a value is read. */
export function webgpuEngine(gpujs: GpuJs, adapter: GPUAdapter, device: GPUDevice, description: string): Engine {
  const context = { adapter, device, isLost: false }
  const latch = new ErrorLatch()
  gpujs.WebGPUContext.acquire = () => Promise.resolve(context)
  Object.defineProperty(gpujs.WebGPUContext, 'isSupported', { get: () => true, configurable: true })
  device.addEventListener('uncapturederror', event => {
    event.preventDefault()
    latch.set(event.error.message)
  })
  let closed = false
  device.lost.then(info => {
    context.isLost = true
    if (!closed) latch.set(`the GPU device was lost: ${info.message}`)
  })

  const largest = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize)
  /** what is computed, for errors */
  let current: { readonly label: string } = { label: '' }
  const calls = new DispatchQueue(device)
  const timer = new Timer(device, calls)
  const compilations = new Compilations()
  const shared = { device, latch, compilations }
  const pool = new BufferPool<Counted<GPUBuffer>>(largest, {
    create(size, usage) {
      device.pushErrorScope('out-of-memory')
      const buffer = device.createBuffer({ size, usage }) as Counted<GPUBuffer>
      const purpose = current.label
      latch.watch(device.popErrorScope(), error => `out of memory: ${size} bytes for ${purpose} (${error.message})`)
      return buffer
    },
    returned(buffer) {
      buffer._refs = 0
    },
    destroy: (buffer, destroy) =>
      calls.inOrder(() => {
        calls.release(buffer)
        destroy()
      }),
  })

  const handle = (buffer: Counted<GPUBuffer>, length: number): WebGpuHandle =>
    new gpujs.WebGPUBufferResult({ buffer, output: [length], componentCount: 1, context, kernel: gpu })

  /** A kernel that may be called at once, and whose calls wait in the queue. */
  class QueuedKernel extends gpujs.WebGPUKernel {
    /** the first arrays that are written too */
    writes = 0
    declare binding: Binding
    declare pipeline: Pipeline
    /** for the pool */
    purpose: object = this
    /** memory to write into instead of new memory */
    into: WebGpuHandle | undefined

    override _buildAsync(): Promise<void> {
      this.context = context
      this._device = device
      this.binding = calls.binding(this.paramsLayout.arrayArgs.length, this.writes)
      const { pipelineLayout } = this.binding
      this.pipeline = new Pipeline(shared, current.label, this.compiledSource, pipelineLayout, () => calls.drain())
      this.built = true
      return Promise.resolve()
    }

    /** Writes the numbers of a call where the kernel reads them, and puts the call into the queue. */
    override run(...args: Argument[]): void {
      if (context.isLost) throw new Error('WebGPU device was lost')
      const { arrayArgs, scalarArgs, byteLength } = this.paramsLayout
      const [threads] = this.output
      const { groups, dispatchWidth } = this.dispatchOf(threads)
      const start = calls.numbers(byteLength)
      const { integers, floats } = calls
      writeSize(integers, start, threads, dispatchWidth)
      const inputs: GPUBuffer[] = []
      for (let i = 0; i < arrayArgs.length; i++) {
        const { buffer, output } = args[i] as WebGpuHandle
        writeSize(integers, start + arrayArgs[i].dimsOffset / 4, output[0], output[0])
        inputs.push(buffer)
      }
      for (let i = 0; i < scalarArgs.length; i++) {
        const { offset, type } = scalarArgs[i]
        const words = type === 'Integer' ? integers : floats
        words[start + offset / 4] = args[arrayArgs.length + i] as number
      }
      this.outputBuffer = this.into?.buffer ?? this.#newBuffer(4 * threads * this.componentCount)
      calls.add({ pipeline: this.pipeline, binding: this.binding, inputs, output: this.outputBuffer, groups })
    }

    /** The workgroups for a number of threads. The limits of a device are slow to ask for, and most kernels are far below. */
    dispatchOf(threads: number): { readonly groups: Dispatch['groups']; readonly dispatchWidth: number } {
      const [width] = this.workgroupSize
      const count = Math.ceil(threads / width)
      return count > WIDEST
        ? this._computeDispatch([threads, 1, 1])
        : { groups: [count, 1, 1], dispatchWidth: count * width }
    }

    #newBuffer(bytes: number): Counted<GPUBuffer> {
      if (bytes > largest) this._checkBufferSize(bytes, `output [${bytes / 4}]`)
      return pool.take(bytes, this.purpose)
    }
  }

  /** A kernel whose text is given: GPU.js translates nothing. */
  class ShaderKernel extends QueuedKernel {
    text = ''
    groups: Dispatch['groups'] = [1, 1, 1]

    override translateSource(): void {
      this.translatedBody = this.translatedFunctions = ''
      this.returnType = 'Number'
      this.componentCount = 1
    }

    override assembleWGSL(): string {
      this.workgroupSize = [1, 1, 1]
      return this.text
    }

    override dispatchOf() {
      return { groups: this.groups, dispatchWidth: 0 }
    }
  }

  const gpu = new gpujs.GPU({ mode: 'webgpu' })

  function create<K extends QueuedKernel>(
    kind: new (...args: never[]) => K,
    ...[source, set]: [string, KernelSettings]
  ) {
    gpu.Kernel = kind
    const shortcut = gpu.createKernel(source, set)
    const kernel = shortcut.kernel as K
    return {
      kernel,
      run(args: readonly Argument[], launch: Launch, threads: number): WebGpuHandle {
        current = launch
        if (!kernel.built) {
          kernel.build(...args)
          assertRuns(shortcut, kind, launch.label)
        }
        kernel.output = [threads]
        kernel.run(...args)
        const buffer = kernel.outputBuffer!
        kernel.outputBuffer = null
        return kernel.into ?? handle(buffer, launch.length)
      },
      destroy: () => shortcut.destroy(),
    }
  }

  return {
    backend: 'webgpu',
    description,
    compilations,
    maxArrays: device.limits.maxStorageBuffersPerShaderStage - 1,
    fourWide: true,
    shared: true,
    layout: () => '',
    compile(program) {
      const { kernel, run, destroy } = create(QueuedKernel, program.source, settings(program))
      return {
        run(args, launch) {
          kernel.purpose = launch
          return run(args, launch, launch.length / program.width)
        },
        destroy,
      }
    },
    shaders: {
      maxBytes: largest,
      maxShared: device.limits.maxComputeWorkgroupStorageSize,
      share: memory => (memory as WebGpuHandle).clone(),
      blank(length, purpose) {
        current = { label: `a result of ${length} elements` }
        return handle(pool.take(4 * length, purpose), length)
      },
      resolution: timer.resolution,
      async time(works, times) {
        const milliseconds = await timer.time(works, times)
        await latch.settle()
        return milliseconds
      },
      compile(program) {
        const { arrays, floats, integers } = program
        const names = Array.from({ length: arrays + floats + integers }, (_, i) => `x${i}`)
        const source = `function(${names}){ return 0.0; }`
        const set = settings({ source, length: 1, arrays, floats, integers, width: 1 })
        const { kernel, run, destroy } = create(ShaderKernel, source, set)
        kernel.text = program.wgsl
        kernel.writes = program.writes
        const purposes = new Map<number, object>()
        return {
          run(args, dispatch) {
            const { length, groups, into } = dispatch
            kernel.purpose = purposes.get(length) ?? {}
            purposes.set(length, kernel.purpose)
            kernel.groups = groups
            kernel.into = into as WebGpuHandle | undefined
            return run(args, dispatch, length)
          },
          destroy,
        }
      },
    },
    upload(data) {
      current = { label: `an upload of ${data.length} elements` }
      if (data.byteLength > largest)
        throw new DeviceError(
          `${current.label} takes ${data.byteLength} bytes; one buffer holds at most ${largest}`,
          'gpu',
        )
      const buffer = pool.take(data.byteLength)
      // the caller may change its data before the calls that wait for kernels are done
      const values = (calls.isHolding ? data.slice() : data) as Float32Array<ArrayBuffer>
      calls.inOrder(() => {
        calls.release(buffer)
        device.queue.writeBuffer(buffer, 0, values)
      })
      return handle(buffer, data.length)
    },
    async read(memory, start, length) {
      if (latch.isSet) await latch.settle()
      const { buffer } = memory as WebGpuHandle
      const staging = device.createBuffer({ size: length * 4, usage: 0x9 })
      const copy = () => {
        calls.flush()
        const encoder = device.createCommandEncoder()
        encoder.copyBufferToBuffer(buffer, start * 4, staging, 0, length * 4)
        device.queue.submit([encoder.finish()])
      }
      try {
        await calls.after(copy)
        await staging.mapAsync(1).catch(async error => {
          await latch.settle()
          throw error
        })
        const data = new Float32Array(staging.getMappedRange().slice(0))
        await latch.settle()
        return data
      } finally {
        staging.destroy()
      }
    },
    free: memory => (memory as WebGpuHandle).delete(),
    hasFailed: () => latch.isSet,
    close() {
      closed = true
      void gpu.destroy()
      calls.destroy()
      pool.clear()
      device.destroy()
    },
  }
}
