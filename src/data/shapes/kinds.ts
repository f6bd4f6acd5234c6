// What all worlds of Shapes draw at random: objects without their places, backgrounds, and the pairs of colour and shape
// that are held out.

import { Generator } from '../../tensor/index.ts'
import { COLOURS, type Colour, compareObjects, pairName, SHAPES, type ShapeName, SIZES, type Size } from './captions.ts'
import type { RGB, Scene, ShapesObject } from './drawing.ts'

/** Which of the 48 colour-shape pairs a picture may show. */
export type PairChoice = 'seen' | 'held-out' | 'all'

/** Least and greatest radius of each size, as fractions of the side: 3.5 to 3.8 and 6.1 to 6.7 of 32 pixels. */
export const RADIUS: Record<Size, readonly [number, number]> = { small: [0.11, 0.12], large: [0.19, 0.21] }

/** Least distance from an object to the edge of the picture. */
export const MARGIN = 0.003

/**
 * Whether a pair is held out of training. For each colour, one of square, triangle, star and cross is held out, in turn. A colour
 * keeps five shapes and a shape at least six colours, so every colour and every shape occurs in training.
 */
export const isHeldOut = (colour: Colour, shape: ShapeName) =>
  SHAPES.indexOf(shape) === 1 + (COLOURS.indexOf(colour) % 4)

const pairsWhere = (keep: (colour: Colour, shape: ShapeName) => boolean) =>
  COLOURS.flatMap(colour => SHAPES.filter(shape => keep(colour, shape)).map(shape => ({ colour, shape })))

const PAIRS: Record<PairChoice, readonly { colour: Colour; shape: ShapeName }[]> = {
  seen: pairsWhere((colour, shape) => !isHeldOut(colour, shape)),
  'held-out': pairsWhere(isHeldOut),
  all: pairsWhere(() => true),
}

/** The 8 pairs that never occur with `pairs: 'seen'`. */
export const heldOutPairs: readonly string[] = PAIRS['held-out'].map(({ colour, shape }) => pairName(colour, shape))

/** Words of the random stream reserved for one example. */
const WORDS_PER_EXAMPLE = 1024

/** The part of the random stream for `purpose` that belongs to one example. */
export function exampleGenerator(caller: string, index: number, seed: number, purpose: string): Generator {
  if (!Number.isSafeInteger(index * WORDS_PER_EXAMPLE) || index < 0)
    throw new RangeError(`${caller}: index must be a non-negative integer, not ${index}`)
  return new Generator(new Generator(seed).fork(purpose).seed, index * WORDS_PER_EXAMPLE)
}

/** A generator for one example that may draw any number of words. */
export function freeGenerator(caller: string, index: number, seed: number, purpose: string): Generator {
  const words = exampleGenerator(caller, index, seed, purpose)
  const high = words.uint32() & 0x1fffff
  return new Generator(high * 2 ** 32 + words.uint32())
}

export function checkPairs(caller: string, pairs: PairChoice): void {
  if (!(pairs in PAIRS)) throw new RangeError(`${caller}: pairs must be 'seen', 'held-out' or 'all', not '${pairs}'`)
}

/** What an object is, without its place. */
export type ObjectKind = Pick<ShapesObject, 'size' | 'colour' | 'shape' | 'radius'>

export const pick = <T>(generator: Generator, choices: readonly T[]): T => choices[generator.integer(choices.length)]

export const between = (generator: Generator, low: number, high: number) => low + (high - low) * generator.uniform()

/** An object of one of these sizes and shapes, each equally likely, in one of the colours that `pairs` allows for the shape. */
export function drawKind(
  generator: Generator,
  pairs: PairChoice,
  sizes: readonly Size[] = SIZES,
  shapes: readonly ShapeName[] = SHAPES,
): ObjectKind {
  const size = pick(generator, sizes)
  const choices = PAIRS[pairs].filter(({ shape }) => shapes.includes(shape))
  return { size, ...pick(generator, choices), radius: between(generator, ...RADIUS[size]) }
}

/** A second object beside the first, different from it. */
export function drawOther(generator: Generator, pairs: PairChoice, first: ObjectKind): ObjectKind {
  // one held-out pair makes a held-out picture; the other object is then free
  const other = pairs === 'held-out' ? 'all' : pairs
  let second = drawKind(generator, other)
  while (compareObjects(first, second) === 0) second = drawKind(generator, other)
  return second
}

/** Four corners around one muted grey: never bright or saturated, so never an object's colour. */
export function drawBackground(generator: Generator): Scene['background'] {
  const lightness = between(generator, 50, 150)
  const corner = (): RGB => {
    const shade = lightness + between(generator, -25, 25)
    const channel = () => Math.round(shade + between(generator, -12, 12))
    return [channel(), channel(), channel()]
  }
  return [corner(), corner(), corner(), corner()]
}
