// Finds where a NaN came from. The loss alone does not show it, but the first tensor that is not finite usually does. The step
// is computed again on a tape, and its tensors are checked in order.

import { Tape } from '../../autograd/index.ts'
import { describeNonFinite, type NonFiniteTensor, nonFiniteIn } from '../../io/finite.ts'
import type { SafetensorsData } from '../../io/index.ts'
import type { Shape, Tensor } from '../../tensor/index.ts'
import { lossesOf, type Objective } from '../objective.ts'

/** A tensor with a value that is NaN or infinite. */
export interface Finding extends NonFiniteTensor {
  /** what kind of tensor it is */
  readonly kind: (typeof kinds)[number]
}

/**
 * A training step has a value that is NaN or infinite. Training stops before it updates the parameters; if it updates them during the
 * backward pass (`inBackward`), it goes back to the last checkpoint.
 */
export class TrainingError extends Error {
  override readonly name = 'TrainingError'
  /** the step that failed, from 1 */
  readonly step: number
  /** losses, gradients and parameters with such values, by name, and the first activation */
  readonly findings: readonly Finding[]

  /** @param outcome what became of the parameters, as a sentence */
  constructor(step: number, findings: readonly Finding[], outcome?: string) {
    const lines = [...kinds.flatMap(kind => linesOf(kind, findings)), ...(outcome === undefined ? [] : [outcome])]
    super([`step ${step}: ${headline(findings)}`, ...lines].join('\n  '))
    this.step = step
    this.findings = findings
  }
}

const kinds = ['loss', 'gradient', 'parameter', 'moment', 'activation'] as const

/** Names the earliest finding: activations depend on parameters, the loss on activations, gradients on the loss. */
function headline(findings: readonly Finding[]): string {
  const order: readonly Finding['kind'][] = ['parameter', 'activation', 'loss', 'gradient', 'moment']
  const first = order.map(kind => findings.find(finding => finding.kind === kind)).find(finding => finding)
  return first
    ? `values are not finite, first in the ${first.kind} ${first.name}`
    : 'the gradients are finite, but their norm is not'
}

function linesOf(kind: Finding['kind'], findings: readonly Finding[]): string[] {
  const found = findings.filter(finding => finding.kind === kind)
  const lines = found.slice(0, 3).map(finding => `${kind} ${describeNonFinite(finding)}`)
  return found.length > 3 ? [...lines, `and ${found.length - 3} more of ${kind}`] : lines
}

/** Checks values on the host. */
export const inspect = (kind: Finding['kind'], name: string, shape: Shape, data: SafetensorsData): Finding[] =>
  nonFiniteIn(name, shape, data).map(found => ({ kind, ...found }))

const look = async (kind: Finding['kind'], name: string, x: Tensor): Promise<Finding[]> =>
  inspect(kind, name, x.shape, await x.data())

/**
 * Computes the loss of a batch and its gradients again and lists what is not finite: parts of the loss, then gradients by the
 * name of their parameter, then parameters, then the first activation. The generator must be at the position it had before.
 */
export async function diagnose<Batch>(objective: Objective<Batch>, batch: Batch): Promise<Finding[]> {
  const { model } = objective
  const findings: Finding[] = []
  const parameters = [...model.namedParameters()]
  const trainable = parameters.filter(([, { trainable }]) => trainable)
  const tape = new Tape()
  try {
    for (const [name, parameter] of trainable) tape.watch(parameter, name)
    const parts = tape.run(() => lossesOf(objective, batch))
    for (const [name, part] of Object.entries(parts)) findings.push(...(await look('loss', name, part)))
    const gradients = tape.gradient(
      parts.total,
      trainable.map(([, parameter]) => parameter),
    )
    for (const [i, [name]] of trainable.entries()) findings.push(...(await look('gradient', name, gradients[i])))
    for (const gradient of gradients) gradient.storage.free('the search for what is not finite')
    for (const [name, parameter] of parameters) findings.push(...(await look('parameter', name, parameter)))
    findings.push(...(await firstActivation(tape)))
    return findings
  } finally {
    tape.end()
  }
}

/** The first result on a tape that is not finite, named by its operation and the most recently used parameter. */
async function firstActivation(tape: Tape): Promise<Finding[]> {
  let latest = ''
  for (const { name, args, result } of tape.entries) {
    const used = args.find(arg => tape.watched.has(arg as Tensor))
    latest = tape.watched.get(used as Tensor) ?? latest
    const found = await look('activation', latest ? `${name} at ${latest}` : name, result)
    if (found.length > 0) return found
  }
  return []
}
