// Gradients kept from being too long together (Pascanu et al. 2013).

import { div, noGrad, where } from '../autograd/index.ts'
import { checkArguments, deviceOf, is, type Tensor } from '../tensor/index.ts'
import { areGradients } from './optimized.ts'
import { checkSetting } from './optimizer.ts'

export interface ClippedGradients {
  readonly gradients: Map<string, Tensor>
  /** ‖g‖ over all gradients before clipping, a scalar on their device: reading it is the caller's choice */
  readonly norm: Tensor
}

/**
 * g · min(1, maximumNorm / (‖g‖ + 1e-6)), with one norm for all gradients. Nothing is read, so a GPU never waits.
 *
 * Where the norm is infinite or not a number there is no direction to go: all gradients become 0, so that moments and
 * parameters stay finite, and the norm that is returned tells. The sum of squares is taken in the gradients' dtype: in
 * float32, norms from 1.8e19 on count as infinite.
 * @param gradients by name, all on one device
 */
export function clipGradients(gradients: ReadonlyMap<string, Tensor>, maximumNorm: number): ClippedGradients {
  const call = 'clipGradients(gradients, maximumNorm)'
  checkArguments(call, [areGradients, is.number], [gradients, maximumNorm])
  checkSetting('maximumNorm', maximumNorm, 0)
  if (gradients.size === 0) throw new TypeError('clipGradients: there are no gradients')
  return noGrad(() => {
    const all = [...gradients.values()]
    const squares = deviceOf(all[0]).kernels.sumOfSquares?.(all) ?? sumOfSquares(all)
    const norm = squares.sqrt()
    const measurable = norm.less(Infinity)
    const factor = div(maximumNorm, norm.add(1e-6)).minimum(1)
    const clipped = [...gradients].map(
      ([name, gradient]) => [name, where(measurable, gradient.mul(factor), 0)] as const,
    )
    return { gradients: new Map(clipped), norm }
  })
}

/** Σ x² over all elements of all tensors: what a device's own kernel must agree with. */
const sumOfSquares = (xs: readonly Tensor[]): Tensor => xs.map(x => x.square().sum()).reduce((a, b) => a.add(b))
