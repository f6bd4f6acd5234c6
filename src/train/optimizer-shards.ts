// The state of an optimizer, divided among processes: ZeRO stage 1 of Rajbhandari et al. 2020 (arXiv 1910.02054), as in PyTorch's
// ZeroRedundancyOptimizer. Each process has the state of some whole parameters and updates those, which every optimizer allows; then it
// sends them to the others. The update of a parameter does not depend on the others, so the result is that of an undivided optimizer, bit
// for bit.

import type { Communicator } from '../mpi/index.ts'
import { absent } from '../nn/parameter.ts'
import type { Optimizer, OptimizerState } from '../optim/index.ts'
import { allocate, type DType, fromData, type Shape, type Tensor } from '../tensor/index.ts'
import { elementsOf } from './gradient-buckets.ts'

/** A tensor of the state, which one process has. */
interface Part {
  /** `slot.parameter` */
  readonly key: string
  readonly shape: Shape
  readonly dtype: DType
  readonly rank: number
}

/** What a process tells about its state. */
interface Described {
  readonly steps: Readonly<Record<string, number>>
  readonly tensors: readonly Omit<Part, 'rank'>[]
}

/** In place of the number of a tensor: there are no more requests. */
const NO_MORE = -1

/** The optimizer of one of several processes, which has the state of its share of the parameters. */
export class OptimizerShards {
  readonly #ranks: Communicator
  readonly #optimizer: Optimizer
  /** the rank of each parameter, in the order of the parameters */
  readonly #owners: ReadonlyMap<string, number>
  /** on rank 0, while a checkpoint is written */
  #whole: OptimizerState | undefined

  /** @param optimizer is restricted to the share of this process from now on */
  constructor(ranks: Communicator, optimizer: Optimizer) {
    this.#ranks = ranks
    this.#optimizer = optimizer
    this.#owners = ownersOf(optimizer, ranks.size)
    optimizer.restrictTo(name => this.#owners.get(name) === ranks.rank)
  }

  /** As `step` of an optimizer: updates the parameters of this process, and takes the others from the processes that have them. */
  step(gradients: ReadonlyMap<string, Tensor>, learningRate: number): void {
    this.#optimizer.step(gradients, learningRate)
    const updated = [...this.#optimizer.parameters].filter(([name, { trainable }]) => trainable && gradients.has(name))
    for (const [name, parameter] of updated)
      this.#ranks.startBroadcast(elementsOf(parameter), this.#owners.get(name)!, parameter)
    this.#ranks.complete()
    for (const [name, parameter] of updated) if (this.#owners.get(name) !== this.#ranks.rank) parameter.renew()
  }

  /**
   * Lets rank 0 save the state of all processes, which send it one tensor at a time. Every process calls it.
   * @param save of rank 0: `stateDict` gives the whole state until it ends
   */
  async whole(save: () => Promise<void>): Promise<void> {
    const ranks = this.#ranks
    const { tensors, values } = this.#optimizer.stateDict()
    const own: Described = {
      steps: values.steps,
      tensors: [...tensors].map(([key, { shape, dtype }]) => ({ key, shape, dtype })),
    }
    const all = ranks.allGatherText(JSON.stringify(own)).map(text => JSON.parse(text) as Described)
    const parts = all.flatMap(({ tensors }, rank) => tensors.map((tensor): Part => ({ ...tensor, rank })))
    if (ranks.rank > 0) {
      const request = new Int32Array(1)
      for (ranks.broadcast(request); request[0] !== NO_MORE; ranks.broadcast(request)) {
        const { key, rank } = parts[request[0]]
        if (rank === ranks.rank) ranks.send(elementsOf(tensors.get(key)!), 0)
      }
      return
    }
    const later = (part: Part, i: number) => [part.key, part.rank === 0 ? tensors.get(part.key)! : this.#asked(part, i)]
    const found = new Map(parts.map((part, i) => later(part, i) as [string, Tensor]))
    const steps = Object.assign({}, ...all.map(({ steps }) => steps)) as Described['steps']
    this.#whole = this.#inOrder(found, { ...values, steps })
    try {
      await save()
    } finally {
      this.#whole = undefined
      ranks.broadcast(Int32Array.of(NO_MORE))
    }
  }

  /** The state of all processes, on rank 0 in `save` of {@link whole}. Tensors of others are received when they are read. */
  stateDict(): OptimizerState {
    if (!this.#whole) throw new Error('the state of a divided optimizer is there while whole(save) runs, on rank 0')
    return this.#whole
  }

  /** A tensor of another process, received each time that it is read. */
  #asked({ shape, dtype, rank }: Part, i: number): Tensor {
    return absent(shape, dtype, () => {
      const values = allocate(dtype, shape)
      this.#ranks.broadcast(Int32Array.of(i))
      this.#ranks.receive(values, rank)
      return fromData(values, shape, undefined, dtype)
    })
  }

  /** In the order of the parameters, as the state of an undivided optimizer. */
  #inOrder(tensors: ReadonlyMap<string, Tensor>, { steps, algorithm }: OptimizerState['values']): OptimizerState {
    const keys = new Map<string, string[]>()
    for (const key of tensors.keys()) {
      const name = key.slice(key.indexOf('.') + 1)
      keys.set(name, [...(keys.get(name) ?? []), key])
    }
    const names = [...this.#owners.keys()].filter(name => name in steps)
    return {
      tensors: new Map(names.flatMap(name => (keys.get(name) ?? []).map(key => [key, tensors.get(key)!] as const))),
      values: { algorithm, steps: Object.fromEntries(names.map(name => [name, steps[name]])) },
    }
  }
}

/** The rank of each parameter: the largest first, each to the process that has the fewest elements, the first of several. */
export function ownersOf({ parameters }: Optimizer, ranks: number): ReadonlyMap<string, number> {
  const elements = new Array<number>(ranks).fill(0)
  const owners = new Map<string, number>([...parameters.keys()].map(name => [name, 0]))
  // frozen parameters need no state
  const counted = [...parameters].map(([name, { size, trainable }]) => ({ name, size: trainable ? size : 0 }))
  for (const { name, size } of counted.sort((a, b) => b.size - a.size)) {
    const rank = elements.indexOf(Math.min(...elements))
    owners.set(name, rank)
    elements[rank] += size
  }
  return owners
}

/** The processes of a training, and whether they divide the state of the optimizer among them. */
export interface RankOptions {
  readonly ranks?: Communicator
  readonly shardOptimizer?: boolean
}

/** The shares of an optimizer, if it is to be divided and there is more than one process. */
export const shardsFor = (optimizer: Optimizer, { ranks, shardOptimizer }: RankOptions): OptimizerShards | undefined =>
  shardOptimizer && ranks && ranks.size > 1 ? new OptimizerShards(ranks, optimizer) : undefined
