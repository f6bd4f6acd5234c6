// Operations over rows that would be five or more kernels in primitives, each as one, GELU, and a step of AdamW.

import type { FusedKernels } from '../kernels.ts'
import { sameShape } from '../shape.ts'
import type { Tensor } from '../tensor.ts'
import type { Entry } from './exports.ts'
import type { Room } from './room.ts'

/** Kernels are for float32; for anything else, the definitions run. */
const isPlain = (x: Tensor, like = x): boolean => x.dtype === 'float32' && sameShape(x.shape, like.shape)

export function fusedKernels(room: Room): FusedKernels {
  const { code } = room

  /** kernel(out, x, rows, n, ...numbers) over the last axis */
  const overRows = (kernel: Entry, x: Tensor, ...numbers: number[]) => {
    if (!isPlain(x) || x.rank === 0) return undefined
    const n = x.shape[x.rank - 1]
    return room.tensor('float32', x.shape, (out, size) => kernel(out, room.dense(x), size / n, n, ...numbers))
  }

  /** kernel(out, g, x, rows, n, ...numbers) over the last axis */
  const gradientOverRows = (kernel: Entry, g: Tensor, x: Tensor, ...numbers: number[]) => {
    if (!isPlain(x) || !isPlain(g, x) || x.rank === 0) return undefined
    const n = x.shape[x.rank - 1]
    return room.tensor('float32', x.shape, (out, size) =>
      kernel(out, room.dense(g), room.dense(x), size / n, n, ...numbers),
    )
  }

  return {
    softmax: x => overRows(code.softmax, x),
    softmaxGradient: (g, y) => gradientOverRows(code.softmaxGradient, g, y),
    logSoftmax: x => overRows(code.logSoftmax, x),
    logSoftmaxGradient: (g, y) => gradientOverRows(code.logSoftmaxGradient, g, y),
    standardize: (x, epsilon) => overRows(code.standardize, x, epsilon),
    standardizeGradient: (g, x, epsilon) => gradientOverRows(code.standardizeGradient, g, x, epsilon),
    gelu: x =>
      isPlain(x) ? room.tensor('float32', x.shape, (out, size) => code.gelu(out, room.dense(x), size)) : undefined,
    geluGradient: (g, x) =>
      isPlain(x) && isPlain(g, x)
        ? room.tensor('float32', x.shape, (out, size) => code.geluGradient(out, room.dense(g), room.dense(x), size))
        : undefined,

    adamw(x, g, { firstMoment, secondMoment }, { beta1, beta2, epsilon, kept, rate, deviation }) {
      if (![x, g, firstMoment, secondMoment].every(t => isPlain(t, x))) return undefined
      const [m, v] = [0, 1].map(() => room.tensor('float32', x.shape, () => {}))
      const numbers = [beta1, 1 - beta1, beta2, 1 - beta2, epsilon, kept, rate, deviation]
      const value = room.tensor('float32', x.shape, (out, size) => {
        const inputs = [x, g, firstMoment, secondMoment].map(t => room.dense(t))
        code.adamw(out, room.address(m), room.address(v), ...inputs, size, ...numbers)
      })
      return { value, firstMoment: m, secondMoment: v }
    },
  }
}
