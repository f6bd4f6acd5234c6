// The gradients of an objective, captured: their kernels run again without JavaScript, as long as the batches have the same shapes.

import { type Captured, capture } from '../autograd/index.ts'
import { type LossAndGradients, lossAndGradients } from '../nn/index.ts'
import { Tensor } from '../tensor/index.ts'
import { warn } from '../tensor/warn.ts'
import { leavesOf, mapLeaves } from './batch-tree.ts'
import { type Losses, type LossGradients, lossesOf, type Objective } from './objective.ts'

/** The gradients of whole batches. */
export interface CapturedGradients<Batch> {
  /** The losses of a batch and their gradients, which the next call frees. */
  of(batch: Batch): LossGradients
  /** Frees their memory. */
  release(): void
}

/** The structure of inputs, and what is in them beside tensors, as text; undefined if that is more than numbers and texts. */
function structureOf(inputs: unknown): string | undefined {
  if (!leavesOf(inputs).every(leaf => leaf instanceof Tensor)) return undefined
  let isPlain = true
  const text = JSON.stringify(
    mapLeaves(inputs, () => 'tensor'),
    (_, value) => {
      if (['function', 'symbol', 'bigint'].includes(typeof value)) isPlain = false
      if (typeof value === 'object' && value !== null && !Array.isArray(value))
        isPlain &&= [Object.prototype, null].includes(Object.getPrototypeOf(value))
      return value
    },
  )
  return isPlain ? text : undefined
}

/**
 * The gradients of an objective by `capture`. Batches that contain more than tensors, numbers and texts are computed as they are. A
 * process warning says why, if kernels cannot be repeated.
 */
export function capturedGradients<Batch>(objective: Objective<Batch>): CapturedGradients<Batch> {
  const { model } = objective
  const isMade = objective.inputs !== undefined && objective.lossOfInputs !== undefined
  const inputsOf = (batch: Batch): unknown => (isMade ? objective.inputs!(batch) : batch)
  const loss = (inputs: unknown) => (isMade ? objective.lossOfInputs!(inputs) : objective.loss(inputs as Batch))
  const plain = (inputs: unknown) => lossAndGradients(model, () => lossesOf({ model, loss }, inputs))
  let structure: string | undefined
  let captured: Captured<readonly Tensor[], LossAndGradients<Losses>> | undefined
  let isWarned = false
  const release = () => {
    captured?.release()
    captured = undefined
  }
  return {
    of(batch) {
      const inputs = inputsOf(batch)
      const found = structureOf(inputs)
      if (found === undefined) return plain(inputs)
      if (!captured || found !== structure) {
        release()
        structure = found
        captured = capture((...tensors: readonly Tensor[]) => {
          const rest = tensors.values()
          return plain(mapLeaves(inputs, () => rest.next().value))
        })
      }
      const result = captured(...(leavesOf(inputs) as Tensor[]))
      if (captured.reason !== undefined && !isWarned) {
        isWarned = true
        warn(`capture has no effect, because of what the loss does: ${captured.reason}`, 'CaptureWarning')
      }
      return result
    },
    release,
  }
}
