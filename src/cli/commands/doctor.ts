// `cocagrad doctor`: the problems of a run, the most serious first, and how to fix them.

import type { Command } from 'commander'
import { type DoctorFinding, type Examination, examineKeptBatch, examineRun } from '../../doctor/index.ts'
import { openSettings } from '../../train/index.ts'
import { FailedError, UsageError } from '../errors.ts'
import { interruptible } from '../interrupt.ts'
import { type DeviceOptions, deviceOption, examples, jsonOption, openDevice, positiveInteger } from '../options.ts'
import { answer, wrapped } from '../output.ts'
import { progressBar } from '../progress.ts'

interface DoctorFlags extends DeviceOptions {
  readonly step?: number
  readonly batch?: string
  readonly json?: boolean
}

export function addDoctor(program: Command): void {
  const command = program
    .command('doctor')
    .description(
      'Examine a run: gradients, optimizer, metrics, units and data. Exits with 0 if nothing is wrong, otherwise with 1.',
    )
    .argument('<run>', 'the folder of the run')
    .option('--step <n>', 'the checkpoint to examine (default: the last)', positiveInteger)
    .option('--batch <file>', 'only check the gradient, on a batch that the guard of the run saved')
    .action(examine)
  examples(
    jsonOption(deviceOption(command, 'the one that the run trains on')),
    'doctor runs/first',
    'doctor runs/first --step 200 --device reference',
    'doctor runs/first --batch runs/first/guard/step-000501.safetensors',
  )
}

async function examine(run: string, flags: DoctorFlags): Promise<void> {
  const { step, batch, backend, json } = flags
  if (step !== undefined && batch !== undefined)
    throw new UsageError(`--step ${step} and --batch ${batch}: a saved batch includes the weights of its own step`)
  const { config } = await openSettings(run)
  await openDevice({ device: flags.device ?? config.device, backend })
  const examination = await interruptible('stopping', async signal => {
    if (batch !== undefined) return examineKeptBatch(run, batch)
    let bar: ReturnType<typeof progressBar> | undefined
    const onProgress = (done: number, total: number) => {
      bar ??= progressBar('reading images', total)
      bar.update(done)
    }
    return examineRun(run, { step, signal, onProgress }).finally(() => bar?.stop())
  })
  answer(json, examination, report(examination))
  if (!examination.ok) throw new FailedError('something is wrong')
}

const MARKS = { wrong: '✗', suspect: '!', note: '·' } as const

function report({ run, step, ok, findings, looked }: Examination): string {
  const serious = findings.filter(({ severity }) => severity !== 'note')
  const notes = findings.filter(({ severity }) => severity === 'note')
  const problems = serious.length === 1 ? '1 problem' : `${serious.length} problems, the most serious first`
  const head = ok ? 'nothing is wrong' : problems
  const names = Object.keys(looked).map(name => name.length)
  return [
    `${run} at step ${step}: ${head}`,
    ...serious.map((finding, i) => describe(finding, `${MARKS[finding.severity]} ${i + 1}. ${finding.severity}: `)),
    ...(notes.length > 0 ? ['notes:', ...notes.map(finding => describe(finding, `${MARKS.note} `))] : []),
    [
      'examined:',
      ...Object.entries(looked).map(([name, words]) => wrapped(words, `  ${name.padEnd(Math.max(...names))}  `)),
    ].join('\n'),
  ].join('\n\n')
}

const describe = ({ title, evidence, advice, area }: DoctorFinding, mark: string): string =>
  [wrapped(`${title} (${area})`, mark), wrapped(evidence, '    seen: '), wrapped(advice, '    try:  ')].join('\n')
