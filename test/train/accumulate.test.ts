// A batch in parts against the batch as a whole: the same loss and the same gradients.

import assert from 'node:assert/strict'
import { describe, it, mock } from 'node:test'
import { CoCa, type CoCaConfig } from '../../src/models/index.ts'
import { lossAndGradients, type Parameter } from '../../src/nn/index.ts'
import { defaultGenerator, device, fromData, scope, type Tensor, tensor } from '../../src/tensor/index.ts'
import { accumulateGradients } from '../../src/train/index.ts'
import { arranged, arrangements, coca, ids, pictures, small, withoutPad } from '../models/small.ts'
import { assertCloseNumbers } from '../support.ts'

const images = pictures(5)
const captions = ids([
  [1, 3, 4, 5, 6, 2],
  [1, 5, 3, 2, 0, 0],
  [1, 6, 2, 0, 0, 0],
  [1, 5, 3, 2, 0, 0],
  [1, 2, 0, 0, 0, 0],
])
const groups = tensor([0, 1, 2, 1, 4], { dtype: 'int32' })

function assertSame(model: CoCa, parts: number, options: { readonly groups?: Tensor } = {}): void {
  const whole = lossAndGradients(model, () => model.loss(images, captions, options))
  const { loss, gradients } = accumulateGradients(model, images, captions, { parts, ...options })
  for (const name of ['total', 'contrastive', 'captioning'] as const)
    assertCloseNumbers([...(loss[name]?.dataSync() ?? [])], [...(whole.loss[name]?.dataSync() ?? [])], 1e-12)
  assert.deepEqual([...gradients.keys()].sort(), [...whole.gradients.keys()].sort())
  for (const [name, gradient] of whole.gradients)
    assertCloseNumbers([...(gradients.get(name) as Tensor).dataSync()], [...gradient.dataSync()], 1e-11)
}

describe('a batch in parts has the loss and the gradients of the whole', () => {
  for (const parts of [1, 2, 3, 5])
    it(`in ${parts} parts, of uneven size if necessary`, () => assertSame(coca(), parts))

  for (const arrangement of arrangements)
    it(`with poolers that are ${arrangement}`, () => assertSame(coca(arranged(arrangement)), 2))

  it('with equal captions as positives of each other, across parts', () => assertSame(coca(), 3, { groups }))

  it('with losses that are sums, and other weights', () => {
    const loss: CoCaConfig['loss'] = {
      contrastive: { weight: 0.7, reduction: 'sum' },
      captioning: { weight: 1.3, reduction: 'sum' },
    }
    assertSame(coca({ ...small, loss }), 2)
  })

  for (const arrangement of arrangements)
    for (const [contrastive, captioning] of [
      [1, 0],
      [0, 2],
    ])
      it(`with weights ${contrastive} and ${captioning}, and poolers that are ${arrangement}`, () => {
        const loss = { contrastive: { weight: contrastive }, captioning: { weight: captioning } }
        const model = coca({ ...arranged(arrangement), loss })
        assertSame(model, 2)
      })

  it('without padding, so that every token counts', () => assertSame(coca(withoutPad), 3))

  it('with some parameters frozen', () => {
    const model = coca()
    model.encoder.freeze()
    model.logScale.trainable = false
    assertSame(model, 2)
  })

  it('with only the temperature to train', () => {
    const model = coca().freeze()
    model.logScale.trainable = true
    assertSame(model, 3)
  })
})

it('every parameter is used in every part', () => {
  const emit = mock.method(process, 'emitWarning', () => {})
  try {
    for (const arrangement of arrangements)
      accumulateGradients(coca(arranged(arrangement)), images, captions, { parts: 3 })
    assert.deepEqual(
      emit.mock.calls.map(call => call.arguments[0]),
      [],
    )
  } finally {
    emit.mock.restore()
  }
})

it('computes one part once, and each of several twice', () => {
  const model = coca()
  const forward = mock.method(model.encoder, 'forward')
  for (const [parts, passes] of [
    [1, 1],
    [2, 4],
    [3, 6],
  ]) {
    forward.mock.resetCalls()
    accumulateGradients(model, images, captions, { parts })
    assert.equal(forward.mock.callCount(), passes, `${parts} parts`)
  }
})

it('has in one part the dropout of the loss of the whole', () => {
  const model = coca({ ...small, dropout: 0.3 }).train()
  const { position } = defaultGenerator().state
  const whole = lossAndGradients(model, () => model.loss(images, captions))
  const after = defaultGenerator().state.position
  defaultGenerator().seek(position)
  const { loss, gradients } = accumulateGradients(model, images, captions, { parts: 1 })
  assertCloseNumbers([...loss.total.dataSync()], [...whole.loss.total.dataSync()], 1e-12)
  for (const [name, gradient] of whole.gradients)
    assertCloseNumbers([...gradients.get(name)!.dataSync()], [...gradient.dataSync()], 1e-11)
  assert.equal(defaultGenerator().state.position, after)
})

it('uses the same dropout in both passes: the gradient is that of the reported loss', () => {
  const model = coca({ ...small, dropout: 0.3 }).train()
  const { position } = defaultGenerator().state
  const first = accumulateGradients(model, images, captions, { parts: 2 })
  const after = defaultGenerator().state.position
  // along its own gradient the loss grows by its square, if nothing else changes
  const size = 1e-6
  const moved = (sign: number) => {
    for (const [name, parameter] of model.namedParameters())
      parameter.assign(parameter.add((first.gradients.get(name) as Tensor).mul(sign * size)))
    defaultGenerator().seek(position)
    return accumulateGradients(model, images, captions, { parts: 2 }).loss.total.dataSync()[0]
  }
  const up = moved(1)
  const down = moved(-2)
  const squares = [...first.gradients.values()].reduce((sum, g) => sum + g.square().sum().dataSync()[0], 0)
  assertCloseNumbers([(up - down) / (2 * size * squares)], [1], 1e-6)
  assert.equal(defaultGenerator().state.position, after)
})

describe('on cpu', () => {
  const cpu = device.get('cpu')
  const moved = (x: Tensor): Tensor =>
    fromData(x.dtype === 'int32' ? x.dataSync() : Float32Array.from(x.dataSync()), x.shape, cpu)
  const model = device.with('cpu', () => new CoCa(small))
  for (const [name, parameter] of coca().namedParameters())
    new Map<string, Parameter>(model.namedParameters()).get(name)!.assign(moved(parameter))
  const [pixels, tokens] = [moved(images), moved(captions)]

  it('gradients that share memory are summed separately', () => {
    const whole = lossAndGradients(model, () => model.loss(pixels, tokens))
    const { gradients } = accumulateGradients(model, pixels, tokens, { parts: 3 })
    for (const [name, gradient] of whole.gradients) {
      const expected = [...gradient.dataSync()]
      // softmax does not change with the bias of all keys: its gradient is rounding alone, of the size of that of their weights
      const measure = whole.gradients.get(name.replace(/key\.bias$/, 'key.weight')) as Tensor
      const largest = Math.max(...measure.dataSync().map(Math.abs))
      const actual = [...(gradients.get(name) as Tensor).dataSync()]
      assertCloseNumbers(
        actual.map(x => x / largest),
        expected.map(x => x / largest),
        1e-4,
      )
    }
  })

  it('no part leaks memory', () => {
    const left = (parts: number) => {
      const before = cpu.memory().bytes
      let after = 0
      scope(() => {
        accumulateGradients(model, pixels, tokens, { parts })
        after = cpu.memory().bytes
      })
      return after - before
    }
    assert.ok(left(5) < 1.2 * left(2), `${left(2)} bytes of two parts, ${left(5)} of five`)
  })
})

it('throws for more parts than rows', () => {
  for (const parts of [0, 6, 1.5])
    assert.throws(
      () => accumulateGradients(coca(), images, captions, { parts }),
      new RegExp(`parts must be 1 … 5, the size of the batch, not ${parts}`),
    )
})

it('throws for a model that does not say how its contrastive loss is defined', () => {
  const model = Object.defineProperty(coca(), 'contrast', { value: undefined })
  for (const parts of [1, 2])
    assert.throws(
      () => accumulateGradients(model, images, captions, { parts }),
      /TypeError: CoCa has a contrastive loss, but no field contrast/,
    )
})
