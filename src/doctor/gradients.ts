// Finds the part of a model whose gradient is wrong: the guard's check for one part of the parameters at a time and, in a wrong
// part, for one parameter at a time. If the rules are right, each tensor of the device is compared with the exact one.

import type { Generator } from '../tensor/index.ts'
import {
  EXACT,
  isRuleWrong,
  LossProbe,
  type LossProblem,
  type TensorError,
  type Verdict,
} from '../train/guard/directional.ts'
import { partOf } from '../train/parts.ts'
import { counted, type DoctorFinding, digits, findingsOf, share, some } from './finding.ts'
import { suspectsOf } from './operations.ts'

/** How well the gradients of one part of a model agree with finite differences. */
export interface PartAgreement extends Verdict {
  /** the start of its parameters' names: a field of the model, or one of its blocks */
  readonly part: string
}

export interface GradientExamination {
  readonly parts: readonly PartAgreement[]
  readonly findings: readonly DoctorFinding[]
}

const finding = findingsOf('gradients')

/**
 * Checks the gradient of a loss part by part.
 * @param bound the largest error that counts as rounding of the device
 */
export async function examineGradients(
  problem: LossProblem,
  { bound, generator }: { readonly bound: number; readonly generator: Generator },
): Promise<GradientExamination> {
  const probe = await LossProbe.open(problem)
  const names = [...probe.gradients.keys()]
  const examine = (part: string, isMoved: (name: string) => boolean): PartAgreement => {
    const verdict = probe.judge(probe.direction(generator, isMoved), bound)
    return { part, ...verdict }
  }
  const parts = [...new Set(names.map(partOf))].map(part => examine(part, name => partOf(name) === part))
  // an error propagates from its operation towards the inputs; the fields of a model are in forward order
  const nearest = parts.findLast(isRuleWrong)
  if (nearest) {
    const inside = names.filter(name => partOf(name) === nearest.part).map(name => examine(name, each => each === name))
    const wrong = new Set([...parts, ...inside].filter(isRuleWrong).map(each => each.part))
    const ownWrong = inside.filter(each => wrong.has(each.part)).map(each => each.part)
    const right = names.filter(
      name =>
        probe.gradients.get(name)!.some(value => value !== 0) &&
        (partOf(name) === nearest.part ? !wrong.has(name) : !wrong.has(partOf(name))),
    )
    const suspects = ownWrong.length > 0 ? suspectsOf(problem, ownWrong, right) : []
    return { parts, findings: [wrongRule(parts, nearest, inside, suspects)] }
  }
  const far = parts.filter(({ error }) => error > bound)
  const wrong = probe.wrongTensors(far.length > 0 ? EXACT : bound)
  // a part that a kernel got wrong has such a tensor; any other part is about as inaccurate in float32 on reference
  const isKernel = ({ part }: PartAgreement) => wrong.some(({ name }) => partOf(name) === part)
  const findings = wrong.some(({ name, error }) => error > bound || far.some(({ part }) => part === partOf(name)))
    ? [wrongKernel(wrong, names.length)]
    : []
  const rounded = far.filter(part => !isKernel(part))
  return { parts, findings: rounded.length > 0 ? [...findings, rounding(rounded, parts.length)] : findings }
}

const moves = ({ tape, differences, error }: PartAgreement): string =>
  `along a random direction the tape gives ${digits(tape)}, finite differences of the loss give ${digits(differences)} (error ${digits(error)})`

function wrongRule(
  parts: readonly PartAgreement[],
  nearest: PartAgreement,
  inside: readonly PartAgreement[],
  suspects: readonly string[],
): DoctorFinding {
  const { part } = nearest
  const inner = (isWanted: (each: PartAgreement) => boolean) =>
    inside.filter(isWanted).map(each => each.part.slice(part.length + 1) || each.part)
  const [bad, good] = [inner(isRuleWrong), inner(each => !isRuleWrong(each))]
  const evidence = [
    moves(nearest),
    `of ${parts.length} parts, these are wrong: ${some(parts.filter(isRuleWrong).map(each => each.part))}`,
    ...(suspects.length > 0
      ? [
          `only wrong gradients pass through the rules of these operations, in the order of the tape: ${some(suspects, 8)}`,
        ]
      : []),
    ...(bad.length > 0 && good.length > 0
      ? [
          `in ${part}, ${counted(bad.length, 'wrong parameter')}, the last of them ${bad[bad.length - 1]}; these are right: ${some(good)}`,
        ]
      : []),
  ]
  return finding(
    'wrong',
    `the gradient of ${part} is wrong`,
    evidence.join('; '),
    `the tape is wrong in float64 on reference too, so an operation has a wrong rule. Errors propagate from it towards the inputs: look between the parameters that are right and those that are wrong; 'cocagrad gradcheck' checks the built-in operations`,
  )
}

function wrongKernel(wrong: readonly TensorError[], count: number): DoctorFinding {
  const last = wrong[wrong.length - 1]
  const listed = [...wrong].reverse().map(({ name, error }) => `${name} by ${share(error, 1)}`)
  return finding(
    'wrong',
    `the gradient of ${last.name} is wrong on this device`,
    `${wrong.length} of ${counted(count, 'tensor')} differ from float64 on reference by more than the rounding of float32, from the last of the model to the first: ${some(listed)}`,
    'the tape is right in float64 on reference, so the rules are right: a kernel of this device is wrong or rounds too much. Train with --device reference or cpu, and compare',
  )
}

/** A gradient that is mostly rounding does not show that the device is wrong: float32 on `reference` rounds as much. */
function rounding(far: readonly PartAgreement[], count: number): DoctorFinding {
  const last = far[far.length - 1]
  return finding(
    'note',
    `the gradient of ${last.part} is lost in the rounding of float32`,
    `${moves(last)}; of ${count} parts, these are affected: ${some(far.map(({ part }) => part))}. The tape is right in float64 on reference, and about as inaccurate in float32 there`,
    'the device and the rules are right: the gradient is too small, or the values that it is computed from are too large, for the precision of float32. Read the other findings about the learning rate and units that never fire',
  )
}
