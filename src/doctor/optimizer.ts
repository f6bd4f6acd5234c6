// Examines weights and optimizers, of a checkpoint or in memory: whether the weights are finite, and whether any gradients could
// have produced the moments of the optimizer.

import { DataError, type NonFiniteTensor, NonFiniteWeightsError, nonFiniteIn, toSafetensors } from '../io/index.ts'
import type { Module } from '../nn/index.ts'
import { Adam, AdamW, Muon, type Optimizer } from '../optim/index.ts'
import type { CheckpointFolder, HostTensors } from '../train/checkpoint.ts'
import type { RunConfig } from '../train/index.ts'
import { optimizerFor } from '../train/setup.ts'
import { counted, type DoctorFinding, digits, findingsOf, share, some } from './finding.ts'
import { runWords, type Words } from './training.ts'

const finding = findingsOf('optimizer')

/** Loads a checkpoint's weights into a model if they are finite. */
export async function examineWeights(checkpoint: CheckpointFolder, model: Module): Promise<DoctorFinding[]> {
  try {
    await checkpoint.loadModel(model)
    return []
  } catch (error) {
    if (!(error instanceof NonFiniteWeightsError)) throw error
    return [notFinite('weights', error)]
  }
}

/** Examines the parameters of a model in memory. */
export async function examineParameters(model: Module, words: Words): Promise<DoctorFinding[]> {
  const found = nonFiniteOf(await toSafetensors(model.stateDict()))
  return found.length > 0 ? [notFinite('weights', { tensors: found }, words)] : []
}

/** Examines a checkpoint's optimizer. @param model the model of the checkpoint; its weights are not used */
export async function examineOptimizer(
  checkpoint: CheckpointFolder,
  model: Module,
  config: RunConfig,
): Promise<DoctorFinding[]> {
  const state = await checkpoint.readState()
  const optimizer = optimizerFor(model, config)
  try {
    await checkpoint.loadOptimizer(optimizer, state.optimizer)
  } catch (error) {
    if (error instanceof NonFiniteWeightsError) return [notFinite('optimizer’s moments', error)]
    if (!(error instanceof DataError)) throw error
    return [finding('wrong', 'the optimizer’s state cannot be read', error.message, runWords.earlier)]
  }
  const names = [...model.namedParameters()].map(([name]) => name)
  return examineMoments(optimizer, { step: state.step, names, file: checkpoint.optimizerFile, words: runWords })
}

/** The learning rates of parts in words: empty if all parameters have the same one. */
export function ratesInWords({ learningRateFactors }: Optimizer): string {
  const factors = [...learningRateFactors.values()]
  if (factors.every(factor => factor === 1)) return ''
  const [low, high] = [Math.min(...factors), Math.max(...factors)].map(digits)
  return `, with ${low === high ? low : `${low} to ${high}`} times the learning rate`
}

/** What the state of an optimizer is compared with. */
export interface MomentsExamination {
  /** the number of updates */
  readonly step: number
  /** the names of the parameters that should have been updated */
  readonly names: readonly string[]
  /** the file that the optimizer was read from */
  readonly file?: string
  readonly words: Words
}

/** Examines the state of an optimizer. */
export async function examineMoments(optimizer: Optimizer, examination: MomentsExamination): Promise<DoctorFinding[]> {
  const { values } = optimizer.stateDict()
  const host = await toSafetensors(optimizer.slotValues())
  const bad = nonFiniteOf(host)
  const { words } = examination
  if (bad.length > 0) return [notFinite('optimizer’s moments', { tensors: bad }, words)]
  return [
    ...negative(host, words),
    ...unrelated(host, betasOf(optimizer), words),
    ...silent(host),
    ...steps(values.steps, examination),
  ]
}

/** The decay rates of an optimizer that has both moments of all numbers of a parameter, unless they are rounded at random. */
const betasOf = (optimizer: Optimizer): readonly [number, number] | undefined =>
  optimizer instanceof AdamW || optimizer instanceof Adam
    ? optimizer.moments === 'float32'
      ? optimizer.betas
      : undefined
    : optimizer instanceof Muon
      ? optimizer.settings.betas
      : undefined

const nonFiniteOf = (tensors: HostTensors): NonFiniteTensor[] =>
  [...tensors].flatMap(([name, { shape, data }]) => nonFiniteIn(name, shape, data))

const numbers = (tensors: HostTensors): [string, ArrayLike<number>][] =>
  [...tensors].map(([name, { data }]) => [name, data as ArrayLike<number>])

const countWhere = (data: ArrayLike<number>, holds: (value: number, i: number) => boolean): number => {
  let count = 0
  for (let i = 0; i < data.length; i++) if (holds(data[i], i)) count++
  return count
}

const notFinite = (
  what: string,
  { tensors }: Pick<NonFiniteWeightsError, 'tensors'>,
  { earlier, clip }: Words = runWords,
): DoctorFinding =>
  finding(
    'wrong',
    `the ${what} hold values that are not finite`,
    some(tensors.map(({ name, value, index }) => `${name} has ${value} at ${index}`)),
    `${earlier}; a lower learning rate, a longer warm-up or a ${clip} keeps values small`,
  )

/** Finds second moments below 0: means of squares are not negative. */
function negative(state: HostTensors, { earlier }: Words): DoctorFinding[] {
  const squares = numbers(state).filter(([name]) => /^(secondMoment|rows|columns|squares)\./.test(name))
  const bad = squares.flatMap(([name, data]) => {
    const count = countWhere(data, value => value < 0)
    return count > 0 ? [`${name} in ${count} of ${data.length}`] : []
  })
  if (bad.length === 0) return []
  const advice = `the file was damaged or changed: ${earlier}`
  return [finding('wrong', 'second moments are negative, but they are means of squares', some(bad), advice)]
}

/**
 * For any gradients, |m| ≤ (1 - β₁) / √((1 - β₂)(1 - β₁² / β₂)) √v by the Cauchy-Schwarz inequality. Moments that violate it do
 * not belong together.
 */
function unrelated(
  state: HostTensors,
  betas: readonly [number, number] | undefined,
  { earlier }: Words,
): DoctorFinding[] {
  if (!betas) return []
  const [beta1, beta2] = betas
  if (beta1 ** 2 >= beta2) return []
  const most = (1 - beta1) / Math.sqrt((1 - beta2) * (1 - beta1 ** 2 / beta2))
  const bad = numbers(state).flatMap(([name, first]) => {
    if (!name.startsWith('firstMoment.')) return []
    const second = state.get(name.replace('first', 'second'))!.data as ArrayLike<number>
    // squares of very small gradients underflow in float32
    const count = countWhere(first, (m, i) => Math.abs(m) > 1e-15 && Math.abs(m) > 1.01 * most * Math.sqrt(second[i]))
    return count > 0 ? [`${name.slice('firstMoment.'.length)} in ${count} of ${first.length}`] : []
  })
  if (bad.length === 0) return []
  return [
    finding(
      'wrong',
      'first and second moments do not belong together',
      `a first moment is at most ${digits(most)} times the square root of the second, but not in: ${some(bad)}`,
      `they come from two runs or from other betas: ${earlier}`,
    ),
  ]
}

/** Parameters whose second moment, or momentum where there is none, is 0 everywhere never had a gradient. */
function silent(state: HostTensors): DoctorFinding[] {
  const second = numbers(state).filter(([name]) => /^(secondMoment|rows|squares|momentum)\./.test(name))
  const still = second
    .filter(([name, data]) => !isUnfelt(name) && countWhere(data, value => value !== 0) === 0)
    .map(([name]) => name.replace(/^[^.]+\./, ''))
  if (still.length === 0) return []
  return [
    finding(
      'suspect',
      `${counted(still.length, 'parameter')} never had a gradient`,
      `their moments are 0 everywhere: ${some(still)}`,
      'the loss does not depend on them: look for a loss weight of 0, a part that is not used, or a stopped gradient',
    ),
  ]
}

/** The bias of keys adds one number to all logits of a softmax, which does not change the result: its gradient is 0. */
export const isUnfelt = (name: string): boolean => name.endsWith('key.bias')

function steps(found: Readonly<Record<string, number>>, { step, names, file }: MomentsExamination): DoctorFinding[] {
  const other = names.filter(name => found[name] !== step)
  if (step === 0 || other.length === 0) return []
  const lists = other.map(name => `${name} ${found[name] ?? 0}`)
  const isAhead = other.some(name => (found[name] ?? 0) > step)
  const evidence = `of ${step} updates, these parameters had: ${some(lists)} (${share(other.length, names.length)} of all parameters)`
  return isAhead
    ? [
        finding(
          'wrong',
          'the optimizer is ahead of its checkpoint',
          evidence,
          `${file} belongs to another step: choose another checkpoint with --step N`,
        ),
      ]
    : [
        finding(
          'note',
          'some parameters were not updated in every step',
          evidence,
          'this is expected if they were frozen',
        ),
      ]
}
