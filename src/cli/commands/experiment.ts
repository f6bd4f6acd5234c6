// `cocagrad experiment`: computes one of the experiments that come with the package, or one of the user's own.

import { join } from 'node:path'
import type { Command } from 'commander'
import { duration } from '../../demo/words.ts'
import { experimentNames, measuresTable, runExperiment } from '../../experiments/index.ts'
import { interruptible } from '../interrupt.ts'
import { type DeviceOptions, deviceOption, examples, jsonOption, openDevice, positiveInteger } from '../options.ts'
import { answer, say, table } from '../output.ts'
import { type Progress, progressBar } from '../progress.ts'

interface ExperimentFlags extends DeviceOptions {
  readonly out?: string
  readonly quick?: boolean
  readonly seeds?: number
  readonly json?: boolean
}

export function addExperiment(program: Command): void {
  const command = program
    .command('experiment')
    .description(
      'Train and compare models on generated data, as the paper does in its tables, and write numbers, tables and plots. An experiment that was stopped continues.',
    )
    .argument('<name>', `${experimentNames().join(', ')}, or a .json with the configuration of another one`)
    .option('--out <folder>', 'folder of data, runs and results (default: runs/experiments/<name>)')
    .option('--quick', 'the short form: shows in a minute or two that everything works')
    .option('--seeds <n>', 'number of seeds; more can be added to a finished experiment', positiveInteger)
    .action(run)
  examples(jsonOption(deviceOption(command)), 'experiment objectives --quick', 'experiment transfer --seeds 5')
}

async function run(name: string, flags: ExperimentFlags): Promise<void> {
  const { json, quick, seeds } = flags
  const short = name.endsWith('.json') ? name.slice(0, -'.json'.length).split(/[\\/]/).at(-1)! : name
  const out = flags.out ?? join('runs', 'experiments', quick ? `${short}-quick` : short)
  await openDevice(flags)
  const began = performance.now()
  let counted: number | undefined
  let bar: Progress | undefined
  let total = 0
  const stop = () => {
    bar?.stop()
    bar = undefined
  }
  const { result, files, notes } = await interruptible('stopping; the finished parts are kept', signal =>
    runExperiment(name, {
      out,
      quick,
      seeds,
      signal,
      onPart: part => {
        stop()
        counted ??= part.done
        const computed = part.done - counted
        const seconds = (performance.now() - began) / 1000
        const left = computed > 0 ? `; about ${duration((seconds / computed) * (part.total - part.done + 1))} left` : ''
        say(`${part.done} of ${part.total}: ${part.part}${left}`)
      },
      onProgress: (done, count) => {
        if (!bar || total !== count) {
          stop()
          total = count
          bar = progressBar('', count)
        }
        bar.update(done)
      },
    }),
  ).finally(stop)
  const { header, rows } = measuresTable(result)
  const text = [table(header, rows), ...notes, files.join('\n')]
  answer(json, { ...result, files, notes }, text.join('\n\n'))
}
