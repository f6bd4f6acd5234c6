// Several gradients in one tensor: what all of them need is computed once, and a device has one kernel for all.

import { type Shape, sizeOf, type Tensor } from '../../tensor/index.ts'
import { concat } from './movement.ts'

/** Tensors one after the other, in a tensor of one axis. */
export const pack = (parts: readonly Tensor[]): Tensor => concat(parts.map(part => part.reshape([-1])))

/**
 * The parts of a packed tensor, which is computed when the first of them is asked for.
 * @param shapes of the parts, in their order
 * @returns the part of a position
 */
export function unpacking(compute: () => Tensor, shapes: readonly Shape[]): (position: number) => Tensor {
  let packed: Tensor | undefined
  return position => {
    packed ??= compute()
    const start = shapes.slice(0, position).reduce((total, shape) => total + sizeOf(shape), 0)
    return packed.slice([{ start, stop: start + sizeOf(shapes[position]) }]).reshape(shapes[position])
  }
}
