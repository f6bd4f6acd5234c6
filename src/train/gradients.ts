// The gradient of a batch, whole or in parts.

import { lossAndGradients } from '../nn/index.ts'
import { scope } from '../tensor/index.ts'
import { type Losses, type LossGradients, lossesOf, type Objective, sizeOf, sliceOf } from './objective.ts'
import { accumulate, partition, type Reducer, type Steps } from './parallel.ts'

/**
 * The losses of a batch and their gradients, with the activations of one of its parts at a time.
 * @param parts limited to the number of examples
 * @throws RangeError if a batch of unknown size should be split
 */
export function batchGradients<Batch>(objective: Objective<Batch>, batch: Batch, parts: number): LossGradients {
  if (parts === 1) return lossAndGradients(objective.model, () => lossesOf(objective, batch))
  const size = sizeOf(objective, batch)
  if (size === undefined)
    throw new RangeError(
      'a batch without tensors cannot be split into parts: define size() and slice() in the objective',
    )
  const edges = partition('batchGradients', size, Math.min(parts, size))
  if (objective.gradients) {
    const cut = edges.map(({ start, stop }) => sliceOf(objective, batch, start, stop))
    return accumulate(cut, (part, reducer) => objective.gradients!(part, reducer))
  }
  const weighed = edges.map(({ start, stop }) => {
    const slice = () => sliceOf(objective, batch, start, stop)
    return { slice, weight: objective.weight ? objective.weight(slice()) : stop - start }
  })
  const whole = weighed.reduce((sum, { weight }) => sum + weight, 0)
  return accumulate(weighed, ({ slice, weight }, reducer) =>
    meanOfParts(objective, slice, weight / Math.max(whole, 1), reducer),
  )
}

/** For a loss that is a mean: the sum over the parts, each weighted by its share of the whole. */
function* meanOfParts<Batch>(
  objective: Objective<Batch>,
  part: () => Batch,
  share: number,
  reducer: Reducer,
): Steps<LossGradients> {
  const own = scope(() => {
    const { loss, gradients } = lossAndGradients(objective.model, (): Losses => {
      const losses = Object.entries(lossesOf(objective, part()))
      return Object.fromEntries(losses.map(([name, loss]) => [name, loss.mul(share)])) as unknown as Losses
    })
    return { losses: loss, gradients }
  })
  const { losses, gradients } = yield* reducer.sum(own)
  return { loss: losses as Losses, gradients: new Map(gradients) }
}
