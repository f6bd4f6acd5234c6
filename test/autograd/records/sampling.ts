// Records of random choices, from the numbers of the same generator and the natural logarithm of the engine.

import * as ops from '../../../src/autograd/index.ts'
import { AxisError, Generator, ShapeError, tensor, ValueError, zeros } from '../../../src/tensor/index.ts'
import { lines, make, type Plain, softmaxOf } from '../plain.ts'
import { type OperationRecord, record } from './record.ts'

/** Numbers of a shape, drawn in row-major order. */
function noise(shape: readonly number[], f: (u: number) => number): Plain {
  const generator = new Generator(7)
  return make(shape, () => f(generator.uniform() + 2 ** -54))
}
const exponential = (u: number) => -Math.log(u)
const gumbel = (u: number) => -Math.log(-Math.log(u))

/** The last axis as rows. */
const rows = (x: Plain): number[][] => {
  const n = x.shape[x.shape.length - 1]
  return Array.from({ length: x.data.length / n }, (_, i) => x.data.slice(i * n, (i + 1) * n))
}

const best = (scores: readonly number[]) => scores.indexOf(Math.max(...scores))

/** The best score of each row of x with its own noise, `count` times. */
function choices(
  x: Plain,
  count: number,
  f: (u: number) => number,
  score: (x: number, noise: number) => number,
): Plain {
  const before = x.shape.slice(0, -1)
  const n = x.shape[x.shape.length - 1]
  const noises = rows(noise([...before, count, n], f))
  const data = rows(x).flatMap((row, i) =>
    Array.from({ length: count }, (_, k) => best(row.map((value, j) => score(value, noises[i * count + k][j])))),
  )
  return { shape: [...before, count], data }
}

export const sampling: readonly OperationRecord[] = [
  record(
    'bernoulli',
    {
      'one probability for each element': (_, p) => {
        const uniform = noise(p.shape, u => u)
        return { shape: p.shape, data: p.data.map((x, i) => Number(uniform.data[i] < x)) }
      },
      'a mask': (sizes, p) => {
        const uniform = noise(sizes, u => u)
        return { shape: sizes, data: uniform.data.map((u, i) => Number(u < p.data[i % p.data.length])) }
      },
    },
    [
      [() => ops.bernoulli(1.5), RangeError, 'bernoulli: the probability must be in [0, 1], not 1.5'],
      [() => ops.bernoulli(Number.NaN), RangeError, 'bernoulli: the probability must be in [0, 1], not NaN'],
      [() => ops.bernoulli(zeros([2]), { shape: [3] }), ShapeError, 'expand: [2] does not broadcast to [3]'],
    ],
  ),
  record(
    'categorical',
    {
      'one sample': (_, x) => ({
        shape: x.shape.slice(0, -1),
        data: choices(x, 1, gumbel, (logit, g) => logit + g).data,
      }),
      'several samples': ({ count }, x) => choices(x, count, gumbel, (logit, g) => logit + g),
    },
    [
      [() => ops.categorical(zeros([2, 0])), ShapeError, 'categorical: the last axis must have a class to choose'],
      [() => ops.categorical(zeros([])), ShapeError, 'categorical: the last axis must have a class to choose'],
    ],
  ),
  record(
    'multinomial',
    {
      'each position once': ({ n, count }, x) => {
        const races = rows(noise(x.shape, exponential))
        const picked = Math.min(n, count)
        const data = rows(x).flatMap((row, i) => {
          const scores = row.map((weight, j) => weight / races[i][j])
          return [...scores.keys()].sort((a, b) => scores[b] - scores[a]).slice(0, picked)
        })
        return { shape: [...x.shape.slice(0, -1), picked], data }
      },
      'with replacement': ({ count }, x) => choices(x, count, exponential, (weight, e) => weight / e),
    },
    [
      [() => ops.multinomial(zeros([0])), ShapeError, 'multinomial: the last axis must have a class to choose'],
      [
        () => ops.multinomial(tensor([1, 2]), { count: 3 }),
        RangeError,
        'multinomial: 3 positions without replacement are more than the 2 of [2]; write { replacement: true }',
      ],
      [
        () =>
          ops.multinomial(
            tensor([
              [1, 2],
              [0, 3],
            ]),
            { count: 2 },
          ),
        RangeError,
        'multinomial: row 1 of [2, 2] has 1 weights above 0 and needs 2, one for each choice without replacement',
      ],
      [
        () => ops.multinomial(tensor([0, 0]), { replacement: true }),
        RangeError,
        'row 0 of [2] has 0 weights above 0 and needs 1',
      ],
      [() => ops.multinomial(tensor([1, -1])), ValueError, 'multinomial: the weight -1 at position 1 of row 0 must be'],
      [() => ops.multinomial(tensor([1, Number.NaN])), ValueError, 'the weight NaN at position 1 of row 0'],
    ],
  ),
  record(
    'gumbelSoftmax',
    {
      'soft, along the first axis': (_, x) => {
        const noises = noise(x.shape, gumbel)
        return lines({ shape: x.shape, data: x.data.map((logit, i) => (logit + noises.data[i]) / 2) }, 0, softmaxOf)
      },
      hard: (_, x) => {
        const noises = noise(x.shape, gumbel)
        return lines({ shape: x.shape, data: x.data.map((logit, i) => logit + noises.data[i]) }, -1, line =>
          line.map((_, i) => Number(i === best(line))),
        )
      },
    },
    [
      [
        () => ops.gumbelSoftmax(zeros([2]), { temperature: 0 }),
        RangeError,
        'gumbelSoftmax: the temperature must be a number above 0, not 0',
      ],
      [() => ops.gumbelSoftmax(zeros([2]), { axis: 1 }), AxisError, 'gumbelSoftmax: [2] has no axis 1'],
    ],
  ),
]
