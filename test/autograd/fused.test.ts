// Fused operations against their definitions: the rule beside a definition is the gradient of that definition.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type FusedOp, fusedOps, grad, type TensorFunction, vjp } from '../../src/autograd/index.ts'
import { derivedRule } from '../../src/autograd/op.ts'
import type { Tensor } from '../../src/tensor/index.ts'
import { checkGradients, checkLaws, shape, tensors } from '../../src/testing/index.ts'
import { assertClose, fc, runs } from '../support.ts'
import { plain } from './plain.ts'

type AnyFused = FusedOp<readonly unknown[]>

const rows = shape({ minRank: 1, maxRank: 2, minSize: 1 })
const epsilon = 0.25

/** How many tensors an operation takes, what else, and whether it works element by element. */
const takes: Record<keyof typeof fusedOps, { tensors: 1 | 2; rest: readonly unknown[]; elementwise: boolean }> = {
  softmax: { tensors: 1, rest: [], elementwise: false },
  softmaxGradient: { tensors: 2, rest: [], elementwise: false },
  logSoftmax: { tensors: 1, rest: [], elementwise: false },
  logSoftmaxGradient: { tensors: 2, rest: [], elementwise: false },
  standardize: { tensors: 1, rest: [epsilon], elementwise: false },
  standardizeGradient: { tensors: 2, rest: [epsilon], elementwise: false },
  gelu: { tensors: 1, rest: [], elementwise: true },
  geluGradient: { tensors: 2, rest: [], elementwise: true },
  geluTanh: { tensors: 1, rest: [], elementwise: true },
}

/** Gradients of Σ f³ to one order more than the function given: products of everything with everything. */
const towards = (f: TensorFunction): TensorFunction => {
  return (...xs) =>
    grad(
      (...ys: Tensor[]) =>
        f(...ys)
          .pow(3)
          .sum(),
      { wrt: xs.map((_, i) => i) },
    )(...xs)
      .map(g => g.square().sum())
      .reduce((a, b) => a.add(b))
}

for (const name of Object.keys(takes) as (keyof typeof fusedOps)[]) {
  describe(name, () => {
    const op = fusedOps[name] as unknown as AnyFused
    const { tensors: count, rest, elementwise } = takes[name]
    const inputs = tensors(rows.map(sizes => new Array<number[]>(count).fill(sizes)))
    const fused: TensorFunction = (...xs) => op(...xs, ...rest)
    const definition: TensorFunction = (...xs) => op.definition(...xs, ...rest)

    const same = (f: TensorFunction, g: TensorFunction, tolerance = 1e-10) =>
      fc.assert(
        fc.property(inputs, xs => assertClose(f(...xs), plain(g(...xs)), tolerance)),
        runs(15),
      )

    it('computes what its definition says', () => same(fused, definition))

    it('has the gradient of its definition', () => {
      fc.assert(
        fc.property(inputs, xs => {
          const [value, pullback] = vjp(fused, ...xs)
          const [, expected] = vjp(definition, ...xs)
          const seed = value.mul(0.7).add(0.3)
          const right = expected(seed)
          pullback(seed).forEach((g, i) => {
            assertClose(g, plain(right[i]), 1e-10)
          })
        }),
        runs(15),
      )
    })

    it('has the second derivatives of its definition', () => {
      const second = (f: TensorFunction): TensorFunction => grad(towards(f))
      same(second(fused), second(definition), 1e-8)
    })

    if (elementwise)
      it('has the third derivatives of its definition', () => {
        const third = (f: TensorFunction): TensorFunction =>
          grad((...xs: Tensor[]) =>
            grad(towards(f))(...xs)
              .square()
              .sum(),
          )
        same(third(fused), third(definition), 1e-8)
      })

    it('agrees with finite differences and obeys the laws', () => {
      fc.assert(
        fc.property(inputs, xs => {
          checkGradients(fused, xs, { order: 2 })
          checkLaws(fused, xs)
        }),
        runs(4),
      )
    })
  })
}

it('every fused operation is tested here', () =>
  assert.deepEqual(Object.keys(takes).sort(), Object.keys(fusedOps).sort()))

it('the rule that is derived from a definition is the one beside it', () => {
  fc.assert(
    fc.property(tensors(rows.map(sizes => [sizes, sizes])), ([g, x]) => {
      const derived = derivedRule(fusedOps.softmax.definition)(g, x, x)[0]
      assert.ok(derived)
      const y = fusedOps.softmax(x)
      const ruled = fusedOps.softmax.rule?.(g, y, x)[0]
      assert.ok(ruled)
      assertClose(ruled(), plain(derived()), 1e-12)
    }),
    runs(15),
  )
})
