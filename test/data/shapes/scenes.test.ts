import assert from 'node:assert/strict'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe as suite, test } from 'node:test'
import { decode } from 'fast-png'
import {
  COLOURS,
  type Colour,
  describe,
  pairName,
  pairNames,
  RELATIONS,
  relationOf,
  SHAPES,
  SIZES,
} from '../../../src/data/shapes/captions.ts'
import { drawScene, type Scene, type ShapesObject } from '../../../src/data/shapes/drawing.ts'
import { FolderNotEmptyError, writeShapes } from '../../../src/data/shapes/folder.ts'
import { heldOutPairs, isHeldOut } from '../../../src/data/shapes/kinds.ts'
import { type ObjectCount, type ShapesOptions, shapesExample, shapesScene } from '../../../src/data/shapes/scenes.ts'
import { fc } from '../../support.ts'

const scenes = (count: number, options: ShapesOptions = {}) =>
  Array.from({ length: count }, (_, index) => shapesScene(index, options))

const namesIn = (scene: Scene) => scene.objects.map(({ colour, shape }) => pairName(colour, shape))

const options = fc.record({
  seed: fc.nat(),
  pairs: fc.constantFrom('seen', 'held-out', 'all'),
  objects: fc.constantFrom<ObjectCount[]>(1, 2, 'both'),
} as const)

const background: Scene['background'] = [
  [90, 100, 110],
  [110, 100, 90],
  [100, 100, 100],
  [105, 95, 100],
]

const large = (colour: Colour, shape: (typeof SHAPES)[number], x = 0.5, y = 0.5): ShapesObject => ({
  size: 'large',
  colour,
  shape,
  x,
  y,
  radius: 0.2,
})

suite('Shapes', () => {
  test('an example depends only on its index and the options', () => {
    fc.assert(
      fc.property(fc.nat(1e6), options, (index, chosen) => {
        const example = shapesExample(index, chosen)
        shapesExample(index + 1, chosen)
        assert.deepEqual(shapesExample(index, chosen), example)
      }),
      { numRuns: 30 },
    )
  })

  test('the first pictures are the same bytes on every machine', () => {
    let hash = 0x811c9dc5
    for (let index = 0; index < 50; index++)
      for (const byte of shapesExample(index, { seed: 7 }).pixels) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
    assert.equal(hash.toString(16), '89e22917')
    assert.equal(shapesExample(0, { seed: 7 }).caption, 'a small green cross')
  })

  test('different indices and options give different scenes', () => {
    const seen = new Set<string>()
    const variants: ShapesOptions[] = [{}, { seed: 1 }, { pairs: 'seen' }, { pairs: 'held-out' }, { objects: 1 }]
    for (const variant of variants) for (const scene of scenes(200, variant)) seen.add(JSON.stringify(scene))
    assert.equal(seen.size, 200 * variants.length)
  })

  test('a caption follows the grammar', () => {
    const object = `a (${SIZES.join('|')}) (${COLOURS.join('|')}) (${SHAPES.join('|')})`
    const grammar = new RegExp(`^${object}( (${RELATIONS.join('|')}) ${object})?$`)
    for (const scene of scenes(1000)) assert.match(describe(scene), grammar)
  })

  test('a caption does not depend on the order in which a scene lists its objects', () => {
    for (const scene of scenes(300, { objects: 2 }))
      assert.equal(describe({ ...scene, objects: [...scene.objects].reverse() }), describe(scene))
  })

  test('a caption names small before large, then by colour, then by shape, in the order of the scene', () => {
    for (const { objects } of scenes(1000, { objects: 2 })) {
      const [a, b] = objects.map(
        ({ size, colour, shape }) => SIZES.indexOf(size) * 100 + COLOURS.indexOf(colour) * 10 + SHAPES.indexOf(shape),
      )
      assert.ok(a < b, JSON.stringify(objects))
    }
  })

  test('the relation in the caption is the position of the first object relative to the second, along the clearly longer axis', () => {
    for (const scene of scenes(1000, { objects: 2 })) {
      const [a, b] = scene.objects
      const [dx, dy] = [a.x - b.x, a.y - b.y]
      const expected = { above: -dy, below: dy, 'left of': -dx, 'right of': dx }
      const relation = RELATIONS.find(name => describe(scene).includes(` ${name} `))!
      const [distance, offset] = [Math.abs(expected[relation]), Math.min(Math.abs(dx), Math.abs(dy))]
      assert.equal(relationOf(a, b), relation)
      assert.ok(expected[relation] > 0)
      assert.ok(distance > offset + 0.12, `${distance} ${offset}`)
      assert.ok(distance > a.radius + b.radius, 'objects overlap')
    }
  })

  test('every object is inside the picture', () => {
    for (const { objects } of scenes(2000))
      for (const { x, y, radius } of objects)
        for (const centre of [x, y]) assert.ok(centre - radius > 0 && centre + radius < 1)
  })

  test('every object has the size of its name', () => {
    for (const { objects } of scenes(500))
      for (const { size, radius } of objects) assert.equal(size === 'small', radius < 0.17)
  })

  test('eight of the 48 pairs are held out; every colour keeps five shapes and every shape six colours', () => {
    assert.equal(new Set(pairNames).size, 48)
    assert.equal(heldOutPairs.length, 8)
    for (const colour of COLOURS) assert.equal(SHAPES.filter(shape => !isHeldOut(colour, shape)).length, 5)
    for (const shape of SHAPES) assert.ok(COLOURS.filter(colour => !isHeldOut(colour, shape)).length >= 6)
  })

  test('held-out pairs never occur in seen pictures, and occur in every held-out picture', () => {
    const heldOut = new Set(heldOutPairs)
    for (const scene of scenes(3000, { pairs: 'seen' })) assert.ok(!namesIn(scene).some(name => heldOut.has(name)))
    for (const scene of scenes(1000, { pairs: 'held-out' })) assert.ok(namesIn(scene).some(name => heldOut.has(name)))
    for (const scene of scenes(300, { pairs: 'held-out', objects: 1 })) assert.ok(heldOut.has(namesIn(scene)[0]))
  })

  test('pairs, sizes, relations and numbers of objects are evenly spread', () => {
    const count = 8000
    const tally = new Map<string, number>()
    const add = (key: string) => tally.set(key, (tally.get(key) ?? 0) + 1)
    let objects = 0
    for (const scene of scenes(count)) {
      add(`${scene.objects.length} objects`)
      for (const { size } of scene.objects) add(size)
      for (const name of namesIn(scene)) add(name)
      objects += scene.objects.length
      if (scene.objects.length === 2) add(relationOf(scene.objects[0], scene.objects[1]))
    }
    const near = (key: string, expected: number) =>
      assert.ok(Math.abs(tally.get(key)! - expected) < 5 * Math.sqrt(expected), `${key}: ${tally.get(key)}`)
    near('1 objects', count / 2)
    near('2 objects', count / 2)
    for (const size of SIZES) near(size, objects / 2)
    for (const name of pairNames) near(name, objects / 48)
    for (const relation of RELATIONS) near(relation, count / 8)
  })

  test('an object has its colour, and changes no pixel outside of its square', () => {
    const empty = drawScene({ background, objects: [] })
    for (const shape of SHAPES) {
      const pixels = drawScene({ background, objects: [large('red', shape)] })
      let painted = 0
      for (let i = 0; i < 32 * 32; i++) {
        const [row, column] = [Math.floor(i / 32), i % 32]
        const inside = Math.max(Math.abs(row - 15.5), Math.abs(column - 15.5)) < 0.2 * 32 + 0.5
        const pixel = [...pixels.subarray(3 * i, 3 * i + 3)]
        if (!inside) assert.deepEqual(pixel, [...empty.subarray(3 * i, 3 * i + 3)], shape)
        if (pixel.join() === '222,32,32') painted++
      }
      assert.ok(painted > 20, `${shape}: ${painted}`)
    }
  })

  test('all shapes differ, and an edge is a blend of object and background', () => {
    const pictures = SHAPES.map(shape => drawScene({ background, objects: [large('blue', shape)] }))
    for (const [i, one] of pictures.entries())
      for (const other of pictures.slice(i + 1)) {
        const difference = one.reduce((sum, value, at) => sum + Math.abs(value - other[at]), 0) / one.length
        assert.ok(difference > 1, String(difference))
      }
    const blues = new Set(pictures[0].filter((_, at) => at % 3 === 2))
    assert.ok(blues.size > 20)
  })

  test('a scene can be drawn at any size', () => {
    const scene = { background, objects: [large('green', 'cross')] }
    assert.equal(drawScene(scene, 128).length, 128 * 128 * 3)
    assert.throws(() => drawScene(scene, 0), /side must be a positive integer, not 0/)
  })

  test('the error for an invalid argument names it', () => {
    assert.throws(() => shapesExample(-1), /index must be a non-negative integer, not -1/)
    assert.throws(() => shapesExample(0, { pairs: 'some' as 'all' }), /'some'/)
    assert.throws(() => shapesExample(0, { objects: 3 as 2 }), /not '3'/)
  })
})

suite('a Shapes folder', () => {
  const inFolder = async (run: (folder: string) => Promise<void>) => {
    const folder = await mkdtemp(join(tmpdir(), 'shapes-'))
    try {
      await run(folder)
    } finally {
      await rm(folder, { recursive: true })
    }
  }

  test('has the pictures, captions and objects of the dataset', () =>
    inFolder(async folder => {
      const out = join(folder, 'deep', 'train')
      const progress: number[] = []
      const chosen = { seed: 3, pairs: 'seen', objects: 'both' } as const
      await writeShapes({ out, count: 12, ...chosen, onProgress: done => progress.push(done) })
      const lines = (await readFile(join(out, 'captions.jsonl'), 'utf8')).trimEnd().split('\n')
      assert.equal(lines.length, 12)
      assert.deepEqual(progress, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
      for (const [index, line] of lines.entries()) {
        const { file, caption, objects, relation, label, labels } = JSON.parse(line)
        const example = shapesExample(index, chosen)
        const picture = decode(await readFile(join(out, file)))
        assert.equal(file, `images/${String(index).padStart(6, '0')}.png`)
        assert.deepEqual([picture.width, picture.height, picture.channels, picture.depth], [32, 32, 3, 8])
        assert.deepEqual(new Uint8Array(picture.data), example.pixels)
        assert.equal(caption, example.caption)
        assert.deepEqual(
          objects,
          example.scene.objects.map(({ radius: _, ...rest }) => rest),
        )
        assert.equal(relation, objects.length === 2 ? relationOf(objects[0], objects[1]) : null)
        const names = new Set(example.scene.objects.map(({ colour, shape }) => `${colour} ${shape}`))
        assert.deepEqual(label === undefined ? labels : [label], [...names])
      }
      assert.deepEqual(await readdir(join(folder, 'deep')), ['train'])
    }))

  test('replaces a Shapes folder only with force, and other files never', () =>
    inFolder(async folder => {
      const out = join(folder, 'train')
      await writeShapes({ out, count: 2 })
      await assert.rejects(writeShapes({ out, count: 1 }), FolderNotEmptyError)
      await writeShapes({ out, count: 1, force: true })
      assert.deepEqual(await readdir(join(out, 'images')), ['000000.png'])
      await writeFile(join(out, 'notes.txt'), 'mine')
      await assert.rejects(writeShapes({ out, count: 1, force: true }), /notes\.txt/)
      assert.equal(await readFile(join(out, 'notes.txt'), 'utf8'), 'mine')
    }))

  test('does not exist after its writing is aborted', () =>
    inFolder(async folder => {
      const stop = () => {
        throw new Error('stopped')
      }
      await assert.rejects(writeShapes({ out: join(folder, 'train'), count: 3, onProgress: stop }), /stopped/)
      assert.deepEqual(await readdir(folder), [])
    }))
})
