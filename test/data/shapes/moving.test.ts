// Moving Shapes: what happens in a clip is in the order of its frames, and in nothing else.

import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe as suite, test } from 'node:test'
import { decode } from 'fast-png'
import { COLOURS, pairName, SHAPES, SIZES } from '../../../src/data/shapes/captions.ts'
import { drawScene, type Scene, type ShapesObject } from '../../../src/data/shapes/drawing.ts'
import { FolderNotEmptyError, writeMovingShapes, writeShapes } from '../../../src/data/shapes/folder.ts'
import { heldOutPairs } from '../../../src/data/shapes/kinds.ts'
import {
  describeMoving,
  MOVING_TURNING_SHAPES,
  type MovingAction,
  type MovingOptions,
  movingActions,
  movingExample,
  movingFrame,
  movingScene,
  oppositeAction,
  playedBackwards,
} from '../../../src/data/shapes/moving.ts'
import { fc, runs } from '../../support.ts'
import { temporaryFolder } from '../folder.ts'

const action = fc.constantFrom(...movingActions)
const options = fc.record({
  seed: fc.nat(),
  pairs: fc.constantFrom('seen', 'held-out', 'all'),
  frames: fc.integer({ min: 2, max: 12 }),
} as const)

const scenes = (count: number, chosen: MovingOptions = {}) =>
  Array.from({ length: count }, (_, index) => movingScene(index, chosen))
const of = (...actions: MovingAction[]) => scenes(150, { actions })

/** The scenes of all frames of a clip. */
const framesOf = (scene: ReturnType<typeof movingScene>, count = 8): Scene[] =>
  Array.from({ length: count }, (_, frame) => movingFrame(scene, frame, count))

const textOf = (pixels: Uint8Array) => Buffer.from(pixels).toString('base64')

suite('the order of frames is what tells an action', () => {
  test('every action has an opposite, whose opposite it is', () => {
    const pairs = movingActions.map(name => [name, oppositeAction(name)].sort().join(', '))
    assert.deepEqual(
      [...new Set(pairs)],
      [
        'moves left, moves right',
        'moves down, moves up',
        'grows, shrinks',
        'turns clockwise, turns counter-clockwise',
        'collide, separate',
      ],
    )
    for (const name of movingActions) assert.equal(oppositeAction(oppositeAction(name)), name)
  })

  test('a clip played backwards is, frame by frame, a clip of the opposite action', () => {
    fc.assert(
      fc.property(fc.nat(1e6), options, action, (index, chosen, name) => {
        const clip = movingExample(index, { ...chosen, actions: [name] })
        const opposite = movingExample(index, { ...chosen, actions: [oppositeAction(name)] })
        assert.deepEqual([...clip.frames].reverse(), opposite.frames)
        assert.deepEqual(playedBackwards(clip.scene), opposite.scene)
        // no number differs, not even in its last digit
        assert.deepEqual(framesOf(clip.scene, chosen.frames).reverse(), framesOf(opposite.scene, chosen.frames))
        assert.equal(clip.scene.action, name)
        assert.equal(clip.caption.replace(name, oppositeAction(name)), opposite.caption)
      }),
      runs(60),
    )
  })

  test('two opposite actions have the same distribution over sets of frames', () => {
    for (const name of movingActions) {
      const sets = (actions: MovingAction[]) =>
        Array.from({ length: 30 }, (_, index) =>
          movingExample(index, { actions }).frames.map(textOf).sort().join(),
        ).sort()
      assert.deepEqual(sets([name]), sets([oppositeAction(name)]), name)
    }
  })

  test('what a clip shows is drawn independently of its action', () => {
    // so the distributions within a dataset of all actions are those of datasets of one
    for (const [index, scene] of scenes(500, { seed: 3 }).entries())
      assert.deepEqual(movingScene(index, { seed: 3, actions: [scene.action] }), scene)
  })

  test('all actions are equally likely', () => {
    const count = 6000
    const drawn = scenes(count).map(scene => scene.action)
    for (const name of movingActions) {
      const found = drawn.filter(each => each === name).length
      const expected = count / movingActions.length
      assert.ok(Math.abs(found - expected) < 5 * Math.sqrt(expected), `${name}: ${found}`)
    }
  })
})

suite('a clip', () => {
  test('depends only on its index and the options', () => {
    fc.assert(
      fc.property(fc.nat(1e6), options, (index, chosen) => {
        const clip = movingExample(index, chosen)
        movingExample(index + 1, chosen)
        assert.deepEqual(movingExample(index, chosen), clip)
        assert.equal(clip.frames.length, chosen.frames)
      }),
      runs(20),
    )
    const different = new Set(
      [{}, { seed: 1 }, { pairs: 'seen' } as const].flatMap(chosen => scenes(200, chosen).map(s => JSON.stringify(s))),
    )
    assert.equal(different.size, 600)
  })

  test('the first clips are the same bytes on every machine', () => {
    let hash = 0x811c9dc5
    for (let index = 0; index < 30; index++)
      for (const pixels of movingExample(index, { seed: 7 }).frames)
        for (const byte of pixels) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0
    assert.equal(hash.toString(16), 'c9f89138')
  })

  test('the number of frames does not change what they show', () => {
    fc.assert(
      fc.property(fc.nat(1e6), fc.integer({ min: 2, max: 9 }), (index, count) => {
        const [few, many] = [count, 2 * count - 1].map(frames => movingExample(index, { frames }).frames)
        assert.deepEqual([few[0], few.at(-1)], [many[0], many.at(-1)])
        assert.equal(many.length, 2 * count - 1)
      }),
      runs(20),
    )
  })

  test('all frames differ, and every object is inside of every frame', () => {
    for (const scene of scenes(300)) {
      assert.equal(new Set(framesOf(scene).map(frame => textOf(drawScene(frame)))).size, 8, describeMoving(scene))
      for (const { objects } of framesOf(scene))
        for (const { x, y, radius, angle } of objects) {
          const reach = angle === 0 ? radius : radius * Math.SQRT2
          for (const centre of [x, y]) assert.ok(centre - reach > 0 && centre + reach < 1, describeMoving(scene))
        }
    }
  })

  test('shows what its caption says', () => {
    const steps = (scene: ReturnType<typeof movingScene>, measure: (objects: readonly ShapesObject[]) => number) => {
      const values = framesOf(scene).map(({ objects }) => measure(objects))
      return values.slice(1).map((value, i) => value - values[i])
    }
    const distance = ([a, b]: readonly ShapesObject[]) => Math.hypot(a.x - b.x, a.y - b.y)
    const measures: [MovingAction, MovingAction, (objects: readonly ShapesObject[]) => number][] = [
      ['moves right', 'moves left', ([{ x }]) => x],
      ['moves down', 'moves up', ([{ y }]) => y],
      ['grows', 'shrinks', ([{ radius }]) => radius],
      ['turns clockwise', 'turns counter-clockwise', ([{ angle }]) => angle!],
      ['separate', 'collide', distance],
    ]
    for (const [more, less, measure] of measures) {
      for (const scene of of(more))
        assert.ok(
          steps(scene, measure).every(step => step > 0.005),
          describeMoving(scene),
        )
      for (const scene of of(less))
        assert.ok(
          steps(scene, measure).every(step => step < -0.005),
          describeMoving(scene),
        )
    }
    // and nothing else changes
    for (const [name, still] of [
      ['moves left', ['y', 'radius', 'angle']],
      ['moves up', ['x', 'radius', 'angle']],
      ['grows', ['x', 'y', 'angle']],
      ['turns clockwise', ['x', 'y', 'radius']],
    ] as const)
      for (const { objects } of of(name))
        for (const key of still) assert.equal(objects[0].from[key], objects[0].to[key], name)
  })

  test('objects that collide touch in the last frame and not before', () => {
    for (const scene of of('collide')) {
      const shares = framesOf(scene).map(({ objects: [a, b] }) => {
        const along = Math.max(Math.abs(a.x - b.x), Math.abs(a.y - b.y))
        assert.equal(Math.min(Math.abs(a.x - b.x), Math.abs(a.y - b.y)), 0)
        return along / (a.radius + b.radius)
      })
      assert.ok(shares[0] > 1.3, String(shares[0]))
      assert.ok(Math.abs(shares[7] - 0.92) < 1e-9, String(shares[7]))
    }
  })

  test('from one frame of four to the next, no shape turns by half of its symmetry', () => {
    const symmetry: Record<string, number> = { square: 90, cross: 90, star: 72, triangle: 120 }
    for (const { objects } of of('turns clockwise')) {
      const [{ shape, from, to, size }] = objects
      assert.ok(MOVING_TURNING_SHAPES.includes(shape))
      assert.ok((to.angle - from.angle) / 3 < symmetry[shape] / 2)
      assert.equal(size, 'large')
    }
  })

  test('a caption follows the grammar', () => {
    const named = `an? (${COLOURS.join('|')}) (${SHAPES.join('|')})`
    const sized = `a (${SIZES.join('|')}) (${COLOURS.join('|')}) (${SHAPES.join('|')})`
    const turns = 'turns (clockwise|counter-clockwise)'
    const grammar = new RegExp(
      `^(${sized} moves (left|right|up|down)|${named} (grows|shrinks)|${sized} ${turns}|${sized} and ${sized} (collide|separate))$`,
    )
    for (const scene of scenes(1000)) {
      assert.match(describeMoving(scene), grammar)
      assert.ok(describeMoving(scene).endsWith(scene.action))
    }
    assert.ok(scenes(1000).some(scene => describeMoving(scene).startsWith('an orange')))
  })

  test('held-out pairs never occur in seen clips, and occur in every held-out clip', () => {
    const heldOut = new Set(heldOutPairs)
    const has = ({ objects }: ReturnType<typeof movingScene>) =>
      objects.some(({ colour, shape }) => heldOut.has(pairName(colour, shape)))
    assert.ok(!scenes(1500, { pairs: 'seen' }).some(has))
    assert.ok(scenes(500, { pairs: 'held-out' }).every(has))
  })

  test('the error for an invalid argument names it', () => {
    assert.throws(() => movingExample(-1), /movingExample: index must be a non-negative integer, not -1/)
    assert.throws(() => movingExample(0, { frames: 1 }), /movingExample: a clip has 2 frames or more, not 1/)
    assert.throws(() => movingFrame(movingScene(0), 8, 8), /frame must be an integer from 0 to 7, not 8/)
    assert.throws(() => movingFrame(movingScene(0), 0, 1), /movingFrame: a clip has 2 frames or more, not 1/)
    assert.throws(() => movingExample(0, { pairs: 'some' as 'all' }), /movingExample: pairs .* not 'some'/)
    assert.throws(() => movingExample(0, { actions: ['jumps' as 'grows'] }), /actions .* not 'jumps'/)
    assert.throws(() => movingExample(0, { actions: [] }), /actions .* not none/)
    assert.throws(() => movingExample(0, { frame: 3 } as object), /there is no option frame/)
  })
})

suite('a turned object', () => {
  const background: Scene['background'] = [
    [100, 100, 100],
    [100, 100, 100],
    [100, 100, 100],
    [100, 100, 100],
  ]
  const drawn = (shape: ShapesObject['shape'], angle: number, side = 128) =>
    drawScene(
      { background, objects: [{ size: 'large', colour: 'red', shape, x: 0.5, y: 0.5, radius: 0.3, angle }] },
      side,
    )
  const angles = fc.double({ min: -800, max: 800, noNaN: true })

  test('points where its angle says, clockwise', () => {
    fc.assert(
      fc.property(angles, angle => {
        const pixels = drawn('triangle', angle)
        const red = (degrees: number, share: number) => {
          const direction = (degrees * Math.PI) / 180
          const [x, y] = [Math.sin(direction), -Math.cos(direction)].map(u => Math.floor((0.5 + 0.3 * share * u) * 128))
          return pixels[(y * 128 + x) * 3] > 200
        }
        assert.ok(red(angle, 0.8))
        for (const off of [-40, 40, 90, 270]) assert.ok(!red(angle + off, 0.8), `${off}`)
        assert.ok(!red(angle + 180, 0.95))
        assert.ok(red(angle + 180, 0.75))
      }),
      runs(40),
    )
  })

  test('covers the same area at every angle, and is not cut at the edge of its square', () => {
    const area = (shape: ShapesObject['shape'], angle: number) =>
      drawn(shape, angle).reduce((sum, value, i) => sum + (i % 3 === 0 ? (value - 100) / 122 : 0), 0)
    fc.assert(
      fc.property(fc.constantFrom(...SHAPES), angles, (shape, angle) => {
        const [turned, upright] = [area(shape, angle), area(shape, 0)]
        assert.ok(Math.abs(turned / upright - 1) < 0.01, `${turned} ${upright}`)
      }),
      runs(30),
    )
  })

  test('is, after a quarter turn, the picture turned', () => {
    for (const shape of SHAPES) {
      const [upright, quarter] = [drawn(shape, 0), drawn(shape, 90)]
      let different = 0
      for (let row = 0; row < 128; row++)
        for (let column = 0; column < 128; column++)
          if (upright[(row * 128 + column) * 3] !== quarter[(column * 128 + 127 - row) * 3]) different++
      // a sample that is exactly on an edge may be on either side
      assert.ok(different < 20, `${shape}: ${different}`)
    }
  })
})

suite('a Moving Shapes folder', () => {
  test('has the frames, captions, actions and objects of the dataset', async t => {
    const folder = await temporaryFolder(t)
    const out = join(folder, 'deep', 'train')
    const progress: number[] = []
    const chosen = { seed: 3, pairs: 'seen', frames: 11 } as const
    await writeMovingShapes({ out, count: 5, ...chosen, onProgress: done => progress.push(done) })
    assert.deepEqual(progress, [1, 2, 3, 4, 5])
    const lines = (await readFile(join(out, 'clips.jsonl'), 'utf8')).trimEnd().split('\n')
    assert.equal(lines.length, 5)
    for (const [index, line] of lines.entries()) {
      const { scene, caption, frames } = movingExample(index, chosen)
      const clip = `clips/00000${index}`
      const { action: label, objects } = scene
      assert.deepEqual(JSON.parse(line), JSON.parse(JSON.stringify({ clip, frames: 11, caption, label, objects })))
      const files = (await readdir(join(out, clip))).sort()
      assert.deepEqual([files[0], files[10], files.length], ['frame-00.png', 'frame-10.png', 11])
      for (const [i, file] of files.entries()) {
        const picture = decode(await readFile(join(out, clip, file)))
        assert.deepEqual([picture.width, picture.height, picture.channels], [32, 32, 3])
        assert.deepEqual(new Uint8Array(picture.data), frames[i])
      }
    }
    assert.deepEqual(await readdir(join(folder, 'deep')), ['train'])
  })

  test('is replaced only with force, and other files never', async t => {
    const out = join(await temporaryFolder(t), 'train')
    await writeMovingShapes({ out, count: 2 })
    await assert.rejects(writeMovingShapes({ out, count: 1 }), FolderNotEmptyError)
    await writeMovingShapes({ out, count: 1, force: true })
    assert.deepEqual(await readdir(join(out, 'clips')), ['000000'])
    await assert.rejects(writeShapes({ out, count: 1, force: true }), /clips.* not part of a Shapes folder/)
    await mkdir(join(out, 'images'))
    await writeFile(join(out, 'images', 'mine.png'), 'mine')
    await assert.rejects(
      writeMovingShapes({ out, count: 1, force: true }),
      /holds images\. They are not part of a Moving Shapes folder/,
    )
    assert.equal(await readFile(join(out, 'images', 'mine.png'), 'utf8'), 'mine')
  })

  test('does not exist after its writing is aborted', async t => {
    const folder = await temporaryFolder(t)
    const onProgress = () => {
      throw new Error('stopped')
    }
    await assert.rejects(writeMovingShapes({ out: join(folder, 'train'), count: 3, onProgress }), /stopped/)
    assert.deepEqual(await readdir(folder), [])
    await assert.rejects(writeMovingShapes({ out: folder, count: 0 }), /writeMovingShapes: count must be .* not 0/)
  })
})
