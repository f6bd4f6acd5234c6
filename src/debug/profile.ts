// Profiles a function: times every kernel of a device, in the forward pass, the backward pass and elsewhere.

import { currentPhase, type Phase } from '../autograd/observing.ts'
import { checkArguments } from '../tensor/arguments.ts'
import { type DeviceName, device } from '../tensor/index.ts'
import * as is from '../tensor/kinds.ts'
import { observeKernels } from '../tensor/observe.ts'
import { type Settings, settle } from '../tensor/options.ts'

/** All runs of one kernel in one phase. */
export interface ProfileLine {
  /** name of the kernel, with its function if it has several: `matmul`, `unary exp` */
  readonly kernel: string
  /** `forward` while a tape records, `backward` during its backward pass, otherwise `other` */
  readonly phase: Phase
  /** time in the kernel, over all runs of the function */
  readonly milliseconds: number
  /** number of calls of the kernel, over all runs of the function */
  readonly calls: number
}

/** The profile of a function. Printing it gives a table. */
export interface Profile<T> {
  /** result of the last run */
  readonly result: T
  /** number of timed runs */
  readonly runs: number
  /** time of all runs together, including the overhead of timing */
  readonly milliseconds: number
  /** kernels, those with the longest time first */
  readonly lines: readonly ProfileLine[]
  /** The milliseconds and calls of a run, by kernel and by phase. */
  toString(): string
}

/** Options of `profile`. */
export interface ProfileOptions {
  /** number of runs; default 1 */
  readonly runs?: number
  /** number of untimed runs before, so that the engine has compiled the code; default 0 */
  readonly warmup?: number
  /** device whose kernels are timed; default the current device */
  readonly device?: DeviceName
}
const profileOptions = {
  runs: is.byDefault(1, is.count),
  warmup: is.byDefault(0, is.size),
  device: is.optional(is.oneOf<DeviceName>('reference', 'cpu', 'gpu')),
} satisfies Settings<ProfileOptions>

/**
 * Runs a function and times every kernel that it runs on a device.
 *
 *     const step = () => optimizer.minimize(() => model.loss(images, texts))
 *     console.log(`${await profile(step, { warmup: 3, runs: 10 })}`)
 *
 * Times are in milliseconds. On `cpu` and `reference` a kernel has finished when it returns; on `gpu` it may continue, and the
 * time is that of submitting it. The remaining time of a run is JavaScript between the kernels.
 * @param f the function, `async` or not
 * @throws any error that f throws; DeviceError for a device that is not open
 */
export async function profile<T>(f: () => T | Promise<T>, options?: ProfileOptions): Promise<Profile<T>> {
  const call = 'profile(f, options)'
  checkArguments(call, [is.callback], [f])
  const { runs, warmup, device: name } = settle(call, options, profileOptions)
  for (let i = 0; i < warmup; i++) await f()
  const lines = new Map<string, { kernel: string; phase: Phase; milliseconds: number; calls: number }>()
  const end = observeKernels(device.get(name), ({ kernel, milliseconds }) => {
    const phase = currentPhase()
    const key = `${phase} ${kernel}`
    const line = lines.get(key) ?? { kernel, phase, milliseconds: 0, calls: 0 }
    line.milliseconds += milliseconds
    line.calls++
    lines.set(key, line)
  })
  try {
    const began = performance.now()
    let result = await f()
    for (let i = 1; i < runs; i++) result = await f()
    const milliseconds = performance.now() - began
    const sorted = [...lines.values()].sort((a, b) => b.milliseconds - a.milliseconds)
    const made = { result, runs, milliseconds, lines: sorted }
    return { ...made, toString: () => tableOf(made) }
  } finally {
    end()
  }
}

/** Maximum number of kernels in a table. */
const ROWS = 30

function tableOf({ runs, milliseconds, lines }: Omit<Profile<unknown>, 'toString' | 'result'>): string {
  const share = (ms: number) => (milliseconds > 0 ? (100 * ms) / milliseconds : 0).toFixed(1)
  const row = (title: string, ms: number, calls: number | '') =>
    `${title.padEnd(44)} ${(ms / runs).toFixed(3).padStart(9)} ms ${share(ms).padStart(5)} % ${`${calls}`.padStart(6)}`
  const sum = (some: readonly ProfileLine[], of: 'milliseconds' | 'calls') =>
    some.reduce((total, line) => total + line[of], 0)
  const all = (title: string, some: readonly ProfileLine[]) =>
    row(title, sum(some, 'milliseconds'), Math.round(sum(some, 'calls') / runs))
  const phases = (['forward', 'backward', 'other'] as const).filter(phase => lines.some(line => line.phase === phase))
  const rest = lines.slice(ROWS)
  return [
    `a run takes ${(milliseconds / runs).toFixed(3)} ms, including the overhead of timing`,
    ...lines.slice(0, ROWS).map(line => all(`${line.phase.padEnd(9)} ${line.kernel}`, [line])),
    ...(rest.length > 0 ? [all(`${rest.length} more`, rest)] : []),
    ...phases.map(phase =>
      all(
        `all of ${phase}`,
        lines.filter(line => line.phase === phase),
      ),
    ),
    row('between kernels', milliseconds - sum(lines, 'milliseconds'), ''),
  ].join('\n')
}
