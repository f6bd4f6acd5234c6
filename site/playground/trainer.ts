// A tiny CoCa that learns Shapes: its data, its steps, and what it makes of pictures that it never saw.

import { AdamW, CoCa, device, fromData, noGrad, scope, seed, type Tensor } from 'cocagrad'
import { isHeldOut, pairNames, parseSafetensors, SIZES, shapesExample, WordTokenizer } from 'cocagrad/data'
import { type Inspection, type Look, type Picture, type Settings, SIDE, type StepReport } from './protocol.ts'

const CONTEXT = 12
/** Pictures that are shown, and those that figures are measured on. */
const SHOWN = 12
const MEASURED = 128
/** Approximately the mean and the deviation of the pictures' pixels. */
const [MEAN, DEVIATION] = [0.4, 0.2]
const WARMUP = 100
/** Steps until the learning rate has fallen to a tenth. */
const DECAY = 6000
/** All objects, as captions name them. */
const NAMES = SIZES.flatMap(size => pairNames.map(name => `a ${size} ${name}`))
/** Names that an inspection shows. */
const SHOWN_NAMES = 5
/** The most probable words that an inspection shows at each place. */
const SHOWN_WORDS = 5

const exampleOf = (index: number, options: Parameters<typeof shapesExample>[1]): Picture => {
  const { caption, pixels, scene } = shapesExample(index, options)
  return { caption, pixels, isHeldOut: scene.objects.some(({ colour, shape }) => isHeldOut(colour, shape)) }
}

/** A model with the pictures that it is looked at with. */
export interface Subject {
  readonly model: CoCa
  readonly step: number
  readonly shown: readonly Picture[]
  readonly measured: readonly Picture[]
  /** [pictures, 3, side, side] */
  readonly imagesOf: (examples: readonly Pick<Picture, 'pixels'>[]) => Tensor
  /** int32 [captions, context] */
  readonly idsOf: (captions: readonly string[]) => Tensor
  /** the caption that the model writes: its ids, and the words after the start */
  readonly write: (
    pixels: Uint8Array,
  ) => Promise<{ readonly ids: readonly number[]; readonly words: readonly string[] }>
}

/** [n, 3, side, side], normalised */
function imagesOf(examples: readonly Pick<Picture, 'pixels'>[]): Tensor {
  const plane = SIDE * SIDE
  const values = new Float32Array(examples.length * 3 * plane)
  examples.forEach(({ pixels }, n) => {
    for (let p = 0; p < plane; p++)
      for (let c = 0; c < 3; c++) values[(n * 3 + c) * plane + p] = (pixels[3 * p + c] / 255 - MEAN) / DEVIATION
  })
  return fromData(values, [examples.length, 3, SIDE, SIDE])
}

export class Trainer {
  readonly model: CoCa
  /** pictures that are shown, the last of them with a pair that is held out of training */
  readonly pictures: readonly Picture[]
  readonly #settings: Settings
  readonly #optimizer: AdamW
  readonly #tokenizer: WordTokenizer
  readonly #shown: readonly Picture[]
  readonly #measured: readonly Picture[]
  #step = 0

  private constructor(settings: Settings) {
    this.#settings = settings
    const captions = Array.from({ length: 2000 }, (_, i) => shapesExample(i, { seed: 1 }).caption)
    this.#tokenizer = WordTokenizer.fromCaptions(captions)
    const unseen = Array.from({ length: MEASURED }, (_, i) => exampleOf(i, { seed: 1002, pairs: 'seen' }))
    const heldOut = Array.from({ length: SHOWN / 4 }, (_, i) =>
      exampleOf(i, { seed: 1003, pairs: 'held-out', objects: 1 }),
    )
    this.#measured = unseen
    this.#shown = [...unseen.slice(0, SHOWN - heldOut.length), ...heldOut]
    this.pictures = this.#shown
    seed(settings.seed)
    const { queries, unimodalLayers, multimodalLayers } = settings
    this.model = new CoCa({
      image: { size: SIDE, patch: 8, width: 48, layers: 2, heads: 4 },
      text: {
        vocabulary: this.#tokenizer.vocabularySize,
        context: CONTEXT,
        width: 48,
        heads: 4,
        unimodalLayers,
        multimodalLayers,
        pad: this.#tokenizer.pad,
      },
      pooler: { queries, heads: 4 },
      embedding: 48,
      temperature: { initial: settings.temperature, maximumScale: 16 },
      loss: { contrastive: { weight: settings.contrastive }, captioning: { weight: settings.captioning } },
    })
    this.#optimizer = new AdamW(this.model, {
      learningRate: settings.learningRate,
      betas: [0.9, 0.99],
      weightDecay: 0.1,
    })
  }

  /** @param weights a file of safetensors; without it the weights are random */
  static async open(settings: Settings, weights?: Uint8Array): Promise<Trainer> {
    await device.use(settings.device)
    const trainer = new Trainer(settings)
    if (weights) {
      const { tensors, metadata } = parseSafetensors(weights)
      const state = [...tensors].map(
        ([name, { data, shape }]) => [name, fromData(data as Float32Array, shape)] as const,
      )
      trainer.model.loadStateDict(new Map(state))
      trainer.#step = Number(metadata.get('step') ?? 0)
    }
    return trainer
  }

  #idsOf(captions: readonly string[]): Tensor {
    return fromData(this.#tokenizer.tokenize(captions, CONTEXT), [captions.length, CONTEXT])
  }

  /** One update; pictures are drawn as they are needed, so that none comes twice. */
  async step(): Promise<StepReport> {
    const { batch, learningRate } = this.#settings
    const step = this.#step++
    const examples = Array.from({ length: batch }, (_, i) => exampleOf(step * batch + i, { seed: 1, pairs: 'seen' }))
    const rate = learningRate * Math.min(1, (step + 1) / WARMUP) * 0.1 ** Math.min(1, step / DECAY)
    return scope(async () => {
      const images = imagesOf(examples)
      const ids = this.#idsOf(examples.map(({ caption }) => caption))
      const loss = this.#optimizer.minimize(() => this.model.loss(images, ids), { learningRate: rate })
      this.model.constrain()
      const [contrastive, captioning] = await Promise.all([loss.contrastive?.item(), loss.captioning?.item()])
      return { step: step + 1, contrastive, captioning }
    }, 'a step of the playground')
  }

  /** Cosines of pictures and texts, [pictures, texts]. */
  async #similarities(examples: readonly Pick<Picture, 'pixels'>[], texts: readonly string[]): Promise<Float32Array> {
    return scope(async () => {
      const cosines = noGrad(() => {
        const images = this.model.encodeImage(imagesOf(examples))
        return images.matmul(this.model.encodeText(this.#idsOf(texts)).transpose(0, 1))
      })
      return (await cosines.data()) as Float32Array
    }, 'similarities of the playground')
  }

  async #write(examples: readonly Picture[]): Promise<string[]> {
    const { start, end } = this.#tokenizer
    return scope(async () => {
      const written = await this.model.generate(imagesOf(examples), { start, end })
      return written.map(({ ids }) => this.#tokenizer.decode(ids))
    }, 'captions of the playground')
  }

  /** What the model makes of pictures that it never saw. */
  async look(): Promise<Look> {
    const right = (examples: readonly Picture[]) => examples.map(({ caption }) => caption)
    const written = await this.#write(this.#shown)
    const captions = written.map((text, i) => ({ text, isRight: text === this.#shown[i].caption }))
    const similarities = await this.#similarities(this.#shown, right(this.#shown))
    const all = await this.#write(this.#measured)
    const exact = all.filter((text, i) => text === this.#measured[i].caption).length / MEASURED
    const cosines = await this.#similarities(this.#measured, right(this.#measured))
    let found = 0
    for (let i = 0; i < MEASURED; i++) {
      const row = cosines.subarray(i * MEASURED, (i + 1) * MEASURED)
      if (row.every(cosine => cosine <= row[i])) found++
    }
    return { step: this.#step, captions, similarities, exact, recall: found / MEASURED }
  }

  /**
   * Cosine of each picture that is shown with a text.
   * @throws RangeError if the text has a word that no caption has
   */
  async find(text: string): Promise<Float32Array> {
    const unknown = text
      .toLowerCase()
      .split(/\s+/)
      .filter(word => word && this.#tokenizer.encode(word).includes(this.#tokenizer.unknown))
    if (unknown.length > 0)
      throw new RangeError(`No caption has the word "${unknown[0]}". Words are: ${this.#tokenizer.words.join(', ')}.`)
    if (text.trim() === '') throw new RangeError('Write a few words, such as "a large red circle".')
    return this.#similarities(this.#shown, [text])
  }

  #wordOf(id: number): string {
    if (id === this.#tokenizer.end) return 'end'
    return id === this.#tokenizer.start ? 'start' : this.#tokenizer.decode([id]) || 'padding'
  }

  /** What the views are computed from. */
  get subject(): Subject {
    return {
      model: this.model,
      step: this.#step,
      shown: this.#shown,
      measured: this.#measured,
      imagesOf,
      idsOf: captions => this.#idsOf(captions),
      write: async pixels => {
        const { start, end } = this.#tokenizer
        const [{ ids }] = await this.model.generate(imagesOf([{ pixels }]), { start, end })
        return { ids, words: ids.slice(1).map(id => this.#wordOf(id)) }
      },
    }
  }

  /** A caption word by word, with the patches that each word is read from, and the names that suit the picture best. */
  async inspect(pixels: Uint8Array): Promise<Omit<Inspection, 'picture'>> {
    const example = { pixels }
    const { start, end } = this.#tokenizer
    const words = await scope(async () => {
      const found: Inspection['words'][number][] = []
      for await (const { id, logProbabilities, attention } of this.model.stream(imagesOf([example]), { start, end })) {
        const choice = (each: number) => ({ text: this.#wordOf(each), probability: Math.exp(logProbabilities[each]) })
        const order = [...logProbabilities.keys()].sort((a, b) => logProbabilities[b] - logProbabilities[a])
        found.push({ ...choice(id), next: order.slice(0, SHOWN_WORDS).map(choice), attention })
      }
      return found
    }, 'an inspection of the playground')
    const cosines = await this.#similarities([example], NAMES)
    const scale = await scope(() => noGrad(() => this.model.logScale.exp()).item())
    const greatest = Math.max(...cosines)
    const weights = [...cosines].map(cosine => Math.exp(scale * (cosine - greatest)))
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    const names = NAMES.map((text, i) => ({ text, probability: weights[i] / total }))
    names.sort((a, b) => b.probability - a.probability)
    return { words, names: names.slice(0, SHOWN_NAMES) }
  }
}
