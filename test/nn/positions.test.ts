// Positions of one grid on another, against numbers of PyTorch: torch.nn.functional.interpolate with mode='bicubic',
// antialias=True, align_corners=False in float64.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { gridPositions, resizeGrid } from '../../src/nn/index.ts'
import { fromData, ShapeError, type Tensor } from '../../src/tensor/index.ts'
import { assertCloseNumbers, values } from '../support.ts'

/** Two columns: the values, and twice the values. */
const grid = (values: readonly number[]): Tensor =>
  fromData(Float64Array.from(values.flatMap(x => [x, 2 * x])), [values.length, 2])

const column = (x: Tensor, i: number): number[] => [...x.dataSync()].filter((_, at) => at % 2 === i)

const three = [
  0.0, 1.582071304, 1.935727715, 0.7863689661, -0.9735734463, -1.977575302, -1.446069002, 0.2082517892, 1.700873494,
]
const threeToFive = [
  -0.1977862431, 0.5636015059, 1.774950153, 2.153221315, 2.26549558, 0.3563800401, 0.4764081505, 0.6327708962,
  0.492140927, 0.3807596196, 0.9191948085, 0.2140310389, -0.9735734463, -1.704228789, -2.053349027, -0.6510194137,
  -0.5450137714, -0.3207008568, 0.05413383238, 0.2774223388, -1.758856851, -1.01919838, 0.2974461466, 1.474483602,
  2.105363677,
]
const twoByThreeToThreeByTwo = [0.6405707906, -0.761739831, 0.6238006551, -0.3931485988, 0.6070305196, -0.02455736659]
const seven = Array.from({ length: 49 }, (_, i) => Math.cos(i * 1.7))
const sevenToFour = [
  0.5549065822, -0.522218346, 0.5332879882, -0.6091527107, 0.5331334137, -0.3236963452, 0.2309288827, -0.0785319356,
  -0.1297627806, 0.268777375, -0.356547021, 0.5598727532, -0.624234671, 0.5316573754, -0.5116977565, 0.5264237359,
]

it("a finer grid equals PyTorch's", () => {
  const finer = resizeGrid(grid(three), 3, 5)
  assertCloseNumbers(column(finer, 0), threeToFive, 1e-8)
  assertCloseNumbers(
    column(finer, 1),
    threeToFive.map(y => 2 * y),
    1e-8,
  )
})

it("a coarser grid equals PyTorch's", () => {
  assertCloseNumbers(column(resizeGrid(grid(seven), 7, 4), 0), sevenToFour, 1e-8)
})

it("a rectangle to a rectangle equals PyTorch's", () => {
  // F.interpolate(torch.arange(6.).mul(1.7).cos().view(1, 1, 2, 3), size=(3, 2), mode='bicubic', antialias=True, align_corners=False)
  const x = grid(Array.from({ length: 6 }, (_, i) => Math.cos(i * 1.7)))
  assertCloseNumbers(column(resizeGrid(x, [2, 3], [3, 2]), 0), twoByThreeToThreeByTwo, 1e-8)
})

it('an axis that keeps its length is left as it is, and the other is resampled on its own', () => {
  const x = grid(seven)
  const [rows, both] = [resizeGrid(x, 7, [4, 7]), resizeGrid(x, 7, 4)]
  assertCloseNumbers(column(resizeGrid(rows, [4, 7], 4), 0), column(both, 0))
  const one = resizeGrid(grid([1, 2, 3]), [1, 3], [4, 3])
  assertCloseNumbers(column(one, 0), [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3])
})

it('positions on a grid are those of its rows and its columns', () => {
  const [wide, high, square] = [gridPositions([2, 5], 8), gridPositions([5, 2], 8), gridPositions(5, 8)]
  const half = (x: Tensor, row: number, start: number) => values(x.slice([row, { start, stop: start + 4 }]))
  for (let row = 0; row < 2; row++)
    for (let column = 0; column < 5; column++) {
      // rows are in the first half of the columns, columns in the second
      assert.deepEqual(half(wide, row * 5 + column, 4), half(square, column, 4))
      assert.deepEqual(half(wide, row * 5 + column, 0), half(high, column * 2 + row, 4))
    }
})

it('a constant grid stays constant', () => {
  for (const to of [1, 2, 5, 9])
    assertCloseNumbers(column(resizeGrid(grid(new Array(9).fill(3)), 3, to), 0), new Array(to * to).fill(3))
})

it('the same size changes nothing', () => {
  const x = grid(seven)
  assert.equal(resizeGrid(x, 7, 7), x)
})

it('throws for an invalid grid', () => {
  assert.throws(() => resizeGrid(grid(seven), 6, 4), ShapeError)
  assert.throws(() => resizeGrid(grid(seven), [7, 6], 4), /positions must be \[42, width\], for a grid of 7 × 6/)
  assert.throws(() => resizeGrid(grid(seven), 7, [4, 0]), /to must be a whole number above 0, or \[rows, columns\]/)
})
