// The harder levels of Shapes: what their pictures show, that their captions are true and nothing else is, and that the
// grammar covers them.

import assert from 'node:assert/strict'
import { describe as suite, test } from 'node:test'
import {
  describe,
  objectName,
  pairName,
  paraphrases,
  parseCaption,
  RELATIONS,
  SHAPES,
} from '../../../src/data/shapes/captions.ts'
import { drawScene, gapOf, type Scene, type ShapesObject, visibleShares } from '../../../src/data/shapes/drawing.ts'
import { heldOutPairs } from '../../../src/data/shapes/kinds.ts'
import { LEAST_VISIBLE, type ShapesLevel, WORLDS } from '../../../src/data/shapes/levels.ts'
import { type ObjectCount, type ShapesOptions, shapesExample, shapesScene } from '../../../src/data/shapes/scenes.ts'

const HARD = [2, 3] as const

const scenes = (count: number, options: ShapesOptions) =>
  Array.from({ length: count }, (_, index) => shapesScene(index, options))

const painted = ({ objects, paintOrder = [] }: Scene) => paintOrder.map(index => objects[index])

/** The objects of a picture that fit a name such as 'two small red circles'. */
const matching = (scene: Scene, name: string) =>
  scene.objects.filter(object => {
    const one = objectName({ size: object.size, colour: object.colour, shape: object.shape }).replace(/^an? /, '')
    return (
      name.replace(/^(an?|two|three) /, '').replace(/(?<=circle|square|triangle|star|ring)s$|(?<=cross)es$/, '') === one
    )
  })

/** Whether the caption is true of the picture, read word by word and without the grammar of src. */
function isTrue(scene: Scene, caption: string): boolean {
  const [subject, ...terms] = caption.split(/ (?:and )?(?=above|below|left of|right of)/)
  const numbers: Record<string, number> = { a: 1, an: 1, two: 2, three: 3 }
  const said = (name: string) => {
    const found = matching(scene, name)
    return found.length === numbers[name.split(' ')[0]] ? found : undefined
  }
  const first = said(subject)
  if (!first) return false
  let named = first.length
  for (const term of terms) {
    const [, relation, name] = /^(above|below|left of|right of) (.*)$/.exec(term)!
    const others = said(name)
    if (!others) return false
    named += others.length
    for (const a of first)
      for (const b of others) {
        const [dx, dy] = [a.x - b.x, a.y - b.y]
        const [along, across] = { above: [-dy, dx], below: [dy, dx], 'left of': [-dx, dy], 'right of': [dx, dy] }[
          relation
        ]!
        if (!(along > Math.abs(across) + 0.09)) return false
      }
  }
  return named === scene.objects.length
}

suite('Shapes of a higher level', () => {
  test('level 1 is the default', () => {
    for (let index = 0; index < 20; index++)
      assert.deepEqual(shapesExample(index, { level: 1, seed: 4 }), shapesExample(index, { seed: 4 }))
  })

  test('the first pictures are the same bytes on every machine', () => {
    const hashes = HARD.map(level => {
      let hash = 0x811c9dc5
      for (let index = 0; index < 30; index++)
        for (const byte of shapesExample(index, { seed: 7, level }).pixels)
          hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
      return hash.toString(16)
    })
    assert.deepEqual(hashes, ['2218e52', '72c014bc'])
  })

  test('an example depends only on its index and the options, and options that differ share none', () => {
    for (const level of HARD) {
      const example = shapesExample(30, { level })
      shapesExample(31, { level })
      assert.deepEqual(shapesExample(30, { level }), example)
    }
    const variants: ShapesOptions[] = [
      {},
      { level: 2 },
      { level: 3 },
      { level: 3, seed: 1 },
      { level: 3, pairs: 'seen' },
    ]
    const seen = new Set(variants.flatMap(variant => scenes(60, variant).map(scene => JSON.stringify(scene))))
    assert.equal(seen.size, 60 * variants.length)
  })

  for (const level of HARD) {
    const all = scenes(400, { level, seed: 11 })

    test(`level ${level}: the caption is true, says everything, and changes if two objects change places`, () => {
      for (const scene of all) {
        const caption = describe(scene)
        assert.ok(isTrue(scene, caption), `${caption} ${JSON.stringify(scene.objects)}`)
        for (const other of paraphrases(caption)) assert.ok(isTrue(scene, other), other)
        const [first, ...others] = scene.objects
        const far = others.find(
          ({ size, colour, shape }) => [size, colour, shape].join() !== [first.size, first.colour, first.shape].join(),
        )
        if (!far) continue
        const swapped = scene.objects.map(object => {
          if (object === first) return { ...object, x: far.x, y: far.y }
          return object === far ? { ...object, x: first.x, y: first.y } : object
        })
        assert.ok(!isTrue({ ...scene, objects: swapped }, caption))
      }
    })

    test(`level ${level}: a caption is parsed to its own meaning, in any order of its objects`, () => {
      for (const scene of all) {
        const caption = describe(scene)
        const said = parseCaption(caption)
        assert.ok(said, caption)
        assert.equal(paraphrases(caption)[0], caption)
        for (const other of paraphrases(caption)) assert.deepEqual(parseCaption(other), said)
        assert.equal(describe({ objects: [...scene.objects].reverse() }), caption)
        const kinds = said.objects.length
        assert.equal(paraphrases(caption).length, [0, 1, 2, 2, 6][kinds])
      }
    })

    test(`level ${level}: objects are inside the picture, can be recognised, and do not touch others of their colour`, () => {
      let hidden = 0
      for (const scene of all) {
        for (const { x, y, radius } of scene.objects)
          for (const centre of [x, y]) assert.ok(centre - radius > 0 && centre + radius < 1)
        const objects = painted(scene)
        const front = scene.clutter!.filter(mark => mark.inFront)
        for (const [i, share] of visibleShares(objects, front).entries())
          assert.ok(share >= LEAST_VISIBLE[objects[i].size])
        if (visibleShares(objects).some(share => share < 0.95)) hidden++
        for (const [i, a] of objects.entries())
          for (const b of objects.slice(i + 1)) if (a.colour === b.colour) assert.ok(gapOf(a, b) > 0.03)
      }
      assert.ok(hidden > all.length * 0.15 * (level - 1), `${hidden} pictures in which something is hidden`)
    })

    test(`level ${level}: every number of objects is equally likely, and clutter is grey`, () => {
      const most = WORLDS[level].objects
      for (let count = 1; count <= most; count++) {
        const found = all.filter(({ objects }) => objects.length === count).length
        assert.ok(Math.abs(found - all.length / most) < 4 * Math.sqrt(all.length / most), `${count}: ${found}`)
        assert.equal(shapesScene(0, { level, objects: count as ObjectCount }).objects.length, count)
      }
      const [least, greatest] = WORLDS[level].marks
      for (const scene of all) assert.ok(scene.clutter!.length >= least && scene.clutter!.length <= greatest)
      const { background, clutter } = all[0]
      const pixels = drawScene({ background: background.map(() => [90, 90, 90]) as never, objects: [], clutter })
      for (let i = 0; i < pixels.length; i += 3) assert.ok(pixels[i] === pixels[i + 1] && pixels[i] === pixels[i + 2])
      assert.ok(new Set(pixels).size > 3)
    })

    test(`level ${level}: held-out pairs never occur in seen pictures, and occur in every held-out picture`, () => {
      const heldOut = new Set(heldOutPairs)
      const has = ({ objects }: Scene) => objects.some(({ colour, shape }) => heldOut.has(pairName(colour, shape)))
      assert.ok(!scenes(150, { level, pairs: 'seen' }).some(has))
      assert.ok(scenes(150, { level, pairs: 'held-out' }).every(has))
    })
  }

  test('captions are at most 10, 17 and 24 words long', () => {
    const longest = (level: ShapesLevel) =>
      Math.max(
        ...scenes(120, { level, objects: WORLDS[level].objects as ObjectCount }).map(
          scene => describe(scene).split(' ').length,
        ),
      )
    assert.deepEqual([longest(1), longest(2), longest(3)], [10, 17, 24])
  })

  test('the numbers of distinct captions are those of the guide', () => {
    const choose = (n: number, k: number): number => (k === 0 ? 1 : (choose(n - 1, k - 1) * n) / k)
    // kinds of objects with their numbers: all single, or some of them two or three, of at most four in all
    const counts = (kinds: number, most: number): number =>
      kinds === 0 ? 1 : [1, 2, 3].reduce((sum, n) => sum + (n <= most - kinds + 1 ? counts(kinds - 1, most - n) : 0), 0)
    const captions = (most: number, equal: boolean) =>
      Array.from({ length: most }, (_, i) => i + 1).reduce(
        (sum, kinds) => sum + choose(96, kinds) * 4 ** (kinds - 1) * (equal ? counts(kinds, most) : 1),
        0,
      )
    assert.deepEqual([captions(2, false), captions(3, false), captions(4, true)], [18_336, 2_304_416, 221_859_488])
  })

  test('an object in front hides those behind it, and a panel hides its half', () => {
    const object = (colour: 'red' | 'blue', x: number): ShapesObject => ({
      size: 'large',
      colour,
      shape: 'square',
      x,
      y: 0.5,
      radius: 0.2,
    })
    const grey = [90, 90, 90] as const
    const scene: Scene = { background: [grey, grey, grey, grey], objects: [object('red', 0.4), object('blue', 0.6)] }
    const middle = (scene: Scene) => [...drawScene(scene).subarray((16 * 32 + 16) * 3, (16 * 32 + 17) * 3)]
    assert.deepEqual(middle(scene), [35, 60, 225])
    assert.deepEqual(middle({ ...scene, paintOrder: [1, 0] }), [222, 32, 32])
    const [first, second] = visibleShares(scene.objects)
    assert.ok(Math.abs(first - 0.5) < 0.05 && second === 1, `${first} ${second}`)
    const shadowed = drawScene({ ...scene, objects: [{ ...scene.objects[0], inShadow: true }] })
    const also = drawScene({ ...scene, objects: [{ ...scene.objects[0], colour: 'green', inShadow: true }] })
    assert.deepEqual(shadowed, also)
    for (const hidden of ['left', 'right', 'top', 'bottom'] as const) {
      const [a, b] = [drawScene({ ...scene, hidden }), drawScene({ ...scene, objects: [], hidden })]
      for (let i = 0; i < 32 * 32; i++) {
        const [row, column] = [Math.floor(i / 32), i % 32]
        const inside = { left: column < 16, right: column >= 16, top: row < 16, bottom: row >= 16 }[hidden]
        if (inside) assert.deepEqual(a.subarray(3 * i, 3 * i + 3), b.subarray(3 * i, 3 * i + 3))
      }
      assert.notDeepEqual(a, b)
    }
  })

  test('a level, or a number of objects that it does not have, is an error that names both', () => {
    assert.throws(() => shapesExample(0, { level: 4 as 3 }), /level must be 1, 2 or 3, not '4'/)
    assert.throws(() => shapesExample(0, { objects: 3 }), /objects must be 1, 2 or 'both' at level 1, not '3'/)
    assert.throws(() => shapesExample(0, { objects: 4, level: 2 }), /1, 2, 3 or 'both' at level 2, not '4'/)
  })
})

suite('a long caption', () => {
  test('has numbers, plurals and several relations', () => {
    const circles = { size: 'small', colour: 'red', shape: 'circle', count: 2 } as const
    const star = { size: 'small', colour: 'blue', shape: 'star' } as const
    const cross = { size: 'large', colour: 'pink', shape: 'cross', count: 3 } as const
    const caption = 'two small red circles above a small blue star and left of three large pink crosses'
    const said = { objects: [circles, star, cross], relations: ['above', 'left of'] }
    assert.deepEqual(parseCaption(caption), said)
    const other = 'two small red circles left of three large pink crosses and above a small blue star'
    assert.deepEqual(parseCaption(other), said)
    assert.deepEqual(paraphrases(other), [caption, other])
    assert.deepEqual(paraphrases('three red rings above two red rings'), [
      'two red rings below three red rings',
      'three red rings above two red rings',
    ])
    assert.deepEqual(paraphrases('three rings'), ['three rings'])
    assert.deepEqual(paraphrases('three red rings'), ['three red rings'])
    assert.deepEqual(paraphrases('a large blue square below two small red circles'), [
      'two small red circles above a large blue square',
      'a large blue square below two small red circles',
    ])
    for (const shape of SHAPES)
      assert.deepEqual(parseCaption(objectName({ colour: 'red', shape, count: 3 }))?.objects[0].shape, shape)
  })

  test('that changes a number, a relation or an object means something else', () => {
    const caption = 'two small red circles above a small blue star and left of a large pink cross'
    const others = [
      caption.replace('two', 'three'),
      ...RELATIONS.filter(relation => relation !== 'above').map(relation => caption.replace('above', relation)),
      caption.replace('pink', 'green'),
      'two small red circles above a small blue star',
    ]
    for (const other of others) {
      assert.ok(parseCaption(other), other)
      assert.notEqual(paraphrases(other)[0], paraphrases(caption)[0])
    }
  })

  test('outside of the grammar has no meaning', () => {
    for (const text of [
      'two small red circle',
      'a small red circles',
      'two small red crosss',
      'three small red squarees',
      'four small red circles',
      'a red circle and a blue star',
      'a red circle and above a blue star',
      'a red circle above a blue star above a green ring',
      'a red circle above a blue star and',
      'a red circle above a blue star and a green ring',
      'a red ring above a blue ring and above a pink ring and above a cyan ring and above a green ring',
      'above a red circle',
    ]) {
      assert.equal(parseCaption(text), undefined, text)
      assert.deepEqual(paraphrases(text), [text])
    }
  })
})
