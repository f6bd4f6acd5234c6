// Learning rates of parts of a model.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createModel, type FamilyName } from '../../src/models/index.ts'
import { Linear, Module, type Parameter, TransformerBlock } from '../../src/nn/index.ts'
import { LearningRateError, learningRateFactors, learningRateGroups, type RateOptions } from '../../src/optim/index.ts'
import { ArgumentError, OptionsError } from '../../src/tensor/index.ts'
import { assertCloseNumbers } from '../support.ts'
import { tinyModel } from '../train/tiny.ts'
import { algorithms, gradientsAt, Loose, snapshot, TwoLayers } from './plain.ts'

const wide = { ...tinyModel, image: { ...tinyModel.image, layers: 3 } }
const { image, text, embedding } = wide
const models: Partial<Record<FamilyName, object>> = {
  coca: wide,
  'dual-encoder': { image, text, embedding },
  captioner: { image, text },
  classifier: { image, classes: 3 },
}
const make = (family: FamilyName) => createModel(family, models[family] as never) as Module

const refused = (model: Module, options: RateOptions, setting: string, reason: RegExp) =>
  assert.throws(
    () => learningRateFactors(model, options),
    (error: unknown) => {
      assert.ok(error instanceof LearningRateError, String(error))
      assert.equal(error.setting, setting)
      assert.match(error.message, reason)
      return true
    },
  )

describe('a step with a factor', () => {
  for (const [name, algorithm] of Object.entries(algorithms))
    test(`${name} moves exactly as with that share of the learning rate`, () => {
      const [all, part] = [new Loose(), new Loose()]
      const slow = algorithm(all)
      const mixed = algorithm(part, {
        groups: [{ match: parameter => parameter === 'matrix', learningRateFactor: 0.25 }],
      })
      for (let step = 0; step < 5; step++) {
        slow.step(gradientsAt(all, step), 0.25 * 0.04)
        mixed.step(gradientsAt(part, step), 0.04)
      }
      assert.deepEqual(snapshot(part).matrix, snapshot(all).matrix)
      assert.notDeepEqual(snapshot(part).vector, snapshot(all).vector)
      assert.deepEqual(
        [...mixed.learningRateFactors],
        [
          ['matrix', 0.25],
          ['vector', 1],
          ['stack', 1],
        ],
      )
      part.stack.trainable = false
      assert.equal(mixed.learningRateFactors.has('stack'), false)
    })

  test('learningRateGroups gives the factors and leaves biases without weight decay', () => {
    const rates = { first: 0.5, 'first.bias': 0.25 }
    for (const [name, factor, decays] of [
      ['first.weight', 0.5, true],
      ['first.bias', 0.25, false],
      ['second.weight', 1, true],
      ['second.bias', 1, false],
    ] as const) {
      const model = new TwoLayers()
      const grouped = algorithms.AdamW(model, { weightDecay: 0.5, groups: learningRateGroups(model, { rates }) })
      assert.equal(grouped.learningRateFactors.get(name), factor)
      const twin = new TwoLayers().loadStateDict(model.stateDict())
      const plain = algorithms.AdamW(twin, { weightDecay: decays ? 0.5 : 0 })
      const gradients = () => new Map([...gradientsAt(model, 0)].map(([key, value]) => [key, value.cast('float32')]))
      grouped.step(gradients(), 0.125)
      plain.step(gradients(), 0.125 * factor)
      assert.deepEqual(snapshot(model)[name], snapshot(twin)[name], name)
    }
  })
})

describe('rates', () => {
  test('the most specific path applies', () => {
    const factors = learningRateFactors(make('coca'), {
      rates: {
        'encoder.blocks.1': 0.3,
        encoder: 0.1,
        'encoder.blocks.0-1': 0.2,
        'encoder.blocks.1.mlp': 2,
        logScale: 3,
      },
    })
    for (const [name, factor] of [
      ['encoder.positions', 0.1],
      ['encoder.blocks.0.attention.query.weight', 0.2],
      ['encoder.blocks.1.attention.query.weight', 0.3],
      ['encoder.blocks.2.attention.query.weight', 0.1],
      ['logScale', 3],
      ['imageProjection.weight', 1],
    ] as const)
      assert.equal(factors.get(name), factor, name)
    const mlp = [...factors].filter(([name]) => name.startsWith('encoder.blocks.1.mlp.'))
    assert.ok(mlp.length > 0 && mlp.every(([, factor]) => factor === 2))
    assert.equal(factors.size, [...make('coca').namedParameters()].length)
  })

  test('what cannot be meant is refused', () => {
    const coca = make('coca')
    refused(coca, { rates: { encoder: 0 } }, 'rates.encoder', /must be above 0, not 0; freeze a part/)
    refused(coca, { rates: { encoder: -1 } }, 'rates.encoder', /must be a number above 0, not -1/)
    refused(coca, { rates: { encoder: Number.NaN } }, 'rates.encoder', /not NaN/)
    refused(coca, { rates: { encode: 0.1 } }, 'rates.encode', /matches nothing in this model, which has encoder, /)
    const overlapping = { 'encoder.blocks.0-1': 0.1, 'encoder.blocks.1-2': 0.2 }
    refused(
      coca,
      { rates: overlapping },
      'rates.encoder.blocks.1-2',
      /and encoder.blocks.0-1 both match encoder.blocks.1/,
    )
    const frozen = new TwoLayers()
    frozen.first.freeze()
    refused(frozen, { rates: { first: 0.1 } }, 'rates.first', /has no effect: first.weight, first.bias are frozen/)
    assert.throws(() => learningRateFactors(coca, { rates: { encoder: '0.1' } } as never), OptionsError)
    assert.throws(() => learningRateFactors(coca, { rate: {} } as never), /there is no option rate/)
    assert.throws(() => learningRateGroups({} as never), ArgumentError)
  })
})

describe('layerDecay', () => {
  /** The factors of all parameters under a prefix, once each. */
  const under = (factors: ReadonlyMap<string, number>, prefix: string) => [
    ...new Set([...factors].flatMap(([name, factor]) => (name.startsWith(prefix) ? [factor] : []))),
  ]

  for (const family of Object.keys(models) as FamilyName[])
    test(`decays over the towers of a ${family}, from the head to the patches`, () => {
      const factors = learningRateFactors(make(family), { layerDecay: 0.5 })
      assert.deepEqual(
        ['patches', 'positions', 'blocks.0.', 'blocks.1.', 'blocks.2.'].map(part => under(factors, `encoder.${part}`)),
        [[0.0625], [0.0625], [0.125], [0.25], [0.5]],
      )
      const lower = family === 'coca' ? 'unimodal.' : 'text.'
      if (family !== 'classifier')
        assert.deepEqual(
          ['embedding', 'classToken', 'positions', 'blocks.0.', 'norm'].map(part => under(factors, lower + part)),
          [[0.25], [0.25], [0.25], [0.5], [1]],
        )
      const upper = family === 'coca' ? 'multimodal.' : 'decoder.'
      if (family === 'coca' || family === 'captioner')
        assert.deepEqual(
          ['blocks.0.', 'norm', 'output'].map(part => under(factors, upper + part)),
          [[0.5], [1], [1]],
        )
      for (const part of ['generativePooler', 'contrastivePooler', 'pooler', 'logScale', 'imageProjection', 'head'])
        for (const factor of under(factors, part)) assert.equal(factor, 1, part)
    })

  test('multiplies with rates, and counts a tower within what is before another one by itself', () => {
    class Frames extends Module {
      readonly encoder = (make('classifier') as unknown as { encoder: Module }).encoder
      readonly temporal = [0, 1].map(() => new TransformerBlock({ width: 8, heads: 2 }))
      readonly projection = new Linear(8, 8)
      readonly heads = [new Linear(8, 2)]
    }
    const factors = learningRateFactors(new Frames(), { layerDecay: 0.5, rates: { temporal: 0.1 } })
    assert.deepEqual(under(factors, 'encoder.patches'), [0.0625])
    assertCloseNumbers(under(factors, 'temporal.0'), [0.025])
    assertCloseNumbers(under(factors, 'temporal.1'), [0.05])
    // before the list of heads, which is a list of modules too
    assert.deepEqual([under(factors, 'projection'), under(factors, 'heads.0')], [[0.25], [0.5]])
  })

  test('a decay of 1 changes nothing, and one that cannot be is refused', () => {
    const coca = make('coca')
    assert.ok([...learningRateFactors(coca, { layerDecay: 1 }).values()].every(factor => factor === 1))
    for (const layerDecay of [0, -0.5, 1.5, Number.NaN])
      refused(coca, { layerDecay }, 'layerDecay', /must be above 0 and at most 1/)
    refused(new TwoLayers(), { layerDecay: 0.5 }, 'layerDecay', /no module of this model has a list of modules/)
    const shared: Parameter[] = coca.parameters()
    assert.equal(learningRateFactors(coca, { layerDecay: 0.5 }).size, shared.length)
  })
})
