// GELU and its gradient, as assembly/gelu.ts computes them: by a polynomial around zero, and a vector in which a number is beyond
// it once more by the tail of the distribution, whose numbers are then taken there.

import { type Assembler, at, type Label, type Mask, rcx, rdi, rdx, rsi } from './assembler.ts'
import { type Constants, eachVector, fromNumber, keep, polynomial, registersFrom } from './elementwise.ts'
import { boundBelow, nearExp, reduce, scale } from './exponential.ts'

/** Where the polynomials end. */
const REACH = 2.875
/** Where Φ(-x) is 0. */
const END = 20
const ABSOLUTE = 0x7fffffff
/** The upper bits of a number, whose square is exact. */
const HEAD = 0xfffff000

/** Φ(-a) for 0 ≤ a ≤ REACH, in REACH - a. */
const nearTail = [
  1.3301917078933911e-7, -1.4154416021483485e-6, 3.1492754715145566e-6, 1.1871312381117605e-5, -4.580152017297223e-5,
  4.265454117557965e-5, -0.0002457984664943069, 0.00010790010128403082, 0.0011128595797345042, 0.004049758892506361,
  0.007745292503386736, 0.009197507053613663, 0.006398113444447517, 0.002020137617364526,
]

/** 2 x² / REACH² - 1 */
const CENTRED = [0.24196597933769226, -1] as const

/** The derivative for |x| ≤ REACH is ½ + x P(2 x² / REACH² - 1). */
const nearSlope = [
  2.3006794435787015e-5, -0.00011315452138660476, 0.00044527996215038, -0.0017419704236090183, 0.006036161910742521,
  -0.017933610826730728, 0.0449422262609005, -0.09240829944610596, 0.15117210149765015, -0.19694098830223083,
  0.2861277461051941,
]

/** erfc(a) e^(a²) in u = 1 / (1 + 0.4 a), over u. */
const scaledErfc = [
  0.04125302657485008, -0.14031916856765747, 0.08398714661598206, 0.0879645049571991, 0.07975637912750244,
  0.1933932602405548, 0.2018875777721405, 0.2264431118965149, 0.22563423216342926,
]

const [x, size, result, working] = [0, 1, 2, 3]
const [tail, gradient] = [4, 4]
/** What `farCdf` leaves: e^(-x²/2) and Φ(x). */
const [bell, cdf] = [7, 8]
const lastOfFar = 9

/** A subroutine: e^(-x²/2) and Φ(x) of any x, whose magnitude is in `size`. Changes the registers 5 to 9. */
function farCdf(a: Assembler): Label {
  const number: Constants = value => a.number(value)
  const [bounded, head, free] = [5, 6, lastOfFar]
  a.align()
  const start = a.here()
  fromNumber(a, 'minimum', bounded, number(END), size)
  // the rounding of a² would be magnified, so it is the square of the head, which is exact, and the rest, (a - head) (a + head)
  a.combine('and', head, bounded, a.integer(HEAD))
  a.combine('subtract', bell, bounded, head)
  a.combine('add', free, bounded, head)
  a.combine('multiply', free, free, bell)
  a.combine('multiply', free, free, number(-0.5))
  polynomial(a, bell, free, nearExp, number)
  a.combine('multiply', head, head, head)
  a.combine('multiply', head, head, number(-0.5))
  boundBelow(a, head, free, number)
  reduce(a, head, cdf, free, number)
  polynomial(a, free, head, nearExp, number)
  a.combine('multiply', bell, bell, free)
  scale(a, bell, cdf, free, number)
  // the tail is ½ erfc(a / √2)
  a.combine('multiply', bounded, bounded, number(Math.SQRT1_2))
  a.loadVector(head, number(0.4))
  a.combine('multiplyAdd', head, bounded, number(1))
  fromNumber(a, 'divide', bounded, number(1), head)
  polynomial(a, head, bounded, scaledErfc, number)
  a.combine('multiply', head, head, bounded)
  a.combine('multiply', head, head, bell)
  a.combine('multiply', head, head, number(0.5))
  fromNumber(a, 'subtract', cdf, number(1), head)
  a.select('less', x, number(0), cdf, head, cdf, free)
  a.back()
  return start
}

/**
 * A function of arrays.
 * @param near leaves the result of numbers within REACH, and NaN of NaN, in `result`
 * @param far leaves the result in `bell`, from what `farCdf` leaves
 */
function overArrays(
  a: Assembler,
  subroutine: Label,
  pointers: readonly number[],
  count: number,
  constants: readonly number[],
  near: (number: Constants) => void,
  far: (number: Constants) => void,
  store: (mask?: Mask) => void,
): number {
  a.align()
  const start = a.position
  const number = keep(a, [REACH, ...constants], registersFrom(a, lastOfFar + 1))
  eachVector(a, pointers, count, (mask, aside) => {
    const [beyond, done] = [a.label(), a.label()]
    a.loadVector(x, at(pointers[pointers.length - 1]), mask)
    a.combine('and', size, x, a.integer(ABSOLUTE))
    near(number)
    a.jumpIfAny('greater', size, number(REACH), working, beyond)
    a.bind(done)
    store(mask)
    aside(() => {
      a.bind(beyond)
      a.call(subroutine)
      far(number)
      a.select('greater', size, number(REACH), result, bell, result, working)
      a.jump(done)
    })
  })
  return start
}

/** gelu(out, x, n) and geluGradient(out, g, x, n) of addresses and a size. */
export function geluFunctions(a: Assembler): { readonly gelu: number; readonly geluGradient: number } {
  const subroutine = farCdf(a)
  return {
    gelu: overArrays(
      a,
      subroutine,
      [rdi, rsi],
      rdx,
      nearTail,
      number => {
        fromNumber(a, 'subtract', working, number(REACH), size)
        polynomial(a, tail, working, nearTail, number)
        // x Φ(x) is max(0, x) - |x| Φ(-|x|) on both sides
        a.zero(result)
        a.combine('maximum', result, result, x)
        a.combine('subtractProduct', result, size, tail)
      },
      () => a.combine('multiply', bell, cdf, x),
      mask => a.storeVector(at(rdi), result, mask),
    ),
    geluGradient: overArrays(
      a,
      subroutine,
      [rdi, rsi, rdx],
      rcx,
      [...nearSlope, ...CENTRED, 0.5],
      number => {
        a.combine('multiply', working, x, x)
        polynomial(a, gradient, working, CENTRED, number)
        polynomial(a, result, gradient, nearSlope, number)
        a.combine('multiplyAdd', result, x, number(0.5))
      },
      number => {
        a.combine('multiply', bell, bell, number(0.3989422804))
        a.combine('multiplyAdd', bell, x, cdf)
      },
      mask => {
        a.loadVector(gradient, at(rsi), mask)
        a.combine('multiply', result, result, gradient)
        a.storeVector(at(rdi), result, mask)
      },
    ),
  }
}
