// The description of an operation for its tests: its arguments, and the highest order of its derivatives.

import fc from 'fast-check'
import type { DType, Shape, Tensor } from '../../tensor/index.ts'
import { shape } from '../arbitraries/shapes.ts'
import { operands, type ValueOptions } from '../arbitraries/tensors.ts'

/** One way to call an operation: with tensors, and options that are drawn with them. */
export interface OperationCase<O = unknown> {
  /** options and inputs */
  readonly samples: fc.Arbitrary<readonly [options: O, ...inputs: Tensor[]]>
  /** highest order of gradients to check; 0 if the operation has none */
  readonly order: 0 | 1 | 2 | 3
  /** dtype of the result for float32 inputs */
  readonly result: DType
  /** Calls the operation. */
  f(options: O, ...inputs: Tensor[]): Tensor
}

/** Ways to call one operation, by description. */
export type OperationCases = Readonly<Record<string, OperationCase>>

/** Shapes that are drawn together, with options. */
export type Drawn<O> = fc.Arbitrary<{ readonly shapes: readonly Shape[]; readonly options: O }>

type Settings = Partial<Pick<OperationCase, 'order' | 'result'>>

/** A case with inputs that are drawn together with options. */
export const sampled = <O>(
  samples: fc.Arbitrary<{ inputs: Tensor[]; options: O }>,
  f: (options: O, ...inputs: Tensor[]) => Tensor,
  { order = 2, result = 'float32' }: Settings = {},
): OperationCase<O> => ({
  samples: samples.map(({ inputs, options }) => [options, ...inputs] as const),
  order,
  result,
  f,
})

/** A case with drawn shapes and options, and options for the values of all inputs or of each. */
export const drawn = <O>(
  shapes: Drawn<O>,
  values: ValueOptions | readonly ValueOptions[],
  f: (options: O, ...inputs: Tensor[]) => Tensor,
  settings: Settings = {},
): OperationCase<O> => sampled(operands(shapes, values), f, settings)

/** Shapes without options. */
export const only = (shapes: fc.Arbitrary<readonly Shape[]>): Drawn<undefined> =>
  shapes.map(list => ({ shapes: list, options: undefined }))

/** One shape without options. */
export const alone = (shapes: fc.Arbitrary<Shape>): Drawn<undefined> => only(shapes.map(sizes => [sizes]))

/** A shape with at least one axis, and one of its axes as an option, counted from the first or the last. */
export const withAxis = fc.tuple(shape({ minRank: 1 }), fc.integer({ min: 0, max: 5 })).map(([sizes, n]) => ({
  shapes: [sizes],
  options: (n % (2 * sizes.length)) - sizes.length,
}))
