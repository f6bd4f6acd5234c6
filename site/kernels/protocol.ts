// The messages between the page and the threads that look at kernels and time them.

import type { OperationName } from './catalogue.ts'

export const places = {
  reference: 'reference, JavaScript in float64',
  cpu: 'cpu, WebAssembly with SIMD',
  webgpu: 'gpu on WebGPU',
  webgl2: 'gpu on WebGL 2',
} as const
export type Place = keyof typeof places

export interface Call {
  readonly operation: OperationName
  readonly shapes: readonly (readonly number[])[]
  readonly withGradient: boolean
}

export type Language = 'wgsl' | 'glsl' | 'wat'

export type Request =
  | { readonly kind: 'text'; readonly language: Language; readonly call: Call }
  | { readonly kind: 'time'; readonly place: Place; readonly call: Call }

/** A kernel as text. */
export interface KernelText {
  readonly name: string
  readonly text: string
}

export interface Timing {
  /** of one call */
  readonly milliseconds: number
  /** what the device says it is */
  readonly description: string
  /** some elements of the result, to compare devices */
  readonly sample: Float64Array
  readonly shape: readonly number[]
}

export type Report =
  | { readonly kind: 'text'; readonly kernels: readonly KernelText[] }
  | { readonly kind: 'time'; readonly timing: Timing }
  | { readonly kind: 'failed'; readonly message: string }
