// The record of dropout.

import * as ops from '../../../src/autograd/index.ts'
import { Generator, zeros } from '../../../src/tensor/index.ts'
import { type OperationRecord, record } from './record.ts'

export const dropout: readonly OperationRecord[] = [
  record(
    'dropout',
    {
      'a generator decides': (p, x) => {
        const generator = new Generator(7)
        return { shape: x.shape, data: x.data.map(a => (p > 0 && generator.uniform() < p ? 0 : a / (1 - p))) }
      },
    },
    [
      [() => ops.dropout(zeros([2]), 1), RangeError, 'dropout: the probability must be in [0, 1), not 1'],
      [() => ops.dropout(zeros([2]), -0.1), RangeError, 'dropout: the probability must be in [0, 1), not -0.1'],
    ],
  ),
]
