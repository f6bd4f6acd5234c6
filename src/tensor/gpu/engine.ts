// The interface of a backend. gpujs.ts, the only file that uses GPU.js, implements it for webgpu, webgl2 and the two
// modes that run on a CPU.

import type { GpuBackend } from '../device.ts'

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

export interface Engine {
  readonly backend: GpuBackend
  /** description: adapter and version */
  readonly description: string
  /** the maximum number of arrays that a kernel may read */
  readonly maxArrays: number
  /** whether a thread may return four elements */
  readonly fourWide: boolean
  /** whether one kernel runs with arguments and results of every size; otherwise sizes are constants in a compiled kernel */
  readonly shared: boolean
  /** the properties of an argument that are constants in a compiled kernel */
  layout(memory: BackendMemory, length: number): string
  compile(program: Program): Compiled
  upload(data: Float32Array): BackendMemory
  /** Reads elements start … start + length - 1; rejects if the backend had any error. */
  read(memory: BackendMemory, start: number, length: number): Promise<Float32Array>
  free(memory: BackendMemory): void
  /** Whether there was an error after which no result can be trusted. */
  hasFailed(): boolean
  close(): void
}
