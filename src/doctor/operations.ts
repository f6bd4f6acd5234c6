// Finds the operations that can have a wrong rule if some gradients of a loss are wrong and others are right.

import { Tape } from '../autograd/index.ts'
import { defaultGenerator, type Tensor } from '../tensor/index.ts'
import type { LossProblem } from '../train/guard/directional.ts'
import { lossesOf } from '../train/objective.ts'
import { restorer } from '../train/restore.ts'

/**
 * The names of the operations that can have a wrong rule, in the order of the tape: those whose rule all wrong gradients pass through,
 * and no right one. If there are none, those whose rule at least one wrong gradient passes through, and no right one. A gradient passes
 * through a rule from the result of the operation to one argument; the rule for another argument may be right.
 * @param wrong the names of parameters with a wrong gradient
 * @param right the names of parameters with a right gradient that is not 0
 */
export function suspectsOf(
  { objective, batch, position }: LossProblem,
  wrong: readonly string[],
  right: readonly string[],
): string[] {
  const { model } = objective
  const restore = restorer(model)
  const tape = new Tape()
  try {
    /** the parameters that each value depends on */
    const sources = new Map<unknown, ReadonlySet<string>>()
    for (const [name, parameter] of model.namedParameters()) {
      if (!parameter.trainable) continue
      tape.watch(parameter, name)
      sources.set(parameter, new Set([name]))
    }
    defaultGenerator().seek(position)
    const loss = tape.run(() => lossesOf(objective, batch).total)
    for (const { args, result } of tape.entries)
      sources.set(result, new Set(args.flatMap(arg => [...(sources.get(arg) ?? [])])))
    /** the values that the loss depends on */
    const used = new Set<unknown>([loss])
    /** each argument of an operation that a gradient passes to, with the parameters that it depends on */
    const paths: { readonly operation: string; readonly from: ReadonlySet<string> }[] = []
    for (const { name, args, result } of [...tape.entries].reverse()) {
      if (!used.has(result)) continue
      for (const arg of args) {
        const from = sources.get(arg as Tensor)
        if (from === undefined) continue
        used.add(arg)
        paths.unshift({ operation: name, from })
      }
    }
    const bad = paths.filter(({ from }) => wrong.some(name => from.has(name)) && !right.some(name => from.has(name)))
    const shared = bad.filter(({ from }) => wrong.every(name => from.has(name)))
    return [...new Set((shared.length > 0 ? shared : bad).map(({ operation }) => operation))]
  } finally {
    tape.end()
    restore()
  }
}
