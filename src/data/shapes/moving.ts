// Moving Shapes: short clips of the objects of Shapes, to evaluate a model of video. Each action has an opposite whose
// clips show the same frames in the reverse order. So the action is known only to a model that sees the order of frames:
// neither one frame nor the set of all frames tells it.

import type { Generator } from '../../tensor/index.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { type Colour, compareObjects, type NamedObject, objectName, type ShapeName } from './captions.ts'
import { drawScene, type Scene } from './drawing.ts'
import {
  between,
  checkPairs,
  drawBackground,
  drawKind,
  drawOther,
  exampleGenerator,
  MARGIN,
  type PairChoice,
  pick,
  RADIUS,
} from './kinds.ts'

/** What happens in a clip, in the words of its caption. Each action is followed or preceded by its opposite. */
export const movingActions = [
  'moves left',
  'moves right',
  'moves up',
  'moves down',
  'grows',
  'shrinks',
  'turns clockwise',
  'turns counter-clockwise',
  'collide',
  'separate',
] as const
/** What the objects of a clip do. */
export type MovingAction = (typeof movingActions)[number]

/** The action of a clip that is played backwards. */
export const oppositeAction = (action: MovingAction): MovingAction => movingActions[movingActions.indexOf(action) ^ 1]

/** Number of frames of a clip by default. */
export const MOVING_FRAMES = 8

/** Shapes that look different after they have turned; circle and ring do not. */
export const MOVING_TURNING_SHAPES: readonly ShapeName[] = ['square', 'triangle', 'star', 'cross']

/** Place, size and direction of an object. Lengths are fractions of the picture's side; x grows to the right and y downwards. */
export interface MovingPose {
  /** centre of the object's square */
  readonly x: number
  /** centre of the object's square, from the top */
  readonly y: number
  /** half the side of this square */
  readonly radius: number
  /** degrees clockwise */
  readonly angle: number
}

/** An object that changes evenly from one pose to another. */
export interface MovingObject {
  /** as the caption names it: an object that grows or shrinks has none */
  readonly size?: NamedObject['size']
  /** as captions name it */
  readonly colour: Colour
  /** as captions name it */
  readonly shape: ShapeName
  /** pose in the first frame */
  readonly from: MovingPose
  /** pose in the last frame */
  readonly to: MovingPose
}

/** The full description of a clip. */
export interface MovingScene {
  /** what the objects do */
  readonly action: MovingAction
  /** colour of the background */
  readonly background: Scene['background']
  /** one object, or, if they collide or separate, two in the order in which the caption names them */
  readonly objects: readonly MovingObject[]
}

/** Options of `movingExample` and `writeMovingShapes`. */
export interface MovingOptions {
  /** a non-negative safe integer; default 0 */
  readonly seed?: number
  /** number of frames of a clip, at least 2; default 8. With fewer than 4, a star turns too far from one to the next to see which way */
  readonly frames?: number
  /** colour-shape pairs that may occur, as in {@link ShapesOptions}; default 'all' */
  readonly pairs?: PairChoice
  /** the actions that may occur, each equally likely; default all */
  readonly actions?: readonly MovingAction[]
}
/** The defaults and checks of MovingOptions. */
export const movingOptions = {
  seed: 0,
  frames: MOVING_FRAMES,
  pairs: 'all',
  actions: movingActions,
} satisfies Settings<MovingOptions>

/** A generated clip and its caption. */
export interface MovingExample {
  /** what was drawn */
  readonly scene: MovingScene
  /** the text about the clip */
  readonly caption: string
  /** of each frame: red, green and blue bytes of a 32 × 32 picture, [32, 32, 3] */
  readonly frames: readonly Uint8Array[]
}

/**
 * Clip `index` of the dataset with these options. Equal arguments give equal bytes on every machine, and no clip depends
 * on another. With other `frames` it is the same motion in more or fewer pictures. With `actions: [a]`, clip `index` is the
 * one with `actions: [oppositeAction(a)]` played backwards: both actions have exactly the same sets of frames.
 * @throws RangeError if `index` is not a non-negative integer, `frames` not an integer from 2 on, or an action is unknown
 */
export function movingExample(index: number, options?: MovingOptions): MovingExample {
  const { frames: count } = settle('movingExample(index, options)', options, movingOptions)
  checkFrames('movingExample', count)
  const scene = movingScene(index, options)
  const frames = Array.from({ length: count }, (_, frame) => drawScene(movingFrame(scene, frame, count)))
  return { scene, caption: describeMoving(scene), frames }
}

function checkFrames(caller: string, count: number): void {
  if (!Number.isSafeInteger(count) || count < 2)
    throw new RangeError(`${caller}: a clip has 2 frames or more, not ${count}`)
}

/** The scene of `movingExample(index, options)`, not yet drawn. */
export function movingScene(index: number, options?: MovingOptions): MovingScene {
  const { seed, pairs, actions } = settle('movingExample(index, options)', options, movingOptions)
  checkPairs('movingExample', pairs)
  const unknown = actions.find(action => !movingActions.includes(action))
  if (unknown !== undefined || actions.length === 0)
    throw new RangeError(
      `movingExample: actions must be some of '${movingActions.join("', '")}', not ${unknown === undefined ? 'none' : `'${unknown}'`}`,
    )
  const generator = exampleGenerator('movingExample', index, seed, `moving shapes, ${pairs} pairs`)
  const action = pick(generator, actions)
  const background = drawBackground(generator)
  // everything is drawn for one action of the two, and the other plays it backwards
  const number = movingActions.indexOf(action)
  const forward = movingActions[number & ~1]
  const scene = { action: forward, background, objects: drawObjects(generator, forward, pairs) }
  return action === forward ? scene : playedBackwards(scene)
}

/** The same clip from its last frame to its first, which shows the opposite action. */
export const playedBackwards = ({ action, background, objects }: MovingScene): MovingScene => ({
  action: oppositeAction(action),
  background,
  objects: objects.map(({ from, to, ...object }) => ({ ...object, from: to, to: from })),
})

/** 'a small red circle moves left', 'a red star grows', 'a small red circle and a large blue square collide'. */
export const describeMoving = ({ action, objects }: MovingScene): string =>
  `${objects.map(objectName).join(' and ')} ${action}`

/**
 * The picture at one frame of a clip. Frame i of n is exactly frame n - 1 - i of the clip that is played backwards.
 * @param frame from 0 to count - 1
 * @param count number of frames of the clip, at least 2
 * @throws RangeError for another frame or count
 */
export function movingFrame({ background, objects }: MovingScene, frame: number, count: number): Scene {
  checkFrames('movingFrame', count)
  const last = count - 1
  if (!Number.isSafeInteger(frame) || frame < 0 || frame > last)
    throw new RangeError(`movingFrame: frame must be an integer from 0 to ${last}, not ${frame}`)
  // symmetric in from and to, so that no rounding differs when they are swapped
  const blend = (from: number, to: number) => (from * (last - frame) + to * frame) / last
  const poses = objects.map(({ size, colour, shape, from, to }) => {
    const radius = blend(from.radius, to.radius)
    return {
      size: size ?? (radius < (RADIUS.small[1] + RADIUS.large[0]) / 2 ? 'small' : 'large'),
      colour,
      shape,
      x: blend(from.x, to.x),
      y: blend(from.y, to.y),
      radius,
      angle: blend(from.angle, to.angle),
    } as const
  })
  return { background, objects: poses }
}

// ---- Drawing clips ----

/** The distance that an object moves: 11 to 16 of 32 pixels. */
const DISTANCE = [0.35, 0.5] as const

/** Degrees of a turn. In 4 frames or more, no shape turns by half of its symmetry or more from one to the next. */
const TURN = [70, 105] as const

/** The distance of the centres of two objects that touch, as a share of the sum of their radii: shapes do not fill their squares. */
const CONTACT = 0.92

/** The part of the free distance that is between two objects when they are apart. */
const GAP = [0.7, 1] as const

function drawObjects(generator: Generator, action: MovingAction, pairs: PairChoice): MovingObject[] {
  /** a coordinate at which an object that reaches so far is inside the picture */
  const inside = (reach: number, span = 0) => between(generator, MARGIN + reach, 1 - MARGIN - reach - span)
  switch (action) {
    case 'moves left':
    case 'moves up': {
      const { radius, ...kind } = drawKind(generator, pairs)
      const distance = between(generator, ...DISTANCE)
      const [low, across] = [inside(radius, distance), inside(radius)]
      const pose = (along: number) =>
        action === 'moves left' ? { x: along, y: across, radius, angle: 0 } : { x: across, y: along, radius, angle: 0 }
      return [{ ...kind, from: pose(low + distance), to: pose(low) }]
    }
    case 'grows': {
      const { size: _, radius: large, ...kind } = drawKind(generator, pairs, ['large'])
      const place = { x: inside(large), y: inside(large), angle: 0 }
      const small = between(generator, ...RADIUS.small)
      return [{ ...kind, from: { ...place, radius: small }, to: { ...place, radius: large } }]
    }
    case 'turns clockwise': {
      const { radius, ...kind } = drawKind(generator, pairs, ['large'], MOVING_TURNING_SHAPES)
      const reach = radius * Math.SQRT2
      const place = { x: inside(reach), y: inside(reach), radius }
      const start = between(generator, 0, 360)
      const turn = between(generator, ...TURN)
      return [{ ...kind, from: { ...place, angle: start }, to: { ...place, angle: start + turn } }]
    }
    default:
      return drawMeeting(generator, pairs)
  }
}

/** Two objects that move towards each other along a row or a column until they touch. */
function drawMeeting(generator: Generator, pairs: PairChoice): MovingObject[] {
  // two large ones would have no space to move
  const first = drawKind(generator, pairs, ['small'])
  const second = drawOther(generator, pairs, first)
  const vertical = generator.integer(2) === 1
  const [low, high] = generator.integer(2) === 1 ? [first, second] : [second, first]
  const contact = CONTACT * (low.radius + high.radius)
  const free = 1 - 2 * MARGIN - low.radius - high.radius - contact
  const gap = free * between(generator, ...GAP)
  const start = MARGIN + low.radius + between(generator, 0, free - gap)
  const share = between(generator, 0.3, 0.7)
  const edge = MARGIN + Math.max(low.radius, high.radius)
  const across = between(generator, edge, 1 - edge)
  const moving = ({ radius, ...kind }: typeof low, before: number, after: number): MovingObject => {
    const pose = (along: number) => ({ x: vertical ? across : along, y: vertical ? along : across, radius, angle: 0 })
    return { ...kind, from: pose(before), to: pose(after) }
  }
  const met = start + share * gap
  return [moving(low, start, met), moving(high, start + gap + contact, met + contact)].sort(compareObjects)
}
