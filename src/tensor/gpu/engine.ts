// The interface of a backend. It is implemented for webgpu (webgpu-engine.ts), webgl2 (webgl2-engine.ts) and the two modes that run on
// a CPU (host-engine.ts).

import type { GpuBackend } from '../device.ts'
import type { Compilations } from './compilations.ts'

/** A function that kernels call; its types are given, not inferred. */
export interface Helper {
  readonly source: string
  readonly settings: { readonly argumentTypes: readonly string[]; readonly returnType: string }
}

/** One kernel before it is compiled. Array arguments come first, then Float ones, then Integer ones. */
export interface Program {
  /** for errors: the operation and its shapes */
  readonly label: string
  readonly source: string
  /** the number of elements that it computes, which differs between the calls of a shared kernel */
  readonly length: number
  readonly arrays: number
  readonly floats: number
  readonly integers: number
  /** 4 when every thread returns four neighbouring elements */
  readonly width: 1 | 4
}

/** Flat float32 memory of a backend. */
export type BackendMemory = object

/** One call of a kernel. */
export interface Launch {
  /** for errors: the operation and its shapes */
  readonly label: string
  /** the number of elements that it computes */
  readonly length: number
}

export interface Compiled {
  /** Computes into new memory. */
  run(args: readonly (BackendMemory | number)[], launch: Launch): BackendMemory
  destroy(): void
}

/** A kernel in WGSL. One text serves all sizes, which are numbers that it is given. */
export interface ShaderProgram {
  /** for errors: the operation */
  readonly label: string
  readonly wgsl: string
  readonly arrays: number
  /** the first arrays that it writes too */
  readonly writes: number
  readonly floats: number
  readonly integers: number
}

/** How one call of a shader is made. */
export interface Dispatch {
  /** for errors: the operation and its shapes */
  readonly label: string
  /** elements of the result */
  readonly length: number
  /** number of workgroups along three axes */
  readonly groups: readonly [number, number, number]
  /** memory to write into; default: new memory of `length` elements */
  readonly into?: BackendMemory
}

export interface CompiledShader {
  run(args: readonly (BackendMemory | number)[], dispatch: Dispatch): BackendMemory
  destroy(): void
}

/** What a backend has that runs kernels in WGSL. */
export interface Shaders {
  /** the maximum number of bytes of one memory */
  readonly maxBytes: number
  /** the maximum number of bytes that the threads of a workgroup share */
  readonly maxShared: number
  compile(program: ShaderProgram): CompiledShader
  /**
   * Memory for a shader to write besides its result.
   * @param purpose what it is for: what served the same purpose before is preferred
   */
  blank(length: number, purpose: object): BackendMemory
  /** The same memory once more; it is freed when each of its owners has freed it. */
  share(memory: BackendMemory): BackendMemory
  /** Milliseconds that the device takes for each of these works, whose calls it computes several times. */
  time(works: readonly (() => void)[], times: number): Promise<number[]>
  /** the milliseconds by which a time may be wrong */
  readonly resolution: number
}

export interface Engine {
  readonly backend: GpuBackend
  /** description: adapter and version */
  readonly description: string
  readonly compilations: Compilations
  /** the maximum number of arrays that a kernel may read */
  readonly maxArrays: number
  /** whether a thread may return four elements */
  readonly fourWide: boolean
  /** whether one kernel runs with arguments and results of every size; otherwise sizes are constants in a compiled kernel */
  readonly shared: boolean
  /** the properties of an argument that are constants in a compiled kernel */
  layout(memory: BackendMemory, length: number): string
  compile(program: Program): Compiled
  /** undefined if kernels are generated only */
  readonly shaders?: Shaders
  upload(data: Float32Array): BackendMemory
  /** Reads elements start … start + length - 1; rejects if the backend had any error. */
  read(memory: BackendMemory, start: number, length: number): Promise<Float32Array>
  free(memory: BackendMemory): void
  /** Whether there was an error after which no result can be trusted. */
  hasFailed(): boolean
  close(): void
}
