// Times the steps of a framework, the same way for all of them.

import type { PeerTraining } from '../../../bench/peers/timing.ts'
import type { Report, StepRequest } from './protocol.ts'

const post = (report: Report) => globalThis.postMessage(report)

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}

export type Open = (request: StepRequest) => Promise<PeerTraining & { readonly description: string }>

/** Opens a framework, runs its steps, and tells of each. A slow one runs fewer. */
export async function measure(open: Open, request: StepRequest): Promise<void> {
  const { warmup, steps, seconds } = request
  const { step, parameters, description } = await open(request)
  const losses: number[] = []
  const began = performance.now()
  const isLate = (share: number) => performance.now() - began > 1000 * share * seconds
  const run = async () => {
    losses.push(await step())
    post({ kind: 'step', done: losses.length, of: warmup + steps })
  }
  while (losses.length < warmup && !(losses.length > 0 && isLate(1 / 3))) await run()
  const times: number[] = []
  while (times.length < steps && !(times.length > 1 && isLate(1))) {
    const from = performance.now()
    await run()
    times.push(performance.now() - from)
  }
  const measured = { milliseconds: median(times), least: Math.min(...times), timed: times.length }
  post({ kind: 'result', result: { ...measured, losses, parameters, description } })
}
