// Cases of scans.

import * as ops from '../../autograd/index.ts'
import type { Tensor } from '../../tensor/index.ts'
import type { ValueOptions } from '../arbitraries/tensors.ts'
import { drawn } from './case.ts'
import { oneAxis } from './reduce.ts'

const scan = (f: (x: Tensor, options: { axis: number }) => Tensor, values: ValueOptions = {}) => ({
  'along an axis': drawn(oneAxis({ maxSize: 5, maxRank: 2 }), values, ({ axis }, x) => f(x, { axis })),
})

export const scans = {
  cumprod: scan(ops.cumprod),
  logCumSumExp: scan(ops.logCumSumExp),
  cummax: scan(ops.cummax, { distinct: true }),
  cummin: scan(ops.cummin, { distinct: true }),
}
