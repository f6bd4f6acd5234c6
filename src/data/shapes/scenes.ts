// A dataset that is small enough to learn in minutes and rich enough to evaluate a vision-language model: coloured
// shapes on muted backgrounds, captioned by a grammar that gives one right caption for every picture. Every example is
// computed from a seed and its index, so there is nothing to download or store, and the number of examples is not
// limited.

import { Generator } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'

import {
  COLOURS,
  type Colour,
  compareObjects,
  describe,
  pairName,
  SHAPES,
  type ShapeName,
  SIZES,
  type Size,
} from './captions.ts'

/** Red, green and blue, each 0 to 255. */
export type RGB = readonly [red: number, green: number, blue: number]

/** One object. Lengths are fractions of the picture's side; x grows to the right and y downwards. */
export interface ShapesObject {
  readonly size: Size
  readonly colour: Colour
  readonly shape: ShapeName
  /** centre of the object's square */
  readonly x: number
  readonly y: number
  /** half the side of this square */
  readonly radius: number
  /** degrees by which the object is turned clockwise about its centre; default 0 */
  readonly angle?: number
}

/** The full description of a picture. */
export interface Scene {
  /** colours at the top left, top right, bottom left and bottom right corner, blended in between */
  readonly background: readonly [RGB, RGB, RGB, RGB]
  /** one object, or two in the order in which the caption names them */
  readonly objects: readonly ShapesObject[]
}

/** Which of the 48 colour-shape pairs a picture may show. */
export type PairChoice = 'seen' | 'held-out' | 'all'

/** How many objects a picture has; 'both' draws one or two with equal probability. */
export type ObjectCount = 1 | 2 | 'both'

export interface ShapesOptions {
  /** a non-negative safe integer; default 0 */
  readonly seed?: number
  /**
   * 'seen' shows no held-out pair; 'held-out' shows at least one in every picture; 'all' (default) allows both
   */
  readonly pairs?: PairChoice
  /** default 'both' */
  readonly objects?: ObjectCount
}
/** The defaults and checks of ShapesOptions. */
export const shapesOptions = {
  seed: 0,
  pairs: 'all',
  objects: is.byDefault('both', is.anything as is.Kind<ObjectCount>),
} satisfies Settings<ShapesOptions>

export interface ShapesExample {
  readonly scene: Scene
  readonly caption: string
  /** red, green and blue bytes of a 32 × 32 picture: [32, 32, 3] */
  readonly pixels: Uint8Array
}

/** Side in pixels of the pictures of the dataset. */
export const PICTURE_SIDE = 32

const PAINT: Record<Colour, RGB> = {
  red: [222, 32, 32],
  orange: [255, 140, 0],
  yellow: [255, 230, 40],
  green: [30, 170, 50],
  cyan: [60, 225, 225],
  blue: [35, 60, 225],
  purple: [130, 30, 175],
  pink: [255, 130, 200],
}

/** Least and greatest radius of each size, as fractions of the side: 3.5 to 3.8 and 6.1 to 6.7 of 32 pixels. */
export const RADIUS: Record<Size, readonly [number, number]> = { small: [0.11, 0.12], large: [0.19, 0.21] }

/**
 * The picture is a board of 4 × 4 squares. A small object is in the centre of one square, a large one at the corner of four, and
 * each is moved from there by at most this distance in both directions: one pixel of 32.
 */
const WANDER = 1 / 32

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

// ---- Drawing scenes ----

/** Words of the random stream reserved for one example. */
const WORDS_PER_EXAMPLE = 1024

/**
 * Example `index` of the dataset with these options. Equal arguments give equal bytes on every machine, and no
 * example depends on another. Datasets that differ in any option share no examples.
 * @throws RangeError if `index` is not a non-negative integer
 */
export function shapesExample(index: number, options?: ShapesOptions): ShapesExample {
  const scene = shapesScene(index, options)
  return { scene, caption: describe(scene), pixels: drawScene(scene) }
}

/** The scene of `shapesExample(index, options)`, not yet drawn. */
export function shapesScene(index: number, options?: ShapesOptions): Scene {
  const { seed, pairs, objects } = settle('shapesExample(index, options)', options, shapesOptions)
  checkPairs('shapesExample', pairs)
  if (objects !== 1 && objects !== 2 && objects !== 'both')
    throw new RangeError(`shapesExample: objects must be 1, 2 or 'both', not '${objects}'`)

  const generator = exampleGenerator('shapesExample', index, seed, `shapes, ${pairs} pairs, ${objects} objects`)
  const count = objects === 'both' ? 1 + generator.integer(2) : objects
  const background = drawBackground(generator)
  const first = drawKind(generator, pairs)
  if (count === 1) return { background, objects: [placeOne(generator, first)] }
  const second = drawOther(generator, pairs, first)
  return { background, objects: placeTwo(generator, first, second).sort(compareObjects) }
}

/** The part of the random stream for `purpose` that belongs to one example. */
export function exampleGenerator(caller: string, index: number, seed: number, purpose: string): Generator {
  if (!Number.isSafeInteger(index * WORDS_PER_EXAMPLE) || index < 0)
    throw new RangeError(`${caller}: index must be a non-negative integer, not ${index}`)
  return new Generator(new Generator(seed).fork(purpose).seed, index * WORDS_PER_EXAMPLE)
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

/** A coordinate near this one, inside the picture. */
function near(generator: Generator, centre: number, radius: number): number {
  const edge = MARGIN + radius
  return between(generator, Math.max(edge, centre - WANDER), Math.min(1 - edge, centre + WANDER))
}

/** The position of one object of this size in a picture without others. */
const ROWS: Record<Size, readonly number[]> = { small: [1 / 8, 3 / 8, 5 / 8, 7 / 8], large: [1 / 4, 1 / 2, 3 / 4] }

function placeOne(generator: Generator, kind: ObjectKind): ShapesObject {
  const along = () => near(generator, pick(generator, ROWS[kind.size]), kind.radius)
  return { ...kind, x: along(), y: along() }
}

/**
 * Two objects on opposite sides of the picture, each near the middle of its side, so that only one relation holds.
 * Each of the four relations is equally likely.
 */
function placeTwo(generator: Generator, first: ObjectKind, second: ObjectKind): ShapesObject[] {
  const vertical = generator.integer(2) === 1
  const [low, high] = generator.integer(2) === 1 ? [first, second] : [second, first]
  const onSide = (kind: ObjectKind, side: 0 | -1): ShapesObject => {
    const rows = ROWS[kind.size]
    const along = near(generator, rows.at(side)!, kind.radius)
    const across = near(generator, pick(generator, rows.slice(1, -1)), kind.radius)
    return { ...kind, x: vertical ? across : along, y: vertical ? along : across }
  }
  return [onSide(low, 0), onSide(high, -1)]
}

// ---- Pictures ----

/** The five directions to a star's points, as constants, so that pixels do not depend on an engine's sine. */
const STAR_POINTS = [
  [0, -1],
  [0.9510565162951535, -0.30901699437494745],
  [0.5877852522924731, 0.8090169943749475],
  [-0.5877852522924731, 0.8090169943749475],
  [-0.9510565162951535, -0.30901699437494745],
] as const

/** Whether a point is inside a shape that fills the square [-1, 1] × [-1, 1], y downwards. */
const INSIDE: Record<ShapeName, (x: number, y: number) => boolean> = {
  circle: (x, y) => x * x + y * y <= 0.85,
  square: (x, y) => Math.abs(x) <= 0.95 && Math.abs(y) <= 0.95,
  triangle: (x, y) => y <= 0.85 && Math.abs(x) <= (y + 1) / 1.85,
  // a pentagram: on the inner side of at least four of the five lines that join its points
  star: (x, y) => STAR_POINTS.filter(([u, v]) => u * x + v * (y - 0.1) >= -0.3245).length >= 4,
  cross: (x, y) => Math.min(Math.abs(x), Math.abs(y)) <= 0.34 && Math.max(Math.abs(x), Math.abs(y)) <= 1,
  ring: (x, y) => x * x + y * y <= 1 && x * x + y * y >= 0.3,
}

/**
 * Cosine and sine of an angle in degrees: their power series, within 45° of a multiple of 90°. Pixels do not depend on an engine's
 * sine.
 */
function cosineAndSine(degrees: number): readonly [cosine: number, sine: number] {
  const quarters = Math.round(degrees / 90)
  const x = ((degrees - 90 * quarters) * Math.PI) / 180
  let [cosine, sine, term] = [0, 0, 1]
  for (let n = 0; n < 20; n++) {
    // term is xⁿ / n!; the signs of the terms are + + - - in turn
    const sign = n % 4 < 2 ? 1 : -1
    if (n % 2 === 0) cosine += sign * term
    else sine += sign * term
    term *= x / (n + 1)
  }
  const turned = [
    [cosine, sine],
    [-sine, cosine],
    [-cosine, -sine],
    [sine, -cosine],
  ] as const
  return turned[((quarters % 4) + 4) % 4]
}

/** Samples along each side of a pixel. */
const SAMPLES = 4

/**
 * Draws a scene, anti-aliased by 4 × 4 samples a pixel.
 * @param side side of the picture in pixels
 * @returns red, green and blue bytes, row by row from the top: [side, side, 3]
 */
export function drawScene(scene: Scene, side = PICTURE_SIDE): Uint8Array {
  if (!Number.isSafeInteger(side) || side < 1)
    throw new RangeError(`drawScene: side must be a positive integer, not ${side}`)
  const pixels = new Float64Array(side * side * 3)
  paintBackground(pixels, side, scene.background)
  for (const object of scene.objects) paintObject(pixels, side, object)
  return Uint8Array.from(pixels, Math.round)
}

function paintBackground(pixels: Float64Array, side: number, [topLeft, topRight, left, right]: Scene['background']) {
  for (let row = 0; row < side; row++)
    for (let column = 0; column < side; column++) {
      const down = (row + 0.5) / side
      const across = (column + 0.5) / side
      for (let channel = 0; channel < 3; channel++) {
        const top = topLeft[channel] * (1 - across) + topRight[channel] * across
        const bottom = left[channel] * (1 - across) + right[channel] * across
        pixels[(row * side + column) * 3 + channel] = top * (1 - down) + bottom * down
      }
    }
}

function paintObject(pixels: Float64Array, side: number, object: ShapesObject) {
  const { colour, x, y, radius, angle = 0 } = object
  const turn = cosineAndSine(angle)
  // the corners of a turned square are outside of the square that is not turned
  const reach = angle === 0 ? radius : radius * Math.SQRT2
  const first = (centre: number) => Math.max(0, Math.floor((centre - reach) * side))
  const last = (centre: number) => Math.min(side, Math.ceil((centre + reach) * side))
  for (let row = first(y); row < last(y); row++)
    for (let column = first(x); column < last(x); column++) {
      const cover = coverage(object, turn, column / side, row / side, 1 / side)
      for (let channel = 0; channel < 3; channel++) {
        const at = (row * side + column) * 3 + channel
        pixels[at] += cover * (PAINT[colour][channel] - pixels[at])
      }
    }
}

/** The share of the pixel with this left edge, top edge and side that an object covers. */
function coverage(
  { shape, x, y, radius }: ShapesObject,
  [cosine, sine]: readonly [number, number],
  left: number,
  top: number,
  side: number,
) {
  let covered = 0
  for (let i = 0; i < SAMPLES; i++)
    for (let j = 0; j < SAMPLES; j++) {
      const u = (left + ((j + 0.5) / SAMPLES) * side - x) / radius
      const v = (top + ((i + 0.5) / SAMPLES) * side - y) / radius
      if (INSIDE[shape](cosine * u + sine * v, cosine * v - sine * u)) covered++
    }
  return covered / SAMPLES ** 2
}
