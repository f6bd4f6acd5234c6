// Reductions of any axes: groups of axes, contiguous rows, columns in groups of four or sixteen.

import { all, type Calls, each, edges, floats, integers, truth } from './calls.ts'

/** [outer, n, inner]: any of these axes may be reduced */
const blocks: readonly number[][] = [
  ...all([1, 3], [2, 63, 65, 129], [1, 4, 15, 17]),
  ...all([0, 1, 2], [0, 1, 2], [0, 1, 2]),
  ...edges(512).map((n, i) => [1 + (i % 2), 3, n]),
  [1, 3, 16385],
  [3, 16385, 1],
  [2, 129, 129],
  [16385, 1, 3],
]

/** up to 32 elements are sorted by insertion, more by digits: of a few numbers one digit differs, of many several do */
const ordered: readonly number[][] = [
  ...all([1, 2], [31, 32, 33], [1]),
  ...all([0, 1, 2], [0, 1, 2], [2]),
  [65, 129, 1],
  [2801, 1, 3],
]

const subsets = [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]]

export const reductions: Calls = {
  'sums, maxima and minima': each(blocks, shape => ({
    inputs: floats(shape),
    f: x => subsets.flatMap(axis => [x.sum({ axis }), ...(x.size > 0 ? [x.max({ axis }), x.min({ axis })] : [])]),
  })),

  'reductions of whole numbers and truths': each(blocks, shape => ({
    inputs: [integers(shape, 9), truth(...shape)],
    f: (x, p) => subsets.flatMap(axis => [x.sum({ axis }), p.sum({ axis }), ...(x.size > 0 ? [x.max({ axis })] : [])]),
    gradients: false,
  })),

  'positions in order': each(ordered, shape => ({
    inputs: [...floats(shape), integers(shape, 2 ** 31 - 1), truth(...shape)],
    f: (...xs) => [0, 1, 2].flatMap(axis => xs.map(x => x.argsort({ axis, descending: axis === 1 }))),
    gradients: false,
  })),

  'values in order': each(ordered.slice(0, 6), shape => ({
    inputs: floats(shape),
    f: x => [0, 1, 2].map(axis => x.sort({ axis, descending: axis === 1 }).values),
  })),

  'positions of the largest': each(
    blocks.filter(shape => !shape.includes(0)),
    shape => ({
      inputs: [...floats(shape), integers(shape, 9), truth(...shape)],
      f: (...xs) => [0, 1, 2].flatMap(axis => xs.map(x => x.argmax({ axis }))),
      gradients: false,
    }),
  ),
}
