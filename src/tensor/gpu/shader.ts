// Kernels written in WGSL, for operations that need what generated kernels lack: memory that threads share, several results a
// thread, writing in place. GPU.js runs them as it runs its own. Only webgpu has them; elsewhere kernels are generated.

import type { Handle, Strided } from './runtime.ts'

export interface Shader {
  /** determines the text and the numbers that it takes */
  readonly key: string
  /** the first arrays that it writes too */
  readonly writes: number
  readonly text: () => string
}

/** One call: the shader, its arrays and numbers, and what is computed. */
export interface ShaderCall {
  /** the operation, for errors */
  readonly name: string
  readonly shader: Shader
  readonly inputs: readonly Strided[]
  readonly floats?: readonly number[]
  readonly integers?: readonly number[]
  /** elements of the result, at least one */
  readonly length: number
  /** number of workgroups along three axes */
  readonly groups: readonly [number, number, number]
  /** memory to write into; default: new memory */
  readonly into?: Handle
}

/** The maximum number of workgroups along an axis. */
const WIDEST = 65535

/** Any number of workgroups, in rows of the largest number; `group` in a shader numbers them. */
export const inRows = (n: number): [number, number, number] => [Math.min(n, WIDEST), Math.ceil(n / WIDEST), 1]

/**
 * A shader with the arrays a0, a1, … and `result`.
 * @param key of the shader; determines everything else
 * @param options.numbers members of the uniform `params`: floats, then integers; after an array only arrays
 * @param options.threads of a workgroup, along two axes
 * @param options.outside declarations of the module
 * @param body statements of a thread `local` of the workgroup `at`, which is also numbered by `group`, of threads numbered by `thread`
 */
export function shader(
  key: string,
  {
    arrays,
    numbers,
    threads = [256, 1],
    outside = '',
    writes = 0,
  }: {
    readonly arrays: number
    readonly numbers: string
    readonly threads?: readonly [number, number]
    readonly outside?: string
    readonly writes?: number
  },
  body: () => string,
): Shader {
  const text = () => `struct Params { counts : vec4<u32>, sizes : array<vec4<u32>, ${arrays}>, ${numbers} }
@group(0) @binding(0) var<uniform> params : Params;
${Array.from({ length: arrays }, (_, i) => `@group(0) @binding(${i + 1}) var<storage, ${i < writes ? 'read_write' : 'read'}> a${i} : array<f32>;`).join('\n')}
@group(0) @binding(${arrays + 1}) var<storage, read_write> result : array<f32>;
${outside}
@compute @workgroup_size(${threads[0]}, ${threads[1]}) fn main(@builtin(workgroup_id) at : vec3<u32>, @builtin(local_invocation_id) local : vec3<u32>) {
  let group = i32(at.x + at.y * ${WIDEST}u);
  let thread = i32(local.y * ${threads[0]}u + local.x);
${body()}
}`
  return { key, writes, text }
}
