// A module computes with other values instead of its parameters, which are restored afterwards.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import '../reference.ts'
import { grad } from '../../src/autograd/index.ts'
import { Linear, Module, withParameters } from '../../src/nn/index.ts'
import { ones, type Tensor, tensor } from '../../src/tensor/index.ts'
import { values } from '../support.ts'

class Twice extends Module {
  readonly first = new Linear(1, 1, { bias: false })
  readonly list = [this.first]

  forward(x: Tensor): Tensor {
    return this.list[0].forward(this.first.forward(x))
  }
}

describe('withParameters', () => {
  const x = ones([1, 1], { dtype: 'float64' })
  const three = tensor([[3]], { dtype: 'float64' })

  it('replaces a shared parameter everywhere, with gradients', () => {
    const module = new Twice()
    const squared = (w: Tensor) => withParameters(module, [w], () => module.forward(x)).sum()
    assert.deepEqual(values(squared(three)), [9])
    assert.deepEqual(values(grad(squared)(three)), [6])
  })

  it('restores every parameter, also after an error', () => {
    const module = new Twice()
    const [own] = module.parameters()
    assert.throws(() =>
      withParameters(module, [three], () => {
        throw new Error('in between')
      }),
    )
    assert.equal(module.first.weight, own)
    assert.equal(module.list[0].weight, own)
  })

  it('throws for values that do not fit before it replaces any', () =>
    assert.throws(() => withParameters(new Twice(), [ones([2])], () => 0), {
      name: 'ShapeError',
      message: 'withParameters: values [2] do not match parameters [1, 1]',
    }))
})
