// eˣ as in assembly/functions.ts: the argument is reduced to a short interval, where a polynomial approximates the function.

import type { Assembler, Vector } from './assembler.ts'
import { fromNumber, type Numbers } from './elementwise.ts'

/** 1.5 · 2²³: adding it rounds to an integer, which then stands in the low bits. */
const ROUNDING = 12582912
const ROUNDING_BITS = 0x4b400000
const PER_LOG2 = Math.LOG2E
/** ln 2 in two parts, the first of which is exact times any integer of a reduction */
const LOG2 = [-0.693359375, 0.00021219444] as const
const LEAST = -104.5

/** The coefficients of eʳ for |r| ≤ ½ ln 2. */
export const nearExp = [
  0.0013814602280035615, 0.008368715643882751, 0.04166838899254799, 0.1666652113199234, 0.4999999403953552, 1, 1,
]

/** The constants of `reduce`. */
export const reductionNumbers = [ROUNDING, PER_LOG2, ...LOG2]

/**
 * x = n ln 2 + r with |r| ≤ ½ ln 2: x becomes r, and `power` the integers n.
 * @param free is overwritten
 */
export function reduce(a: Assembler, x: Vector, power: Vector, free: Vector, number: Numbers): void {
  a.loadVector(power, number(ROUNDING))
  a.combine('addProduct', power, x, number(PER_LOG2))
  a.combine('subtract', free, power, number(ROUNDING))
  for (const part of LOG2) a.combine('addProduct', x, free, number(part))
  a.combine('subtractIntegers', power, power, a.integer(ROUNDING_BITS))
}

/**
 * x = x 2ⁿ, rounded where it is not a normal number, for n from -151 to 129: in two steps, because 2ⁿ may have no float32.
 * @param power the integers n, which are overwritten
 * @param free is overwritten
 */
export function scale(a: Assembler, x: Vector, power: Vector, free: Vector): void {
  a.shift('rightSigned', free, power, 1)
  a.combine('subtractIntegers', power, power, free)
  for (const part of [free, power]) {
    a.combine('addIntegers', part, part, a.integer(127))
    a.shift('left', part, part, 23)
    a.combine('multiply', x, x, part)
  }
}

/** The least argument whose result may differ from zero; NaN stays. */
export function atLeastOne(a: Assembler, x: Vector, free: Vector, number: Numbers): void {
  fromNumber(a, 'maximum', free, number(LEAST), x)
  a.loadVector(x, free)
}
