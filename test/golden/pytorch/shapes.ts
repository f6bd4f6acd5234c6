// The functions of shapes.py, here.

import { concat, meshgrid, stack, type TensorFunction } from '../../../src/autograd/index.ts'
import type { Functions } from './functions.ts'

/** f of the squares of floating tensors. */
const squared =
  (f: TensorFunction): TensorFunction =>
  (...xs) =>
    f(...xs.map(x => (x.dtype === 'float64' ? x.mul(x) : x)))

const functions: Functions = {
  tile: x => x.tile([2, 1, 3]),
  'tile by fewer numbers': x => x.tile(2),
  repeat: x => x.repeat(3, { axis: 1 }),
  'repeat, flattened': x => x.repeat(2),
  'repeat by a list': x => x.repeat([2, 0, 1], { axis: 0 }),
  roll: x => x.roll(-1, { axis: 1 }),
  'roll, flattened': x => x.roll(5),
  'roll along two axes': x => x.roll([1, 3], { axis: [0, 1] }),
  unbind: x => concat(x.unbind({ axis: 1 }).map((part, i) => part.mul(i + 1))),
  chunk: x => concat(x.chunk(3, { axis: 1 }).map((part, i) => part.flatten().mul(i + 1))),
  flatten: x => x.flatten({ start: 1 }),
  unflatten: x => x.unflatten(1, [2, -1]),
  moveAxis: x => x.moveAxis([0, 1], [2, 0]),
  tril: x => x.tril({ diagonal: 1 }),
  triu: x => x.triu({ diagonal: -1 }),
  'diag of a vector': x => x.diag({ offset: -1 }),
  'diag of a matrix': x => x.diag({ offset: 2 }),
  diagonal: x => x.diagonal({ offset: 1, axes: [0, 2] }),
  meshgrid: (x, y) => stack(meshgrid([x, y])),
  'meshgrid, xy': (x, y) => stack(meshgrid([x, y], { indexing: 'xy' })),
  'at, ranges': x => x.at(1, '1:', null, '::2'),
  'at, dots': x => x.at('...', -1),
  'at, ids': (x, ids) => x.at(':', ids),
  'at, ids of two axes': (x, rows, columns) => x.at(':', rows, columns),
  'at, ids that are apart': (x, rows, columns) => x.at(rows, ':', columns),
  'at, ids beside a number': (x, ids) => x.at(0, ':', ids),
  'at, ids around a number': (x, rows, columns) => x.at(rows, 1, columns),
  'withAt, a part': (x, values) => x.withAt(['1:', 2], values),
  'withAt, ids': (x, values, ids) => x.withAt([':', ids], values),
  addAt: (x, values, ids) => x.addAt([ids], values),
  'addAt, pairs': (x, values, rows, columns) => x.addAt([rows, columns], values),
  take: (x, ids) => x.take(ids, { axis: 1 }),
  maskedFill: (x, mask) => x.maskedFill(mask, -2),
}

export const shapes: Functions = Object.fromEntries(
  Object.entries(functions).map(([name, f]) => [name, squared(f)]),
)
