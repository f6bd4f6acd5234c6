// eˣ as in assembly/functions.ts: the argument is reduced to a short interval, where a polynomial approximates the function.

import type { Assembler, Vector } from './assembler.ts'
import { type Constants, fromNumber, polynomial } from './elementwise.ts'

/** 1.5 · 2²³: adding it rounds to an integer, which then stands in the low bits. */
const ROUNDING = 12582912
/** The same, and the bias of float32's exponent. */
const BIASED = 12583039
/** ln 2 in two parts, the first of which is exact times any integer of a reduction */
const LOG2 = [-0.693359375, 0.00021219444] as const
/** The results of these are 0 and Infinity, and beyond. */
const [LEAST, GREATEST] = [-104.5, 89]
/** Up to this magnitude the result is a normal number. */
export const NORMAL = 87

/** The coefficients of eʳ for |r| ≤ ½ ln 2. */
export const nearExp = [
  0.0013814602280035615, 0.008368715643882751, 0.04166838899254799, 0.1666652113199234, 0.4999999403953552, 1, 1,
]

/** The constants of `expNormal`. */
export const expNumbers = [ROUNDING, Math.LOG2E, ...LOG2, ...nearExp]

/**
 * x = n ln 2 + r with |r| ≤ ½ ln 2: x becomes r, and `power` has n in its low bits.
 * @param free is overwritten
 * @param rounding what rounds to an integer: it may add to n
 */
export function reduce(
  a: Assembler,
  x: Vector,
  power: Vector,
  free: Vector,
  number: Constants,
  rounding = ROUNDING,
): void {
  a.loadVector(power, number(rounding))
  a.combine('addProduct', power, x, number(Math.LOG2E))
  a.combine('subtract', free, power, number(rounding))
  for (const part of LOG2) a.combine('addProduct', x, free, number(part))
}

/**
 * x = x 2ⁿ, rounded where it is not a normal number, in two steps, because 2ⁿ may have no float32.
 * @param power has n, from -151 to 129, as `reduce` leaves it
 * @param free is overwritten
 */
export function scale(a: Assembler, x: Vector, power: Vector, free: Vector, number: Constants): void {
  a.combine('subtractIntegers', power, power, number(ROUNDING))
  a.shift('rightSigned', free, power, 1)
  a.combine('subtractIntegers', power, power, free)
  for (const part of [free, power]) {
    a.combine('addIntegers', part, part, a.integer(127))
    a.shift('left', part, part, 23)
    a.combine('multiply', x, x, part)
  }
}

/** x, or the bound whose result is 0; NaN stays. */
export function boundBelow(a: Assembler, x: Vector, free: Vector, number: Constants): void {
  fromNumber(a, 'maximum', free, number(LEAST), x)
  a.loadVector(x, free)
}

/**
 * to = eˣ for |x| ≤ NORMAL: n is added to the exponent of eʳ.
 * @param x is overwritten, as are `power` and `free`
 */
export function expNormal(a: Assembler, to: Vector, x: Vector, power: Vector, free: Vector, number: Constants): void {
  reduce(a, x, power, free, number)
  polynomial(a, to, x, nearExp, number)
  a.shift('left', power, power, 23)
  a.combine('addIntegers', to, to, power)
}

/** The same for any x: NaN stays, results below the smallest normal number are rounded and not lost. */
export function expAny(a: Assembler, to: Vector, x: Vector, power: Vector, free: Vector, number: Constants): void {
  fromNumber(a, 'minimum', free, number(GREATEST), x)
  a.loadVector(x, free)
  boundBelow(a, x, free, number)
  reduce(a, x, power, free, number)
  polynomial(a, to, x, nearExp, number)
  scale(a, to, power, free, number)
}

/** x ← eˣ for x ≤ 0, as a share of a whole: what is smaller than any normal number is 0, NaN stays. */
export function exponentialShare(a: Assembler, x: Vector, [power, free, y]: readonly [Vector, Vector, Vector]): void {
  const number = (value: number) => a.number(value)
  // from here on n is -127, and 2ⁿ has no bits
  fromNumber(a, 'maximum', power, number(-88), x)
  a.loadVector(x, power)
  // n + 127 stands in the low bits, which are the exponent of 2ⁿ
  reduce(a, x, power, free, number, BIASED)
  polynomial(a, y, x, nearExp, number)
  a.shift('left', power, power, 23)
  a.combine('multiply', x, y, power)
}
