// Operations over rows that take five or more kernels as primitives and two or three here: the statistics of every row,
// then one elementwise kernel that uses them.

import type { FusedKernels } from '../fused-kernels.ts'
import { contiguousStrides, isContiguous, type Shape, sameShape, sizeOf } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import { attention, attentionGradient } from './attention.ts'
import { geluExpression, geluGradientExpression } from './expressions.ts'
import { fold, isShortRow, rowStatistics } from './fold.ts'
import { adamwInPlace, scaleInPlace, sumOfSquares } from './many.ts'
import { map } from './map.ts'
import { rowKernels } from './rows.ts'
import type { Handle, Runtime, Strided } from './runtime.ts'
import { linear, linearGradient } from './tiles.ts'

/** Statistics [..., 1] of every row, as views, and the memory behind them. */
interface Statistics {
  readonly views: readonly [Strided, Strided]
  readonly handles: readonly Handle[]
}

const columnShape = (shape: Shape) => [...shape.slice(0, -1), 1]

function column(handle: Handle, shape: Shape, offset = 0): Strided {
  const rows = columnShape(shape)
  return { handle, shape: rows, strides: contiguousStrides(rows), offset }
}

/** The two statistics of one kernel. */
function together(handle: Handle, shape: Shape): Statistics {
  const rows = sizeOf(columnShape(shape))
  return { views: [column(handle, shape), column(handle, shape, rows)], handles: [handle] }
}

/** Two reductions, where the second may use the first: long rows are reduced in stages. */
function separately(
  runtime: Runtime,
  shape: Shape,
  first: { name: 'sum' | 'max'; views: readonly Strided[]; expression?: string },
  second: (first: Strided) => { views: readonly Strided[]; expression: string },
): Statistics {
  const axis = shape.length - 1
  const a = fold(runtime, first.name, first.views, axis, first.expression)
  const spread = expanded(column(a, shape), shape)
  const { views, expression } = second(spread)
  const b = fold(runtime, 'sum', views, axis, expression)
  return { views: [column(a, shape), column(b, shape)], handles: [a, b] }
}

/** A column repeated along the rows. */
const expanded = (x: Strided, shape: Shape): Strided => ({
  ...x,
  shape,
  strides: [...x.strides.slice(0, -1), 0],
})

/** max(x) and sum(exp(x - max)) */
function softmaxStatistics(runtime: Runtime, x: Strided): Statistics {
  const { shape } = x
  if (!isShortRow(shape))
    return separately(runtime, shape, { name: 'max', views: [x] }, max => ({
      views: [x, max],
      expression: 'Math.exp(x0-x1)',
    }))
  const max = (loop: (s: string) => string) => `let m=-3.4e38; ${loop('m=Math.max(m,x0);')}`
  const handle = rowStatistics(
    runtime,
    'softmax',
    [x],
    [loop => `${max(loop)} return m;`, loop => `${max(loop)} let s=0.0; ${loop('s=s+Math.exp(x0-m);')} return s;`],
  )
  return together(handle, shape)
}

/** mean(x) and the sum of squared deviations */
function moments(runtime: Runtime, x: Strided): Statistics {
  const { shape } = x
  const n = shape[shape.length - 1]
  if (!isShortRow(shape))
    return separately(runtime, shape, { name: 'sum', views: [x] }, sum => ({
      views: [x, sum],
      expression: `(x0-x1*${float(1 / n)})*(x0-x1*${float(1 / n)})`,
    }))
  const sum = (loop: (s: string) => string) => `let m=0.0; ${loop('m=m+x0;')}`
  const handle = rowStatistics(
    runtime,
    'moments',
    [x],
    [
      loop => `${sum(loop)} return m;`,
      loop => `${sum(loop)} const c=m*${float(1 / n)}; let s=0.0; ${loop('s=s+(x0-c)*(x0-c);')} return s;`,
    ],
  )
  return together(handle, shape)
}

/** A constant that GPU.js parses as a float. */
const float = (value: number): string => (Number.isInteger(value) ? `${value}.0` : `${value}`)

/** @param wrap makes a float32 tensor of a result */
export function fusedKernels(
  runtime: Runtime,
  wrap: (handle: Handle, shape: Shape) => Tensor,
  own: (x: Tensor) => Strided,
) {
  /** Whether x has rows, and g has the shape of x. */
  const takes = (x: Tensor, g = x) => x.rank > 0 && x.size > 0 && sameShape(x.shape, g.shape)

  const finish = (
    name: string,
    shape: Shape,
    operands: (Strided | number)[],
    statistics: Statistics,
    expression: string,
  ) => {
    const result = map(runtime, name, shape, [...operands, ...statistics.views], expression)
    for (const handle of statistics.handles) runtime.free(handle)
    return wrap(result, shape)
  }

  const kernels: Partial<FusedKernels> = {
    softmax(x) {
      if (!takes(x)) return undefined
      const view = own(x)
      return finish('softmax', x.shape, [view], softmaxStatistics(runtime, view), 'Math.exp(x0-x1)/x2')
    },

    logSoftmax(x) {
      if (!takes(x)) return undefined
      const view = own(x)
      return finish('logSoftmax', x.shape, [view], softmaxStatistics(runtime, view), 'x0-x1-Math.log(x2)')
    },

    softmaxGradient(g, y) {
      if (!takes(y, g)) return undefined
      const [dy, out] = [own(g), own(y)]
      const sum = fold(runtime, 'sum', [dy, out], y.rank - 1, 'x0*x1')
      const result = map(runtime, 'softmaxGradient', y.shape, [dy, out, column(sum, y.shape)], 'x1*(x0-x2)')
      runtime.free(sum)
      return wrap(result, y.shape)
    },

    logSoftmaxGradient(g, y) {
      if (!takes(y, g)) return undefined
      const [dy, out] = [own(g), own(y)]
      const sum = fold(runtime, 'sum', [dy], y.rank - 1)
      const result = map(runtime, 'logSoftmaxGradient', y.shape, [dy, out, column(sum, y.shape)], 'x0-Math.exp(x1)*x2')
      runtime.free(sum)
      return wrap(result, y.shape)
    },

    standardize(x, epsilon) {
      if (!takes(x)) return undefined
      const view = own(x)
      const scale = 1 / x.shape[x.rank - 1]
      const expression = '(x0-x3*x1)/Math.sqrt(x4*x1+x2)'
      return finish('standardize', x.shape, [view, scale, epsilon], moments(runtime, view), expression)
    },

    // with y = (x - mean) r and r = 1 / sqrt(variance + ε): r (g - mean(g) - y mean(g y))
    standardizeGradient(g, x, epsilon) {
      if (!takes(x, g)) return undefined
      const { shape } = x
      const [dy, view] = [own(g), own(x)]
      const scale = 1 / shape[x.rank - 1]
      const { views, handles } = moments(runtime, view)
      const [sum, squares] = views.map(v => expanded(v, shape))
      const centred = `(x1-x2*${float(scale)})`
      const projected = isShortRow(shape)
        ? together(
            rowStatistics(
              runtime,
              'standardizeGradient',
              [dy, view, sum],
              [
                loop => `let s=0.0; ${loop('s=s+x0;')} return s;`,
                loop => `let s=0.0; ${loop(`s=s+x0*${centred};`)} return s;`,
              ],
            ),
            shape,
          )
        : separately(runtime, shape, { name: 'sum', views: [dy] }, () => ({
            views: [dy, view, sum],
            expression: `x0*${centred}`,
          }))
      // x0 g, x1 x, x2 sum, x3 squares, x4 1/n, x5 ε, x6 Σ g, x7 Σ g (x - mean)
      const variance = '(x3*x4+x5)'
      const expression = `(x0-x6*x4-(x1-x2*x4)*x7*x4/${variance})/Math.sqrt${variance}`
      const result = finish(
        'standardizeGradient',
        shape,
        [dy, view, sum, squares, scale, epsilon],
        projected,
        expression,
      )
      for (const handle of handles) runtime.free(handle)
      return result
    },

    gelu: x => wrap(map(runtime, 'gelu', x.shape, [own(x)], geluExpression), x.shape),

    geluGradient: (g, x) =>
      sameShape(g.shape, x.shape)
        ? wrap(map(runtime, 'geluGradient', x.shape, [own(x), own(g)], geluGradientExpression), x.shape)
        : undefined,

    adamw(x, g, moments, { beta1, beta2, epsilon, kept, rate, deviation }) {
      const { shape } = x
      const gradient = own(g)
      const follow = (name: string, moment: Tensor, beta: number, next: string) =>
        wrap(map(runtime, name, shape, [own(moment), gradient, beta, 1 - beta], `x0*x2+${next}*x3`), shape)
      const firstMoment = follow('firstMoment', moments.firstMoment, beta1, 'x1')
      const secondMoment = follow('secondMoment', moments.secondMoment, beta2, 'x1*x1')
      const operands = [own(x), own(firstMoment), own(secondMoment), kept, rate, deviation, epsilon]
      const value = wrap(map(runtime, 'adamw', shape, operands, 'x0*x3-x4*x1/(Math.sqrt(x2)/x5+x6)'), shape)
      return { value, firstMoment, secondMoment }
    },
  }
  if (!runtime.engine.shaders) return kernels

  const written: Partial<FusedKernels> = {
    sumOfSquares(xs) {
      if (!xs.every(isFloat)) return undefined
      return wrap(sumOfSquares(runtime, xs.map(own)), [])
    },

    scaleInPlace(xs, factor) {
      if (typeof factor === 'number' || !xs.every(x => isFloat(x) && isWhole(x))) return undefined
      return scaleInPlace(runtime, xs.map(own), own(factor))
    },

    linear(x, weight, bias) {
      if (![x, weight, bias ?? x].every(isFloat)) return undefined
      const result = linear(runtime, own(x), own(weight), bias && own(bias))
      return result && wrap(result, [...x.shape.slice(0, -1), weight.shape[0]])
    },

    linearGradient(g, x) {
      if (![g, x].every(isFloat)) return undefined
      const [byWeight, byBias] = linearGradient(runtime, own(g), own(x)) ?? []
      return byWeight && [wrap(byWeight, [g.shape[1], x.shape[1]]), wrap(byBias, [g.shape[1]])]
    },

    attention: input => attention(runtime, wrap, own, input),
    attentionGradient: (g, input) => attentionGradient(runtime, wrap, own, g, input),

    adamwInPlace: updates => adamwInPlace(runtime, own, updates),
  }
  // what a shader does not take, such as rows of many axes, generated kernels do
  const rows = rowKernels(runtime, wrap, own)
  const either = Object.fromEntries(
    Object.entries(rows).map(([name, kernel]) => {
      const other = kernels[name as keyof FusedKernels] as ((...args: unknown[]) => unknown) | undefined
      return [name, (...args: unknown[]) => (kernel as typeof other)!(...args) ?? other?.(...args)]
    }),
  )
  return { ...kernels, ...either, ...written }
}

const isFloat = (x: Tensor): boolean => x.dtype === 'float32'

/** Whether a tensor fills its memory contiguously. */
const isWhole = (x: Tensor): boolean => x.storage.length === x.size && isContiguous(x.shape, x.strides)
