// Beam search against exhaustive search, and diverse groups.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { beamSearch } from '../../src/models/generation/beam.ts'
import { checkGenerateOptions } from '../../src/models/generation/options.ts'
import type { Caption, CoCaConfig, GenerateOptions } from '../../src/models/index.ts'
import { assertCloseNumbers } from '../support.ts'
import { type Exhaustive, exhaustive, type Found } from './search.ts'
import { assertAbove, assertBelow, coca, ids, pictures, small, withoutPad } from './small.ts'

// four tokens and captions of up to four: a start and every way to go on
const fourWords: CoCaConfig = {
  ...withoutPad,
  text: { ...withoutPad.text, vocabulary: 4, context: 5, unimodalLayers: 1, multimodalLayers: 1 },
}
const [start, end] = [0, 3]
const images = pictures(2)
const one = (image: number) => images.slice([{ start: image, stop: image + 1 }])

const all = (caption: Caption): readonly Caption[] => [caption, ...caption.alternatives]

function assertFound(actual: readonly Caption[], expected: readonly Found[]): void {
  assert.deepEqual(
    actual.map(caption => caption.ids),
    expected.map(caption => caption.ids),
  )
  for (const field of ['logProbability', 'score'] as const)
    assertCloseNumbers(
      actual.map(caption => caption[field]),
      expected.map(caption => caption[field]),
      1e-12,
    )
  assert.deepEqual(
    actual.map(caption => caption.finished),
    expected.map(caption => caption.finished),
  )
}

describe('a beam that covers all sequences', () => {
  const settings: Record<string, Partial<Exhaustive>> = {
    'without an end': { end: undefined },
    'with an end': {},
    'that rewards length': { lengthPenalty: 1 },
    'that rewards length much': { lengthPenalty: 2.5 },
    'that punishes length': { lengthPenalty: -0.7 },
    'with a shortest length': { minimumLength: 3, lengthPenalty: 0.5 },
    'that penalises repetition': { repetitionPenalty: 1.4 },
    'after a longer prompt': { prompt: [start, 2] },
  }
  for (const [name, options] of Object.entries(settings)) {
    it(`finds the result of an exhaustive search, ${name}`, async () => {
      for (const number of [1, 2, 3]) {
        const model = coca(fourWords, number)
        const { prompt, ...asked } = { prompt: [start], end, maximumLength: 4, ...options }
        const expected = [0, 1].map(image => exhaustive(model, one(image), { prompt, ...asked }))
        // 27 hypotheses are as many as can be running: the 27 best must come out, although the search may end early
        for (const beams of [27, 100]) {
          const captions = await model.generate(images, { start, prompts: [prompt, prompt], ...asked, beams })
          for (const [image, caption] of captions.entries()) assertFound(all(caption), expected[image].slice(0, beams))
        }
      }
    })
  }

  it('stops early only if no better caption is possible, for any length penalty', async () => {
    // one word and an end: one hypothesis goes on at a time, so two beams lose nothing but what ends badly
    const oneWord = { ...fourWords, text: { ...fourWords.text, vocabulary: 2, context: 6 } }
    const asked = { end: 1, maximumLength: 6 }
    for (let number = 1; number <= 6; number++) {
      const model = coca(oneWord, number)
      for (const lengthPenalty of [-1, 0, 0.5, 1, 2, 4]) {
        const expected = exhaustive(model, one(0), { prompt: [start], lengthPenalty, ...asked })
        for (const beams of [2, 3]) {
          const [caption] = await model.generate(one(0), { start, lengthPenalty, beams, ...asked })
          assertFound(all(caption), expected.slice(0, beams))
        }
      }
    }
  })

  it('finds the best caption if a greedy search does not', async () => {
    let better = 0
    for (let number = 1; number <= 12; number++) {
      const model = coca(fourWords, number, 0.5)
      const [greedy] = await model.generate(one(0), { start, maximumLength: 4 })
      const [beam] = await model.generate(one(0), { start, maximumLength: 4, beams: 16 })
      assertAbove(beam.score, greedy.score - 1e-12)
      if (beam.score > greedy.score + 1e-9) better++
    }
    assertAbove(better, 0)
  })
})

describe('a beam of one', () => {
  const ways: Record<string, GenerateOptions> = {
    'without an end': { start },
    'with an end': { start, end },
    'with repetitions penalised': { start, end, repetitionPenalty: 1.5 },
    'with a shortest length': { start, end, minimumLength: 4 },
  }
  for (const [name, options] of Object.entries(ways)) {
    it(`is greedy, ${name}`, async () => {
      for (const number of [1, 2, 3, 4]) {
        const model = coca(fourWords, number)
        const beam = await beamSearch(model, images, checkGenerateOptions(model, images.shape[0], options))
        const greedy = await model.generate(images, options)
        for (const [i, { ids, logProbability, score, finished, alternatives }] of beam.entries()) {
          assert.deepEqual([ids, finished, alternatives], [greedy[i].ids, greedy[i].finished, []])
          assertCloseNumbers([logProbability, score], [greedy[i].logProbability, greedy[i].score], 1e-12)
        }
      }
    })
  }
})

describe('the captions of a beam search', () => {
  const model = coca(small)
  const ways: Record<string, GenerateOptions> = {
    plain: { start: 1, end: 2, beams: 5 },
    'without an end': { start: 1, beams: 5 },
    'by length': { start: 1, end: 2, beams: 4, lengthPenalty: 1 },
    'in groups': { start: 1, end: 2, beams: 6, groups: 3 },
    'in groups of one': { start: 1, end: 2, beams: 4, groups: 4, diversity: 0.1 },
    'in groups that do not mind': { start: 1, end: 2, beams: 6, groups: 2, diversity: 0 },
  }
  for (const [name, options] of Object.entries(ways)) {
    it(`are sorted by their scores and distinct: ${name}`, async () => {
      for (const caption of await model.generate(images, options)) {
        const found = all(caption)
        assertBelow(found.length, options.beams! + 1)
        for (const [i, { score, alternatives }] of found.entries()) {
          if (i === 0) continue
          assert.ok(score <= found[i - 1].score, `${score} comes after ${found[i - 1].score}`)
          assert.deepEqual(alternatives, [])
        }
        assert.equal(new Set(found.map(({ ids }) => ids.join())).size, found.length)
        for (const { ids, finished } of found) assert.equal(finished, ids.at(-1) === options.end)
      }
    })
  }

  it('are as many as the beams, without groups', async () => {
    for (const beams of [2, 3, 5, 8])
      for (const caption of await model.generate(images, { start: 1, end: 2, beams }))
        assert.equal(all(caption).length, beams)
  })

  it('do not depend on the rest of the batch or the lengths of other prompts', async () => {
    const options = { start: 1, end: 2, beams: 3, groups: 3 }
    const prompts = [[1, 4], [1]]
    const together = await model.generate(images, { ...options, prompts })
    for (const [i, prompt] of prompts.entries()) {
      const [alone] = await model.generate(one(i), { ...options, prompts: [prompt] })
      assert.deepEqual(together[i], alone)
    }
  })
})

describe('diverse groups', () => {
  it('of one beam each choose different first tokens if the diversity dominates', async () => {
    const model = coca(withoutPad)
    for (const caption of await model.generate(images, { start: 1, beams: 5, groups: 5, diversity: 1e6 }))
      assert.equal(new Set(all(caption).map(({ ids }) => ids[1])).size, 5)
  })

  it('without a diversity penalty find the same captions, which are returned once', async () => {
    const model = coca(withoutPad)
    for (const caption of await model.generate(images, { start: 1, beams: 6, groups: 3, diversity: 0 })) {
      const [group] = await model.generate(images, { start: 1, beams: 2 })
      assert.equal(all(caption).length, all(group).length)
    }
  })

  it('do not change the first group', async () => {
    const model = coca(withoutPad)
    const plain = await model.generate(images, { start: 1, beams: 2 })
    const diverse = await model.generate(images, { start: 1, beams: 6, groups: 3, diversity: 2 })
    for (const [i, caption] of plain.entries()) {
      const texts = all(diverse[i]).map(({ ids }) => ids.join())
      for (const { ids } of all(caption)) assert.ok(texts.includes(ids.join()), `${ids} is missing`)
    }
  })

  it('use more different tokens than one beam search of the same width', async () => {
    const tokens = (caption: Caption) => new Set(all(caption).map(({ ids }) => ids.slice(1).join())).size
    const seconds = (caption: Caption) => new Set(all(caption).map(({ ids }) => ids[1])).size
    let [plain, diverse] = [0, 0]
    for (let number = 1; number <= 6; number++) {
      const model = coca(withoutPad, number)
      const ask = { start: 1, beams: 4 }
      for (const caption of await model.generate(images, ask)) plain += seconds(caption)
      for (const caption of await model.generate(images, { ...ask, groups: 4, diversity: 3 })) {
        diverse += seconds(caption)
        assertAbove(tokens(caption), 1)
      }
    }
    assert.ok(diverse > plain, `${diverse} and ${plain} first tokens`)
  })

  it('are ranked by the model, without the diversity penalty', async () => {
    const model = coca(withoutPad)
    for (const caption of await model.generate(images, { start: 1, beams: 4, groups: 4, diversity: 3 }))
      for (const { score, logProbability } of all(caption)) assertCloseNumbers([score], [logProbability], 1e-14)
  })

  it('treat an end like any other token', async () => {
    const keen = coca(small)
    const bias = keen.multimodal.output.bias!
    bias.assign(bias.add(ids([[0, 0, 5, 0, 0, 0, 0]]).reshape([7])))
    const options = { start: 1, end: 2, beams: 2, groups: 2 }
    for (const diversity of [0, 50])
      for (const caption of await keen.generate(images, { ...options, diversity }))
        assert.equal(all(caption).length, diversity === 0 ? 1 : 2)
  })
})
