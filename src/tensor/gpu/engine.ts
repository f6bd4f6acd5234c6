// What the rest of this folder asks of a backend. One implementation each for webgpu, webgl2 and the two modes that run
// on a CPU stands in gpujs.ts, the only file that knows GPU.js.

import type { GpuBackend } from '../device.ts'

/** A function that kernels call; its types are told, never inferred. */
export interface Helper {
  readonly source: string
  readonly settings: { readonly argumentTypes: readonly string[]; readonly returnType: string }
}

/** One kernel before it is compiled. Array arguments come first, then Float ones, then Integer ones. */
export interface Program {
  /** for errors: the operation and its shapes */
  readonly label: string
  readonly source: string
  /** how many elements it computes */
  readonly length: number
  readonly arrays: number
  readonly floats: number
  readonly integers: number
  /** 4 when every thread returns four neighbouring elements */
  readonly width: 1 | 4
}

/** Flat float32 memory of a backend. */
export type BackendMemory = object

export interface Compiled {
  /** Computes into new memory. */
  run(args: readonly (BackendMemory | number)[]): BackendMemory
  destroy(): void
}

export interface Engine {
  readonly backend: GpuBackend
  /** adapter and version, for people */
  readonly description: string
  /** how many arrays a kernel may read */
  readonly maxArrays: number
  /** whether a thread may return four elements */
  readonly fourWide: boolean
  /** what of an argument is baked into a compiled kernel */
  layout(memory: BackendMemory, length: number): string
  compile(program: Program): Compiled
  upload(data: Float32Array): BackendMemory
  /** Elements start … start + length; rejects when the backend had an error, whatever is read beside it. */
  read(memory: BackendMemory, start: number, length: number): Promise<Float32Array>
  free(memory: BackendMemory): void
  /** Whether there was an error after which nothing here can be trusted. */
  hasFailed(): boolean
  close(): void
}
