// The types of the compiled kernels: functions of addresses in bytes, counts and steps, written in assembly/.

export type { CpuModule } from './module.ts'

/** The numbers of the operations, in the order of the enumerations in assembly/. */
export const binaries = { add: 0, sub: 1, mul: 2, maximum: 3, minimum: 4, pow: 5, div: 6, fmod: 7 } as const
export const comparisons = { equal: 0, notEqual: 1, greater: 2, greaterEqual: 3 } as const
export const reductions = { sum: 0, max: 1, min: 2 } as const
