// Questions about pictures of Shapes, with their answers: visual question answering, entailment, and statements about two
// pictures. A text is drawn first, then its answer, each of those that are possible equally likely, and then a picture of which
// it is the right one. So nobody can do better than guess who sees the text alone.

import type { Generator } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import {
  COLOURS,
  type Colour,
  compareObjects,
  converseOf,
  objectName,
  pairName,
  pluralOf,
  RELATIONS,
  type Relation,
  relationOf,
  SHAPES,
  type ShapeName,
} from './captions.ts'
import { drawScene, type PictureHalf, type Scene, type ShapesObject } from './drawing.ts'
import { drawKind, freeGenerator, isHeldOut, type ObjectKind, pick } from './kinds.ts'
import { checkLevel, drawLevelScene, type Fits, isClear, type ShapesLevel, WORLDS } from './levels.ts'

/**
 * What is asked.
 *
 * - `vqa`, about one picture: how many shapes there are, of all or of one colour or shape; the colour, shape or size of an object;
 *   whether one object is above, below, left or right of another.
 * - `entailment`, a hypothesis about one picture, which is its premise. It is true of the picture (`entailment`), false of it
 *   (`contradiction`), or about something that the picture does not show (`neutral`): the colour of an object in black, or what
 *   is behind a striped panel. Every picture has such an object or a panel, whatever the answer, and every hypothesis occurs with
 *   all three, so neither the text nor the picture alone tells them apart.
 * - `pairs`, a statement about two pictures, `true` or `false`.
 */
export const SHAPES_TASKS = ['vqa', 'entailment', 'pairs'] as const
/** A task of generated questions. */
export type ShapesTask = (typeof SHAPES_TASKS)[number]

/** Options of `shapesQuestion`. */
export interface ShapesQuestionOptions {
  /** which questions are asked */
  readonly task: ShapesTask
  /** a non-negative safe integer; default 0 */
  readonly seed?: number
  /** colour-shape pairs that pictures show and texts name: all (default), or those that are not held out */
  readonly pairs?: 'all' | 'seen'
  /** how hard the pictures are, as in {@link ShapesOptions}; default 1 */
  readonly level?: ShapesLevel
}
/** The defaults and checks of ShapesQuestionOptions. */
export const shapesQuestionOptions = {
  task: is.oneOf(...SHAPES_TASKS),
  seed: 0,
  pairs: is.choice('all', 'seen'),
  level: is.byDefault(1, is.anything as is.Kind<ShapesLevel>),
} satisfies Settings<ShapesQuestionOptions>

/** A text about one picture, or two for the task `pairs`, and its answer. */
export interface ShapesQuestion {
  /** what the text is about, such as 'colour'; the same texts have the same answers to choose from */
  readonly kind: string
  /** the question, hypothesis or statement */
  readonly text: string
  /** the right answer */
  readonly label: string
  /** the answers of which `label` was drawn, all of them equally likely */
  readonly answers: readonly string[]
  /** what was drawn: one scene, or two for the task `pairs` */
  readonly scenes: readonly Scene[]
  /** of each scene: red, green and blue bytes of a 32 × 32 picture, [32, 32, 3] */
  readonly pixels: readonly Uint8Array[]
}

/**
 * Question `index` of the dataset with these options. Equal arguments give equal bytes on every machine, and no question depends
 * on another.
 * @throws RangeError if `index` is not a non-negative integer or the level is unknown
 */
export function shapesQuestion(index: number, options: ShapesQuestionOptions): ShapesQuestion {
  const asked = undrawnQuestion(index, options)
  return { ...asked, pixels: asked.scenes.map(scene => drawScene(scene)) }
}

type Asked = Omit<ShapesQuestion, 'pixels'>

/** As {@link shapesQuestion}, without the pixels. */
export function undrawnQuestion(index: number, options: ShapesQuestionOptions): Asked {
  const { task, seed, pairs, level } = settle('shapesQuestion(index, options)', options, shapesQuestionOptions)
  checkLevel('shapesQuestion', level)
  const generator = freeGenerator('shapesQuestion', index, seed, `questions, ${task}, ${pairs} pairs, level ${level}`)
  return pick(generator, ASK[task])(new Draw(generator, pairs, level))
}

type Test = (kind: ObjectKind) => boolean

/** The random choices that all questions make. */
class Draw {
  readonly generator: Generator
  readonly #pairs: 'all' | 'seen'
  readonly #level: ShapesLevel

  constructor(generator: Generator, pairs: 'all' | 'seen', level: ShapesLevel) {
    this.generator = generator
    this.#pairs = pairs
    this.#level = level
  }

  /** The most objects of a picture. */
  get most(): number {
    return WORLDS[this.#level].objects
  }

  pick<T>(choices: readonly T[]): T {
    return pick(this.generator, choices)
  }

  /** A whole number, both limits among them. */
  integer(least: number, most: number): number {
    return least + this.generator.integer(most - least + 1)
  }

  /** An object without its place. */
  kind(fits: Test = () => true): ObjectKind {
    let kind = drawKind(this.generator, this.#pairs)
    while (!fits(kind)) kind = drawKind(this.generator, this.#pairs)
    return kind
  }

  /** The colours that a shape may have. */
  coloursOf(shape: ShapeName): Colour[] {
    return COLOURS.filter(colour => this.#allows(colour, shape))
  }

  /** The shapes that may have a colour. */
  shapesOf(colour: Colour): ShapeName[] {
    return SHAPES.filter(shape => this.#allows(colour, shape))
  }

  #allows(colour: Colour, shape: ShapeName): boolean {
    return this.#pairs === 'all' || !isHeldOut(colour, shape)
  }

  /** A picture of some objects, and of others that fit, all of them different. */
  scene(given: readonly ObjectKind[], count: number, others: Test = () => true, fits: Fits = () => true): Scene {
    const fill = () => {
      const kinds = [...given]
      while (kinds.length < count)
        kinds.push(this.kind(kind => others(kind) && kinds.every(other => compareObjects(kind, other) !== 0)))
      return kinds
    }
    return drawLevelScene(this.generator, WORLDS[this.#level], fill, fits)
  }
}

const NUMBERS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'] as const

const range = (least: number, most: number): number[] => Array.from({ length: most - least + 1 }, (_, i) => least + i)

const article = (words: string): string => (words.startsWith('orange') ? `an ${words}` : `a ${words}`)

// ---- Visual question answering ----

function askCount(draw: Draw): Asked {
  const { most } = draw
  const { text, isMeant } = draw.pick([
    () => ({ text: 'shapes', isMeant: undefined }),
    () => {
      const { shape } = draw.kind()
      return { text: pluralOf(shape), isMeant: (kind: ObjectKind) => kind.shape === shape }
    },
    () => {
      const { colour } = draw.kind()
      return { text: `${colour} shapes`, isMeant: (kind: ObjectKind) => kind.colour === colour }
    },
  ])()
  const numbers = isMeant ? [0, 1, 2] : range(1, most)
  const number = draw.pick(numbers)
  const count = isMeant ? draw.integer(Math.max(1, number), most) : number
  const meant: ObjectKind[] = []
  while (isMeant && meant.length < number)
    meant.push(draw.kind(kind => isMeant(kind) && meant.every(other => compareObjects(kind, other) !== 0)))
  return {
    kind: 'count',
    text: `how many ${text} are there?`,
    label: NUMBERS[number],
    answers: numbers.map(each => NUMBERS[each]),
    scenes: [draw.scene(meant, count, isMeant && (kind => !isMeant(kind)))],
  }
}

function askColour(draw: Draw): Asked {
  const target = draw.kind()
  const withSize = draw.pick([true, false])
  const isMeant: Test = ({ size, shape }) => shape === target.shape && (!withSize || size === target.size)
  return {
    kind: 'colour',
    text: `what colour is the ${withSize ? `${target.size} ` : ''}${target.shape}?`,
    label: target.colour,
    answers: draw.coloursOf(target.shape),
    scenes: [draw.scene([target], draw.integer(1, draw.most), kind => !isMeant(kind))],
  }
}

function askShape(draw: Draw): Asked {
  const target = draw.kind()
  const withSize = draw.pick([true, false])
  const isMeant: Test = ({ size, colour }) => colour === target.colour && (!withSize || size === target.size)
  return {
    kind: 'shape',
    text: `what shape is the ${withSize ? `${target.size} ` : ''}${target.colour} object?`,
    label: target.shape,
    answers: draw.shapesOf(target.colour),
    scenes: [draw.scene([target], draw.integer(1, draw.most), kind => !isMeant(kind))],
  }
}

function askSize(draw: Draw): Asked {
  const target = draw.kind()
  return {
    kind: 'size',
    text: `what size is the ${nameOf(target)}?`,
    label: target.size,
    answers: ['small', 'large'],
    scenes: [draw.scene([target], draw.integer(1, draw.most), kind => !isNamed(target)(kind))],
  }
}

function askRelation(draw: Draw): Asked {
  const first = draw.kind()
  const second = draw.kind(kind => !isNamed(first)(kind))
  const asked: Relation = draw.pick(RELATIONS)
  const label = draw.pick(['yes', 'no'])
  // the answer no is for the opposite side, so that nobody doubts it
  const shown = label === 'yes' ? asked : converseOf(asked)
  const fits: Fits = objects => {
    const [a, b] = [first, second].map(named => objects.find(isNamed(named))!)
    return isClear(a, b) && relationOf(a, b) === shown
  }
  const others: Test = kind => !isNamed(first)(kind) && !isNamed(second)(kind)
  return {
    kind: 'relation',
    text: `is the ${nameOf(first)} ${asked} the ${nameOf(second)}?`,
    label,
    answers: ['yes', 'no'],
    scenes: [draw.scene([first, second], draw.integer(2, draw.most), others, fits)],
  }
}

const nameOf = ({ colour, shape }: ObjectKind): string => pairName(colour, shape)

/** Whether an object has the colour and the shape of another. */
const isNamed =
  (named: ObjectKind): Test =>
  ({ colour, shape }) =>
    colour === named.colour && shape === named.shape

// ---- Entailment ----

const ENTAILMENT = ['entailment', 'neutral', 'contradiction'] as const

/** 'the star is red', of a picture with one object in black, which is or is not the star. */
function assumeColour(draw: Draw): Asked {
  const said = draw.kind()
  const label = draw.pick(ENTAILMENT)
  const isStar: Test = ({ shape }) => shape === said.shape
  const star =
    label === 'entailment'
      ? said
      : draw.kind(kind => isStar(kind) && (label === 'neutral' || kind.colour !== said.colour))
  const other = draw.kind(kind => !isStar(kind))
  const dark = label === 'neutral' ? star : other
  const scene = draw.scene([star, other], draw.integer(2, draw.most), kind => !isStar(kind))
  const objects = scene.objects.map(object =>
    compareObjects(object, dark) === 0 ? { ...object, inShadow: true } : object,
  )
  return {
    kind: 'colour',
    text: `the ${said.shape} is ${said.colour}`,
    label,
    answers: ENTAILMENT,
    scenes: [{ ...scene, objects }],
  }
}

const HALVES: Record<PictureHalf, { readonly words: string; readonly opposite: PictureHalf }> = {
  left: { words: 'on the left', opposite: 'right' },
  right: { words: 'on the right', opposite: 'left' },
  top: { words: 'at the top', opposite: 'bottom' },
  bottom: { words: 'at the bottom', opposite: 'top' },
}

/** 'there is a red circle on the left', of a picture of which a panel hides the left half or the right one. */
function assumePlace(draw: Draw): Asked {
  const said = draw.kind()
  const half = draw.pick(Object.keys(HALVES) as PictureHalf[])
  const label = draw.pick(ENTAILMENT)
  const { words, opposite } = HALVES[half]
  const [hidden, visible] = label === 'neutral' ? [half, opposite] : [opposite, half]
  // a picture in which the hypothesis is neutral may show such an object, in the other half
  const isShown = label === 'entailment' || (label === 'neutral' && draw.pick([true, false]))
  const first = isShown ? said : draw.kind(likeOrNot(draw, said))
  const others: Test = kind => !isNamed(said)(kind)
  const scene = draw.scene([first], draw.integer(1, Math.min(2, draw.most - 1)), others, objects =>
    objects.every(isIn(visible)),
  )
  return {
    kind: 'place',
    text: `there is ${article(nameOf(said))} ${words}`,
    label,
    answers: ENTAILMENT,
    scenes: [{ ...scene, hidden }],
  }
}

/** Another object, which has the same colour, the same shape, or neither of them for sure. */
function likeOrNot(draw: Draw, said: ObjectKind): Test {
  const choices: readonly Test[] = [
    ({ colour }) => colour === said.colour,
    ({ shape }) => shape === said.shape,
    () => true,
  ]
  const alike = draw.pick(choices)
  return kind => alike(kind) && !isNamed(said)(kind)
}

/** Least distance of an object from the middle of the picture. */
const FROM_MIDDLE = 0.01

const isIn =
  (half: PictureHalf) =>
  ({ x, y, radius }: ShapesObject): boolean => {
    const [along, sign] =
      half === 'left' || half === 'right' ? [x, half === 'left' ? 1 : -1] : [y, half === 'top' ? 1 : -1]
    return sign * (0.5 - along) > radius + FROM_MIDDLE
  }

// ---- Statements about two pictures ----

const TRUTH = ['true', 'false'] as const

/** Something that a picture shows or does not. */
function drawProperty(draw: Draw): { readonly words: string; readonly holds: Test } {
  const said = draw.kind()
  const { colour, shape } = said
  return draw.pick([
    { words: `a ${shape}`, holds: (kind: ObjectKind) => kind.shape === shape },
    { words: `${article(colour)} shape`, holds: (kind: ObjectKind) => kind.colour === colour },
    { words: objectName({ colour, shape }), holds: isNamed(said) },
  ])
}

type Which = readonly [left: boolean, right: boolean]
const [BOTH, LEFT, RIGHT, NONE]: readonly Which[] = [
  [true, true],
  [true, false],
  [false, true],
  [false, false],
]

/** A statement about which of the pictures show something. */
const stateWhich =
  (kind: string, text: (words: string) => string, isTrueOf: readonly Which[]) =>
  (draw: Draw): Asked => {
    const { words, holds } = drawProperty(draw)
    const label = draw.pick(TRUTH)
    const which = draw.pick([BOTH, LEFT, RIGHT, NONE].filter(each => isTrueOf.includes(each) === (label === 'true')))
    const scenes = which.map(shown => {
      const count = draw.integer(1, draw.most)
      return shown ? draw.scene([draw.kind(holds)], count) : draw.scene([], count, each => !holds(each))
    })
    return { kind, text: text(words), label, answers: TRUTH, scenes }
  }

/** A statement about how many shapes the pictures show. */
const stateCounts =
  (
    kind: string,
    drawText: (draw: Draw) => { readonly text: string; readonly isTrueOf: (left: number, right: number) => boolean },
  ) =>
  (draw: Draw): Asked => {
    const { text, isTrueOf } = drawText(draw)
    const label = draw.pick(TRUTH)
    const counts = range(1, draw.most)
    const all = counts.flatMap(left => counts.map(right => [left, right] as const))
    const chosen = draw.pick(all.filter(([left, right]) => isTrueOf(left, right) === (label === 'true')))
    return { kind, text, label, answers: TRUTH, scenes: chosen.map(count => draw.scene([], count)) }
  }

const stateTotal = stateCounts('total', draw => {
  const total = draw.integer(2, 2 * draw.most)
  return { text: `there are ${NUMBERS[total]} shapes in all`, isTrueOf: (left, right) => left + right === total }
})

const stateMore = stateCounts('more', draw => {
  const [one, other] = draw.pick([
    ['left', 'right'],
    ['right', 'left'],
  ])
  const isTrueOf = (left: number, right: number) => (one === 'left' ? left > right : right > left)
  return { text: `the ${one} picture shows more shapes than the ${other} one`, isTrueOf }
})

/** What each task asks, each equally likely. */
const ASK: Record<ShapesTask, readonly ((draw: Draw) => Asked)[]> = {
  vqa: [askCount, askColour, askShape, askSize, askRelation],
  entailment: [assumeColour, assumePlace],
  pairs: [
    stateWhich('both', words => `both pictures show ${words}`, [BOTH]),
    stateWhich('one', words => `exactly one picture shows ${words}`, [LEFT, RIGHT]),
    stateWhich('left', words => `the left picture shows ${words} and the right one does not`, [LEFT]),
    stateTotal,
    stateMore,
  ],
}
