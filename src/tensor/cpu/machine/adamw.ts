// A step of AdamW, as assembly/optimize.ts computes it.

import { type Assembler, at, r8, rcx, rdi, rdx, rsi } from './assembler.ts'
import { eachVector } from './elementwise.ts'

/** The numbers of a step, which are passed in the first registers. */
const [beta1, fresh1, beta2, fresh2, epsilon, kept, rate, deviation] = [0, 1, 2, 3, 4, 5, 6, 7]
const [gradient, m, v, x, working] = [8, 9, 10, 11, 12]

/** adamw(x, g, m, v, n, …numbers) of addresses, a size and float32. */
export function adamwFunction(a: Assembler): number {
  a.align()
  const start = a.position
  for (const each of [beta1, fresh1, beta2, fresh2, epsilon, kept, rate, deviation]) a.broadcast(each, each)
  // a product with 1 / deviation for each number, and not one more division
  a.loadVector(working, a.number(1))
  a.combine('divide', deviation, working, deviation)
  eachVector(a, [rdi, rsi, rdx, rcx], r8, mask => {
    a.loadVector(gradient, at(rsi), mask)
    a.loadVector(m, at(rdx), mask)
    a.loadVector(v, at(rcx), mask)
    a.loadVector(x, at(rdi), mask)
    a.combine('multiply', working, gradient, fresh1)
    a.combine('multiplyAdd', m, beta1, working)
    a.storeVector(at(rdx), m, mask)
    a.combine('multiply', working, gradient, gradient)
    a.combine('multiply', working, working, fresh2)
    a.combine('multiplyAdd', v, beta2, working)
    a.storeVector(at(rcx), v, mask)
    a.squareRoot(v, v)
    a.combine('multiplyAdd', v, deviation, epsilon)
    a.combine('divide', m, m, v)
    a.combine('multiply', x, x, kept)
    a.combine('subtractProduct', x, rate, m)
    a.storeVector(at(rdi), x, mask)
  })
  return start
}
