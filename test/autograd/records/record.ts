// What is known of an operation: samples of what it takes, what comes out by an independent formula, and what it must
// refuse. The tests in ops.test.ts walk over all records.

import type { DType, Shape, Tensor } from '../../../src/tensor/index.ts'
import { operands, shape, type ValueOptions } from '../../../src/testing/index.ts'
import { fc } from '../../support.ts'
import type { Plain } from '../plain.ts'

export interface Sample {
  readonly inputs: Tensor[]
  readonly options: unknown
  readonly f: (...inputs: Tensor[]) => Tensor
  readonly formula?: (...inputs: Plain[]) => Plain
}

export interface Case {
  readonly says: string
  readonly sample: fc.Arbitrary<Sample>
  /** highest order of gradients that are checked; default 2 */
  readonly order: 0 | 1 | 2
  /** dtype of the result for float32 inputs; default float32 */
  readonly result: DType
}

/** Something that must be refused, with an error of a class whose message contains a text. */
export type Refusal = readonly [f: () => unknown, error: new (...args: never[]) => Error, text: string]

export interface OperationRecord {
  readonly name: string
  readonly cases: readonly Case[]
  readonly refuses: readonly Refusal[]
}

type Drawn<O> = fc.Arbitrary<{ readonly shapes: readonly Shape[]; readonly options: O }>
type Settings = Partial<Pick<Case, 'order' | 'result'>>

/** A case with inputs that were drawn together with options. */
export const sampled = <O>(
  says: string,
  sample: fc.Arbitrary<{ inputs: Tensor[]; options: O }>,
  f: (options: O, ...inputs: Tensor[]) => Tensor,
  formula?: (options: O, ...inputs: Plain[]) => Plain,
  { order = 2, result = 'float32' }: Settings = {},
): Case => ({
  says,
  order,
  result,
  sample: sample.map(({ inputs, options }) => ({
    inputs,
    options,
    f: (...xs) => f(options, ...xs),
    formula: formula && ((...xs) => formula(options, ...xs)),
  })),
})

/** A case with drawn shapes and options, and values of one or of several kinds. */
export const drawn = <O>(
  says: string,
  shapes: Drawn<O>,
  values: ValueOptions | readonly ValueOptions[],
  f: (options: O, ...inputs: Tensor[]) => Tensor,
  formula?: (options: O, ...inputs: Plain[]) => Plain,
  settings: Settings = {},
): Case => sampled(says, operands(shapes, values), f, formula, settings)

/** Shapes without anything else. */
export const only = (shapes: fc.Arbitrary<readonly Shape[]>): Drawn<undefined> =>
  shapes.map(list => ({ shapes: list, options: undefined }))

export const record = (name: string, cases: readonly Case[], refuses: readonly Refusal[] = []): OperationRecord => ({
  name,
  cases,
  refuses,
})

/** Numbers that become positions of an axis by taking the rest. */
export const numbers = fc.array(fc.integer({ min: 0, max: 11 }), { minLength: 13, maxLength: 13 })

/** A shape with some axes, and a number for each that may name a position. */
export const withNumbers = fc.tuple(shape({ minRank: 1 }), numbers)
