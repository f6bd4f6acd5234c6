// Forward derivatives: the tangents of results from those of the inputs, operation by operation, in the order in which they ran. Separate
// from the tape, so that only programs with `jvp` contain it.

import { isFloating, sameShape, Tensor, zerosLike } from '../tensor/index.ts'
import { thunksOf } from './checks.ts'
import { conform } from './gradients.ts'
import type { DefinedOperation, Entry } from './recording.ts'
import { Tape } from './tape.ts'

type Tangents = readonly (Tensor | undefined)[]

/**
 * The tangent of a value: the derivative along those of other tensors.
 * @param entries the operations that led to it, in order
 * @param known the tangents of the tensors that they began with
 * @returns undefined if the value does not depend on these tensors
 */
export function tangentOf(
  value: Tensor,
  entries: readonly Entry[],
  known: Iterable<readonly [x: Tensor, tangent: Tensor]>,
): Tensor | undefined {
  const tangents = new Map(known)
  for (const entry of entries) {
    const ofArgs = entry.args.map(arg => (arg instanceof Tensor ? tangents.get(arg) : undefined))
    if (ofArgs.every(tangent => tangent === undefined)) continue
    const tangent = ofResult(entry, ofArgs)
    if (tangent) tangents.set(entry.result, fitted(tangent, entry.result))
  }
  return tangents.get(value)
}

function ofResult(entry: Entry, tangents: Tangents): Tensor | undefined {
  const { args, result } = entry
  const { jvp, op, definition } = (entry.operation ?? {}) as Partial<DefinedOperation<readonly unknown[]>>
  if (jvp === undefined) return byTranspose(entry, tangents)
  if (typeof jvp === 'function') return jvp(tangents, result, ...args)
  switch (jvp) {
    case 'elementwise':
      return sumOf(tangents, (tangent, i) => thunksOf(entry, fitted(tangent, result))[i]?.())
    case 'linear':
      return op!(...args.map((arg, i) => tangents[i] ?? constantOf(arg)))
    case 'bilinear':
      return sumOf(tangents, (tangent, i) => op!(...args.with(i, tangent)))
    case 'definition':
      return byDefinition(definition!, args, tangents)
  }
}

/** The tangent of an argument without one. */
const constantOf = (arg: unknown): unknown => (arg instanceof Tensor && isFloating(arg.dtype) ? zerosLike(arg) : arg)

/** A tangent in the shape and dtype of its value. */
function fitted(tangent: Tensor, value: Tensor): Tensor {
  const whole = sameShape(tangent.shape, value.shape) ? tangent : tangent.expand(value.shape)
  return whole.dtype === value.dtype ? whole : whole.cast(value.dtype)
}

/** The sum of what each tangent adds. */
const sumOf = (tangents: Tangents, f: (tangent: Tensor, position: number) => Tensor | undefined): Tensor | undefined =>
  tangents
    .map((tangent, i) => tangent && f(tangent, i))
    .reduce((sum, part) => (sum && part ? sum.add(part) : (sum ?? part)), undefined)

/** Through the operations of a definition, which runs again. */
function byDefinition(
  definition: (...args: readonly unknown[]) => Tensor,
  args: readonly unknown[],
  tangents: Tangents,
): Tensor | undefined {
  const known = args.flatMap((arg, i): [Tensor, Tensor][] => (tangents[i] ? [[arg as Tensor, tangents[i]]] : []))
  return onTape(
    known.map(([x]) => x),
    () => definition(...args),
    (tape, value) => tangentOf(value, tape.entries, known),
  )
}

/** A rule is linear in the gradient, so that its own gradient along the tangents is the tangent of the result. */
function byTranspose(entry: Entry, tangents: Tangents): Tensor | undefined {
  const gradient = zerosLike(entry.result)
  return onTape(
    [gradient],
    () => {
      const thunks = thunksOf(entry, gradient)
      return entry.args.map((arg, i) => {
        const part = tangents[i] && thunks[i]?.()
        return part && conform(entry, i, part, arg as Tensor)
      })
    },
    (tape, parts) => sumOf(tangents, (seed, i) => parts[i] && tape.partials(parts[i], [gradient], { seed })[0]),
  )
}

function onTape<T, R>(watched: readonly Tensor[], f: () => T, use: (tape: Tape, result: T) => R): R {
  const tape = new Tape()
  for (const x of watched) tape.watch(x)
  const used = use(tape, tape.run(f))
  tape.end(used)
  return used
}
