// `cocagrad soup`: the mean of the weights of several runs that were finetuned from the same model, as one run.

import type { Command } from 'commander'
import { makeSoup, type SoupResult } from '../../train/index.ts'
import { UsageError } from '../errors.ts'
import { interruptible } from '../interrupt.ts'
import { type DeviceOptions, deviceOption, examples, jsonOption, openDevice } from '../options.ts'
import { answer, say, table } from '../output.ts'

interface SoupFlags extends DeviceOptions {
  readonly data: string
  readonly out: string
  readonly greedy?: boolean
  readonly json?: boolean
}

export function addSoup(program: Command): void {
  const command = program
    .command('soup')
    .description(
      'Average the weights of runs that were finetuned from the same model, and write a run with the result. Compares each run, the mean of all (uniform soup) and the mean of those that do not lower the score (greedy soup) on held-out data; the score is the accuracy of classifiers, otherwise the loss.',
    )
    .argument('<run...>', 'the folders of the runs, at least two')
    .requiredOption('--data <path>', 'held-out data, in the format of the training data')
    .requiredOption('--out <run>', 'the folder of the new run')
    .option('--greedy', 'write the greedy soup instead of the uniform soup')
    .action(run)
  examples(
    jsonOption(deviceOption(command)),
    'soup runs/a runs/b runs/c --data validation --out runs/soup',
    'soup runs/a runs/b runs/c --data validation --out runs/soup --greedy --json',
  )
}

async function run(runs: readonly string[], flags: SoupFlags): Promise<void> {
  const { data, out, greedy, json } = flags
  if (runs.length < 2) throw new UsageError(`soup ${runs.join(' ')}: give at least two runs`)
  const twice = runs.find((run, i) => runs.indexOf(run) < i)
  if (twice !== undefined) throw new UsageError(`soup: ${twice} is given twice`)
  await openDevice(flags)
  const result = await interruptible('stopping', signal =>
    makeSoup(runs, {
      data,
      out,
      write: greedy ? 'greedy' : 'uniform',
      signal,
      onEvaluation: (some, values) => say(`evaluated ${some.join(' + ')}: ${digits(Object.values(values)[0])}`),
    }),
  )
  answer(json, result, report(result))
}

const digits = (value: number): string => value.toFixed(4)

function report({ score, examples, ingredients, uniform, greedy, written }: SoupResult): string {
  const names = Object.keys(uniform.values)
  const row = (name: string, values: Readonly<Record<string, number>>) => [
    name,
    ...names.map(key => digits(values[key])),
  ]
  const rows = [
    ...ingredients.map(({ run, step, values }) => row(`${run} at step ${step}`, values)),
    row(`uniform soup of ${uniform.runs.length}`, uniform.values),
    row(`greedy soup of ${greedy.runs.length}: ${greedy.runs.join(', ')}`, greedy.values),
  ]
  const better = score === 'accuracy' ? 'higher' : 'lower'
  return [
    table([`${examples} images`, ...names], rows),
    `score: ${score}, ${better} is better; the ${written!.soup} soup is in ${written!.run}`,
  ].join('\n\n')
}
