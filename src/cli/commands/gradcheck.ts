// `cocagrad gradcheck`: compares gradients with finite differences, for each operation or for each part of a model.

import type { Command } from 'commander'
import type { FamilyName } from '../../models/index.ts'
import { FailedError, UsageError } from '../errors.ts'
import { checkModel, modelChoice } from '../gradcheck/model.ts'
import { checkOperations } from '../gradcheck/operations.ts'
import { forJson, type VerdictLine } from '../gradcheck/verdict.ts'
import { collect, examples, familyOption, jsonOption, seedOption } from '../options.ts'
import { answer, table } from '../output.ts'

interface GradcheckFlags {
  readonly op?: readonly string[]
  readonly model?: string
  readonly family?: FamilyName
  readonly seed: number
  readonly json?: boolean
}

export function addGradcheck(program: Command): void {
  const command = seedOption(program.command('gradcheck'))
    .description('Compare gradients with finite differences, in float64.')
    .option('--op <name>', 'only this operation; may be repeated', collect)
    .option('--model <config>', "the loss of a model: a preset, or a JSON file with a model's settings or a run's")
    .addOption(familyOption('with --model: the family of the preset or the settings (default: coca)'))
    .action(run)
  command.addHelpText(
    'after',
    '\nThe verdict is the most serious one found. JSON has no Infinity and no NaN: such a worst error is the string "Infinity" or "NaN".',
  )
  examples(
    jsonOption(command),
    'gradcheck',
    'gradcheck --op softmax --op layerNorm',
    'gradcheck --model tiny',
    'gradcheck --model tiny --family classifier',
    'gradcheck --model runs/mine/config.json',
  )
}

async function run({ op, model, family, seed, json }: GradcheckFlags): Promise<void> {
  if (family !== undefined && model === undefined)
    throw new UsageError(`--family ${family} has no effect without --model`)
  if (op && model !== undefined) throw new UsageError('--op and --model: give one of them')
  if (model === undefined) {
    const lines = await checkOperations(op, seed)
    report(json, ['operation', 'cases'], lines, ({ operation, cases }) => [operation, String(cases)])
  } else {
    const lines = await checkModel(await modelChoice(model, family), seed)
    report(json, ['part', 'parameters'], lines, ({ group, parameters }) => [group, parameters.toLocaleString('en')])
  }
}

/** Prints the table, and throws an error if a line is wrong. */
function report<L extends VerdictLine>(
  json: boolean | undefined,
  [name, amount]: readonly string[],
  lines: readonly L[],
  cells: (line: L) => readonly string[],
): void {
  const wrong = lines.filter(({ ok }) => !ok)
  const rows = lines.map(line => {
    const [of, count] = cells(line)
    const { order, derivatives, worst, verdict } = line
    return [of, String(order), count, String(derivatives), worst.toExponential(1), verdict]
  })
  const header = [name, 'order', amount, 'derivatives', 'worst error / tolerance', 'verdict']
  const isOk = lines.length > 0 && wrong.length === 0
  const counted = isOk ? `all ${lines.length} pass` : `${wrong.length} of ${lines.length} fail`
  const summary = lines.length === 0 ? 'nothing was checked' : counted
  answer(json, { ok: isOk, verdicts: lines.map(forJson) }, `${table(header, rows)}\n\n${summary}`)
  if (!isOk) throw new FailedError(summary)
}
