// Calls of every kernel for both branches of its conditions. A kernel has several algorithms: BLAS or its own, one thread or
// several, whole blocks and a remainder, a short path for contiguous memory. The choice depends on sizes and layouts, so every
// size is combined with every layout, and axes of 0, 1, 2 and odd sizes with large ones. Values and gradients are compared with
// the reference. It is separate from the test files because every device runs it.

import { type Device, type DeviceName, show, type Tensor } from '../../../src/tensor/index.ts'
import { checkDevice } from '../../../src/testing/index.ts'
import type { Check } from '../gpu/suite.ts'
import { arranged, type Call, type Calls, layoutsOf } from './calls.ts'
import { elements as ofElements } from './elements.ts'
import { movement as ofMovement } from './movement.ts'
import { manyScores as ofManyScores, products as ofProducts } from './products.ts'
import { reductions as ofReductions } from './reductions.ts'
import { windowProducts as ofWindowProducts, windows as ofWindows } from './windows.ts'

async function make(name: string, { f, gradients }: Call, xs: readonly Tensor[], on: DeviceName): Promise<void> {
  try {
    await checkDevice(f, xs, on, { gradients })
  } catch (error) {
    const lie = xs.map(x => `${x.dtype} ${show(x.shape)} with strides ${show(x.strides)}`).join(', ')
    throw new Error(`${name} of ${lie}: ${error instanceof Error ? error.message : error}`, { cause: error })
  }
}

/** One of several parts of the layouts: each layout of each call is in one of them. */
export interface Part {
  readonly index: number
  readonly of: number
}

export interface SwitchCheck extends Check {
  run(on: Device, runs: number, part?: Part): Promise<void>
}

/** Calls that are made in every layout, or in those of a part; or, where there are to be fewer, some of them in one layout each. */
const check = (name: string, calls: readonly Call[]): SwitchCheck => ({
  name,
  async run(on, runs, { index, of } = { index: 0, of: 1 }) {
    if (runs >= calls.length) {
      for (const [round, call] of calls.entries())
        for (let n = 0; n < layoutsOf(call); n++)
          if ((n + round) % of === index) await make(name, call, arranged(call, n, round), on.name)
    } else
      for (let n = 0; n < runs; n++) {
        const round = Math.floor((n * calls.length) / runs)
        await make(name, calls[round], arranged(calls[round], n, round), on.name)
      }
  },
})

const checksOf = (calls: Calls): SwitchCheck[] => Object.entries(calls).map(([name, list]) => check(name, list))

export const manyScores: readonly SwitchCheck[] = checksOf(ofManyScores)
export const products: readonly SwitchCheck[] = checksOf({ ...ofProducts, ...ofWindowProducts })
export const elements: readonly SwitchCheck[] = checksOf({
  ...ofElements,
  ...ofReductions,
  ...ofMovement,
  ...ofWindows,
})

/** Those of `elements` that the cpu device may compute in machine code. */
export const inMachineCode: readonly SwitchCheck[] = elements.filter(({ name }) =>
  ['functions of one argument', 'functions of rows', 'steps of optimizers', 'sums, maxima and minima'].includes(name),
)
