// The beginning and end of functions that use registers of the caller, and memory of their own.

import {
  type Assembler,
  at,
  type Place,
  type Register,
  r8,
  r9,
  r12,
  r13,
  r14,
  r15,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rdx,
  rsi,
  rsp,
} from './assembler.ts'

/** The registers that belong to the caller. */
export const kept = [rbx, rbp, r12, r13, r14, r15]

/** The registers of the first arguments, in System V's order; the others are on the stack. */
const first = [rdi, rsi, rdx, rcx, r8, r9]

/** Code that may overwrite registers that belong to the caller. */
export function saving(a: Assembler, registers: readonly Register[], body: () => void): void {
  for (const register of registers) a.push(register)
  body()
  for (const register of [...registers].reverse()) a.pop(register)
}

/**
 * A function with `bytes` of memory at rbp.
 * @param places where its arguments go, in their order
 * @returns where it begins
 */
export function entry(a: Assembler, bytes: number, places: readonly Place[], body: () => void): number {
  a.align()
  const start = a.position
  saving(a, kept, () => {
    a.plus(rsp, { value: -bytes })
    a.move(rbp, rsp)
    places.forEach((place, i) => {
      if (i < first.length) a.store(place, first[i])
      else {
        // behind the memory are the kept registers and the address of the caller
        a.move(rax, at(rbp, bytes + 8 * (kept.length + 1 + i - first.length)))
        a.store(place, rax)
      }
    })
    body()
    a.plus(rsp, { value: bytes })
  })
  a.return()
  return start
}
