import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type ImageTextSource, WordTokenizer } from '../../src/data/index.ts'
import {
  bleu,
  captioning,
  cider,
  type Embeddings,
  embedImages,
  embedTexts,
  firstOf,
  meanLoss,
  plain,
  poolerAttention,
  rank,
  retrieval,
  similarityMatrix,
  zeroShot,
} from '../../src/evaluate/index.ts'
import { CoCa, type CoCaConfig } from '../../src/models/index.ts'
import { fromData, full, Generator, NonFiniteError, randn, seed, type Tensor, tensor } from '../../src/tensor/index.ts'

import { assertCloseNumbers, fc, runs, values } from '../support.ts'
import { tinyModel } from '../train/tiny.ts'

const WORDS = ['red', 'green', 'blue', 'black', 'white', 'a', 'photo', 'of']
const tokenizer = WordTokenizer.fromCaptions([WORDS.join(' ')])
const config: CoCaConfig = { ...tinyModel, text: { ...tinyModel.text, vocabulary: tokenizer.vocabularySize } }
const SIDE = 8

/** Images in memory; the first pixel of image i is i / 255. */
function source(captions: readonly (readonly string[])[]): ImageTextSource {
  return {
    length: captions.length,
    imageSize: SIDE,
    fingerprint: 'in memory',
    captions: index => captions[index],
    name: index => `image ${index}`,
    image: async index => {
      const generator = new Generator(index)
      const pixels = Float32Array.from({ length: 3 * SIDE * SIDE }, () => generator.uniform())
      pixels[0] = index / 255
      return pixels
    },
  }
}

/** A model whose embeddings are known: of images by their number, of texts by their words. */
class Known extends CoCa {
  readonly image: (index: number) => readonly number[]
  readonly text: (words: string) => readonly number[]
  written: string[] = []

  constructor(
    image: (index: number) => readonly number[],
    text: (words: string) => readonly number[],
    vocabulary = tokenizer.vocabularySize,
  ) {
    super({ ...config, text: { ...config.text, vocabulary }, embedding: 2 })
    this.image = image
    this.text = text
  }

  override encodeImage(images: Tensor): Tensor {
    const first = images.slice([{}, 0, 0, 0]).dataSync()
    return tensor(Array.from(first, pixel => this.image(Math.round((pixel * 0.5 + 0.5) * 255))))
  }

  override encodeText(ids: Tensor): Tensor {
    const [rows, length] = ids.shape
    const data = ids.dataSync()
    return tensor(
      Array.from({ length: rows }, (_, row) =>
        this.text(tokenizer.decode(data.subarray(row * length, (row + 1) * length))),
      ),
    )
  }

  override async generate(images: Tensor) {
    return this.written.splice(0, images.shape[0]).map(text => ({
      ids: [tokenizer.start, ...tokenizer.encode(text), tokenizer.end],
      logProbability: 0,
      score: 0,
      finished: true,
      alternatives: [],
    }))
  }
}

const at = (degrees: number): readonly number[] => [
  Math.cos((degrees * Math.PI) / 180),
  Math.sin((degrees * Math.PI) / 180),
]

const rows = (list: readonly (readonly number[])[]): Embeddings => ({
  data: Float32Array.from(list.flat()),
  count: list.length,
  width: list[0].length,
})

test('a similarity matrix contains every cosine', async () => {
  const [a, b] = [rows([at(0), at(30), at(90)]), rows([at(0), at(60)])]
  const half = Math.sqrt(3) / 2
  assertCloseNumbers([...(await similarityMatrix(a, b))], [1, 0.5, half, half, 0, half], 1e-6)
})

test('ranks equal those of sorting the gallery, with wrong items before right ones of equal similarity', async () => {
  const point = fc.tuple(fc.integer({ min: -2, max: 2 }), fc.integer({ min: -2, max: 2 }))
  const few = (min: number) => fc.array(point, { minLength: min, maxLength: 14 })
  await fc.assert(
    fc.asyncProperty(few(1), few(5), fc.integer({ min: 1, max: 5 }), async (queries, gallery, groups) => {
      const isHit = (query: number, item: number) => query % groups === item % groups
      const { ranks, recall, medianRank } = await rank(rows(queries), rows(gallery), isHit)
      const expected = queries.map(([x, y], query) => {
        const items = gallery.map(([u, v], item) => ({ similarity: x * u + y * v, hit: isHit(query, item) }))
        items.sort((a, b) => b.similarity - a.similarity || Number(a.hit) - Number(b.hit))
        return items.findIndex(({ hit }) => hit) + 1
      })
      assert.deepEqual([...ranks], expected)
      for (const k of [1, 5, 10] as const)
        assert.equal(recall[k], expected.filter(place => place <= k).length / expected.length)
      const sorted = [...expected].sort((a, b) => a - b)
      const middle = [(sorted.length - 1) / 2, sorted.length / 2].map(i => sorted[Math.floor(i)])
      assert.equal(medianRank, (middle[0] + middle[1]) / 2)
    }),
    runs(60),
  )
})

test('a gallery larger than a block is ranked as a whole', async () => {
  const n = 300
  const angles = Array.from({ length: n }, (_, i) => at((i * 360) / n))
  const { ranks } = await rank(rows(angles), rows(angles), (query, item) => (query + 7) % n === item)
  // seven steps away on a circle: 13 closer ones, and the other of equal distance comes first
  assert.ok(ranks.every(place => place === 14 || place === 15))
})

test('retrieval counts any caption equal to one of the image as a hit', async () => {
  const angles: Record<string, number> = { red: 0, green: 40, blue: 80, white: 170 }
  const model = new Known(
    index => at([0, 45, 85, 2][index]),
    words => at(angles[words]),
  )
  const images = source([['red', 'white'], ['GREEN'], ['blue'], ['Red']])
  const result = await retrieval({ model, tokenizer }, images, { batchSize: 3 })
  assert.deepEqual([result.images, result.texts], [4, 5])
  assert.deepEqual([...result.imageToText.ranks], [1, 1, 1, 1])
  // texts: red, white, green, blue, red; white is nearest to blue's image, and so on until its own
  assert.deepEqual([...result.textToImage.ranks], [1, 4, 1, 1, 1])
  assert.deepEqual(result.textToImage.recall, { 1: 0.8, 5: 1, 10: 1 })
  assert.equal(result.textToImage.medianRank, 1)
})

test('a model with equal embeddings retrieves nothing', async () => {
  const same = new Known(
    () => [1, 0],
    () => [1, 0],
  )
  const images = source(['red', 'green', 'blue', 'black', 'white'].map(word => [word]))
  const { imageToText, textToImage } = await retrieval({ model: same, tokenizer }, images)
  assert.deepEqual([imageToText.recall[1], textToImage.recall[1]], [0, 0])
  assert.deepEqual([imageToText.medianRank, textToImage.medianRank], [5, 5])
})

test('zero-shot classification averages the unit-length embeddings of the prompts of a class', async () => {
  const angles: Record<string, number> = { red: -10, 'a red': 70, green: 100, 'a green': 160 }
  const model = new Known(
    index => at([20, 78, 85, 120, 90][index]),
    words => at(angles[words]),
  )
  const images = source(Array.from({ length: 5 }, () => ['red']))
  // classes lie at 30 and 130 degrees: the border is at 80, though the mean for red is the shorter one
  const result = await zeroShot({ model, tokenizer }, images, {
    classes: ['red', 'green'],
    labels: [0, 0, 0, 1, 1],
    templates: ['{}', 'a {}'],
    batchSize: 2,
  })
  assert.deepEqual([...result.predictions], [0, 0, 1, 1, 1])
  assert.deepEqual(result.confusion, [
    [2, 1],
    [0, 2],
  ])
  assert.equal(result.accuracy, 0.8)
  assert.deepEqual(result.perClass, [
    { class: 'red', count: 3, accuracy: 2 / 3 },
    { class: 'green', count: 2, accuracy: 1 },
  ])
  const wrong = (labels: number[]) => zeroShot({ model, tokenizer }, images, { classes: ['red', 'green'], labels })
  await assert.rejects(wrong([0]), /1 labels for 5 images/)
  await assert.rejects(wrong([0, 0, 2, 0, 0]), /label 2 of image 2 is not one of 2 classes/)
})

test('captions count as right if they equal one of the references', async () => {
  const model = new Known(
    () => [1, 0],
    () => [1, 0],
  )
  model.written = ['a red', 'green', 'blue', 'white of']
  const images = source([['A  Red.'], ['black', 'green'], ['black'], ['white']])
  const { exact, captions } = await captioning({ model, tokenizer }, images, { batchSize: 3 })
  assert.deepEqual(captions, ['a red', 'green', 'blue', 'white of'])
  assert.equal(exact, 0.5)
})

test('captions are compared word by word with all of their references', async () => {
  const model = new Known(
    () => [1, 0],
    () => [1, 0],
  )
  const written = ['a photo of red', 'green']
  model.written = [...written]
  const references = [['white', 'A photo of red.'], ['blue black']]
  const { bleu4, ciderD } = await captioning({ model, tokenizer }, source(references), { batchSize: 1 })
  assert.equal(bleu4, bleu(written, references).score)
  assert.equal(ciderD, cider(written, references).score)
  // four of five words, all longer n-grams, and 5 words beside 4 + 2
  assertCloseNumbers([bleu4], [0.8 ** (1 / 4) * Math.exp(1 - 6 / 5)], 1e-8)
  // one of two references of the first image, nothing of the second
  assertCloseNumbers([ciderD], [10 / 2 / 2])
})

test('token accuracy equals that computed by hand from the largest logits', async () => {
  seed(5)
  const model = new CoCa(config)
  const captions = ['red', 'a photo of', 'green blue', 'a black photo of'].map(text => [text, 'white'])
  const images = source(captions)
  const result = await captioning({ model, tokenizer }, images, { batchSize: 3 })
  const { context, vocabulary } = config.text
  let right = 0
  let all = 0
  for (const [i, [text]] of captions.entries()) {
    const ids = tokenizer.tokenize([text], context)
    const pixels = (await images.image(i)).map(x => x * 2 - 1)
    const { logits } = model.forward(fromData(pixels, [1, 3, SIDE, SIDE]), fromData(ids, [1, context]))
    const numbers = values(logits)
    for (let t = 0; t + 1 < context && ids[t + 1] !== tokenizer.pad; t++) {
      const row = numbers.slice(t * vocabulary, (t + 1) * vocabulary)
      all++
      if (row.indexOf(Math.max(...row)) === ids[t + 1]) right++
    }
  }
  assert.equal(all, 14)
  assert.equal(result.tokenAccuracy, right / all)
  const own = await captioning({ model, tokenizer }, images, { generate: { maximumLength: 3 } })
  for (const caption of own.captions) assert.ok(tokenizer.encode(caption).length <= 2)
})

test('every image has the caption that begins with its prompt, in whichever batch it is', async () => {
  const images = source(WORDS.slice(0, 5).map(word => [word]))
  const prompts = WORDS.slice(0, 5).map(word => [tokenizer.start, ...tokenizer.encode(word)])
  const { captions } = await captioning({ model: new CoCa(config), tokenizer }, images, {
    batchSize: 2,
    generate: { prompts },
  })
  assert.deepEqual(
    captions.map(caption => caption.split(' ')[0]),
    WORDS.slice(0, 5),
  )
})

test('embeddings do not depend on the batch size, and do not change dropout and mode', async () => {
  seed(1)
  const model = new CoCa({ ...config, dropout: 0.5 }).train()
  const trained = { model, tokenizer }
  const images = source(Array.from({ length: 5 }, () => ['red']))
  const [one, two] = [await embedImages(trained, images, { batchSize: 2 }), await embedImages(trained, images)]
  assertCloseNumbers([...one.data], [...two.data], 1e-6)
  const texts = ['red', 'a photo of', 'blue']
  const [three, four] = [await embedTexts(trained, texts, { batchSize: 1 }), await embedTexts(trained, texts)]
  assertCloseNumbers([...three.data], [...four.data], 1e-6)
  assert.equal(model.training, true)
  for (let row = 0; row < 5; row++)
    assert.ok(Math.abs(Math.hypot(...one.data.subarray(row * one.width, (row + 1) * one.width)) - 1) < 1e-5)
})

test('evaluation reports its progress, and stops at a signal', async () => {
  const model = new CoCa(config)
  const images = source(Array.from({ length: 5 }, () => ['red']))
  const seen: string[] = []
  await embedImages({ model, tokenizer }, images, {
    batchSize: 2,
    onProgress: (done, total) => seen.push(`${done}/${total}`),
  })
  assert.deepEqual(seen, ['2/5', '4/5', '5/5'])
  const stop = AbortSignal.abort(new Error('enough'))
  await assert.rejects(embedImages({ model, tokenizer }, images, { signal: stop }), /enough/)
})

test('evaluation uses the normalisation of the run', async () => {
  const model = new Known(
    () => [1, 0],
    () => [1, 0],
  )
  let seen: number[] = []
  model.encodeImage = images => {
    seen = values(images)
    return tensor([[1, 0]])
  }
  const images = source([['red']])
  await embedImages({ model, tokenizer, normalize: { mean: [0, 0.25, 0], std: [1, 2, 1] } }, images)
  const pixels = await images.image(0)
  const plane = SIDE * SIDE
  assertCloseNumbers(
    seen,
    Array.from(pixels, (x, i) => (Math.floor(i / plane) === 1 ? (x - 0.25) / 2 : x)),
    1e-6,
  )
})

test('the mean loss uses every image once, in batches of nearly equal size, and counts a batch by its images', async () => {
  seed(2)
  const model = new CoCa(config)
  const images = source(['red', 'green', 'red', 'a photo of', 'blue'].map(text => [text]))
  const on = async (indices: number[], groups: number[]) => {
    const pixels = await Promise.all(indices.map(async i => [...(await images.image(i))].map(x => x * 2 - 1)))
    const ids = tokenizer.tokenize(
      indices.map(i => images.captions(i)[0]),
      config.text.context,
    )
    const loss = model.loss(
      fromData(Float32Array.from(pixels.flat()), [indices.length, 3, SIDE, SIDE]),
      fromData(ids, [indices.length, config.text.context]),
      { groups: tensor(groups, { dtype: 'int32' }) },
    )
    return values(loss.total)[0]
  }
  const mean = async (batchSize: number) => [(await meanLoss({ model, tokenizer }, images, { batchSize })).loss]
  const [a, b, c] = [await on([0, 1], [0, 1]), await on([2, 3], [0, 1]), await on([4], [0])]
  assertCloseNumbers(await mean(2), [(2 * a + 2 * b + c) / 5], 1e-6)
  const [d, e] = [await on([0, 1, 2], [0, 1, 0]), await on([3, 4], [0, 1])]
  for (const size of [3, 4]) assertCloseNumbers(await mean(size), [(3 * d + 2 * e) / 5], 1e-6)
  const whole = await on([0, 1, 2, 3, 4], [0, 1, 0, 2, 3])
  assertCloseNumbers([(await meanLoss({ model, tokenizer }, images)).loss], [whole], 1e-6)
})

for (const arrangement of ['cascade', 'parallel', 'shared'] as const) {
  test(`the attention of the embedding sums to one over the patches (${arrangement} poolers)`, () => {
    seed(3)
    const model = new CoCa({ ...config, pooler: { ...config.pooler, arrangement } })
    const images = randn([2, 3, SIDE, SIDE], { generator: new Generator(4) })
    const seen: Record<string, { shape: readonly number[]; data: number[] }> = {}
    const remember = (name: string) => (weights: Tensor) => {
      seen[name] = { shape: weights.shape, data: values(weights) }
    }
    model.imageFeatures(images, { generative: remember('generative'), contrastive: remember('contrastive') })
    const { generative, contrastive } = seen
    const mean = ({ shape: [, heads, n, m], data }: typeof generative, b: number, q: number, p: number) =>
      Array.from({ length: heads }, (_, h) => data[((b * heads + h) * n + q) * m + p]).reduce((x, y) => x + y) / heads
    const patches = 4
    const expected = Array.from({ length: 2 * patches }, (_, i) => {
      const [b, p] = [Math.floor(i / patches), i % patches]
      if (arrangement === 'shared') return mean(generative, b, 0, p)
      if (arrangement === 'parallel') return mean(contrastive, b, 0, p)
      return [0, 1, 2].reduce((sum, q) => sum + mean(contrastive, b, 0, q) * mean(generative, b, q, p), 0)
    })
    const attention = poolerAttention(model, images)
    assert.deepEqual([...attention.shape], [2, patches])
    assertCloseNumbers(values(attention), expected, 1e-6)
    assertCloseNumbers(values(attention.sum({ axis: 1 })), [1, 1], 1e-6)
  })
}

test('captions that differ in case, white space or a full stop are equal', () => {
  assert.equal(plain('  A red\tCircle . '), 'a red circle')
  assert.notEqual(plain('a red circle'), plain('a red, circle'))
  assert.equal(plain('A large blue ring below a small red star.'), plain('a small red star above a large blue ring'))
  assert.notEqual(plain('a large blue ring above a small red star'), plain('a small red star above a large blue ring'))
})

test('a caption of two objects is right in either order', async () => {
  const truth = 'a small red star above a large blue ring'
  const words = WordTokenizer.fromCaptions([`${truth} below left right of`])
  const model = new Known(
    () => [1, 0],
    () => [1, 0],
    words.vocabularySize,
  )
  const written = [truth, 'a large blue ring below a small red star', 'a large blue ring above a small red star', truth]
  model.generate = async images =>
    written.splice(0, images.shape[0]).map(text => ({
      ids: [words.start, ...words.encode(text), words.end],
      logProbability: 0,
      score: 0,
      finished: true,
      alternatives: [],
    }))
  const other = 'a small red star left of a large blue ring'
  const truths = source([[truth], [truth], [truth], [other]])
  const { exact, right } = await captioning({ model, tokenizer: words }, truths, { truncate: true })
  assert.deepEqual([exact, right], [0.5, [true, true, false, false]])
})

describe('a value that is not finite throws an error that names it', () => {
  const named = (promise: Promise<unknown>, message: string, value = Number.NaN) =>
    assert.rejects(promise, (error: unknown) => {
      assert.ok(error instanceof NonFiniteError, String(error))
      assert.ok(error.message.includes(message), error.message)
      assert.equal(error.value, value)
      return true
    })
  const images = source(WORDS.slice(0, 5).map(word => [word]))
  /** A model whose embedding of one image, or of one word, is not finite. */
  const blindTo = (image: number, word = '') =>
    new Known(
      index => (index === image ? [1, Number.NaN] : [1, 0]),
      words => (words === word ? [Infinity, 0] : [1, 0]),
    )

  test('a similarity, in any row and column', async () => {
    const gallery = rows(Array.from({ length: 7 }, () => [1, 0]))
    for (const row of [0, 2, 299]) {
      const queries = rows(Array.from({ length: 300 }, (_, i) => (i === row ? [Number.NaN, 1] : [1, 0])))
      await named(
        rank(queries, gallery, () => true),
        `the similarity of row ${row} and column 0 is NaN`,
      )
      await named(
        rank(gallery, queries, () => false),
        `the similarity of row 0 and column ${row} is NaN`,
      )
      await named(similarityMatrix(queries, gallery), `row ${row} and column 0`)
    }
  })

  test('an embedding of an image, in retrieval, classification and by itself', async () => {
    for (const image of [0, 3]) {
      const trained = { model: blindTo(image), tokenizer }
      const message = `number 1 of the embedding of image ${image} is NaN: the model does not compute finite numbers there`
      await named(embedImages(trained, images, { batchSize: 2 }), message)
      await named(retrieval(trained, images), message)
      await named(zeroShot(trained, images, { classes: ['red'], labels: [0, 0, 0, 0, 0] }), message)
      const { captions: _, name: __, ...nameless } = images
      await named(embedImages(trained, nameless), message)
    }
  })

  test('an embedding of a text', async () => {
    const trained = { model: blindTo(-1, 'green'), tokenizer }
    const message = "number 0 of the embedding of 'green' is Infinity"
    await named(embedTexts(trained, ['red', 'green'], { batchSize: 1 }), message, Infinity)
    await named(retrieval(trained, images), message, Infinity)
    const options = { classes: ['red', 'green'], labels: [0, 0, 0, 0, 0], templates: ['{}'] }
    await named(zeroShot(trained, images, options), message, Infinity)
  })

  test('a loss', async () => {
    seed(2)
    const model = new CoCa(config)
    model.logScale.assign(full([], 1000))
    await named(
      meanLoss({ model, tokenizer }, images, { batchSize: 2 }),
      'the contrastive loss of image 0 to image 1 is NaN: the model does not compute finite numbers there',
    )
  })

  test('logits, of a generated caption and of a reference', async () => {
    seed(2)
    const model = new CoCa(config)
    const { decode } = model
    let asked = 0
    model.decode = (...args) => (++asked === 2 ? decode.apply(model, args).mul(Number.NaN) : decode.apply(model, args))
    await named(
      captioning({ model, tokenizer }, images, { batchSize: 2 }),
      'image 0: the logit of id 0 for token 2 of image 0 is NaN: the model does not compute finite numbers there',
    )
    const known = new Known(
      () => [1, 0],
      () => [1, 0],
    )
    known.written = ['red', 'red', 'red', 'red', 'red']
    const { logits } = known
    known.logits = (...args) => {
      const right = logits.apply(known, args)
      const { shape } = right
      const wrong = values(right)
      // of the second image, after its first token
      wrong[shape[1] * shape[2] + 4] = Number.NaN
      return tensor(Float32Array.from(wrong), { shape })
    }
    await named(
      captioning({ model: known, tokenizer }, images, { batchSize: 3 }),
      'image 1: log Σ exp of the logits for token 1 is NaN',
    )
  })
})

test('firstOf returns the first images of a source', async () => {
  const images = source([['red'], ['green'], ['blue']])
  const two = firstOf(images, 2)
  assert.deepEqual([two.length, two.captions(1), firstOf(images, 9)], [2, ['green'], images])
  assert.deepEqual(await two.image(1), await images.image(1))
  assert.notEqual(two.fingerprint, images.fingerprint)
})
