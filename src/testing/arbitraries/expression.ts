// Random programs of differentiable operations: the laws of single operations must hold for compositions of them.

import fc from 'fast-check'
import type { TensorFunction } from '../../autograd/index.ts'
import type { Shape, Tensor } from '../../tensor/index.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { type ShapeOptions, shape } from './shapes.ts'

/** Steps of a program on matrices of one shape: smooth, with derivatives small enough for differences. The first is the identity. */
const steps: readonly ((a: Tensor, b: Tensor) => Tensor)[] = [
  a => a,
  a => a.neg(),
  a => a.tanh(),
  a => a.sigmoid(),
  a => a.softplus(),
  a => a.gelu(),
  a => a.square(),
  a => a.softmax(),
  a => a.layerNorm({ epsilon: 0.25 }),
  a => a.sub(a.mean({ axis: -1, keepDims: true })),
  a => a.sum({ axis: 0, keepDims: true }).expand(a.shape),
  a => a.flip(-1),
  (a, b) => a.add(b),
  (a, b) => a.sub(b),
  (a, b) => a.mul(b),
  (a, b) => a.matmul(b.transpose()).matmul(a),
  (a, b) => a.attention(b, a),
]

/** Options of `expression`. */
export interface ExpressionOptions extends Pick<ShapeOptions, 'maxSize'> {
  /** maximum number of steps; default 5 */
  readonly maxSteps?: number
}
const expressionOptions = { maxSteps: 5, maxSize: 3 } satisfies Settings<ExpressionOptions>

/** A program, the shapes of its inputs, and its source in TypeScript. */
export interface Expression {
  /** the program */
  readonly f: TensorFunction
  /** shapes of its inputs */
  readonly shapes: readonly Shape[]
  /** its source in TypeScript */
  readonly source: string
}

/**
 * Programs of up to five steps over one to three matrices of one shape; a step may use any earlier value. They shrink to
 * fewer and simpler steps over smaller matrices.
 */
export function expression(options?: ExpressionOptions): fc.Arbitrary<Expression> {
  const { maxSteps, maxSize } = settle('expression(options)', options, expressionOptions)
  const back = fc.nat(maxSteps + 2)
  const step = fc.tuple(fc.nat(steps.length - 1), back, back)
  return fc
    .record({
      sizes: shape({ minRank: 2, maxRank: 2, minSize: 1, maxSize }),
      count: fc.integer({ min: 1, max: 3 }),
      list: fc.array(step, { minLength: 1, maxLength: maxSteps, size: 'max' }),
    })
    .map(({ sizes, count, list }) => {
      const inputs = Array.from({ length: count }, (_, i) => `x${i}`)
      // operands are counted back from the newest value, so that a short program is a chain
      const calls = list.map(([which, a, b], i) => ({
        which,
        operands: [a, b].map(n => count + i - 1 - (n % (count + i))),
      }))
      const f = (...xs: Tensor[]): Tensor => {
        const values = [...xs]
        for (const { which, operands } of calls) values.push(steps[which](values[operands[0]], values[operands[1]]))
        return values[values.length - 1]
      }
      const names = [...inputs]
      const lines: string[] = []
      for (const { which, operands } of calls) {
        const [a, b] = operands.map(at => names[at])
        if (which === 0) names.push(a)
        else {
          names.push(`y${lines.length}`)
          lines.push(`  const y${lines.length} = (${steps[which]})(${steps[which].length > 1 ? `${a}, ${b}` : a})\n`)
        }
      }
      const source = `(${inputs.join(', ')}) => {\n${lines.join('')}  return ${names[names.length - 1]}\n}`
      return { f, shapes: inputs.map(() => sizes), source, [fc.toStringMethod]: () => source }
    })
}
