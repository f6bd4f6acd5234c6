// Connects the guard to a training: checks are recorded and reported, and a wrong gradient stops the training or warns.

import { OutOfMemoryError } from '../../tensor/index.ts'
import { warn } from '../../tensor/warn.ts'
import type { GuardMetrics } from '../metrics.ts'
import type { Objective } from '../objective.ts'
import type { Inspection } from '../step.ts'
import { describeCheck, GradientGuard, type GuardOptions, WrongGradientError } from './guard.ts'

export interface Guarded {
  readonly record: (line: GuardMetrics) => Promise<void>
  /** called after each check; without it a wrong gradient is a process warning */
  readonly onGuard?: (check: GuardMetrics) => void
  /** path of the run */
  readonly folder?: string
  /** the call that examines a saved batch; default the command for runs */
  readonly look?: (folder: string, file: string) => string
  /** the error to throw instead of one from a check, such as for a loss that cannot be computed on `reference` */
  readonly explain?: (error: unknown, step: number) => unknown
}

const shortage = ({ device, bytes, used, limit }: OutOfMemoryError, step: number): OutOfMemoryError =>
  new OutOfMemoryError({
    device,
    bytes,
    used,
    limit,
    purpose: `the check of the gradient of step ${step}`,
    advice: 'The guard of the training computes it again in float64; guard.every 0 trains without it',
  })

/** The inspection of each step. @throws WrongGradientError if a gradient is wrong and `onError` is 'stop' */
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
      throw error instanceof OutOfMemoryError ? shortage(error, step) : explain(error, step)
    })
    if (!check) return 0
    await record(check)
    tell(check)
    if (!check.ok && options.onError === 'stop') throw new WrongGradientError(check, folder, look)
    return check.seconds
  }
}
