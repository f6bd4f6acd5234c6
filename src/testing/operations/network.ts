// How the operations that neural networks are made of are called.

import fc from 'fast-check'
import * as ops from '../../autograd/index.ts'
import { Generator, sizeOf, type Tensor, tensor, zeros } from '../../tensor/index.ts'
import { broadcastShapes, shape } from '../arbitraries/shapes.ts'
import { operands } from '../arbitraries/tensors.ts'
import { alone, drawn, only, sampled } from './case.ts'

const small = fc.integer({ min: 1, max: 3 })

const withAxis = fc.tuple(shape({ minRank: 1 }), fc.integer({ min: 0, max: 5 })).map(([sizes, n]) => ({
  shapes: [sizes],
  options: (n % (2 * sizes.length)) - sizes.length,
}))

const withRow = only(shape({ minRank: 1 }).map(sizes => [sizes, sizes.slice(-1)]))

const rows = alone(shape({ minRank: 1 }))
/** large enough that differences see a row of equal numbers as smooth */
const epsilon = 0.25

export interface Sight {
  readonly causal: boolean
  readonly masked: boolean
}

/** Queries, keys, values and a mask, any of the axes but the width possibly empty. */
const attentions = fc
  .record({
    stacks: broadcastShapes(3, { maxRank: 1, maxSize: 2 }),
    sizes: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 3, maxLength: 3 }),
    width: small,
    causal: fc.boolean(),
    masked: fc.boolean(),
  })
  .map(({ stacks, sizes: [queries, keys, size], width, causal, masked }) => ({
    shapes: [
      [...stacks[0], queries, width],
      [...stacks[1], keys, width],
      [...stacks[2], keys, size],
      [queries, keys],
    ],
    options: { causal, masked },
  }))

const attending = (
  f: (options: { readonly causal: boolean; readonly mask?: Tensor }, q: Tensor, k: Tensor, v: Tensor) => Tensor,
) =>
  drawn(attentions, [{}, {}, {}, { dtype: 'bool' }], ({ causal, masked }: Sight, q, k, v, mask) =>
    f({ causal, mask: masked ? mask : undefined }, q, k, v),
  )

const reduction = fc.constantFrom('mean', 'sum', 'none')
const smoothing = fc.constantFrom(0, 0.1)

/** Logits, and a class id for every row that may be the one to ignore. */
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

export const network = {
  softmax: { 'along an axis': drawn(withAxis, {}, (axis, x) => ops.softmax(x, { axis })) },
  logSoftmax: { 'along an axis': drawn(withAxis, {}, (axis, x) => ops.logSoftmax(x, { axis })) },
  standardize: { 'over the last axis': drawn(rows, {}, (_, x) => ops.standardize(x, epsilon)) },
  layerNorm: {
    plain: drawn(rows, {}, (_, x) => ops.layerNorm(x, { epsilon })),
    'with scale and shift': drawn(
      only(shape({ minRank: 1 }).map(sizes => [sizes, sizes.slice(-1), sizes.slice(-1)])),
      {},
      (_, x, weight, bias) => ops.layerNorm(x, { weight, bias, epsilon }),
    ),
    'with scale alone': drawn(withRow, {}, (_, x, weight) => ops.layerNorm(x, { weight, epsilon })),
    'with shift alone': drawn(withRow, {}, (_, x, bias) => ops.layerNorm(x, { bias, epsilon })),
    'with the usual epsilon': drawn(rows, {}, (_, x) => ops.layerNorm(x), { order: 0 }),
  },
  linear: {
    'with and without a bias': drawn(
      only(
        fc
          .record({
            lead: shape({ maxRank: 2 }),
            width: small,
            out: fc.integer({ min: 0, max: 3 }),
            bias: fc.boolean(),
          })
          .map(({ lead, width, out, bias }) => [[...lead, width], [out, width], ...(bias ? [[out]] : [])]),
      ),
      {},
      (_, x, weight, bias) => ops.linear(x, weight, bias),
    ),
  },
  attentionWeights: {
    'over the keys that are seen': attending((options, q, k) => ops.attentionWeights(q, k, options)),
  },
  attention: { 'weighted values': attending((options, q, k, v) => ops.attention(q, k, v, options)) },
  causalMask: {
    'the last query sees the last key': sampled(
      fc
        .tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 4 }))
        .map(options => ({ inputs: [zeros([])], options })),
      ([queries, keys], like) => ops.causalMask(queries, keys, like),
      { order: 0, result: 'bool' },
    ),
  },
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
  normalize: {
    'along an axis': drawn(withAxis, { awayFrom: [0] }, (axis, x) => ops.normalize(x, { axis })),
  },
  dropout: {
    'a generator decides': drawn(
      fc.tuple(shape(), fc.constantFrom(0, 0.25, 0.5)).map(([sizes, p]) => ({ shapes: [sizes], options: p })),
      {},
      (p, x) => ops.dropout(x, p, { generator: new Generator(7) }),
    ),
  },
}
