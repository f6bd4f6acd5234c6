// Which part of a model has a wrong gradient. The guard's check, with one part of the parameters moved at a time; where a
// part is wrong, with one parameter at a time. Apart from that every tensor of the device is held against the exact one.

import type { Generator } from '../tensor/index.ts'
import {
  EXACT,
  isRuleWrong,
  LossProbe,
  type LossProblem,
  type TensorError,
  type Verdict,
} from '../train/guard/directional.ts'
import { counted, type DoctorFinding, digits, findingsOf, share, some } from './finding.ts'
import { suspectsOf } from './operations.ts'

export interface PartAgreement extends Verdict {
  /** the beginning of its parameters' names: a field of the model, or one of its blocks */
  readonly part: string
}

export interface GradientExamination {
  readonly parts: readonly PartAgreement[]
  readonly findings: readonly DoctorFinding[]
}

const finding = findingsOf('gradients')

/** encoder.blocks.0.mlp.up.weight → encoder.blocks.0, and unimodal.norm.bias → unimodal */
export const partOf = (name: string): string => /^[^.]+\.blocks\.\d+|^[^.]+/.exec(name)![0]

/**
 * Checks the gradient of a loss part by part.
 * @param bound the largest error that is taken for the rounding of a device
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
  // an error goes from the operation that makes it towards the inputs: the fields of a model stand in that order
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
  // a part that is far off by a kernel has such a tensor; another is not told apart from float32 on reference
  const isKernel = ({ part }: PartAgreement) => wrong.some(({ name }) => partOf(name) === part)
  const findings = wrong.some(({ name, error }) => error > bound || far.some(({ part }) => part === partOf(name)))
    ? [wrongKernel(wrong, names.length)]
    : []
  const rounded = far.filter(part => !isKernel(part))
  return { parts, findings: rounded.length > 0 ? [...findings, rounding(rounded, parts.length)] : findings }
}

const moves = ({ tape, differences, error }: PartAgreement): string =>
  `moving it along a random direction changes the loss by ${digits(differences)}, and the tape says ${digits(tape)} (error ${digits(error)})`

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
    `wrong: ${some(parts.filter(isRuleWrong).map(each => each.part))}, of ${parts.length} parts`,
    ...(suspects.length > 0
      ? [`operations whose rules only wrong gradients go through, in the order of the tape: ${some(suspects, 8)}`]
      : []),
    ...(bad.length > 0 && good.length > 0
      ? [
          `in ${part} ${bad.length} parameters are wrong, the last of them ${bad[bad.length - 1]}; right are ${some(good)}`,
        ]
      : []),
  ]
  return finding(
    'wrong',
    `the gradient of ${part} is wrong`,
    evidence.join('; '),
    `the tape is wrong in float64 on reference too, so an operation has a wrong rule. An error goes from there towards the inputs: look between what is right and what is wrong; 'cocagrad gradcheck' checks the operations that cocagrad has`,
  )
}

function wrongKernel(wrong: readonly TensorError[], count: number): DoctorFinding {
  const last = wrong[wrong.length - 1]
  const listed = [...wrong].reverse().map(({ name, error }) => `${name} by ${share(error, 1)}`)
  return finding(
    'wrong',
    `the gradient of ${last.name} is wrong on this device`,
    `against float64 on reference ${counted(wrong.length, 'tensor')} of ${count} are off, by more than float32 rounds, the last of the model first: ${some(listed)}`,
    'the tape is right in float64 on reference, so the rules are: a kernel of this device is wrong, or rounds too much. Train with --device reference or cpu, and compare',
  )
}

/** A gradient that is mostly rounding says nothing against a device: float32 on `reference` rounds as much. */
function rounding(far: readonly PartAgreement[], count: number): DoctorFinding {
  const last = far[far.length - 1]
  return finding(
    'note',
    `the gradient of ${last.part} is lost in the rounding of float32`,
    `${moves(last)}; of ${count} parts it is so in ${some(far.map(({ part }) => part))}. The tape is right in float64 on reference, and about as far off in float32 there`,
    'the device and the rules are right: the gradient is so small there, or what it is computed from so large, that float32 has no digits left for it. See what other findings say of the learning rate and of units that never fire',
  )
}
