// Kernels that move elements: permuted copies, padding, concatenation, and gather and scatter by index.

import * as ops from '../../../src/autograd/index.ts'
import { concat } from '../../../src/autograd/index.ts'
import { sizeOf, type Tensor } from '../../../src/tensor/index.ts'
import { all, type Calls, each, edges, floats, integers, truth } from './calls.ts'

/** [a, b, c]: copied in any order of axes, padded, joined, and picked from */
const movedShapes = [
  ...all([1, 2], [3, 4, 17], [4, 5, 33]),
  ...all([0, 1, 2], [0, 1, 2], [0, 1, 2]),
  ...edges(256).map((n, i) => [1 + (i % 2), 3, n]),
  [2, 129, 129],
  [1, 32769, 1],
  [16385, 3, 1],
]

const orders = [
  [0, 2, 1],
  [1, 0, 2],
  [2, 1, 0],
  [2, 0, 1],
]

/** A tensor in another order of axes, copied. */
const copied = (x: Tensor, i: number): Tensor => x.permute(orders[i % orders.length]).reshape([-1])

const margins = [
  [1, 0],
  [0, 2],
  [1, 1],
] as const

export const movement: Calls = {
  'copies, margins and joints': each(movedShapes, (shape, i) => ({
    inputs: [...floats(shape, shape), truth(...shape)],
    f: (x, y, p) => [
      copied(x, i),
      concat([x, y, x], i % 3),
      x.pad(margins, 7),
      x.slice([{ step: 2 }, { start: 1 }, { step: -1 }]),
      ...[copied(p, i), concat([p, p], i % 3), p.pad(margins, 1)].map(truths => truths.cast('float32')),
    ],
  })),

  'picking and adding by index': each(
    movedShapes.filter(shape => sizeOf(shape) > 0),
    (shape, i) => {
      const axis = i % 3
      const picked = shape.with(axis, [1, 2, 17, 33, 0][i % 5])
      return {
        inputs: [
          ...floats(shape, picked),
          integers(picked, shape[axis]),
          integers([3, 2], shape[axis]),
          truth(...shape),
        ],
        f: (x, updates, ids, few, p) => [
          x.gather(ids, { axis }),
          x.take(few, { axis }),
          ops.scatterAdd(shape, ids, updates, { axis }),
          ops.scatterAdd(shape, ids, updates.mul(8).cast('int32'), { axis }).cast('float32'),
          p.gather(ids, { axis }).cast('float32'),
        ],
      }
    },
  ),
}
