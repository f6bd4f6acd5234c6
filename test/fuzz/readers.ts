// The readers of files, each with valid files to begin with: written by this project, or kept in test/ as others wrote them. A reader is
// fuzzed through the function that users call, which reads the whole file.

import { readdir, readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { readLabels } from '../../src/cli/names.ts'
import {
  ClipDataset,
  decodeImageBytes,
  encodePng,
  ImageTextDataset,
  type ImageTextSource,
  type MultiImageSource,
  QuestionDataset,
  readCifar,
  readCsv,
  readIdx,
  readNpz,
  readTokenizer,
  ShardClipDataset,
  ShardDataset,
  tokenizerFromJSON,
  trainBytePairs,
  WordTokenizer,
  writeShapes,
} from '../../src/data/index.ts'
import { EmbeddingJournal } from '../../src/evaluate/embedding-journal.ts'
import { EmbeddingFile } from '../../src/evaluate/index.ts'
import { readExperiment } from '../../src/experiments/config.ts'
import { Ledger } from '../../src/experiments/ledger.ts'
import {
  encodeSafetensors,
  ImageError,
  LineFile,
  lock,
  npyHead,
  openNpy,
  openTensors,
  parseSafetensors,
  readJson,
  readSafetensors,
  type SafetensorsTensor,
} from '../../src/io/index.ts'
import { createModel } from '../../src/models/index.ts'
import { Linear } from '../../src/nn/index.ts'
import { readGolden } from '../../src/openclip/golden.ts'
import { openClip, openEncoder } from '../../src/openclip/index.ts'
import { readEncoderSettings } from '../../src/openclip/vision.ts'
import { fromData, seed } from '../../src/tensor/index.ts'
import { openFeatures } from '../../src/train/features.ts'
import { keepIn, readKeptBatch } from '../../src/train/guard/kept.ts'
import {
  checkModelConfig,
  loadModel,
  openRun,
  openSettings,
  RunFolder,
  readMetrics,
  readProvenance,
  readResults,
  readRunConfig,
  resumeTraining,
  train,
} from '../../src/train/index.ts'
import { greyClip, greys, tarOf } from '../data/shards/make.ts'
import { archive } from '../io/zip.ts'
import { tinyConfig, tinyJson, tinyModel } from '../train/tiny.ts'
import type { Format } from './mutations.ts'

/** A valid file, with the others in its folder that it needs. */
export interface Sample {
  /** path in the folder of the case */
  readonly name: string
  readonly bytes: Uint8Array
  readonly format: Format
  readonly beside?: Readonly<Record<string, Uint8Array | string>>
}

export interface Reader {
  /** @param folder an empty folder to make files in */
  samples(folder: string): Promise<readonly Sample[]>
  /** Reads everything that the file holds. @param folder the folder of the case */
  read(file: string, folder: string): Promise<unknown>
}

const golden = (...path: string[]): string => join(import.meta.dirname, '../golden', ...path)
const text = (words: string): Uint8Array => Buffer.from(words)
const json = (value: unknown): Uint8Array => text(JSON.stringify(value))
const lines = (...values: readonly unknown[]): Uint8Array =>
  text(values.map(each => `${JSON.stringify(each)}\n`).join(''))

async function contentsOf(folder: string): Promise<Record<string, Uint8Array>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath ?? entry.path, entry.name))
  return Object.fromEntries(
    await Promise.all(files.map(async file => [file.slice(folder.length + 1), await readFile(file)] as const)),
  )
}

/** Each of some files of a folder in turn, with the rest beside it. */
const eachOf = (
  files: Readonly<Record<string, Uint8Array>>,
  formatOf: (name: string) => Format | undefined,
): readonly Sample[] =>
  Object.entries(files).flatMap(([name, bytes]) => {
    const format = formatOf(name)
    const { [name]: _, ...beside } = files
    return format ? [{ name, bytes, format, beside }] : []
  })

const picture = encodePng(
  Uint8Array.from({ length: 48 }, (_, i) => 5 * i),
  4,
  4,
)

const tensors = new Map<string, SafetensorsTensor>([
  ['weight', { dtype: 'F32', shape: [1, 2], data: Float32Array.of(1, 2) }],
  ['bias', { dtype: 'F32', shape: [1], data: Float32Array.of(3) }],
])

const safetensorsOf = (
  values: ReadonlyMap<string, SafetensorsTensor>,
  metadata: Readonly<Record<string, string>> = {},
) => Buffer.concat([...encodeSafetensors(values, metadata)])

const many = new Map<string, SafetensorsTensor>([
  ['a.f64', { dtype: 'F64', shape: [], data: Float64Array.of(1) }],
  ['b.i32', { dtype: 'I32', shape: [2, 2], data: Int32Array.of(1, 2, 3, 4) }],
  ['c.bool', { dtype: 'BOOL', shape: [3], data: Uint8Array.of(1, 0, 1) }],
  ['d.empty', { dtype: 'F32', shape: [0, 3], data: new Float32Array(0) }],
])

async function readTensors(file: string): Promise<void> {
  const opened = await openTensors(file)
  for (const name of opened.names) await opened.tensor(name)
}

const ofFormat = async (folder: string, ending: RegExp, format: Format, name: string): Promise<Sample[]> => {
  const names = (await readdir(folder)).filter(each => ending.test(each))
  return Promise.all(names.map(async each => ({ name, bytes: await readFile(join(folder, each)), format })))
}

/** A format of images, by both decoders and in both ways. The sides that are asked for differ from those of the files. */
const images = (ending: string, format: Format): Reader => ({
  samples: async () =>
    (
      await Promise.all(
        ['images', 'pixels'].map(folder =>
          ofFormat(golden(folder), new RegExp(`\\.${ending}$`), format, `a.${ending}`),
        ),
      )
    ).flat(),
  async read(file) {
    const errors: unknown[] = []
    for (const decoder of ['sharp', 'javascript'] as const)
      for (const pixels of ['upright', 'openclip'] as const)
        await decodeImageBytes(file, { size: 7, decoder, pixels }).catch(error => errors.push(error))
    return refusedByAll(errors, 4)
  },
})

/** Throws the first error that is no refusal, or the last one if no way of reading accepted the file. */
function refusedByAll(errors: readonly unknown[], ways: number): void {
  const crash = errors.find(error => !isTyped(error))
  if (crash !== undefined) throw crash
  if (errors.length === ways) throw errors.at(-1)
}

/** Components of tokenizers that are refused by name are tested elsewhere. */
function isAccepted(f: () => unknown): boolean {
  try {
    f()
    return true
  } catch {
    return false
  }
}

/** Whether an error is one of the project's errors of data. */
const isTyped = (error: unknown): boolean => error instanceof Error && 'reason' in error && 'file' in error

/** Pictures or clips, whichever a shard holds. */
async function readShards(file: string): Promise<void> {
  const errors: unknown[] = []
  let count = 0
  const read = async <T>(task: () => Promise<T>): Promise<T | undefined> => {
    count++
    return task().catch(error => void errors.push(error))
  }
  const common = { imageSize: 8, labels: 'optional' } as const
  const pictures = await read(() => ShardDataset.open(file, common))
  const clips = await read(() => ShardClipDataset.open(file, { ...common, frames: 2 }))
  count -= 2
  for await (const sample of pictures?.samples() ?? []) await read(() => sample.image())
  const whole = await clips?.all()
  for (let i = 0; i < (whole?.length ?? 0); i++) await read(() => whole!.images(i))
  if (count === 0) await (pictures ?? clips)?.explainEmpty()
  refusedByAll(errors, count)
}

const shardsOf = async (): Promise<readonly Buffer[]> =>
  Promise.all([
    tarOf(greys(0, 3)),
    tarOf([
      ...greyClip('jump', 0, 3, { txt: 'a jump' }),
      ...greyClip('run', 4, 2, { json: '{"caption":"a run","frames":2}' }),
    ]),
    tarOf([
      ['a/b.png', picture],
      ['a/b.json', '{"captions":["a","b"],"label":"cat"}'],
      [`${'long'.repeat(40)}.png`, picture],
      [`${'long'.repeat(40)}.cls`, '3'],
      ['._a.png', 'x'],
      ['img.v1.0001.png', picture],
      ['img.v1.0001.txt', 'dots'],
    ]),
  ])

/** A list of images, clips or questions, whose pixels are read too. */
const list = (
  samples: Reader['samples'],
  open: (file: string) => Promise<ImageTextSource | MultiImageSource>,
): Reader => ({
  samples,
  async read(file) {
    const data = await open(file)
    for (let i = 0; i < Math.min(4, data.length); i++) {
      data.captions(i)
      await ('images' in data ? data.images(i) : data.image(i))
    }
  },
})

const twoPictures = { 'a.png': picture, 'b/c.png': picture }

const WORDS = ['', 'a cat', ' Héllo, wörld!  aaaa!', '<s>[CLS]<|endoftext|> don’t 12345 你好 👩‍👩‍👧'] as const

/** A run of one step that is to make another, with everything that a run may have, and its data. */
async function runIn(folder: string, others: Record<string, unknown> = {}): Promise<Record<string, Uint8Array>> {
  const data = join(folder, 'data')
  await writeShapes({ out: data, count: 6, objects: 1 })
  await train(join(folder, 'run'), tinyConfig(data, { steps: 1, checkpointEvery: 1, ema: 0.9, ...others }))
  const files = Object.entries(await contentsOf(folder))
  return Object.fromEntries(
    files.map(([name, bytes]) => [name, /^run\/.*json/.test(name) ? timeless(bytes, data) : bytes]),
  )
}

/** Without what differs from one time to the next: dates, durations and the path of the data. */
const timeless = (bytes: Uint8Array, data: string): Uint8Array =>
  Buffer.from(
    Buffer.from(bytes)
      .toString()
      .replaceAll(data, 'data')
      .replace(
        /("(?:date|seconds|waiting|\w+PerSecond|memory)":\s*)("[^"]*"|[\d.e+-]+)/g,
        (_, name, value) => name + (value[0] === '"' ? '"2026-01-01"' : '1'),
      ),
  )

/** A whole run, opened from its folder and resumed for a step. The child process runs in the folder of the case. */
const RUN: Reader = {
  async samples(folder) {
    const files = await runIn(folder)
    const more = text(Buffer.from(files['run/config.json']).toString().replace('"steps": 1', '"steps": 2'))
    return eachOf({ ...files, 'run/config.json': more }, name =>
      !name.startsWith('run/')
        ? undefined
        : name.endsWith('.json')
          ? 'json'
          : name.endsWith('.safetensors')
            ? 'safetensors'
            : undefined,
    )
  },
  async read(_, folder) {
    const run = join(folder, 'run')
    for (const weights of ['average', 'last'] as const) await openRun(run, { weights })
    const stop = new AbortController()
    await resumeTraining(run, { signal: stop.signal, onStep: () => stop.abort() })
  },
}

/** Small pictures in AVIF, grey, coloured and with transparency. */
async function avifs(): Promise<Sample[]> {
  const { default: sharp } = await import('sharp')
  const kinds = [1, 3, 4] as const
  return Promise.all(
    kinds.map(async channels => {
      const data = Uint8Array.from({ length: 64 * channels }, (_, i) => 3 * i)
      const bytes = await sharp(data, { raw: { width: 8, height: 8, channels } })
        .avif({ effort: 0 })
        .toBuffer()
      return { name: 'a.avif', bytes, format: 'avif' }
    }),
  )
}

/** The features of four pictures, one of which cannot be read, and all that was kept of them. */
async function readFeatures(folder: string): Promise<void> {
  seed(1)
  const classes = { classes: 2 }
  const model = createModel('classifier', { image: tinyModel.image, ...classes })
  const size = tinyModel.image.size
  const source: ImageTextSource = {
    length: 4,
    imageSize: size,
    fingerprint: 'four',
    captions: () => [],
    name: i => `picture ${i}`,
    async image(i) {
      if (i === 2) throw new ImageError('is damaged', { file: 'picture 2' })
      return new Float32Array(3 * size ** 2).fill(i / 4)
    },
  }
  const normalize = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }
  const { source: kept, close } = await openFeatures(model, source, folder, { normalize, batchSize: 2, strict: false })
  try {
    for (const i of [0, 1, 3]) await kept.image(i)
  } finally {
    await close()
  }
}

/** An encoder in two parts, of which each and the index are mutated. */
async function inParts(): Promise<readonly Sample[]> {
  const { 'model.safetensors': bytes, ...others } = await contentsOf(golden('encoders/dinov2'))
  const { tensors } = parseSafetensors(bytes)
  const files: Record<string, Uint8Array> = { 'config.json': others['config.json'] }
  const map: Record<string, string> = {}
  for (const part of [0, 1]) {
    const some = [...tensors].filter((_, i) => i % 2 === part)
    files[`${part}.safetensors`] = safetensorsOf(new Map(some))
    for (const [name] of some) map[name] = `${part}.safetensors`
  }
  files['model.safetensors.index.json'] = json({ metadata: {}, weight_map: map })
  return eachOf(files, name => (name.endsWith('.json') ? 'json' : 'safetensors'))
}

const embeddings = { model: 'a', source: 'b', data: 'c', width: 2 }

export const readers: Readonly<Record<string, Reader>> = {
  safetensors: {
    async samples() {
      return [safetensorsOf(tensors), safetensorsOf(many, { format: 'pt', more: 'x' })].map(bytes => ({
        name: 'a.safetensors',
        bytes,
        format: 'safetensors',
      }))
    },
    async read(file) {
      await readSafetensors(file)
      await readTensors(file)
    },
  },
  torch: {
    samples: async () => [
      ...(await ofFormat(join(import.meta.dirname, '../io/torch'), /^(state|training|things)\.pt$/, 'torch', 'a.pt')),
      ...(await ofFormat(join(import.meta.dirname, '../io/torch'), /^(state|training)\.pt$/, 'bytes', 'a.pt')),
    ],
    read: readTensors,
  },
  model: {
    samples: async () => [{ name: 'a.safetensors', bytes: safetensorsOf(tensors), format: 'safetensors' }],
    read: file => loadModel(file, new Linear(2, 1)),
  },
  npy: {
    samples: async () => [
      { name: 'a.npy', bytes: Buffer.concat([npyHead([2, 3]), Buffer.alloc(24)]), format: 'npy' },
      { name: 'a.npy', bytes: Buffer.concat([npyHead([0, 8])]), format: 'npy' },
    ],
    read: openNpy,
  },
  npz: {
    samples: async () => [
      ...(await ofFormat(join(import.meta.dirname, '../data/files'), /\.npz$/, 'bytes', 'a.npz')),
      {
        name: 'a.npz',
        bytes: archive({ 'x.npy': Buffer.concat([npyHead([2, 3]), Buffer.alloc(24)]), 'y.npy': npyHead([0, 8]) }),
        format: 'zip',
      },
    ],
    read: readNpz,
  },
  idx: {
    async samples() {
      const plain = Buffer.from([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8])
      const doubles = Buffer.from([0, 0, 14, 1, 0, 0, 0, 2, ...Array(16).fill(0)])
      return [
        { name: 'a-idx3-ubyte', bytes: plain, format: 'bytes' },
        { name: 'a-idx1', bytes: doubles, format: 'bytes' },
        { name: 'a-idx3-ubyte.gz', bytes: gzipSync(plain), format: 'gzip' },
      ]
    },
    read: readIdx,
  },
  cifar: {
    samples: async () => [{ name: 'a.bin', bytes: Buffer.alloc(2 * 3073, 7), format: 'bytes' }],
    read: file => readCifar(file),
  },
  'csv-table': {
    samples: async () => [
      { name: 'a.csv', bytes: text('a,b\n1,x\n2.5,"y, z"\n,\n'), format: 'text' },
      { name: 'a.csv', bytes: text('a,b\r\n1,2\r\n'), format: 'bytes' },
    ],
    read: file => readCsv(file),
  },
  embeddings: {
    async samples() {
      const rows = Buffer.from(Float32Array.of(1, 0, 0, 1).buffer)
      const described = lines({ name: 'a', captions: ['b'], row: 0 }, { name: 'c', captions: [], row: 1 })
      const image = { dtype: 'F32', shape: [2, 2], data: Float32Array.of(1, 0, 0, 1) } as const
      const parts = new Map<string, SafetensorsTensor>([
        ['image', image],
        ['samples', { dtype: 'U8', shape: [described.length], data: described }],
      ])
      const npy = {
        'e.npy': Buffer.concat([npyHead([2, 2]), rows]),
        'e.json': json({ model: 'm', images: 2, texts: 0 }),
        'e.jsonl': described,
      }
      return [
        { name: 'e.safetensors', bytes: safetensorsOf(parts, { model: 'm' }), format: 'safetensors' },
        ...eachOf(npy, name => (name === 'e.npy' ? 'npy' : name === 'e.json' ? 'json' : 'lines')),
      ]
    },
    async read(file, folder) {
      const opened = await EmbeddingFile.open(file.includes('.safetensors') ? file : join(folder, 'e.npy'))
      for await (const _ of opened.samples());
      if (opened.width === 2) await opened.nearest({ data: Float32Array.of(1, 1), count: 1, width: 2 }, 2)
      else await opened.rows(0, 4096)
    },
  },
  tar: {
    samples: async () => (await shardsOf()).map(bytes => ({ name: 'a.tar', bytes, format: 'tar' })),
    read: readShards,
  },
  'tar.gz': {
    samples: async () =>
      (await shardsOf()).map(bytes => ({ name: 'a.tar.gz', bytes: gzipSync(bytes), format: 'gzip' })),
    read: readShards,
  },
  png: images('png', 'png'),
  jpeg: images('jpg', 'jpeg'),
  webp: images('webp', 'webp'),
  gif: images('gif', 'gif'),
  tiff: images('tiff', 'tiff'),
  avif: { ...images('avif', 'avif'), samples: avifs },
  captions: list(
    async () => [
      {
        name: 'captions.jsonl',
        bytes: lines(
          { file: 'a.png', caption: 'a cat', label: 'cat' },
          { file: 'b/c.png', caption: ['x', 'y'], labels: ['dog', 'cat'] },
        ),
        format: 'lines',
        beside: twoPictures,
      },
      {
        name: 'captions.csv',
        bytes: text('file,caption,label\na.png,"a ""cat"", here",cat\nb/c.png,x,\n'),
        format: 'text',
        beside: twoPictures,
      },
      {
        name: 'captions.tsv',
        bytes: text('file\tcaption\r\na.png\ta cat\r\nb/c.png\tx\r\n'),
        format: 'text',
        beside: twoPictures,
      },
    ],
    file => ImageTextDataset.open(file, { imageSize: 4, labels: 'optional' }),
  ),
  clips: list(
    async () => [
      {
        name: 'clips.jsonl',
        bytes: lines({ clip: 'k', caption: 'a jump', frames: 2 }, { clip: 'k', caption: ['again'] }),
        format: 'lines',
        beside: { 'k/0.png': picture, 'k/1.png': picture },
      },
    ],
    file => ClipDataset.open(file, { imageSize: 4, frames: 2, labels: 'optional' }),
  ),
  questions: list(
    async () => [
      {
        name: 'questions.jsonl',
        bytes: lines(
          { file: 'a.png', text: 'is it red?', label: 'yes' },
          { file: 'b/c.png', text: 'how many?', label: 'two' },
        ),
        format: 'lines',
        beside: twoPictures,
      },
      {
        name: 'questions.csv',
        bytes: text('file,text,label\na.png,is it?,yes\nb/c.png,how,2\n'),
        format: 'text',
        beside: twoPictures,
      },
    ],
    file => QuestionDataset.open(file, { imageSize: 4, images: 1 }),
  ),
  labels: {
    samples: async () => [
      { name: 'labels.txt', bytes: text('a cat\na dog\n\nbird\n'), format: 'text' },
      { name: 'labels.json', bytes: json(['a cat', 'a dog']), format: 'json' },
    ],
    read: readLabels,
  },
  tokenizer: {
    async samples() {
      const texts = ['a cat and a dog', 'the cat sat', 'dogs and cats']
      const own = [WordTokenizer.fromCaptions(texts), trainBytePairs(texts, { vocabularySize: 270 })]
      const read = async (name: string) =>
        JSON.parse(gunzipSync(await readFile(golden('tokenizers', `${name}.json.gz`))).toString())
      const others = await Promise.all(['bert', 'gpt2', 'llama'].map(read))
      const { cases } = (await read('components')) as { cases: readonly { file: object }[] }
      const accepted = cases.map(({ file }) => file).filter(file => isAccepted(() => tokenizerFromJSON(file)))
      return [...own, ...others, ...accepted].map(each => ({
        name: 'tokenizer.json',
        bytes: json(each),
        format: 'json',
      }))
    },
    async read(file) {
      const tokenizer = await readTokenizer(file)
      const errors: unknown[] = []
      for (const words of WORDS)
        try {
          tokenizer.decode(tokenizer.encode(words))
          tokenizer.tokenize([words], 8, { truncate: true })
        } catch (error) {
          errors.push(error)
        }
      refusedByAll(errors, WORDS.length)
      tokenizerFromJSON(JSON.parse(JSON.stringify(tokenizer)))
    },
  },
  merges: {
    async samples() {
      const whole = gunzipSync(await readFile(golden('clip-tokenizer/bpe_simple_vocab_16e6.txt.gz'))).toString()
      const some = text(whole.split('\n').slice(0, 200).join('\n'))
      return [
        { name: 'vocab.bpe', bytes: some, format: 'text' },
        { name: 'vocab.bpe.gz', bytes: gzipSync(some), format: 'gzip' },
      ]
    },
    async read(file) {
      const tokenizer = await readTokenizer(file)
      for (const words of WORDS) tokenizer.decode(tokenizer.encode(words))
    },
  },
  'run config': {
    async samples() {
      const complete = tinyJson('data', {
        optimizer: { name: 'adamw', learningRate: 1e-3, rates: { image: 0.1 } },
        augment: { flip: true },
      })
      const others = [
        { family: 'classifier', model: { image: tinyModel.image } },
        { family: 'captioner', model: { preset: 'tiny', dropout: 0.1 } },
        { family: 'dual-encoder', model: 'tiny' },
      ]
      return [complete, ...others.map(each => tinyJson('data', each))].map(each => ({
        name: 'config.json',
        bytes: json(each),
        format: 'json',
      }))
    },
    async read(file) {
      const [whole, model] = await Promise.allSettled([
        readRunConfig(file),
        readJson(file).then(found => checkModelConfig(found, file)),
      ])
      for (const each of [model, whole]) if (each.status === 'rejected') throw each.reason
    },
  },
  run: RUN,
  metrics: {
    async samples(folder) {
      const files = await runIn(folder, { evaluateEvery: 1, evaluationExamples: 2, guard: { every: 1 } })
      const results = lines({
        ...{ date: '2026-01-01', step: 1, protocol: 'p', data: 'd', fingerprint: 'f', examples: 2 },
        ...{ options: { a: 1 }, values: { b: 0.5, c: null } },
      })
      return eachOf({ ...files, 'results.jsonl': results }, name => (name.endsWith('.jsonl') ? 'lines' : undefined))
    },
    async read(_, folder) {
      const run = join(folder, 'run')
      for (const each of [readMetrics, readResults, readProvenance]) await each(run)
      await openSettings(run)
      await new RunFolder(run).goBack(0)
    },
  },
  journals: {
    async samples(folder) {
      const journal = await EmbeddingJournal.open(join(folder, 'j'), embeddings)
      const batch = { position: 2, image: Float32Array.of(1, 2), text: Float32Array.of(3, 4), lines: ['{}'] }
      await journal.append({ ...batch, skipped: [{ file: 'a', key: 'b', reason: 'c' }] })
      await journal.append({ ...batch, position: 3, skipped: [] })
      await journal.close()
      const ledger = await Ledger.open(join(folder, 'l'), { a: 1, b: { c: [2] } })
      await ledger.add({ part: 'p', seconds: 1, values: { x: 0.5 } })
      await ledger.close()
      return [
        ...eachOf(await contentsOf(join(folder, 'j')), name => (name.endsWith('.jsonl') ? 'lines' : undefined)),
        ...eachOf(await contentsOf(join(folder, 'l')), () => 'lines'),
      ]
    },
    async read(file, folder) {
      if (file.endsWith('parts.jsonl')) return (await Ledger.open(folder, { a: 1, b: { c: [2] } })).close()
      const journal = await EmbeddingJournal.open(folder, embeddings)
      await journal.close()
    },
  },
  lock: {
    samples: async () => [
      { name: 'a.lock', bytes: lines({ process: 2 ** 22, host: hostname(), token: 'x' }), format: 'lines' },
      { name: 'a.lock', bytes: lines({ process: 4321, host: hostname() }), format: 'bytes' },
    ],
    async read(_, folder) {
      const release = await lock(join(folder, 'a'))
      await release()
      await (await LineFile.open(join(folder, 'a'), { begins: '{"' })).close()
    },
  },
  features: {
    async samples(folder) {
      await readFeatures(folder)
      return eachOf(await contentsOf(folder), name => (name.endsWith('.jsonl') ? 'lines' : 'bytes'))
    },
    read: (_, folder) => readFeatures(folder),
  },
  kept: {
    async samples(folder) {
      const model = new Linear(2, 1)
      const batch = {
        x: fromData(Float32Array.of(1, 2), [1, 2]),
        ids: Int32Array.of(7),
        labels: [['cat']],
        more: { s: 0.5 },
      }
      const objective = { model, loss: () => model.weight.sum() }
      await keepIn(new RunFolder(folder), { objective, batch, parts: 2, position: 11 }, 3)
      const [[name, bytes]] = Object.entries(await contentsOf(folder))
      return [{ name, bytes, format: 'safetensors' }]
    },
    read: readKeptBatch,
  },
  openclip: {
    async samples() {
      const folders = await Promise.all(['coca-base', 'coca-m', 'clip'].map(name => contentsOf(golden(name))))
      return folders.flatMap(files => {
        const some = Object.fromEntries(
          Object.entries(files).filter(([name]) => /config\.json$|(weights|_model)\.safetensors$/.test(name)),
        )
        return eachOf(some, name => (name.endsWith('.json') ? 'json' : 'safetensors'))
      })
    },
    read: (_, folder) => openClip(folder, { family: ['coca', 'dual-encoder'] }),
  },
  encoder: {
    async samples() {
      const names = [
        'timm',
        'vit',
        ...['clip', 'siglip', 'deit', 'dinov2', 'timm-deit3'].map(each => `encoders/${each}`),
      ]
      const folders = await Promise.all(names.map(name => contentsOf(golden(name))))
      const samples = folders.flatMap(({ 'io.safetensors': _, ...files }) =>
        eachOf(files, name => (name.endsWith('.json') ? 'json' : 'safetensors')),
      )
      return [...samples, ...(await inParts())]
    },
    async read(_, folder) {
      await readEncoderSettings(folder)
      await openEncoder(folder)
    },
  },
  golden: {
    async samples() {
      return eachOf(await contentsOf(golden('coca-base')), name =>
        name.endsWith('.json') ? 'json' : name.endsWith('.safetensors') ? 'safetensors' : undefined,
      )
    },
    read: (_, folder) => readGolden(folder),
  },
  experiment: {
    async samples() {
      const home = join(import.meta.dirname, '../../experiments')
      const files = ['objectives', 'transfer'].map(name => readFile(join(home, name, 'config.json')))
      return (await Promise.all(files)).map(bytes => ({ name: 'config.json', bytes, format: 'json' }))
    },
    async read(file) {
      for (const quick of [false, true]) await readExperiment(file, { quick })
    },
  },
}
