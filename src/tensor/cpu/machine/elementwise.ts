// What functions of every number of an array share: the loop over whole vectors and the rest, constants, and polynomials.

import { type Assembler, type Mask, type Place, type Register, r10, restOf, type Vector } from './assembler.ts'

/** The vector registers from `first` to the last one that the instructions have, without the mask of `eachVector`. */
export const registersFrom = (a: Assembler, first: number): readonly Vector[] =>
  Array.from({ length: a.registers - (a.lanes === 8 ? 1 : 0) - first }, (_, i) => first + i)

/** Finds constants: in a register where there is one for it, otherwise in memory. */
export type Constants = (value: number) => Vector | Place

/** Loads as many of these constants as there are registers. */
export function keep(a: Assembler, values: readonly number[], registers: readonly Vector[]): Constants {
  const kept = [...new Set(values)].slice(0, registers.length)
  kept.forEach((value, i) => {
    a.loadVector(registers[i], a.number(value))
  })
  return value => (kept.includes(value) ? registers[kept.indexOf(value)] : a.number(value))
}

/** to = c₀ xⁿ + c₁ xⁿ⁻¹ + … + cₙ */
export function polynomial(
  a: Assembler,
  to: Vector,
  x: Vector,
  [first, ...others]: readonly number[],
  number: Constants,
): void {
  a.loadVector(to, number(first))
  for (const value of others) a.combine('multiplyAdd', to, x, number(value))
}

/** to = constant - x or another operation whose first operand is a constant */
export function fromNumber(
  a: Assembler,
  name: Parameters<Assembler['combine']>[0],
  to: Vector,
  constant: Vector | Place,
  x: Vector,
): void {
  a.loadVector(to, constant)
  a.combine(name, to, to, x)
}

/**
 * A loop over `count` numbers, and the return: `body` for vectors at the addresses in `pointers`, and once more with a mask for the rest.
 * It must not change `pointers`, `count` and, with AVX2, the last vector register; rax, r10 and r11 are free. What it gives to `aside`
 * is emitted behind the loop: what is seldom needed, and jumped to.
 */
export function eachVector(
  a: Assembler,
  pointers: readonly Register[],
  count: Register,
  body: (mask: Mask | undefined, aside: (emit: () => void) => void) => void,
): void {
  const end = a.label()
  const seldom: (() => void)[] = []
  const aside = (emit: () => void): void => {
    seldom.push(emit)
  }
  a.steps(count, a.lanes, () => {
    body(undefined, aside)
    for (const pointer of pointers) a.plus(pointer, { value: 4 * a.lanes })
  })
  a.compare(count, { value: 0 })
  a.jumpIf('equal', end)
  const mask = restOf(a)
  a.maskOf(mask, count, r10)
  body(mask, aside)
  a.bind(end)
  a.return()
  for (const emit of seldom) emit()
}
