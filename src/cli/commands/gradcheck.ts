// `cocagrad gradcheck`: whether the gradients can be trusted, operation by operation, against finite differences.

import type { Command } from 'commander'
import { gradcheck } from '../../autograd/index.ts'
import { device, Generator } from '../../tensor/index.ts'
import { FailedError, UsageError } from '../errors.ts'
import { type GradcheckCase, gradcheckTable } from '../gradcheck-table.ts'
import { collect, examples, jsonOption, seedOption } from '../options.ts'
import { answer, say, table } from '../output.ts'

interface Verdict {
  readonly operation: string
  readonly order: 1 | 2
  readonly cases: number
  readonly derivatives: number
  /** largest error over its tolerance: above 1 is wrong */
  readonly worst: number
  readonly ok: boolean
}

const operations = [...new Set(gradcheckTable.map(({ operation }) => operation))]

export function addGradcheck(program: Command): void {
  const command = seedOption(program.command('gradcheck'))
    .description('Compare gradients of first and second order with finite differences, in float64 on reference.')
    .option('--op <name>', 'only this operation; may be given again', collect)
    .action(run)
  examples(jsonOption(command), 'gradcheck', 'gradcheck --op softmax --op layerNorm')
}

async function run({ op, seed, json }: { op?: readonly string[]; seed: number; json?: boolean }): Promise<void> {
  for (const name of op ?? [])
    if (!operations.includes(name))
      throw new UsageError(`--op ${name}: there is no such operation; there are ${operations.join(', ')}`)
  const verdicts = operations
    .filter(name => op?.includes(name) ?? true)
    .flatMap(name => ([1, 2] as const).map(order => check(name, order, new Generator(seed).fork(name))))
  const wrong = verdicts.filter(({ ok }) => !ok)
  const rows = verdicts.map(({ operation, order, cases, derivatives, worst, ok }) => [
    operation,
    String(order),
    String(cases),
    String(derivatives),
    worst.toExponential(1),
    ok ? 'right' : 'WRONG',
  ])
  const header = ['operation', 'order', 'cases', 'derivatives', 'worst error / tolerance', 'verdict']
  const summary =
    wrong.length === 0 ? `all ${verdicts.length} are right` : `${wrong.length} of ${verdicts.length} are wrong`
  answer(json, { ok: wrong.length === 0, verdicts }, `${table(header, rows)}\n\n${summary}`)
  if (wrong.length > 0) throw new FailedError(summary)
}

/** All cases of an operation. Order 2 checks both orders, and what the first says is known by then. */
function check(operation: string, order: 1 | 2, generator: Generator): Verdict {
  const cases: readonly GradcheckCase[] = gradcheckTable.filter(each => each.operation === operation)
  const results = device.with('reference', () =>
    cases.map(({ f, inputs }) => gradcheck(f, inputs(generator), { order })),
  )
  for (const { ok, message } of results) if (!ok) say(`${operation}: ${message}`)
  return {
    operation,
    order,
    cases: cases.length,
    derivatives: results.reduce((sum, { checked }) => sum + checked, 0),
    worst: Math.max(...results.map(({ worst }) => worst)),
    ok: results.every(({ ok }) => ok),
  }
}
