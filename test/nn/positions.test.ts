// Positions of one grid on another, against numbers of PyTorch: torch.nn.functional.interpolate with mode='bicubic',
// antialias=True, align_corners=False in float64.

import assert from 'node:assert/strict'
import { it } from 'node:test'
import { resizeGrid } from '../../src/nn/index.ts'
import { fromData, ShapeError, type Tensor } from '../../src/tensor/index.ts'
import { assertCloseNumbers } from '../support.ts'

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
})
