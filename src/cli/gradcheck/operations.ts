// The gradients of operations, with the same inputs as in the tests.

import { gradcheck } from '../../autograd/index.ts'
import { device } from '../../tensor/index.ts'
import type { OperationCases } from '../../testing/index.ts'
import { UsageError } from '../errors.ts'
import { say } from '../output.ts'
import { lineOf, type VerdictLine } from './verdict.ts'

export interface OperationLine extends VerdictLine {
  readonly operation: string
  readonly cases: number
}

/** The number of calls for each way to call an operation. */
const SAMPLES = 5

/**
 * Checks the given operations, or all that can be differentiated, to the highest order that each supports.
 * @throws UsageError for an unknown name, or the name of an operation without a gradient
 */
export async function checkOperations(names: readonly string[] | undefined, seed: number): Promise<OperationLine[]> {
  const { callsOf, operations } = await loadTesting()
  const known = Object.keys(operations) as (keyof typeof operations)[]
  for (const name of names ?? [])
    if (!(known as readonly string[]).includes(name))
      throw new UsageError(`--op ${name}: unknown operation; the operations are ${known.join(', ')}`)
  for (const name of known)
    if (names?.includes(name) && !isDifferentiable(operations[name]))
      throw new UsageError(`--op ${name}: it has no gradient, so there is nothing to check`)
  return device.with('reference', () =>
    known
      .filter(name => names?.includes(name) ?? isDifferentiable(operations[name]))
      .flatMap(operation => linesOf(operation, callsOf(operation, SAMPLES, seed))),
  )
}

const isDifferentiable = (cases: OperationCases): boolean => Object.values(cases).some(({ order }) => order > 0)

type Calls = ReturnType<Awaited<ReturnType<typeof loadTesting>>['callsOf']>

function linesOf(operation: string, calls: Calls): OperationLine[] {
  const results = calls.map(({ f, inputs, order }) => gradcheck(f, inputs, { order }))
  for (const { ok, message } of results) if (!ok) say(`${operation}: ${message}`)
  const orders = ([1, 2, 3] as const).filter(order => calls.some(call => call.order >= order))
  return orders.map(order => {
    const parts = results.flatMap(result => result.parts.filter(part => part.order === order))
    return { operation, cases: calls.filter(call => call.order >= order).length, ...lineOf(order, parts, results) }
  })
}

/** Samples are drawn by fast-check, which is needed only here. */
async function loadTesting() {
  try {
    return await import('../../testing/index.ts')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_MODULE_NOT_FOUND') throw error
    throw new UsageError('gradcheck draws its samples with fast-check, which is not installed: npm install fast-check')
  }
}
