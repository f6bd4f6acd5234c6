// eˣ, with the polynomials of ../assembly/functions.ts.

import type { Assembler, Vector } from './assembler.ts'

/** x ← eˣ for x ≤ 0, as a share of a whole: what is smaller than any normal number is 0, NaN stays. */
export function exponentialShare(a: Assembler, x: Vector, [power, rest, p]: readonly [Vector, Vector, Vector]): void {
  // 1.5 · 2²³ and the bias of the exponent: adding them rounds to an integer, whose low bits are the exponent of a power of two
  const biased = a.number(12583039)
  // from -88 on the power of two is -127, which has no bits
  a.broadcast(power, a.number(-88))
  a.combine('maximum', x, power, x)
  // x / ln 2, rounded
  a.loadVector(power, biased)
  a.loadVector(rest, x)
  a.combine('addProduct', power, rest, a.number(Math.LOG2E))
  a.combine('subtract', p, power, biased)
  // x - n ln 2; ln 2 is in two parts, the first of which is exact times any n
  a.combine('addProduct', rest, p, a.number(-0.693359375))
  a.combine('addProduct', rest, p, a.number(0.00021219444))
  a.loadVector(p, a.number(0.0013814602280035615))
  for (const coefficient of [0.008368715643882751, 0.04166838899254799, 0.1666652113199234, 0.4999999403953552, 1, 1])
    a.combine('multiplyAdd', p, rest, a.number(coefficient))
  a.shift('left', power, power, 23)
  a.combine('multiply', x, p, power)
}
