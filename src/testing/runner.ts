// Finds the `describe` and `it` that declare the tests. This package depends on no test runner.

import { askNode } from '../tensor/host.ts'

/** The functions that every test runner has. */
export interface TestRunner {
  /** Declares a group of tests. */
  describe(name: string, declare: () => void): unknown
  /** Declares a test. */
  it(name: string, run: () => void | Promise<void>): unknown
}

interface Surroundings extends Partial<TestRunner> {
  readonly process?: {
    readonly env?: Readonly<Record<string, string | undefined>>
    getBuiltinModule?(name: string): unknown
  }
}

/**
 * The given runner; or the global `describe` and `it` of jest, mocha, bun or vitest; or those of node:test, unless there is a
 * sign of another runner.
 * @throws TypeError if there is none
 */
export function runner(given?: TestRunner, here: Surroundings = globalThis as Surroundings): TestRunner {
  if (given) return given
  const { describe, it, process } = here
  if (describe && it) return { describe, it }
  const other = ['VITEST', 'JEST_WORKER_ID'].find(name => askNode(() => process?.env?.[name]) !== undefined)
  const builtin = other === undefined ? askNode(() => process?.getBuiltinModule?.('node:test')) : undefined
  if (builtin) return builtin as TestRunner
  throw new TypeError(
    'describeOperation: describe and it are not global here; pass those of your runner as { test: { describe, it } }',
  )
}
