// One program of cocagrad/data, which is run in Node and in a page: Shapes, tokenizers, pictures, batches and safetensors. Its results are
// compared, to the bit.

import { Generator, tensor } from 'cocagrad'
import {
  BatchIterator,
  CLIP_NORMALIZE,
  DataLoader,
  encodeSafetensors,
  fromSafetensors,
  ImageTextPairs,
  JsonTokenizer,
  movingExample,
  normalize,
  openSafetensors,
  PICTURE_SIDE,
  parseTokenizer,
  type RawPicture,
  readSafetensors,
  resizeImage,
  shapesExample,
  shapesQuestion,
  toSafetensors,
  trainBytePairs,
  WordTokenizer,
} from 'cocagrad/data'

/** The bits of some numbers, as text. */
function bits(values: ArrayBufferView): string {
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
  let [low, high] = [0x811c9dc5, 0]
  for (const byte of bytes) {
    low = Math.imul(low ^ byte, 0x01000193)
    high = (Math.imul(high, 31) + byte) | 0
  }
  return `${bytes.length} bytes ${(low >>> 0).toString(16)} ${(high >>> 0).toString(16)}`
}

const captions = Array.from({ length: 40 }, (_, i) => shapesExample(i).caption)

function shapes() {
  const levels = [1, 2, 3] as const
  return {
    pictures: levels.flatMap(level =>
      Array.from({ length: 4 }, (_, i) => {
        const { caption, pixels } = shapesExample(i, { level, seed: 3 })
        return [caption, bits(pixels)]
      }),
    ),
    clips: Array.from({ length: 2 }, (_, i) => {
      const { caption, frames } = movingExample(i)
      return [caption, ...frames.map(bits)]
    }),
    questions: Array.from({ length: 3 }, (_, i) => {
      const { text, label, pixels } = shapesQuestion(i, { task: 'vqa' })
      return [text, label, ...pixels.map(bits)]
    }),
  }
}

const gzipped = async (text: string) =>
  new Uint8Array(await new Response(new Blob([text]).stream().pipeThrough(new CompressionStream('gzip'))).arrayBuffer())

async function tokenizers() {
  const pairs = trainBytePairs(captions, { vocabularySize: 320 })
  const words = WordTokenizer.fromCaptions(captions)
  const json = JSON.stringify(pairs)
  const read = [
    await parseTokenizer(json),
    await parseTokenizer(new TextEncoder().encode(json)),
    await parseTokenizer(await gzipped(json)),
    await parseTokenizer(JSON.stringify(words)),
    JsonTokenizer.fromJSON(JSON.parse(json)),
  ]
  const merges = await parseTokenizer(await gzipped('#version: 0.2\nc a\nca t</w>\n'))
  const text = 'a small red circle, naïve 🧀'
  return {
    json,
    ids: [pairs, words, ...read].map(tokenizer => [...tokenizer.tokenize([text], 64)]),
    decoded: read.map(tokenizer => tokenizer.decode(tokenizer.encode(captions[1]))),
    merges: merges.encode('A cat'),
  }
}

function noise(width: number, height: number, channels: number): RawPicture {
  const generator = new Generator(width * height)
  return { width, height, data: Uint8Array.from({ length: width * height * channels }, () => generator.integer(256)) }
}

/** Results for a picture, however it is given. */
export function resized(picture: Parameters<typeof resizeImage>[0]): string[] {
  const crop = { scale: [0.3, 0.9], seed: 5 } as const
  const options = [
    { size: 24 },
    { size: [16, 40], pixels: 'squash' },
    { size: 90, crop },
    { size: [20, 10], channels: 1 },
    { size: 24, pixels: 'openclip' },
    { size: 24, pixels: 'openclip-squash' },
  ] as const
  return options.map(option => bits(resizeImage(picture, option).pixels))
}

function pictures() {
  const { pixels } = resizeImage(noise(50, 37, 3), { size: 24 })
  return {
    resized: [1, 3, 4].map(channels => resized(noise(50, 37, channels))),
    normalized: bits(normalize(pixels, CLIP_NORMALIZE.mean, CLIP_NORMALIZE.std)),
  }
}

async function batches() {
  const pairs = captions.map((caption, i) => ({
    image: { width: PICTURE_SIDE, height: PICTURE_SIDE, data: shapesExample(i).pixels },
    caption: i % 5 === 0 ? [caption, `${caption} again`] : caption,
    labels: [caption.split(' ')[1]],
  }))
  const data = new ImageTextPairs(pairs, { imageSize: 16 })
  const made = new BatchIterator(data, WordTokenizer.fromCaptions(captions), {
    batchSize: 8,
    contextLength: 24,
    crop: { scale: [0.8, 1] },
    normalize: CLIP_NORMALIZE,
  })
  const taken = []
  for (let i = 0; i < 7; i++) {
    const { images, tokens, indices, epoch, labels } = await made.next()
    taken.push([epoch, [...indices], bits(images), [...tokens], labels])
  }
  const loader = new DataLoader(
    {
      length: 10,
      get: (index: number, { random }: { random: Generator }) => ({ x: [index, random.normal()], y: index % 2 }),
    },
    { batchSize: 4, shuffle: true, seed: 2 },
  )
  const loaded = []
  for (let epoch = 0; epoch < 2; epoch++)
    for await (const { x, y } of loader) loaded.push([bits(await x.data()), [...(await y.data())]])
  return { taken, loaded, state: made.state, classes: data.classes }
}

async function files() {
  const weights = new Map([
    [
      'weight',
      tensor([
        [1, 2],
        [3, Math.fround(0.1)],
      ]),
    ],
    ['ids', tensor([1, 2, 3], { dtype: 'int32' })],
  ])
  const pieces = encodeSafetensors(await toSafetensors(weights), { by: 'a page' })
  const blob = new Blob(pieces as BlobPart[])
  const whole = new Uint8Array(await blob.arrayBuffer())
  const opened = await openSafetensors(blob)
  const { tensors, metadata } = await readSafetensors(whole)
  const back = fromSafetensors(tensors)
  return {
    bytes: bits(whole),
    names: opened.names,
    weight: bits((await opened.tensor('weight')).data),
    metadata: [...metadata],
    back: await Promise.all([...back].map(async ([name, x]) => [name, x.dtype, x.shape, bits(await x.data())])),
  }
}

export const results = async () => ({
  shapes: shapes(),
  tokenizers: await tokenizers(),
  pictures: pictures(),
  batches: await batches(),
  files: await files(),
})

export { noise, openSafetensors, readSafetensors }
