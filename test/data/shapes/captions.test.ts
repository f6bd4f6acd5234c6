// The meaning of captions of Shapes: parsing, paraphrases and comparison.

import assert from 'node:assert/strict'
import { describe as suite, test } from 'node:test'
import {
  COLOURS,
  describe,
  type NamedObject,
  paraphrases,
  parseCaption,
  RELATIONS,
  type Relation,
  relationOf,
  SHAPES,
  SIZES,
} from '../../../src/data/shapes/captions.ts'
import type { PairChoice } from '../../../src/data/shapes/kinds.ts'
import { type ObjectCount, shapesScene } from '../../../src/data/shapes/scenes.ts'
import { fc, runs } from '../../support.ts'

const scenes = fc
  .tuple(
    fc.nat(1e6),
    fc.constantFrom<PairChoice[]>('seen', 'held-out', 'all'),
    fc.constantFrom<ObjectCount[]>(1, 2, 'both'),
  )
  .map(([index, pairs, objects]) => shapesScene(index, { pairs, objects }))

const named: fc.Arbitrary<NamedObject> = fc.record(
  {
    size: fc.constantFrom(...SIZES),
    colour: fc.constantFrom(...COLOURS.slice(0, 3)),
    shape: fc.constantFrom(...SHAPES.slice(0, 3)),
  },
  { requiredKeys: ['colour', 'shape'] },
)

const words = ({ size, colour, shape }: NamedObject) =>
  `${colour === 'orange' && !size ? 'an' : 'a'} ${size ? `${size} ` : ''}${colour} ${shape}`

/** Objects, and of two of them where the first is from the second. */
type Said = readonly [NamedObject] | readonly [NamedObject, Relation, NamedObject]

const said: fc.Arbitrary<Said> = fc.oneof(fc.tuple(named), fc.tuple(named, fc.constantFrom(...RELATIONS), named))

const captionOf = (said: Said) =>
  said.length === 1 ? words(said[0]) : `${words(said[0])} ${said[1]} ${words(said[2])}`

/** The meaning of a caption as a grid of two cells: the words of the object above or to the left come first. */
function layoutOf(said: Said): string {
  if (said.length === 1) return words(said[0])
  const [first, relation, second] = said
  const isBefore = relation === 'above' || relation === 'left of'
  const axis = relation === 'above' || relation === 'below' ? 'over' : 'beside'
  const [a, b] = (isBefore ? [first, second] : [second, first]).map(words)
  return `${a} ${axis} ${b}`
}

suite('a caption', () => {
  test('of any scene is parsed to that scene', () => {
    fc.assert(
      fc.property(scenes, scene => {
        const objects = scene.objects.map(({ size, colour, shape }) => ({ size, colour, shape }))
        const read = parseCaption(describe(scene))
        assert.deepEqual(
          read,
          objects.length === 1 ? { objects } : { objects, relation: relationOf(scene.objects[0], scene.objects[1]) },
        )
      }),
      runs(500),
    )
  })

  test('of any scene is the first of its paraphrases, which differ in the object that they name first', () => {
    fc.assert(
      fc.property(scenes, scene => {
        const caption = describe(scene)
        const same = paraphrases(caption)
        assert.equal(same[0], caption)
        assert.equal(same.length, scene.objects.length)
        for (const other of same) assert.deepEqual(paraphrases(other), same)
        if (same.length === 1) return
        const [a, b] = scene.objects.map(words)
        assert.equal(same[1], `${b} ${relationOf(scene.objects[1], scene.objects[0])} ${a}`)
      }),
      runs(500),
    )
  })

  test('is a paraphrase of another exactly if both describe the same objects in the same places', () => {
    fc.assert(
      fc.property(said, said, (one, other) => {
        const [a, b] = [captionOf(one), captionOf(other)]
        assert.equal(paraphrases(a)[0] === paraphrases(b)[0], layoutOf(one) === layoutOf(other), `${a} / ${b}`)
      }),
      runs(1000),
    )
    // what chance seldom draws: the same two objects
    fc.assert(
      fc.property(named, named, fc.constantFrom(...RELATIONS), fc.constantFrom(...RELATIONS), (a, b, r, s) => {
        const all: Said[] = [
          [a, r, b],
          [b, s, a],
          [a, s, b],
        ]
        for (const one of all)
          for (const other of all) {
            const isSame = paraphrases(captionOf(one))[0] === paraphrases(captionOf(other))[0]
            assert.equal(isSame, layoutOf(one) === layoutOf(other), `${captionOf(one)} / ${captionOf(other)}`)
          }
      }),
      runs(500),
    )
  })

  test('without sizes is parsed too', () => {
    assert.deepEqual(paraphrases('a cyan circle below a green star'), [
      'a green star above a cyan circle',
      'a cyan circle below a green star',
    ])
    assert.deepEqual(paraphrases('an orange ring')[0], paraphrases('a orange ring')[0])
  })

  test('outside of the grammar has no paraphrases', () => {
    for (const text of [
      '',
      'a photo of a dog',
      'a small red dog',
      'a small red circle above',
      'a small red circle over a large blue square',
      'a small red circle above a large blue square above a ring',
      'small red circle',
    ]) {
      assert.equal(parseCaption(text), undefined)
      assert.deepEqual(paraphrases(text), [text])
    }
  })
})
