// The record of einsum.

import * as ops from '../../../src/autograd/index.ts'
import { ShapeError, zeros } from '../../../src/tensor/index.ts'
import { make, type Plain, positions, read, total } from '../plain.ts'
import { type OperationRecord, record } from './record.ts'

export const einsum: readonly OperationRecord[] = [
  record('einsum', { 'any equation': einsumOf, 'an ellipsis': einsumOf }, [
    [
      () => ops.einsum('ij,jk->ik', zeros([2, 3]), zeros([4, 5])),
      ShapeError,
      'einsum "ij,jk->ik": axis "j" has sizes 3 and 4 in [2, 3] and [4, 5]',
    ],
    [
      () => ops.einsum('ij,jk->ik', zeros([2, 3])),
      ShapeError,
      'must have one term of letters for each operand, separated by commas; operands given: 1',
    ],
    [() => ops.einsum('ijk->i', zeros([2, 3])), ShapeError, '"ijk" must have one label for each axis of [2, 3]'],
    [
      () => ops.einsum('ij->ik', zeros([2, 3])),
      ShapeError,
      'the axes of the result, "ik", must be distinct labels of the operands',
    ],
    [
      () => ops.einsum('ij->ii', zeros([2, 3])),
      ShapeError,
      'the axes of the result, "ii", must be distinct labels of the operands',
    ],
    [() => ops.einsum('ii->i', zeros([2, 3])), ShapeError, 'axis "i" has sizes 2 and 3'],
    [() => ops.einsum('ij->i->j', zeros([2, 3])), ShapeError, 'einsum "ij->i->j": "->" may occur only once'],
  ]),
]

/** Every product of elements whose labels agree, added where the result's labels say. The ellipses here are of one axis. */
function einsumOf(equation: string, ...xs: Plain[]): Plain {
  const [left, right] = equation.replaceAll('...', '.').split('->')
  const terms = left.split(',')
  const labels = [...new Set(left.replaceAll(',', ''))]
  const output =
    right ??
    labels
      .filter(label => label === '.' || left.split(label).length === 2)
      .sort()
      .join('')
  const sizeOf = (label: string) => {
    const sizes = terms.flatMap((term, n) => [...term].flatMap((l, i) => (l === label ? [xs[n].shape[i]] : [])))
    return sizes.find(n => n !== 1) ?? 1
  }
  const all = positions(labels.map(sizeOf))
  const at = (position: readonly number[], term: string) => [...term].map(label => position[labels.indexOf(label)])
  return make([...output].map(sizeOf), place =>
    total(
      all
        .filter(position => at(position, output).every((n, i) => n === place[i]))
        .map(position => xs.reduce((product, x, n) => product * read(x, at(position, terms[n])), 1)),
    ),
  )
}
