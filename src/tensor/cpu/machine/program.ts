// All functions of machine code, in one piece, and where each begins.

import { adamwFunction } from './adamw.ts'
import { Assembler, type Instructions } from './assembler.ts'
import type { FunctionName } from './call.ts'
import { geluFunctions } from './gelu.ts'
import { multiply, productFunction } from './products.ts'
import { exponentialFunctions } from './unary.ts'

/** Machine code, and where its functions begin. */
export interface Program {
  readonly code: Uint8Array
  readonly starts: Readonly<Record<FunctionName, number>>
}

export function assemble(instructions: Instructions): Program {
  const a = new Assembler(instructions)
  const product = multiply(a)
  const starts = {
    product: productFunction(a, product),
    ...geluFunctions(a),
    adamw: adamwFunction(a),
    ...exponentialFunctions(a),
  }
  return { code: a.finish(), starts }
}
