// The words of Shapes, and the grammar of its captions. Two captions can describe the same picture: "a above b" is "b
// below a". Captions are therefore parsed, and compared by their meaning.

/** Words of captions for the size of a shape. */
export const SIZES = ['small', 'large'] as const
/** Words of captions for the colour of a shape. */
export const COLOURS = ['red', 'orange', 'yellow', 'green', 'cyan', 'blue', 'purple', 'pink'] as const
/** Words of captions for the kind of a shape. */
export const SHAPES = ['circle', 'square', 'triangle', 'star', 'cross', 'ring'] as const
/** Words of captions for the position of the first of two shapes relative to the second. */
export const RELATIONS = ['above', 'below', 'left of', 'right of'] as const

export type Size = (typeof SIZES)[number]
export type Colour = (typeof COLOURS)[number]
export type ShapeName = (typeof SHAPES)[number]
export type Relation = (typeof RELATIONS)[number]

/** The caption's name for a colour and a shape: 'red circle'. */
export const pairName = (colour: Colour, shape: ShapeName) => `${colour} ${shape}`

/** All 48 pairs, colour by colour. */
export const pairNames: readonly string[] = COLOURS.flatMap(colour => SHAPES.map(shape => pairName(colour, shape)))

/** An object as described by a caption. The captions of the dataset always give the size. */
export interface NamedObject {
  readonly size?: Size
  readonly colour: Colour
  readonly shape: ShapeName
}

/** A picture as described by a caption. */
export interface Description {
  /** one object, or two in the order in which `describe` names them */
  readonly objects: readonly NamedObject[]
  /** for two objects: the position of the first relative to the second */
  readonly relation?: Relation
}

const CONVERSE: Record<Relation, Relation> = {
  above: 'below',
  below: 'above',
  'left of': 'right of',
  'right of': 'left of',
}

/** The order in which a caption names two objects: small before large, then by colour, then by shape. */
export function compareObjects(a: NamedObject, b: NamedObject): number {
  const rank = ({ size, colour, shape }: NamedObject) =>
    ((size ? 1 + SIZES.indexOf(size) : 0) * COLOURS.length + COLOURS.indexOf(colour)) * SHAPES.length +
    SHAPES.indexOf(shape)
  return rank(a) - rank(b)
}

/** The position of `a` relative to `b`, along the axis with the larger distance. */
export function relationOf(
  a: { readonly x: number; readonly y: number },
  b: { readonly x: number; readonly y: number },
): Relation {
  const dx = a.x - b.x
  const dy = a.y - b.y
  if (Math.abs(dx) > Math.abs(dy)) return dx < 0 ? 'left of' : 'right of'
  return dy < 0 ? 'above' : 'below'
}

/**
 * The one right caption of a scene: 'a small red circle', or 'a small red circle above a large blue square'. Two objects
 * are named small before large, then in the order of `COLOURS`, then of `SHAPES`.
 */
export function describe(scene: {
  readonly objects: readonly (NamedObject & { readonly x: number; readonly y: number })[]
}): string {
  const objects = [...scene.objects].sort(compareObjects)
  return captionOf({ objects, relation: objects.length < 2 ? undefined : relationOf(objects[0], objects[1]) })
}

const captionOf = ({ objects, relation }: Description): string => objects.map(objectName).join(` ${relation} `)

/** 'a small red circle'; 'an orange ring' if the size is not given. */
export function objectName({ size, colour, shape }: NamedObject): string {
  const words = size ? `${size} ${pairName(colour, shape)}` : pairName(colour, shape)
  return words.startsWith('orange') ? `an ${words}` : `a ${words}`
}

const oneOf = (words: readonly string[]) => `(${words.join('|')})`
const OBJECT = `an? (?:${oneOf(SIZES)} )?${oneOf(COLOURS)} ${oneOf(SHAPES)}`
const CAPTION = new RegExp(`^${OBJECT}(?: ${oneOf(RELATIONS)} ${OBJECT})?$`)

/** The meaning of a caption, independent of which of two objects it names first; undefined for a text outside of the grammar. */
export function parseCaption(caption: string): Description | undefined {
  const match = CAPTION.exec(caption)
  if (!match) return undefined
  const [size, colour, shape, relation, ...other] = match.slice(1)
  const first = { size, colour, shape } as NamedObject
  if (relation === undefined) return { objects: [first] }
  const second = { size: other[0], colour: other[1], shape: other[2] } as NamedObject
  const said: Description = { objects: [first, second], relation: relation as Relation }
  const order = compareObjects(first, second)
  // two equal objects have no order, so only the direction matters
  return order > 0 || (order === 0 && /below|right/.test(relation)) ? converse(said) : said
}

const converse = ({ objects, relation }: Description): Description => ({
  objects: [...objects].reverse(),
  relation: relation && CONVERSE[relation],
})

/**
 * All captions with the same meaning, starting with the one that `describe` makes: 'a small red circle above a large blue
 * square' and 'a large blue square below a small red circle'. For a text outside of the grammar, only the text.
 */
export function paraphrases(caption: string): readonly string[] {
  const said = parseCaption(caption)
  if (!said) return [caption]
  return [said, ...(said.relation ? [converse(said)] : [])].map(captionOf)
}
