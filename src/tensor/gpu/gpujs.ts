// GPU.js and its internals: the types of what is used of it, since the published ones do not fit, how it is loaded, and the settings
// of a kernel. The engines that run its kernels are in webgpu-engine.ts, webgl2-engine.ts and host-engine.ts; no other file uses it.
// The version is pinned to 2.24.1; test/tensor/gpu/internals.test.ts checks that the internals exist.

import { DeviceError } from '../device.ts'
import { helpersIn } from './code.ts'
import type { Compilations } from './compilations.ts'
import type { BackendMemory, Helper, Program } from './engine.ts'

export const version = '2.24.1'

/** The part of GPU.js that is used. */
export interface GpuJs {
  readonly GPU: new (settings: { mode?: string; context?: object; canvas?: object }) => Gpu
  readonly WebGPUContext: { readonly isSupported: boolean; acquire(): Promise<object> }
  readonly WebGPUKernel: new (source: string, settings: KernelSettings) => WebGpuKernel
  readonly WebGPUBufferResult: new (settings: {
    buffer: Counted<GPUBuffer>
    output: number[]
    componentCount: number
    context: object
    kernel: object
  }) => WebGpuHandle
  readonly WebGL2Kernel: new (source: string, settings: KernelSettings) => Kernel
  readonly WebAssemblyKernel: new (source: string, settings: KernelSettings) => Kernel
  readonly CPUKernel: new (source: string, settings: KernelSettings) => Kernel
}

export interface Gpu {
  Kernel: object
  createKernel(source: string, settings: KernelSettings): Shortcut
  destroy(): Promise<void>
}

export type Argument = BackendMemory | number

/** A kernel as returned by createKernel: callable, and able to replace the object that runs. */
export interface Shortcut {
  (...args: Argument[]): LibraryHandle | Promise<LibraryHandle>
  readonly kernel: Kernel
  destroy(): void
}

export interface Kernel {
  built: boolean
  fallbackReason: string | null
  output: number[]
  /** webgl2: the newest result, and the vertex buffer that all kernels share */
  texture: { texture: Counted<WebGLTexture> }
  buffer: WebGLBuffer | null
  build(...args: Argument[]): Promise<void>
  run(...args: Argument[]): unknown
}

export interface WebGpuKernel extends Kernel {
  compiledSource: string
  componentCount: number
  readonly paramsLayout: {
    readonly arrayArgs: readonly { readonly dimsOffset: number }[]
    readonly scalarArgs: readonly { readonly offset: number; readonly type: string }[]
    readonly byteLength: number
  }
  context: object
  _device: GPUDevice
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
export type Counted<T> = T & { _refs: number }

export interface LibraryHandle {
  output: number[]
  delete(): void
}

export interface WebGpuHandle extends LibraryHandle {
  readonly buffer: Counted<GPUBuffer>
  clone(): WebGpuHandle
}

export interface GlHandle extends LibraryHandle {
  type: string
  readonly constructor: new (settings: object) => GlHandle
}

export interface KernelSettings {
  readonly output: readonly number[]
  readonly argumentTypes: readonly string[]
  readonly functions: readonly Helper[]
  readonly [name: string]: unknown
}

export const settings = (program: Pick<Program, 'source' | 'length' | 'arrays' | 'floats' | 'integers' | 'width'>) => ({
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
export function assertRuns(
  shortcut: Shortcut,
  kernelClass: abstract new (...args: never[]) => object,
  label: string,
): void {
  const { kernel } = shortcut
  if (kernel instanceof kernelClass && !kernel.fallbackReason) return
  throw new DeviceError(`gpu: ${label} did not run on the requested backend`, 'gpu', [
    kernel.fallbackReason || 'GPU.js chose another kind of kernel',
  ])
}

/** Runs a kernel, which compiles it when it is new. */
export function runs<R>(shortcut: Shortcut, args: readonly unknown[], label: string, compilations: Compilations): R {
  const isNew = !shortcut.kernel.built
  if (isNew) compilations.ask()
  const result = shortcut(...(args as Argument[])) as R
  if (isNew) compilations.finish(label)
  return result
}
