// The training step of CoCa, in turn in several frameworks: what the page asks and hears.

import type { SizeName } from '../../../bench/model.ts'

export type { SizeName }

export interface Contender {
  readonly name: string
  /** with which settings, and why these */
  readonly settings: string
  readonly program: 'cocagrad' | 'tfjs' | 'jax'
  readonly backend: 'cpu' | 'gpu' | 'wasm' | 'webgpu'
}

export const contenders: readonly Contender[] = [
  { name: 'cocagrad, cpu', settings: '', program: 'cocagrad', backend: 'cpu' },
  { name: 'cocagrad, gpu', settings: 'WebGPU, or WebGL 2 where there is none', program: 'cocagrad', backend: 'gpu' },
  {
    name: 'TensorFlow.js, wasm',
    settings: 'products as plain matrices and gradients written by hand, five times as fast as its own',
    program: 'tfjs',
    backend: 'wasm',
  },
  { name: 'TensorFlow.js, webgpu', settings: 'the same model', program: 'tfjs', backend: 'webgpu' },
  { name: 'jax-js, wasm', settings: 'the whole step in one jit', program: 'jax', backend: 'wasm' },
  { name: 'jax-js, webgpu', settings: 'the whole step in one jit', program: 'jax', backend: 'webgpu' },
]

export interface StepRequest {
  readonly kind: 'step'
  readonly program: Contender['program']
  readonly backend: Contender['backend']
  readonly size: SizeName
  readonly threads: number
  readonly warmup: number
  readonly steps: number
  /** after which no step is begun, except the first two that are timed; a third of them for the warm-up */
  readonly seconds: number
}

export interface Result {
  /** median and least of a step */
  readonly milliseconds: number
  readonly least: number
  /** of every step */
  readonly losses: readonly number[]
  /** steps that were timed */
  readonly timed: number
  readonly parameters: number
  /** version, device, threads */
  readonly description: string
}

export type Report =
  | { readonly kind: 'step'; readonly done: number; readonly of: number }
  | { readonly kind: 'result'; readonly result: Result }
  | { readonly kind: 'failed'; readonly message: string }
