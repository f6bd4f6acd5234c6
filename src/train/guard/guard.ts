// Checks the gradient while a run trains, on the current batch and weights. A wrong gradient stops the run or is reported, and
// the batch and the weights are saved.

import { Generator } from '../../tensor/index.ts'
import type { GuardMetrics } from '../metrics.ts'
import { firstExamples, type Objective, sizeOf } from '../objective.ts'
import { EXACT, isRuleWrong, LossProbe, type LossProblem } from './directional.ts'

/** The gradient of a training step is not the gradient of the loss, and `onError` is 'stop'. */
export class WrongGradientError extends Error {
  override readonly name = 'WrongGradientError'
  /** the step whose gradient is wrong */
  readonly step: number
  /** the check that found it */
  readonly check: GuardMetrics

  constructor(check: GuardMetrics, folder?: string, look?: (folder: string, file: string) => string) {
    super(describeCheck(check, folder, look))
    this.step = check.step
    this.check = check
  }
}

const byCommand = (folder: string, file: string): string => `cocagrad doctor ${folder} --batch ${folder}/${file}`

/**
 * The result of a check: one sentence if the gradient is right, several lines if it is wrong.
 * @param look the call that examines a batch saved in the folder; default the command for runs
 */
export function describeCheck(check: GuardMetrics, folder?: string, look = byCommand): string {
  const { step, ok, error, bound, tape, differences, kinks = false, file } = check
  const digits = (value: number) => value.toPrecision(3)
  const near = kinks ? '; the loss has kinks nearby' : ''
  if (ok) return `step ${step}: the gradient agrees with finite differences (error ${digits(error)}${near})`
  // enough digits to show the difference
  const long = (value: number) => value.toPrecision(Math.min(17, Math.max(3, 3 - Math.floor(Math.log10(error)))))
  return [
    `step ${step}: the gradient is wrong. Along a random direction the tape gives ${long(tape)}, finite differences of the loss give ${long(differences)}`,
    `the error is ${digits(error)}${causeOf(check, digits, bound)}`,
    ...(file === undefined || folder === undefined
      ? []
      : [
          `the batch and the weights are saved in ${folder}/${file}; to find the part of the model:`,
          `  ${look(folder, file)}`,
        ]),
  ].join('\n  ')
}

function causeOf(check: GuardMetrics, digits: (value: number) => string, bound: number): string {
  const { error, inFloat64 = 0, tensor } = check
  if (isRuleWrong(check))
    return `, and ${digits(inFloat64)} in float64 on reference: look for an operation whose rule is wrong`
  const rules = `${error > bound ? `, more than ${bound}` : ''}. The rules are right in float64 on reference`
  return tensor
    ? `${rules}, but a kernel of this device is wrong or rounds too much: the gradient of ${tensor.name} is off by ${digits(100 * tensor.error)} %`
    : `${rules}. Float32 on reference is about as inaccurate, so these weights or this batch need more precision than float32`
}

/** Seconds that checks may always take: enough for the first check of a small model. */
const GRACE = 2

/** Products of a parameter and a token that `reference` computes in a second, at least. */
const PRODUCTS = 5e8

/** Cost of the first check in evaluations of the loss: two, and a gradient, which costs about three. */
const LOSSES_AT_FIRST = 5

/** How often and how strictly gradients are checked. */
export interface GuardSettings {
  /** steps from one check to the next, starting at the first step; 0 turns checks off */
  readonly every: number
  /** maximum number of examples of a batch that are used */
  readonly examples: number
  /** the largest error that counts as rounding */
  readonly bound: number
  /** share of the training time that checks may take: a check that would exceed it is skipped */
  readonly share: number
  /** on a wrong gradient, 'stop' ends the training before the update, 'warn' continues */
  readonly onError: 'stop' | 'warn'
}

export interface GuardOptions extends GuardSettings {
  /** seed of the directions */
  readonly seed: number
  /** saves the batch and the weights of a wrong gradient; returns the name of the file */
  readonly keep?: (problem: LossProblem, step: number) => Promise<string>
}

export class GradientGuard {
  readonly #options: GuardOptions
  readonly #born = performance.now()
  /** seconds of all checks so far */
  #seconds = 0
  /** seconds of the last check without its further examination; before the first check, an estimate */
  #latest: number
  #isFirst = true

  constructor({ model, rowsPerExample = 1 }: Objective, options: GuardOptions) {
    this.#options = options
    this.#latest = (LOSSES_AT_FIRST * options.examples * model.parameterCount() * rowsPerExample) / PRODUCTS
  }

  /**
   * Checks the gradient of a step, if a check is due and within its share of the time; otherwise returns undefined.
   * @param problem of the step: the first examples of its batch are used
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
    // one derivative hardly depends on a small tensor among many: tensors are compared one by one at the first check of a
    // process, and whenever the derivative is not exact
    const wrong = isSuspect || this.#isFirst ? probe.wrongTensors(error > bound ? EXACT : bound) : []
    const ok = error <= bound && !isRuleWrong(verdict) && wrong.length === 0
    const file = ok ? undefined : await keep?.(some, step)
    const seconds = (performance.now() - began) / 1000
    this.#seconds += seconds
    this.#latest = usual
    this.#isFirst = false
    const looked = sizeOf(objective, some.batch) ?? 0
    // errors propagate towards the inputs: the last wrong tensor of the model is nearest to their source
    return { kind: 'guard', step, ok, ...verdict, bound, tensor: wrong.at(-1), examples: looked, seconds, file }
  }

  #isAffordable(): boolean {
    const trained = (performance.now() - this.#born) / 1000 - this.#seconds
    return this.#seconds + this.#latest <= GRACE + this.#options.share * trained
  }
}

/** The generator of a step's direction. */
export const directionOf = (seed: number, step: number): Generator => new Generator(seed).fork(`guard ${step}`)
