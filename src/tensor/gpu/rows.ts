// Operations over the last axis, and reductions of one axis, by shaders: threads share a row, so that an operation that needs a
// maximum or a sum of its row, and then every element again, is one dispatch.

import type { FusedKernels } from '../fused-kernels.ts'
import type { ReductionName } from '../primitives.ts'
import { contiguousStrides, type Shape, sameShape, sizeOf } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import { joinAxes } from './code.ts'
import { checkIndices } from './indices.ts'
import { type Handle, type Runtime, type Strided, wholeOf } from './runtime.ts'
import { inRows, type Shader, shader } from './shader.ts'

/** Threads of a workgroup, which share one row or several. */
const THREADS = 256

/** The number of threads of a row of n elements. */
const teamOf = (n: number): number => (n <= 64 ? 16 : n <= 256 ? 32 : n <= 1024 ? 64 : THREADS)

/** All leading axes joined to two, if they can be: their number of rows, of which `near` follow each other, and where views have them. */
interface Rows {
  readonly count: number
  readonly near: number
  /** of every view its offset, the strides of both axes, and that of the last axis */
  readonly table: readonly number[]
}

function rowsOf(views: readonly Strided[], shape: Shape): Rows | undefined {
  const joined = joinAxes(
    shape,
    views.map(({ strides }) => strides.slice(0, -1)),
  )
  const missing = 2 - joined.shape.length
  if (missing < 0) return undefined
  const table = views.flatMap(({ offset, strides }, i) => [
    offset,
    ...new Array<number>(missing).fill(0),
    ...joined.strides[i],
    strides[strides.length - 1],
  ])
  return { count: sizeOf(shape), near: joined.shape[joined.shape.length - 1] ?? 1, table }
}

/** A function of what the threads of a team have, which all of them get. */
const together = (name: string, team: number, join: (a: string, b: string) => string): string => `
fn ${name}(thread : i32, x : f32) -> f32 {
  let lane = thread % ${team};
  workgroupBarrier();
  parts[thread] = x;
  workgroupBarrier();
  for (var n = ${team / 2}; n > 0; n /= 2) {
    if (lane < n) { parts[thread] = ${join('parts[thread]', 'parts[thread + n]')}; }
    workgroupBarrier();
  }
  return parts[thread - lane];
}`

const joins: Record<ReductionName, (a: string, b: string) => string> = {
  sum: (a, b) => `${a} + ${b}`,
  max: (a, b) => `max(${a}, ${b})`,
  min: (a, b) => `min(${a}, ${b})`,
}

const partsOf = `var<workgroup> parts : array<f32, ${THREADS}>;`
const numbers = (arrays: number) => `settings : vec4<f32>, rows : vec4<i32>, views : array<vec4<i32>, ${arrays}>`

/** Where the row `own` of every array begins, and its step. */
const begins = (arrays: number): string =>
  Array.from(
    { length: arrays },
    (_, i) => `let from${i} = params.views[${i}].x + far * params.views[${i}].y + near * params.views[${i}].z;
  let step${i} = params.views[${i}].w;`,
  ).join('\n  ')

/** The elements j of those arrays that a statement uses, as x0, x1, … */
const loads = (arrays: number, statement: string): string =>
  Array.from({ length: arrays }, (_, i) => `let x${i} = a${i}[from${i} + j * step${i}];`)
    .filter((_, i) => new RegExp(`\\bx${i}\\b`).test(statement))
    .join(' ')

interface RowBody {
  /** A loop over the elements of a thread, x0, x1, … at j. */
  readonly over: (statement: string) => string
  /** A loop that writes a value for each. */
  readonly put: (value: string) => string
}

/** A kernel of the rows of some arrays; `n` is their length. */
function rowShader(name: string, team: number, arrays: number, body: (write: RowBody) => string): Shader {
  const over = (statement: string) =>
    `for (var j = lane; j < n; j += ${team}) { ${loads(arrays, statement)} ${statement} }`
  return shader(
    `rows ${name} ${team}`,
    {
      arrays,
      numbers: numbers(arrays),
      outside: partsOf + together('sum', team, joins.sum) + together('largest', team, joins.max),
    },
    () => `
  let lane = thread % ${team};
  let row = group * ${THREADS / team} + thread / ${team};
  let isRow = row < params.rows.x;
  // threads without a row read the last one, because all must come to every barrier
  let own = min(row, params.rows.x - 1);
  let far = own / params.rows.y; let near = own % params.rows.y;
  let n = params.rows.z;
  let epsilon = params.settings.x;
  ${begins(arrays)}
  ${body({ over, put: value => over(`let y = ${value}; if (isRow) { result[row * n + j] = y; }`) })}`,
  )
}

const softmaxOf = ({ over }: RowBody): string => `
  var m = -3.4e38; ${over('m = max(m, x0);')}
  m = largest(thread, m);
  var s = 0.0; ${over('s += exp(x0 - m);')}
  s = sum(thread, s);`

const momentsOf = ({ over }: RowBody, x: string): string => `
  var mean = 0.0; ${over(`mean += ${x};`)}
  mean = sum(thread, mean) / f32(n);
  var variance = 0.0; ${over(`let d = ${x} - mean; variance += d * d;`)}
  variance = sum(thread, variance) / f32(n);
  let r = 1.0 / sqrt(variance + epsilon);`

/** r (h - mean(h) - y mean(h y)) for y = (x1 - mean) r and an expression h */
const standardizeGradientOf = (write: RowBody, h: string): string => `${momentsOf(write, 'x1')}
  var total = 0.0; var projected = 0.0;
  ${write.over(`let h = ${h}; total += h; projected += h * (x1 - mean);`)}
  total = sum(thread, total) / f32(n);
  projected = sum(thread, projected) / f32(n);
  ${write.put(`r * (${h} - total - (x1 - mean) * projected / (variance + epsilon))`)}`

const lengthOf = ({ over }: RowBody, x: string): string => `
  var squares = 0.0; ${over(`squares += ${x} * ${x};`)}
  let length = sqrt(sum(thread, squares));
  let divisor = max(length, epsilon);`

const bodies = {
  softmax: { arrays: 1, body: write => `${softmaxOf(write)} ${write.put('exp(x0 - m) / s')}` },
  logSoftmax: { arrays: 1, body: write => `${softmaxOf(write)} let l = log(s); ${write.put('x0 - m - l')}` },
  softmaxGradient: {
    arrays: 2,
    body: ({ over, put }) => `var s = 0.0; ${over('s += x0 * x1;')} s = sum(thread, s); ${put('x1 * (x0 - s)')}`,
  },
  logSoftmaxGradient: {
    arrays: 2,
    body: ({ over, put }) => `var s = 0.0; ${over('s += x0;')} s = sum(thread, s); ${put('x0 - exp(x1) * s')}`,
  },
  standardize: { arrays: 1, body: write => `${momentsOf(write, 'x0')} ${write.put('(x0 - mean) * r')}` },
  standardizeGradient: { arrays: 2, body: write => standardizeGradientOf(write, 'x0') },
  normalize: { arrays: 1, body: write => `${lengthOf(write, 'x0')} ${write.put('x0 / divisor')}` },
  normalizeGradient: {
    arrays: 2,
    body: write => `${lengthOf(write, 'x1')}
  var radial = 0.0; ${write.over('radial += x0 * x1 / divisor;')}
  radial = select(0.0, sum(thread, radial), length >= epsilon);
  ${write.put('(x0 - x1 / divisor * radial) / divisor')}`,
  },
  layerNorm: { arrays: 3, body: write => `${momentsOf(write, 'x0')} ${write.put('(x0 - mean) * r * x1 + x2')}` },
  // the statistics of all rows are left after it, for the gradients of weight and bias
  layerNormGradient: {
    arrays: 3,
    body: write => `${standardizeGradientOf(write, 'x0 * x2')}
  if (isRow && lane == 0) {
    let at = params.rows.x * n + row;
    result[at] = mean;
    result[at + params.rows.x] = r;
  }`,
  },
  negativeLogLikelihood: {
    arrays: 2,
    body: write => `${softmaxOf(write)}
  if (isRow && lane == 0) { result[row] = log(s) + m - a0[from0 + i32(a1[from1]) * step0]; }`,
  },
  negativeLogLikelihoodGradient: {
    arrays: 3,
    body: write => `${softmaxOf(write)}
  let id = i32(a1[from1]); let g = a2[from2];
  ${write.put('g * (exp(x0 - m) / s - select(0.0, 1.0, j == id))')}`,
  },
} satisfies Record<string, { arrays: number; body: (write: RowBody) => string }>

/** Results for every row of views [..., n]; undefined if the views have too many axes. */
function run(
  runtime: Runtime,
  name: keyof typeof bodies,
  views: readonly Strided[],
  { epsilon = 0, length }: { epsilon?: number; length?: number } = {},
): Handle | undefined {
  const { shape } = views[0]
  const n = shape[shape.length - 1]
  const rows = rowsOf(views, shape.slice(0, -1))
  if (!rows) return undefined
  const team = teamOf(n)
  const { arrays, body } = bodies[name]
  return runtime.shade({
    name,
    shader: rowShader(name, team, arrays, body),
    inputs: views,
    floats: [epsilon, 0, 0, 0],
    integers: [rows.count, rows.near, n, 0, ...rows.table],
    groups: inRows(Math.ceil((rows.count * team) / THREADS)),
    length: length ?? sizeOf(shape),
  })
}

/** Columns of a workgroup, with as many threads for the rows of each. */
const COLUMNS = 16

/** Σ g y, written into the first array, and Σ g over all rows of g and x, from the statistics that the gradient of x has left. */
const layerNormColumns = shader(
  'columns layerNormGradient',
  {
    arrays: 4,
    writes: 1,
    numbers: numbers(2),
    outside: `${partsOf}\nvar<workgroup> others : array<f32, ${THREADS}>;`,
  },
  () => `
  let column = group * ${COLUMNS} + thread % ${COLUMNS};
  let count = params.rows.x; let n = params.rows.z;
  let j = min(column, n - 1);
  var s = 0.0; var t = 0.0;
  for (var own = thread / ${COLUMNS}; own < count; own += ${THREADS / COLUMNS}) {
    let far = own / params.rows.y; let near = own % params.rows.y;
    ${begins(2)}
    let g = a1[from0 + j * step0];
    let at = count * n + own;
    s += g * (a2[from1 + j * step1] - a3[at]) * a3[at + count];
    t += g;
  }
  parts[thread] = s; others[thread] = t;
  workgroupBarrier();
  for (var m = ${THREADS / 2}; m >= ${COLUMNS}; m /= 2) {
    if (thread < m) { parts[thread] += parts[thread + m]; others[thread] += others[thread + m]; }
    workgroupBarrier();
  }
  if (thread < ${COLUMNS} && column < n) {
    a0[column] = parts[thread];
    result[column] = others[thread];
  }`,
)

/** A vector [n] repeated for every row of a shape. */
const repeated = (x: Strided, shape: Shape): Strided => ({
  ...x,
  shape,
  strides: [...new Array<number>(shape.length - 1).fill(0), x.strides[0]],
})

/** Views [...] as [..., n] that repeat each element. */
const alongRows = (x: Strided, shape: Shape): Strided => ({ ...x, shape, strides: [...x.strides, 0] })

/** The most elements that one thread adds, one after the other. */
const LONG = 512

/** A reduction of one axis in one dispatch; undefined if it takes several, or has several axes. */
export function reduceAxes(
  runtime: Runtime,
  name: ReductionName,
  x: Strided,
  axes: readonly number[],
): Handle | undefined {
  const kept = x.shape.map((_, i) => i).filter(i => !axes.includes(i))
  const at = (which: readonly number[], of: readonly number[]) => which.map(i => of[i])
  const reduced = joinAxes(at(axes, x.shape), [at(axes, x.strides)])
  const rows = joinAxes(at(kept, x.shape), [at(kept, x.strides)])
  if (!runtime.engine.shaders || reduced.shape.length !== 1 || rows.shape.length > 2) return undefined
  const [n] = reduced.shape
  const [step] = reduced.strides[0]
  const count = sizeOf(rows.shape)
  const strides = [...new Array<number>(2 - rows.shape.length).fill(0), ...rows.strides[0]]
  // a team of neighbours for each row, or 16 rows side by side
  const isSideBySide = Math.abs(step) !== 1 && count >= COLUMNS
  const team = isSideBySide ? THREADS / COLUMNS : teamOf(n)
  if (n > LONG * team) return undefined
  return runtime.shade({
    name,
    shader: reduceShader(name, team, isSideBySide),
    inputs: [x],
    integers: [count, rows.shape[rows.shape.length - 1] ?? 1, n, 0, x.offset, ...strides, step],
    groups: inRows(Math.ceil((count * team) / THREADS)),
    length: count,
  })
}

function reduceShader(name: ReductionName, team: number, isSideBySide: boolean): Shader {
  const rows = THREADS / team
  const [own, lane] = isSideBySide ? [`thread % ${rows}`, `thread / ${rows}`] : [`thread / ${team}`, `thread % ${team}`]
  const first = name === 'sum' ? '0.0' : 'a0[begin]'
  const join = joins[name]
  return shader(
    `reduce ${name} ${team} ${isSideBySide}`,
    { arrays: 1, numbers: 'rows : vec4<i32>, view : vec4<i32>', outside: partsOf },
    () => `
  let row = group * ${rows} + ${own};
  let lane = ${lane};
  let read = min(row, params.rows.x - 1);
  let begin = params.view.x + (read / params.rows.y) * params.view.y + (read % params.rows.y) * params.view.z;
  var r = ${first};
  for (var j = lane; j < params.rows.z; j += ${team}) { r = ${join('r', 'a0[begin + j * params.view.w]')}; }
  parts[thread] = r;
  workgroupBarrier();
  for (var m = ${team / 2}; m > 0; m /= 2) {
    if (lane < m) { parts[thread] = ${join('parts[thread]', `parts[thread + m * ${isSideBySide ? rows : 1}]`)}; }
    workgroupBarrier();
  }
  if (lane == 0 && row < params.rows.x) { result[row] = parts[thread]; }`,
  )
}

/** The kernels of rows that a device with shaders has; each is undefined for what it does not take. */
export function rowKernels(
  runtime: Runtime,
  wrap: (handle: Handle, shape: Shape) => Tensor,
  own: (x: Tensor) => Strided,
): Partial<FusedKernels> {
  const isFloat = (x: Tensor) => x.dtype === 'float32'
  const takes = (x: Tensor, like = x) => isFloat(x) && x.rank > 0 && x.size > 0 && sameShape(x.shape, like.shape)
  const isRow = (x: Tensor, n: number) => isFloat(x) && x.rank === 1 && x.shape[0] === n
  const of = (name: keyof typeof bodies, xs: readonly Tensor[], epsilon?: number) => {
    if (!xs.every(x => takes(x, xs[0]))) return undefined
    const result = run(runtime, name, xs.map(own), { epsilon })
    return result && wrap(result, xs[0].shape)
  }
  const takesClasses = (x: Tensor, ids: Tensor) =>
    takes(x) && ids.dtype === 'int32' && sameShape(ids.shape, x.shape.slice(0, -1))
  const checkIds = (x: Tensor, ids: Tensor) => checkIndices('gather', own(ids), x.shape, x.rank - 1)

  return {
    softmax: x => of('softmax', [x]),
    softmaxGradient: (g, y) => of('softmaxGradient', [g, y]),
    logSoftmax: x => of('logSoftmax', [x]),
    logSoftmaxGradient: (g, y) => of('logSoftmaxGradient', [g, y]),
    standardize: (x, epsilon) => of('standardize', [x], epsilon),
    standardizeGradient: (g, x, epsilon) => of('standardizeGradient', [g, x], epsilon),

    normalize: (x, epsilon) => of('normalize', [x], epsilon),
    normalizeGradient: (g, x, epsilon) => of('normalizeGradient', [g, x], epsilon),

    layerNorm(x, weight, bias, epsilon) {
      const n = x.shape[x.rank - 1]
      if (!takes(x) || !isRow(weight, n) || !isRow(bias, n)) return undefined
      const views = [own(x), repeated(own(weight), x.shape), repeated(own(bias), x.shape)]
      const result = run(runtime, 'layerNorm', views, { epsilon })
      return result && wrap(result, x.shape)
    },

    layerNormGradient(g, x, weight, epsilon) {
      const n = x.shape[x.rank - 1]
      if (!takes(x) || !takes(g, x) || !isRow(weight, n)) return undefined
      const views = [own(g), own(x)]
      const rows = rowsOf(views, x.shape.slice(0, -1))
      const length = x.size + 2 * (x.size / n)
      const byX = run(runtime, 'layerNormGradient', [...views, repeated(own(weight), x.shape)], { epsilon, length })
      if (!byX || !rows) return undefined
      const byWeight = runtime.blank(n, layerNormColumns)
      const [written, statistics] = [byWeight, byX].map(wholeOf)
      const byBias = runtime.shade({
        name: 'layerNormGradient',
        shader: layerNormColumns,
        inputs: [written, ...views, statistics],
        floats: [epsilon, 0, 0, 0],
        integers: [rows.count, rows.near, n, 0, ...rows.table],
        groups: inRows(Math.ceil(n / COLUMNS)),
        length: n,
      })
      return [wrap(byX, [length]).view(x.shape, contiguousStrides(x.shape)), wrap(byWeight, [n]), wrap(byBias, [n])]
    },

    negativeLogLikelihood(x, ids) {
      if (!takesClasses(x, ids)) return undefined
      checkIds(x, ids)
      const views = [own(x), alongRows(own(ids), x.shape)]
      const result = run(runtime, 'negativeLogLikelihood', views, { length: sizeOf(ids.shape) })
      return result && wrap(result, ids.shape)
    },

    negativeLogLikelihoodGradient(g, x, ids) {
      if (!takesClasses(x, ids) || !isFloat(g) || !sameShape(g.shape, ids.shape)) return undefined
      checkIds(x, ids)
      const views = [own(x), alongRows(own(ids), x.shape), alongRows(own(g), x.shape)]
      const result = run(runtime, 'negativeLogLikelihoodGradient', views)
      return result && wrap(result, x.shape)
    },
  }
}
