// The guard of a training: which gradients it checks, and what follows from what it finds.

import { warn } from '../../tensor/warn.ts'
import type { GuardMetrics } from '../metrics.ts'
import type { Objective } from '../objective.ts'
import type { Inspection } from '../step.ts'
import { describeCheck, GradientGuard, type GuardOptions, WrongGradientError } from './guard.ts'

export interface Guarded {
  readonly record: (line: GuardMetrics) => Promise<void>
  /** hears of each check; without it a wrong gradient is a warning of the process */
  readonly onGuard?: (check: GuardMetrics) => void
  /** path of the run */
  readonly folder?: string
  /** what to call to look into a batch that was kept; default the command */
  readonly look?: (folder: string, file: string) => string
  /** the error for one that a check came upon, such as a loss that cannot be computed on `reference` */
  readonly explain?: (error: unknown, step: number) => unknown
}

/** Checks gradients as the options say. @throws WrongGradientError where one is wrong and the training is to stop then */
export function guarded(
  objective: Objective,
  options: GuardOptions,
  { record, onGuard, folder, look, explain = error => error }: Guarded,
): Inspection {
  const guard = new GradientGuard(objective, options)
  const tell =
    onGuard ??
    ((check: GuardMetrics) => {
      if (!check.ok) warn(describeCheck(check, folder, look), 'GradientWarning')
    })
  return async (step, problem) => {
    const check = await guard.check(step, problem).catch(error => {
      throw explain(error, step)
    })
    if (!check) return 0
    await record(check)
    tell(check)
    if (!check.ok && options.onError === 'stop') throw new WrongGradientError(check, folder, look)
    return check.seconds
  }
}
