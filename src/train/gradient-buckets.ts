// The sum of gradients over processes, which begins during the backward pass: gradients are copied into buckets, and a bucket is sent as
// soon as it is full. Each gradient of the result is a view of its bucket, so nothing is copied back.
//
// Every process has the same buckets, and starts them in the same order, so that the gradients may become complete in any order. It is
// that of the parameters from the last to the first: a backward pass reaches the last layers first. It does not depend on the steps before,
// so a training that is resumed adds in the same order, and has the same bits.

import type { Communicator } from '../mpi/index.ts'
import type { Module, Parameter } from '../nn/index.ts'
import { innermost, runIn } from '../tensor/context.ts'
import { bytesPerElement } from '../tensor/dtype.ts'
import {
  type DeviceName,
  type DType,
  deviceOf,
  keep,
  SyncReadError,
  type Tensor,
  type TypedArray,
  zeros,
} from '../tensor/index.ts'
import { contiguousStrides } from '../tensor/shape.ts'

/** The bytes that are summed over all processes at a time: large enough that the start of an exchange does not matter. */
const BUCKET_BYTES = 4 * 2 ** 20

/** Gradients that are summed together. */
interface Bucket {
  readonly dtype: DType
  readonly device: DeviceName
  /** number of elements */
  length: number
  /** names of the gradients that it waits for */
  readonly missing: Set<string>
  /** allocated for the first gradient */
  memory?: Tensor
}

/** The place of a gradient in its bucket. */
interface Place {
  readonly bucket: Bucket
  readonly parameter: Parameter
  readonly offset: number
}

/** The gradients of a step of this process, and then their sums over all processes. */
export class GradientBuckets {
  readonly #ranks: Communicator
  readonly #places: ReadonlyMap<string, Place>
  readonly #buckets: readonly Bucket[]
  /** the scope that owns the sums */
  readonly #home = innermost()
  #started = 0

  /** @param bytes after which a bucket ends */
  constructor(ranks: Communicator, model: Module, bytes = BUCKET_BYTES) {
    this.#ranks = ranks
    const trained = [...model.namedParameters()].filter(([, { trainable }]) => trainable)
    const open = new Map<DType, Bucket>()
    const buckets: Bucket[] = []
    const places = new Map<string, Place>()
    for (const [name, parameter] of trained.reverse()) {
      const { dtype, device, size } = parameter
      const bucket = open.get(dtype) ?? { dtype, device, length: 0, missing: new Set() }
      if (bucket.length === 0) buckets.push(bucket)
      places.set(name, { bucket, parameter, offset: bucket.length })
      bucket.missing.add(name)
      bucket.length += size
      if (bucket.length * bytesPerElement(dtype) < bytes) open.set(dtype, bucket)
      else open.delete(dtype)
    }
    // in the order of the model, in which one process has its gradients
    this.#places = new Map([...places].reverse())
    this.#buckets = buckets
  }

  /**
   * Takes a complete gradient of this process, starts the buckets that are full, and lets those that were started before go on.
   * @throws RangeError for a name that is not that of a trainable parameter, or that was given before
   */
  give(name: string, gradient: Tensor): void {
    const place = this.#places.get(name)
    if (!place?.bucket.missing.delete(name))
      throw new RangeError(
        `the gradient of ${name} ${place ? 'was given twice' : 'is not that of a trainable parameter of the model'}`,
      )
    const { bucket, offset } = place
    elementsOf(this.#memoryOf(bucket)).set(elementsOf(gradient), offset)
    this.#start(({ missing }) => missing.size === 0)
    this.#ranks.progress()
  }

  /** Starts the buckets that are left. A gradient that was not given counts as zeros. */
  startAll(): void {
    this.#start(() => true)
  }

  /** The sums of the gradients that were given, by name, when their exchange is complete. */
  sums(): ReadonlyMap<string, Tensor> {
    const given = [...this.#places].filter(([name, { bucket }]) => !bucket.missing.has(name))
    return new Map(
      given.map(
        ([
          name,
          {
            bucket,
            parameter: { shape },
            offset,
          },
        ]) => [name, bucket.memory!.view(shape, contiguousStrides(shape), offset)],
      ),
    )
  }

  /** Takes the memory from its scope, because MPI may still write into it: it is freed when nothing refers to it any more. */
  abandon(): void {
    for (const { memory } of this.#buckets) if (memory) keep(memory)
  }

  #start(isReady: (bucket: Bucket) => boolean): void {
    for (; this.#started < this.#buckets.length; this.#started++) {
      const bucket = this.#buckets[this.#started]
      if (!isReady(bucket)) return
      const memory = this.#memoryOf(bucket)
      this.#ranks.startAllReduceSum(elementsOf(memory) as Float32Array | Float64Array, memory)
    }
  }

  #memoryOf(bucket: Bucket): Tensor {
    const allocate = () => {
      const { length, dtype, device } = bucket
      const one = zeros([length], { dtype, device })
      return deviceOf(one).kernels.copy(one)
    }
    bucket.memory ??= runIn(this.#home, allocate)
    return bucket.memory
  }
}

/**
 * The elements of a tensor on the host, where they are if they are in row-major order.
 * @throws SyncReadError on a device whose memory the host cannot reach
 */
export function elementsOf(tensor: Tensor): TypedArray {
  const { elements, name } = deviceOf(tensor)
  if (!elements) throw new SyncReadError(name)
  return tensor.isContiguous ? elements(tensor) : tensor.dataSync()
}
