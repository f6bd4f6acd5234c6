// Every operation against its record: values by an independent formula, and everything that describeOperation tests. One
// operation alone: OPERATION=softmax npx tsx --conditions=source --test test/autograd/ops.test.ts

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hvp, type TensorFunction, vjp } from '../../src/autograd/index.ts'
import * as ops from '../../src/autograd/ops/index.ts'
import { isFloating, type Tensor, tensor, zerosLike } from '../../src/tensor/index.ts'
import { describeOperation, type OperationCase, operations } from '../../src/testing/index.ts'
import { asynchronous } from '../../src/testing/operations/index.ts'
import { assertClose, fc, runs } from '../support.ts'
import { plain } from './plain.ts'
import { allRecords, records } from './records.ts'

const asFloat32 = (x: Tensor): Tensor => (isFloating(x.dtype) ? x.cast('float32') : x)

it('every operation has a record with calls, and every record belongs to an operation', () => {
  const exported = Object.entries(ops).flatMap(([name, value]) =>
    typeof value === 'function' && !Object.hasOwn(asynchronous, name) ? [name] : [],
  )
  assert.deepEqual(allRecords.map(({ name }) => name).sort(), exported.sort())
  assert.deepEqual(Object.keys(operations).sort(), exported.sort())
})

for (const { name, cases, refuses } of records) {
  describe(name, () => {
    for (const { says, call, formula } of cases) {
      it(`${says}: its values equal the formula`, () => {
        fc.assert(
          fc.property(call.samples, ([options, ...inputs]) => {
            assertClose(call.f(options, ...inputs), formula(options, ...inputs.map(plain)), 1e-11)
          }),
          runs(30),
        )
      })

      it(`${says}: the result of float32 is ${call.result}`, () => {
        fc.assert(
          fc.property(call.samples, ([options, ...inputs]) => {
            const xs = inputs.map(asFloat32)
            const value = call.f(options, ...xs)
            assert.equal(value.dtype, call.result)
            assertClose(value, formula(options, ...xs.map(plain)), 1e-5)
            if (call.order > 0) assertSameKind(call, options, xs)
          }),
          runs(5),
        )
      })

      if (call.order > 1)
        it(`${says}: a forward pass over a backward one gives the second derivatives of two backward ones`, () => {
          fc.assert(
            fc.property(call.samples, ([options, ...inputs]) =>
              assertSameSecond((...xs) => call.f(options, ...xs), inputs),
            ),
            runs(3),
          )
        })

      describeOperation(call.f, {
        name: says,
        expression: `operations.${name}['${says}'].f`,
        samples: call.samples,
        order: call.order,
        errors: says === cases[0].says ? refuses : [],
        from: 'cocagrad/testing',
        ...runs(5),
      })
    }
  })
}

/** The Hessian of a weighted sum of the results times a vector, in both modes. */
function assertSameSecond(f: TensorFunction, inputs: readonly Tensor[]): void {
  if (!inputs.some(x => isFloating(x.dtype))) return
  const weighted: TensorFunction = (...xs) => {
    const y = f(...xs)
    const weights = Array.from({ length: y.size }, (_, i) => 1 + (i % 7) / 8)
    return y.mul(tensor(weights, { shape: y.shape, dtype: y.dtype, device: y.device })).sum()
  }
  const along = inputs.map(x => (isFloating(x.dtype) ? x : zerosLike(x)))
  const [twice, forward] = (['reverse-over-reverse', 'forward-over-reverse'] as const).map(mode =>
    hvp(weighted, inputs, along, { mode }),
  )
  for (const [i, product] of forward.entries()) assertClose(product, plain(twice[i]), 1e-10)
}

/** Gradients are of the shape and dtype of what they are by. */
function assertSameKind(call: OperationCase, options: unknown, xs: readonly Tensor[]): void {
  const floats = xs.filter(x => isFloating(x.dtype))
  const [y, pullback] = vjp((...changed) => call.f(options, ...xs.map(x => changed[floats.indexOf(x)] ?? x)), ...floats)
  pullback(y).forEach((g, i) => {
    assert.deepEqual([g.shape, g.dtype], [floats[i].shape, 'float32'])
  })
}
