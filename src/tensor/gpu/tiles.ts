// Matrix products by shaders: a workgroup computes a tile of the result from slabs of both operands, which its threads bring into
// shared memory together, and each thread keeps several results in registers. Operands are read where they lie: transposed,
// sliced, repeated.

import { broadcastStrides, type Shape, sizeOf } from '../shape.ts'
import { joinAxes } from './code.ts'
import { type Handle, type Runtime, type ShaderCall, type Strided, wholeOf } from './runtime.ts'
import { type Element, type Shader, shader } from './shader.ts'
import { fits, groupsOf, ruleFor, type Stack, type Tile, type TiledProduct } from './tile-choices.ts'

const THREADS = 256

/** Maximum length of a float32 sum: longer ones are added in parts, so that the error does not grow with the length. */
const DEEP = 512

/** Products of fewer multiplications, or of fewer rows or columns, are left to the generated kernel. */
const LEAST = 8192
const THIN = 8

/** Fewer workgroups with a longer inner axis than this leave a card idle: the generated kernel divides that axis. */
const IDLE = 8
const LONG = 4096

/** How an operand lies: its neighbours in memory are along the inner axis or along the other, and are read four at a time or not. */
interface Reading {
  readonly inner: boolean
  readonly four: boolean
}

/** A matrix of a stack: the strides of the two axes of the stack, of its rows or columns, and of the inner axis. */
interface Operand {
  readonly view: Strided
  readonly stack: readonly [number, number]
  readonly outer: number
  readonly inner: number
}

function readingOf({ view, stack, outer, inner }: Operand, size: number, k: number): Reading {
  const isInner = inner === 1 && outer !== 1
  const [unit, other, length] = isInner ? [inner, outer, k] : [outer, inner, size]
  const four = unit === 1 && [length, other, view.offset, ...stack].every(n => n % 4 === 0)
  return { inner: isInner, four }
}

/** Statements that bring a slab of an operand into shared memory, as [depth, size] in fours. */
function load(name: 'a' | 'b', array: string, size: number, { depth }: Tile, { inner, four }: Reading): string {
  const width = four ? 4 : 1
  const [across, along] = inner ? [depth, size] : [size, depth]
  const loads = (across * along) / width / THREADS
  const [t, o] = inner ? ['i', 'j'] : ['j', 'i']
  const limit = name === 'a' ? 'params.m' : 'params.n'
  const put = (value: string, n: number) => {
    const [row, column] = inner ? [`(${t} + ${n})`, o] : [t, `(${o} + ${n})`]
    return `${name}s[${row} * ${size / 4} + ${column} / 4][${column} % 4] = ${value};`
  }
  const at = `base_${name} + (first_${name} + ${o}) * params.outer_${name} + (slab + ${t}) * params.inner_${name}`
  const stored = !four
    ? put('x', 0)
    : inner
      ? [0, 1, 2, 3].map(n => put(`x[${n}]`, n)).join(' ')
      : `${name}s[${t} * ${size / 4} + ${o} / 4] = x;`
  return `for (var l = 0; l < ${Math.ceil(loads)}; l++) {
      let e = (l * ${THREADS} + thread) * ${width};
      let j = e / ${across}; let i = e % ${across};
      var x = ${four ? 'vec4<f32>()' : '0.0'};
      if (first_${name} + ${o} < ${limit} && slab + ${t} < params.k) { x = ${array}[${four ? `(${at}) / 4` : at}]; }
      ${stored}
    }`
}

const lies = ({ inner, four }: Reading) => `${inner ? 'inner' : 'outer'}${four ? 4 : 1}`

const products = new Map<string, Shader>()

/** What a product has beside its factors: a bias that is added, or the sums of the rows of the left factor, which are written. */
type Beside = 'bias' | 'sums' | undefined

/** The shader of a product, which is written once. */
function productShader(tile: Tile, a: Reading, b: Reading, four: boolean, beside: Beside): Shader {
  const key = `product ${tile.rows} ${lies(a)} ${lies(b)} ${four} ${beside ?? 'alone'}`
  const made = products.get(key) ?? makeProduct(key, tile, a, b, four, beside)
  products.set(key, made)
  return made
}

function makeProduct(key: string, tile: Tile, a: Reading, b: Reading, four: boolean, beside: Beside): Shader {
  const { rows, columns, each, depth, slices } = tile
  const across = columns / 4
  const down = rows / each
  const own = Array.from({ length: each }, (_, i) => i)
  const perOwn = (statement: (i: number) => string) => own.map(statement).join(' ')
  const element = (isFour: boolean): Element => (isFour ? 'vec4<f32>' : 'f32')
  const read =
    each === 1
      ? 'let p0 = as_[t * 4 + y / 4][y % 4];'
      : own
          .filter(i => i % 4 === 0)
          .map(i => `let q${i / 4} = as_[t * ${rows / 4} + y * ${each / 4} + ${i / 4}];`)
          .join(' ')
  const factor = (i: number) => (each === 1 ? 'p0' : `q${Math.floor(i / 4)}[${i % 4}]`)
  // the first workgroup of each row adds up the left factor, too
  const ofRows = (statement: (i: number) => string) => (beside === 'sums' ? perOwn(statement) : '')
  const [left, right] = beside === 'sums' ? ['a1', 'a2'] : ['a0', 'a1']
  const joined =
    slices === 1
      ? ''
      : `for (var s = 1; s < ${slices}; s++) {
    if (slice == s) { ${perOwn(i => `sums[(y * ${each} + ${i}) * ${across} + x] = r${i};`)} }
    workgroupBarrier();
    if (slice == 0) { ${perOwn(i => `r${i} += sums[(y * ${each} + ${i}) * ${across} + x];`)} }
    workgroupBarrier();
  }
  ${ofRows(i => `if (x == 0) { sums[slice * ${rows} + y * ${each} + ${i}].x = total${i}; }`)}
  workgroupBarrier();
  if (slice > 0) { return; }
  ${ofRows(i => `for (var s = 1; s < ${slices}; s++) { total${i} += sums[s * ${rows} + y * ${each} + ${i}].x; }`)}`
  const write = (i: number) => `{
    let row = first_a + y * ${each} + ${i};
    let column = first_b + x * 4;
    if (row < params.m && column < params.n) {
      ${beside === 'bias' ? `r${i} += vec4<f32>(${[0, 1, 2, 3].map(j => `a2[params.bias + min(column + ${j}, params.n - 1) * params.stride]`).join(', ')});` : ''}
      let to = base + row * params.n + column;
      ${ofRows(j => (j === i ? `if (column == 0) { a0[row] = total${i}; }` : ''))}
      ${four ? `result[to / 4] = r${i};` : `for (var j = 0; j < min(4, params.n - column); j++) { result[to + j] = r${i}[j]; }`}
    }
  }`
  return shader(
    key,
    {
      arrays: [
        ...(beside === 'sums' ? (['f32'] as const) : []),
        ...[element(a.four), element(b.four)],
        ...(beside === 'bias' ? (['f32'] as const) : []),
      ],
      writes: beside === 'sums' ? 1 : 0,
      result: element(four),
      threads: [across, down * slices],
      numbers: `m : i32, n : i32, k : i32, stack : i32, ${['a', 'b'].map(x => `offset_${x} : i32, far_${x} : i32, near_${x} : i32, outer_${x} : i32, inner_${x} : i32`).join(', ')}${beside === 'bias' ? ', bias : i32, stride : i32' : ''}`,
      outside: `var<workgroup> as_ : array<vec4<f32>, ${(rows * depth) / 4}>;
var<workgroup> bs : array<vec4<f32>, ${(columns * depth) / 4}>;
${slices === 1 ? '' : `var<workgroup> sums : array<vec4<f32>, ${rows * across}>;`}`,
    },
    () => `
  let x = i32(local.x);
  let y = i32(local.y) % ${down};
  let slice = i32(local.y) / ${down};
  let far = i32(at.z) / params.stack; let near = i32(at.z) % params.stack;
  let base_a = params.offset_a + far * params.far_a + near * params.near_a;
  let base_b = params.offset_b + far * params.far_b + near * params.near_b;
  let base = i32(at.z) * params.m * params.n;
  let first_a = i32(at.y) * ${rows}; let first_b = i32(at.x) * ${columns};
  ${perOwn(i => `var c${i} = vec4<f32>(); var r${i} = vec4<f32>();`)}
  ${ofRows(i => `var part${i} = 0.0; var total${i} = 0.0;`)}
  for (var slab = 0; slab < params.k; slab += ${depth}) {
    if (slab % ${DEEP} == 0) { ${perOwn(i => `r${i} += c${i}; c${i} = vec4<f32>();`)} ${ofRows(i => `total${i} += part${i}; part${i} = 0.0;`)} }
    ${load('a', left, rows, tile, a).replaceAll('as[', 'as_[')}
    ${load('b', right, columns, tile, b)}
    workgroupBarrier();
    for (var u = 0; u < ${depth / slices}; u++) {
      let t = u * ${slices} + slice;
      let right = bs[t * ${across} + x];
      ${read}
      ${perOwn(i => `c${i} = fma(vec4<f32>(${factor(i)}), right, c${i});`)}
      ${beside === 'sums' ? `if (at.x == 0u) { ${perOwn(i => `part${i} += ${factor(i)};`)} }` : ''}
    }
    workgroupBarrier();
  }
  ${perOwn(i => `r${i} += c${i};`)} ${ofRows(i => `total${i} += part${i};`)}
  ${joined}
  ${own.map(write).join('\n  ')}`,
  )
}

/** The axes of a stack of products joined to two, if they can be. */
function stackOf(shape: Shape, a: readonly number[], b: readonly number[]): Stack | undefined {
  const joined = joinAxes(shape, [a, b])
  const missing = 2 - joined.shape.length
  if (missing < 0) return undefined
  const strides = joined.strides.map(view => [...new Array(missing).fill(0), ...view] as unknown as [number, number])
  const inner = joined.shape.length === 0 ? 1 : joined.shape[joined.shape.length - 1]
  return { a: strides[0], b: strides[1], inner, count: sizeOf(shape) }
}

const operandOf = (view: Strided, stack: readonly [number, number]): Operand => {
  const [outer, inner] = view.strides.slice(-2)
  return { view, stack, outer, inner }
}

const shaderOf = ({ a, b, bias, m, n, k, stack }: TiledProduct, tile: Tile, sums: boolean): Shader =>
  productShader(
    tile,
    readingOf(operandOf(a, stack.a), m, k),
    readingOf(operandOf(b, stack.b), n, k),
    n % 4 === 0,
    sums ? 'sums' : bias && 'bias',
  )

/**
 * The call that computes a product by a tile.
 * @param sums memory [m] for the sums of the rows of a single left factor, instead of a bias
 */
export function productCall(product: TiledProduct, tile: Tile, sums?: Handle): ShaderCall {
  const { name, a, b, bias, m, n, k, stack } = product
  const numbers = ({ view, stack: [far, near], outer, inner }: Operand) => [view.offset, far, near, outer, inner]
  return {
    name,
    shader: shaderOf(product, tile, sums !== undefined),
    inputs: [...(sums ? [wholeOf(sums)] : []), a, b, ...(bias ? [bias] : [])],
    integers: [
      ...[m, n, k, stack.inner],
      ...[...numbers(operandOf(a, stack.a)), ...numbers(operandOf(b, stack.b))],
      ...(bias ? [bias.offset, bias.strides[0]] : []),
    ],
    groups: groupsOf(product, tile),
    length: stack.count * m * n,
  }
}

/**
 * [..., m, k] times the transpose of [..., n, k]; undefined if the stack has too many axes.
 * @param options.bias [n] of any stride, which is added
 * @param options.sums whether the sums of the rows of a single left factor are a second result, [m]
 */
function product(
  runtime: Runtime,
  name: string,
  a: Strided,
  b: Strided,
  [m, n, k]: readonly [number, number, number],
  shape: Shape,
  { bias, sums = false }: { readonly bias?: Strided; readonly sums?: boolean } = {},
): Handle[] | undefined {
  const leading = (x: Strided) => broadcastStrides(x.shape.slice(0, -2), x.strides.slice(0, -2), shape)
  const stack = stackOf(shape, leading(a), leading(b))
  if (!stack) return undefined
  const asked: TiledProduct = { name, a, b, bias, m, n, k, stack }
  const rule = ruleFor(asked)
  const isThin = sizeOf(groupsOf(asked, rule)) < IDLE && k > LONG
  if (isThin || !fits(asked, rule)) return undefined
  const tile = runtime.tiles.choose(asked, rule)
  if (!sums) return [runtime.shade(productCall(asked, tile))]
  const written = runtime.blank(m, shaderOf(asked, tile, true))
  return [runtime.shade(productCall(asked, tile, written)), written]
}

const exchanged = <T>(xs: readonly T[]): T[] => [...xs.slice(0, -2), xs[xs.length - 1], xs[xs.length - 2]]

const transposed = (x: Strided): Strided => ({ ...x, shape: exchanged(x.shape), strides: exchanged(x.strides) })

/** Whether tiles are worth their while. */
const isLarge = (m: number, n: number, k: number): boolean => m >= THIN && n >= THIN && m * n * k >= LEAST

/** [..., m, k] times [..., k, n], k > 0, whose leading axes broadcast; undefined where a generated kernel does as well. */
export function tiledMatmul(runtime: Runtime, a: Strided, b: Strided): Handle | undefined {
  const [m, k] = a.shape.slice(-2)
  const n = b.shape[b.shape.length - 1]
  if (!runtime.engine.shaders || !isLarge(m, n, k)) return undefined
  const stack = a.shape.slice(0, -2).map((size, i) => (size === 1 ? b.shape[i] : size))
  if (sizeOf(stack) === 0) return undefined
  return product(runtime, 'matmul', a, transposed(b), [m, n, k], stack)?.[0]
}

/** gᵀ x and the sums of the columns of g: [rows, m], [rows, n] → [m, n], [m]; undefined where other kernels do as well. */
export function linearGradient(runtime: Runtime, g: Strided, x: Strided): Handle[] | undefined {
  const [[k, m], [, n]] = [g.shape, x.shape]
  if (!isLarge(m, n, k)) return undefined
  return product(runtime, 'linearGradient', transposed(g), transposed(x), [m, n, k], [], { sums: true })
}

/** x weightᵀ + bias: [..., in], [out, in], [out] → [..., out]; undefined if there is nothing to add up. */
export function linear(runtime: Runtime, x: Strided, weight: Strided, bias?: Strided): Handle | undefined {
  const [n, k] = weight.shape
  const rows = x.shape.slice(0, -1)
  if (n * k * sizeOf(rows) === 0) return undefined
  // axes of rows that are not one after the other are a stack of products
  const joined = joinAxes(rows, [x.strides.slice(0, -1)])
  const [shape, strides] = joined.shape.length === 0 ? [[1], [0]] : [joined.shape, joined.strides[0]]
  const a = { ...x, shape: [...shape, k], strides: [...strides, x.strides[x.strides.length - 1]] }
  return product(runtime, 'linear', a, weight, [shape[shape.length - 1], n, k], shape.slice(0, -1), { bias })?.[0]
}
