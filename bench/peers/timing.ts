// Timing of a peer's step and its result, the same for every peer.

import { parseArgs } from 'node:util'
import type { SizeName } from '../model.ts'
import { sizeName, weightsFile } from './weights.ts'

/** The last line of a peer's output. */
export interface StepResult {
  readonly peer: string
  readonly version: string
  readonly size: string
  readonly threads: number
  /** the median of the timed steps */
  readonly ms: number
  readonly min_ms: number
  /** loss of the last timed step, before its update */
  readonly loss: number
  readonly first_loss: number
  readonly params: number
  /** at its peak */
  readonly rss_mb: number
}

/** A model of another framework, at its start. */
export interface PeerTraining {
  /** Runs forward, loss, backward and update; returns the loss before the update. */
  readonly step: () => Promise<number>
  /** number of elements in all parameters */
  readonly parameters: number
}

export interface StepFlags {
  readonly size: SizeName
  readonly steps: number
  readonly warmup: number
  readonly threads: number
  readonly weights: string
  readonly backend: string
}

export function stepFlags(): StepFlags {
  const { values } = parseArgs({
    options: {
      size: { type: 'string', default: 'tiny' },
      steps: { type: 'string', default: '10' },
      warmup: { type: 'string', default: '3' },
      threads: { type: 'string', default: '1' },
      weights: { type: 'string' },
      backend: { type: 'string', default: 'wasm' },
    },
  })
  const size = sizeName(values.size)
  return {
    size,
    steps: Number(values.steps),
    warmup: Number(values.warmup),
    threads: Number(values.threads),
    weights: values.weights ?? weightsFile(size),
    backend: values.backend,
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Milliseconds of one call: the median of at least 5 and, within half a second, of 50. */
export async function medianTime(f: () => unknown): Promise<number> {
  for (let i = 0; i < 2; i++) await f()
  const times: number[] = []
  const end = performance.now() + 500
  while (times.length < 5 || (times.length < 50 && performance.now() < end)) {
    const began = performance.now()
    await f()
    times.push(performance.now() - began)
  }
  return median(times)
}

/** Runs the steps and prints the result as one line of JSON. */
export async function timeSteps(
  flags: StepFlags,
  about: { readonly peer: string; readonly version: string; readonly params: number },
  step: () => Promise<number>,
): Promise<void> {
  const losses: number[] = []
  const times: number[] = []
  for (let i = 0; i < flags.warmup + flags.steps; i++) {
    const began = performance.now()
    losses.push(await step())
    if (i >= flags.warmup) times.push(performance.now() - began)
  }
  const result: StepResult = {
    peer: about.peer,
    version: about.version,
    size: flags.size,
    threads: flags.threads,
    ms: median(times),
    min_ms: Math.min(...times),
    loss: losses[losses.length - 1],
    first_loss: losses[0],
    params: about.params,
    rss_mb: Math.round(process.resourceUsage().maxRSS / 1024),
  }
  console.log(JSON.stringify(result))
}
