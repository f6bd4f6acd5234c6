// Records of scans.

import * as ops from '../../../src/autograd/index.ts'
import { AxisError, type Tensor, zeros } from '../../../src/tensor/index.ts'
import type { Refusal } from '../../../src/testing/index.ts'
import { lines, type Plain, total } from '../plain.ts'
import { type OperationRecord, record } from './record.ts'

/** f of the elements up to each. */
const scan = (f: (numbers: readonly number[]) => number) => ({
  'along an axis': ({ axis }: { readonly axis: number }, x: Plain) =>
    lines(x, axis, line => line.map((_, i) => f(line.slice(0, i + 1)))),
})

const missing = (name: string, f: (x: Tensor, options: { axis: number }) => Tensor): readonly Refusal[] => [
  [() => f(zeros([2]), { axis: 1 }), AxisError, `${name}: [2] has no axis 1`],
]

export const scans: readonly OperationRecord[] = [
  record(
    'cumprod',
    scan(list => list.reduce((a, b) => a * b, 1)),
    missing('cumprod', ops.cumprod),
  ),
  record(
    'logCumSumExp',
    scan(list => Math.log(total(list.map(Math.exp)))),
    missing('logCumSumExp', ops.logCumSumExp),
  ),
  record(
    'cummax',
    scan(list => Math.max(...list)),
    missing('cummax', ops.cummax),
  ),
  record(
    'cummin',
    scan(list => Math.min(...list)),
    missing('cummin', ops.cummin),
  ),
]
