// Cases of random choices: a generator with a fixed seed decides.

import fc from 'fast-check'
import * as ops from '../../autograd/index.ts'
import { Generator } from '../../tensor/index.ts'
import { shape } from '../arbitraries/shapes.ts'
import { drawn } from './case.ts'

const generator = () => new Generator(7)

/** Shapes with a class at least, and a number. */
const classes = fc
  .tuple(shape({ maxRank: 2 }), fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 3 }))
  .map(([sizes, n, count]) => ({ shapes: [[...sizes, n]], options: { n, count } }))

const chances = { domain: [1 / 8, 1] as const }

export const sampling = {
  bernoulli: {
    'one probability for each element': drawn(
      shape().map(sizes => ({ shapes: [sizes], options: undefined })),
      { domain: [0, 1] },
      (_, p) => ops.bernoulli(p, { generator: generator() }),
      { order: 0 },
    ),
    'a mask': drawn(
      shape().map(sizes => ({ shapes: [sizes], options: [2, ...sizes] })),
      { domain: [0, 1] },
      (sizes, p) => ops.bernoulli(p, { generator: generator(), shape: sizes, dtype: 'bool' }),
      { order: 0, result: 'bool' },
    ),
  },
  categorical: {
    'one sample': drawn(classes, {}, (_, x) => ops.categorical(x, { generator: generator() }), {
      order: 0,
      result: 'int32',
    }),
    'several samples': drawn(classes, {}, ({ count }, x) => ops.categorical(x, { generator: generator(), count }), {
      order: 0,
      result: 'int32',
    }),
  },
  multinomial: {
    'each position once': drawn(
      classes,
      chances,
      ({ n, count }, x) => ops.multinomial(x, { generator: generator(), count: Math.min(n, count) }),
      { order: 0, result: 'int32' },
    ),
    'with replacement': drawn(
      classes,
      chances,
      ({ count }, x) => ops.multinomial(x, { generator: generator(), count, replacement: true }),
      { order: 0, result: 'int32' },
    ),
  },
  gumbelSoftmax: {
    'soft, along the first axis': drawn(classes, {}, (_, x) =>
      ops.gumbelSoftmax(x, { generator: generator(), temperature: 2, axis: 0 }),
    ),
    hard: drawn(classes, {}, (_, x) => ops.gumbelSoftmax(x, { generator: generator(), hard: true }), { order: 0 }),
  },
}
