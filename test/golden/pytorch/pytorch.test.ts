// Values and gradients beside PyTorch's, in float64. write.py computed the numbers of each subject.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { type TensorFunction, vjp } from '../../../src/autograd/index.ts'
import { type DType, fromData, type Tensor, tensor } from '../../../src/tensor/index.ts'
import { assertClose } from '../../support.ts'
import { convolution } from './convolution.ts'
import { core } from './core.ts'
import { elementwise } from './elementwise.ts'
import { interpolation } from './interpolation.ts'
import { losses } from './losses.ts'
import { modules } from './modules.ts'
import { norms } from './norms.ts'
import { order } from './order.ts'
import { pooling } from './pooling.ts'
import { shapes } from './shapes.ts'
import type { Functions } from './functions.ts'

/** One for each json file. */
const subjects: Readonly<Record<string, Functions>> = { convolution, core, elementwise, interpolation, losses, modules, norms, order, pooling, shapes }

/** Numbers; those that JSON does not have are text: nan, inf, -inf. */
type Written = readonly (number | string)[]

interface Numbers {
  readonly shape: readonly number[]
  readonly data: Written
  readonly dtype: DType
}

interface Golden {
  readonly name: string
  readonly inputs: readonly Numbers[]
  /** one for each floating input, which orders above 1 follow */
  readonly directions: readonly Written[]
  readonly result: Numbers
  readonly weights: Written
  /** of order 1, 2, … by each floating input */
  readonly gradients: readonly (readonly Written[])[]
}

const plain = (numbers: Written): number[] =>
  numbers.map(n => (typeof n === 'number' ? n : n === 'nan' ? NaN : n === 'inf' ? Infinity : -Infinity))

function tensorOf({ shape, data, dtype }: Numbers): Tensor {
  if (dtype === 'int32') return fromData(Int32Array.from(plain(data)), shape)
  const values = fromData(Float64Array.from(plain(data)), shape)
  return dtype === 'bool' ? values.cast('bool') : values
}
const floats = (shape: readonly number[], data: Written): Tensor => fromData(Float64Array.from(plain(data)), shape)

/** All gradients of Σ w f. */
const gradientsOf =
  (f: TensorFunction, weights: Tensor) =>
  (...xs: Tensor[]): Tensor[] =>
    vjp(f, ...xs)[1](weights)

/** f of the floating tensors alone. */
function ofFloats(f: TensorFunction, inputs: readonly Tensor[]): TensorFunction {
  return (...leaves) => {
    const rest = leaves.values()
    return f(...inputs.map(x => (x.dtype === 'float64' ? (rest.next().value as Tensor) : x)))
  }
}

for (const [subject, functions] of Object.entries(subjects)) {
  const file = new URL(`${subject}.json`, import.meta.url)
  const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { readonly cases: readonly Golden[] }

  describe(subject, () => {
    for (const { name, inputs, directions, result, weights, gradients } of cases)
      it(`${name} has PyTorch's value and gradients to order ${gradients.length}`, () => {
        const f = functions[name]
        assert.ok(f, `${name} is tested`)
        const xs = inputs.map(tensorOf)
        const value = f(...xs)
        assert.equal(value.dtype, result.dtype)
        assertClose(value, { shape: result.shape, data: plain(result.data) }, 1e-12)

        const leaves = xs.filter(x => x.dtype === 'float64')
        let derive = gradientsOf(ofFloats(f, xs), floats(result.shape, weights))
        for (const [n, expected] of gradients.entries()) {
          derive(...leaves).forEach((g, i) => {
            assertClose(g, { shape: leaves[i].shape, data: plain(expected[i]) }, n < 2 ? 1e-11 : 1e-10)
          })
          const lower = derive
          const along: TensorFunction = (...ys) =>
            lower(...ys)
              .map((g, i) => g.mul(floats(leaves[i].shape, directions[i])).sum())
              .reduce((a, b) => a.add(b))
          derive = gradientsOf(along, tensor(1, { dtype: 'float64' }))
        }
      })

    it('every function has golden numbers', () =>
      assert.deepEqual(cases.map(({ name }) => name).sort(), Object.keys(functions).sort()))
  })
}
