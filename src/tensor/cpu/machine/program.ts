// All functions of machine code, in one piece, and where each begins.

import { Assembler, type Instructions } from './assembler.ts'
import type { FunctionName } from './call.ts'
import { multiply, productFunction } from './products.ts'

/** Machine code, and where its functions begin. */
interface Program {
  readonly code: Uint8Array
  readonly starts: Readonly<Record<FunctionName, number>>
}

export function assemble(instructions: Instructions): Program {
  const a = new Assembler(instructions)
  const product = multiply(a)
  const starts = {
    product: productFunction(a, product),
  }
  return { code: a.finish(), starts }
}
