// The harder worlds of Shapes: more objects, which may hide parts of each other, and clutter that no caption mentions.
// Places are drawn until the caption is clearly true and every object can be recognised.

import type { Generator } from '../../tensor/index.ts'
import { compareObjects, groupEqual, relationOf, type Size } from './captions.ts'
import { type ClutterMark, gapOf, type Scene, type ShapesObject, visibleShares } from './drawing.ts'
import {
  between,
  drawBackground,
  drawKind,
  drawOther,
  MARGIN,
  type ObjectKind,
  type PairChoice,
  pick,
} from './kinds.ts'

/** How hard the pictures are: 1 is the plain world of one or two objects. */
export type ShapesLevel = 1 | 2 | 3

/** What is different in the pictures of a level. */
interface World {
  /** the most objects of a picture */
  readonly objects: number
  /** the radii of objects, relative to those of level 1 */
  readonly scale: number
  /** whether some objects of a picture are equal */
  readonly equalObjects: boolean
  /** whether objects may hide parts of each other */
  readonly overlap: boolean
  /** the share of pictures of several colours in which an object must hide a part of another */
  readonly crowded: number
  /** least and greatest number of grey marks */
  readonly marks: readonly [number, number]
  /** whether marks may be in front of objects */
  readonly inFront: boolean
}

export const WORLDS: Record<ShapesLevel, World> = {
  1: { objects: 2, scale: 1, equalObjects: false, overlap: false, crowded: 0, marks: [0, 0], inFront: false },
  2: { objects: 3, scale: 1, equalObjects: false, overlap: true, crowded: 0.25, marks: [3, 6], inFront: false },
  3: { objects: 4, scale: 0.85, equalObjects: true, overlap: true, crowded: 0.5, marks: [6, 12], inFront: true },
}

export function checkLevel(caller: string, level: ShapesLevel): void {
  if (!Object.hasOwn(WORLDS, level)) throw new RangeError(`${caller}: level must be 1, 2 or 3, not '${level}'`)
}

/** How many objects of a kind a picture has, by their number: no picture shows four equal ones. */
const GROUPS: Readonly<Record<number, readonly (readonly number[])[]>> = {
  1: [[1]],
  2: [[1, 1], [2]],
  3: [[1, 1, 1], [2, 1], [3]],
  4: [
    [1, 1, 1, 1],
    [2, 1, 1],
    [2, 2],
    [3, 1],
  ],
}

/** Objects without their places, all of them different or, in a world that has them, some of them equal. */
export function drawKinds(
  generator: Generator,
  count: number,
  pairs: PairChoice,
  { equalObjects }: World,
): ObjectKind[] {
  const groups = equalObjects ? pick(generator, GROUPS[count]) : Array.from({ length: count }, () => 1)
  const kinds: ObjectKind[] = [drawKind(generator, pairs)]
  while (kinds.length < groups.length) {
    const next = drawOther(generator, pairs, kinds[0])
    if (kinds.every(kind => compareObjects(kind, next) !== 0)) kinds.push(next)
  }
  return kinds.flatMap((kind, i) => Array.from({ length: groups[i] }, () => kind))
}

/** The longer distance of two objects that a caption relates exceeds the shorter by at least this share of the side. */
const CLEAR = 0.1

/** The least distance between objects of one colour, which would otherwise look like one: more than a pixel of 32. */
const APART = 0.04

/** The least share of an object that is visible: of a small one, a quarter less cannot be recognised. */
export const LEAST_VISIBLE: Record<Size, number> = { small: 0.9, large: 0.75 }

/** An object of which less is visible is partly hidden. */
const PARTLY = 0.95

/** Places to try before other objects are drawn: some objects fit in few places, or in none. */
const TRIES = 300

/** What else must be true of the objects of a picture, in the order in which they are painted. */
export type Fits = (objects: readonly ShapesObject[]) => boolean

/**
 * A scene of some objects at places that `fits` accepts, with the clutter of a world.
 * @param draw draws the objects; again if they do not fit into a picture
 */
export function drawLevelScene(
  generator: Generator,
  world: World,
  draw: () => readonly ObjectKind[],
  fits: Fits = hasClearCaption,
): Scene {
  const background = drawBackground(generator)
  const clutter = drawClutter(generator, world)
  const front = clutter.filter(mark => mark.inFront)
  const isCrowded = generator.uniform() < world.crowded
  for (;;) {
    const kinds = draw().map(kind => ({ ...kind, radius: kind.radius * world.scale }))
    const overlap = isCrowded && kinds.some(({ colour }) => colour !== kinds[0].colour)
    for (let i = 0; i < TRIES; i++) {
      const painted = [...generator.permutation(kinds.length)].map(index => placed(generator, kinds[index]))
      if (!fits(painted) || !canBeSeen(painted, front, world)) continue
      if (overlap && visibleShares(painted).every(share => share > PARTLY)) continue
      const objects = [...painted].sort(compareObjects)
      const paintOrder = painted.map(object => objects.indexOf(object))
      return { background, objects, paintOrder, clutter }
    }
  }
}

function placed(generator: Generator, kind: ObjectKind): ShapesObject {
  const edge = MARGIN + kind.radius
  return { ...kind, x: between(generator, edge, 1 - edge), y: between(generator, edge, 1 - edge) }
}

/** Whether each of the objects that the caption names first has one clear relation to all others of each kind. */
export function hasClearCaption(objects: readonly ShapesObject[]): boolean {
  const [first, ...others] = groupEqual(objects)
  return others.every(group => {
    const relation = relationOf(first[0], group[0])
    return first.every(a => group.every(b => isClear(a, b) && relationOf(a, b) === relation))
  })
}

/** Whether one distance of two objects is clearly longer than the other, so that nobody doubts their relation. */
export function isClear(a: ShapesObject, b: ShapesObject): boolean {
  const [dx, dy] = [Math.abs(a.x - b.x), Math.abs(a.y - b.y)]
  return Math.abs(dx - dy) > CLEAR && Math.max(dx, dy) > (a.radius + b.radius) / 2
}

function canBeSeen(painted: readonly ShapesObject[], front: readonly ClutterMark[], { overlap }: World): boolean {
  for (const [i, a] of painted.entries())
    for (const b of painted.slice(i + 1)) if ((!overlap || a.colour === b.colour) && gapOf(a, b) < APART) return false
  return visibleShares(painted, front).every((share, i) => share >= LEAST_VISIBLE[painted[i].size])
}

/** Greys darker and lighter than any background. */
const GREYS = [
  [20, 45],
  [180, 215],
] as const

function drawClutter(generator: Generator, { marks, inFront }: World): ClutterMark[] {
  const [least, most] = marks
  return Array.from({ length: least + generator.integer(most - least + 1) }, () => {
    const from = [generator.uniform(), generator.uniform()] as const
    const isLine = generator.integer(2) === 1
    const end = (start: number) => start + (isLine ? between(generator, -0.3, 0.3) : 0)
    return {
      from,
      to: [end(from[0]), end(from[1])] as const,
      radius: isLine ? between(generator, 0.012, 0.018) : between(generator, 0.018, 0.03),
      grey: Math.round(between(generator, ...pick<readonly [number, number]>(generator, GREYS))),
      inFront: inFront && generator.integer(3) === 0,
    }
  })
}
