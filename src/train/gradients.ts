// The gradient of a batch, whole, in parts, or in parts of several processes.

import type { Communicator } from '../mpi/index.ts'
import { lossAndGradients, type Module } from '../nn/index.ts'
import { scope } from '../tensor/index.ts'
import { type Losses, type LossGradients, lossesOf, type Objective, sizeOf, sliceOf } from './objective.ts'
import { type AccumulateOptions, accumulate, inOrderOf, partition, type Reducer, type Steps } from './parallel.ts'
import { exchangeOver } from './rank-exchange.ts'

/**
 * The losses of a batch and their gradients, with the activations of one of its parts at a time.
 * @param batch the whole batch; with `ranks`, the examples of this process
 * @param parts limited to the number of examples
 * @param ranks the processes that together have the batch, in the order of its examples; each gets the losses and gradients of all.
 *   Needs a device whose values can be read synchronously: cpu or reference
 * @throws RangeError if a batch of unknown size should be split
 */
export function batchGradients<Batch>(
  objective: Objective<Batch>,
  batch: Batch,
  parts: number,
  ranks?: Communicator,
): LossGradients {
  if (parts === 1 && !ranks) return lossAndGradients(objective.model, () => lossesOf(objective, batch))
  const size = sizeOf(objective, batch)
  if (size === undefined)
    throw new RangeError(
      'a batch without tensors cannot be split into parts: define size() and slice() in the objective',
    )
  const edges = partition('batchGradients', size, Math.min(parts, size))
  const cut = edges.map(({ start, stop }) => {
    const slice = () => (edges.length === 1 ? batch : sliceOf(objective, batch, start, stop))
    return { slice, weight: objective.weight && !objective.gradients ? objective.weight(slice()) : stop - start }
  })
  const weight = cut.reduce((sum, part) => sum + part.weight, 0)
  const own = { size, weight, parts: edges.length }
  const whole = ranks ? amongRanks(ranks, objective.model, own) : { start: 0, total: size, weight, exchange: undefined }
  const options: AccumulateOptions = {
    rows: edges.map(({ start, stop }) => ({
      start: whole.start + start,
      stop: whole.start + stop,
      total: whole.total,
    })),
    exchange: whole.exchange,
  }
  const { loss, gradients } = accumulate(
    cut,
    ({ slice, weight: own }, reducer) =>
      objective.gradients?.(slice(), reducer) ??
      meanOfParts(objective, slice, own / Math.max(whole.weight, 1), reducer),
    options,
  )
  return { loss, gradients: inOrderOf(objective.model, gradients) }
}

/** Where the examples of this process are in the whole batch, the weight of the whole, and the exchange with the others. */
function amongRanks(
  ranks: Communicator,
  model: Module,
  own: { readonly size: number; readonly weight: number; readonly parts: number },
): {
  readonly start: number
  readonly total: number
  readonly weight: number
  readonly exchange: AccumulateOptions['exchange']
} {
  const { values } = ranks.allGather(Float64Array.of(own.size, own.weight, own.parts))
  const sum = (column: number, until = ranks.size) => {
    let total = 0
    for (let rank = 0; rank < until; rank++) total += values[3 * rank + column]
    return total
  }
  return { start: sum(0, ranks.rank), total: sum(0), weight: sum(1), exchange: exchangeOver(ranks, model, sum(2)) }
}

/** For a loss that is a mean: the sum over the parts, each weighted by its share of the whole. */
function* meanOfParts<Batch>(
  objective: Objective<Batch>,
  part: () => Batch,
  share: number,
  reducer: Reducer,
): Steps<LossGradients> {
  const own = scope(() => {
    const of = (): Losses => {
      const losses = Object.entries(lossesOf(objective, part()))
      return Object.fromEntries(losses.map(([name, loss]) => [name, loss.mul(share)])) as unknown as Losses
    }
    const { loss, gradients } = lossAndGradients(objective.model, of, { onGradient: reducer.onGradient })
    return { losses: loss, gradients }
  })
  const { losses, gradients } = yield* reducer.sum(own)
  return { loss: losses as Losses, gradients: new Map(gradients) }
}
