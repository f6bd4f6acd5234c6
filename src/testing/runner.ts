// Whose `describe` and `it` declare the tests: this package depends on no test runner.

import { askNode } from '../tensor/host.ts'

/** What every test runner has. */
export interface TestRunner {
  describe(name: string, declare: () => void): unknown
  it(name: string, run: () => void | Promise<void>): unknown
}

interface Surroundings extends Partial<TestRunner> {
  readonly process?: {
    readonly env?: Readonly<Record<string, string | undefined>>
    getBuiltinModule?(name: string): unknown
  }
}

/**
 * The runner that was given; or the global `describe` and `it` of jest, mocha, bun or vitest; or node:test's, where nothing
 * says that another runner is at work.
 * @throws TypeError where there is none
 */
export function runner(given?: TestRunner, here: Surroundings = globalThis as Surroundings): TestRunner {
  if (given) return given
  const { describe, it, process } = here
  if (describe && it) return { describe, it }
  const other = ['VITEST', 'JEST_WORKER_ID'].find(name => askNode(() => process?.env?.[name]) !== undefined)
  const builtin = other === undefined ? askNode(() => process?.getBuiltinModule?.('node:test')) : undefined
  if (builtin) return builtin as TestRunner
  throw new TypeError(
    'describeOperation: there are no global describe and it; pass those of your runner as { test: { describe, it } }',
  )
}
