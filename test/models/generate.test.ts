// Captions token by token: greedy decoding against the full model, the cache against recomputation, streams, memory.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { noGrad } from '../../src/autograd/index.ts'
import { Decoding } from '../../src/models/generation/decoding.ts'
import { type Caption, GenerateOptionError, type GenerateOptions } from '../../src/models/index.ts'
import { onForward } from '../../src/nn/index.ts'
import { device, Generator, OptionsError, ShapeError, scope, type Tensor, tensor } from '../../src/tensor/index.ts'
import { collectGarbage } from '../garbage.ts'
import { assertCloseNumbers } from '../support.ts'
import { logProbabilities } from './search.ts'
import {
  arranged,
  arrangements,
  assertAbove,
  coca,
  end,
  ids,
  pad,
  pictures,
  small,
  start,
  withoutPad,
} from './small.ts'

// temporaries of making it are given back, so that the memory tests see generation alone
const { model, images } = scope(() => ({ model: coca(), images: pictures(3) }))
const one = (image: number): Tensor => images.slice([{ start: image, stop: image + 1 }])
/** Memory in use after garbage collection. */
const memory = async () => {
  const inUse = () => device.get('reference').memory()
  await collectGarbage(() => inUse().buffers)
  return inUse()
}

/** Many ways to ask for captions. */
const ways: Record<string, GenerateOptions> = {
  greedy: { start, end },
  endless: { start },
  ragged: { start, end, prompts: [[1, 3, 4], [1], [1, 6]] },
  beams: { start, end, beams: 3 },
  'ragged beams': { start, end, beams: 3, prompts: [[1, 3, 4], [1], [1, 6]] },
  'diverse beams': { start, end, beams: 4, groups: 2, diversity: 1 },
  penalised: { start, end, repetitionPenalty: 1.5, minimumLength: 4 },
}
const sampled = (number: number): GenerateOptions => ({ start, end, sample: true, generator: new Generator(number) })

const assertSame = (actual: readonly Caption[], expected: readonly Caption[]) => {
  assert.deepEqual(
    actual.map(caption => caption.ids),
    expected.map(caption => caption.ids),
  )
  assertCloseNumbers(
    actual.map(caption => caption.logProbability),
    expected.map(caption => caption.logProbability),
    1e-12,
  )
}

describe('memory', () => {
  it('is freed after generations of all kinds', async () => {
    const before = await memory()
    for (let i = 0; i < 5; i++) {
      for (const options of Object.values(ways)) {
        await model.generate(images, options)
        await model.generate(images, { ...options, cache: false })
      }
      await model.generate(images, sampled(i))
      for await (const _ of model.stream(one(0), { start })) assertAbove(_.id, -1)
    }
    assert.deepEqual(await memory(), before)
  })

  it('is freed after streams that were not read to their end', async () => {
    const before = await memory()
    for (let i = 0; i < 5; i++) for await (const _ of model.stream(one(0), { start })) break
    const stream = model.stream(one(0), { start })
    await stream.next()
    await stream.return(undefined)
    assert.deepEqual(await memory(), before)
  })

  it('is freed after a generation that failed', async () => {
    const before = await memory()
    const failing = {
      config: model.config,
      startDecoding: model.startDecoding.bind(model),
      decode: () => assert.fail(),
    }
    const decoding = new Decoding(failing, images, true)
    await assert.rejects(decoding.next([[1], [1], [1]]))
    decoding.end()
    assert.deepEqual(await memory(), before)
  })

  it('does not grow with the length of a caption, except for the cache', async () => {
    const decoding = new Decoding(model, images, true)
    const rows = [[1], [1], [1]]
    const buffers: number[] = []
    for (let step = 0; step < 5; step++) {
      await decoding.next(rows)
      buffers.push(device.get('reference').memory().buffers)
      for (const row of rows) row.push(3)
    }
    decoding.end()
    assert.deepEqual(new Set(buffers).size, 1)
  })
})

describe('several generations at once', () => {
  it('return what each returns alone', async () => {
    const tasks = [
      ...Object.values(ways).map(options => () => model.generate(images, options)),
      ...[1, 2].map(number => () => model.generate(images, sampled(number))),
    ]
    const alone: Caption[][] = []
    for (const task of tasks) alone.push(await task())
    assert.deepEqual(await Promise.all(tasks.map(task => task())), alone)
  })

  it('do not lose memory to the scope of another one', async () => {
    const before = await memory()
    const expected = await model.generate(images, { start })
    const long = model.generate(images, { start })
    const short = scope(async () => model.generate(images, { start, maximumLength: 3 }))
    assert.equal((await short)[0].ids.length, 3)
    assertSame(await long, expected)
    assert.deepEqual(await memory(), before)
  })
})

describe('decoding with a cache', () => {
  for (const arrangement of arrangements) {
    const other = coca(arranged(arrangement))

    it(`computes the logits of the whole model, token by token or several at once (${arrangement})`, () => {
      const text = ids([
        [1, 3, 4, 5, 6, 2],
        [1, 6, 5, 3, 4, 2],
      ])
      const two = images.slice([{ stop: 2 }])
      const { logits } = other.forward(two, text)
      for (const steps of [
        [1, 1, 1, 1, 1, 1],
        [3, 1, 2],
        [1, 5],
      ]) {
        const state = other.startDecoding(two)
        let seen = 0
        for (const n of steps) {
          const next = other.decode(text.slice([{}, { start: seen, stop: seen + n }]), state)
          seen += n
          assert.equal(state.ids?.shape[1], seen)
          assertCloseNumbers([...next.dataSync()], [...logits.slice([{}, seen - 1]).dataSync()], 1e-12)
        }
      }
    })
  }

  for (const cached of [true, false]) {
    it(`follows rows that are reordered, repeated and dropped (${cached ? 'cached' : 'recomputed'})`, async () => {
      const decoding = new Decoding(model, images, cached)
      let rows = [0, 1, 2].map(image => ({ image, ids: [1] }))
      const moves: [number[], number[]][] = [
        [
          [2, 0, 0, 1],
          [3, 4, 5, 6],
        ],
        [
          [3, 3, 1, 0],
          [4, 5, 6, 3],
        ],
        [[1], [2]],
        [
          [0, 0],
          [3, 5],
        ],
      ]
      for (const [order, tokens] of [...moves, [[], []]]) {
        const predictions = await decoding.next(rows.map(row => row.ids))
        for (const [i, { image, ids }] of rows.entries())
          assertCloseNumbers([...predictions[i].logs], logProbabilities(model, one(image), ids), 1e-12)
        if (order.length === 0) break
        decoding.select(order)
        rows = order.map((row, i) => ({ image: rows[row].image, ids: [...rows[row].ids, tokens[i]] }))
      }
      decoding.end()
    })
  }

  it('computes keys of the image once; of the text one for each new token, or without a cache all of them again', async () => {
    const { attention, crossAttention } = model.multimodal.blocks[0]
    for (const [cache, texts] of [
      [true, [1, 1, 1, 1]],
      [false, [1, 2, 3, 4]],
    ] as const) {
      const tokens = { text: [] as number[], image: [] as number[] }
      const stop = [
        onForward(attention.key, (_, keys) => void tokens.text.push(keys.shape[1])),
        onForward(crossAttention!.key, (_, keys) => void tokens.image.push(keys.shape[1])),
      ]
      await model.generate(one(0), { start, maximumLength: 5, cache })
      for (const remove of stop) remove()
      assert.deepEqual(tokens, { text: texts, image: [3] }, `cache: ${cache}`)
    }
  })

  for (const [name, options] of Object.entries(ways)) {
    it(`generates the same captions as without a cache: ${name}`, async () => {
      const [cached, recomputed] = [
        await model.generate(images, options),
        await model.generate(images, { ...options, cache: false }),
      ]
      assertSame(cached, recomputed)
      for (const [i, { alternatives }] of cached.entries()) assertSame(alternatives, recomputed[i].alternatives)
    })
  }
})

describe('the upper half', () => {
  it('computes the logits of the last tokens alone, if it is asked to', () => {
    const { tokens } = model.unimodal.forward(ids([[1, 3, 4, 5]]))
    const image = model.startDecoding(one(0)).tokens
    const all = model.multimodal.forward(tokens, image)
    for (const last of [1, 2, 4, 9]) {
      const kept = model.multimodal.forward(tokens, image, { last })
      assert.deepEqual(kept.shape, [1, Math.min(last, 4), small.text.vocabulary])
      assertCloseNumbers([...kept.dataSync()], [...all.slice([{}, { start: -last }]).dataSync()], 1e-12)
    }
    for (const last of [0, -1, 1.5])
      assert.throws(() => model.multimodal.forward(tokens, image, { last }), OptionsError)
  })
})

describe('greedy decoding', () => {
  it('takes the likeliest token of the whole model, except padding, until the end or the maximum', async () => {
    for (const [image, caption] of (await model.generate(images, { start, end })).entries()) {
      const expected = [start]
      while (expected.length < 6 && expected[expected.length - 1] !== end) {
        const logs = logProbabilities(model, one(image), expected).map((x, id) => (id === pad ? -Infinity : x))
        expected.push(logs.indexOf(Math.max(...logs)))
      }
      assert.deepEqual(caption.ids, expected)
      assert.equal(caption.finished, expected[expected.length - 1] === end)
    }
  })

  it('of a batch with prompts of different lengths returns what each returns alone', async () => {
    const { prompts } = ways.ragged
    const together = await model.generate(images, ways.ragged)
    for (const [i, prompt] of prompts!.entries()) {
      assert.deepEqual(together[i].ids.slice(0, prompt.length), prompt)
      assertSame([together[i]], await model.generate(one(i), { start, end, prompts: [prompt] }))
    }
  })

  it('continues after an end that is part of the prompt', async () => {
    const [caption] = await model.generate(one(0), { start, end, prompts: [[1, end, 3]], minimumLength: 6 })
    assert.deepEqual(caption.ids.slice(0, 3), [1, end, 3])
    assert.equal(caption.ids.length, 6)
  })

  it('returns a prompt of the maximum length unchanged', async () => {
    const [caption] = await model.generate(one(0), { start, prompts: [[1, 3, 4]], maximumLength: 3 })
    assert.deepEqual(caption, { ids: [1, 3, 4], logProbability: 0, finished: false, score: 0, alternatives: [] })
  })

  it('never generates padding', async () => {
    const keen = coca(small)
    const bias = keen.multimodal.output.bias!
    bias.assign(bias.add(ids([[9, 0, 0, 0, 0, 0, 0]]).reshape([7])))
    const all = [
      ...(await keen.generate(images, { start })),
      ...(await keen.generate(images, { start, sample: true, generator: new Generator(1) })),
      ...(await keen.generate(images, { start, beams: 3 })).flatMap(best => [best, ...best.alternatives]),
    ]
    for (const caption of all) assert.ok(!caption.ids.includes(pad), String(caption.ids))
  })

  it('has a log-probability equal to the score of the caption', async () => {
    for (const options of Object.values(ways)) {
      for (const [image, caption] of (await model.generate(images, options)).entries()) {
        for (const { ids: written, logProbability } of [caption, ...caption.alternatives]) {
          // the score counts everything after the first token, the prompt's other tokens too
          const prompt = options.prompts?.[image] ?? [start]
          const score = (tokens: readonly number[]) => model.score(one(image), ids([tokens])).dataSync()[0]
          assertCloseNumbers([logProbability], [score(written) - score(prompt)], 1e-12)
        }
      }
    }
  })
})

describe('lengths and repetitions', () => {
  it('end at the maximum, including prompt and end', async () => {
    for (const beams of [1, 3])
      for (const maximumLength of [1, 2, 4])
        for (const caption of await model.generate(images, { start, maximumLength, beams }))
          assert.equal(caption.ids.length, maximumLength)
  })

  it('do not end before the minimum, including prompt and end', async () => {
    const keen = coca(small)
    const bias = keen.multimodal.output.bias!
    bias.assign(bias.add(ids([[0, 0, 9, 0, 0, 0, 0]]).reshape([7])))
    for (const beams of [1, 3])
      for (const minimumLength of [0, 2, 3, 5, 6])
        for (const caption of await keen.generate(images, { start, end, minimumLength, beams })) {
          assert.equal(caption.ids.length, Math.max(2, minimumLength))
          assert.equal(caption.ids.indexOf(end), caption.ids.length - 1)
        }
  })

  it('with a strong repetition penalty use no token twice, and with one below 1 repeat themselves', async () => {
    const strong = coca(withoutPad)
    for (const beams of [1, 3])
      for (const { ids } of await strong.generate(images, { start, repetitionPenalty: 1e6, beams }))
        assert.equal(new Set(ids).size, ids.length)
    for (const { ids } of await strong.generate(images, { start, repetitionPenalty: 1e-6 }))
      assert.deepEqual(
        ids,
        ids.map(() => start),
      )
  })
})

describe('a stream', () => {
  it('yields the tokens of generate, one by one', async () => {
    for (const options of [ways.greedy, ways.endless, { ...ways.greedy, prompts: [[1, 5, 3]] }, ways.penalised]) {
      const [caption] = await model.generate(one(1), options)
      const [written, logs] = [[...(options.prompts?.[0] ?? [start])], [] as number[]]
      for await (const { id, logProbability, logProbabilities: all } of model.stream(one(1), options)) {
        const ids = tensor([written], { dtype: 'int32' })
        const expected = noGrad(() => model.logits(one(1), ids).slice([0, -1]).logSoftmax())
        assertCloseNumbers([...all], [...(await expected.data())], 1e-4)
        assert.equal(all[id], logProbability)
        written.push(id)
        logs.push(logProbability)
      }
      assert.deepEqual(written, caption.ids)
      assertCloseNumbers([logs.reduce((a, b) => a + b)], [caption.logProbability], 1e-12)
    }
  })

  it('samples the same tokens as generate', async () => {
    const [caption] = await model.generate(one(1), sampled(6))
    const written = [start]
    for await (const { id } of model.stream(one(1), sampled(6))) written.push(id)
    assert.deepEqual(written, caption.ids)
  })

  for (const arrangement of arrangements) {
    it(`reports its attention to each patch, which sums to one (${arrangement})`, async () => {
      const other = coca(arranged(arrangement))
      let count = 0
      for await (const { attention } of other.stream(one(0), { start })) {
        count++
        assert.equal(attention.length, 4)
        assertAbove(Math.min(...attention), 0)
        assertCloseNumbers([attention.reduce((a, b) => a + b)], [1], 1e-6)
      }
      assert.equal(count, 5)
    })
  }

  it('takes one image, and returns one caption', async () => {
    await assert.rejects(model.stream(images, { start }).next(), ShapeError)
    await assert.rejects(model.stream(one(0), { start, beams: 2 }).next(), { option: 'beams' })
  })
})

describe('options', () => {
  const bad: [keyof GenerateOptions, Partial<GenerateOptions>][] = [
    ['start', { start: 7 }],
    ['start', { start: pad }],
    ['end', { end: -1 }],
    ['prompts', { prompts: [[1]] }],
    ['prompts', { prompts: [[1], [], [1]] }],
    ['prompts', { prompts: [[1], [1, 2.5], [1]] }],
    ['prompts', { prompts: [[1], [1, pad, 3], [1]] }],
    ['prompts', { prompts: [[1], [1, 3, 3], [1]], maximumLength: 2 }],
    ['maximumLength', { maximumLength: 7 }],
    ['maximumLength', { maximumLength: 0 }],
    ['minimumLength', { minimumLength: 4, maximumLength: 3 }],
    ['temperature', { temperature: 0 }],
    ['topK', { topK: 0 }],
    ['topP', { topP: 1.1 }],
    ['topP', { topP: 0 }],
    ['repetitionPenalty', { repetitionPenalty: 0 }],
    ['lengthPenalty', { lengthPenalty: Number.NaN }],
    ['diversity', { diversity: -1 }],
    ['beams', { beams: 1.5 }],
    ['groups', { beams: 4, groups: 3 }],
    ['sample', { beams: 2, sample: true }],
  ]
  for (const [option, options] of bad) {
    it(`that are invalid throw an error that names them: ${JSON.stringify(options)}`, async () => {
      await assert.rejects(model.generate(images, { start, ...options }), (error: unknown) => {
        assert.ok(error instanceof GenerateOptionError, String(error))
        assert.equal(error.option, option)
        assert.match(error.message, new RegExp(`${option} = `))
        return true
      })
    })
  }

  it('that are undefined take their defaults', async () => {
    const undefinedOptions = Object.fromEntries(
      ['maximumLength', 'beams', 'temperature', 'cache', 'sample', 'groups'].map(name => [name, undefined]),
    )
    assertSame(await model.generate(images, { start, ...undefinedOptions }), await model.generate(images, { start }))
  })
})
