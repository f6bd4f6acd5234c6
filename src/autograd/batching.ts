// Computes operations for all samples of a batch: by the rule of the operation if it has one, else sample by sample, which is
// right for every operation and slow. Separate from op.ts, so that only programs with `vmap` contain it.

import { withDraws } from '../tensor/draws.ts'
import { type Shape, Tensor, zeros, zerosLike } from '../tensor/index.ts'
import { warn } from '../tensor/warn.ts'
import { Batched, type Batching, type Level } from './batched.ts'
import { thunksOf } from './checks.ts'
import { conform } from './gradients.ts'
import { unobserved } from './observing.ts'
import { stack } from './ops/movement.ts'
import { currentRecorders, type Entry, noGrad, type Recorder, recordedBy } from './recording.ts'

/** The mapped functions that are running, outermost first. */
const running: BatchLevel[] = []

/** Names of operations that a warning was given for. */
const looped = new Set<string>()

/** One call of a mapped function. */
export class BatchLevel implements Level {
  readonly size: number
  readonly #warns: boolean
  #depth = 0
  #outside: ReadonlySet<Recorder> = new Set()

  /** @param warns whether an operation without a rule for batches is reported */
  constructor(size: number, warns = true) {
    this.size = size
    this.#warns = warns
  }

  get depth(): number {
    return this.#depth
  }

  /** Runs the mapped function, or a gradient rule of it later. */
  run<T>(f: () => T): T {
    const [depth, outside] = [this.#depth, this.#outside]
    running.push(this)
    this.#depth = running.length
    this.#outside = new Set(currentRecorders())
    const levels = [...running]
    try {
      return withDraws((shape, draw) => drawForAll(levels, shape, draw), f)
    } finally {
      running.pop()
      this.#depth = depth
      this.#outside = outside
    }
  }

  outside<T>(f: () => T): T {
    return recordedBy(recorder => this.#outside.has(recorder), f)
  }

  inside<T>(f: () => T): T {
    return recordedBy(recorder => !this.#outside.has(recorder), f)
  }

  has(x: unknown): x is Batched {
    return x instanceof Batched && x.level === this
  }

  whole(x: Tensor): Tensor {
    return this.has(x) ? x.full : x.expand([this.size, ...x.shape])
  }

  aligned<T>(x: T, rank: number): T {
    if (!this.has(x) || x.rank === rank) return (this.has(x) ? x.full : x) as T
    return x.full.reshape([this.size, ...new Array<number>(rank - x.rank).fill(1), ...x.shape]) as T
  }

  compute<A extends readonly unknown[]>(
    op: (...args: A) => Tensor,
    args: A,
    batching: Batching<A> | undefined,
  ): Tensor {
    try {
      const result = this.#fullOf(op, args, batching)
      return this.has(result) ? result : new Batched(this, result)
    } catch (error) {
      // the same mistake with one sample has the shapes that the program shows
      if (this.size > 0) noGrad(() => unobserved(() => op(...this.#sample(args, 0))))
      throw error
    }
  }

  #fullOf<A extends readonly unknown[]>(
    op: (...args: A) => Tensor,
    args: A,
    batching: Batching<A> | undefined,
  ): Tensor {
    if (batching === undefined) return this.#loop(op, args)
    if (typeof batching === 'function') return batching(op, this, ...args)
    const rank = Math.max(...args.map(arg => (arg instanceof Tensor ? arg.rank : 0)))
    return op(...(args.map(arg => this.aligned(arg, rank)) as unknown as A))
  }

  #sample<A extends readonly unknown[]>(args: A, i: number): A {
    return args.map(arg => (this.has(arg) ? arg.full.slice([i]) : arg)) as unknown as A
  }

  /** The operation for one sample after the other. */
  #loop<A extends readonly unknown[]>(op: (...args: A) => Tensor, args: A): Tensor {
    if (this.#warns && !looped.has(op.name)) {
      looped.add(op.name)
      warn(
        `vmap: ${op.name} has no rule for batches, so it is computed for one sample after the other, which is slow; give the rule to defineOp as batching`,
        'VmapWarning',
      )
    }
    if (this.size > 0) return stack(Array.from({ length: this.size }, (_, i) => op(...this.#sample(args, i))))
    const blank = args.map(arg => (this.has(arg) ? zerosLike(arg) : arg)) as unknown as A
    const { shape, dtype, device } = noGrad(() => unobserved(() => op(...blank)))
    return zeros([0, ...shape], { dtype, device })
  }

  lifted(entry: Entry): Entry {
    const { name, args, result } = entry
    const full = (x: unknown) => (this.has(x) ? x.full : x)
    return {
      name,
      args: args.map(full),
      result: full(result) as Tensor,
      rule: gradient => {
        const thunks = this.run(() => thunksOf(entry, this.has(result) ? new Batched(this, gradient) : gradient))
        return args.map((arg, i) => {
          const thunk = thunks[i]
          return thunk && arg instanceof Tensor ? () => this.run(() => this.#partOf(entry, i, arg, thunk())) : undefined
        })
      },
    }
  }

  /** The gradient of an argument, from its gradients for each sample. */
  #partOf(entry: Entry, position: number, arg: Tensor, part: Tensor | undefined): Tensor | undefined {
    if (!part) return undefined
    const fitted = conform(entry, position, part, arg)
    if (this.has(arg)) return this.whole(fitted)
    return this.has(entry.result) || this.has(fitted) ? this.whole(fitted).sum({ axis: 0 }) : fitted
  }
}

/** A random tensor of a mapped function: each sample has numbers of its own. */
function drawForAll(levels: readonly BatchLevel[], shape: Shape, draw: (shape: Shape) => Tensor): Tensor {
  const all = draw([...levels.map(({ size }) => size), ...shape])
  return levels.reduce<Tensor>((full, level) => new Batched(level, full), all)
}
