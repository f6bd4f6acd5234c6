// Examines a checkpoint: whether its weights are finite, and whether any gradients could have produced the optimizer's moments.

import { DataError, NonFiniteWeightsError } from '../io/index.ts'
import type { Module } from '../nn/index.ts'
import { type CheckpointFolder, type HostTensors, toHost } from '../train/checkpoint.ts'
import type { RunConfig } from '../train/index.ts'
import { optimizerFor } from '../train/setup.ts'
import { counted, type DoctorFinding, digits, findingsOf, share, some } from './finding.ts'

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
    return [
      finding(
        'wrong',
        'the optimizer’s state cannot be read',
        error.message,
        'go back to an earlier checkpoint: --step N',
      ),
    ]
  }
  const { tensors, values } = optimizer.stateDict()
  const host = await toHost(tensors)
  const names = [...model.namedParameters()].map(([name]) => name)
  return [
    ...negative(host),
    ...(values.algorithm === 'AdamW' ? unrelated(host, config.optimizer.betas ?? [0.9, 0.999]) : []),
    ...silent(host),
    ...steps(values.steps, state.step, names, checkpoint.optimizerFile),
  ]
}

const numbers = (tensors: HostTensors): [string, ArrayLike<number>][] =>
  [...tensors].map(([name, { data }]) => [name, data as ArrayLike<number>])

const countWhere = (data: ArrayLike<number>, holds: (value: number, i: number) => boolean): number => {
  let count = 0
  for (let i = 0; i < data.length; i++) if (holds(data[i], i)) count++
  return count
}

const notFinite = (what: string, { tensors }: NonFiniteWeightsError): DoctorFinding =>
  finding(
    'wrong',
    `the ${what} hold values that are not finite`,
    some(tensors.map(({ name, value, index }) => `${name} has ${value} at ${index}`)),
    'go back to an earlier checkpoint with --step N; a lower learning rate, a longer warm-up or a clipNorm keeps values small',
  )

/** Means of squares are not negative. */
function negative(state: HostTensors): DoctorFinding[] {
  const squares = numbers(state).filter(([name]) => /^(secondMoment|rows|columns)\./.test(name))
  const bad = squares.flatMap(([name, data]) => {
    const count = countWhere(data, value => value < 0)
    return count > 0 ? [`${name} in ${count} of ${data.length}`] : []
  })
  if (bad.length === 0) return []
  const advice = 'the file was damaged or changed: go back to an earlier checkpoint with --step N'
  return [finding('wrong', 'second moments are negative, but they are means of squares', some(bad), advice)]
}

/**
 * For any gradients, |m| ≤ (1 - β₁) / √((1 - β₂)(1 - β₁² / β₂)) √v by the Cauchy-Schwarz inequality. Moments that violate it do
 * not belong together.
 */
function unrelated(state: HostTensors, [beta1, beta2]: readonly [number, number]): DoctorFinding[] {
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
      'they come from two runs or from other betas: go back to an earlier checkpoint with --step N',
    ),
  ]
}

/** Parameters whose second moment is 0 everywhere never had a gradient. */
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
      `their second moments are 0 everywhere: ${some(still)}`,
      'the loss does not depend on them: look for a loss weight of 0, a part that is not used, or a stopped gradient',
    ),
  ]
}

/** The bias of keys adds one number to all logits of a softmax, which does not change the result: its gradient is 0. */
export const isUnfelt = (name: string): boolean => name.endsWith('key.bias')

function steps(
  found: Readonly<Record<string, number>>,
  step: number,
  names: readonly string[],
  file: string,
): DoctorFinding[] {
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
