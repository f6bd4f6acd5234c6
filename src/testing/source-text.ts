// Values as TypeScript: what a failing test prints can be pasted and run.

import fc from 'fast-check'
import { isFloating, Tensor } from '../tensor/index.ts'

/**
 * An expression that gives a value again. Tensors are made with `tensor`, all other values as fast-check prints them.
 * @param ofTensor how the tensors in it are written instead
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
  // float32 is what `tensor` makes: float64 is said where the numbers need it, and then only reference has it
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
