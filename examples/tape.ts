// A tape, walked back by hand: what `tape.gradient` does, in a dozen lines. Every entry of a tape is an operation with its
// arguments, its result, and a rule from the gradient of the result to the gradients of the arguments.

import { add, Tape, type Tensor, tensor } from 'cocagrad'

const tape = new Tape()
const x = tape.watch(tensor([0.5, 1, 2]), 'x')
const w = tape.watch(tensor([3, -1, 2]), 'w')
const y = tape.run(() => x.mul(w).sin().mul(x).sum())
console.log(tape.toString())

/** The gradient of a scalar for everything that the tape knows, from the last operation to the first. */
function walkBack(result: Tensor): Map<unknown, Tensor> {
  const gradients = new Map<unknown, Tensor>([[result, tensor(1)]])
  for (const entry of tape.entries.toReversed()) {
    const gradient = gradients.get(entry.result)
    if (!gradient) continue // the result does not depend on this operation
    for (const [i, thunk] of entry.rule(gradient).entries()) {
      const input = entry.args[i]
      const part = tape.tracks(input) ? thunk?.() : undefined
      if (!part) continue // a constant
      const sum = gradients.get(input)
      gradients.set(input, sum ? add(sum, part) : part) // x is used twice, so its gradient has two parts
    }
  }
  return gradients
}

const byHand = walkBack(y)
const [dx, dw] = tape.gradient(y, [x, w])
console.log(`dx by hand ${byHand.get(x)}, by the tape ${dx}`)
console.log(`dw by hand ${byHand.get(w)}, by the tape ${dw}`)
tape.end()
