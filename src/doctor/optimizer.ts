// What a checkpoint holds: weights that are finite, and an optimizer's moments such as some gradients could have left them.

import { DataError, type NonFiniteTensor, NonFiniteWeightsError, nonFiniteIn } from '../io/index.ts'
import type { Module } from '../nn/index.ts'
import { AdamW, type Optimizer } from '../optim/index.ts'
import { type CheckpointFolder, type HostTensors, toHost } from '../train/checkpoint.ts'
import type { RunConfig } from '../train/index.ts'
import { optimizerFor } from '../train/setup.ts'
import { counted, type DoctorFinding, digits, findingsOf, share, some } from './finding.ts'
import { runWords, type Words } from './training.ts'

const finding = findingsOf('optimizer')

/** Reads a checkpoint's weights into a model, unless they are not finite. */
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
  const found = nonFiniteOf(await toHost(model.stateDict()))
  return found.length > 0 ? [notFinite('weights', { tensors: found }, words)] : []
}

/** Examines a checkpoint's optimizer. @param model of the checkpoint, with its weights or without */
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
    return [
      finding(
        'wrong',
        'the optimizer’s state cannot be read',
        error.message,
        'go back to an earlier checkpoint: --step N',
      ),
    ]
  }
  const names = [...model.namedParameters()].map(([name]) => name)
  return examineMoments(optimizer, { step: state.step, names, file: checkpoint.optimizerFile, words: runWords })
}

/** What an optimizer's memory is held against. */
export interface MomentsExamination {
  /** updates that were made */
  readonly step: number
  /** of the parameters that were to be updated */
  readonly names: readonly string[]
  /** that the optimizer was read from */
  readonly file?: string
  readonly words: Words
}

/** Examines what an optimizer remembers. */
export async function examineMoments(optimizer: Optimizer, examination: MomentsExamination): Promise<DoctorFinding[]> {
  const { tensors, values } = optimizer.stateDict()
  const host = await toHost(tensors)
  const bad = nonFiniteOf(host)
  const { words } = examination
  if (bad.length > 0) return [notFinite('optimizer’s moments', { tensors: bad }, words)]
  return [
    ...negative(host, words),
    ...(optimizer instanceof AdamW ? unrelated(host, optimizer.betas, words) : []),
    ...silent(host),
    ...steps(values.steps, examination),
  ]
}

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
    `the ${what} hold values that are no finite numbers`,
    some(tensors.map(({ name, value, index }) => `${name} has ${value} at ${index}`)),
    `${earlier}; a lower learning rate, a longer warm-up or ${clip} keeps values small`,
  )

/** Means of squares are not negative. */
function negative(state: HostTensors, { earlier }: Words): DoctorFinding[] {
  const squares = numbers(state).filter(([name]) => /^(secondMoment|rows|columns)\./.test(name))
  const bad = squares.flatMap(([name, data]) => {
    const count = countWhere(data, value => value < 0)
    return count > 0 ? [`${name} in ${count} of ${data.length}`] : []
  })
  if (bad.length === 0) return []
  const advice = `the file was damaged or changed: ${earlier}`
  return [finding('wrong', 'second moments are negative, and squares never are', some(bad), advice)]
}

/**
 * Whatever the gradients were, |m| ≤ (1 - β₁) / √((1 - β₂)(1 - β₁² / β₂)) √v by Cauchy and Schwarz. Moments that break this do
 * not belong to each other.
 */
function unrelated(state: HostTensors, [beta1, beta2]: readonly [number, number], { earlier }: Words): DoctorFinding[] {
  if (beta1 ** 2 >= beta2) return []
  const most = (1 - beta1) / Math.sqrt((1 - beta2) * (1 - beta1 ** 2 / beta2))
  const bad = numbers(state).flatMap(([name, first]) => {
    if (!name.startsWith('firstMoment.')) return []
    const second = state.get(name.replace('first', 'second'))!.data as ArrayLike<number>
    // squares of very small gradients vanish in float32
    const count = countWhere(first, (m, i) => Math.abs(m) > 1e-15 && Math.abs(m) > 1.01 * most * Math.sqrt(second[i]))
    return count > 0 ? [`${name.slice('firstMoment.'.length)} in ${count} of ${first.length}`] : []
  })
  if (bad.length === 0) return []
  return [
    finding(
      'wrong',
      'first and second moments do not belong together',
      `no gradients can leave a first moment of more than ${digits(most)} roots of the second: ${some(bad)}`,
      `they were mixed from two runs, or other betas: ${earlier}`,
    ),
  ]
}

/** Parameters whose second moment is 0 throughout never had a gradient. */
function silent(state: HostTensors): DoctorFinding[] {
  const second = numbers(state).filter(([name]) => /^(secondMoment|rows)\./.test(name))
  const still = second
    .filter(([name, data]) => !isUnfelt(name) && countWhere(data, value => value !== 0) === 0)
    .map(([name]) => name.replace(/^[^.]+\./, ''))
  if (still.length === 0) return []
  return [
    finding(
      'suspect',
      `${counted(still.length, 'parameter')} never had a gradient`,
      `second moments are 0 throughout: ${some(still)}`,
      'they do not reach the loss: a loss weight of 0, a part that is not used, or a gradient that stops on its way',
    ),
  ]
}

/** A softmax does not feel what is added to all of its logits alike, and that is all the bias of its keys does. */
export const isUnfelt = (name: string): boolean => name.endsWith('key.bias')

function steps(found: Readonly<Record<string, number>>, { step, names, file }: MomentsExamination): DoctorFinding[] {
  const other = names.filter(name => found[name] !== step)
  if (step === 0 || other.length === 0) return []
  const lists = other.map(name => `${name} ${found[name] ?? 0}`)
  const isAhead = other.some(name => (found[name] ?? 0) > step)
  const said = `of ${step} updates they have had: ${some(lists)} (${share(other.length, names.length)} of all parameters)`
  return isAhead
    ? [
        finding(
          'wrong',
          'the optimizer is ahead of its checkpoint',
          said,
          `${file} belongs to another step: use --step N`,
        ),
      ]
    : [finding('note', 'some parameters were not updated in every step', said, 'as it should be if they were frozen')]
}
