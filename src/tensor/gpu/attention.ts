// Attention by shaders, without the weights in memory: a workgroup has a block of queries, and walks over the keys block by block
// (Dao et al. 2022). The gradient is two dispatches: blocks of queries over the keys, then blocks of keys over the queries.
// Results are stored as [batch, tokens, heads, width], as the next layer reads them.

import type { AttentionInput } from '../fused-kernels.ts'
import { broadcastShapes, broadcastStrides, type Shape, sizeOf } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import type { Handle, Runtime, Strided } from './runtime.ts'
import { type Shader, shader, WIDEST } from './shader.ts'

/** The sizes of one call. */
interface Layout {
  readonly stack: Shape
  readonly batch: number
  readonly heads: number
  readonly queries: number
  readonly keys: number
  /** of a query and a key */
  readonly width: number
  /** of a value */
  readonly size: number
}

function layoutOf({ q, k, v, mask }: AttentionInput): Layout | undefined {
  const [queries, width] = q.shape.slice(-2)
  const [keys, size] = v.shape.slice(-2)
  if ([q, k, v].some(x => x.dtype !== 'float32')) return undefined
  const stack = broadcastShapes(
    'attention',
    ...[q, k, v].map(x => x.shape.slice(0, -2)),
    mask?.shape.slice(0, -2) ?? [],
  )
  if (stack.length > 2 || sizeOf(stack) * width * size * queries * keys === 0) return undefined
  const [batch, heads] = [...new Array<number>(2 - stack.length).fill(1), ...stack]
  if (batch > WIDEST || heads > WIDEST) return undefined
  return { stack, batch, heads, queries, keys, width, size }
}

/** Vectors of four numbers for n of them. */
const fours = (n: number): number => Math.ceil(n / 4)

/** What the text depends on. */
interface Form {
  /** queries and keys of a block: a workgroup has a thread for each pair */
  readonly block: number
  /** fours of a query and of a value */
  readonly width: number
  readonly size: number
  readonly mask: boolean
}

/** The largest block whose parts fit into shared memory, if any does. */
function formOf(runtime: Runtime, { width, size }: Layout, mask: boolean, isGradient: boolean): Form | undefined {
  const [w, s] = [fours(width), fours(size)]
  const { maxShared } = runtime.engine.shaders!
  // queries, keys, values, gradients, and two numbers for each pair
  const bytes = (block: number) => 16 * block * (2 * w + (isGradient ? 2 : 1) * s) + 8 * block * block
  const block = [16, 8].find(b => bytes(b) <= maxShared)
  return block === undefined ? undefined : { block, width: w, size: s, mask }
}

const inputs = ['q', 'k', 'v'] as const
type Part = (typeof inputs)[number] | 'g'

/** A function that reads four elements of a token, zeros past the end, and a loop that brings a block into shared memory. */
const reader = (part: Part, array: number): string => {
  const columns = part === 'q' || part === 'k' ? 'width' : 'size'
  return `
fn four_${part}(at : vec3<u32>, token : i32, c : i32) -> vec4<f32> {
  let s = params.${part};
  let begin = params.offsets.${{ q: 'x', k: 'y', v: 'z', g: 'w' }[part]} + i32(at.z) * s.x + i32(at.y) * s.y + token * s.z;
  var y = vec4<f32>();
  for (var i = 0; i < min(4, params.${columns} - 4 * c); i++) { y[i] = a${array}[begin + (4 * c + i) * s.w]; }
  return y;
}`
}

const tokensOf = (part: Part): string => (part === 'q' || part === 'g' ? 'queries' : 'keys')

const bring = (part: Part, first: string, { block, width, size }: Form): string => {
  const row = part === 'q' || part === 'k' ? width : size
  return `for (var e = thread; e < ${block * row}; e += ${block * block}) {
      let token = ${first} + e / ${row};
      var y = vec4<f32>();
      if (token < params.${tokensOf(part)}) { y = four_${part}(at, token, e % ${row}); }
      ${part}s[e] = y;
    }`
}

const shared = (part: Part, { block, width, size }: Form): string =>
  `var<workgroup> ${part}s : array<vec4<f32>, ${block * (part === 'q' || part === 'k' ? width : size)}>;`

/** Whether a query attends to a key, and the product of two rows in shared memory. */
const outside = ({ mask, block }: Form, parts: readonly Part[], form: Form): string => `
${parts.map((part, i) => reader(part, i) + shared(part, form)).join('\n')}
var<workgroup> ps : array<f32, ${block * block}>;
fn sees(at : vec3<u32>, query : i32, key : i32) -> bool {
  if (query >= params.queries || key >= params.keys) { return false; }
  if (params.causal == 1 && key > query + params.keys - params.queries) { return false; }
  ${mask ? `let s = params.mask; if (a${parts.length}[params.maskOffset + i32(at.z) * s.x + i32(at.y) * s.y + query * s.z + key * s.w] == 0.0) { return false; }` : ''}
  return true;
}`

const numbers = `scale : f32, unused1 : f32, unused2 : f32, unused3 : f32,
  q : vec4<i32>, k : vec4<i32>, v : vec4<i32>, g : vec4<i32>, mask : vec4<i32>, offsets : vec4<i32>,
  maskOffset : i32, heads : i32, queries : i32, keys : i32, width : i32, size : i32, causal : i32, stats : i32, batchHeads : i32`

const sum = (n: number, term: (c: string) => string): string => `for (var c = 0; c < ${n}; c++) { ${term('c')} }`

/** Statements that write the fours of a row that a thread has, one for every `block` of them. */
const write = (name: string, fourCount: number, block: number, to: string, columns: string): string =>
  Array.from(
    { length: Math.ceil(fourCount / block) },
    (_, u) =>
      `for (var i = 0; i < min(4, params.${columns} - 4 * (lane + ${u * block})); i++) { result[${to} + 4 * (lane + ${u * block}) + i] = ${name}${u}[i]; }`,
  ).join('\n    ')

const each = (fourCount: number, block: number, statement: (u: number) => string): string =>
  Array.from({ length: Math.ceil(fourCount / block) }, (_, u) => statement(u)).join(' ')

/** A four past the end of a row is read from its end, and not written. */
const column = (u: number, fourCount: number, block: number): string =>
  fourCount % block === 0 ? `lane + ${u * block}` : `min(lane + ${u * block}, ${fourCount - 1})`

const start = (rows: string, block: number): string => `
  let row = thread / ${block}; let lane = thread % ${block};
  let own = i32(at.x) * ${block}; let ${rows} = own + row;`

/** m and l of the rows of a block: the largest score, and the sum of their exponentials less that. */
const forwardShader = (form: Form): Shader => {
  const { block, width, size, mask } = form
  return shader(
    `attention ${block} ${width} ${size} ${mask}`,
    {
      arrays: mask ? 4 : 3,
      numbers,
      threads: [block * block, 1],
      outside: outside(form, inputs, form),
    },
    () => `${start('query', block)}
  ${bring('q', 'own', form)}
  var m = -3.4e38; var l = 0.0;
  ${each(size, block, u => `var y${u} = vec4<f32>();`)}
  for (var first = 0; first < params.keys; first += ${block}) {
    ${bring('k', 'first', form)}
    ${bring('v', 'first', form)}
    workgroupBarrier();
    let seen = sees(at, query, first + lane);
    var s = 0.0;
    ${sum(width, c => `s += dot(qs[row * ${width} + ${c}], ks[lane * ${width} + ${c}]);`)}
    s = select(-3.4e38, s * params.scale, seen);
    ps[thread] = s;
    workgroupBarrier();
    var next = m;
    for (var j = 0; j < ${block}; j++) { next = max(next, ps[row * ${block} + j]); }
    workgroupBarrier();
    ps[thread] = select(0.0, exp(s - next), seen);
    workgroupBarrier();
    let shrunk = exp(m - next);
    m = next;
    l *= shrunk;
    ${each(size, block, u => `y${u} *= shrunk;`)}
    for (var j = 0; j < ${block}; j++) {
      let p = ps[row * ${block} + j];
      l += p;
      ${each(size, block, u => `y${u} += p * vs[j * ${size} + ${column(u, size, block)}];`)}
    }
    workgroupBarrier();
  }
  if (query < params.queries) {
    let r = select(0.0, 1.0 / l, l > 0.0);
    let to = ((i32(at.z) * params.queries + query) * params.heads + i32(at.y)) * params.size;
    ${each(size, block, u => `y${u} *= r;`)}
    ${write('y', size, block, 'to', 'size')}
  }`,
  )
}

/**
 * The gradient of the queries. The largest score m, log l, and d = Σ p (g · v) of every query are left at the end of the result, for
 * the other gradients: p = exp(s - m - log l), and the gradient of a score is p (g · v - d).
 */
const queryShader = (form: Form): Shader => {
  const { block, width, size, mask } = form
  const scores = `
    let seen = sees(at, query, first + lane);
    var s = 0.0; var slope = 0.0;
    ${sum(width, c => `s += dot(qs[row * ${width} + ${c}], ks[lane * ${width} + ${c}]);`)}
    ${sum(size, c => `slope += dot(gs[row * ${size} + ${c}], vs[lane * ${size} + ${c}]);`)}
    s = select(-3.4e38, s * params.scale, seen);`
  return shader(
    `attention queries ${block} ${width} ${size} ${mask}`,
    {
      arrays: mask ? 5 : 4,
      numbers,
      threads: [block * block, 1],
      outside: `${outside(form, [...inputs, 'g'], form)}
var<workgroup> slopes : array<f32, ${block * block}>;`,
    },
    () => `${start('query', block)}
  ${bring('q', 'own', form)}
  ${bring('g', 'own', form)}
  var m = -3.4e38; var l = 0.0; var d = 0.0;
  for (var first = 0; first < params.keys; first += ${block}) {
    ${bring('k', 'first', form)}
    ${bring('v', 'first', form)}
    workgroupBarrier();
    ${scores}
    ps[thread] = s;
    slopes[thread] = slope;
    workgroupBarrier();
    var next = m;
    for (var j = 0; j < ${block}; j++) { next = max(next, ps[row * ${block} + j]); }
    let shrunk = exp(m - next);
    m = next;
    l *= shrunk; d *= shrunk;
    for (var j = 0; j < ${block}; j++) {
      let score = ps[row * ${block} + j];
      let p = select(0.0, exp(score - m), score > -3.3e38);
      l += p; d += p * slopes[row * ${block} + j];
    }
    workgroupBarrier();
  }
  let r = select(0.0, 1.0 / l, l > 0.0);
  d *= r;
  ${each(width, block, u => `var y${u} = vec4<f32>();`)}
  for (var first = 0; first < params.keys; first += ${block}) {
    ${bring('k', 'first', form)}
    ${bring('v', 'first', form)}
    workgroupBarrier();
    ${scores}
    ps[thread] = select(0.0, exp(s - m) * r * (slope - d) * params.scale, seen);
    workgroupBarrier();
    for (var j = 0; j < ${block}; j++) {
      let p = ps[row * ${block} + j];
      ${each(width, block, u => `y${u} += p * ks[j * ${width} + ${column(u, width, block)}];`)}
    }
    workgroupBarrier();
  }
  if (query < params.queries) {
    let token = (i32(at.z) * params.queries + query) * params.heads + i32(at.y);
    let to = token * params.width;
    ${write('y', width, block, 'to', 'width')}
    if (lane == 0) {
      result[params.stats + 3 * token] = m;
      result[params.stats + 3 * token + 1] = r;
      result[params.stats + 3 * token + 2] = d;
    }
  }`,
  )
}

/** The gradients of keys and values, from the statistics of the queries. */
const keyShader = (form: Form): Shader => {
  const { block, width, size, mask } = form
  return shader(
    `attention keys ${block} ${width} ${size} ${mask}`,
    {
      arrays: mask ? 5 : 4,
      numbers,
      threads: [block * block, 1],
      outside: `${outside(form, [...inputs, 'g'], form)}
var<workgroup> slopes : array<f32, ${block * block}>;`,
    },
    () => `${start('key', block)}
  ${bring('k', 'own', form)}
  ${bring('v', 'own', form)}
  ${each(width, block, u => `var y${u} = vec4<f32>();`)}
  ${each(size, block, u => `var z${u} = vec4<f32>();`)}
  for (var first = 0; first < params.queries; first += ${block}) {
    ${bring('q', 'first', form)}
    ${bring('g', 'first', form)}
    workgroupBarrier();
    let query = min(first + lane, params.queries - 1);
    let seen = sees(at, first + lane, key);
    let stats = params.stats + 3 * ((i32(at.z) * params.queries + query) * params.heads + i32(at.y));
    var s = 0.0; var slope = 0.0;
    ${sum(width, c => `s += dot(ks[row * ${width} + ${c}], qs[lane * ${width} + ${c}]);`)}
    ${sum(size, c => `slope += dot(vs[row * ${size} + ${c}], gs[lane * ${size} + ${c}]);`)}
    let p = select(0.0, exp(s * params.scale - result[stats]) * result[stats + 1], seen);
    ps[thread] = p;
    slopes[thread] = select(0.0, p * (slope - result[stats + 2]) * params.scale, seen);
    workgroupBarrier();
    for (var j = 0; j < ${block}; j++) {
      let weight = ps[row * ${block} + j];
      let gradient = slopes[row * ${block} + j];
      ${each(width, block, u => `y${u} += gradient * qs[j * ${width} + ${column(u, width, block)}];`)}
      ${each(size, block, u => `z${u} += weight * gs[j * ${size} + ${column(u, size, block)}];`)}
    }
    workgroupBarrier();
  }
  if (key < params.keys) {
    let token = (i32(at.z) * params.keys + key) * params.heads + i32(at.y);
    let count = params.batchHeads;
    let to = count * params.queries * params.width + token * params.width;
    ${write('y', width, block, 'to', 'width')}
    let also = count * (params.queries + params.keys) * params.width + token * params.size;
    ${write('z', size, block, 'also', 'size')}
  }`,
  )
}

/** The numbers of a call. */
function integersOf(
  views: readonly Strided[],
  mask: Strided | undefined,
  input: AttentionInput,
  layout: Layout,
  stats: number,
) {
  const { batch, heads, queries, keys, width, size } = layout
  const full = (x: Strided) => broadcastStrides(x.shape, x.strides, [batch, heads, ...x.shape.slice(-2)])
  const parts = [...views, ...(views.length === 3 ? [views[0]] : [])]
  const seen = mask ? broadcastStrides(mask.shape, mask.strides, [batch, heads, queries, keys]) : [0, 0, 0, 0]
  return [
    ...parts.flatMap(full),
    ...seen,
    ...parts.map(({ offset }) => offset),
    ...[mask?.offset ?? 0, heads, queries, keys, width, size, input.causal ? 1 : 0, stats],
    batch * heads,
  ]
}

type Wrap = (handle: Handle, shape: Shape) => Tensor

/** softmax(q kᵀ scale) v over the keys that the mask allows. */
export function attention(
  runtime: Runtime,
  wrap: Wrap,
  own: (x: Tensor) => Strided,
  input: AttentionInput,
): Tensor | undefined {
  const layout = layoutOf(input)
  const form = layout && formOf(runtime, layout, input.mask !== undefined, false)
  if (!layout || !form) return undefined
  const { stack, batch, heads, queries, size } = layout
  const views = [input.q, input.k, input.v].map(own)
  const mask = input.mask && own(input.mask)
  const handle = runtime.shade({
    name: 'attention',
    shader: forwardShader(form),
    inputs: mask ? [...views, mask] : views,
    floats: [input.scale, 0, 0, 0],
    integers: integersOf(views, mask, input, layout, 0),
    groups: [Math.ceil(queries / form.block), heads, batch],
    length: batch * heads * queries * size,
  })
  const strides = [queries * heads * size, size].slice(2 - stack.length)
  return wrap(handle, [batch, queries, heads, size]).view([...stack, queries, size], [...strides, heads * size, 1])
}

/** Gradients of q, k and v for the whole stack, in one tensor. */
export function attentionGradient(
  runtime: Runtime,
  wrap: Wrap,
  own: (x: Tensor) => Strided,
  g: Tensor,
  input: AttentionInput,
): Tensor | undefined {
  const layout = layoutOf(input)
  const form = layout && formOf(runtime, layout, input.mask !== undefined, true)
  if (!layout || !form || g.dtype !== 'float32') return undefined
  const { batch, heads, queries, keys, width, size } = layout
  const views = [input.q, input.k, input.v, g].map(own)
  const mask = input.mask && own(input.mask)
  const count = batch * heads
  const total = count * (queries * width + keys * width + keys * size)
  const call = {
    name: 'attentionGradient',
    inputs: mask ? [...views, mask] : views,
    floats: [input.scale, 0, 0, 0],
    integers: integersOf(views, mask, input, layout, total),
    length: total + 3 * count * queries,
  }
  const blocks = (tokens: number) => [Math.ceil(tokens / form.block), heads, batch] as const
  const result = runtime.shade({ ...call, shader: queryShader(form), groups: blocks(queries) })
  runtime.shade({ ...call, shader: keyShader(form), groups: blocks(keys), into: result })
  return wrap(result, [call.length]).view([total], [1])
}
