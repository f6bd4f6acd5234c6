// The exchange between processes, each with its part of every batch, over MPI. Values are exchanged where they are in memory, which the
// host must be able to reach: that of cpu and of reference.

import type { Communicator } from '../mpi/index.ts'
import type { Module } from '../nn/index.ts'
import { deviceOf, fromData, sizeOf } from '../tensor/index.ts'
import { elementsOf, GradientBuckets } from './gradient-buckets.ts'
import type { Exchange } from './parallel.ts'

/**
 * The exchange between the processes of a communicator.
 * @param model whose gradients are summed
 * @param parts the number of parts of all processes
 */
export function exchangeOver(ranks: Communicator, model: Module, parts: number): Exchange {
  const buckets = new GradientBuckets(ranks, model)
  return {
    parts,
    gather(own) {
      let start = 0
      const all = own.map((tensor, i) => {
        const { values, counts } = ranks.allGather(elementsOf(tensor))
        const row = sizeOf(tensor.shape.slice(1))
        if (i === 0) start = counts.slice(0, ranks.rank).reduce((a, b) => a + b, 0) / row
        return fromData(values, [values.length / row, ...tensor.shape.slice(1)], deviceOf(tensor), tensor.dtype)
      })
      return { all, start }
    },
    give: (name, gradient) => buckets.give(name, gradient),
    sum(losses) {
      const named = Object.entries(losses)
      const values = Float64Array.from(named, ([, loss]) => elementsOf(loss)[0])
      buckets.startAll()
      ranks.startAllReduceSum(values)
      ranks.complete()
      const sums = named.map(([name, loss], i) => {
        const { shape, dtype } = loss
        return [name, fromData(values.subarray(i, i + 1), shape, deviceOf(loss), dtype)] as const
      })
      return { losses: Object.fromEntries(sums), gradients: buckets.sums() }
    },
    abandon: () => buckets.abandon(),
  }
}
