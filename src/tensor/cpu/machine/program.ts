// All functions of machine code, in one piece, and where each begins.

import { adamwFunction } from './adamw.ts'
import { Assembler, type Instructions } from './assembler.ts'
import { attention, attentionGradient, weigh } from './attention.ts'
import type { FunctionName } from './call.ts'
import { geluFunctions } from './gelu.ts'
import { layerNormFunction, layerNormGradientFunction } from './norm.ts'
import { multiply, productFunction } from './products.ts'
import { sumColumnsFunction } from './sums.ts'
import { exponentialFunctions } from './unary.ts'

/** Machine code, and where its functions begin. */
interface Program {
  readonly code: Uint8Array
  readonly starts: Readonly<Record<FunctionName, number>>
}

export function assemble(instructions: Instructions): Program {
  const a = new Assembler(instructions)
  const product = multiply(a)
  const weights = weigh(a, product)
  const starts = {
    product: productFunction(a, product),
    attention: attention(a, product, weights),
    attentionGradient: attentionGradient(a, product, weights),
    layerNorm: layerNormFunction(a),
    layerNormGradient: layerNormGradientFunction(a),
    sumColumns: sumColumnsFunction(a),
    ...geluFunctions(a),
    adamw: adamwFunction(a),
    ...exponentialFunctions(a),
  }
  return { code: a.finish(), starts }
}
