// Times the steps of a framework, the same way for all of them.

import type { PeerTraining } from '../../../bench/peers/timing.ts'
import type { Report, StepRequest } from './protocol.ts'

const post = (report: Report) => globalThis.postMessage(report)

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}

export type Open = (request: StepRequest) => Promise<PeerTraining & { readonly description: string }>

/** Opens a framework, runs its steps, and tells of each. */
export async function measure(open: Open, request: StepRequest): Promise<void> {
  const { warmup, steps } = request
  const { step, parameters, description } = await open(request)
  const losses: number[] = []
  const times: number[] = []
  for (let i = 0; i < warmup + steps; i++) {
    const began = performance.now()
    losses.push(await step())
    if (i >= warmup) times.push(performance.now() - began)
    post({ kind: 'step', done: i + 1, of: warmup + steps })
  }
  const [firstLoss] = losses
  const lastLoss = losses[losses.length - 1]
  const measured = { milliseconds: median(times), least: Math.min(...times), firstLoss, lastLoss }
  post({ kind: 'result', result: { ...measured, parameters, description } })
}
