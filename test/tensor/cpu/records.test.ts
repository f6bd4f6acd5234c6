// Every operation on cpu against the same operation on the reference: values, and gradients through the tape, of the
// samples in the operations' records. Their values are exact in float32, so both devices start from the same numbers.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { vjp } from '../../../src/autograd/index.ts'
import { type DeviceName, DTypeError, device, isFloating, scope, type Tensor } from '../../../src/tensor/index.ts'
import type { Case } from '../../autograd/records/record.ts'
import { records } from '../../autograd/records.ts'
import { fc } from '../../support.ts'

await device.use('cpu')

interface Result {
  readonly dtype: string
  readonly shape: readonly number[]
  readonly data: readonly number[]
}

const resultOf = (x: Tensor): Result => ({ dtype: x.dtype, shape: x.shape, data: [...x.dataSync()] })

/** Values and gradients of a few samples on one device. */
function compute(on: DeviceName, { sample, order }: Case): Result[][] {
  return device.with(on, () =>
    fc.sample(sample, { numRuns: 6, seed: 20220504 }).map(({ inputs, f }) =>
      scope(() => {
        if (order === 0) return [resultOf(f(...inputs))]
        const floats = inputs.filter(x => isFloating(x.dtype))
        const [y, pullback] = vjp((...changed) => f(...inputs.map(x => changed[floats.indexOf(x)] ?? x)), ...floats)
        return [y, ...pullback(y.mul(0.5).add(0.25))].map(resultOf)
      }),
    ),
  )
}

for (const { name, cases } of records) {
  describe(name, () => {
    for (const each of cases)
      test(`${each.says}: agrees with the reference`, () => {
        if (each.result === 'float64') {
          assert.throws(() => compute('cpu', each), DTypeError)
          return
        }
        const [actual, expected] = [compute('cpu', each), compute('reference', each)]
        assert.equal(actual.length, expected.length)
        actual.forEach((list, i) => {
          list.forEach((value, j) => {
            const right = expected[i][j]
            const scale = right.data.reduce((a, b) => Math.max(a, Number.isFinite(b) ? Math.abs(b) : 0), 1)
            assert.deepEqual([...value.shape], [...right.shape])
            assert.ok(value.dtype === right.dtype || (value.dtype === 'float32' && right.dtype === 'float64'))
            value.data.forEach((x, k) => {
              const near = Object.is(x, right.data[k]) || Math.abs(x - right.data[k]) <= 1e-5 * scale
              assert.ok(near || x === right.data[k], `sample ${i}, tensor ${j}: [${k}] is ${x}, not ${right.data[k]}`)
            })
          })
        })
      })
  })
}
