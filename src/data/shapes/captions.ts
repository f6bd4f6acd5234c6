// The words of Shapes, and the grammar of its captions. Two captions can describe the same picture: "a above b" is "b
// below a". Captions are therefore parsed, and compared by their meaning. The grammar, where `[ ]` may be left out and `…`
// repeated:
//
//     caption   objects [relation objects [and relation objects …]]
//     objects   a [size] colour shape, or two [size] colour shapes, or three [size] colour shapes
//
// All relations are those of the objects that are named first: "a above b and left of c" says where a is.

/** Words of captions for the size of a shape. */
export const SIZES = ['small', 'large'] as const
/** Words of captions for the colour of a shape. */
export const COLOURS = ['red', 'orange', 'yellow', 'green', 'cyan', 'blue', 'purple', 'pink'] as const
/** Words of captions for the kind of a shape. */
export const SHAPES = ['circle', 'square', 'triangle', 'star', 'cross', 'ring'] as const
/** Words of captions for the position of the first of two shapes relative to the second. */
export const RELATIONS = ['above', 'below', 'left of', 'right of'] as const

/** A size of an object that captions name. */
export type Size = (typeof SIZES)[number]
/** A colour of an object. */
export type Colour = (typeof COLOURS)[number]
/** A shape of an object. */
export type ShapeName = (typeof SHAPES)[number]
/** Where one object is from another. */
export type Relation = (typeof RELATIONS)[number]

/** The caption's name for a colour and a shape: 'red circle'. */
export const pairName = (colour: Colour, shape: ShapeName) => `${colour} ${shape}`

/** All 48 pairs, colour by colour. */
export const pairNames: readonly string[] = COLOURS.flatMap(colour => SHAPES.map(shape => pairName(colour, shape)))

/** Words of captions for several equal objects: 'two', 'three'. */
const COUNTS = ['two', 'three'] as const

/** An object, or several equal ones, as described by a caption. The captions of the dataset always give the size. */
export interface NamedObject {
  /** absent if the caption names no size */
  readonly size?: Size
  /** as the caption names it */
  readonly colour: Colour
  /** as the caption names it */
  readonly shape: ShapeName
  /** number of equal objects that the caption names together; one unless given */
  readonly count?: number
}

/** A picture as described by a caption. */
export interface Description {
  /** one object, or several in the order in which `describe` names them */
  readonly objects: readonly NamedObject[]
  /** for two objects: the position of the first relative to the second */
  readonly relation?: Relation
  /** for more than two objects: the position of the first relative to each of the others */
  readonly relations?: readonly Relation[]
}

const CONVERSE: Record<Relation, Relation> = {
  above: 'below',
  below: 'above',
  'left of': 'right of',
  'right of': 'left of',
}

/** The position of b relative to a, if this is that of a relative to b. */
export const converseOf = (relation: Relation): Relation => CONVERSE[relation]

/** The order in which a caption names two objects: small before large, then by colour, then by shape, then fewer before more. */
export function compareObjects(a: NamedObject, b: NamedObject): number {
  const rank = ({ size, colour, shape }: NamedObject) =>
    ((size ? 1 + SIZES.indexOf(size) : 0) * COLOURS.length + COLOURS.indexOf(colour)) * SHAPES.length +
    SHAPES.indexOf(shape)
  return rank(a) - rank(b) || (a.count ?? 1) - (b.count ?? 1)
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

/** A place in a picture. */
interface Place {
  readonly x: number
  readonly y: number
}

/**
 * The one right caption of a scene: 'a small red circle', 'a small red circle above a large blue square', or 'two small red circles
 * above a small blue star and left of a large blue square'. Equal objects are named together. Objects are named small before
 * large, then in the order of `COLOURS`, then of `SHAPES`; the first ones are related to all others. Of equal objects, the centre of
 * all of them counts.
 */
export function describe(scene: { readonly objects: readonly (NamedObject & Place)[] }): string {
  const groups = groupEqual(scene.objects)
  const [first, ...others] = groups.map(centreOf)
  return captionOf({ objects: groups.map(nameGroup), relations: others.map(other => relationOf(first, other)) })
}

/** Objects in the order in which a caption names them, equal ones together. */
export function groupEqual<T extends NamedObject>(objects: readonly T[]): T[][] {
  const groups: T[][] = []
  for (const object of [...objects].sort(compareObjects)) {
    const last = groups.at(-1)
    if (last && compareObjects(last[0], object) === 0) last.push(object)
    else groups.push([object])
  }
  return groups
}

const nameGroup = ([first, ...equal]: readonly NamedObject[]): NamedObject => {
  const { size, colour, shape } = first
  return { size, colour, shape, count: 1 + equal.length }
}

function centreOf(group: readonly Place[]): Place {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  return group.length === 1 ? group[0] : { x: mean(group.map(({ x }) => x)), y: mean(group.map(({ y }) => y)) }
}

const relationsOf = ({ relation, relations = relation ? [relation] : [] }: Description): readonly Relation[] =>
  relations

const captionOf = (said: Description): string => joined(said.objects.map(objectName), relationsOf(said))

const joined = ([first, ...others]: readonly string[], relations: readonly Relation[]): string =>
  first + others.map((other, i) => `${i > 0 ? ' and' : ''} ${relations[i]} ${other}`).join('')

/** 'a small red circle'; 'an orange ring' if the size is not given; 'two small red circles' for a count of 2. */
export function objectName({ size, colour, shape, count = 1 }: NamedObject): string {
  const words = size ? `${size} ${pairName(colour, shape)}` : pairName(colour, shape)
  if (count > 1) return `${COUNTS[count - 2] ?? count} ${words}${pluralEnding(shape)}`
  return words.startsWith('orange') ? `an ${words}` : `a ${words}`
}

const pluralEnding = (shape: ShapeName) => (shape === 'cross' ? 'es' : 's')

/** 'circles', 'crosses'. */
export const pluralOf = (shape: ShapeName): string => shape + pluralEnding(shape)

const oneOf = (words: readonly string[]) => `(${words.join('|')})`
const OBJECT = new RegExp(`^(?:an?|${oneOf(COUNTS)}) (?:${oneOf(SIZES)} )?${oneOf(COLOURS)} ${oneOf(SHAPES)}(e?s)?$`)
const BETWEEN = new RegExp(` (?:and )?${oneOf(RELATIONS)} `)

/** The most kinds of objects that a caption names. */
const MOST_NAMED = 4

/**
 * The meaning of a caption, independent of which of two objects it names first, and of the order of those that the first of more
 * than two objects is related to; undefined for a text outside of the grammar.
 */
export function parseCaption(caption: string): Description | undefined {
  const [first, ...rest] = caption.split(BETWEEN)
  const relations = rest.filter((_, i) => i % 2 === 0) as Relation[]
  const names = [first, ...rest.filter((_, i) => i % 2 === 1)]
  if (names.length > MOST_NAMED || joined(names, relations) !== caption) return undefined
  const objects = names.map(parseObject)
  if (!objects.every(object => object !== undefined)) return undefined
  if (relations.length === 0) return { objects }
  if (relations.length > 1) return sorted(objects, relations)
  const said: Description = { objects, relation: relations[0] }
  const order = compareObjects(objects[0], objects[1])
  // two equal objects have no order, so only the direction matters
  return order > 0 || (order === 0 && /below|right/.test(relations[0])) ? converse(said) : said
}

function parseObject(text: string): NamedObject | undefined {
  const match = OBJECT.exec(text)
  if (!match) return undefined
  const [count, size, colour, shape, ending] = match.slice(1)
  if (ending !== (count && pluralEnding(shape as ShapeName))) return undefined
  const named = { size, colour, shape } as NamedObject
  return count ? { ...named, count: 2 + COUNTS.indexOf(count as 'two') } : named
}

/** More than two objects, with those that the first is related to in the order of `describe`. */
function sorted([first, ...others]: readonly NamedObject[], relations: readonly Relation[]): Description {
  const terms = others
    .map((object, i) => ({ object, relation: relations[i] }))
    .sort((a, b) => compareObjects(a.object, b.object) || RELATIONS.indexOf(a.relation) - RELATIONS.indexOf(b.relation))
  return { objects: [first, ...terms.map(({ object }) => object)], relations: terms.map(({ relation }) => relation) }
}

const converse = ({ objects, relation }: Description): Description => ({
  objects: [...objects].reverse(),
  relation: relation && converseOf(relation),
})

/**
 * All captions with the same meaning, starting with the one that `describe` makes: 'a small red circle above a large blue
 * square' and 'a large blue square below a small red circle'. With more than two objects, those that the first is related to in
 * every order. For a text outside of the grammar, only the text.
 */
export function paraphrases(caption: string): readonly string[] {
  const said = parseCaption(caption)
  if (!said) return [caption]
  const { objects, relation, relations } = said
  if (relation) return [said, converse(said)].map(captionOf)
  if (!relations) return [captionOf(said)]
  const orders = ordersOf(relations.map((_, i) => i)).map(order =>
    captionOf({
      objects: [objects[0], ...order.map(i => objects[1 + i])],
      relations: order.map(i => relations[i]),
    }),
  )
  return [...new Set(orders)]
}

/** Every order of some things, their own first. */
const ordersOf = <T>(things: readonly T[]): T[][] =>
  things.length < 2
    ? [[...things]]
    : things.flatMap((thing, i) => ordersOf(things.filter((_, j) => j !== i)).map(rest => [thing, ...rest]))
