// Values as TypeScript source, so that the output of a failing test can be pasted and run.

import fc from 'fast-check'
import { isFloating, Tensor } from '../tensor/index.ts'

/**
 * An expression for a value. Tensors are created with `tensor`; other values are as fast-check prints them.
 * @param ofTensor writes the tensors in the value; default with `tensor`
 */
export function sourceOf(value: unknown, ofTensor: (x: Tensor) => string = sourceOfTensor): string {
  if (value instanceof Tensor) return ofTensor(value)
  if (Array.isArray(value)) return `[${value.map(each => sourceOf(each, ofTensor)).join(', ')}]`
  if (value !== null && typeof value === 'object' && [Object.prototype, null].includes(Object.getPrototypeOf(value))) {
    const fields = Object.entries(value).map(
      ([name, field]) => `${/^[\w$]+$/.test(name) ? name : JSON.stringify(name)}: ${sourceOf(field, ofTensor)}`,
    )
    return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`
  }
  return fc.stringify(value)
}

function sourceOfTensor(x: Tensor): string {
  if (x.isContiguous) return create(x, x.size === 0)
  // other strides: the memory, and the view of it
  const memory = new Tensor(x.storage, [x.storage.length])
  return `${create(memory, false)}.view(${sourceOf(x.shape)}, ${sourceOf(x.strides)}, ${x.offset})`
}

function create(x: Tensor, isEmpty: boolean): string {
  const data = x.dataSync()
  const { dtype } = x
  const options: string[] = []
  if (isEmpty) options.push(`shape: [${x.shape.join(', ')}]`)
  // the default of `tensor` is float32: float64, which only reference has, is written if the numbers need it
  if (dtype === 'float64' && data.some(a => !Object.is(Math.fround(a), a)))
    options.push("dtype: 'float64'", "device: 'reference'")
  else if (!isFloating(dtype)) options.push(`dtype: '${dtype}'`)
  const values = isEmpty ? '[]' : nested(x, data)
  return options.length === 0 ? `tensor(${values})` : `tensor(${values}, { ${options.join(', ')} })`
}

function nested(x: Tensor, data: ArrayLike<number>): string {
  let at = 0
  const level = (axis: number): string => {
    if (axis === x.rank) return numberOf(data[at++])
    return `[${Array.from({ length: x.shape[axis] }, () => level(axis + 1)).join(', ')}]`
  }
  return level(0)
}

const numberOf = (x: number): string => (Object.is(x, -0) ? '-0' : String(x))
