// The pictures of Shapes: a scene as numbers, and its pixels.

import type { Colour, ShapeName, Size } from './captions.ts'

/** Red, green and blue, each 0 to 255. */
export type RGB = readonly [red: number, green: number, blue: number]

/** One object. Lengths are fractions of the picture's side; x grows to the right and y downwards. */
export interface ShapesObject {
  /** as captions name it */
  readonly size: Size
  /** as captions name it */
  readonly colour: Colour
  /** as captions name it */
  readonly shape: ShapeName
  /** centre of the object's square */
  readonly x: number
  /** centre of the object's square, from the top */
  readonly y: number
  /** half the side of this square */
  readonly radius: number
  /** degrees by which the object is turned clockwise about its centre; default 0 */
  readonly angle?: number
  /** painted in black, so that its colour cannot be seen; default false */
  readonly inShadow?: boolean
}

/** A grey speck or line that no caption mentions: a stroke with round ends. Lengths as in {@link ShapesObject}. */
export interface ClutterMark {
  /** one end of the stroke */
  readonly from: readonly [x: number, y: number]
  /** equal to `from` for a speck */
  readonly to: readonly [x: number, y: number]
  /** half the width of the stroke */
  readonly radius: number
  /** red, green and blue alike, 0 to 255 */
  readonly grey: number
  /** painted over the objects and not under them */
  readonly inFront: boolean
}

/** A half of a picture. */
export type PictureHalf = 'left' | 'right' | 'top' | 'bottom'

/** The full description of a picture. */
export interface Scene {
  /** colours at the top left, top right, bottom left and bottom right corner, blended in between */
  readonly background: readonly [RGB, RGB, RGB, RGB]
  /** in the order in which the caption names them */
  readonly objects: readonly ShapesObject[]
  /** the order in which the objects are painted, by their index; as listed unless given */
  readonly paintOrder?: readonly number[]
  /** default none */
  readonly clutter?: readonly ClutterMark[]
  /** the half of the picture that a striped panel hides; default none */
  readonly hidden?: PictureHalf
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

/** The paint of an object whose colour cannot be seen. */
const SHADOW: RGB = [12, 12, 12]

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
  star: (x, y) => {
    let inside = 0
    for (const [u, v] of STAR_POINTS) if (u * x + v * (y - 0.1) >= -0.3245) inside++
    return inside >= 4
  },
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

/** Samples along each side of an object, to see how much of it is hidden. */
const VISIBLE_SAMPLES = 16

/**
 * Draws a scene, anti-aliased by 4 × 4 samples a pixel.
 * @param side side of the picture in pixels
 * @returns red, green and blue bytes, row by row from the top: [side, side, 3]
 */
export function drawScene(scene: Scene, side = PICTURE_SIDE): Uint8Array {
  if (!Number.isSafeInteger(side) || side < 1)
    throw new RangeError(`drawScene: side must be a positive integer, not ${side}`)
  const pixels = new Float64Array(side * side * 3)
  const { background, objects, paintOrder = objects.map((_, i) => i), clutter = [], hidden } = scene
  paintBackground(pixels, side, background)
  for (const mark of clutter) if (!mark.inFront) paintMark(pixels, side, mark)
  for (const index of paintOrder) paintObject(pixels, side, objects[index])
  for (const mark of clutter) if (mark.inFront) paintMark(pixels, side, mark)
  if (hidden) paintPanel(pixels, side, hidden)
  // `Uint8Array.from` asks an iterator for every value
  const bytes = new Uint8Array(pixels.length)
  for (let i = 0; i < pixels.length; i++) bytes[i] = Math.round(pixels[i])
  return bytes
}

/**
 * The share of each object that nothing hides, from 0 to 1, by samples of its surface.
 * @param objects in the order in which they are painted
 * @param marks those in front of the objects
 */
export function visibleShares(objects: readonly ShapesObject[], marks: readonly ClutterMark[] = []): number[] {
  const covers = ({ shape, x, y, radius }: ShapesObject, u: number, v: number) =>
    INSIDE[shape]((u - x) / radius, (v - y) / radius)
  return objects.map((object, i) => {
    const over = objects.slice(i + 1).filter(other => gapOf(object, other) < 0)
    if (over.length === 0 && marks.length === 0) return 1
    let [all, seen] = [0, 0]
    for (let row = 0; row < VISIBLE_SAMPLES; row++)
      for (let column = 0; column < VISIBLE_SAMPLES; column++) {
        const u = object.x + ((2 * column + 1) / VISIBLE_SAMPLES - 1) * object.radius
        const v = object.y + ((2 * row + 1) / VISIBLE_SAMPLES - 1) * object.radius
        if (!covers(object, u, v)) continue
        all++
        if (!over.some(other => covers(other, u, v)) && !marks.some(mark => isInMark(mark, u, v))) seen++
      }
    return seen / all
  })
}

/** The distance between the squares of two objects, negative if they overlap. */
export const gapOf = (a: ShapesObject, b: ShapesObject): number =>
  Math.max(Math.abs(a.x - b.x), Math.abs(a.y - b.y)) - a.radius - b.radius

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
  const { colour, x, y, radius, angle = 0, inShadow = false } = object
  const paint = inShadow ? SHADOW : PAINT[colour]
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
        pixels[at] += cover * (paint[channel] - pixels[at])
      }
    }
}

function paintMark(pixels: Float64Array, side: number, mark: ClutterMark) {
  const { from, to, radius, grey } = mark
  const [left, top] = [0, 1].map(axis => Math.max(0, Math.floor((Math.min(from[axis], to[axis]) - radius) * side)))
  const [right, bottom] = [0, 1].map(axis =>
    Math.min(side, Math.ceil((Math.max(from[axis], to[axis]) + radius) * side)),
  )
  for (let row = top; row < bottom; row++)
    for (let column = left; column < right; column++) {
      let covered = 0
      for (let i = 0; i < SAMPLES; i++)
        for (let j = 0; j < SAMPLES; j++)
          if (isInMark(mark, (column + (j + 0.5) / SAMPLES) / side, (row + (i + 0.5) / SAMPLES) / side)) covered++
      const at = (row * side + column) * 3
      for (let channel = 0; channel < 3; channel++)
        pixels[at + channel] += (covered / SAMPLES ** 2) * (grey - pixels[at + channel])
    }
}

/** Whether a point is within the radius of the segment. */
function isInMark({ from, to, radius }: ClutterMark, x: number, y: number): boolean {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]]
  const [u, v] = [x - from[0], y - from[1]]
  const length = dx * dx + dy * dy
  const along = length === 0 ? 0 : Math.min(1, Math.max(0, (u * dx + v * dy) / length))
  return (u - along * dx) ** 2 + (v - along * dy) ** 2 <= radius * radius
}

/** The panel's two greys, and the number of their stripes in a picture's side. */
const PANEL = { greys: [40, 190], stripes: 8 } as const

function paintPanel(pixels: Float64Array, side: number, half: PictureHalf) {
  for (let row = 0; row < side; row++)
    for (let column = 0; column < side; column++) {
      const [across, down] = [(column + 0.5) / side, (row + 0.5) / side]
      const inside = { left: across < 0.5, right: across >= 0.5, top: down < 0.5, bottom: down >= 0.5 }[half]
      if (!inside) continue
      const grey = PANEL.greys[Math.floor((across + down) * PANEL.stripes) % 2]
      pixels.fill(grey, (row * side + column) * 3, (row * side + column) * 3 + 3)
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
