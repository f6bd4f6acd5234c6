// Random shapes, and combinations of shapes for operations. All parts are drawn independently and combined at the end, without
// nested draws, so that fast-check can shrink each part separately.

import fc from 'fast-check'
import type { Range } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'

/** Options of the arbitraries of shapes. */
export interface ShapeOptions {
  /** minimum number of axes; default 0 */
  readonly minRank?: number
  /** maximum number of axes; default 3, or minRank if that is larger */
  readonly maxRank?: number
  /** minimum size of an axis; default 0: a few axes are empty */
  readonly minSize?: number
  /** maximum size of an axis; default 3, or minSize if that is larger */
  readonly maxSize?: number
}
const shapeOptions = {
  minRank: 0,
  maxRank: is.optional(is.number),
  minSize: 0,
  maxSize: is.optional(is.number),
} satisfies Settings<ShapeOptions>

/** All limits. @throws RangeError for limits that exclude everything */
function limits(call: string, options: ShapeOptions | undefined): Required<ShapeOptions> {
  const { minRank, minSize, ...most } = settle(call, options, shapeOptions)
  const { maxRank = Math.max(3, minRank), maxSize = Math.max(3, minSize) } = most
  const demand = (least: number, name: string, largest: number) => {
    if (!(Number.isInteger(least) && least >= 0 && Number.isInteger(largest) && least <= largest))
      throw new RangeError(
        `shapes: min${name} and max${name} must be integers of 0 or more in ascending order, not ${least} and ${largest}`,
      )
  }
  demand(minRank, 'Rank', maxRank)
  demand(minSize, 'Size', maxSize)
  return { minRank, maxRank, minSize, maxSize }
}

/** The size of one axis: mostly not empty. */
function axisSize({ minSize, maxSize }: Required<ShapeOptions>): fc.Arbitrary<number> {
  if (maxSize === 0) return fc.constant(0)
  const filled = fc.integer({ min: Math.max(1, minSize), max: maxSize })
  if (minSize > 0) return filled
  return fc.oneof(
    { withCrossShrink: true },
    { weight: 15, arbitrary: filled },
    { weight: 1, arbitrary: fc.constant(0) },
  )
}

/** Shapes of rank 0 to 3, including axes of size 1 and a few empty ones; they shrink to fewer and smaller axes. */
export function shape(options?: ShapeOptions): fc.Arbitrary<number[]> {
  const within = limits('shape(options)', options)
  const { minRank, maxRank } = within
  return fc.array(axisSize(within), { minLength: minRank, maxLength: maxRank, size: 'max' })
}

/** `count` shapes that broadcast with each other: those of one common shape, with some leading axes left out and some of size 1. */
export function broadcastShapes(count: number, options?: ShapeOptions): fc.Arbitrary<number[][]> {
  const { minRank, maxRank } = limits('broadcastShapes(count, options)', options)
  const differences = fc.record({
    missing: fc.integer({ min: 0, max: maxRank - minRank }),
    ones: fc.array(fc.boolean(), { minLength: maxRank, maxLength: maxRank }),
  })
  return fc
    .tuple(shape(options), fc.array(differences, { minLength: count, maxLength: count }))
    .map(([common, operands]) =>
      operands.map(({ missing, ones }) =>
        common.map((n, i) => (ones[i] ? 1 : n)).slice(Math.min(missing, common.length - minRank)),
      ),
    )
}

/** Two shapes for matmul: [..., m, k] and [..., k, n] with leading axes that broadcast, or vectors [k]. */
export function matmulShapes(options?: ShapeOptions): fc.Arbitrary<[left: number[], right: number[]]> {
  const within = limits('matmulShapes(options)', options)
  const { maxRank } = within
  const isVector = fc.integer({ min: 0, max: 4 }).map(n => n === 4)
  return fc
    .record({
      stacks: broadcastShapes(2, { ...options, minRank: 0, maxRank: Math.max(0, maxRank - 2) }),
      sizes: fc.tuple(axisSize(within), axisSize(within), axisSize(within)),
      vectors: fc.tuple(isVector, isVector),
    })
    .map(({ stacks, sizes: [m, k, n], vectors }) => [
      vectors[0] ? [k] : [...stacks[0], m, k],
      vectors[1] ? [k] : [...stacks[1], k, n],
    ])
}

/** A shape and some of its axes, counted from the first or the last; they shrink to none. */
export function axes(options?: ShapeOptions): fc.Arbitrary<{ shape: number[]; axes: number[] }> {
  const { maxRank } = limits('axes(options)', options)
  const choice = fc.constantFrom('out', 'in', 'fromBack')
  return fc
    .tuple(shape(options), fc.array(choice, { minLength: maxRank, maxLength: maxRank }))
    .map(([sizes, choices]) => ({
      shape: sizes,
      axes: sizes.flatMap((_, i) => ({ out: [], in: [i], fromBack: [i - sizes.length] })[choices[i]]),
    }))
}

/** A shape and an order of its axes; the order shrinks to 0, 1, 2, … */
export function permutation(options?: ShapeOptions): fc.Arbitrary<{ shape: number[]; order: number[] }> {
  const { maxRank } = limits('permutation(options)', options)
  // the i-th digit selects the next of the remaining axes
  const digits = Array.from({ length: maxRank }, (_, i) => fc.integer({ min: 0, max: maxRank - 1 - i }))
  return fc.tuple(shape(options), fc.tuple(...digits)).map(([sizes, code]) => {
    const left = sizes.map((_, i) => i)
    return { shape: sizes, order: sizes.map((_, i) => left.splice(code[i] % left.length, 1)[0]) }
  })
}

/** A range as in Python: with or without ends, inside of an axis or not, forwards or backwards. */
const range: fc.Arbitrary<Range> = fc.record(
  {
    start: fc.integer({ min: -5, max: 5 }),
    stop: fc.integer({ min: -5, max: 5 }),
    step: fc.constantFrom(1, 2, 3, -1, -2, -3),
  },
  { requiredKeys: [], noNullPrototype: true },
)

/** A shape, and for each of its axes a range or a position in it; they shrink to whole axes. */
export function slices(options?: ShapeOptions): fc.Arbitrary<{ shape: number[]; ranges: (Range | number)[] }> {
  const { maxRank } = limits('slices(options)', options)
  const choice = fc.oneof({ withCrossShrink: true }, fc.constant<Range>({}), range, fc.integer({ min: 0, max: 11 }))
  return fc
    .tuple(shape(options), fc.array(choice, { minLength: maxRank, maxLength: maxRank }))
    .map(([sizes, choices]) => ({
      shape: sizes,
      ranges: sizes.map((n, i) => {
        const chosen = choices[i]
        if (typeof chosen !== 'number') return chosen
        return n === 0 ? {} : (chosen % (2 * n)) - n
      }),
    }))
}

/**
 * An equation for `einsum` with matching shapes: one to three operands, in which a label may be repeated. Each label is kept or
 * summed over, and the labels of the result are in any order.
 */
export function einsumSpec(options?: ShapeOptions): fc.Arbitrary<{ equation: string; shapes: number[][] }> {
  const within = limits('einsumSpec(options)', options)
  const maxRank = options?.maxRank ?? Math.max(2, within.minRank)
  const letters = ['i', 'j', 'k', 'l']
  const label = fc.constantFrom(...letters)
  return fc
    .record({
      terms: fc.array(fc.array(label, { maxLength: maxRank }), { minLength: 1, maxLength: 3 }),
      sizes: fc.tuple(...letters.map(() => axisSize(within))),
      output: fc.subarray(letters),
      reversed: fc.boolean(),
      implicit: fc.boolean(),
    })
    .map(({ terms, sizes, output, reversed, implicit }) => {
      const kept = output.filter(letter => terms.some(term => term.includes(letter)))
      const result = (reversed ? kept.reverse() : kept).join('')
      const inputs = terms.map(term => term.join('')).join(',')
      return {
        equation: implicit ? inputs : `${inputs}->${result}`,
        shapes: terms.map(term => term.map(letter => sizes[letters.indexOf(letter)])),
      }
    })
}
