// All operations with their cases, for the tests, `cocagrad gradcheck` and printed programs.

import fc from 'fast-check'
import type { TensorFunction } from '../../autograd/index.ts'
import type * as ops from '../../autograd/ops/index.ts'
import type { Tensor } from '../../tensor/index.ts'
import { activation } from './activation.ts'
import { arrange } from './arrange.ts'
import { attention } from './attention.ts'
import type { OperationCases } from './case.ts'
import { convolution } from './convolution.ts'
import { diagonals } from './diagonals.ts'
import { dropout } from './dropout.ts'
import { einsum } from './einsum.ts'
import { elementwise } from './elementwise.ts'
import { gather } from './gather.ts'
import { indexing } from './indexing.ts'
import { interpolation } from './interpolation.ts'
import { matmul } from './matmul.ts'
import { movement } from './movement.ts'
import { normalization } from './normalization.ts'
import { order } from './order.ts'
import { pooling } from './pooling.ts'
import { reduce } from './reduce.ts'
import { roundings } from './rounding.ts'
import { sampling } from './sampling.ts'
import { scans } from './scan.ts'
import { softmax } from './softmax.ts'
import { trigonometry } from './trigonometry.ts'

export type { OperationCase, OperationCases } from './case.ts'

type Results = {
  readonly [Name in keyof typeof ops]: (typeof ops)[Name] extends (...args: never[]) => infer R ? R : undefined
}

type Asynchronous = { [Name in keyof Results]: Results[Name] extends Promise<unknown> ? Name : never }[keyof Results]

/** The operations whose result is a Promise: they have no cases, but tests of their own. */
export const asynchronous = {
  bincount: true,
  maskedSelect: true,
  nonzero: true,
  unique: true,
} as const satisfies Readonly<Record<Asynchronous, true>>

/** Cases of each operation, by its name and a description; the compiler reports an operation that is missing. */
export const operations = {
  ...elementwise,
  ...activation,
  ...roundings,
  ...trigonometry,
  ...reduce,
  ...scans,
  ...matmul,
  ...einsum,
  ...movement,
  ...arrange,
  ...diagonals,
  ...gather,
  ...indexing,
  ...sampling,
  ...order,
  ...softmax,
  ...normalization,
  ...attention,
  ...dropout,
  ...convolution,
  ...pooling,
  ...interpolation,
} satisfies Readonly<Record<Exclude<keyof typeof ops, 'fusedOps' | Asynchronous>, OperationCases>>

/** The name of an operation. */
export type OperationName = keyof typeof operations

/** One call of an operation that can be differentiated. */
export interface SampledCall {
  /** the operation, with its options */
  readonly f: TensorFunction
  /** the tensors that it is called with */
  readonly inputs: readonly Tensor[]
  /** highest order of its gradients */
  readonly order: 1 | 2 | 3
}

/**
 * Calls of an operation, the same for the same seed; none if it cannot be differentiated.
 * @param samples number of calls for each case
 */
export function callsOf(name: OperationName, samples: number, seed: number): SampledCall[] {
  const cases: OperationCases = operations[name]
  return Object.values(cases).flatMap(({ samples: arbitrary, order, f }) => {
    if (order === 0) return []
    return fc
      .sample(arbitrary, { numRuns: samples, seed })
      .map(([options, ...inputs]) => ({ f: (...xs: Tensor[]) => f(options, ...xs), inputs, order }))
  })
}
