// The functions of norms.py, here.

import { batchNorm, concat, groupNorm, rmsNorm } from '../../../src/autograd/index.ts'
import { BatchNorm1d, BatchNorm2d, InstanceNorm2d } from '../../../src/nn/index.ts'
import { ones, type Tensor, zeros } from '../../../src/tensor/index.ts'
import type { Functions } from './functions.ts'

/** Two batches of training, evaluation of the first, and what is remembered. */
function trained(norm: BatchNorm1d | BatchNorm2d, first: Tensor, second: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const scaled = (y: Tensor) => {
    const shape = [1, 3, ...Array(y.rank - 2).fill(1)]
    return y.mul(weight.reshape(shape)).add(bias.reshape(shape))
  }
  norm.runningMean!.assign(zeros([3], { dtype: 'float64' }))
  norm.runningVariance!.assign(ones([3], { dtype: 'float64' }))
  norm.forward(first)
  const value = scaled(norm.forward(second))
  const later = scaled(norm.eval().forward(first))
  const { runningMean, runningVariance, batches } = norm
  const remembered = [runningMean!, runningVariance!, batches!.cast('float64')]
  return concat([value, later, ...remembered].map(x => x.reshape([x.size])))
}

export const norms: Functions = {
  rmsNorm: (x, weight) => rmsNorm(x, { weight }),
  groupNorm: (x, weight, bias) => groupNorm(x, { groups: 2, weight, bias }),
  InstanceNorm2d: x => new InstanceNorm2d(3).forward(x),
  batchNorm: (x, weight, bias) => batchNorm(x, { weight, bias }),
  BatchNorm1d: (first, second, weight, bias) =>
    trained(new BatchNorm1d(3, { affine: false }), first, second, weight, bias),
  BatchNorm2d: (first, second, weight, bias) =>
    trained(new BatchNorm2d(3, { affine: false }), first, second, weight, bias),
  'BatchNorm2d, cumulative': (first, second, weight, bias) =>
    trained(new BatchNorm2d(3, { affine: false, momentum: 'cumulative' }), first, second, weight, bias),
}
