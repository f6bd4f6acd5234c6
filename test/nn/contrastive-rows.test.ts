// The shares of rows in the contrastive losses against the losses of the whole batch.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import '../reference.ts'
import { concat, normalize, valueAndGrad } from '../../src/autograd/index.ts'
import {
  contrastiveRows,
  logSums,
  type Pairs,
  type RowsLoss,
  sigmoidContrastiveRows,
  type WholeBatch,
} from '../../src/nn/contrastive-rows.ts'
import { contrastiveLoss, sigmoidContrastiveLoss } from '../../src/nn/index.ts'
import { countMemory, type Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import { assertCloseNumbers, fc, runs } from '../support.ts'
import { random } from './support.ts'

const numbers = (x: Tensor) => [...x.dataSync()]

/** A batch, its groups, the edges of the shares of its rows, and how many elements are computed at a time. */
const divided = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }).chain(sizes => {
  const batch = sizes.reduce((a, b) => a + b, 0)
  const number = fc.integer({ min: 0, max: 3 })
  const groups = fc.option(fc.array(number, { minLength: batch, maxLength: batch }), { nil: undefined })
  const elements = fc.option(fc.integer({ min: 1, max: 3 * batch }), { nil: undefined })
  return fc.record({ sizes: fc.constant(sizes), groups, elements, seed: fc.integer({ min: 1, max: 1000 }) })
})

describe('the shares of all rows', () => {
  const scale = tensor(3.2, { dtype: 'float64' })
  const bias = tensor(-1.5, { dtype: 'float64' })
  for (const [name, whole, prepared] of [
    ...(['sum', 'mean'] as const).map(
      reduction =>
        [
          `contrastive loss, ${reduction}`,
          (x: Tensor, y: Tensor, s: Tensor, _: Tensor, groups?: Tensor) =>
            contrastiveLoss(x, y, s, { reduction, groups }),
          (all: readonly [Pairs, WholeBatch][]) => {
            const sums = concat(all.map(([own, batch]) => logSums(own, batch, scale)))
            return (own: Pairs, batch: WholeBatch, s: Tensor) => contrastiveRows(own, batch, s, sums, reduction)
          },
        ] as const,
    ),
    [
      'sigmoid loss',
      (x: Tensor, y: Tensor, s: Tensor, b: Tensor, groups?: Tensor) => sigmoidContrastiveLoss(x, y, s, b, { groups }),
      () => sigmoidContrastiveRows,
    ] as const,
  ])
    it(`add up to the loss, and have its gradients: ${name}`, () => {
      fc.assert(
        fc.property(divided, ({ sizes, groups: list, elements, seed }) => {
          const batch = sizes.reduce((a, b) => a + b, 0)
          const [image, text] = [normalize(random([batch, 5], seed)), normalize(random([batch, 5], seed + 1))]
          const groups = list && tensor(list, { dtype: 'int32' })
          const parts = sizes.map((size, i): [Pairs, WholeBatch] => {
            const start = sizes.slice(0, i).reduce((a, b) => a + b, 0)
            const rows = { start, stop: start + size }
            return [
              { image: image.slice([rows]), text: text.slice([rows]) },
              { all: { image, text }, groups, rows, elements },
            ]
          })
          const rows: (own: Pairs, batch: WholeBatch, s: Tensor, b: Tensor) => RowsLoss = prepared(parts)
          const of =
            (which: keyof RowsLoss, own: WholeBatch): ((...args: Tensor[]) => Tensor) =>
            (x, y, s, b) =>
              rows({ image: x, text: y }, own, s, b)[which]
          const shares = parts.map(([{ image: x, text: y }, own]) => ({
            loss: of('loss', own)(x, y, scale, bias),
            gradients: valueAndGrad(of('differentiated', own), { wrt: [0, 1, 2, 3] })(x, y, scale, bias)[1],
          }))
          const [loss, gradients] = valueAndGrad(
            (x: Tensor, y: Tensor, s: Tensor, b: Tensor) => whole(x, y, s, b, groups),
            { wrt: [0, 1, 2, 3] },
          )(image, text, scale, bias)
          const total = (all: readonly Tensor[]) => all.reduce((a, b) => a.add(b))
          assertCloseNumbers(numbers(total(shares.map(each => each.loss))), numbers(loss), 1e-12)
          for (const i of [0, 1])
            assertCloseNumbers(numbers(concat(shares.map(each => each.gradients[i]))), numbers(gradients[i]), 1e-12)
          for (const i of [2, 3])
            assertCloseNumbers(numbers(total(shares.map(each => each.gradients[i]))), numbers(gradients[i]), 1e-12)
        }),
        runs(20),
      )
    })
})

it('the memory of a share does not grow with its rows', () => {
  const peakOf = (count: number) => {
    const [batch, width] = [4096, 2]
    const { peak } = countMemory(() => {
      const all = { image: zeros([batch, width]), text: zeros([batch, width]) }
      const whole: WholeBatch = { all, rows: { start: 0, stop: count }, elements: 8 * batch }
      const own = { image: zeros([count, width]), text: zeros([count, width]) }
      const [scale, bias, sums] = [zeros([]), zeros([]), zeros([batch, 2])]
      logSums(own, whole, scale)
      const of = (x: Tensor, y: Tensor) =>
        contrastiveRows({ image: x, text: y }, whole, scale, sums, 'mean').differentiated.add(
          sigmoidContrastiveRows({ image: x, text: y }, whole, scale, bias).differentiated,
        )
      valueAndGrad(of, { wrt: [0, 1] })(own.image, own.text)
    })
    return peak
  }
  // one more matrix of all rows would be 1024 of them times 4096
  assert.ok(peakOf(1024) < 1.2 * peakOf(16), `${peakOf(16)} and ${peakOf(1024)}`)
})
