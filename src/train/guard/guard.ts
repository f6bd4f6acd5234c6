// The gradient is checked while a run trains, where it matters: on the batch in hand and the weights of the moment. A
// gradient that is wrong stops the run, or at least is not kept quiet, and what it was computed from is kept.

import { Generator } from '../../tensor/index.ts'
import type { GuardMetrics } from '../metrics.ts'
import { firstExamples, type Objective, sizeOf } from '../objective.ts'
import { EXACT, isRuleWrong, LossProbe, type LossProblem } from './directional.ts'

/** The gradient that trains is not the gradient of the loss, and the run was to stop then. */
export class WrongGradientError extends Error {
  override readonly name = 'WrongGradientError'
  readonly step: number
  readonly check: GuardMetrics

  constructor(check: GuardMetrics, folder?: string, look?: (folder: string, file: string) => string) {
    super(describeCheck(check, folder, look))
    this.step = check.step
    this.check = check
  }
}

const byCommand = (folder: string, file: string): string => `cocagrad doctor ${folder} --batch ${folder}/${file}`

/**
 * What a check found, in a sentence, and where it was wrong in some more.
 * @param look what to call to look into a batch that was kept below the folder; default the command for runs
 */
export function describeCheck(check: GuardMetrics, folder?: string, look = byCommand): string {
  const { step, ok, error, bound, tape, differences, kinks = false, file } = check
  const digits = (value: number) => value.toPrecision(3)
  const near = kinks ? '; the loss has kinks nearby' : ''
  if (ok) return `step ${step}: the gradient agrees with finite differences (error ${digits(error)}${near})`
  // so many digits that the two can be told apart
  const long = (value: number) => value.toPrecision(Math.min(17, Math.max(3, 3 - Math.floor(Math.log10(error)))))
  return [
    `step ${step}: the gradient is wrong. Along a random direction the tape says ${long(tape)}, differences of the loss say ${long(differences)}`,
    `the error is ${digits(error)}, ${causeOf(check, digits, bound)}`,
    ...(file === undefined || folder === undefined
      ? []
      : [
          `the batch and the weights are in ${folder}/${file}; to see which part of the model it is:`,
          `  ${look(folder, file)}`,
        ]),
  ].join('\n  ')
}

function causeOf(check: GuardMetrics, digits: (value: number) => string, bound: number): string {
  const { error, inFloat64 = 0, tensor } = check
  if (isRuleWrong(check))
    return `and in float64 on reference too it is ${digits(inFloat64)}: look for an operation whose rule is wrong`
  const rules = `${error > bound ? `more than ${bound}, and ` : ''}in float64 on reference the rules are right`
  return tensor
    ? `${rules}, a kernel of this device is not, or rounds too much: the gradient of ${tensor.name} is off by ${digits(100 * tensor.error)} %`
    : `${rules}; float32 on reference is about as far off, so these weights or this batch do not suit float32`
}

/** Seconds that checks may take however short the training has been: enough for the first one where models are small. */
const GRACE = 2

/** Products of a parameter and a token that `reference` makes in a second, at the least. */
const PRODUCTS = 5e8

/** Of the first check in losses: two of them, and a gradient, which takes about as long as three. */
const LOSSES_AT_FIRST = 5

/** When and how strictly a gradient is checked. */
export interface GuardSettings {
  /** steps from one check to the next, from the first step on; 0 checks nothing */
  readonly every: number
  /** most examples of a batch that are looked at */
  readonly examples: number
  /** the largest error that is taken for rounding */
  readonly bound: number
  /** of the time of training that checks may take: a check that would take more is left out */
  readonly share: number
  /** what a wrong gradient does: 'stop' ends the training before the update, 'warn' goes on */
  readonly onError: 'stop' | 'warn'
}

export interface GuardOptions extends GuardSettings {
  /** of the directions */
  readonly seed: number
  /** writes down what a wrong gradient was computed from; returns where */
  readonly keep?: (problem: LossProblem, step: number) => Promise<string>
}

export class GradientGuard {
  readonly #options: GuardOptions
  readonly #born = performance.now()
  /** by all checks so far */
  #seconds = 0
  /** by the last check, but for what only some do; until there is one, what the first should take */
  #latest: number
  #isFirst = true

  constructor({ model, rowsPerExample = 1 }: Objective, options: GuardOptions) {
    this.#options = options
    this.#latest = (LOSSES_AT_FIRST * options.examples * model.parameterCount() * rowsPerExample) / PRODUCTS
  }

  /**
   * Checks the gradient of a step, where a check is due and within its share of the time.
   * @param problem the step's: the first images of its batch are taken
   */
  async check(step: number, problem: LossProblem): Promise<GuardMetrics | undefined> {
    const { every, bound, examples, seed, keep } = this.#options
    if (every === 0 || (step - 1) % every !== 0 || !this.#isAffordable()) return undefined
    const began = performance.now()
    const { objective, batch } = problem
    const some = { ...problem, batch: firstExamples(objective, batch, examples) }
    const probe = await LossProbe.open(some)
    const direction = probe.direction(directionOf(seed, step))
    const verdict = probe.judge(direction, bound)
    const usual = (performance.now() - began) / 1000
    const { error } = verdict
    const isSuspect = verdict.inFloat64 !== undefined
    // one number says little of a small tensor among many: they are compared one by one where a new process begins to use this
    // device, and where the number is not what it should be
    const wrong = isSuspect || this.#isFirst ? probe.wrongTensors(error > bound ? EXACT : bound) : []
    const ok = error <= bound && !isRuleWrong(verdict) && wrong.length === 0
    const file = ok ? undefined : await keep?.(some, step)
    const seconds = (performance.now() - began) / 1000
    this.#seconds += seconds
    this.#latest = usual
    this.#isFirst = false
    const looked = sizeOf(objective, some.batch) ?? 0
    // errors go towards the inputs: what is last in the model is nearest to where they come from
    return { kind: 'guard', step, ok, ...verdict, bound, tensor: wrong.at(-1), examples: looked, seconds, file }
  }

  #isAffordable(): boolean {
    const trained = (performance.now() - this.#born) / 1000 - this.#seconds
    return this.#seconds + this.#latest <= GRACE + this.#options.share * trained
  }
}

/** The random numbers of a step's direction. */
export const directionOf = (seed: number, step: number): Generator => new Generator(seed).fork(`guard ${step}`)
