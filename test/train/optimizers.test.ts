// Every optimizer that a configuration can name: it gets its settings, and a run that was stopped continues with its state to the bit.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import '../reference.ts'
import { CoCa } from '../../src/models/index.ts'
import { Muon } from '../../src/optim/index.ts'
import { checkRunConfig, type OptimizerName, optimizerNames, resumeTraining, train } from '../../src/train/index.ts'
import { freezeParts } from '../../src/train/initialize.ts'
import { optimizerFor } from '../../src/train/setup.ts'
import { temporaryFolder } from '../data/folder.ts'
import { outcome, pictures, tinyConfig, tinyModel } from './tiny.ts'

/** Each optimizer with all of its settings, none of which is its default. */
const all: Readonly<Record<OptimizerName, Record<string, unknown>>> = {
  adamw: { betas: [0.8, 0.9], epsilon: 1e-4 },
  adam: { betas: [0.8, 0.9], epsilon: 1e-4 },
  adafactor: { betas: [0.8, 0.9], epsilon: 1e-20, decayRate: 0.7, clipThreshold: 2, relativeStep: true },
  lion: { betas: [0.8, 0.9] },
  rmsprop: { alpha: 0.9, epsilon: 1e-4, momentum: 0.5, centered: true },
  adagrad: { epsilon: 1e-4 },
  muon: {
    matrices: ['encoder.blocks', 'imageProjection'],
    momentum: 0.8,
    nesterov: false,
    iterations: 3,
    scale: 'original',
    betas: [0.8, 0.9],
    epsilon: 1e-4,
  },
  sgd: { momentum: 0.5, nesterov: true },
}

const model = () => new CoCa(tinyModel)
const made = (settings: Record<string, unknown>, of = model()) =>
  optimizerFor(of, tinyConfig('x', { optimizer: settings }))

describe('the optimizer of a configuration', () => {
  it('can be any of them', () => {
    assert.deepEqual(Object.keys(all).sort(), [...optimizerNames].sort())
    for (const name of optimizerNames) assert.equal(made({ name }).algorithm.toLowerCase(), name)
  })

  for (const name of optimizerNames)
    it(`gives ${name} its settings, and refuses those of others by name`, () => {
      const { matrices: _, ...own } = all[name]
      const optimizer = made({ name, ...all[name], learningRate: 0.02, weightDecay: 0.3 }) as unknown as Record<
        string,
        unknown
      >
      const found = { ...optimizer, ...(optimizer.settings as object) } as Record<string, unknown>
      const { betas, ...rest } = own
      const expected = name === 'adafactor' ? { ...rest, beta1: 0.8, beta2: 0.9 } : own
      for (const [setting, value] of Object.entries(expected)) assert.deepEqual(found[setting], value, setting)
      assert.equal(optimizer.learningRate, 0.02)
      const settings = new Set(Object.values(all).flatMap(Object.keys))
      const values = Object.assign({}, ...Object.values(all)) as Record<string, unknown>
      for (const setting of settings)
        if (!(setting in all[name]))
          assert.throws(() => made({ name, [setting]: values[setting] }), {
            name: 'RunConfigError',
            message: `optimizer.${setting}: is not a setting of ${name}`,
          })
    })

  for (const name of optimizerNames)
    it(`continues with the state of ${name} to the bit`, async t => {
      const folder = await temporaryFolder(t)
      const data = await pictures(folder, 8)
      const optimizer = { name, ...all[name], weightDecay: 0.1, learningRate: 0.01 }
      const config = () => tinyConfig(data, { steps: 4, optimizer })
      const [whole, parts] = [join(folder, 'whole'), join(folder, 'parts')]
      await train(whole, config())
      const stop = new AbortController()
      await train(parts, config(), { signal: stop.signal, onStep: ({ step }) => void (step === 2 && stop.abort()) })
      assert.equal((await resumeTraining(parts)).step, 4)
      assert.deepEqual(await outcome(parts, 4), await outcome(whole, 4))
    })
})

describe('the matrices of muon', () => {
  const momenta = (settings: Record<string, unknown>, of = model()) => {
    const optimizer = made({ name: 'muon', ...settings }, of)
    const shapes = (optimizer as unknown as { slotShapes(p: unknown): object }).slotShapes.bind(optimizer)
    return [...of.namedParameters()].flatMap(([name, p]) => ('momentum' in shapes(p) ? [name] : []))
  }

  it('are those in lists of layers, or those of the parts that are named', () => {
    const all = [...model().namedParameters()]
    const blocks = all.filter(([name, { rank }]) => rank === 2 && name.includes('.blocks.')).map(([name]) => name)
    assert.ok(blocks.length > 10)
    assert.deepEqual(momenta({}), blocks)
    assert.deepEqual(
      momenta({ matrices: ['unimodal.blocks.0-3'] }),
      blocks.filter(name => name.startsWith('unimodal.')),
    )
    const defaults = made({ name: 'muon' }) as Muon
    assert.ok(defaults instanceof Muon)
    assert.equal(defaults.settings.scale, 'adamw')
  })

  it('are refused if there are none', () => {
    assert.throws(
      () => momenta({ matrices: ['decoder'] }),
      /^RunConfigError: optimizer\.matrices: decoder matches nothing in this model, which has/,
    )
    assert.throws(
      () => momenta({ matrices: ['logScale'] }),
      /optimizer\.matrices: logScale has no matrix, only logScale/,
    )
    const frozen = model()
    freezeParts(frozen, ['encoder'])
    assert.throws(() => momenta({ matrices: ['encoder'] }, frozen), /no parameter that is trained: they are frozen/)
  })

  it('are part of a configuration that is written and read', () => {
    const config = checkRunConfig({ data: 'x', steps: 1, model: 'tiny', optimizer: { name: 'muon', ...all.muon } })
    assert.deepEqual(checkRunConfig(JSON.parse(JSON.stringify(config))), config)
  })
})
