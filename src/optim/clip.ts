// Clipping of the norm of all gradients together (Pascanu et al. 2013).

import { div, isRecording, noGrad, where } from '../autograd/index.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { deviceOf, type Storage, scope, Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { areGradients } from './gradients.ts'
import { checkSetting } from './setting.ts'

/** The result of `clipGradients`. */
export interface ClippedGradients {
  /** the given map */
  readonly gradients: Map<string, Tensor>
  /** ‖g‖ over all gradients before clipping, a scalar on their device: reading it is the caller's choice */
  readonly norm: Tensor
}

/**
 * g ← g · min(1, maximumNorm / (‖g‖ + 1e-6)), with one norm for all gradients. The map then holds the clipped gradients, in the memory of
 * the old ones, which count as freed; inside of a tape it holds new tensors.
 *
 * If the norm is infinite or NaN, all gradients become 0, so that moments and
 * parameters stay finite; the returned norm shows this. The sum of squares is computed in the gradients' dtype: in
 * float32, norms from 1.8e19 on count as infinite. Values are read only on devices that can be read synchronously.
 * @param gradients by name, all on one device
 */
export function clipGradients(gradients: Map<string, Tensor>, maximumNorm: number): ClippedGradients {
  const call = 'clipGradients(gradients, maximumNorm)'
  checkArguments(call, [areGradients, is.number], [gradients, maximumNorm])
  checkSetting('maximumNorm', maximumNorm, 0)
  if (gradients.size === 0)
    throw new TypeError(
      'clipGradients: the map must have at least one gradient, such as the gradients of lossAndGradients',
    )
  const ours = isRecording() ? new Map<Storage, number>() : filledBy([...gradients.values()])
  return noGrad(() => {
    const all = [...gradients.values()]
    const { kernels } = deviceOf(all[0])
    const norm = (kernels.sumOfSquares?.(all) ?? sumOfSquares(all)).sqrt()
    const measurable = norm.less(Infinity)
    const factor = where(measurable, div(maximumNorm, norm.add(1e-6)).minimum(1), 0)
    if (!(all.every(({ storage }) => ours.has(storage)) && scaleInPlace(gradients, [...ours.keys()], factor)))
      for (const [name, gradient] of gradients) {
        const { storage } = gradient
        gradients.set(
          name,
          scope(() => where(measurable, gradient.mul(factor), 0)),
        )
        const left = ours.get(storage)
        if (left === undefined) continue
        ours.set(storage, left - 1)
        if (left === 1) storage.free(CLIPPED)
      }
    return { gradients, norm }
  })
}

const CLIPPED = 'the clipping of its gradients'

/** Scales all gradients in place, in memory that they fill, if their device supports this. */
function scaleInPlace(gradients: Map<string, Tensor>, memory: readonly Storage[], factor: Tensor): boolean {
  const { kernels, readSync } = deviceOf(factor)
  const whole = memory.map(storage => new Tensor(storage, [storage.length]))
  if (!kernels.scaleInPlace?.(whole, readSync ? factor.dataSync()[0] : factor)) return false
  const moved = new Map(memory.map(storage => [storage, storage.move(CLIPPED)]))
  for (const [name, { storage, shape, strides, offset }] of gradients)
    gradients.set(name, new Tensor(moved.get(storage)!, shape, strides, offset))
  return true
}

/** The memory that some of the tensors fill together, without overlaps and gaps, and how many they are. */
function filledBy(xs: readonly Tensor[]): Map<Storage, number> {
  const tensors = new Map<Storage, Tensor[]>()
  for (const x of xs) tensors.set(x.storage, [...(tensors.get(x.storage) ?? []), x])
  const filled = new Map<Storage, number>()
  for (const [storage, inside] of tensors) {
    inside.sort((a, b) => a.offset - b.offset)
    const ends = inside.map(({ offset, size }) => offset + size)
    const isNext = ({ isContiguous, offset }: Tensor, i: number) => isContiguous && offset === (ends[i - 1] ?? 0)
    if (inside.every(isNext) && ends.at(-1) === storage.length) filled.set(storage, inside.length)
  }
  return filled
}

/** Σ x² over all elements of all tensors: the reference for a device's own kernel. */
const sumOfSquares = (xs: readonly Tensor[]): Tensor =>
  xs.map(x => scope(() => x.square().sum())).reduce((a, b) => a.add(b))
