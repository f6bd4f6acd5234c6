// Training on a batch in parts. A part is either a share of a batch that does not fit into memory, computed after the others in this
// process (accumulation), or the batch of one of several processes. An objective defines the computation of a part, and a
// `Reducer` the exchange between parts, so both cases use the same mechanism.
//
// The computation of a part is a generator, not an async function: if all parts are in one process, gradients are computed
// synchronously, within the current scope and on the current device. A reducer between processes yields promises.

import { concat, noGrad } from '../autograd/index.ts'
import { storagesIn, type Tensor } from '../tensor/index.ts'

/** A computation in steps; between steps it waits for the other parts, through a promise if one is yielded. */
export type Steps<T> = Generator<Promise<unknown> | undefined, T, void>

/** Losses and gradients of a part; those of the batch are their sums. The reducer frees their memory. */
export interface Sums {
  /** by name, with `total` */
  readonly losses: Readonly<Record<string, Tensor>>
  /** by the names of the parameters */
  readonly gradients: ReadonlyMap<string, Tensor>
}

/** A result for all parts, and the rows of it that belong to one of them. */
export interface Gathered<T> {
  /** the result for all parts */
  readonly value: T
  /** the rows of one part: from `start` up to `stop` */
  readonly rows: readonly [{ readonly start: number; readonly stop: number }]
}

/** The exchange between the parts of a batch. Every part makes the same calls in the same order. */
export interface Reducer {
  /** number of parts */
  readonly parts: number
  /**
   * Computes a function of the tensors of all parts, once for all parts in this process.
   * @param own the tensors of this part, such as embeddings [rows, width]
   * @param of takes the tensors of all parts, each concatenated along its first axis
   * @returns rows of the first tensor
   */
  gather<T>(own: readonly Tensor[], of: (all: readonly Tensor[]) => T): Steps<Gathered<T>>
  /** The sums over all parts. */
  sum(own: Sums): Steps<Sums>
}

/** The exchanges between parts in one process: the first, the second, … */
class Accumulation {
  readonly parts: number
  readonly #rounds: { readonly own: (readonly Tensor[])[]; result?: { readonly value: unknown } }[] = []
  #sums: Sums | undefined

  constructor(parts: number) {
    this.parts = parts
  }

  /** The reducer of one part. */
  reducer(part: number): Reducer {
    let count = 0
    const gather = (own: readonly Tensor[], of: (all: readonly Tensor[]) => unknown) =>
      this.#gather(part, count++, own, of)
    return {
      parts: this.parts,
      gather: gather as Reducer['gather'],
      sum: own => this.#sum(own),
    }
  }

  *#gather(part: number, count: number, own: readonly Tensor[], of: (all: readonly Tensor[]) => unknown) {
    this.#rounds[count] ??= { own: [] }
    const round = this.#rounds[count]
    round.own[part] = own
    yield undefined
    round.result ??= { value: of(own.map((_, i) => concat(round.own.map(each => each[i])))) }
    const edges = round.own.map(([first]) => first.shape[0])
    const start = edges.slice(0, part).reduce((a, b) => a + b, 0)
    return { value: round.result.value, rows: [{ start, stop: start + edges[part] }] as const }
  }

  *#sum(own: Sums): Steps<Sums> {
    const before = this.#sums
    this.#sums = before ? added(before, own) : own
    const kept = storagesIn(this.#sums)
    for (const storage of storagesIn([before, own])) if (!kept.has(storage)) storage.free('the next part of its batch')
    yield undefined
    return this.#sums
  }
}

/** Adds out of place, because gradients may share memory. */
const added = (sums: Sums, part: Sums): Sums =>
  noGrad(() => ({
    losses: Object.fromEntries(
      Object.entries(part.losses).map(([name, loss]) => [name, sums.losses[name]?.add(loss) ?? loss]),
    ),
    gradients: new Map(
      [...part.gradients].map(([name, gradient]) => [name, sums.gradients.get(name)?.add(gradient) ?? gradient]),
    ),
  }))

/**
 * Runs a computation on parts, one after the other in this process: each runs until it waits for the others, and continues when
 * all have reached that point.
 * @param work the computation of one part
 * @returns the result of the last part; all parts have the same
 * @throws Error if the parts do not make the same exchanges
 */
export function accumulate<Part, T>(parts: readonly Part[], work: (part: Part, reducer: Reducer) => Steps<T>): T {
  const accumulation = new Accumulation(parts.length)
  const running = parts.map((part, i) => work(part, accumulation.reducer(i)))
  for (;;) {
    const turns = running.map(each => each.next())
    const ended = turns.filter(({ done }) => done).length
    if (ended === turns.length) return turns[turns.length - 1].value as T
    if (ended > 0) throw new Error(`accumulate: ${ended} of ${turns.length} parts ended while the others wait for them`)
  }
}

/**
 * The edges of parts of nearly equal size.
 * @throws RangeError unless count is 1 … size
 */
export function partition(
  call: string,
  size: number,
  count: number,
): { readonly start: number; readonly stop: number }[] {
  if (!Number.isInteger(count) || count < 1 || count > size)
    throw new RangeError(`${call}: parts must be 1 … ${size}, the size of the batch, not ${count}`)
  const edge = (i: number) => Math.round((i * size) / count)
  return Array.from({ length: count }, (_, i) => ({ start: edge(i), stop: edge(i + 1) }))
}
