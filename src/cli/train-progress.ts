// The progress of training on the terminal: a bar with the losses, or a line every few seconds if stderr is not a
// terminal.

import type { BadSample } from '../data/index.ts'
import {
  describeCheck,
  describeMemory,
  type EvaluationMetrics,
  type GuardMetrics,
  type Initialization,
  type StepMetrics,
  slowestRank,
  type TrainingStart,
  type TrainOptions,
} from '../train/index.ts'
import { say, skippedLine } from './output.ts'
import { type Progress, progressBar, timeLeft } from './progress.ts'
import { RemainingTime } from './remaining.ts'

const SECONDS_BETWEEN_LINES = 5

const SKIPPED_SHOWN = 10

/** The steps from which the slowest of several processes is found, and the share of their time that the others wait for it to be named. */
const SLOWEST = { steps: 20, share: 0.1 }

const OPTIMIZERS = {
  adamw: 'AdamW',
  adam: 'Adam',
  adafactor: 'Adafactor',
  lion: 'Lion',
  rmsprop: 'RMSprop',
  adagrad: 'Adagrad',
  muon: 'Muon',
  sgd: 'SGD',
} as const

const digits = (value: number) => value.toPrecision(3)

/** What a new run has from another model, and what is left over of both. */
function initialized(from: string, { copied, resized, fresh, unused, dropped = [] }: Initialization): string {
  const count = copied.length + resized.length
  const parts = (names: readonly string[]) => [...new Set(names.map(name => name.split('.')[0]))].join(', ')
  return [
    `${count} parameters from ${from}${resized.length > 0 ? ` (interpolated: ${resized.join(', ')})` : ''}`,
    ...(fresh.length > 0 ? [`${fresh.length} initialized at random (${parts(fresh)})`] : []),
    ...(unused.length > 0 ? [`not used of it: ${parts(unused)}`] : []),
    ...(dropped.length > 0
      ? [`left out of it, so that its encoder computes something else than before: ${dropped.join(', ')}`]
      : []),
  ].join('; ')
}

export class TrainingProgress
  implements
    Pick<TrainOptions, 'onFeatures' | 'onShard' | 'onStart' | 'onStep' | 'onEvaluation' | 'onGuard' | 'onBadSample'>
{
  #bar: Progress | undefined
  #features: Progress | undefined
  #steps = 0
  #folder = ''
  #endsWhenWrong = true
  #isChecked = false
  #shown = Number.NEGATIVE_INFINITY
  #skipped = 0
  #recent: StepMetrics[] = []
  #remaining = new RemainingTime(0)
  readonly #now: () => number

  /** @param now the time in seconds */
  constructor(now: () => number = () => performance.now() / 1000) {
    this.#now = now
  }

  /** Features of a frozen encoder are computed before the first step. */
  readonly onFeatures = (done: number, total: number): void => {
    if (!this.#features) say(`computing the features of ${total.toLocaleString('en')} examples`)
    this.#features ??= progressBar('features', total, done)
    this.#features.update(done)
    if (done === total) this.#features.stop()
  }

  readonly onShard = (listed: number, shards: number): void => {
    this.#bar ??= progressBar('listing shards', shards)
    this.#bar.update(listed)
    if (listed < shards) return
    this.#bar.stop()
    this.#bar = undefined
    say(`listed ${shards.toLocaleString('en')} shards`)
  }

  readonly onStart = (start: TrainingStart): void => {
    const { config, model, images, device, step, steps, stepsPerEpoch, folder, changes } = start
    this.#steps = steps
    this.#remaining = new RemainingTime(steps, step, this.#now)
    this.#folder = folder
    this.#endsWhenWrong = config.guard.onError === 'stop'
    const from = step === 0 ? '' : `, continuing after step ${step}`
    say(
      [
        `${folder}: ${model.parameterCount().toLocaleString('en')} parameters on ${device}`,
        `${images.train?.toLocaleString('en') ?? 'shards of'} training images, ${images.validation.toLocaleString('en')} held out`,
        ...(start.initialization && config.from ? [initialized(config.from, start.initialization)] : []),
        `${steps} steps of ${config.batchSize} images${stepsPerEpoch === undefined ? '' : `, ${stepsPerEpoch} per epoch`}${from}`,
        ...(start.memory ? [describeMemory(start.memory, OPTIMIZERS[config.optimizer.name], config.device)] : []),
        ...changes.map(change => `changed since the run was last started: ${change}`),
      ].join('\n'),
    )
    if (process.stderr.isTTY) this.#bar = progressBar('training', steps, step)
  }

  readonly onStep = (metrics: StepMetrics): void => {
    const { step } = metrics
    const left = timeLeft(this.#remaining, step)
    this.#recent = [...this.#recent, metrics].slice(-SLOWEST.steps)
    const slowest = slowestRank(this.#recent)
    const { losses, learningRate, examplesPerSecond } = metrics
    const parts = Object.entries(losses).filter(([name]) => name !== 'total')
    const named = parts.map(([name, value]) => `${name} ${digits(value)}`).join(', ')
    const text = [
      `loss ${digits(losses.total)}${parts.length > 1 ? ` (${named})` : ''}`,
      `lr ${learningRate.toExponential(1)}`,
      ...(examplesPerSecond === undefined ? [] : [`${examplesPerSecond.toFixed(0)} images/s`]),
      ...(slowest && slowest.share >= SLOWEST.share
        ? [`waiting for rank ${slowest.rank} ${(100 * slowest.share).toFixed(0)} % of the time`]
        : []),
      ...(left ? [left] : []),
    ].join('  ')
    this.#bar?.update(step, text)
    if (this.#bar) return
    const now = this.#now()
    if (now - this.#shown < SECONDS_BETWEEN_LINES && step < this.#steps) return
    this.#shown = now
    say(`step ${step}/${this.#steps}  ${text}`)
  }

  readonly onEvaluation = ({ step, values, weights }: EvaluationMetrics): void => {
    const words = Object.entries(values).map(([name, value]) => `${name} ${digits(value)}`)
    this.#say(`after step ${step}${weights === undefined ? '' : ' (averaged weights)'}: ${words.join(', ')}`)
  }

  /** Prints the first check without errors, and each check with an error, unless the error ends the run with the same message. */
  readonly onGuard = (check: GuardMetrics): void => {
    if (check.ok ? this.#isChecked : this.#endsWhenWrong) return
    this.#isChecked = true
    this.#say(`${check.ok ? '' : 'WARNING: '}${describeCheck(check, this.#folder)}`)
  }

  #say(text: string): void {
    if (this.#bar) this.#bar.line(text)
    else say(text)
  }

  /** Every skipped sample is in the run's skipped.jsonl; the first few are printed. */
  readonly onBadSample = (bad: BadSample): void => {
    this.#skipped++
    if (this.#skipped > SKIPPED_SHOWN) return
    const more = this.#skipped === SKIPPED_SHOWN ? '; more are in skipped.jsonl' : ''
    const line = `${skippedLine(bad)}${more}`
    if (this.#bar) this.#bar.line(line)
    else say(line)
  }

  stop(): void {
    this.#features?.stop()
    this.#bar?.stop()
  }
}
