// Recomputation instead of storage.

import { checkArguments } from '../tensor/arguments.ts'
import { announceDraw, currentDraws, withDraws } from '../tensor/draws.ts'
import { type Generator, isFloating, Tensor } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { levelOf } from './batched.ts'
import { returnedBy } from './checks.ts'
import { derivedRule, fresh, recordEntry } from './op.ts'
import { type Entry, noGrad, observing } from './recording.ts'
import { Tape } from './tape.ts'

/**
 * f without storing its intermediate values: the backward pass runs f again (Chen et al. 2016). Tensors that f uses from
 * outside, such as parameters, get their gradients too, and f draws the same random numbers the second time. Values and gradients
 * are those without it, bit for bit.
 */
export function checkpoint<A extends readonly unknown[]>(f: (...args: A) => Tensor): (...args: A) => Tensor {
  checkArguments('checkpoint(f)', [is.callback], [f])
  return (...args) => {
    const made = new Set<Tensor>()
    const captured = new Set<Tensor>()
    const draws = new Map<Generator, number>()
    const drawing = currentDraws()
    // an argument of an operation in f that f did not compute comes from outside
    const observer = {
      record({ args: used, result }: Entry) {
        for (const x of used) if (x instanceof Tensor && !made.has(x) && isFloating(x.dtype)) captured.add(x)
        made.add(result)
      },
      draw: (generator: Generator, position: number) => void (draws.has(generator) || draws.set(generator, position)),
    }
    const inside = returnedBy(
      'checkpoint',
      noGrad(() => observing(observer, () => f(...args))),
    )
    // a result that f returns unchanged comes from outside, too
    if (!made.has(inside) && isFloating(inside.dtype)) captured.add(inside)
    const result = fresh(inside, [...captured])
    // an enclosing checkpoint repeats the same draws
    for (const [generator, position] of draws) announceDraw(generator, position)
    const inputs = [...captured].filter(x => !x.storage.isFreed)
    const again = () => replaying(draws, () => withDraws(drawing, () => f(...args)))
    const rule = derivedRule((..._captured: Tensor[]) => again())
    recordEntry({
      name: 'checkpoint',
      args: inputs,
      result,
      rule: gradient => rule(gradient, result, ...inputs),
      parts: levelOf([result, ...inputs])
        ? undefined
        : (gradient, isTracked) => partsAgain(again, inputs.filter(isTracked), gradient),
    })
    return result
  }
}

/** The parts of the gradients of inputs, by a run of f on its own tape. */
function partsAgain(f: () => Tensor, inputs: readonly Tensor[], gradient: Tensor) {
  const tape = new Tape()
  for (const x of inputs) tape.watch(x)
  return tape.partsOfWatched(tape.run(f), gradient)
}

/** Runs f with generators at their earlier positions, then restores their current positions. */
function replaying<T>(positions: ReadonlyMap<Generator, number>, f: () => T): T {
  const now = new Map([...positions.keys()].map(generator => [generator, generator.state.position]))
  for (const [generator, position] of positions) generator.seek(position)
  try {
    return f()
  } finally {
    for (const [generator, position] of now) generator.seek(position)
  }
}
