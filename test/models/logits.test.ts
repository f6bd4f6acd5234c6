// Logits that are not finite: -∞ excludes a token, and all others throw an error that names the token.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { adjusted, checkAllowed, drawFrom, largest, largestOf } from '../../src/models/generation/sampling.ts'
import { type CaptionDecoder, type GenerateOptions, generate, LogitsError, stream } from '../../src/models/index.ts'
import { device, Generator, tensor } from '../../src/tensor/index.ts'
import { fc, runs } from '../support.ts'
import { coca, end, pictures, small, start } from './small.ts'

const model = coca()
const images = pictures(3)
const { vocabulary } = small.text

/** The model with other logits: `change` gets the number of tokens so far, the row, and the row's logits. */
const spoiled = (change: (position: number, row: number, logits: Float64Array) => void): CaptionDecoder => ({
  config: model.config,
  startDecoding: x => model.startDecoding(x),
  decode(ids, state, onWeights) {
    const logits = model.decode(ids, state, onWeights).dataSync() as Float64Array
    for (let row = 0; row * vocabulary < logits.length; row++)
      change(state.ids!.shape[1], row, logits.subarray(row * vocabulary, (row + 1) * vocabulary))
    return tensor(logits, { shape: [logits.length / vocabulary, vocabulary] })
  },
})

const written = async (decoder: CaptionDecoder, options: GenerateOptions) => {
  const ids: number[] = []
  for await (const { id } of stream(decoder, images.slice([{ stop: 1 }]), options)) ids.push(id)
  return ids
}

const ways: Record<string, Partial<GenerateOptions>> = {
  'greedy decoding': {},
  'greedy decoding without a cache': { cache: false },
  sampling: { sample: true, generator: new Generator(1) },
  'beam search': { beams: 3 },
  'a search with diverse beams': { beams: 4, groups: 2 },
}

const stops = (promise: Promise<unknown>, message: RegExp, place: LogitsError['place'], value: number) =>
  assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof LogitsError, String(error))
    assert.match(error.message, message)
    assert.deepEqual([error.place, error.value], [place, value])
    return true
  })

for (const [name, way] of Object.entries(ways))
  describe(name, () => {
    const options = { start, ...way }
    const beam = way.beams === undefined ? {} : { beam: 0 }

    for (const value of [Number.NaN, Infinity])
      it(`throws for a logit of ${value}, and names token, image and beam`, async () => {
        const last = way.beams ?? 1
        const decoder = spoiled((position, row, logits) => {
          if (position === 3 && row === last) logits[4] = value
        })
        await stops(
          generate(decoder, images, options),
          new RegExp(
            `^the logit of id 4 for token 3 of image 1${way.beams ? ', beam 0' : ''} is ${value}: .* NaN in its`,
          ),
          { image: 1, position: 3, ...beam },
          value,
        )
      })

    it('throws if every token is ruled out', () =>
      stops(
        generate(
          spoiled((position, _, logits) => void (position === 2 && logits.fill(-Infinity))),
          images,
          options,
        ),
        /^every logit for token 2 of image 0.* is -Infinity: the model rules out all tokens; a mask must leave one$/,
        { image: 0, position: 2, ...beam },
        -Infinity,
      ))

    it('throws if the options exclude all tokens that the model allows', () =>
      stops(
        generate(
          spoiled((_, __, logits) => {
            for (let id = 0; id < vocabulary; id++) if (id !== end) logits[id] = -Infinity
          }),
          images,
          { ...options, end, minimumLength: 4 },
        ),
        /every token that is left for token 1 of image 0.* is -Infinity: the model rules out all others, .* before minimumLength/,
        { image: 0, position: 1, ...(way.groups ? { beam: 0 } : {}) },
        -Infinity,
      ))

    it('generates only tokens that the model does not rule out', async () => {
      const masked = spoiled((_, __, logits) => logits.fill(-Infinity, 0, 4))
      const captions = await generate(masked, images, options)
      for (const { ids, logProbability } of captions.flatMap(best => [best, ...best.alternatives])) {
        assert.equal(ids.length, small.text.context)
        assert.ok(
          ids.slice(1).every(id => id >= 4),
          String(ids),
        )
        assert.ok(Number.isFinite(logProbability), String(logProbability))
      }
    })

    it('frees its memory if it throws', async () => {
      const before = device.get('reference').memory().buffers
      const decoder = spoiled((position, _, logits) => void (position === 3 && logits.fill(Number.NaN)))
      await assert.rejects(generate(decoder, images, options), LogitsError)
      const left = device.get('reference').memory().buffers - before
      // what the changed model computes is found by the garbage collector
      assert.ok(left <= 12, `${left} buffers are left`)
    })
  })

it('errors of ragged prompts name the image of the beam', () =>
  stops(
    generate(
      spoiled((position, _, logits) => void (position === 5 && logits.fill(Number.NaN))),
      images,
      { start, beams: 2, maximumLength: 6, prompts: [[1], [1, 3, 4, 5, 6, 3], [1]] },
    ),
    /of image 0, beam 0/,
    { image: 0, position: 5, beam: 0 },
    Number.NaN,
  ))

it('a search of ragged prompts counts images from the first one', () =>
  stops(
    generate(
      spoiled((position, _, logits) => void (position === 3 && logits.fill(Number.NaN))),
      images,
      {
        start,
        beams: 2,
        prompts: [
          [1, 3, 4, 5, 6, 3],
          [1, 3, 4],
          [1, 3, 4, 5],
        ],
      },
    ),
    /of image 1 is NaN/,
    { image: 1, position: 3 },
    Number.NaN,
  ))

it('a stream stops after the tokens that were finite', async () => {
  const decoder = spoiled((position, _, logits) => void (position === 3 && logits.fill(Number.NaN)))
  const tokens = stream(decoder, images.slice([{ stop: 1 }]), { start })
  const seen: number[] = []
  await stops(
    (async () => {
      for await (const { id } of tokens) seen.push(id)
    })(),
    /token 3 of image 0/,
    { image: 0, position: 3 },
    Number.NaN,
  )
  assert.deepEqual(seen, (await written(model, { start })).slice(0, 2))
})

describe('choosing', () => {
  const numbers = fc.array(fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(NaN, -Infinity)), {
    minLength: 1,
    maxLength: 20,
  })

  it('orders NaN last', () => {
    fc.assert(
      fc.property(numbers, fc.integer({ min: 1, max: 25 }), (list, n) => {
        const values = Float64Array.from(list)
        const rank = (id: number) => (Number.isNaN(values[id]) ? 1 : 0)
        const sorted = [...values.keys()].sort(
          (a, b) => rank(a) - rank(b) || (values[a] > values[b] ? -1 : values[a] < values[b] ? 1 : a - b),
        )
        assert.deepEqual(largest(values, n), sorted.slice(0, n))
        assert.equal(largestOf(values), sorted[0])
      }),
      runs(300),
    )
  })

  it('draws the likeliest tokens equally often at any temperature near 0', () => {
    const logs = Float64Array.of(-3, -0.5, -1, -0.5, -Infinity)
    const generator = new Generator(1)
    for (const temperature of [1e-3, 1e-300, Number.MIN_VALUE]) {
      const drawn = Array.from({ length: 200 }, () => drawFrom(logs, { temperature, generator }))
      const counts = [1, 3].map(id => drawn.filter(each => each === id).length)
      assert.equal(counts[0] + counts[1], 200)
      assert.ok(Math.abs(counts[0] - 100) < 40, `${counts}`)
    }
  })

  it('excludes only the tokens of earlier groups if the diversity is infinite', async () => {
    const [{ ids, alternatives }] = await model.generate(images, { start, beams: 2, groups: 2, diversity: 1e300 })
    const [{ ids: same, alternatives: others }] = await model.generate(images, {
      start,
      beams: 2,
      groups: 2,
      diversity: Infinity,
    })
    assert.deepEqual([same, others.map(each => each.ids)], [ids, alternatives.map(each => each.ids)])
  })

  it('has a token left unless all are ruled out', () => {
    const settings = { repetitionPenalty: 1, minimumLength: 3, end: 1, pad: 0 }
    const place = { image: 0, position: 1 }
    checkAllowed(adjusted(Float64Array.of(-1, -1, -1), [2], settings), place)
    assert.throws(() => checkAllowed(adjusted(Float64Array.of(-1, -1, -Infinity), [2], settings), place), LogitsError)
  })
})
