// The seam between the parts of a batch. A part is what one worker has: a share of a batch that is larger than memory, one after the
// other in this process (accumulation), or the batch of one of several processes. An objective says what a part computes, and a
// `Reducer` what the parts exchange, so that both are the same mechanism.
//
// What a part computes is a generator, not an async function: where all parts are in one process nothing waits for the outside,
// so that gradients are there at once, inside of any scope and on any device that is selected. A reducer between processes
// yields promises.

import { concat, noGrad } from '../autograd/index.ts'
import { storagesIn, type Tensor } from '../tensor/index.ts'

/** Something that is computed step by step; between two of them it waits, for a promise if there is one. */
export type Steps<T> = Generator<Promise<unknown> | undefined, T, void>

/** Losses and gradients of a part, of which a batch's are the sums. The reducer frees their memory. */
export interface Sums {
  readonly losses: Readonly<Record<string, Tensor>>
  readonly gradients: ReadonlyMap<string, Tensor>
}

/** What was computed of all parts, and which rows of that belong to one of them. */
export interface Gathered<T> {
  readonly value: T
  readonly rows: readonly [{ readonly start: number; readonly stop: number }]
}

/** How the parts of a batch exchange what they have. Every part makes the same exchanges in the same order. */
export interface Reducer {
  /** how many parts there are */
  readonly parts: number
  /**
   * Computes something of the embeddings of all parts, once for all parts in this process.
   * @param own the tensors of this part, such as embeddings [rows, width]
   * @param of gets the tensors of all parts, each concatenated along its first axis
   * @returns rows of the first tensor
   */
  gather<T>(own: readonly Tensor[], of: (all: readonly Tensor[]) => T): Steps<Gathered<T>>
  /** The sums over all parts. */
  sum(own: Sums): Steps<Sums>
}

/** What the parts in one process have exchanged: the first exchange, the second, … */
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

/** Gradients may lie in one memory, so none is added to in its place. */
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
 * Computes something of a batch in parts, one after the other in this process: each runs until it waits for the others, and goes
 * on when all have come so far.
 * @param work what one part computes
 * @returns what the last part gives, which all give alike
 * @throws Error where the parts do not make the same exchanges
 */
export function accumulate<Part, T>(parts: readonly Part[], work: (part: Part, reducer: Reducer) => Steps<T>): T {
  const accumulation = new Accumulation(parts.length)
  const running = parts.map((part, i) => work(part, accumulation.reducer(i)))
  for (;;) {
    const turns = running.map(each => each.next())
    const ended = turns.filter(({ done }) => done).length
    if (ended === turns.length) return turns[turns.length - 1].value as T
    if (ended > 0) throw new Error(`accumulate: ${ended} of ${turns.length} parts ended while others wait for them`)
  }
}

/**
 * The edges of parts that are as even as can be.
 * @throws RangeError unless there are 1 … size parts
 */
export function partition(
  call: string,
  size: number,
  count: number,
): { readonly start: number; readonly stop: number }[] {
  if (!Number.isInteger(count) || count < 1 || count > size)
    throw new RangeError(`${call}: ${count} parts of a batch of ${size}`)
  const edge = (i: number) => Math.round((i * size) / count)
  return Array.from({ length: count }, (_, i) => ({ start: edge(i), stop: edge(i + 1) }))
}
