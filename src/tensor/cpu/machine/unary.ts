// eˣ, 1 / (1 + e⁻ˣ) and tanh of arrays, as assembly/functions.ts computes them.

import { type Assembler, at, rdi, rdx, rsi, type Vector } from './assembler.ts'
import { type Constants, eachVector, fromNumber, keep, polynomial, registersFrom } from './elementwise.ts'
import { expAny, expNormal, expNumbers, NORMAL } from './exponential.ts'

const ABSOLUTE = 0x7fffffff
const SIGN = 0x80000000

/** tanh x = x + x³ P(x²) below BEND. */
const nearTanh = [
  -0.005717045161873102, 0.02065058797597885, -0.05374349653720856, 0.13331490755081177, -0.3333328366279602,
]
const BEND = 0.625
/** A bound for the argument of eˣ. */
const END = 80

const [x, result, magnitude, working, power, free] = [0, 1, 2, 3, 4, 5]

/** A function of arrays: `body` leaves in `result` what it makes of `x`. */
function overArray(
  a: Assembler,
  constants: readonly number[],
  body: (number: Constants, aside: (emit: () => void) => void) => void,
): number {
  a.align()
  const start = a.position
  const number = keep(a, [NORMAL, ...constants, ...expNumbers], registersFrom(a, free + 1))
  eachVector(a, [rdi, rsi], rdx, (mask, aside) => {
    a.loadVector(x, at(rsi), mask)
    body(number, aside)
    a.storeVector(at(rdi), result, mask)
  })
  return start
}

/** The functions exp, sigmoid and tanh (out, x, n) of addresses and a size. */
export function exponentialFunctions(a: Assembler) {
  /** to = eˣ for the numbers in `from`, which are overwritten; their magnitudes are in `magnitude` */
  const exp = (to: Vector, from: Vector, number: Constants, aside: (emit: () => void) => void): void => {
    const [extreme, done] = [a.label(), a.label()]
    a.jumpIfAny('notAtMost', magnitude, number(NORMAL), free, extreme)
    expNormal(a, to, from, power, free, number)
    a.bind(done)
    aside(() => {
      a.bind(extreme)
      expAny(a, to, from, power, free, number)
      a.jump(done)
    })
  }
  return {
    exp_f32: overArray(a, [], (number, aside) => {
      a.combine('and', magnitude, x, a.integer(ABSOLUTE))
      exp(result, x, number, aside)
    }),
    // by e^-|x| on both sides, so that small results keep their digits
    sigmoid_f32: overArray(a, [], (number, aside) => {
      a.combine('and', magnitude, x, a.integer(ABSOLUTE))
      a.combine('or', result, x, a.integer(SIGN))
      exp(working, result, number, aside)
      a.loadVector(magnitude, number(1))
      a.combine('add', power, working, magnitude)
      a.select('less', x, a.number(0), result, working, magnitude, free)
      a.combine('divide', result, result, power)
    }),
    // near zero by its polynomial, beyond by 1 - 2 / (e^2|x| + 1), which is 1 long before END
    tanh_f32: overArray(a, [BEND, ...nearTanh, 2, END], number => {
      a.combine('and', magnitude, x, a.integer(ABSOLUTE))
      a.combine('add', working, magnitude, magnitude)
      fromNumber(a, 'minimum', result, number(END), working)
      expNormal(a, working, result, power, free, number)
      a.combine('add', working, working, number(1))
      fromNumber(a, 'divide', power, number(2), working)
      fromNumber(a, 'subtract', working, number(1), power)
      a.combine('multiply', power, magnitude, magnitude)
      polynomial(a, result, power, nearTanh, number)
      a.combine('multiply', result, result, power)
      a.combine('multiplyAdd', result, magnitude, magnitude)
      // NaN is with those near zero
      a.select('greater', magnitude, number(BEND), result, working, result, free)
      a.combine('and', x, x, a.integer(SIGN))
      a.combine('or', result, result, x)
    }),
  }
}
