// Training on a batch in parts. A part is a share of a batch that does not fit into memory, computed after the others in this
// process (accumulation), and several processes can each have some of the parts. An objective defines the computation of a part, and
// a `Reducer` the exchange between parts, so both cases use the same mechanism.
//
// The computation of a part is a generator, not an async function: gradients are computed synchronously, within the current scope and
// on the current device. What the parts of this process have together is then exchanged with the other processes at once.

import { concat, noGrad } from '../autograd/index.ts'
import type { Module } from '../nn/index.ts'
import { innermost, runIn } from '../tensor/context.ts'
import { withDraws } from '../tensor/draws.ts'
import { defaultGenerator, deviceOf, type Shape, sizeOf, storagesIn, type Tensor } from '../tensor/index.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { WORDS_PER_UNIFORM } from '../tensor/random.ts'

/** A computation in steps; between steps it waits for the other parts, through a promise if one is yielded. */
export type Steps<T> = Generator<Promise<unknown> | undefined, T, void>

/** Losses and gradients of a part; those of the batch are their sums. The reducer frees their memory. */
export interface Sums {
  /** by name, with `total` */
  readonly losses: Readonly<Record<string, Tensor>>
  /** by the names of the parameters; of a part, those that `onGradient` of its reducer did not take */
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
  /**
   * Runs steps with calls of `gather` without a wait, so that they can be a piece of a forward pass that a tape records: what the tape
   * keeps then serves the backward pass, and no second forward pass is needed. Undefined where other parts of this process have to be
   * computed first; processes that have it can exchange with others that have not
   */
  readonly runNow?: <T>(steps: Steps<T>) => T
  /**
   * Takes each gradient of this part during its backward pass: give it to `lossAndGradients(model, f, { onGradient })`. The sums are formed
   * and exchanged while the pass goes on. Undefined where `sum` takes the gradients of the result, which works everywhere
   */
  readonly onGradient?: (name: string, gradient: Tensor) => void
  /** The sums over all parts. */
  sum(own: Sums): Steps<Sums>
}

/** The exchange between processes of what the parts of each have together. Every process makes the same calls in the same order. */
export interface Exchange {
  /** number of parts of all processes */
  readonly parts: number
  /** The tensors of all processes, each concatenated along its first axis, and how many rows of the first are of processes before this one. */
  gather(own: readonly Tensor[]): { readonly all: readonly Tensor[]; readonly start: number }
  /** Takes the gradient of a parameter, once, when it is complete in this process. Its memory may be freed afterwards. */
  give(name: string, gradient: Tensor): void
  /** The sums over all processes of losses, and of the gradients that were given, with the same bits on each. */
  sum(losses: Sums['losses']): Sums
  /** After an error: what is on its way stays in memory. */
  abandon(): void
}

/** The examples start … stop - 1 of a batch of some total size. */
export interface Rows {
  /** the first of them */
  readonly start: number
  /** the one after the last of them */
  readonly stop: number
  /** the size of the whole batch */
  readonly total: number
}

/** How parts are computed. */
export interface AccumulateOptions {
  /**
   * the examples of each part in the whole batch, so that each example has the random numbers that it has in a batch that is not
   * divided; without them each part draws the next random numbers
   */
  readonly rows?: readonly Rows[]
  /** the exchange with other processes; default none */
  readonly exchange?: Exchange
}
const accumulateOptions = { rows: undefined, exchange: undefined } satisfies Settings<AccumulateOptions>

/** The exchanges between parts in one process: the first, the second, … */
class Accumulation {
  readonly parts: number
  readonly #exchange: Exchange | undefined
  readonly #rounds: {
    readonly own: (readonly Tensor[])[]
    result?: { readonly value: unknown; readonly start: number }
  }[] = []
  /** the parts in this process */
  readonly #own: number
  /** the scope around all parts, which owns their sums */
  readonly #home = innermost()
  /** of the parts so far; with an exchange those of the last part are given to it instead */
  readonly #gradients = new Map<string, Tensor>()
  #losses: Sums['losses'] | undefined
  #sums: Sums | undefined

  constructor(parts: number, exchange: Exchange | undefined) {
    this.parts = exchange?.parts ?? parts
    this.#own = parts
    this.#exchange = exchange
  }

  /** The reducer of one part. */
  reducer(part: number): Reducer {
    let count = 0
    const gather = (own: readonly Tensor[], of: (all: readonly Tensor[]) => unknown) =>
      this.#gather(part, count++, own, of)
    return {
      parts: this.parts,
      gather: gather as Reducer['gather'],
      ...(this.#own === 1 && { runNow: <T>(steps: Steps<T>) => noGrad(() => lastOf(steps)) }),
      ...(!this.#isAlone && { onGradient: (name, gradient) => this.#add(part, name, gradient) }),
      sum: own => this.#sum(part, own),
    }
  }

  /** Whether there is one part, so that nothing is summed. */
  get #isAlone(): boolean {
    return this.#own === 1 && !this.#exchange
  }

  /** Adds a gradient of a part to those of the parts before. It may share memory with others, so what is kept is a copy. */
  #add(part: number, name: string, gradient: Tensor): void {
    const before = this.#gradients.get(name)
    const isGiven = this.#exchange && part === this.#own - 1
    const added = () => (before ? before.add(gradient) : isGiven ? gradient : deviceOf(gradient).kernels.copy(gradient))
    const sum = noGrad(() => runIn(this.#home, added))
    if (isGiven) {
      this.#exchange!.give(name, sum)
      this.#gradients.delete(name)
      if (before) sum.storage.free('the exchange of gradients')
    } else this.#gradients.set(name, sum)
    before?.storage.free('the next part of its batch')
  }

  *#gather(part: number, count: number, own: readonly Tensor[], of: (all: readonly Tensor[]) => unknown) {
    this.#rounds[count] ??= { own: [] }
    const round = this.#rounds[count]
    round.own[part] = own
    yield undefined
    round.result ??= this.#together(
      own.map((_, i) => concat(round.own.map(each => each[i]))),
      of,
    )
    const edges = round.own.map(([first]) => first.shape[0])
    const start = edges.slice(0, part).reduce((a, b) => a + b, round.result.start)
    return { value: round.result.value, rows: [{ start, stop: start + edges[part] }] as const }
  }

  #together(own: readonly Tensor[], of: (all: readonly Tensor[]) => unknown) {
    const { all, start } = this.#exchange?.gather(own) ?? { all: own, start: 0 }
    return { value: of(all), start }
  }

  *#sum(part: number, own: Sums): Steps<Sums> {
    if (this.#isAlone) this.#sums = own
    else {
      for (const [name, gradient] of own.gradients) this.#add(part, name, gradient)
      const before = this.#losses
      this.#losses = before ? added(before, own.losses) : own.losses
      const kept = storagesIn(this.#losses)
      for (const storage of storagesIn([before, own]))
        if (!kept.has(storage)) storage.free('the next part of its batch')
    }
    yield undefined
    this.#sums ??= this.#exchanged(this.#losses!)
    return this.#sums
  }

  #exchanged(losses: Sums['losses']): Sums {
    if (!this.#exchange) return { losses, gradients: this.#gradients }
    const sums = this.#exchange.sum(losses)
    for (const storage of storagesIn(losses)) storage.free('the exchange of losses')
    return sums
  }
}

/** The result of steps that wait for nothing. */
function lastOf<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
  }
}

const added = (sums: Sums['losses'], part: Sums['losses']): Sums['losses'] =>
  noGrad(() => Object.fromEntries(Object.entries(part).map(([name, loss]) => [name, sums[name]?.add(loss) ?? loss])))

/** Gradients in the order of the parameters of a model: those of parts are in the order in which they became complete. */
export function inOrderOf(model: Module, gradients: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const names = [...model.namedParameters()].map(([name]) => name).filter(name => gradients.has(name))
  return new Map([...names, ...gradients.keys()].map(name => [name, gradients.get(name)!]))
}

/**
 * Runs a computation on parts, one after the other in this process: each runs until it waits for the others, and continues when
 * all have reached that point.
 * @param work the computation of one part
 * @param options.rows the examples of each part in the whole batch, for the random numbers of dropout
 * @param options.exchange the exchange with other processes
 * @returns the result of the last part; all parts have the same
 * @throws Error if the parts do not make the same exchanges
 */
export function accumulate<Part, T>(
  parts: readonly Part[],
  work: (part: Part, reducer: Reducer) => Steps<T>,
  options?: AccumulateOptions,
): T {
  const { rows, exchange } = settle('accumulate(parts, work, options)', options, accumulateOptions)
  const accumulation = new Accumulation(parts.length, exchange)
  const { position } = defaultGenerator().state
  const running = parts.map((part, i) => {
    const steps = work(part, accumulation.reducer(i))
    return rows ? drawingFor(rows[i], position, steps) : steps
  })
  try {
    for (;;) {
      const turns = running.map(each => each.next())
      const ended = turns.filter(({ done }) => done).length
      if (ended === turns.length) return turns[turns.length - 1].value as T
      if (ended > 0)
        throw new Error(`accumulate: ${ended} of ${turns.length} parts ended while the others wait for them`)
    }
  } catch (error) {
    exchange?.abandon()
    throw error
  }
}

/**
 * A computation of some examples of a batch, with the random numbers that they have if the whole batch is computed at once: those
 * of other examples are passed over. Only tensors whose first axis is that of the examples have parts; others draw the same for all.
 */
function* drawingFor<T>({ start, stop, total }: Rows, from: number, steps: Steps<T>): Steps<T> {
  const generator = defaultGenerator()
  const rows = stop - start
  const drawOwn = (shape: Shape, draw: (shape: Shape) => Tensor): Tensor => {
    if (shape.length === 0 || shape[0] % rows !== 0) return draw(shape)
    const words = (WORDS_PER_UNIFORM * sizeOf(shape)) / rows
    const { position } = generator.state
    generator.seek(position + start * words)
    const drawn = draw(shape)
    // otherwise it was drawn from a generator of its own
    const isDrawn = generator.state.position === position + stop * words
    generator.seek(isDrawn ? position + total * words : position)
    return drawn
  }
  let position = from
  for (;;) {
    generator.seek(position)
    const { done, value } = withDraws(drawOwn, () => steps.next())
    position = generator.state.position
    if (done) return value as T
    yield value as Promise<unknown> | undefined
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
