// Matrix products, and attention, which consists of them: by BLAS or not, small, in blocks or row by row.

import { type Shape, sizeOf } from '../../../src/tensor/index.ts'
import { all, around, type Call, type Calls, floats, truth } from './calls.ts'

/** Multiplications from which BLAS is called. */
const WORTH_A_CALL = 20_000
/** Multiplications from which machine code is called. */
const WORTH_MACHINE_CODE = 8000
/** Multiplications up to which no columns are copied into panels. */
const SMALL = 1000
/** Multiplications that are worth two threads. */
const SHARED = 2 * 100_000
/** Scores that attention keeps at once. */
const KEPT = 2 ** 22

/** [m, k] times [k, n] */
const sizes = [
  ...around(WORTH_A_CALL),
  ...around(WORTH_MACHINE_CODE, [1, 2]),
  ...around(SMALL + 1, [1]),
  ...around(SHARED, [1]),
  // tiles of 3 × 12 and 4 × 8, up to eight rows without copies, blocks of 132 × 256 × 1020, a depth of 512
  ...all([1, 3, 4, 5, 9, 133], [1, 4, 257, 513], [1, 3, 8, 9, 12, 1021]).filter(shape => sizeOf(shape) < 300_000),
  // columns in panels of twelve and of eight
  ...all([14], [90], [16, 17, 20, 23, 25, 32]),
  // tiles in machine code: 12 rows of two vectors of 16, or 6 of two of 8; columns that are copied where more rows than two tiles read them
  ...all([13, 25], [22, 257, 513], [15, 17, 33, 40]),
  // 480 rows at a time
  [481, 9, 17],
  // a gradient of the weight whose columns are pages apart
  [33, 5, 1024],
  [17, 257, 65],
  [5, 260, 1030],
  [64, 512, 70],
  [64, 520, 70],
  [300, 300, 50],
  ...all([0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2, 3]),
]

/** Leading axes that broadcast. */
const stacks = [
  [
    [2, 1],
    [1, 3],
  ],
  [[2, 3], []],
  [
    [2, 1, 2, 1],
    [1, 3, 1, 2],
  ],
  [[], [3]],
  [[3], [3]],
]

/** The first power of two that is not below n. */
const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, n)))

/** Heads with a mask, in causal order, with both or with neither. */
function attends(stack: Shape, [queries, width, keys]: readonly number[], size: number, i: number): Call {
  const mask = i % 2 === 0 ? [truth(...(i % 4 === 0 ? [queries, keys] : [1, keys]))] : []
  return {
    inputs: [...floats([...stack, queries, width], [...stack, keys, width], [...stack, keys, size]), ...mask],
    f: (q, k, v, seen) =>
      // divided, so that the sums in its gradient are not larger than the compared values; by a power of two, because the rounding
      // of another quotient would add up over thousands of equal rows
      q.attention(k, v, { mask: seen, causal: i % 3 === 0, scale: i % 5 === 0 ? -0.5 : 0.25 }).div(powerOfTwo(size)),
  }
}

export const products: Calls = {
  matmul: [...around(WORTH_A_CALL), ...around(SHARED, [1])].map(([m, k, n]) => ({
    inputs: floats([m, k], [k, n]),
    f: (a, b) => a.matmul(b),
  })),

  // a GPU computes four of them a thread
  'matmul of many results': [
    [128, 3, 128],
    [128, 3, 129],
    [127, 3, 128],
    [128, 513, 128],
  ].map(([m, k, n]) => ({ inputs: floats([m, k], [k, n]), f: (a, b) => a.matmul(b), once: k > 3 })),

  'matmul of stacks': [
    ...all([1, 2, 5], [1, 2, 5], [1, 2, 5]),
    ...around(WORTH_A_CALL),
    ...around(WORTH_MACHINE_CODE, [2]),
  ].map(([m, k, n], i) => {
    const [left, right] = stacks[i % stacks.length]
    return { inputs: floats([...left, m, k], [...right, k, n]), f: (a, b) => a.matmul(b) }
  }),

  linear: sizes.map(([m, k, n], i) => ({
    inputs: floats([m, k], [n, k], ...(i % 3 === 0 ? [] : [[n]])),
    f: (x, weight, bias) => x.linear(weight, bias),
  })),

  'linear of several axes': all([1, 2, 3], [1, 3], [1, 4]).map(([a, b, n]) => ({
    inputs: floats([a, b, 3], [n, 3]),
    f: (x, weight) => x.linear(weight),
  })),

  // the product of queries and keys has the sizes of a list, or that of weights and values
  attention: [...all([1, 2, 9], [1, 2, 9], [1, 2, 17]), ...around(WORTH_A_CALL, [1, 2])].flatMap(([a, b, c], i) => [
    attends([], [a, b, c], 1 + (i % 3), i),
    attends([2], [a, 1 + (i % 3), b], c, i),
  ]),

  'attention of stacks': [
    ...all([1, 2], [1, 3], [1, 5], [1, 3]).map(sizes => [...sizes, 5]),
    // enough for two threads
    [1, 2, 151, 133, 3],
    [3, 1, 1, 20_001, 5],
  ].map(([batch, heads, queries, keys, size], i) => attends([batch, heads], [queries, 3, keys], size, i)),

  'attention of what no kernel takes': [
    ...[[2, 1, 2], [0], [2, 0]].map((stack, i) => attends(stack, [3, 2, 5], 3, i)),
    ...[
      [0, 2, 5],
      [3, 0, 5],
      [3, 2, 0],
    ].map((sizes, i) => attends([2], sizes, 3, i)),
    attends([2], [3, 2, 5], 0, 0),
  ],
}

/** Beyond so many scores, attention on cpu is left to its definition. */
export const manyScores: Calls = {
  'attention of more scores than are kept': [KEPT, KEPT + 1].map(keys => ({
    inputs: floats([1, 1], [keys, 1], [keys, 1]),
    f: (q, k, v) => q.attention(k, v),
    gradients: false,
    once: true,
  })),
}
