// Learning rates over time, as functions of the number of completed steps, which is 0 at the first step.

import { checkArguments } from '../tensor/arguments.ts'
import * as is from '../tensor/kinds.ts'
import { type Settings, settle } from '../tensor/options.ts'
import { checkSetting } from './setting.ts'

/** A learning rate for every step; the first step is 0. */
export type Schedule = (step: number) => number

export interface WarmupOptions {
  /** the highest learning rate */
  readonly peak: number
  /** steps of warm-up: step s has peak · (s + 1) / warmup, so the first one is not lost; default 0 */
  readonly warmup?: number
  /** steps of the whole run: after them the rate is `end` */
  readonly total: number
  /** the last learning rate; default 0 */
  readonly end?: number
}
const warmupOptions = { peak: is.number, warmup: 0, total: is.number, end: 0 } satisfies Settings<WarmupOptions>

/** The same rate at every step. */
export function constant(rate: number): Schedule {
  checkArguments('constant(rate)', [is.number], [rate])
  return () => rate
}

/** Linear warm-up to the peak, then linear decay (CoCa, section 4.1: 2 % of warm-up, then linear decay). */
export const warmupLinear = (options: WarmupOptions): Schedule =>
  warmedUp('warmupLinear(options)', options, progress => 1 - progress)

/** Linear warm-up to the peak, then a half-cosine decay (Loshchilov and Hutter 2017). */
export const warmupCosine = (options: WarmupOptions): Schedule =>
  warmedUp('warmupCosine(options)', options, progress => 0.5 * (1 + Math.cos(Math.PI * progress)))

/** @param shape maps progress after the warm-up, 0 to 1, to a height of 1 to 0 */
function warmedUp(call: string, options: WarmupOptions, shape: (progress: number) => number): Schedule {
  const { peak, warmup, total, end } = settle(call, options, warmupOptions)
  checkSetting('peak', peak, 0)
  checkSetting('end', end, 0)
  checkSetting('total', total, 1)
  checkSetting('warmup', warmup, 0, total)
  return step => {
    if (step < warmup) return peak * ((step + 1) / warmup)
    const height = shape(Math.min(1, (step - warmup) / (total - warmup)))
    return height * peak + (1 - height) * end
  }
}
