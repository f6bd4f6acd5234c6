// The exchange between processes, each with its part of every batch, over MPI. Values are read on the host, exchanged, and written
// to the device again.

import type { Communicator } from '../mpi/index.ts'
import { type DType, deviceOf, fromData, sizeOf, type Tensor, type TypedArray } from '../tensor/index.ts'
import type { Exchange, Sums } from './parallel.ts'

/** The bytes that are summed over all processes at a time: large enough that the start of an exchange does not matter. */
const BUCKET_BYTES = 4 * 2 ** 20

/** A tensor that is exchanged, and its values. */
interface Exchanged {
  readonly like: Tensor
  readonly values: TypedArray
}

/**
 * The exchange between the processes of a communicator.
 * @param ranks.parts the number of parts of all processes
 */
export function exchangeOver(ranks: Communicator, parts: number): Exchange {
  return {
    parts,
    gather(own) {
      let start = 0
      const all = own.map((tensor, i) => {
        const { values, counts } = ranks.allGather(valuesOf(tensor))
        const row = sizeOf(tensor.shape.slice(1))
        if (i === 0) start = counts.slice(0, ranks.rank).reduce((a, b) => a + b, 0) / row
        return written({ like: tensor, values }, [values.length / row, ...tensor.shape.slice(1)])
      })
      return { all, start }
    },
    sum(own) {
      const named = [...Object.entries(own.losses), ...own.gradients]
      const summed = summedOver(
        ranks,
        named.map(([, tensor]) => tensor),
      )
      const count = Object.keys(own.losses).length
      const pairs = named.map(([name], i) => [name, summed[i]] as const)
      return {
        losses: Object.fromEntries(pairs.slice(0, count)) as Sums['losses'],
        gradients: new Map(pairs.slice(count)),
      }
    },
  }
}

/** The sums of tensors over all processes. */
function summedOver(ranks: Communicator, tensors: readonly Tensor[]): Tensor[] {
  const summed = new Map<Tensor, Tensor>()
  for (const dtype of new Set(tensors.map(tensor => tensor.dtype)))
    for (const bucket of bucketsOf(tensors.filter(tensor => tensor.dtype === dtype))) {
      const numbers = dtype === 'float64' ? Float64Array : Float32Array
      const values = new numbers(bucket.reduce((sum, { size }) => sum + size, 0))
      let at = 0
      for (const tensor of bucket) {
        values.set(valuesOf(tensor), at)
        at += tensor.size
      }
      ranks.allReduceSum(values)
      at = 0
      for (const like of bucket) {
        summed.set(like, written({ like, values: values.subarray(at, at + like.size) }, like.shape))
        at += like.size
      }
    }
  return tensors.map(tensor => summed.get(tensor)!)
}

/** Tensors, in order, in groups of about the size of a bucket. */
function bucketsOf(tensors: readonly Tensor[]): Tensor[][] {
  const buckets: Tensor[][] = []
  let room = 0
  for (const tensor of tensors) {
    if (room <= 0) {
      buckets.push([])
      room = BUCKET_BYTES
    }
    buckets[buckets.length - 1].push(tensor)
    room -= tensor.size * bytesOf(tensor.dtype)
  }
  return buckets
}

const bytesOf = (dtype: DType): number => (dtype === 'float64' ? 8 : 4)

/** @throws SyncReadError on a device whose values can only be read asynchronously */
const valuesOf = (tensor: Tensor): TypedArray => tensor.dataSync()

const written = ({ like, values }: Exchanged, shape: readonly number[]): Tensor =>
  fromData(values, shape, deviceOf(like), like.dtype)
