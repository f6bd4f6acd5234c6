// Every operation against its record: values by an independent formula, gradients of first and second order by finite
// differences, laws, dtypes and errors.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { vjp } from '../../src/autograd/index.ts'
import * as ops from '../../src/autograd/ops/index.ts'
import { isFloating, type Tensor } from '../../src/tensor/index.ts'
import { checkGradients, checkLaws } from '../../src/testing/index.ts'
import { assertClose, fc, runs } from '../support.ts'
import { plain } from './plain.ts'
import { records } from './records.ts'

const asFloat32 = (x: Tensor): Tensor => (isFloating(x.dtype) ? x.cast('float32') : x)

it('every operation has a record, and every record an operation', () => {
  const operations = Object.entries(ops).flatMap(([name, value]) => (typeof value === 'function' ? [name] : []))
  assert.deepEqual(records.map(({ name }) => name).sort(), operations.sort())
})

for (const { name, cases, refuses } of records) {
  describe(name, () => {
    for (const { says, sample, order, result } of cases) {
      it(`${says}: its values are those of the formula`, () => {
        fc.assert(
          fc.property(sample, ({ inputs, f, formula }) => {
            assert.ok(formula, 'a case without a formula')
            assertClose(f(...inputs), formula(...inputs.map(plain)), 1e-11)
          }),
          runs(30),
        )
      })

      it(`${says}: float32 makes ${result}`, () => {
        fc.assert(
          fc.property(sample, ({ inputs, f, formula }) => {
            const xs = inputs.map(asFloat32)
            const value = f(...xs)
            assert.equal(value.dtype, result)
            assert.ok(formula)
            if (order > 0) assertClose(value, formula(...xs.map(plain)), 1e-5)
            if (order === 0 || !isFloating(value.dtype)) return
            const floats = xs.filter(x => isFloating(x.dtype))
            const [y, pullback] = vjp((...changed) => f(...xs.map(x => changed[floats.indexOf(x)] ?? x)), ...floats)
            pullback(y).forEach((g, i) => {
              assert.deepEqual([g.shape, g.dtype], [floats[i].shape, 'float32'])
            })
          }),
          runs(5),
        )
      })

      if (order === 0) continue

      it(`${says}: its gradients agree with finite differences`, () => {
        fc.assert(
          fc.property(sample, ({ inputs, f }) => checkGradients(f, inputs, { order: order === 2 ? 2 : 1 })),
          runs(5),
        )
      })

      it(`${says}: its gradients obey the laws`, () => {
        fc.assert(
          fc.property(sample, ({ inputs, f }) => checkLaws(f, inputs)),
          runs(5),
        )
      })
    }

    for (const [f, error, text] of refuses) {
      it(`refuses: ${text}`, () => {
        assert.throws(f, (thrown: unknown) => {
          assert.ok(thrown instanceof error, `${thrown} is no ${error.name}`)
          assert.ok(thrown.message.includes(text), `"${thrown.message}" does not say "${text}"`)
          return true
        })
      })
    }
  })
}
