// Several gradients in one tensor: their common part is computed once, and a device needs one kernel for all.

import { type Shape, sizeOf, type Tensor } from '../../tensor/index.ts'
import { concat } from './movement.ts'

/** The elements of several tensors, one after the other, in a tensor of one axis. */
export const pack = (parts: readonly Tensor[]): Tensor => concat(parts.map(part => part.reshape([-1])))

/**
 * The parts of a packed tensor, which is computed when the first part is needed.
 * @param shapes of the parts, in order
 * @returns the part at a position
 */
export function unpacking(compute: () => Tensor, shapes: readonly Shape[]): (position: number) => Tensor {
  let packed: Tensor | undefined
  return position => {
    packed ??= compute()
    const start = shapes.slice(0, position).reduce((total, shape) => total + sizeOf(shape), 0)
    return packed.slice([{ start, stop: start + sizeOf(shapes[position]) }]).reshape(shapes[position])
  }
}

/**
 * The packed parts of each sample of a batch, [samples, elements], from parts that are packed with the samples as their first axis.
 * @param sizes number of elements of each part of one sample
 */
export function packedSamples(packed: Tensor, samples: number, sizes: readonly number[]): Tensor {
  const parts = packed.split(sizes.map(size => samples * size))
  return concat(
    parts.map((part, i) => part.reshape([samples, sizes[i]])),
    1,
  )
}
