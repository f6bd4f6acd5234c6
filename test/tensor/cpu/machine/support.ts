// Machine code for tests: the instructions that this processor has, or why there is none.

import { type LoadedCode, openMachineCode } from '../../../../src/tensor/cpu/machine/memory.ts'
import type { CpuOptions } from '../../../../src/tensor/index.ts'

export type Instructions = Exclude<CpuOptions['machineCode'], 'off' | undefined>

/** All that machine code is made for. */
export const everyInstructions: readonly Instructions[] = ['AVX-512', 'AVX2']

/** The code with these instructions, or the reason why it is not possible here. */
export function codeWith(instructions: Instructions): LoadedCode | string {
  try {
    return openMachineCode(instructions) as LoadedCode
  } catch (error) {
    return (error as Error).message
  }
}

/** False, or the reason to skip what needs machine code with these instructions. */
export function missing(instructions: Instructions): string | false {
  const code = codeWith(instructions)
  return typeof code === 'string' && code
}
