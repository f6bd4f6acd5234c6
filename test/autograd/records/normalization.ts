// Records of the operations that normalize along an axis.

import * as ops from '../../../src/autograd/index.ts'
import { AxisError, ShapeError, zeros } from '../../../src/tensor/index.ts'
import { lines, pointwise, total } from '../plain.ts'
import { type OperationRecord, record } from './record.ts'

const standard =
  (epsilon: number) =>
  (line: readonly number[]): number[] => {
    const mean = total(line) / line.length
    const variance = total(line.map(x => (x - mean) ** 2)) / line.length
    return line.map(x => (x - mean) / Math.sqrt(variance + epsilon))
  }

export const normalization: readonly OperationRecord[] = [
  record('standardize', { 'over the last axis': (_, x) => lines(x, -1, standard(0.25)) }),
  record(
    'layerNorm',
    {
      plain: (_, x) => lines(x, -1, standard(0.25)),
      'with scale and shift': (_, x, weight, bias) =>
        pointwise((a, w, b) => a * w + b)(lines(x, -1, standard(0.25)), weight, bias),
      'with scale alone': (_, x, weight) => pointwise((a, w) => a * w)(lines(x, -1, standard(0.25)), weight),
      'with shift alone': (_, x, bias) => pointwise((a, b) => a + b)(lines(x, -1, standard(0.25)), bias),
      'with the usual epsilon': (_, x) => lines(x, -1, standard(1e-5)),
    },
    [
      [
        () => ops.layerNorm(zeros([2, 3]), { weight: zeros([2]) }),
        ShapeError,
        'layerNorm: the weight must be [3] for x [2, 3], not [2]',
      ],
    ],
  ),
  record(
    'normalize',
    {
      'along an axis': (axis, x) => lines(x, axis, line => line.map(a => a / Math.sqrt(total(line.map(b => b * b))))),
    },
    [[() => ops.normalize(zeros([2]), { axis: 1 }), AxisError, 'normalize: [2] has no axis 1']],
  ),
]
