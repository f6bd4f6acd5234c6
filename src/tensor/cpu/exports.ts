// What the compiled kernels are to TypeScript: functions of addresses, counts and steps, written in assembly/.

import type { UnaryName } from '../kernels.ts'

/** Numbers by which the kernels know what to compute: the order of the enumerations in assembly/. */
export const binaries = { add: 0, sub: 1, mul: 2, maximum: 3, minimum: 4, pow: 5, div: 6 } as const
export const comparisons = { equal: 0, notEqual: 1, greater: 2, greaterEqual: 3 } as const
export const reductions = { sum: 0, max: 1, min: 2 } as const

/** A compiled kernel. */
export type Entry = (...numbers: number[]) => number

export type CpuModule = Readonly<
  Record<
    | `${UnaryName}_f32`
    | `${'neg' | 'abs' | 'sign'}_i32`
    | 'binary_f32'
    | 'binary_i32'
    | 'binary_bool'
    | 'compare_f32'
    | 'compare_i32'
    | 'where_32'
    | 'where_8'
    | 'copy_32'
    | 'copy_8'
    | 'fill_32'
    | 'fill_8'
    | 'i32_to_f32'
    | 'f32_to_i32'
    | 'bool_to_f32'
    | 'bool_to_i32'
    | 'outside'
    | 'gather_32'
    | 'gather_8'
    | 'scatter_f32'
    | 'scatter_i32'
    | 'rows_f32'
    | 'rows_i32'
    | 'columns_f32'
    | 'columns_i32'
    | 'argmax_f32'
    | 'argmax_i32'
    | 'matmul'
    | 'product'
    | 'addRow'
    | 'useBlas'
    | 'attention'
    | 'attentionGradient'
    | 'layerNorm'
    | 'layerNormGradient'
    | 'addSquares'
    | 'addSums'
    | 'negativeLogLikelihood'
    | 'negativeLogLikelihoodGradient'
    | 'scratchBytes'
    | 'softmax'
    | 'softmaxGradient'
    | 'logSoftmax'
    | 'logSoftmaxGradient'
    | 'standardize'
    | 'standardizeGradient'
    | 'gelu'
    | 'geluGradient'
    | 'adamw',
    Entry
  >
>
