// The parts of the samples in this folder: calls of operations, the sizes at which kernels change their algorithm, and the
// layouts in memory for every size.

import type { CheckedFunction } from '../../../src/autograd/index.ts'
import {
  contiguousStrides,
  type DType,
  device,
  type Shape,
  show,
  sizeOf,
  type Tensor,
} from '../../../src/tensor/index.ts'
import { type Layout, layOut, layouts } from '../../../src/testing/layouts.ts'

/** One tensor of a call. */
export interface Input {
  readonly shape: Shape
  /** default float32 */
  readonly dtype?: DType
  /** integers are 0 … below - 1 */
  readonly below?: number
}

/** An operation and the tensors it is called with. */
export interface Call {
  readonly inputs: readonly Input[]
  readonly f: CheckedFunction
  /** whether there are gradients to compare; default true */
  readonly gradients?: boolean
  /** in one layout, because it is large; default false */
  readonly once?: boolean
}

/** Calls of one operation, by its name. */
export type Calls = Readonly<Record<string, readonly Call[]>>

export const floats = (...shapes: readonly Shape[]): Input[] => shapes.map(shape => ({ shape }))
export const truth = (...shape: number[]): Input => ({ shape, dtype: 'bool' })
export const integers = (shape: Shape, below: number): Input => ({ shape, dtype: 'int32', below })

/** Sizes around the powers of two: where vectors, runs of a sum and parts of a row begin and end. */
export function edges(most: number): number[] {
  const sizes = [0]
  for (let power = 1; power <= most; power *= 2) sizes.push(power - 1, power, power + 1)
  return [...new Set(sizes)]
}

/** Shapes of three axes with a few elements less than so many and a few more: some axes thin, and the others alike. */
export function around(elements: number, sizes: readonly number[] = [1, 2, 3]): number[][] {
  const found = new Map<string, number[]>()
  for (const thin of sizes)
    for (const wide of [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]]) {
      const size = Math.floor((elements / thin ** (3 - wide.length)) ** (1 / wide.length))
      const shape = [0, 1, 2].map(axis => (wide.includes(axis) ? size : thin))
      const rest = sizeOf(shape.with(wide[0], 1))
      for (const n of [Math.floor((elements - 1) / rest), Math.ceil(elements / rest)]) {
        const sized = shape.with(wide[0], n)
        found.set(show(sized), sized)
      }
    }
  return [...found.values()]
}

/** A call for each of several shapes. */
export const each = (shapes: readonly Shape[], call: (shape: readonly number[], i: number) => Call): Call[] =>
  shapes.map((shape, i) => call([...shape], i))

/** Every element of one list with every one of the others. */
export const all = (...lists: readonly (readonly number[])[]): number[][] =>
  lists.reduce<number[][]>((rows, list) => rows.flatMap(row => list.map(n => [...row, n])), [[]])

/** Rows or columns that are repeated lie in one place; rows that overlap begin one element after another, as windows do. */
const arrangements = [...layouts, 'rows repeated', 'columns repeated', 'rows overlapping'] as const

type Arrangement = (typeof arrangements)[number]

const isLayout = (lies: Arrangement): lies is Layout => (layouts as readonly string[]).includes(lies)

/** Whole numbers from -16 to 16: each of them first, and then any in no order. */
function whole(i: number, seed: number): number {
  if (i < 33) return ((i * 19 + seed * 7) % 33) - 16
  const mixed = Math.imul((i ^ (i >>> 15)) + seed, 0x2c1b3c6d)
  return (((mixed ^ (mixed >>> 12)) >>> 0) % 33) - 16
}

function arrange({ shape, dtype = 'float32', below = 2 }: Input, lies: Arrangement, seed: number): Tensor {
  const element = (i: number) => (dtype === 'float32' ? whole(i, seed) / 8 : (whole(i, seed) + 16) % below)
  // an element that is read from a gap is NaN, or an invalid index
  const gap = dtype === 'float32' ? Number.NaN : dtype === 'int32' ? -1 : 1
  const options = { dtype, on: device.get('reference'), gap }
  if (isLayout(lies)) return layOut(element, shape, lies, options)
  const outer = shape.slice(0, -2)
  const [columns = 1, rows = 1] = shape.slice(-2).reverse()
  const span = { 'rows repeated': columns, 'columns repeated': rows, 'rows overlapping': rows + columns - 1 }[lies]
  const steps = { 'rows repeated': [0, 1], 'columns repeated': [1, 0], 'rows overlapping': [1, 1] }[lies]
  const memory = layOut(element, [sizeOf(outer) * Math.max(0, span)], 'plain', options)
  const strides = [...contiguousStrides(outer).map(stride => stride * span), ...steps]
  return memory.view(shape, strides.slice(Math.max(0, 2 - shape.length)))
}

/** In how many layouts a call is made. */
export const layoutsOf = ({ once }: Call): number => (once ? 1 : arrangements.length)

/**
 * The tensors of a call in the n-th of its layouts; after all of them, every tensor has been in each.
 * @param round of another number, others of these meet
 */
export const arranged = ({ inputs }: Call, n: number, round: number): Tensor[] =>
  inputs.map((input, i) => arrange(input, arrangements[(n + i * (1 + round)) % arrangements.length], i))
