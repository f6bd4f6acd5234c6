// Fused operations against their definitions: the given rule is the gradient of the definition, up to third derivatives.
// describeOperation compares them for operations with a definition.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defineFused, fusedOps, grad, hvp } from '../../src/autograd/index.ts'
import { derivedRule } from '../../src/autograd/op.ts'
import { device, Generator, randn, type Tensor, tensor, toDevice } from '../../src/tensor/index.ts'
import { observeKernels } from '../../src/tensor/observe.ts'
import { describeOperation, shape, tensors } from '../../src/testing/index.ts'
import { assertClose, fc, runs } from '../support.ts'
import { plain } from './plain.ts'
import { fusedRecords } from './records/fused.ts'
import { isAsked } from './records.ts'

for (const { name, op, samples, order } of fusedRecords.filter(({ name }) => isAsked(name)))
  describeOperation(op, { name, expression: `fusedOps.${name}`, from: 'cocagrad', samples, order, ...runs(8) })

it('every fused operation is tested', () =>
  assert.deepEqual(fusedRecords.map(({ name }) => name).sort(), Object.keys(fusedOps).sort()))

it('the rule derived from a definition equals the given rule', () => {
  fc.assert(
    fc.property(tensors(shape({ minRank: 1, maxRank: 2, minSize: 1 }).map(sizes => [sizes, sizes])), ([g, x]) => {
      const derived = derivedRule(fusedOps.softmax.definition)(g, x, x)[0]?.()
      assert.ok(derived, 'softmax depends on its argument')
      const y = fusedOps.softmax(x)
      const ruled = fusedOps.softmax.rule?.(g, y, x)[0]?.()
      assert.ok(ruled, 'softmax has a rule')
      assertClose(ruled, plain(derived), 1e-12)
    }),
    runs(15),
  )
})

it('a tensor in two arguments gets its gradient once', () => {
  const product = defineFused('product', { definition: (x: Tensor, y: Tensor) => x.mul(y) })
  const x = tensor([1, -2, 3], { dtype: 'float64' })
  assertClose(grad((y: Tensor) => product(y, y).sum())(x), plain(x.mul(2)), 1e-12)
})

it('a derived rule runs the definition once, for however many arguments', () => {
  let runs = 0
  const product = defineFused('product', {
    definition: (x: Tensor, y: Tensor) => {
      runs++
      return x.mul(y)
    },
  })
  const [x, y] = [tensor(3, { dtype: 'float64' }), tensor(5, { dtype: 'float64' })]
  const [byX, byY] = grad((x: Tensor, y: Tensor) => product(x, y), { wrt: [0, 1] })(x, y)
  assertClose(byX, plain(y), 0)
  assertClose(byY, plain(x), 0)
  // once forward, once on the way back
  assert.equal(runs, 2)
})

describe('gradients that one kernel computes', () => {
  const width = 24
  const numbers = (seed: number, ...sizes: number[]) => randn(sizes, { generator: new Generator(seed), device: 'cpu' })
  const f = (x: Tensor, weight: Tensor, bias: Tensor) => x.layerNorm({ weight, bias }).square().sum()
  const inputs = [numbers(1, 10, width), numbers(2, width), numbers(3, width)] as const

  /** The kernels for gradients that run in a function. */
  function kernelsIn(f: () => unknown): string[] {
    const names: string[] = []
    const end = observeKernels(device.get('cpu'), ({ kernel }) => names.push(kernel))
    try {
      f()
    } finally {
      end()
    }
    return names.filter(name => name.endsWith('Gradient') || name === 'copy')
  }

  it('have memory of their own, without a copy', () => {
    let gradients: readonly Tensor[] = []
    const kernels = kernelsIn(() => {
      gradients = grad(f, { wrt: [0, 1, 2] })(...inputs)
    })
    assert.deepEqual(kernels, ['layerNormGradient'])
    for (const gradient of gradients) assert.equal(gradient.storage.length, gradient.size)
  })

  it('are computed without the others if only one that is not the first is needed', () => {
    const [x, weight, bias] = inputs
    assert.deepEqual(
      kernelsIn(() => grad((b: Tensor) => f(x, weight, b))(bias)),
      [],
    )
  })

  it('have gradients, which agree with the reference', async () => {
    const vectors = inputs.map((x, i) => numbers(7 + i, ...x.shape))
    const own = hvp(f, inputs, vectors)
    const moved = (xs: readonly Tensor[]) => Promise.all(xs.map(x => toDevice(x, 'reference')))
    const expected = hvp(f, await moved(inputs), await moved(vectors))
    for (const [i, x] of own.entries()) assertClose(x, plain(expected[i]), 1e-4)
  })
})
