// Bugs in the gradient of an operation, as a person makes them: the rule of every entry with its name is replaced when a tape records
// it. The values of the operation stay right, so that nothing but a check of gradients notices.

import { broadcastsTo, type Entry, Tape, type Tensor, type Thunk } from 'cocagrad'
import type { Bug, Fault } from './protocol.ts'

/** The first elements along the axes that were broadcast, in place of the sum over them. */
function firstOf(part: Tensor, shape: readonly number[]): Tensor {
  const extra = part.rank - shape.length
  const ranges = part.shape.map((size, axis) => (axis < extra ? 0 : shape[axis - extra] === size ? {} : { stop: 1 }))
  return part.slice(ranges)
}

/** The gradient of the result as that of the argument, where the shapes allow it; else half of the right one. */
function withoutFactor(part: Tensor, gradient: Tensor): Tensor {
  if (broadcastsTo(gradient.shape, part.shape)) return gradient.expand(part.shape)
  return broadcastsTo(part.shape, gradient.shape) ? gradient : part.mul(0.5)
}

const wrong: Record<Fault, (part: Tensor, gradient: Tensor, arg: Tensor) => Tensor> = {
  sign: part => part.neg(),
  factor: withoutFactor,
  broadcast: (part, _, arg) => firstOf(part, arg.shape),
  scale: part => part.mul(1.01),
  detached: part => part.stopGradient(),
}

/** What the bug did since it was planted. */
export interface Planted {
  /** whether a rule gave something else than without it */
  acts: boolean
}

const own = Tape.prototype.record

/** Plants a bug, or none: the one before is taken out. */
export function plant(bug: Bug | undefined): Planted {
  const planted: Planted = { acts: false }
  Tape.prototype.record = bug
    ? function (this: Tape, entry: Entry) {
        own.call(this, entry.name === bug.operation ? faulty(entry, bug.fault, planted) : entry)
      }
    : own
  return planted
}

function faulty(entry: Entry, fault: Fault, planted: Planted): Entry {
  const { name, args, result } = entry
  return {
    name,
    args,
    result,
    rule: gradient =>
      entry.rule(gradient).map((thunk, i): Thunk | undefined => {
        if (!thunk) return undefined
        return () => {
          const part = thunk()
          if (!part) return undefined
          const changed = wrong[fault](part, gradient, args[i] as Tensor)
          // what cuts a gradient off changes no value
          planted.acts ||= fault === 'detached' || !isSame(changed, part)
          return changed
        }
      }),
  }
}

function isSame(a: Tensor, b: Tensor): boolean {
  if (a.size !== b.size) return false
  const [x, y] = [a.dataSync(), b.dataSync()]
  return x.every((value, i) => Object.is(value, y[i]))
}
