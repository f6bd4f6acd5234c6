// Tensors of more elements than any device can hold: the error has the shape and the limit, whatever makes the tensor.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import ndarray from 'ndarray'
import { causalMask, concat, dropout, einsum, oneHot, stack } from '../../src/autograd/index.ts'
import { gridPositions, init, parameter, sinusoidalPositions } from '../../src/nn/index.ts'
import {
  arange,
  type DeviceName,
  device,
  eye,
  fromNdarray,
  full,
  linspace,
  OutOfMemoryError,
  ones,
  onesLike,
  rand,
  randint,
  randn,
  ShapeError,
  type Tensor,
  zeros,
  zerosLike,
} from '../../src/tensor/index.ts'

const n = 2 ** 20

const creations: Record<string, () => unknown> = {
  ones: () => ones([n, n]),
  zeros: () => zeros([n, n], { dtype: 'bool' }),
  full: () => full([n, n], 3),
  rand: () => rand([n, n]),
  randn: () => randn([n, n]),
  randint: () => randint(0, 3, [n, n]),
  'a product of sizes that is no exact number': () => ones([2 ** 53 - 1, 2 ** 53 - 1]),
  eye: () => eye(n),
  arange: () => arange(1e12),
  linspace: () => linspace(0, 1, 1e12),
  zerosLike: () => zerosLike(square()),
  onesLike: () => onesLike(square()),
  fromNdarray: () => fromNdarray(ndarray(new Float32Array(1), [n, n], [0, 0])),
  parameter: () => parameter([n, n], init.normal(1)),
  sinusoidalPositions: () => sinusoidalPositions(n, n),
  gridPositions: () => gridPositions(n, 8),
}

/** A view of many elements, which takes no memory. */
const square = () => zeros([n]).expand([n, n])
const column = () => zeros([n, 1])

const operations: Record<string, () => unknown> = {
  'the sum of a row and a column': () => zeros([n]).add(column()),
  'a comparison of a row and a column': () => zeros([n]).equal(column()),
  'a product of matrices': () => column().matmul(zeros([1, n])),
  einsum: () => einsum('i,j->ij', zeros([n]), zeros([n])),
  'a function of a view': () => square().exp(),
  'another dtype of a view': () => square().cast('int32'),
  'another shape of a view': () =>
    square()
      .transpose()
      .reshape([n * n]),
  concat: () => concat([square(), square()], 0),
  stack: () => stack([square(), square()], 0),
  pad: () => zeros([n]).pad([[0, 1e12]]),
  oneHot: () => oneHot(zeros([n], { dtype: 'int32' }), n),
  causalMask: () => causalMask(n, n, zeros([1])),
  dropout: () => dropout(square(), 0.5),
}

const isRefusal = (error: unknown) =>
  error instanceof ShapeError &&
  error.shapes.length > 0 &&
  / has [\d,.∞]{13,} elements; a tensor in memory has at most 4,294,967,296$/.test(error.message)

const open: Record<DeviceName, () => Promise<unknown>> = {
  reference: () => device.open('reference'),
  cpu: () => device.open('cpu'),
  gpu: () => device.open('gpu', { backend: 'cpu' }),
}

for (const name of ['reference', 'cpu', 'gpu'] as const)
  describe(`too many elements on ${name}`, () => {
    before(async () => {
      await open[name]()
      await device.use(name)
    })
    after(() => device.use('reference'))
    for (const [what, make] of Object.entries({ ...creations, ...operations }))
      it(`are refused by shape: ${what}`, () => assert.throws(make, isRefusal))

    it('are no error in a view, and in a tensor without elements', () => {
      assert.deepEqual(square().shape, [n, n])
      assert.deepEqual(zeros([0, 2 ** 50]).shape, [0, 2 ** 50])
    })
  })

describe('a tensor that only this device cannot hold', () => {
  before(() => device.use('cpu'))
  after(() => device.use('reference'))
  const refused = (make: () => Tensor, purpose: RegExp) =>
    assert.throws(make, (error: unknown) => {
      assert.ok(error instanceof OutOfMemoryError)
      assert.match(error.message, /^cpu: no memory for 8,192 MiB for /)
      assert.match(error.message, purpose)
      assert.doesNotMatch(error.message, /garbage/)
      return true
    })

  it('is refused before its values are computed', () => {
    refused(() => ones([2 ** 11, n]), /for ones: float32 \[2048, 1048576\]: .* of (4,096|16,384) MiB at most/)
    refused(() => rand([2 ** 11, n]), /for rand: float32 \[2048, 1048576\]/)
    refused(() => arange(0, 2 ** 31, 1, { dtype: 'float32' }), /for arange: float32 \[2147483648\]/)
  })

  it('has its shape in the error of an operation', () =>
    refused(() => zeros([n]).add(zeros([2 ** 11, 1])), /for a tensor \[2048, 1048576\]/))
})
