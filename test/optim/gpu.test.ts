// The same steps on the gpu device, with kernels of GPU.js that run on any machine.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { clipGradients, type Optimizer } from '../../src/optim/index.ts'
import { device, type Tensor, tensor } from '../../src/tensor/index.ts'
import { assertCloseNumbers } from '../support.ts'
import { algorithms, gradientsAt, Loose } from './plain.ts'

before(() => device.use('gpu', { backend: 'cpu' }))
after(() => device.use('reference'))

/** float32 on the device that is current. */
const here = (x: Tensor) => tensor(Float32Array.from(x.dataSync()), { shape: x.shape })

/** A model and its gradients on a device. */
function modelOn(name: 'reference' | 'gpu') {
  const source = device.with('reference', () => new Loose())
  const gradients = (step: number) => {
    const made = device.with('reference', () => gradientsAt(source, step))
    return device.with(name, () => new Map([...made].map(([key, value]) => [key, here(value)])))
  }
  const module = device.with('reference', () => new Loose())
  device.with(name, () => {
    for (const parameter of module.parameters()) parameter.assign(here(parameter))
  })
  return { module, gradients }
}

for (const [name, make] of Object.entries(algorithms))
  test(`${name} makes equal steps on the gpu device and on the reference, and its state moves between them`, async () => {
    const [a, b] = [modelOn('reference'), modelOn('gpu')]
    const walk = ({ module, gradients }: typeof a, optimizer: Optimizer, on: 'reference' | 'gpu', from: number) => {
      for (let step = from; step < from + 4; step++)
        device.with(on, () => optimizer.step(clipGradients(gradients(step), 1).gradients, 0.1))
      return module
    }
    const [plain, optimizer] = [make(a.module), make(b.module)]
    walk(a, plain, 'reference', 0)
    walk(b, optimizer, 'gpu', 0)
    for (const value of optimizer.stateDict().tensors.values()) assert.equal(value.device, 'gpu')
    const compare = async () => {
      const expected = a.module.parameters().flatMap(p => [...p.dataSync()])
      const found = await Promise.all(b.module.parameters().map(async p => [...(await p.data())]))
      assertCloseNumbers(found.flat(), expected, 1e-5)
    }
    await compare()
    await b.module.to('reference')
    await optimizer.to('reference')
    walk(a, plain, 'reference', 4)
    walk({ ...b, gradients: a.gradients }, optimizer, 'reference', 4)
    await compare()
  })

test('a gradient that is not finite becomes zero on the gpu device too', async () => {
  for (const bad of [Number.NaN, Infinity]) {
    const { gradients, norm } = clipGradients(new Map([['w', tensor([1, bad])]]), 1)
    assert.deepEqual([...(await gradients.get('w')!.data())], [0, 0])
    assert.ok(!Number.isFinite(await norm.item()))
  }
})
