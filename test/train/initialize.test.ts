// Finetuning: copied, resized, fresh and frozen parameters.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CoCa } from '../../src/models/index.ts'
import { lossAndGradients, resizeGrid } from '../../src/nn/index.ts'
import { AdamW } from '../../src/optim/index.ts'
import type { Tensor } from '../../src/tensor/index.ts'
import { freezeParts, InitializationError, initializeFrom } from '../../src/train/index.ts'
import { arranged, coca, pictures, small, texts } from '../models/small.ts'
import { assertCloseNumbers } from '../support.ts'

const numbers = (x: Tensor): number[] => [...x.dataSync()]
const parameter = (model: CoCa, name: string) => new Map(model.namedParameters()).get(name) as Tensor

describe('a model initialized from another one', () => {
  it('computes the same as the other one', () => {
    const [source, model] = [coca(small, 1), coca(small, 2)]
    const { copied, resized, fresh, unused } = initializeFrom(model, source)
    assert.deepEqual([resized, fresh, unused], [[], [], []])
    assert.equal(copied.length, [...source.namedParameters()].length)
    const [a, b] = [source, model].map(each => each.forward(pictures(3), texts))
    assertCloseNumbers(numbers(b.logits), numbers(a.logits), 0)
    assertCloseNumbers(numbers(b.image), numbers(a.image), 0)
  })

  it('does not share memory with it', () => {
    const [source, model] = [coca(small, 1), coca(small, 2)]
    initializeFrom(model, source)
    const before = numbers(source.logScale)
    model.logScale.assign(model.logScale.add(1))
    assert.deepEqual(numbers(source.logScale), before)
  })

  it('interpolates positions for larger images', () => {
    const larger = { ...small, image: { ...small.image, size: 16 } }
    const [source, model] = [coca(small, 1), coca(larger, 2)]
    assert.deepEqual(initializeFrom(model, source).resized, ['encoder.positions'])
    const expected = resizeGrid(source.encoder.positions, 2, 4)
    assertCloseNumbers(numbers(model.encoder.positions), numbers(expected), 0)
  })

  it('copies the position of the class token', () => {
    const withClass = { ...small, image: { ...small.image, classToken: true } }
    const larger = { ...withClass, image: { ...withClass.image, size: 12 } }
    const [source, model] = [coca(withClass, 1), coca(larger, 2)]
    initializeFrom(model, source)
    const width = small.image.width
    assert.deepEqual(
      numbers(model.encoder.positions).slice(0, width),
      numbers(source.encoder.positions).slice(0, width),
    )
    assert.deepEqual(model.encoder.positions.shape, [10, width])
  })

  it('copies the positions of shorter texts, and that of [CLS]', () => {
    const shorter = { ...small, text: { ...small.text, context: 4 } }
    const [source, model] = [coca(small, 1), coca(shorter, 2)]
    assert.deepEqual(initializeFrom(model, source).resized, ['unimodal.positions'])
    const [from, to] = [source, model].map(each => numbers(each.unimodal.positions))
    const width = small.text.width
    assert.deepEqual(to, [...from.slice(0, 4 * width), ...from.slice(-width)])
  })

  it('does not copy parts listed in fresh, such as another pooler', () => {
    const [source, model] = [coca(arranged('cascade'), 1), coca({ ...small, pooler: { queries: 5, heads: 1 } }, 2)]
    const before = numbers(model.generativePooler!.queries)
    const { fresh } = initializeFrom(model, source, { fresh: ['generativePooler', 'contrastivePooler.queries'] })
    assert.ok(
      fresh.includes('contrastivePooler.queries') && fresh.includes('generativePooler.attention.key.weight'),
      `${fresh}`,
    )
    assert.deepEqual(numbers(model.generativePooler!.queries), before)
    assert.deepEqual(numbers(model.logScale), numbers(source.logScale))
  })

  it('throws for weights that do not fit, with name and shape, and is unchanged', () => {
    const [source, model] = [coca(small, 1), coca({ ...small, pooler: { queries: 5, heads: 2 } }, 2)]
    const before = numbers(model.logScale)
    assert.throws(
      () => initializeFrom(model, source, { file: 'runs/old' }),
      (error: Error) =>
        error instanceof InitializationError &&
        /runs\/old: .*generativePooler\.queries is \[3, 8\] there, but \[5, 8\] here.*fresh/.test(error.message),
    )
    assert.deepEqual(numbers(model.logScale), before)
  })
})

describe('a frozen part', () => {
  const trained = (paths: readonly string[]) => {
    const model = coca()
    freezeParts(model, paths)
    const before = new Map([...model.namedParameters()].map(([name, x]) => [name, numbers(x)]))
    const { gradients } = lossAndGradients(model, () => model.loss(pictures(3), texts))
    new AdamW(model, { learningRate: 0.1 }).step(gradients)
    const moved = [...before].filter(([name, x]) => numbers(parameter(model, name)).some((y, i) => y !== x[i]))
    return { all: [...before.keys()], moved: moved.map(([name]) => name) }
  }

  it('does not change, and the others do', () => {
    const { all, moved } = trained(['encoder', 'logScale'])
    assert.deepEqual(
      moved,
      all.filter(name => !name.startsWith('encoder.') && name !== 'logScale'),
    )
  })

  it('may be an inclusive range of layers', () => {
    const { all, moved } = trained(['unimodal.blocks.0-0', 'multimodal.blocks.1-7'])
    assert.deepEqual(
      all.filter(name => !moved.includes(name)),
      all.filter(name => /^(unimodal\.blocks\.0|multimodal\.blocks\.1)\./.test(name)),
    )
  })

  it('may not be the whole model', () => {
    const all = [...new Set([...coca().namedParameters()].map(([name]) => name.split('.')[0]))]
    freezeParts(coca(), all.slice(1))
    assert.throws(() => freezeParts(coca(), all), /freeze: encoder, .* nothing is left to train/)
  })

  it('must exist', () => {
    assert.throws(
      () => freezeParts(coca(), ['visual.blocks']),
      /freeze: 'visual\.blocks' matches nothing in this model.*encoder/,
    )
    assert.throws(() => freezeParts(coca(), ['encoder.blocks.4-9']), InitializationError)
  })
})
