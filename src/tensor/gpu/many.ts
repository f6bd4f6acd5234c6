// Kernels over all parameters of a model, or all their gradients: a dispatch takes as many tensors as a kernel may read, so that
// a step of an optimizer is a few dispatches instead of three for each parameter.
//
// AdamW changes three tensors for each gradient. So that they do not count, the value and the moments of as many parameters as
// there are gradients in a dispatch are moved into one memory, at the first step; a later step finds them there.

import type { AdamWUpdate } from '../fused-kernels.ts'
import { isContiguous } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import { joinAxes } from './code.ts'
import { map } from './map.ts'
import type { Handle, Runtime, Strided } from './runtime.ts'
import { inRows, type Shader, shader } from './shader.ts'

/** Elements that one workgroup changes, and that it adds. */
const CHANGED = 1024
const ADDED = 16384
/** The number of tensors of one dispatch, if a kernel may read so many: more would make the numbers many. */
const MOST = 16

/** A tensor of one dispatch, read as a matrix, and where its elements start in the memory that is written. */
interface Member extends Matrix {
  readonly to?: number
}

interface Matrix {
  readonly view: Strided
  readonly size: number
  readonly columns: number
  readonly strides: readonly [row: number, column: number]
}

/** The view with its axes joined to two, if they can be. */
function matrixOf(view: Strided): Matrix | undefined {
  const { shape, strides } = joinAxes(view.shape, [view.strides])
  if (shape.length > 2) return undefined
  const [rows, columns] = [...new Array(2 - shape.length).fill(1), ...shape]
  const [row, column] = [...new Array(2 - shape.length).fill(0), ...strides[0]]
  return { view, size: rows * columns, columns, strides: [row, column] }
}

/** The matrices of views for the duration of a call: copies if they have more axes, or lie in memory that others share. */
function withMatrices<T>(runtime: Runtime, views: readonly Strided[], f: (xs: Matrix[]) => T): T {
  const copies: Handle[] = []
  try {
    const xs = views.map(view => {
      const matrix = view.handle.home ? undefined : matrixOf(view)
      if (matrix) return matrix
      const handle = map(runtime, 'copy', view.shape, [view], 'x0')
      copies.push(handle)
      return matrixOf({ handle, shape: [handle.length], strides: [1], offset: 0 })!
    })
    return f(xs)
  } finally {
    for (const handle of copies) runtime.free(handle)
  }
}

/** Lists of at most `most` of them whose sizes add up to at most `total`. */
function chunks<T>(xs: readonly T[], most: number, total: number, size: (x: T) => number): T[][] {
  const lists: T[][] = []
  let left = 0
  for (const x of xs) {
    if (lists.length === 0 || lists[lists.length - 1].length === most || size(x) > left) {
      lists.push([])
      left = total
    }
    lists[lists.length - 1].push(x)
    left -= size(x)
  }
  return lists
}

/** The number of workgroups of members, each of which has its own. */
const groupsOf = (members: readonly { size: number }[], each: number): number =>
  members.reduce((total, { size }) => total + Math.ceil(size / each), 0)

/** Numbers of every member: its first workgroup, where it is written, its size, its offset, its columns and their strides. */
function table(members: readonly Member[], each: number): number[] {
  let first = 0
  return members.flatMap(({ view, size, columns, strides, to = 0 }) => {
    const row = [first, to, size, view.offset, columns, ...strides, 0]
    first += Math.ceil(size / each)
    return row
  })
}

/** Statements that find the member of a workgroup: its number, its elements from `first` to `last`. */
const findMember = (count: number, each: number) => `
  var member = 0;
  for (var i = 1; i < ${count}; i++) { if (group >= params.table[2 * i].x) { member = i; } }
  let own = params.table[2 * member];
  let rows = params.table[2 * member + 1];
  let first = (group - own.x) * ${each};
  let last = min(first + ${each}, own.z);`

/** A function that reads element i of a member. */
const readMember = (count: number) => `
fn element(member : i32, own : vec4<i32>, rows : vec4<i32>, i : i32) -> f32 {
  let row = i / rows.x;
  let e = own.w + row * rows.y + (i - row * rows.x) * rows.z;
  switch (member) {
    ${Array.from({ length: count }, (_, i) => `${i === count - 1 ? 'default' : `case ${i}`}: { return a${i}[e]; }`).join('\n    ')}
  }
}`

const tableOf = (count: number) => `table : array<vec4<i32>, ${2 * count}>`
const overElements = (step: string) => `for (var i = first + thread; i < last; i += 256) { ${step} }`

const copyShader = (count: number): Shader =>
  shader(
    `copy ${count}`,
    { arrays: count, numbers: tableOf(count), outside: readMember(count) },
    () => `${findMember(count, CHANGED)}
  ${overElements('result[own.y + i] = element(member, own, rows, i);')}`,
  )

const adamwShader = (count: number): Shader =>
  shader(
    `adamw ${count}`,
    {
      arrays: count,
      numbers: `settings : array<vec4<f32>, ${2 * count}>, ${tableOf(count)}`,
      outside: readMember(count),
    },
    () => `${findMember(count, CHANGED)}
  let betas = params.settings[2 * member];
  let rates = params.settings[2 * member + 1];
  ${overElements(`
    let g = element(member, own, rows, i);
    let at = own.y + i;
    let m = result[at + own.z] * betas.x + g * betas.y;
    let v = result[at + 2 * own.z] * betas.z + g * g * betas.w;
    result[at + own.z] = m;
    result[at + 2 * own.z] = v;
    result[at] = result[at] * rates.y - rates.z * m / (sqrt(v) / rates.w + rates.x);`)}`,
  )

/** The sum of what the threads of a workgroup have, in all of them. */
const workgroupSum = `
var<workgroup> parts : array<f32, 256>;
fn total(thread : i32, x : f32) -> f32 {
  parts[thread] = x;
  workgroupBarrier();
  for (var n = 128; n > 0; n /= 2) {
    if (thread < n) { parts[thread] += parts[thread + n]; }
    workgroupBarrier();
  }
  return parts[0];
}`

const squaresShader = (count: number): Shader =>
  shader(
    `sumOfSquares ${count}`,
    { arrays: count, numbers: tableOf(count), outside: readMember(count) + workgroupSum },
    () => `${findMember(count, ADDED)}
  var s = 0.0;
  ${overElements('let x = element(member, own, rows, i); s += x * x;')}
  let sum = total(thread, s);
  if (thread == 0) { result[own.y + group - own.x] = sum; }`,
  )

const sumShader = shader(
  'sumOfParts',
  { arrays: 1, numbers: 'size : i32', outside: workgroupSum },
  () => `
  var s = 0.0;
  for (var i = thread; i < params.size; i += 256) { s += a0[i]; }
  let sum = total(thread, s);
  if (thread == 0) { result[0] = sum; }`,
)

/** The last array is the factor; the first ones, and the result, are the tensors, which fill their memory. */
const scaleShader = (count: number): Shader =>
  shader(
    `scaleInPlace ${count}`,
    { arrays: count, writes: count - 1, numbers: `factorAt : vec4<i32>, ${tableOf(count)}` },
    () => `${findMember(count, CHANGED)}
  let factor = a${count - 1}[params.factorAt.x];
  switch (member) {
    ${Array.from({ length: count }, (_, i) => {
      const x = i === count - 1 ? 'result' : `a${i}`
      return `${i === count - 1 ? 'default' : `case ${i}`}: { ${overElements(`${x}[i] = select(${x}[i] * factor, 0.0, factor == 0.0);`)} }`
    }).join('\n    ')}
  }`,
  )

/** How many tensors a dispatch may have. */
const most = (runtime: Runtime): number => Math.min(MOST, runtime.engine.maxArrays)

const isFilled = ({ shape }: Strided): boolean => !shape.includes(0)

/** Σ x² over all elements of all views, a scalar. */
export function sumOfSquares(runtime: Runtime, views: readonly Strided[]): Handle {
  return withMatrices(runtime, views.filter(isFilled), xs => {
    const length = groupsOf(xs, ADDED)
    if (length === 0) return runtime.upload(new Float32Array(1))
    let parts: Handle | undefined
    let to = 0
    for (const chunk of chunks(xs, most(runtime), Infinity, () => 0)) {
      const members = chunk.map(x => {
        const member = { ...x, to }
        to += Math.ceil(x.size / ADDED)
        return member
      })
      parts = runtime.shade({
        name: 'sumOfSquares',
        shader: squaresShader(chunk.length),
        inputs: chunk.map(({ view }) => view),
        integers: table(members, ADDED),
        groups: inRows(groupsOf(chunk, ADDED)),
        length,
        into: parts,
      })
    }
    const view = { handle: parts!, shape: [length], strides: [1], offset: 0 }
    const sum = { shader: sumShader, integers: [length], groups: [1, 1, 1], length: 1 } as const
    const result = runtime.shade({ name: 'sum', inputs: [view], ...sum })
    runtime.free(parts!)
    return result
  })
}

/** x ← factor x, 0 for a factor of 0, for views that fill their memory, each its own. */
export function scaleInPlace(runtime: Runtime, views: readonly Strided[], factor: Strided): true | undefined {
  // memory that is shared cannot be written twice in one dispatch
  if (views.some(({ handle }) => handle.home)) return undefined
  const xs = views.filter(isFilled).map(view => matrixOf({ ...view, shape: [view.handle.length], strides: [1] })!)
  for (const chunk of chunks(xs, most(runtime), Infinity, () => 0))
    runtime.shade({
      name: 'scaleInPlace',
      shader: scaleShader(chunk.length),
      inputs: [...chunk.slice(0, -1).map(({ view }) => view), factor],
      integers: [factor.offset, 0, 0, 0, ...table(chunk, CHANGED)],
      groups: inRows(groupsOf(chunk, CHANGED)),
      length: 1,
      into: chunk[chunk.length - 1].view.handle,
    })
  return true
}

/** The value and the moments of a parameter, one after the other in a memory. */
const state = ({ value, firstMoment, secondMoment }: AdamWUpdate): Handle[] =>
  [value, firstMoment, secondMoment].map(x => x.storage.handle as Handle)

function isHome([x, m, v]: readonly Handle[]): boolean {
  const [start, n] = [x.start ?? 0, x.length]
  const isShared = x.home !== undefined && m.home === x.home && v.home === x.home
  return isShared && m.start === start + n && v.start === start + 2 * n
}

/** Moves the values and the moments of parameters into one memory. */
function moveHome(runtime: Runtime, parameters: readonly (readonly Handle[])[]): void {
  const handles = parameters.flat()
  const length = handles.reduce((total, handle) => total + handle.length, 0)
  let start = 0
  const members = handles.map(handle => {
    const view = { handle, shape: [handle.length], strides: [1], offset: handle.start ?? 0 }
    const member = { ...matrixOf(view)!, to: start }
    start += handle.length
    return member
  })
  let memory: Handle | undefined
  for (const chunk of chunks(members, most(runtime), Infinity, () => 0))
    memory = runtime.shade({
      name: 'copy',
      shader: copyShader(chunk.length),
      inputs: chunk.map(({ view }) => view),
      integers: table(chunk, CHANGED),
      groups: inRows(groupsOf(chunk, CHANGED)),
      length,
      into: memory,
    })
  runtime.moveInto(
    memory!,
    members.map(({ view, to }) => [view.handle, to]),
  )
}

/** One step of AdamW for many parameters, in place. */
export function adamwInPlace(
  runtime: Runtime,
  own: (x: Tensor) => Strided,
  given: readonly AdamWUpdate[],
): true | undefined {
  const bytes = ({ value }: AdamWUpdate) => 12 * value.size
  const maxBytes = runtime.engine.shaders!.maxBytes
  for (const update of given) {
    const { value, gradient, firstMoment, secondMoment } = update
    const isWhole = (x: Tensor) => x.size === x.storage.length && isContiguous(x.shape, x.strides)
    for (const x of [value, firstMoment, secondMoment, gradient]) if (x.dtype !== 'float32' || !own(x)) return undefined
    if (![value, firstMoment, secondMoment].every(isWhole) || bytes(update) > maxBytes) return undefined
  }
  const updates = given.filter(({ value }) => value.size > 0)
  const strangers = updates.filter(update => !isHome(state(update)))
  for (const chunk of chunks(strangers, most(runtime), maxBytes, bytes)) moveHome(runtime, chunk.map(state))
  const homes = new Map<object, AdamWUpdate[]>()
  for (const update of updates) {
    const home = state(update)[0].home!
    homes.set(home, [...(homes.get(home) ?? []), update])
  }
  for (const members of homes.values()) update(runtime, own, members)
  return true
}

/** The step for parameters in one memory. */
function update(runtime: Runtime, own: (x: Tensor) => Strided, updates: readonly AdamWUpdate[]): void {
  // a gradient may be a parameter, and then lie in the memory that is written
  withMatrices(
    runtime,
    updates.map(({ gradient }) => own(gradient)),
    gradients => {
      const handles = updates.map(each => state(each)[0])
      const members = gradients.map((gradient, i) => ({ ...gradient, to: handles[i].start }))
      const floats = updates.flatMap(({ numbers: { beta1, beta2, epsilon, kept, rate, deviation } }) => [
        ...[beta1, 1 - beta1, beta2, 1 - beta2],
        ...[epsilon, kept, rate, deviation],
      ])
      runtime.shade({
        name: 'adamw',
        shader: adamwShader(members.length),
        inputs: members.map(({ view }) => view),
        floats,
        integers: table(members, CHANGED),
        groups: inRows(groupsOf(members, CHANGED)),
        length: 1,
        into: handles[0],
      })
    },
  )
}
