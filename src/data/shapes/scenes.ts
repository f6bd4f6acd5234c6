// A dataset that is small enough to learn in minutes and rich enough to evaluate a vision-language model: coloured
// shapes on muted backgrounds, captioned by a grammar that gives one right caption for every picture. Every example is
// computed from a seed and its index, so there is nothing to download or store, and the number of examples is not
// limited.

import type { Generator } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { compareObjects, describe, type Size } from './captions.ts'
import { drawScene, type Scene, type ShapesObject } from './drawing.ts'
import {
  between,
  checkPairs,
  drawBackground,
  drawKind,
  drawOther,
  exampleGenerator,
  freeGenerator,
  MARGIN,
  type ObjectKind,
  type PairChoice,
  pick,
} from './kinds.ts'
import { checkLevel, drawKinds, drawLevelScene, type ShapesLevel, WORLDS } from './levels.ts'

/**
 * How many objects a picture has; 'both' draws one or two with equal probability, and at a higher level any number that it
 * allows.
 */
export type ObjectCount = 1 | 2 | 3 | 4 | 'both'

/** Options of `shapesExample`. */
export interface ShapesOptions {
  /** a non-negative safe integer; default 0 */
  readonly seed?: number
  /**
   * 'seen' shows no held-out pair; 'held-out' shows at least one in every picture; 'all' (default) allows both
   */
  readonly pairs?: PairChoice
  /** default 'both' */
  readonly objects?: ObjectCount
  /**
   * how hard the pictures are. 1 (default): one or two objects beside each other. 2: up to three, which may hide a part of each
   * other, before grey specks and lines that the caption does not mention. 3: up to four smaller ones, some of them equal, with
   * more clutter, also in front of them
   */
  readonly level?: ShapesLevel
}
/** The defaults and checks of ShapesOptions. */
export const shapesOptions = {
  seed: 0,
  pairs: 'all',
  objects: is.byDefault('both', is.anything as is.Kind<ObjectCount>),
  level: is.byDefault(1, is.anything as is.Kind<ShapesLevel>),
} satisfies Settings<ShapesOptions>

/** A generated picture and its caption. */
export interface ShapesExample {
  /** what was drawn */
  readonly scene: Scene
  /** the text about the picture */
  readonly caption: string
  /** red, green and blue bytes of a 32 × 32 picture: [32, 32, 3] */
  readonly pixels: Uint8Array
}

/**
 * The picture is a board of 4 × 4 squares. A small object is in the centre of one square, a large one at the corner of four, and
 * each is moved from there by at most this distance in both directions: one pixel of 32.
 */
const WANDER = 1 / 32

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
  const { seed, pairs, objects, level } = settle('shapesExample(index, options)', options, shapesOptions)
  checkPairs('shapesExample', pairs)
  checkLevel('shapesExample', level)
  const world = WORLDS[level]
  const counts = Array.from({ length: world.objects }, (_, i) => 1 + i)
  if (objects !== 'both' && !counts.includes(objects))
    throw new RangeError(
      `shapesExample: objects must be ${counts.join(', ')} or 'both' at level ${level}, not '${objects}'`,
    )
  const purpose = `shapes, ${pairs} pairs, ${objects} objects`
  if (level > 1) {
    const generator = freeGenerator('shapesExample', index, seed, `${purpose}, level ${level}`)
    const count = objects === 'both' ? pick(generator, counts) : objects
    return drawLevelScene(generator, world, () => drawKinds(generator, count, pairs, world))
  }

  const generator = exampleGenerator('shapesExample', index, seed, purpose)
  const count = objects === 'both' ? 1 + generator.integer(2) : objects
  const background = drawBackground(generator)
  const first = drawKind(generator, pairs)
  if (count === 1) return { background, objects: [placeOne(generator, first)] }
  const second = drawOther(generator, pairs, first)
  return { background, objects: placeTwo(generator, first, second).sort(compareObjects) }
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
