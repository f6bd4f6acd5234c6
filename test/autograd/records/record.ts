// The expected values of an operation: an independent formula for every way to call it, and the arguments for which it must
// throw. The calls are in src/testing/operations; ops.test.ts tests all records.

import type { Tensor } from '../../../src/tensor/index.ts'
import { type OperationCase, type OperationCases, operations, type Refusal } from '../../../src/testing/index.ts'
import type { Plain } from '../plain.ts'

export type OperationName = keyof typeof operations

export type Formula<O = unknown> = (options: O, ...inputs: Plain[]) => Plain

type OptionsOf<C> = C extends { readonly samples: { generate: (...args: never[]) => { value: infer S } } }
  ? S extends readonly [infer O, ...Tensor[]]
    ? O
    : never
  : never

/** A formula for every case. */
export type Formulas<N extends OperationName> = {
  readonly [K in keyof (typeof operations)[N]]: Formula<OptionsOf<(typeof operations)[N][K]>>
}

export interface RecordedCase {
  readonly says: string
  readonly call: OperationCase
  formula(options: unknown, ...inputs: Plain[]): Plain
}

export interface OperationRecord {
  readonly name: OperationName
  readonly cases: readonly RecordedCase[]
  readonly refuses: readonly Refusal[]
}

export function record<N extends OperationName>(
  name: N,
  formulas: Formulas<N>,
  refuses: readonly Refusal[] = [],
): OperationRecord {
  const calls: OperationCases = operations[name]
  const cases = Object.entries(calls).map(([says, call]) => ({
    says,
    call,
    formula: (formulas as Readonly<Record<string, Formula>>)[says],
  }))
  return { name, cases, refuses }
}
