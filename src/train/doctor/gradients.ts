// Which part of a model has a wrong gradient. The guard's check, with one part of the parameters moved at a time; where a
// part is wrong, with one parameter at a time.

import type { Generator } from '../../tensor/index.ts'
import { type Agreement, LossProbe, type LossProblem, type Vectors } from '../derivative.ts'
import { EXACT } from '../guard.ts'
import { type DoctorFinding, digits, findingsOf, some } from './finding.ts'

export interface PartAgreement extends Agreement {
  /** the beginning of its parameters' names: a field of the model, or one of its blocks */
  readonly part: string
  /** of the tape in float64, where the error was worth the look */
  readonly inFloat64?: number
}

export interface GradientExamination {
  readonly parts: readonly PartAgreement[]
  readonly findings: readonly DoctorFinding[]
}

const finding = findingsOf('gradients')

/** encoder.blocks.0.mlp.up.weight → encoder.blocks.0, and unimodal.norm.bias → unimodal */
export const partOf = (name: string): string => /^[^.]+\.blocks\.\d+|^[^.]+/.exec(name)![0]

/** Checks the gradient of a loss part by part. @param bound the largest error that is taken for the rounding of a device */
export async function examineGradients(
  problem: LossProblem,
  { bound, generator }: { readonly bound: number; readonly generator: Generator },
): Promise<GradientExamination> {
  const probe = await LossProbe.open(problem)
  const names = [...probe.gradients.keys()]
  let exact: Vectors | undefined
  const examine = (part: string, isMoved: (name: string) => boolean): PartAgreement => {
    const direction = probe.direction(generator, isMoved)
    const agreement = probe.agreement(direction)
    if (agreement.error <= Math.min(EXACT, bound)) return { part, ...agreement }
    exact ??= probe.exactGradients()
    return { part, ...agreement, inFloat64: probe.agreement(direction, exact).error }
  }
  const parts = [...new Set(names.map(partOf))].map(part => examine(part, name => partOf(name) === part))
  const wrong = parts.filter(part => !isRight(part, bound))
  // an error goes from the operation that makes it towards the inputs: the fields of a model stand in that order
  const nearest = wrong.at(-1)
  if (!nearest) return { parts, findings: [] }
  const inside = names.filter(name => partOf(name) === nearest.part).map(name => examine(name, each => each === name))
  return { parts, findings: [describe(wrong, inside, parts.length, bound)] }
}

const isRight = ({ error, inFloat64 = 0 }: PartAgreement, bound: number): boolean =>
  error <= bound && inFloat64 <= EXACT

function describe(
  wrong: readonly PartAgreement[],
  inside: readonly PartAgreement[],
  count: number,
  bound: number,
): DoctorFinding {
  const { part, tape, differences, error } = wrong[wrong.length - 1]
  const inner = (isWanted: (each: PartAgreement) => boolean) =>
    inside.filter(isWanted).map(each => each.part.slice(part.length + 1) || each.part)
  const [bad, good] = [inner(each => !isRight(each, bound)), inner(each => isRight(each, bound))]
  const isRule = wrong.some(({ inFloat64 = 0 }) => inFloat64 > EXACT)
  const evidence = [
    `moving it along a random direction changes the loss by ${digits(differences)}, and the tape says ${digits(tape)} (error ${digits(error)})`,
    `wrong: ${some(wrong.map(each => each.part))}, of ${count} parts`,
    ...(bad.length > 0 && good.length > 0
      ? [
          `in ${part} ${bad.length} parameters are wrong, the last of them ${bad[bad.length - 1]}; right are ${some(good)}`,
        ]
      : []),
  ]
  const advice = isRule
    ? `the tape is wrong in float64 on reference too, so an operation has a wrong rule. An error goes from there towards the inputs: look between what is right and what is wrong; 'cocagrad gradcheck' checks the operations that cocagrad has`
    : 'the tape is right in float64 on reference, so the rules are: a kernel of this device is wrong, or rounds too much. Train with --device reference or cpu, and compare'
  return finding('wrong', `the gradient of ${part} is wrong`, evidence.join('; '), advice)
}
