// Which inputs affect which outputs of CoCa: by changing inputs, and by gradients of outputs with respect to inputs.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { grad } from '../../src/autograd/index.ts'
import type { CoCa } from '../../src/models/index.ts'
import { AttentionalPooler } from '../../src/nn/index.ts'
import { randn, type Tensor } from '../../src/tensor/index.ts'
import { assertCloseNumbers } from '../support.ts'
import {
  arranged,
  arrangements,
  assertAbove,
  coca,
  ids,
  largestOf,
  pictures,
  rowsOf,
  severalClassTokens,
  small,
  stirred,
  texts,
  weighted,
  withoutPad,
} from './small.ts'

/** The numbers of [batch, tokens, width] at one text and position. */
const at = (x: Tensor, text: number, position: number): number[] => [...x.slice([text, position]).dataSync()]

/** Gradients of Σ f with respect to what is embedded at each position of one text: [tokens, width] as rows. */
function sensitivity(model: CoCa, tokens: readonly number[], f: () => Tensor): number[][] {
  // a table with a row of its own for every position, so that its gradient tells positions apart
  const table = model.unimodal.embedding.weight
  const own = table.take(ids([tokens]).reshape([tokens.length]))
  const gradient = grad(rows => {
    Reflect.set(model.unimodal.embedding, 'forward', () => rows.unsqueeze(0))
    try {
      return weighted(f())
    } finally {
      Reflect.deleteProperty(model.unimodal.embedding, 'forward')
    }
  })(own)
  return rowsOf(gradient)
}

describe('causality', () => {
  const image = pictures(1)
  const tokens = [1, 3, 4, 5, 6, 2]
  for (const [name, config] of [
    ['without padding', withoutPad],
    ['with a padding id', small],
  ] as const) {
    const model = coca(config)
    const before = model.forward(image, ids([tokens]))
    const unimodalBefore = model.textFeatures(ids([tokens])).tokens

    it(`changing a token does not change unimodal tokens and logits before it, ${name}`, () => {
      for (let changed = 1; changed < tokens.length; changed++) {
        const other = ids([tokens.with(changed, (tokens[changed] % 6) + 1)])
        const { logits } = model.forward(image, other)
        const unimodal = model.textFeatures(other).tokens
        for (let t = 0; t < tokens.length; t++) {
          for (const [x, y] of [
            [logits, before.logits],
            [unimodal, unimodalBefore],
          ]) {
            if (t < changed) assert.deepEqual(at(x, 0, t), at(y, 0, t), `${t} when ${changed} changes`)
            else assert.notDeepEqual(at(x, 0, t), at(y, 0, t), `${t} when ${changed} changes`)
          }
        }
      }
    })

    it(`no gradient flows back from a position to a later token, and one flows to every earlier one, ${name}`, () => {
      for (let t = 0; t < tokens.length; t++) {
        const outputs = {
          logits: () => model.forward(image, ids([tokens])).logits.slice([0, t]),
          unimodal: () => model.textFeatures(ids([tokens])).tokens.slice([0, t]),
        }
        for (const [which, f] of Object.entries(outputs)) {
          sensitivity(model, tokens, f).forEach((row, position) => {
            if (position > t) assert.equal(largestOf(row), 0, `${which} ${t} and token ${position}`)
            else assert.ok(largestOf(row) > 1e-9, `${which} ${t} does not see token ${position}`)
          })
        }
      }
    })
  }
})

describe('several [CLS]', () => {
  const model = coca(severalClassTokens)
  const classToken = model.unimodal.classToken!

  it('have a mean that attends to every real token, and not to padding', () => {
    const tokens = [1, 5, 3, 2, 0, 0]
    sensitivity(model, tokens, () => model.textFeatures(ids([tokens])).summary).forEach((row, position) => {
      if (position < 4) assert.ok(largestOf(row) > 1e-9, `[CLS] does not see token ${position}`)
      else assert.equal(largestOf(row), 0)
    })
  })

  it('all change the embedding, are not attended to by any token, and do not depend on the amount of padding', () => {
    const before = model.forward(pictures(3), texts)
    for (let i = 0; i < 3; i++) {
      const kept = classToken.add(0)
      const move = ids([0, 1, 2].map(row => [row === i ? 1 : 0]))
      classToken.assign(classToken.add(move.mul(randn([8], { dtype: 'float64' }))))
      const after = model.forward(pictures(3), texts)
      assert.deepEqual(after.logits.dataSync(), before.logits.dataSync())
      assert.notDeepEqual(after.text.dataSync(), before.text.dataSync())
      classToken.assign(kept)
    }
    const [short, long] = [4, 6].map(length => model.encodeText(ids([[1, 5, 3, 2, 0, 0].slice(0, length)])))
    assertCloseNumbers([...short.dataSync()], [...long.dataSync()], 1e-14)
  })
})

describe('[CLS]', () => {
  const model = coca()

  it('attends to every real token and itself, and not to padding', () => {
    const tokens = [1, 5, 3, 2, 0, 0]
    const f = () => model.textFeatures(ids([tokens])).summary
    sensitivity(model, tokens, f).forEach((row, position) => {
      if (position < 4) assert.ok(largestOf(row) > 1e-9, `[CLS] does not see token ${position}`)
      else assert.equal(largestOf(row), 0)
    })
    const before = [...model.encodeText(ids([tokens])).dataSync()]
    const classToken = model.unimodal.classToken!
    const kept = classToken.add(0)
    classToken.assign(classToken.add(randn([8], { dtype: 'float64' })))
    assert.notDeepEqual([...model.encodeText(ids([tokens])).dataSync()], before)
    classToken.assign(kept)
  })

  it('attends to a full text and itself as without a padding id', () => {
    const [padded, plain] = [coca(small), coca(withoutPad)]
    const full = texts.slice([{ stop: 1 }])
    assertCloseNumbers([...padded.encodeText(full).dataSync()], [...plain.encodeText(full).dataSync()])
  })

  it('is not attended to by any token', () => {
    const image = pictures(3)
    const before = model.forward(image, texts)
    const tokens = model.textFeatures(texts).tokens.dataSync()
    const kept = model.unimodal.classToken!.add(0)
    model.unimodal.classToken!.assign(model.unimodal.classToken!.add(randn([8], { dtype: 'float64' })))
    const after = model.forward(image, texts)
    assert.deepEqual(after.logits.dataSync(), before.logits.dataSync())
    assert.deepEqual(model.textFeatures(texts).tokens.dataSync(), tokens)
    assert.notDeepEqual(after.text.dataSync(), before.text.dataSync())
    model.unimodal.classToken!.assign(kept)
  })

  it('does not depend on the amount of padding', () => {
    const embeddings = [4, 5, 6].map(length => {
      const text = [1, 5, 3, 2, 0, 0].slice(0, length)
      return [...model.encodeText(ids([text])).dataSync()]
    })
    assertCloseNumbers(embeddings[1], embeddings[0], 1e-14)
    assertCloseNumbers(embeddings[2], embeddings[0], 1e-14)
  })

  it('does not depend on the embedding of padding', () => {
    const padded = ids([[1, 5, 3, 2, 0, 0]])
    const before = [...model.encodeText(padded).dataSync()]
    const table = model.unimodal.embedding.weight
    const kept = table.add(0)
    const first = ids([[1], [0], [0], [0], [0], [0], [0]])
    table.assign(table.add(first.mul(randn([8], { dtype: 'float64' }))))
    assert.deepEqual([...model.encodeText(padded).dataSync()], before)
    table.assign(kept)
  })

  it('attends to padding if the model has no padding id', () => {
    const blind = coca(withoutPad)
    const short = [...blind.encodeText(ids([[1, 5, 3, 2]])).dataSync()]
    const long = [...blind.encodeText(ids([[1, 5, 3, 2, 0, 0]])).dataSync()]
    assertAbove(largestOf(short.map((x, i) => x - long[i])), 1e-3)
  })
})

describe('padding', () => {
  const model = coca()
  const image = pictures(2)
  const short = ids([
    [1, 5, 3, 2],
    [1, 6, 4, 2],
  ])
  const long = ids([
    [1, 5, 3, 2, 0, 0],
    [1, 6, 4, 2, 0, 0],
  ])

  it('does not change the embeddings and the logits of real positions', () => {
    const [a, b] = [model.forward(image, short), model.forward(image, long)]
    assertCloseNumbers([...b.text.dataSync()], [...a.text.dataSync()], 1e-13)
    assertCloseNumbers([...b.image.dataSync()], [...a.image.dataSync()], 1e-13)
    assertCloseNumbers([...b.logits.slice([{}, { stop: 4 }]).dataSync()], [...a.logits.dataSync()], 1e-13)
  })

  for (const reduction of ['sum', 'mean'] as const) {
    it(`does not change the losses (${reduction})`, () => {
      const reduced = coca({ ...small, loss: { contrastive: { reduction }, captioning: { reduction } } })
      const [a, b] = [reduced.loss(image, short), reduced.loss(image, long)]
      for (const part of ['total', 'contrastive', 'captioning'] as const)
        assertCloseNumbers([...b[part]!.dataSync()], [...a[part]!.dataSync()], 1e-13)
    })
  }

  it('does not change the score', () => {
    const [a, b] = [model.score(image, short), model.score(image, long)]
    assertCloseNumbers([...b.dataSync()], [...a.dataSync()], 1e-13)
  })

  it('between the tokens of a text is masked', () => {
    const tokens = [1, 5, 0, 3, 2]
    const outputs = [
      () => model.textFeatures(ids([tokens])).summary,
      () => model.forward(pictures(1), ids([tokens])).logits.slice([0, 4]),
    ]
    for (const f of outputs) assert.equal(largestOf(sensitivity(model, tokens, f)[2]), 0)
  })
})

describe('the image', () => {
  for (const arrangement of arrangements) {
    const model = coca(arranged(arrangement))

    it(`affects every logit, and no unimodal token or text embedding, with ${arrangement} poolers`, () => {
      const text = ids([[1, 3, 4, 5, 6, 2]])
      const [a, b] = [1, 2].map(number => model.forward(pictures(1, number), text))
      for (let t = 0; t < 6; t++) assert.notDeepEqual(at(a.logits, 0, t), at(b.logits, 0, t))
      assert.deepEqual(a.text.dataSync(), b.text.dataSync())
      const gradient = grad(pixels => weighted(model.forward(pixels, text).text))(pictures(1))
      assert.equal(largestOf(gradient.dataSync()), 0)
    })

    it(`affects the first logits and its embedding with every pixel, with ${arrangement} poolers`, () => {
      const text = ids([[1, 3, 2]])
      const outputs = [
        (pixels: Tensor) => model.forward(pixels, text).image,
        (pixels: Tensor) => model.forward(pixels, text).logits.slice([0, 0]),
      ]
      for (const f of outputs) {
        const gradient = grad(pixels => weighted(f(pixels)))(pictures(1))
        assertAbove(Math.min(...gradient.dataSync().map(Math.abs)), 1e-12)
      }
    })
  }
})

describe('an image and a text', () => {
  it('of a batch do not affect the others of the batch', () => {
    const model = coca()
    const [images, together] = [pictures(3), model.forward(pictures(3), texts)]
    for (let i = 0; i < 3; i++) {
      const alone = model.forward(images.slice([{ start: i, stop: i + 1 }]), texts.slice([{ start: i, stop: i + 1 }]))
      for (const part of ['image', 'text', 'logits'] as const)
        assertCloseNumbers(rowsOf(alone[part])[0], rowsOf(together[part])[i], 1e-13)
    }
  })

  it('have embeddings of length one', () => {
    const { image, text } = coca().forward(pictures(3), texts)
    for (const embeddings of [image, text])
      assertCloseNumbers(
        rowsOf(embeddings).map(row => Math.hypot(...row)),
        [1, 1, 1],
        1e-14,
      )
  })
})

describe('the poolers', () => {
  const pooler = stirred(() => new AttentionalPooler({ queries: 4, width: 8, heads: 2, memoryWidth: 12 }))
  const tokens = randn([2, 5, 12], { dtype: 'float64' })

  it('do not depend on the order of image tokens', () => {
    const shuffled = tokens.take(ids([[3, 0, 4, 1, 2]]).reshape([5]), { axis: 1 })
    assertCloseNumbers([...pooler.forward(shuffled).dataSync()], [...pooler.forward(tokens).dataSync()], 1e-13)
  })

  it('return their tokens in the order of their queries', () => {
    const order = ids([[2, 0, 3, 1]]).reshape([4])
    const before = pooler.forward(tokens)
    const kept = pooler.queries.add(0)
    pooler.queries.assign(pooler.queries.take(order))
    const after = [...pooler.forward(tokens).dataSync()]
    pooler.queries.assign(kept)
    assertCloseNumbers(after, [...before.take(order, { axis: 1 }).dataSync()], 1e-13)
  })

  it('compute different embeddings in cascade and in parallel, from the same weights', () => {
    const square = { ...small, image: { ...small.image, width: 8 } }
    const [cascade, parallel] = (['cascade', 'parallel'] as const).map(arrangement =>
      coca({ ...square, pooler: { ...square.pooler, arrangement } }),
    )
    parallel.loadStateDict(cascade.stateDict())
    const [a, b] = [cascade, parallel].map(model => model.imageFeatures(pictures(2)))
    assert.deepEqual(a.tokens.dataSync(), b.tokens.dataSync())
    const difference = a.embedding.sub(b.embedding).dataSync()
    assertAbove(largestOf(difference), 1e-2)
  })

  it('in cascade and in parallel follow Figure 2 and section 3.2, step by step', () => {
    for (const arrangement of ['cascade', 'parallel'] as const) {
      const model = coca(arranged(arrangement))
      const patches = model.encoder.forward(pictures(2))
      const pooled = model.generativePooler!.forward(patches)
      const one = model.contrastivePooler!.forward(arrangement === 'cascade' ? pooled : patches)
      const projected = one.reshape([2, 8]).matmul(model.imageProjection.weight.transpose())
      const features = model.imageFeatures(pictures(2))
      assert.deepEqual(features.tokens.dataSync(), pooled.dataSync())
      assertCloseNumbers([...features.embedding.dataSync()], [...projected.normalize().dataSync()], 1e-14)
    }
  })

  it('without queries give the decoder the patches, and the embedding its own pooler', () => {
    const model = coca(arranged('unpooled'))
    const patches = model.encoder.forward(pictures(2))
    const features = model.imageFeatures(pictures(2))
    assert.deepEqual(features.tokens.dataSync(), patches.dataSync())
    const one = model.contrastivePooler!.forward(patches)
    const projected = one.reshape([2, 8]).matmul(model.imageProjection.weight.transpose())
    assertCloseNumbers([...features.embedding.dataSync()], [...projected.normalize().dataSync()], 1e-14)
  })

  it('that are absent give the decoder the patches, and the embedding the class token', () => {
    const model = coca(arranged('none'))
    assert.deepEqual([model.generativePooler, model.contrastivePooler], [undefined, undefined])
    const tokens = model.encoder.forward(pictures(2))
    const features = model.imageFeatures(pictures(2))
    assert.deepEqual(features.tokens.dataSync(), tokens.slice([{}, { start: 1 }]).dataSync())
    const projected = tokens.slice([{}, 0]).matmul(model.imageProjection.weight.transpose())
    assertCloseNumbers([...features.embedding.dataSync()], [...projected.normalize().dataSync()], 1e-14)
    // the result of the encoder is normalised
    const plain = tokens.sub(model.encoder.outputNorm!.bias).div(model.encoder.outputNorm!.weight)
    assert.ok(largestOf(plain.mean({ axis: -1 }).dataSync()) < 1e-12)
  })

  it('as one pooler: the first query computes the embedding, the others the tokens', () => {
    const model = coca(arranged('shared'))
    const before = model.imageFeatures(pictures(2))
    assert.deepEqual(before.tokens.shape, [2, 3, 8])
    const queries = model.generativePooler!.queries
    const kept = queries.add(0)
    const move = (rows: number[]) => {
      queries.assign(kept.add(ids(rows.map(x => [x])).mul(randn([8], { dtype: 'float64' }))))
      return model.imageFeatures(pictures(2))
    }
    const first = move([1, 0, 0, 0])
    assert.deepEqual(first.tokens.dataSync(), before.tokens.dataSync())
    assert.notDeepEqual(first.embedding.dataSync(), before.embedding.dataSync())
    const others = move([0, 1, 1, 1])
    assert.notDeepEqual(others.tokens.dataSync(), before.tokens.dataSync())
    assert.deepEqual(others.embedding.dataSync(), before.embedding.dataSync())
  })
})
