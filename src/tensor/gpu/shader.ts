// Kernels written in WGSL, for operations that need what generated kernels lack: memory that threads share, several results a
// thread, writing in place. GPU.js runs them as it runs its own. Only webgpu has them; elsewhere kernels are generated.

export interface Shader {
  /** determines the text and the numbers that it takes */
  readonly key: string
  /** the first arrays that it writes too */
  readonly writes: number
  readonly text: () => string
}

/** What an array has: numbers, four of them at once, or their bits. */
export type Element = 'f32' | 'vec4<f32>' | 'u32'

/** The maximum number of workgroups along an axis. */
export const WIDEST = 65535

/** Any number of workgroups, in rows of the largest number; `group` in a shader numbers them. */
export const inRows = (n: number): [number, number, number] => [Math.min(n, WIDEST), Math.ceil(n / WIDEST), 1]

/**
 * A shader with the arrays a0, a1, … and `result`.
 * @param key of the shader; determines everything else
 * @param options.arrays number of arrays, or the type of the elements of each; default f32
 * @param options.numbers members of the uniform `params`: floats, then integers; after an array only arrays
 * @param options.threads of a workgroup, along two axes
 * @param options.outside declarations of the module
 * @param body statements of a thread `local` of the workgroup `at`, which is also numbered by `group`, of threads numbered by `thread`
 */
export function shader(
  key: string,
  {
    arrays,
    result = 'f32',
    numbers,
    threads = [256, 1],
    outside = '',
    writes = 0,
  }: {
    readonly arrays: number | readonly Element[]
    readonly result?: Element
    readonly numbers: string
    readonly threads?: readonly [number, number]
    readonly outside?: string
    readonly writes?: number
  },
  body: () => string,
): Shader {
  const elements = typeof arrays === 'number' ? new Array<Element>(arrays).fill('f32') : arrays
  const array = (i: number, access: string, name: string, element: Element) =>
    `@group(0) @binding(${i}) var<storage, ${access}> ${name} : array<${element}>;`
  const text = () => `struct Params { counts : vec4<u32>, sizes : array<vec4<u32>, ${elements.length}>, ${numbers} }
@group(0) @binding(0) var<uniform> params : Params;
${elements.map((element, i) => array(i + 1, i < writes ? 'read_write' : 'read', `a${i}`, element)).join('\n')}
${array(elements.length + 1, 'read_write', 'result', result)}
${outside}
@compute @workgroup_size(${threads[0]}, ${threads[1]}) fn main(@builtin(workgroup_id) at : vec3<u32>, @builtin(local_invocation_id) local : vec3<u32>) {
  let group = i32(at.x + at.y * ${WIDEST}u);
  let thread = i32(local.y * ${threads[0]}u + local.x);
${body()}
}`
  return { key, writes, text }
}
