// Reductions. A long row is reduced in stages: one thread that adds thousands of float32 numbers loses digits, and a
// reduction with few results would leave most of a GPU idle.

import { contiguousStrides, reducedShape, type Shape, sizeOf } from '../shape.ts'
import { along, type Code, thread } from './code.ts'
import { map } from './map.ts'
import type { Handle, Runtime, Strided } from './runtime.ts'

/** How two partial results are combined, and the initial value of an element. */
const joins = { sum: (a: string, x: string) => `${a}+${x}`, max: minmax('max'), min: minmax('min') } as const

export type FoldName = keyof typeof joins

function minmax(name: 'max' | 'min') {
  return (a: string, x: string) => `Math.${name}(${a},${x})`
}

/** The number of elements that one thread may reduce if there are enough threads, and the number that is enough. */
const LONG = 1024
const SHORT = 256
const THREADS = 4096

/** The number of parts that a row of n elements is divided into, for a number of rows. */
export function partsOf(n: number, rows: number): number {
  if (n <= SHORT || (n <= LONG && rows >= THREADS)) return 1
  return Math.min(Math.max(Math.ceil(n / SHORT), Math.ceil(THREADS / rows)), Math.ceil(n / 16))
}

/**
 * Reduces one axis of an expression of equally shaped views; the axis is kept with size one.
 * @param expression the elements to reduce, in terms of x0, x1, …; default x0
 */
export function fold(
  runtime: Runtime,
  name: FoldName,
  views: readonly Strided[],
  axis: number,
  expression = 'x0',
): Handle {
  const { shape } = views[0]
  const n = shape[axis]
  const outer = reducedShape(shape, [axis], true)
  const rows = sizeOf(outer)
  const parts = partsOf(n, rows)
  // thread (row, p) takes every parts-th element from p on, so that neighbours read neighbours
  const split = [...outer, parts]
  const strides = views.map(view => [...view.strides.map((s, i) => (i === axis ? 0 : s)), view.strides[axis]])
  const length = rows * parts
  const whole = Math.floor(n / parts)
  const result = runtime.run({
    name,
    signature: `fold ${name} ${expression} ${split} ${n} ${strides.join(';')}`,
    length,
    inputs: views,
    body(code, starts) {
      const at = code.coordinates(thread(length), split)
      const bases = views.map((_, i) => code.base(at, strides[i], starts[i]))
      const steps = views.map(view => code.factor(parts * view.strides[axis]))
      const count = code.passes(whole)
      const load = (step: string) =>
        views.map((_, i) => `const x${i}=a${i}[${along(bases[i], step, steps[i])}];`).join(' ')
      const accumulate = (step: string) => `${load(step)} r=${joins[name]('r', `(${expression})`)};`
      if (name === 'sum') code.add('let r=0.0;')
      else {
        // the first element has separate variables, and starts the comparison
        const renamed = (text: string) => text.replace(/\bx(\d)/g, 'y$1')
        code.add(`${renamed(load('0'))} let r=${renamed(expression)};`)
      }
      code.add(`for (let t=${name === 'sum' ? 0 : 1};t<${count};t++) { ${accumulate('t')} }`)
      if (parts > 1 && code.needs(n % parts))
        code.add(`if (${at[at.length - 1].text}<${code.size(n % parts)}) { ${accumulate(count)} }`)
      code.add('return r;')
    },
  })
  if (parts === 1) return result
  const partial = { handle: result, shape: split, strides: contiguousStrides(split), offset: 0 }
  const final = fold(runtime, name, [partial], split.length - 1)
  runtime.free(result)
  return final
}

/** Reduces several axes of a view, one group after the other; contiguous axes are reduced as one. */
export function foldAxes(runtime: Runtime, name: FoldName, x: Strided, axes: readonly number[]): Handle {
  const { shape, strides } = group(x, axes)
  let view: Strided = { ...x, shape: shape.map(({ n }) => n), strides }
  const reduced = shape.flatMap(({ reduce }, i) => (reduce ? [i] : []))
  if (reduced.length === 0) return map(runtime, name, x.shape, [x], 'x0')
  // the longest first, which leaves the least work for the others
  reduced.sort((a, b) => view.shape[b] - view.shape[a])
  let made: Handle | null = null
  for (const axis of reduced) {
    const handle = fold(runtime, name, [view], axis)
    if (made) runtime.free(made)
    made = handle
    const rest = reducedShape(view.shape, [axis], true)
    view = { handle, shape: rest, strides: contiguousStrides(rest), offset: 0 }
  }
  return made!
}

/** Axes of size above one; contiguous neighbours of one kind are joined. */
function group(x: Strided, axes: readonly number[]) {
  const shape: { n: number; reduce: boolean }[] = []
  const strides: number[] = []
  x.shape.forEach((n, axis) => {
    const reduce = axes.includes(axis)
    const last = shape[shape.length - 1]
    if (n === 1) return
    if (last?.reduce === reduce && strides[strides.length - 1] === x.strides[axis] * n) {
      last.n *= n
      strides[strides.length - 1] = x.strides[axis]
    } else {
      shape.push({ n, reduce })
      strides.push(x.strides[axis])
    }
  })
  return { shape, strides }
}

/**
 * Two statistics of every row of views [..., n] in one kernel, for rows of at most LONG elements: the result is
 * [2, ...], first all values of one statistic, then all of the other.
 * @param body statements for one row, given a function that loads x0, x1, … at column j; they end with a return
 */
export function rowStatistics(
  runtime: Runtime,
  name: string,
  views: readonly Strided[],
  bodies: readonly [RowBody, RowBody],
): Handle {
  const { shape } = views[0]
  const n = shape[shape.length - 1]
  const outer = [2, ...shape.slice(0, -1)]
  const length = sizeOf(outer)
  const strides = views.map(view => [0, ...view.strides.slice(0, -1)])
  return runtime.run({
    name,
    signature: `rows ${name} ${shape} ${strides.join(';')} ${views.map(view => view.strides[shape.length - 1])}`,
    length,
    inputs: views,
    body(code: Code, starts) {
      const at = code.coordinates(thread(length), outer)
      const bases = views.map((_, i) => code.base(at, strides[i], starts[i]))
      const steps = views.map(view => code.factor(view.strides[shape.length - 1]))
      const count = code.passes(n)
      const load = (j: string) => views.map((_, i) => `const x${i}=a${i}[${along(bases[i], j, steps[i])}];`).join(' ')
      const loop = (statement: string) => `for (let j=0;j<${count};j++) { ${load('j')} ${statement} }`
      code.add(`if (${at[0].text}<0.5) {`)
      code.add(bodies[0](loop, load('0')))
      code.add('}')
      code.add(bodies[1](loop, load('0')))
    },
  })
}

type RowBody = (loop: (statement: string) => string, first: string) => string

/** Whether rows are short enough for one thread each. */
export const isShortRow = (shape: Shape): boolean => shape[shape.length - 1] <= LONG
