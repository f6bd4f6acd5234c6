// Cases of softmax, its logarithm and cross-entropy.

import fc from 'fast-check'
import * as ops from '../../autograd/index.ts'
import { sizeOf, tensor } from '../../tensor/index.ts'
import { shape } from '../arbitraries/shapes.ts'
import { operands } from '../arbitraries/tensors.ts'
import { drawn, sampled, withAxis } from './case.ts'

const small = fc.integer({ min: 1, max: 3 })
const reduction = fc.constantFrom('mean', 'sum', 'none')
const smoothing = fc.constantFrom(0, 0.1)

/** Logits, and a class id for every row, which may be the id to ignore. */
const classified = operands(
  fc
    .record({
      lead: shape({ maxRank: 2 }),
      classes: small,
      ids: fc.array(fc.nat(11), { minLength: 7, maxLength: 7 }),
      options: fc.record(
        { reduction, smoothing, ignore: fc.constantFrom(undefined, -100, 1) },
        { noNullPrototype: true },
      ),
    })
    .map(({ lead, classes, ids, options }) => ({ shapes: [[...lead, classes]], options: { ids, options } })),
).map(({ inputs: [logits], options: { ids, options } }) => {
  const lead = logits.shape.slice(0, -1)
  const classes = logits.shape[logits.shape.length - 1]
  const target = Int32Array.from({ length: sizeOf(lead) }, (_, i) => {
    const id = ids[i % ids.length]
    return id === 11 && options.ignore !== undefined ? options.ignore : id % classes
  })
  return { inputs: [logits, tensor(target, { shape: lead })], options }
})

export const softmax = {
  softmax: { 'along an axis': drawn(withAxis, {}, (axis, x) => ops.softmax(x, { axis })) },
  logSoftmax: { 'along an axis': drawn(withAxis, {}, (axis, x) => ops.logSoftmax(x, { axis })) },
  crossEntropy: {
    'class ids': sampled(classified, (options, logits, target) => ops.crossEntropy(logits, target, options)),
    probabilities: drawn(
      fc
        .record({
          lead: shape({ maxRank: 2 }),
          classes: small,
          options: fc.record({ reduction, smoothing }, { noNullPrototype: true }),
        })
        .map(({ lead, classes, options }) => ({
          shapes: [
            [...lead, classes],
            [...lead, classes],
          ],
          options,
        })),
      [{}, { domain: [0, 2] }],
      (options, logits, target) => ops.crossEntropy(logits, target, options),
    ),
  },
}
