// Processing more images than fit into memory at once, and errors for work that cannot fit, before it starts if possible.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { type ImageTextSource, openData, WordTokenizer } from '../../src/data/index.ts'
import { captioning, embedImages, embedTexts, imageBatches, meanLoss, writeCaptions } from '../../src/evaluate/index.ts'
import { inParts, tellMemory } from '../../src/evaluate/memory.ts'
import { CoCa, presets } from '../../src/models/index.ts'
import { Linear, withoutAllocation } from '../../src/nn/index.ts'
import { Adafactor, AdamW, SGD } from '../../src/optim/index.ts'
import { device, Generator, OutOfMemoryError, seed, tensor } from '../../src/tensor/index.ts'
import { train } from '../../src/train/index.ts'
import { temporaryFolder } from '../data/folder.ts'
import { assertCloseNumbers } from '../support.ts'
import { peakOf, withLittleMemory } from '../tensor/cpu/peak.ts'
import { pictures, tinyConfig, tinyModel } from './tiny.ts'

await device.use('cpu')

const trained = () => {
  seed(3)
  const tokenizer = WordTokenizer.fromCaptions(['a small large red green blue circle star square'])
  const text = { ...tinyModel.text, vocabulary: tokenizer.vocabularySize }
  return { model: new CoCa({ ...tinyModel, text }), tokenizer }
}

const warnings: string[] = []
process.on('warning', ({ name, message }) => name === 'MemoryWarning' && warnings.push(message))

const nextTurn = () => new Promise(resolve => setImmediate(resolve))

async function source(folder: string, count = 13): Promise<ImageTextSource> {
  return (await openData(await pictures(folder, count), { imageSize: 8 })) as ImageTextSource
}

const texts = Array.from({ length: 13 }, (_, i) => ['red circle', 'green star', 'a small blue square'][i % 3])

test('images and texts that do not fit at once are embedded in parts, with the same result', async t => {
  const images = await source(await temporaryFolder(t))
  const works = {
    images: (model: ReturnType<typeof trained>) => embedImages(model, images, { batchSize: 13 }),
    texts: (model: ReturnType<typeof trained>) => embedTexts(model, texts, { batchSize: 13 }),
  }
  for (const [name, work] of Object.entries(works)) {
    const [plenty, short] = [trained(), trained()]
    const expected = await work(plenty)
    const needed = await peakOf(() => work(plenty))
    warnings.length = 0
    const found = await withLittleMemory(0.4 * needed, () => work(short))
    assertCloseNumbers([...found.data], [...expected.data], 1e-6)
    await nextTurn()
    assert.deepEqual(warnings, [
      `memory is short: ${name} are processed 7 at a time from now on`,
      `memory is short: ${name} are processed 4 at a time from now on`,
    ])
    // what was found out is remembered
    await withLittleMemory(0.4 * needed, () => work(short))
    await nextTurn()
    assert.equal(warnings.length, 2)
  }
})

test('captions that do not fit at once are generated in parts, with the same result', async t => {
  const images = await source(await temporaryFolder(t))
  const [plenty, short] = [trained(), trained()]
  const expected = await captioning(plenty, images, { batchSize: 13 })
  const needed = await peakOf(() => captioning(plenty, images, { batchSize: 13 }))
  const found = await withLittleMemory(0.5 * needed, () => captioning(short, images, { batchSize: 13 }))
  assert.deepEqual(found, expected)
})

test('sampled captions do not depend on when memory was found to be short', async t => {
  const images = await source(await temporaryFolder(t))
  const { value: batch } = await imageBatches(trained(), images, { batchSize: 13 }).next()
  assert.ok(batch)
  /** A model that finds no memory for more than 7 captions when they have three words. */
  const forgetful = () => {
    const { model, tokenizer } = trained()
    const { decode } = model
    model.decode = (ids, state, ...rest) => {
      if ((state.ids?.shape[1] ?? 0) === 3 && ids.shape[0] > 7)
        throw new OutOfMemoryError({ device: 'cpu', bytes: 1, used: 1 })
      return decode.call(model, ids, state, ...rest)
    }
    return { model, tokenizer }
  }
  const model = forgetful()
  const write = () => writeCaptions(model, batch, { sample: true, temperature: 5, generator: new Generator(5) })
  const onTheWay = await write()
  assert.deepEqual(await write(), onTheWay)
})

test('if not even one item fits, the error says how much is needed, available, and what to do', async t => {
  const images = await source(await temporaryFolder(t))
  const model = trained()
  await assert.rejects(
    withLittleMemory(1000, () => embedImages(model, images)),
    {
      name: 'OutOfMemoryError',
      message:
        /^cpu: no memory for [\d.]+ (KiB|bytes): [\d.]+ KiB are in use of [\d.]+ KiB at most\. Even one at a time does not fit: use a smaller model/,
    },
  )
})

test('other errors are not retried', async () => {
  let calls = 0
  const fails = async () => {
    calls++
    throw new RangeError('no')
  }
  await assert.rejects(
    inParts(new Linear(2, 2), 8, 'images', fails, () => {}),
    /no/,
  )
  assert.equal(calls, 1)
})

/** A CoCa of some MiB whose weights are read when they are needed, and the names of those that were. */
function opened() {
  const { tokenizer } = trained()
  const image = { ...tinyModel.image, width: 128, heads: 4 }
  const text = { ...tinyModel.text, width: 128, heads: 4, vocabulary: tokenizer.vocabularySize }
  const model = new CoCa({ ...tinyModel, image, text })
  const read: string[] = []
  for (const [name, parameter] of model.namedParameters()) {
    const [values, { shape }] = [parameter.dataSync(), parameter]
    parameter.assignLater(() => {
      read.push(name)
      return tensor(values, { shape })
    })
  }
  return { model, tokenizer, read }
}

const LONGEST = Array(tinyModel.text.context - 2)
  .fill('red')
  .join(' ')

/** Runs `f` while the device says that it has so many bytes beyond those in use. */
const withMemoryLimit = <T>(bytes: number, f: () => Promise<T>) => withLittleMemory(bytes, f, true)

const works: Record<string, (model: ReturnType<typeof opened>, images: ImageTextSource) => Promise<unknown>> = {
  images: (model, images) => embedImages(model, images),
  // of as many tokens as there may be: a shorter text takes a little less
  texts: (model, { length }) => embedTexts(model, Array<string>(length).fill(LONGEST)),
  captions: async (model, images) => {
    for await (const batch of imageBatches(model, images)) await writeCaptions(model, batch)
  },
  losses: (model, images) => meanLoss(model, images),
}

for (const [name, work] of Object.entries(works)) {
  test(`what ${name} need is told before a weight is read, and is what they take`, async t => {
    const images = await source(await temporaryFolder(t))
    const model = opened()
    const told: string[] = []
    tellMemory(model.model, need => {
      assert.deepEqual(model.read, [])
      told.push(need)
    })
    const twice = async () => {
      for (let i = 0; i < 2; i++) await work(model, images)
    }
    const taken = await withMemoryLimit(8 * 2 ** 20, () => peakOf(twice))
    assert.equal(told.length, 1)
    const [, size, ...numbers] =
      /^(\w+, 13 at a time): needs ([\d.]+) MiB: weights ([\d.]+), activations ([\d.]+); cpu has /.exec(told[0]) ?? []
    assert.equal(size, `${name}, 13 at a time`)
    const [peak, weights, activations] = numbers.map(number => Number(number) * 2 ** 20)
    // the memory of what was written grows with each token of a caption
    const most = name === 'captions' ? 0.9 * taken : taken
    assert.ok(peak >= most - 0.06 * 2 ** 20 && peak <= taken + 0.06 * 2 ** 20, `${peak} counted, ${taken} taken`)
    const read = [...model.model.namedParameters()].filter(([name]) => model.read.includes(name))
    const bytes = read.reduce((sum, [, { size }]) => sum + 4 * size, 0)
    assert.ok(Math.abs(weights - bytes) <= 0.06 * 2 ** 20, `${weights} counted, ${bytes} read`)
    assert.ok(activations > 0)
  })

  test(`${name} that do not fit at once are split, or refused, before a weight is read`, async t => {
    const images = await source(await temporaryFolder(t))
    // all are kept to the end, so that none is collected during a measurement
    const models = Array.from({ length: 5 }, opened)
    const [plenty, single, model, refused, last] = models
    const all = await peakOf(async () => {
      for (let i = 0; i < 2; i++) await work(plenty, images)
    })
    const one = await peakOf(() => work(single, first(images)))
    const told: string[] = []
    tellMemory(model.model, need => {
      assert.deepEqual(model.read, [])
      told.push(need)
    })
    warnings.length = 0
    const limited = withMemoryLimit(one + 0.4 * (all - one), () => work(model, images))
    if (name === 'losses') {
      const message = /no memory for .* for losses, 13 at a time, which needs .*\. Batches of 4 \(batchSize\) would fit/
      await assert.rejects(limited, { name: 'OutOfMemoryError', message })
      assert.deepEqual(model.read, [])
    } else {
      await limited
      const [, size] = /^\w+, (\d) at a time: needs/.exec(told[0]) ?? []
      await nextTurn()
      assert.equal(warnings[0], `memory is short: ${name} are processed ${size} at a time from now on`)
      if (name !== 'captions') assert.deepEqual([size, warnings.length], ['4', 1])
    }
    await assert.rejects(
      withMemoryLimit(0.95 * one, () => work(refused, images)),
      {
        name: 'OutOfMemoryError',
        message:
          /^cpu: no memory for [\d.]+ [KM]iB for .*, which needs .* MiB: weights .*, activations .*; cpu has .*Even one at a time does not fit: use a smaller model/,
      },
    )
    assert.deepEqual(refused.read, [])
    // and one item that just fits is not; of texts the count does not know the ids, which 3 percent depend on
    await withMemoryLimit((name === 'texts' ? 1.03 : 1) * one, () => work(last, first(images)))
    assert.ok(models.every(({ read }) => read !== undefined))
  })
}

/** The first image of a source. */
const first = (images: ImageTextSource): ImageTextSource => ({
  length: 1,
  imageSize: images.imageSize,
  fingerprint: images.fingerprint,
  name: i => images.name(i),
  captions: i => images.captions(i),
  image: i => images.image(i),
})

test('a model of which a part is used need not fit as a whole', async t => {
  const images = await source(await temporaryFolder(t))
  const { model, ...others } = opened()
  const weights = 4 * model.parameterCount()
  await withMemoryLimit(0.8 * weights, () => embedImages({ model, ...others }, images))
})

test('bytesToCome are those of the gradients and of the optimizer state', () => {
  const model = withoutAllocation(() => new CoCa(presets.base))
  const weights = 4 * model.parameterCount()
  const [adamw, sgd, adafactor] = [new AdamW(model), new SGD(model), new Adafactor(model)]
  assert.equal(adamw.bytesToCome(), 3 * weights)
  assert.equal(sgd.bytesToCome(), weights)
  const largest = 4 * Math.max(...model.parameters().map(({ size }) => size))
  assert.equal(sgd.bytesToCome({ inBackward: true }), largest)
  assert.equal(adamw.bytesToCome({ inBackward: true }), 2 * weights + largest)
  // a first moment, rows and columns of the second, and the gradients
  const shares = adafactor.bytesToCome() / weights
  assert.ok(shares > 2 && shares < 2.01, `${shares}`)
  model.encoder.freeze()
  assert.ok(sgd.bytesToCome() < weights, 'frozen parts have no gradients')
})

test('existing optimizer state is not counted again', async () => {
  const { model } = trained()
  const optimizer = new AdamW(model)
  const before = optimizer.bytesToCome()
  optimizer.step(new Map([...model.namedParameters()].map(([name, parameter]) => [name, parameter.mul(0)])))
  assert.equal(optimizer.bytesToCome(), before / 3)
})

test('the error of a training step without memory advises how to use less', async t => {
  const folder = await temporaryFolder(t)
  const config = tinyConfig(await pictures(folder), { device: 'cpu', validation: 0 })
  await assert.rejects(
    withLittleMemory(60_000, () => train(join(folder, 'run'), config)),
    { name: 'OutOfMemoryError', message: /To use less, reduce batchSize, .*accumulate.*Adafactor/ },
  )
})
