// Where the time of a training step goes: every kernel of the device is timed, forward, backward and in the update. Kernels on cpu
// and reference are done when they return; on gpu only the time of asking for them is seen.

import { type Device, device, Tape } from '../src/index.ts'

type Phase = 'forward' | 'backward' | 'update'

interface Line {
  readonly kernel: string
  readonly phase: Phase
  milliseconds: number
  calls: number
}

/** Kernels that do many things, by the name of which as well. */
const named = new Set(['unary', 'binary', 'compare', 'reduce'])

export class Profile {
  readonly #lines = new Map<string, Line>()
  #phase: Phase = 'forward'
  #elapsed = 0
  #steps = 0

  /** Times every kernel of the current device from now on. */
  constructor() {
    const { kernels } = device.get() as Device & { kernels: Record<string, (...args: unknown[]) => unknown> }
    for (const [name, kernel] of Object.entries(kernels)) {
      kernels[name] = (...args) => {
        const began = performance.now()
        const result = kernel(...args)
        // a kernel that declines leaves the work to others
        if (result !== undefined) this.#add(named.has(name) ? `${name} ${args[0]}` : name, performance.now() - began)
        return result
      }
    }
    const { run, partials } = Tape.prototype
    const enter = (phase: Phase) => {
      this.#phase = phase
    }
    Tape.prototype.run = function <T>(this: Tape, f: () => T): T {
      enter('forward')
      return run.call(this, f) as T
    }
    Tape.prototype.partials = function (this: Tape, ...args) {
      enter('backward')
      const gradients = partials.apply(this, args)
      enter('update')
      return gradients
    }
  }

  /** Forgets what was measured, the steps of warm-up. */
  reset(): void {
    this.#lines.clear()
    this.#elapsed = 0
    this.#steps = 0
  }

  stepTook(milliseconds: number): void {
    this.#elapsed += milliseconds
    this.#steps++
  }

  /** Kernels from the dearest on; the rest of a step is JavaScript between them. */
  toString(): string {
    const steps = Math.max(1, this.#steps)
    const whole = this.#elapsed / steps
    const lines = [...this.#lines.values()].sort((a, b) => b.milliseconds - a.milliseconds)
    const row = (name: string, ms: number, calls: number | '') =>
      `${name.padEnd(44)} ${(ms / steps).toFixed(3).padStart(9)} ms ${((100 * ms) / this.#elapsed).toFixed(1).padStart(5)} % ${`${calls}`.padStart(6)}`
    const inKernels = lines.reduce((sum, { milliseconds }) => sum + milliseconds, 0)
    const phases = (['forward', 'backward', 'update'] as const).map(phase => {
      const own = lines.filter(line => line.phase === phase)
      const calls = own.reduce((sum, line) => sum + line.calls, 0)
      return row(
        `all of ${phase}`,
        own.reduce((sum, line) => sum + line.milliseconds, 0),
        Math.round(calls / steps),
      )
    })
    return [
      `a step takes ${whole.toFixed(3)} ms, timing included`,
      ...lines
        .slice(0, 30)
        .map(({ kernel, phase, milliseconds, calls }) =>
          row(`${phase.padEnd(9)} ${kernel}`, milliseconds, Math.round(calls / steps)),
        ),
      ...phases,
      row('between kernels', this.#elapsed - inKernels, ''),
    ].join('\n')
  }

  #add(kernel: string, milliseconds: number): void {
    const key = `${this.#phase} ${kernel}`
    const line = this.#lines.get(key) ?? { kernel, phase: this.#phase, milliseconds: 0, calls: 0 }
    line.milliseconds += milliseconds
    line.calls++
    this.#lines.set(key, line)
  }
}
