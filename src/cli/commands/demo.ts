// `cocagrad demo`: the whole pipeline, from drawing the pictures to a page with the results. If it is killed, the same
// command continues.

import { existsSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { FolderNotEmptyError, ImageTextDataset, picturesFor, writeShapes } from '../../data/index.ts'
import { demoData, demoRun, demoSteps } from '../../demo/config.ts'
import { type DemoData, evaluateDemo } from '../../demo/evaluate.ts'
import { type Target, writeReport } from '../../demo/report/report.ts'
import { percent, percentRange } from '../../demo/words.ts'
import { writeAtomically } from '../../io/index.ts'
import {
  checkRunConfig,
  openRun,
  type Run,
  type RunConfig,
  RunFolder,
  resumeTraining,
  train,
} from '../../train/index.ts'
import { InterruptedError, UsageError } from '../errors.ts'
import { interruptible } from '../interrupt.ts'
import { type CommonOptions, commonOptions, DEFAULT_DEVICE, examples, openDevice, positiveInteger } from '../options.ts'
import { answer, say, table } from '../output.ts'
import { progressBar } from '../progress.ts'
import { TrainingProgress } from '../train-progress.ts'

interface DemoFlags extends CommonOptions {
  readonly out: string
  readonly steps: number
  readonly fresh?: boolean
}

export function addDemo(program: Command): void {
  const command = program
    .command('demo')
    .description('Draw shapes, train a tiny CoCa on them, evaluate it on new ones, and write a report.')
    .option('--out <folder>', 'folder for pictures, run and report', 'runs/demo')
    .option('--steps <n>', 'training steps', positiveInteger, demoSteps)
    .option('--fresh', 'remove the results of an earlier demo in --out first')
    .action(demo)
  examples(commonOptions(command), 'demo', 'demo --out runs/short --steps 300', 'demo --fresh --seed 1')
}

async function demo(flags: DemoFlags): Promise<void> {
  const { out, json } = flags
  const report = join(out, 'report.html')
  const description = await openDevice(flags)
  if (flags.fresh) await forget(join(out, 'run'))
  const { run, result } = await interruptible('stopping; the results so far are kept', async signal => {
    const data = await makeData(flags, signal)
    const run = await trainOrResume(flags, signal)
    say(`evaluating step ${run.step} on unseen pictures`)
    return { run, result: await evaluateDemo(run, await openData(data, run), { signal }) }
  })
  await writeReport(report, result.report)
  const summary = { run: run.folder, step: run.step, device: description, targets: result.targets, report }
  await writeAtomically(join(out, 'summary.json'), `${JSON.stringify(summary, null, 2)}\n`)
  answer(json, summary, `${summaryTable(result.targets)}\n\nreport: ${report}`)
}

/** Removes a run. Throws FolderNotEmptyError if the folder contains anything else. */
async function forget(run: string): Promise<void> {
  if (!existsSync(run)) return
  const foreign = (await readdir(run)).filter(name => !RunFolder.parts.includes(name))
  if (foreign.length > 0)
    throw new FolderNotEmptyError(run, foreign, 'This is not part of a run, so even --fresh does not remove it.')
  await rm(run, { recursive: true })
}

type Folders = Readonly<Record<keyof typeof demoData, string>>

/** Draws the pictures that do not exist yet. Each folder of pictures is made atomically. */
async function makeData({ out: parent, fresh }: DemoFlags, signal: AbortSignal): Promise<Folders> {
  const names = Object.keys(demoData) as (keyof typeof demoData)[]
  for (const name of names) {
    const out = join(parent, 'data', name)
    if (existsSync(out) && !fresh) continue
    const { count } = demoData[name]
    say(`drawing ${count} pictures into ${out}`)
    const bar = progressBar('drawing', count)
    const onProgress = (done: number) => {
      signal.throwIfAborted()
      bar.update(done)
    }
    await writeShapes({ ...demoData[name], out, force: fresh, onProgress }).finally(() => bar.stop())
  }
  return Object.fromEntries(names.map(name => [name, join(parent, 'data', name)])) as Folders
}

/** The run at its last step: started, continued, or only opened. */
async function trainOrResume(flags: DemoFlags, signal: AbortSignal): Promise<Run> {
  const { out, steps, seed, device = DEFAULT_DEVICE } = flags
  const folder = join(out, 'run')
  const files = new RunFolder(folder)
  const isBegun = await files.isStarted()
  if (isBegun) checkSame((await files.settings()).config, flags)
  const done = isBegun ? ((await files.steps()).at(-1) ?? 0) : 0
  if (done >= steps) return openRun(folder)
  const progress = new TrainingProgress()
  const { onStart, onStep, onEvaluation, onGuard } = progress
  const options = { signal, capture: true, onStart, onStep, onEvaluation, onGuard }
  const warmup = Math.min(demoRun.warmup, Math.floor(steps / 10))
  const config = { ...demoRun, steps, warmup, seed, device, data: join(out, 'data', 'train') }
  const training = isBegun
    ? resumeTraining(folder, { ...options, steps, family: 'coca' })
    : train(folder, checkRunConfig(config), options)
  const result = await training.finally(() => progress.stop())
  if (!result.finished)
    throw new InterruptedError(`stopped after step ${result.step}; run the same command to continue`)
  return result
}

/** Checks that the run of an earlier demo has the requested settings, before it is continued or shown. */
function checkSame(config: RunConfig, { out, seed, device }: DemoFlags): void {
  const asked = { seed, device: device ?? config.device }
  for (const name of ['seed', 'device'] as const)
    if (config[name] !== asked[name])
      throw new UsageError(
        `--${name} ${asked[name]}: ${out} contains a run with ${name} ${config[name]}; choose another --out, or give --fresh to remove it`,
      )
}

async function openData(folders: Folders, { model }: Run): Promise<DemoData> {
  const options = picturesFor(model.config.image)
  return {
    train: await ImageTextDataset.open(folders.train, options),
    unseen: await ImageTextDataset.open(folders.unseen, options),
    heldOut: await ImageTextDataset.open(folders['held-out'], options),
  }
}

/** The table of results, and how far other seeds are from them. */
function summaryTable(targets: readonly Target[]): string {
  const range = targets.find(({ overSeeds }) => overSeeds)?.overSeeds
  const rows = table(
    ['on unseen pictures', 'reached', 'target', '', ...(range ? [`${range.seeds} seeds`] : [])],
    targets.map(({ name, value, target, overSeeds }) => [
      name,
      percent(value),
      `≥ ${percent(target, 0)}`,
      value >= target ? '✓' : '✗ missed',
      ...(range ? [overSeeds ? percentRange(overSeeds) : ''] : []),
    ]),
  )
  if (!range) return rows
  return `${rows}\n\nThe last column is what ${range.seeds} trainings reached that differ in their seed.`
}
