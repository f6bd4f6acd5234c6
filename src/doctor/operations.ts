// Which operations can have the wrong rule, where some gradients of a loss are wrong and others are right.

import { Tape } from '../autograd/index.ts'
import { defaultGenerator, type Tensor } from '../tensor/index.ts'
import type { LossProblem } from '../train/guard/directional.ts'
import { lossesOf } from '../train/objective.ts'
import { restorer } from '../train/restore.ts'

/**
 * The names of the operations through whose rules all wrong gradients go, and none of the right ones, in the order of the tape; where
 * there is no such operation, of those through which any wrong one goes. A gradient goes through a rule from the result of the operation
 * to one of its arguments, and the way to another argument may be right.
 * @param wrong names of parameters
 * @param right names of parameters, whose gradients are not 0
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
    /** the parameters that a value depends on */
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
    /** what the loss is computed of */
    const used = new Set<unknown>([loss])
    const ways: { readonly operation: string; readonly from: ReadonlySet<string> }[] = []
    for (const { name, args, result } of [...tape.entries].reverse()) {
      if (!used.has(result)) continue
      for (const arg of args) {
        const from = sources.get(arg as Tensor)
        if (from === undefined) continue
        used.add(arg)
        ways.unshift({ operation: name, from })
      }
    }
    const bad = ways.filter(({ from }) => wrong.some(name => from.has(name)) && !right.some(name => from.has(name)))
    const shared = bad.filter(({ from }) => wrong.every(name => from.has(name)))
    return [...new Set((shared.length > 0 ? shared : bad).map(({ operation }) => operation))]
  } finally {
    tape.end()
    restore()
  }
}
