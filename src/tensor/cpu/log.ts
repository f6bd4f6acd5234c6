// The kernel calls of a function, noted while they run, so that they can run again without the JavaScript that led to them: addresses,
// sizes and numbers are those of the first time.

import type { CpuModule } from './exports.ts'

/** A call of a compiled kernel: its place in the module, and its arguments. */
export interface LoggedCall {
  readonly kernel: number
  readonly numbers: readonly number[]
}

/** The calls of one thread, one after the other, and the same as numbers for its mailbox. */
export interface LoggedPart {
  readonly calls: readonly LoggedCall[]
  readonly queue: Float64Array
}

/** What runs at once: the parts of a kernel on different threads, or what the host does itself. */
export type Step =
  | { readonly name: string; readonly parts: readonly LoggedPart[] }
  | { readonly name: string; readonly numbers: readonly number[]; readonly values?: Uint8Array; run(): void }

/** The name of a kernel, by its place in the module. */
export const kernelNames = (code: CpuModule): readonly string[] => Object.keys(code)

/** A list of calls as one part. */
export function partOf(calls: readonly LoggedCall[]): LoggedPart {
  const queue = new Float64Array(calls.reduce((sum, { numbers }) => sum + 2 + numbers.length, 0))
  let at = 0
  for (const { kernel, numbers } of calls) {
    queue[at] = kernel
    queue[at + 1] = numbers.length
    queue.set(numbers, at + 2)
    at += 2 + numbers.length
  }
  return { calls, queue }
}

/** Kernels that only note their calls. */
export function notingCode(code: CpuModule, note: (call: LoggedCall) => void): CpuModule {
  const entries = kernelNames(code).map((name, kernel) => [name, (...numbers: number[]) => note({ kernel, numbers })])
  return Object.fromEntries(entries) as unknown as CpuModule
}

/** The steps of a function, in order. */
export class Log {
  readonly steps: Step[] = []
  /** why these steps must not be repeated in place of the function */
  reason: string | undefined

  /** Notes that the function did something that repeating its steps would not do. */
  refuse(reason: string): void {
    this.reason ??= reason
  }
}

/** The first difference between two lists of steps, or undefined. */
export function differenceOf(before: readonly Step[], after: readonly Step[]): string | undefined {
  for (let i = 0; i < Math.max(before.length, after.length); i++) {
    const [a, b] = [before[i], after[i]]
    if (!a || !b) return `it called ${before.length} kernels and then ${after.length}`
    if (a.name !== b.name) return `its kernel ${i + 1} was ${a.name} and then ${b.name}`
    const [x, y] = [numbersOf(a), numbersOf(b)]
    if (x.length !== y.length || x.some((numbers, at) => !areSame(numbers, y[at])))
      return `its kernel ${i + 1}, ${a.name}, had other sizes, numbers or tensors the second time`
  }
  return undefined
}

const numbersOf = (step: Step): ArrayLike<number>[] =>
  'run' in step ? [step.numbers, step.values ?? []] : step.parts.map(({ queue }) => queue)

function areSame(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false
  return true
}
