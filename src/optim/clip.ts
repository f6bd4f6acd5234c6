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
  const isOurs = isRecording() ? () => false : aloneInMemory([...gradients.values()])
  return noGrad(() => {
    const all = [...gradients.values()]
    const { kernels } = deviceOf(all[0])
    const norm = (kernels.sumOfSquares?.(all) ?? sumOfSquares(all)).sqrt()
    const measurable = norm.less(Infinity)
    const factor = where(measurable, div(maximumNorm, norm.add(1e-6)).minimum(1), 0)
    if (!(all.every(isOurs) && scaleInPlace(gradients, factor)))
      for (const [name, gradient] of gradients) {
        gradients.set(
          name,
          scope(() => where(measurable, gradient.mul(factor), 0)),
        )
        if (isOurs(gradient)) gradient.storage.free(CLIPPED)
      }
    return { gradients, norm }
  })
}

const CLIPPED = 'the clipping of its gradients'

/** Scales all gradients in place, if their device supports this. */
function scaleInPlace(gradients: Map<string, Tensor>, factor: Tensor): boolean {
  const { kernels, readSync } = deviceOf(factor)
  if (!kernels.scaleInPlace?.([...gradients.values()], readSync ? factor.dataSync()[0] : factor)) return false
  for (const [name, { storage, shape, strides }] of gradients)
    gradients.set(name, new Tensor(storage.move(CLIPPED), shape, strides))
  return true
}

/** Returns a function that says whether a tensor fills its memory and is the only one of the given tensors there. */
function aloneInMemory(xs: readonly Tensor[]): (x: Tensor) => boolean {
  const uses = new Map<Storage, number>()
  for (const { storage } of xs) uses.set(storage, (uses.get(storage) ?? 0) + 1)
  return x => x.isContiguous && x.size === x.storage.length && uses.get(x.storage) === 1
}

/** Σ x² over all elements of all tensors: the reference for a device's own kernel. */
const sumOfSquares = (xs: readonly Tensor[]): Tensor =>
  xs.map(x => scope(() => x.square().sum())).reduce((a, b) => a.add(b))
