// What the property tests share. A failure prints seed and path; to run it again:
//
//     FC_SEED=… FC_PATH=… npx tsx --conditions=source --test --test-name-pattern='…' test/…
//
// FC_RUNS takes more samples than usual.

import assert from 'node:assert/strict'
import fc from 'fast-check'
import './reference.ts'
import type { Tensor } from '../src/tensor/index.ts'

const { FC_SEED, FC_PATH, FC_RUNS, COCAGRAD_TESTS } = process.env
fc.configureGlobal({
  includeErrorInReport: true,
  ...(FC_SEED === undefined ? {} : { seed: Number(FC_SEED) }),
  ...(FC_PATH === undefined ? {} : { path: FC_PATH }),
})

/** So many samples, or as many times more as FC_RUNS says. */
export const runs = (numRuns: number): { numRuns: number } => ({ numRuns: numRuns * Number(FC_RUNS ?? 1) })

/** Whether slow tests run in full: `npm run test:long`. */
export const isLong = COCAGRAD_TESTS === 'long'

export const values = (x: Tensor): number[] => [...x.dataSync()]

/** Fails unless a tensor has this shape and, to a tolerance relative to 1 or the number itself, these values. */
export function assertClose(
  actual: Tensor,
  expected: { readonly shape: readonly number[]; readonly data: readonly number[] },
  tolerance = 1e-12,
): void {
  assert.deepEqual([...actual.shape], [...expected.shape])
  assertCloseNumbers(values(actual), expected.data, tolerance)
}

export function assertCloseNumbers(actual: readonly number[], expected: readonly number[], tolerance = 1e-12): void {
  assert.equal(actual.length, expected.length)
  actual.forEach((x, i) => {
    // within a share of infinity is everything
    const distance = Number.isFinite(expected[i]) ? tolerance * Math.max(1, Math.abs(expected[i])) : 0
    const agrees = Object.is(x, expected[i]) || x === expected[i] || Math.abs(x - expected[i]) <= distance
    assert.ok(agrees, `element ${i} is ${x}, expected ${expected[i]}`)
  })
}

export { fc }
