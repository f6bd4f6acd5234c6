// A call of an operation, as it is looked at and timed.

import * as cocagrad from 'cocagrad'
import { Generator, keep, onesLike, randint, randn, Tape, type Tensor } from 'cocagrad'
import { type OperationName, operations } from './catalogue.ts'

/** The arguments of a call, the same numbers on every device. */
export function operandsOf(name: OperationName, shapes: readonly (readonly number[])[]): Tensor[] {
  const { operands } = operations[name]
  return operands.map(({ ids, values = x => x }, i) => {
    const generator = new Generator(i + 1)
    return ids === undefined ? values(randn(shapes[i], { generator })) : randint(0, ids, shapes[i], { generator })
  })
}

/** What is run: the operation, or the operation and its gradients. */
export function callOf(name: OperationName, xs: readonly Tensor[], withGradient: boolean): () => Tensor {
  const { f } = operations[name]
  if (!withGradient) return () => f(xs, cocagrad)
  const inputs = xs.filter(x => x.dtype === 'float32')
  let seed: Tensor | undefined
  return () => {
    const tape = new Tape()
    for (const x of inputs) tape.watch(x)
    const y = tape.run(() => f(xs, cocagrad))
    seed ??= keep(onesLike(y))
    const gradients = tape.partials(y, inputs, { seed, ends: true })
    return gradients.find(gradient => gradient !== undefined) ?? seed
  }
}
