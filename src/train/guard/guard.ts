// The gradient is checked while a run trains, where it matters: on the batch in hand and the weights of the moment. A
// gradient that is wrong stops the run, or at least is not kept quiet, and what it was computed from is kept.

import { join } from 'node:path'
import type { LossBatch } from '../../evaluate/inputs.ts'
import { DataError, readSafetensors, type SafetensorsTensor, writeSafetensors } from '../../io/index.ts'

import type { CoCa } from '../../models/index.ts'
import { device, Generator } from '../../tensor/index.ts'
import { type HostTensors, toHost } from '../checkpoint.ts'
import type { RunConfig } from '../config.ts'

import type { GuardMetrics } from '../metrics.ts'
import { EXACT, isRuleWrong, LossProbe, type LossProblem } from './directional.ts'

/** The gradient that trains is not the gradient of the loss, and the run was to stop then. */
export class WrongGradientError extends Error {
  override readonly name = 'WrongGradientError'
  readonly step: number
  readonly check: GuardMetrics

  constructor(check: GuardMetrics, folder: string) {
    super(describeCheck(check, folder))
    this.step = check.step
    this.check = check
  }
}

/** What a check found, in a sentence, and where it was wrong in some more. */
export function describeCheck(check: GuardMetrics, folder: string): string {
  const { step, ok, error, bound, tape, differences, kinks = false, file } = check
  const digits = (value: number) => value.toPrecision(3)
  const near = kinks ? '; the loss has kinks nearby' : ''
  if (ok) return `step ${step}: the gradient agrees with finite differences (error ${digits(error)}${near})`
  // so many digits that the two can be told apart
  const long = (value: number) => value.toPrecision(Math.min(17, Math.max(3, 3 - Math.floor(Math.log10(error)))))
  return [
    `step ${step}: the gradient is wrong. Along a random direction the tape says ${long(tape)}, differences of the loss say ${long(differences)}`,
    `the error is ${digits(error)}, ${causeOf(check, digits, bound)}`,
    `the batch and the weights are in ${join(folder, file ?? GUARD)}; to see which part of the model it is:`,
    `  cocagrad doctor ${folder} --batch ${join(folder, file ?? GUARD)}`,
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

export class GradientGuard {
  readonly #folder: string
  readonly #config: RunConfig
  readonly #born = performance.now()
  /** by all checks so far */
  #seconds = 0
  /** by the last check, but for what only some do; until there is one, what the first should take */
  #latest: number
  #isFirst = true

  constructor(folder: string, config: RunConfig, model: CoCa) {
    this.#folder = folder
    this.#config = config
    this.#latest = (LOSSES_AT_FIRST * config.guard.examples * model.parameterCount() * tokensOf(config)) / PRODUCTS
  }

  /**
   * Checks the gradient of a step, where a check is due and within its share of the time.
   * @param problem the step's: the first images of its batch are taken
   */
  async check(step: number, problem: LossProblem): Promise<GuardMetrics | undefined> {
    const { every, bound, examples } = this.#config.guard
    if (every === 0 || (step - 1) % every !== 0 || !this.#isAffordable()) return undefined
    const began = performance.now()
    const some = { ...problem, batch: firstExamples(problem.batch, examples) }
    const probe = await LossProbe.open(some)
    const direction = probe.direction(directionOf(this.#config.seed, step))
    const verdict = probe.judge(direction, bound)
    const usual = (performance.now() - began) / 1000
    const { error } = verdict
    const isSuspect = verdict.inFloat64 !== undefined
    // one number says little of a small tensor among many: they are compared one by one where a new process begins to use this
    // device, and where the number is not what it should be
    const wrong = isSuspect || this.#isFirst ? probe.wrongTensors(error > bound ? EXACT : bound) : []
    const ok = error <= bound && !isRuleWrong(verdict) && wrong.length === 0
    const file = ok ? undefined : join(GUARD, `step-${String(step).padStart(6, '0')}.safetensors`)
    if (file) await keepBatch(join(this.#folder, file), some, step)
    const seconds = (performance.now() - began) / 1000
    this.#seconds += seconds
    this.#latest = usual
    this.#isFirst = false
    const looked = some.batch.imageShape[0]
    // errors go towards the inputs: what is last in the model is nearest to where they come from
    return { kind: 'guard', step, ok, ...verdict, bound, tensor: wrong.at(-1), examples: looked, seconds, file }
  }

  #isAffordable(): boolean {
    const trained = (performance.now() - this.#born) / 1000 - this.#seconds
    return this.#seconds + this.#latest <= GRACE + this.#config.guard.share * trained
  }
}

const tokensOf = ({ model: { image, text } }: RunConfig): number => (image.size / image.patch) ** 2 + text.context

/** The random numbers of a step's direction. */
export const directionOf = (seed: number, step: number): Generator => new Generator(seed).fork(`guard ${step}`)

export function firstExamples({ images, imageShape, tokens, tokenShape }: LossBatch, count: number): LossBatch {
  const [batch, channels, height, width] = imageShape
  const few = Math.min(count, batch)
  return {
    images: images.slice(0, few * channels * height * width),
    imageShape: [few, channels, height, width],
    tokens: tokens.slice(0, few * tokenShape[1]),
    tokenShape: [few, tokenShape[1]],
  }
}

/** Of a run: where batches with a wrong gradient are kept. */
const GUARD = 'guard'
const PARAMETER = 'parameter.'

/** All that a check depended on, besides the run's configuration. */
export interface KeptBatch extends Omit<LossProblem, 'model'> {
  readonly step: number
  readonly parameters: HostTensors
}

async function keepBatch(file: string, { model, batch, positives, parts, position }: LossProblem, step: number) {
  const { images, imageShape, tokens, tokenShape } = batch
  const tensors = new Map<string, SafetensorsTensor>([
    ['images', { dtype: 'F32', shape: imageShape, data: Float32Array.from(images) }],
    ['tokens', { dtype: 'I32', shape: tokenShape, data: tokens }],
  ])
  for (const [name, value] of await toHost(model.stateDict())) tensors.set(PARAMETER + name, value)
  const facts = { step, positives, parts, position, device: device.description }
  await writeSafetensors(file, tensors, Object.fromEntries(Object.entries(facts).map(([k, v]) => [k, String(v)])))
}

/**
 * Reads what a guard has kept.
 * @throws SafetensorsError if the file is damaged, DataError if it is none of a guard's
 */
export async function readKeptBatch(file: string): Promise<KeptBatch> {
  const { tensors, metadata } = await readSafetensors(file)
  const [images, tokens] = ['images', 'tokens'].map(name => tensors.get(name))
  const [step, parts, position] = ['step', 'parts', 'position'].map(name => Number(metadata.get(name)))
  if (
    images?.dtype !== 'F32' ||
    images.shape.length !== 4 ||
    tokens?.dtype !== 'I32' ||
    !Number.isInteger(step + parts + position)
  )
    throw new DataError('holds no batch that a guard has kept', { file })
  const batch = {
    images: images.data as Float32Array,
    imageShape: images.shape as unknown as LossBatch['imageShape'],
    tokens: tokens.data as Int32Array,
    tokenShape: tokens.shape as unknown as LossBatch['tokenShape'],
  }
  const parameters: HostTensors = new Map()
  for (const [name, tensor] of tensors)
    if (name.startsWith(PARAMETER)) parameters.set(name.slice(PARAMETER.length), tensor)
  return { step, batch, positives: metadata.get('positives') === 'true', parts, position, parameters }
}
