// The classifier of clips: it sees the order of frames by its frame positions alone, and it learns actions that differ only by order.

import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { noGrad } from '../../src/autograd/index.ts'
import { type MovingAction, movingExample, oppositeAction } from '../../src/data/index.ts'
import { VideoClassifier, VideoHead } from '../../src/models/index.ts'
import { ConfigError, lossAndGradients } from '../../src/nn/index.ts'
import { AdamW } from '../../src/optim/index.ts'
import {
  device,
  fromData,
  Generator,
  randn,
  ShapeError,
  scope,
  seed,
  type Tensor,
  tensor,
  zerosLike,
} from '../../src/tensor/index.ts'
import { assertCloseNumbers } from '../support.ts'
import { assertAbove, assertBelow, largestOf, small, stirred } from './small.ts'

const { image } = small
const FRAMES = 3
const clips = randn([2, FRAMES, 3, 8, 8], { dtype: 'float64', generator: new Generator(3) })
const classifier = () => stirred(() => new VideoClassifier({ image, frames: FRAMES, classes: 4 }))
const numbers = (x: Tensor): number[] => [...x.dataSync()]
const ordered = (x: Tensor, order: readonly number[]) => x.take(tensor(order, { dtype: 'int32' }), { axis: 1 })

describe('a classifier of clips', () => {
  it('has other logits if the frames are in another order', () => {
    const model = classifier()
    const logits = model.forward(clips)
    assert.deepEqual(logits.shape, [2, 4])
    for (const order of [
      [2, 1, 0],
      [1, 0, 2],
    ])
      assertAbove(largestOf(model.forward(ordered(clips, order)).sub(logits).dataSync()), 0.01)
  })

  it('has the same logits for any order of the frames if its frame positions are equal', () => {
    const model = classifier()
    model.head.framePositions.assign(zerosLike(model.head.framePositions))
    assertCloseNumbers(numbers(model.forward(ordered(clips, [2, 0, 1]))), numbers(model.forward(clips)), 1e-12)
  })

  it('encodes each frame as an image, and its head can be used on these tokens', () => {
    const model = classifier()
    const tokens = model.frameTokens(clips)
    assert.deepEqual(tokens.shape, [2, FRAMES, 4, image.width])
    const frame = model.encoder.forward(clips.slice([{}, 1]))
    assertCloseNumbers(numbers(tokens.slice([{}, 1])), numbers(frame), 1e-12)
    assertCloseNumbers(numbers(model.head.forward(tokens)), numbers(model.forward(clips)), 1e-12)
  })

  it('trains every parameter', () => {
    const model = classifier()
    const targets = tensor([1, 3], { dtype: 'int32' })
    const { gradients, unused, loss } = lossAndGradients(model, () => model.loss(clips, targets))
    assert.deepEqual([unused, Object.keys(loss)], [[], ['total', 'classification']])
    for (const [name, gradient] of gradients)
      if (!name.endsWith('key.bias')) assertAbove(largestOf(gradient.dataSync()), 0)
  })

  it('has 8 frames unless it is said otherwise, with positions that differ in many columns', () => {
    const { head } = new VideoClassifier({ image, classes: 2 })
    assert.deepEqual(head.framePositions.shape, [8, image.width])
    const data = head.framePositions.dataSync()
    const rows = Array.from({ length: 8 }, (_, i) => [...data.slice(i * image.width, (i + 1) * image.width)])
    for (const [i, row] of rows.entries()) {
      assertCloseNumbers([Math.hypot(...row) / Math.sqrt(image.width)], [2], 1e-5)
      for (const other of rows.slice(i + 1)) assertAbove(Math.hypot(...row.map((x, k) => x - other[k])), 1)
    }
  })

  it('throws errors that say what it expects', () => {
    const model = classifier()
    assert.throws(
      () => model.forward(clips.slice([{}, { stop: 2 }])),
      (error: unknown) =>
        error instanceof ShapeError &&
        /clips must be \[batch, 3 frames, 3, \d+, \d+\], not \[2, 2,/.test(error.message),
    )
    assert.throws(
      () => new VideoHead({ width: 4, heads: 2, classes: 3, frames: 2 }).forward(randn([2, 3, 3, 4])),
      (error: unknown) =>
        error instanceof ShapeError && /tokens must be \[batch, 2 frames, tokens, 4\]/.test(error.message),
    )
    assert.throws(() => new VideoHead({ width: 4, heads: 2, classes: 3 } as never), /frames is missing/)
    assert.throws(
      () => new VideoClassifier({ image: { ...image, patch: 3 }, classes: 2 }),
      (error: unknown) => error instanceof ConfigError && error.field === 'image.patch',
    )
  })
})

describe('Moving Shapes', () => {
  before(() => device.use('cpu'))
  after(() => device.use('reference'))

  const side = 8
  const action: MovingAction = 'moves left'
  const actions = [action, oppositeAction(action)]

  /** Clips of both actions with their numbers, each frame reduced to 8 × 8 pixels. */
  function drawn(from: number, count: number, shuffle?: Generator): { clips: Tensor; targets: Tensor } {
    const size = 3 * side * side
    const pixels = new Float32Array(count * FRAMES * size)
    const targets = new Int32Array(count)
    const step = 32 / side
    for (let i = 0; i < count; i++) {
      const { scene, frames } = movingExample(from + i, { actions, frames: FRAMES, seed: 5 })
      targets[i] = actions.indexOf(scene.action)
      const order = shuffle ? shuffle.permutation(FRAMES) : [0, 1, 2]
      for (const [at, frame] of [...order].entries())
        for (let y = 0; y < 32; y++)
          for (let x = 0; x < 32; x++)
            for (let c = 0; c < 3; c++) {
              const to = (i * FRAMES + at) * size + (c * side + Math.floor(y / step)) * side + Math.floor(x / step)
              pixels[to] += (frames[frame][(y * 32 + x) * 3 + c] / 127.5 - 1) / step ** 2
            }
    }
    return { clips: fromData(pixels, [count, FRAMES, 3, side, side]), targets: fromData(targets, [count]) }
  }

  async function accuracy(model: VideoClassifier, { clips, targets }: ReturnType<typeof drawn>): Promise<number> {
    const logits = await noGrad(() => model.forward(clips)).data()
    const right = [...(await targets.data())].filter((target, i) => logits[2 * i + target] > logits[2 * i + 1 - target])
    return right.length / targets.size
  }

  function trained(hasPositions: boolean): VideoClassifier {
    seed(1)
    const model = new VideoClassifier({
      image: { size: side, patch: 4, width: 16, layers: 1, heads: 4 },
      frames: FRAMES,
      classes: 2,
    })
    if (!hasPositions) {
      model.head.framePositions.assign(zerosLike(model.head.framePositions))
      model.head.framePositions.trainable = false
    }
    const optimizer = new AdamW(model, { learningRate: 5e-3, weightDecay: 0 })
    const batches = Array.from({ length: 10 }, (_, i) => drawn(32 * i, 32))
    for (let i = 0; i < 160; i++) {
      const { clips, targets } = batches[i % batches.length]
      const { gradients } = scope(() => lossAndGradients(model, () => model.loss(clips, targets).total))
      optimizer.step(gradients)
    }
    return model
  }

  it('moves left or right: told apart in order, not with frames shuffled, and not without positions', async () => {
    const unseen = drawn(5000, 200)
    const model = trained(true)
    assertAbove(await accuracy(model, unseen), 0.85)
    assertBelow(await accuracy(model, drawn(5000, 200, new Generator(4))), 0.65)
    assertBelow(await accuracy(trained(false), unseen), 0.65)
  })
})
