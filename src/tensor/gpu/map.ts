// The kernel of most operations: every element of the result is an expression of one element of each operand, addressed
// by the operand's strides. A repeated axis has stride 0, so broadcasting copies nothing.

import { broadcastStrides, type Shape, sizeOf } from '../shape.ts'
import { joinAxes, thread } from './code.ts'
import type { Handle, Runtime, Strided } from './runtime.ts'

/**
 * out[i] = expression of x0[i], x1[i], …
 * @param shape of the result, to which every operand broadcasts
 * @param operands views, or numbers that are combined with every element
 */
export function map(
  runtime: Runtime,
  name: string,
  shape: Shape,
  operands: readonly (Strided | number)[],
  expression: string,
): Handle {
  const length = sizeOf(shape)
  if (length === 0) return runtime.empty()
  const inputs = operands.filter(operand => typeof operand !== 'number')
  const scalars = operands.filter(operand => typeof operand === 'number')
  const joined = joinAxes(
    shape,
    inputs.map(input => broadcastStrides(input.shape, input.strides, shape)),
  )
  const kinds = operands.map(operand => (typeof operand === 'number' ? 's' : 'a')).join('')
  return runtime.run({
    name,
    signature: `map ${kinds} ${expression} ${joined.shape} ${joined.strides.join(';')}`,
    length,
    inputs,
    scalars,
    body(code, starts) {
      const at = code.coordinates(thread(length), joined.shape)
      let array = 0
      let scalar = 0
      operands.forEach((operand, i) => {
        const k = typeof operand === 'number' ? scalar++ : array++
        const source =
          typeof operand === 'number' ? `s${k}` : `a${k}[${code.position(at, joined.strides[k], starts[k])}]`
        code.add(`const x${i}=${source};`)
      })
      code.add(`return ${expression};`)
    },
  })
}
