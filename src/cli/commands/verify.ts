// `cocagrad verify`: checks that a checkpoint of OpenCLIP gives the same numbers here as in OpenCLIP, against a folder of
// numbers that OpenCLIP computed.

import type { Command } from 'commander'
import { type AgreementCheck, agreement } from '../../openclip/index.ts'

import { FailedError } from '../errors.ts'
import { type DeviceOptions, deviceOption, examples, jsonOption, openDevice } from '../options.ts'
import { answer, table } from '../output.ts'

export function addVerify(program: Command): void {
  const command = deviceOption(program.command('verify'))
    .description(
      'Compare a model with the numbers that OpenCLIP computed with it: forward, gradients, training, captions.',
    )
    .argument('<folder>', 'a folder with config.json, weights and golden numbers (docs/openclip.md)')
    .action(verify)
  examples(jsonOption(command), 'verify test/golden/coca-m', 'verify test/golden/coca-m --device reference --json')
}

async function verify(folder: string, flags: DeviceOptions & { readonly json?: boolean }): Promise<void> {
  const description = await openDevice(flags)
  const checks: AgreementCheck[] = []
  for await (const check of agreement(folder)) checks.push(check)
  const wrong = checks.filter(({ ok }) => !ok)
  const summary =
    wrong.length === 0
      ? `all ${checks.length} agree, on ${description}`
      : `${wrong.length} of ${checks.length} do not agree, on ${description}`
  const shown = [...largestOfEach(checks), ...wrong].filter((check, i, all) => all.indexOf(check) === i)
  const rows = shown.map(({ name, error, tolerance, ok }) => [
    name,
    error.toExponential(1),
    tolerance.toExponential(0),
    ok ? 'agrees' : 'DIFFERS',
  ])
  answer(
    flags.json,
    { ok: wrong.length === 0, device: description, checks },
    `${table(['what', 'largest error', 'tolerance', ''], rows)}\n\n${summary}`,
  )
  if (wrong.length > 0) throw new FailedError(summary)
}

/** All checks, but for the gradients of parameters, and for their values after training, only the one with the largest error. */
function largestOfEach(checks: readonly AgreementCheck[]): AgreementCheck[] {
  const many = ['gradient ', 'trajectory final ']
  const largest = new Map<string, AgreementCheck>()
  for (const check of checks) {
    const group = many.find(start => check.name.startsWith(start)) ?? check.name
    const before = largest.get(group)
    if (!before || check.error > before.error) largest.set(group, check)
  }
  return [...largest.values()]
}
