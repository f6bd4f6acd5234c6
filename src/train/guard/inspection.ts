// The guard of a training: which gradients it checks, and what follows from what it finds.

import { warn } from '../../tensor/warn.ts'
import type { GuardMetrics } from '../metrics.ts'
import type { Objective } from '../objective.ts'
import type { RunFolder } from '../run-folder.ts'
import type { Inspection } from '../step.ts'
import type { LossProblem } from './directional.ts'
import { describeCheck, GradientGuard, type GuardSettings, WrongGradientError } from './guard.ts'
import { keepIn } from './kept.ts'

export interface Guarded {
  readonly record: (line: GuardMetrics) => Promise<void>
  /** hears of each check; without it a wrong gradient is a warning of the process */
  readonly onGuard?: (check: GuardMetrics) => void
  /** where a batch with a wrong gradient is kept */
  readonly folder?: RunFolder
}

/** Checks gradients as the settings say. @throws WrongGradientError where one is wrong and the training is to stop then */
export function guarded(
  objective: Objective,
  settings: GuardSettings & { readonly seed: number },
  { record, onGuard, folder }: Guarded,
): Inspection {
  const keep = folder && ((problem: LossProblem, step: number) => keepIn(folder, problem, step))
  const guard = new GradientGuard(objective, { ...settings, keep })
  const tell =
    onGuard ??
    ((check: GuardMetrics) => {
      if (!check.ok) warn(describeCheck(check, folder?.path), 'GradientWarning')
    })
  return async (step, problem) => {
    const check = await guard.check(step, problem)
    if (!check) return 0
    await record(check)
    tell(check)
    if (!check.ok && settings.onError === 'stop') throw new WrongGradientError(check, folder?.path)
    return check.seconds
  }
}
