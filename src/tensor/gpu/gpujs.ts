// All code that depends on GPU.js and its internals. Its types are declared here because the published ones do not fit,
// its WebGPU kernel is made to build synchronously and to put its calls into a queue, and results are taken from kernels
// before the kernels can keep references to them. The version is pinned to 2.24.1; test/tensor/gpu/internals.test.ts
// checks that the internals exist.

import { DeviceError, type GpuBackend } from '../device.ts'
import { helpersIn } from './code.ts'
import { type Binding, DispatchQueue } from './dispatch.ts'
import type { BackendMemory, Compiled, Dispatch, Engine, Helper, Launch, Program } from './engine.ts'
import { ErrorLatch } from './latch.ts'
import { BufferPool } from './pool.ts'
import { WIDEST } from './shader.ts'

export const version = '2.24.1'

/** The part of GPU.js that is used. */
export interface GpuJs {
  readonly GPU: new (settings: { mode?: string; context?: object; canvas?: object }) => Gpu
  readonly WebGPUContext: { readonly isSupported: boolean; acquire(): Promise<object> }
  readonly WebGPUKernel: new (source: string, settings: Settings) => WebGpuKernel
  readonly WebGPUBufferResult: new (settings: {
    buffer: Counted<GPUBuffer>
    output: number[]
    componentCount: number
    context: object
    kernel: object
  }) => WebGpuHandle
  readonly WebGL2Kernel: new (source: string, settings: Settings) => Kernel
  readonly WebAssemblyKernel: new (source: string, settings: Settings) => Kernel
  readonly CPUKernel: new (source: string, settings: Settings) => Kernel
}

interface Gpu {
  Kernel: object
  createKernel(source: string, settings: Settings): Shortcut
  destroy(): Promise<void>
}

type Argument = BackendMemory | number

/** A kernel as returned by createKernel: callable, and able to replace the object that runs. */
interface Shortcut {
  (...args: Argument[]): Handle | Promise<Handle>
  readonly kernel: Kernel
  destroy(): void
}

interface Kernel {
  built: boolean
  fallbackReason: string | null
  output: number[]
  /** webgl2: the newest result, and the vertex buffer that all kernels share */
  texture: { texture: Counted<WebGLTexture> }
  buffer: WebGLBuffer | null
  build(...args: Argument[]): Promise<void>
  run(...args: Argument[]): unknown
}

interface WebGpuKernel extends Kernel {
  compiledSource: string
  componentCount: number
  readonly paramsLayout: {
    readonly arrayArgs: readonly { readonly dimsOffset: number }[]
    readonly scalarArgs: readonly { readonly offset: number; readonly type: string }[]
    readonly byteLength: number
  }
  context: object
  _device: GPUDevice
  computePipeline: GPUComputePipeline
  outputBuffer: Counted<GPUBuffer> | null
  workgroupSize: number[]
  translatedBody: string
  translatedFunctions: string
  returnType: string
  _buildAsync(): Promise<void>
  translateSource(): void
  assembleWGSL(): string
  _checkBufferSize(bytes: number, what: string): void
  _computeDispatch(threads: readonly number[]): {
    readonly groups: readonly [number, number, number]
    readonly dispatchWidth: number
  }
}

/** GPU.js counts the handles of a buffer or texture in its own field. */
type Counted<T> = T & { _refs: number }

interface Handle {
  output: number[]
  delete(): void
}

interface WebGpuHandle extends Handle {
  readonly buffer: Counted<GPUBuffer>
  clone(): WebGpuHandle
}

interface GlHandle extends Handle {
  type: string
  readonly constructor: new (settings: object) => GlHandle
}

interface Settings {
  readonly output: readonly number[]
  readonly argumentTypes: readonly string[]
  readonly functions: readonly Helper[]
  readonly [name: string]: unknown
}

const settings = (program: Pick<Program, 'source' | 'length' | 'arrays' | 'floats' | 'integers' | 'width'>) => ({
  output: [program.length / program.width],
  pipeline: true,
  immutable: true,
  precision: 'single',
  tactic: 'precision',
  strictIntegers: true,
  loopMaxIterations: 1e9,
  argumentTypes: [
    ...new Array<string>(program.arrays).fill('Array'),
    ...new Array<string>(program.floats).fill('Float'),
    ...new Array<string>(program.integers).fill('Integer'),
  ],
  functions: helpersIn(program.source),
})

/** Loads GPU.js, and in a browser restores the global GPU interface, which its script replaces by its own class. */
export async function loadGpuJs(): Promise<GpuJs> {
  const native = Object.getOwnPropertyDescriptor(globalThis, 'GPU')
  const { gpujs } = await import('./library.ts')
  if (native) Object.defineProperty(globalThis, 'GPU', native)
  return gpujs as GpuJs
}

/** Throws if GPU.js runs a kernel on another backend than requested. */
function assertRuns(shortcut: Shortcut, kernelClass: abstract new (...args: never[]) => object, label: string): void {
  const { kernel } = shortcut
  if (kernel instanceof kernelClass && !kernel.fallbackReason) return
  throw new DeviceError(`gpu: ${label} did not run on the requested backend`, 'gpu', [
    kernel.fallbackReason || 'GPU.js chose another kind of kernel',
  ])
}

const identity = 'function(a0){ return a0[this.thread.x]; }'
const identityFrom = 'function(a0,o0){ return a0[add2(this.thread.x,o0)]; }'

/** Writes a size of one axis as GPU.js does. */
function writeSize(integers: Int32Array, at: number, n: number, last: number): void {
  integers[at] = n
  integers[at + 1] = 1
  integers[at + 2] = 1
  integers[at + 3] = last
}

/** WebGPU on our own device: synchronous builds, pooled memory, errors collected until a value is read. */
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
    destroying: buffer => calls.release(buffer),
  })

  const handle = (buffer: Counted<GPUBuffer>, length: number): WebGpuHandle =>
    new gpujs.WebGPUBufferResult({ buffer, output: [length], componentCount: 1, context, kernel: gpu })

  /** A kernel that builds at once, and whose calls wait in the queue. */
  class QueuedKernel extends gpujs.WebGPUKernel {
    /** the first arrays that are written too */
    writes = 0
    declare binding: Binding
    /** for the pool */
    purpose: object = this
    /** memory to write into instead of new memory */
    into: WebGpuHandle | undefined

    override _buildAsync(): Promise<void> {
      this.context = context
      this._device = device
      this.binding = calls.binding(this.paramsLayout.arrayArgs.length, this.writes)
      device.pushErrorScope('validation')
      this.computePipeline = device.createComputePipeline({
        compute: { module: device.createShaderModule({ code: this.compiledSource }), entryPoint: 'main' },
        layout: this.binding.pipelineLayout,
      })
      const { compiledSource } = this
      const refused = current.label
      latch.watch(
        device.popErrorScope(),
        error => `the shader of ${refused} was refused: ${error.message}\n${compiledSource}`,
      )
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
      calls.add({ pipeline: this.computePipeline, binding: this.binding, inputs, output: this.outputBuffer, groups })
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

  function create<K extends QueuedKernel>(kind: new (...args: never[]) => K, ...[source, set]: [string, Settings]) {
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
      calls.release(buffer)
      device.queue.writeBuffer(buffer, 0, data as Float32Array<ArrayBuffer>)
      return handle(buffer, data.length)
    },
    async read(memory, start, length) {
      if (latch.isSet) await latch.settle()
      calls.flush()
      const staging = device.createBuffer({ size: length * 4, usage: 0x9 })
      try {
        const encoder = device.createCommandEncoder()
        encoder.copyBufferToBuffer((memory as WebGpuHandle).buffer, start * 4, staging, 0, length * 4)
        device.queue.submit([encoder.finish()])
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
      calls.flush()
      calls.destroy()
      pool.clear()
      device.destroy()
    },
  }
}

/** WebGL 2 in our own context. Results are textures. */
export function webgl2Engine(gpujs: GpuJs, gl: WebGL2RenderingContext, description: string): Engine {
  // GPU.js resizes its canvas to the largest texture; a plain object accepts that without allocating memory
  const gpu = new gpujs.GPU({ context: gl, canvas: { width: 1, height: 1 } })
  const latch = new ErrorLatch()

  function look(): void {
    if (gl.isContextLost()) latch.set('the WebGL context was lost')
    else {
      const error = gl.getError()
      if (error === gl.OUT_OF_MEMORY) latch.set('WebGL ran out of memory')
      else if (error !== gl.NO_ERROR) latch.set(`WebGL reports error 0x${error.toString(16)}`)
    }
    latch.check()
  }

  function destroy(shortcut: Shortcut): void {
    // the vertex buffer is shared: without this all other kernels would stop drawing
    shortcut.kernel.buffer = null
    shortcut.destroy()
  }

  /** Runs a kernel and makes it release its result. */
  function take(shortcut: Shortcut, args: readonly Argument[], label: string): GlHandle {
    const result = shortcut(...args) as GlHandle
    assertRuns(shortcut, gpujs.WebGL2Kernel, label)
    const own = shortcut.kernel.texture
    own.texture._refs--
    own.texture = { _refs: 2 } as Counted<WebGLTexture>
    gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0, gl.TEXTURE_2D, null, 0)
    return result
  }

  // uploads and reads are kernels too, one for each length
  const transfers = new Map<string, Shortcut>()
  function transfer(key: string, make: () => Shortcut): Shortcut {
    const found = transfers.get(key)
    const shortcut = found ?? make()
    if (found) transfers.delete(key)
    else if (transfers.size >= 256) {
      const [oldest, unused] = transfers.entries().next().value!
      transfers.delete(oldest)
      destroy(unused)
    }
    transfers.set(key, shortcut)
    return shortcut
  }
  const one = { floats: 0, arrays: 1, width: 1 } as const

  // four elements per thread fill a texture whose memory is already in order, if it is given another type
  const probe = gpu.createKernel(identity, {
    ...settings({ ...one, source: identity, length: 4, integers: 0 }),
    optimizeFloatMemory: true,
  })
  const first = probe(new Float32Array(4)) as GlHandle
  assertRuns(probe, gpujs.WebGL2Kernel, 'the first kernel')
  const Packed = first.constructor
  first.delete()

  return {
    backend: 'webgl2',
    description,
    maxArrays: Math.min(15, gl.getParameter(gl.MAX_TEXTURE_IMAGE_UNITS) - 1),
    fourWide: true,
    shared: false,
    layout: (memory, length) => `${(memory as GlHandle).type}${length}`,
    compile(program) {
      const shortcut = gpu.createKernel(program.source, settings(program))
      return {
        run(args) {
          if (gl.isContextLost()) look()
          const result = take(shortcut, args, program.label)
          if (program.width === 1) return result
          const flat = new Packed({ ...result, output: [program.length], dimensions: [program.length, 1, 1] })
          flat.type = 'MemoryOptimizedNumberTexture'
          result.delete()
          return flat
        },
        destroy: () => destroy(shortcut),
      }
    },
    upload(data) {
      const make = () =>
        gpu.createKernel(identity, settings({ ...one, source: identity, length: data.length, integers: 0 }))
      return take(transfer(`to ${data.length}`, make), [data], `an upload of ${data.length} elements`)
    },
    async read(memory, start, length) {
      look()
      const layout = this.layout(memory, (memory as GlHandle).output[0])
      const shortcut = transfer(`from ${layout} ${length}`, () =>
        gpu.createKernel(identityFrom, {
          ...settings({ ...one, source: identityFrom, length, integers: 1 }),
          pipeline: false,
          immutable: false,
          asyncMode: true,
        }),
      )
      const data = (await shortcut(memory, start)) as unknown as Float32Array
      look()
      return data
    },
    free: memory => (memory as GlHandle).delete(),
    hasFailed: () => latch.isSet || gl.isContextLost(),
    close() {
      void gpu.destroy()
      gl.getExtension('WEBGL_lose_context')?.loseContext()
    },
  }
}

/** The same kernels as WebAssembly or JavaScript. Memory is a Float32Array. */
export function hostEngine(gpujs: GpuJs, backend: GpuBackend & ('webasm' | 'cpu'), description: string): Engine {
  const gpu = new gpujs.GPU({ mode: backend })
  const kernelClass = backend === 'webasm' ? gpujs.WebAssemblyKernel : gpujs.CPUKernel
  return {
    backend,
    description,
    maxArrays: 7,
    fourWide: false,
    shared: false,
    layout: (_, length) => `${length}`,
    compile(program): Compiled {
      const shortcut = gpu.createKernel(program.source, settings(program))
      return {
        run(args) {
          const result = shortcut(...args) as unknown as Float32Array
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
