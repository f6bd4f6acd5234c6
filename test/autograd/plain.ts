// Tensors as plain JavaScript: a shape and numbers in row-major order. Formulas written with these functions share no code with
// the operations that they test.

import { type Shape, show, type Tensor } from '../../src/tensor/index.ts'

export interface Plain {
  readonly shape: readonly number[]
  readonly data: readonly number[]
}

export const plain = (x: Tensor): Plain => ({ shape: x.shape, data: [...x.dataSync()] })

/** Every position of a shape, in row-major order. */
export function positions(shape: Shape): number[][] {
  return shape.reduce<number[][]>(
    (list, n) => list.flatMap(at => Array.from({ length: n }, (_, i) => [...at, i])),
    [[]],
  )
}

/** The plain tensor of this shape whose element at each position is f(position). */
export const make = (shape: Shape, f: (at: readonly number[]) => number): Plain => ({
  shape,
  data: positions(shape).map(f),
})

/** The element at a position; a position with more axes is read from the back, and an axis of size one repeats. */
export function read(x: Plain, at: readonly number[]): number {
  const own = at.slice(at.length - x.shape.length)
  const flat = x.shape.reduce((sum, n, i) => sum * n + (n === 1 ? 0 : own[i]), 0)
  if (!(flat in x.data)) throw new Error(`${show(x.shape)} has no ${show(at)}`)
  return x.data[flat]
}

/** The shape that shapes broadcast to, as defined in NumPy's manual. */
export function common(...shapes: Shape[]): number[] {
  const rank = Math.max(...shapes.map(shape => shape.length))
  return Array.from({ length: rank }, (_, i) => {
    const sizes = shapes.flatMap(shape => shape[i - rank + shape.length] ?? [])
    return sizes.find(n => n !== 1) ?? 1
  })
}

/** f of the elements that meet. */
export const pointwise =
  (f: (...numbers: number[]) => number) =>
  (...xs: readonly Plain[]): Plain =>
    make(common(...xs.map(x => x.shape)), at => f(...xs.map(x => read(x, at))))

/** f of all the elements along the axes, in order. */
export function along(
  x: Plain,
  axes: readonly number[],
  keepDims: boolean,
  f: (numbers: readonly number[]) => number,
): Plain {
  const gone = axes.map(axis => (axis + x.shape.length) % x.shape.length)
  const kept = make(
    x.shape.map((n, i) => (gone.includes(i) ? 1 : n)),
    at =>
      f(
        positions(x.shape)
          .filter(other => at.every((n, i) => gone.includes(i) || n === other[i]))
          .map(other => read(x, other)),
      ),
  )
  return keepDims ? kept : { shape: x.shape.filter((_, i) => !gone.includes(i)), data: kept.data }
}

/** f of each line along one axis, which keeps its length. */
export function lines(x: Plain, axis: number, f: (line: readonly number[]) => readonly number[]): Plain {
  const own = (axis + x.shape.length) % x.shape.length
  return make(x.shape, at => {
    const line = Array.from({ length: x.shape[own] }, (_, i) => read(x, at.with(own, i)))
    return f(line)[at[own]]
  })
}

export const total = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

/** Row times column over the last two axes, leading axes broadcast; a vector is a row on the left, a column on the right. */
export function times(x: Plain, y: Plain): Plain {
  const left = x.shape.length === 1 ? { ...x, shape: [1, ...x.shape] } : x
  const right = y.shape.length === 1 ? { ...y, shape: [...y.shape, 1] } : y
  const [m, k] = left.shape.slice(-2)
  const n = right.shape[right.shape.length - 1]
  const stack = common(left.shape.slice(0, -2), right.shape.slice(0, -2))
  const product = make([...stack, m, n], at => {
    const [lead, i, j] = [at.slice(0, -2), at[at.length - 2], at[at.length - 1]]
    return total(Array.from({ length: k }, (_, l) => read(left, [...lead, i, l]) * read(right, [...lead, l, j])))
  })
  const shape = [...stack, ...(x.shape.length === 1 ? [] : [m]), ...(y.shape.length === 1 ? [] : [n])]
  return { shape, data: product.data }
}

export const softmaxOf = (line: readonly number[]): number[] => {
  const powers = line.map(x => Math.exp(x))
  return powers.map(p => p / total(powers))
}

/** erf by its Taylor series: Σ (-1)ⁿ x²ⁿ⁺¹ / (n! (2n + 1)) · 2/√π, good for |x| up to about 3. */
export function erfSeries(x: number): number {
  let term = x
  let sum = x
  for (let n = 1; n < 80; n++) {
    term *= -(x * x) / n
    sum += term / (2 * n + 1)
  }
  return (sum * 2) / Math.sqrt(Math.PI)
}
