// Gradients of a tensor that is used several times are added in the memory of the first one, if the device supports it and the
// memory is not shared. These tests are for shared memory.

import { describe, it } from 'node:test'
import { grad } from '../../src/autograd/index.ts'
import { device, fromData, type Tensor } from '../../src/tensor/index.ts'
import { assertCloseNumbers } from '../support.ts'

const numbers = (x: Tensor): number[] => [...x.dataSync()]

for (const name of ['reference', 'cpu'] as const)
  describe(`on ${name}, adding up gradients`, () => {
    const [x, y] = [
      [1, 2, 3],
      [4, 5, 6],
    ].map(values => fromData(Float32Array.from(values), [3], device.get(name)))

    it('does not change those of other tensors, which may share memory', () => {
      const f = (a: Tensor, b: Tensor) => {
        const three = a.mul(3)
        return b.add(a).add(three).mul(b.stopGradient()).sum()
      }
      const [byX, byY] = grad(f, { wrt: [0, 1] })(x, y)
      assertCloseNumbers(numbers(byX), [16, 20, 24])
      assertCloseNumbers(numbers(byY), [4, 5, 6])
    })

    it('does not change a given gradient', () => {
      const slope = grad((a: Tensor) => a.add(a.mul(2)).add(a).sum())
      assertCloseNumbers(numbers(slope(x)), [4, 4, 4])
    })

    it('does not change the records of another tape', () => {
      const cube = (a: Tensor) =>
        a
          .mul(a)
          .mul(a)
          .add(a.mul(a.mul(2)))
          .sum()
      const slope = grad(cube)
      assertCloseNumbers(numbers(slope(x)), [7, 20, 39], 1e-6)
      assertCloseNumbers(numbers(grad((a: Tensor) => slope(a).mul(y).sum())(x)), [40, 80, 132], 1e-6)
      const second = grad((a: Tensor) => slope(a).mul(slope(a)).sum())
      assertCloseNumbers(numbers(second(x)), [140, 640, 1716], 1e-6)
    })
  })
