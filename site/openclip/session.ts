// A checkpoint of OpenCLIP and the pictures that it is shown: captions, names and the search for a picture.

import { CoCa, device, fromData, noGrad, OutOfMemoryError, scope, type Tensor } from 'cocagrad'
import { type ImagePixels, normalize, resizeImage, type Tokenizer } from 'cocagrad/data'
import { type OpenClipArchitecture, type OpenedOpenClip, openOpenClip, parseOpenClipTokenizer } from 'cocagrad/models'
import type { Choice, Files, Report, Summary, Token } from './protocol.ts'
import { gigabytes } from './sizes.ts'

type Opened = OpenedOpenClip<'coca'> | OpenedOpenClip<'dual-encoder'>
type Model = Awaited<ReturnType<Opened['read']>>

/** Tokens that are shown beside the one that was taken. */
const NEXT = 5

interface Picture {
  readonly pixels: Float32Array
  /** of unit length */
  readonly embedding: Float32Array
}

export class Session {
  readonly #opened: Opened
  readonly #tokenizer: Tokenizer
  readonly #pictures = new Map<number, Picture>()
  #model: Model | undefined

  private constructor(opened: Opened, tokenizer: Tokenizer) {
    this.#opened = opened
    this.#tokenizer = tokenizer
  }

  /** Reads all but the weights. */
  static async open({ weights, config, architecture, tokenizer, tokenizerConfig }: Files): Promise<Session> {
    const source = typeof weights === 'string' ? new URL(weights) : weights
    const options = { family: ['coca', 'dual-encoder'], architecture: architecture as OpenClipArchitecture } as const
    const opened = await openOpenClip({ config, weights: source }, options)
    const words = await parseOpenClipTokenizer(tokenizer, {
      settings: opened.tokenizerSettings,
      text: opened.config.text,
      ...(tokenizerConfig !== undefined && { tokenizerConfig: jsonOf(tokenizerConfig, 'tokenizer_config.json') }),
    })
    const { vocabulary } = opened.config.text
    if (words.vocabularySize > vocabulary)
      throw new RangeError(
        `The tokenizer has ${words.vocabularySize} ids, and the model ${vocabulary}: it belongs to another model.`,
      )
    return new Session(opened, words)
  }

  get summary(): Summary {
    const { parameterCount, byteCount, config, preprocessing } = this.#opened
    const { size } = preprocessing
    return {
      kind: this.#opened.family === 'coca' ? 'CoCa' : this.#opened.config.contrast === 'sigmoid' ? 'SigLIP' : 'CLIP',
      parameters: parameterCount,
      bytes: byteCount,
      needed: 4 * parameterCount,
      size: typeof size === 'number' ? [size, size] : [size[0], size[1]],
      context: config.text.context,
      vocabulary: config.text.vocabulary,
    }
  }

  /** Reads the weights. @returns what computes */
  async read(onProgress: (done: number, count: number) => void): Promise<string> {
    await device.use('cpu')
    try {
      this.#model = await this.#opened.read({ onProgress })
    } catch (error) {
      const isMemory =
        error instanceof OutOfMemoryError || (error instanceof RangeError && /memory|alloc/i.test(error.message))
      throw isMemory
        ? new Error(
            `This browser does not give the page the ${gigabytes(this.summary.needed)} that the weights take. Close other tabs, use a computer with more memory or a browser of 64 bits, or open a smaller checkpoint. (${(error as Error).message})`,
          )
        : error
    }
    return device.description
  }

  get #ready(): Model {
    if (!this.#model) throw new Error('The weights have not been read yet.')
    return this.#model
  }

  async addPicture(id: number, bitmap: ImageBitmap | ImageData): Promise<void> {
    const { size, resize, mean, std } = this.#opened.preprocessing
    const pixels: ImagePixels = resize === 'squash' ? 'squash' : 'upright'
    const resized = resizeImage(bitmap, { size, pixels })
    const values = normalize(resized.pixels, mean, std)
    const embedding = await scope(
      async () => (await noGrad(() => this.#ready.encodeImage(this.#imageOf(values))).data()) as Float32Array,
    )
    this.#pictures.set(id, { pixels: values, embedding })
  }

  removePicture(id: number): void {
    this.#pictures.delete(id)
  }

  #picture(id: number): Picture {
    const found = this.#pictures.get(id)
    if (!found) throw new Error('Choose a picture first.')
    return found
  }

  /** [1, 3, height, width] */
  #imageOf(pixels: Float32Array): Tensor {
    return fromData(pixels, [1, 3, ...this.summary.size])
  }

  get #captioner(): CoCa {
    if (!(this.#ready instanceof CoCa))
      throw new Error(
        `This checkpoint is a ${this.summary.kind}: it compares pictures with texts, and writes no captions.`,
      )
    return this.#ready
  }

  /** @param onToken is called with each token of a caption of one beam, as soon as it is chosen */
  async caption(
    id: number,
    { beams, longest }: { readonly beams: number; readonly longest: number },
    onToken: (token: Token) => void,
  ): Promise<Omit<Extract<Report, { kind: 'caption' }>, 'kind' | 'id' | 'seconds'>> {
    const model = this.#captioner
    const { pixels } = this.#picture(id)
    const { start, end } = this.#tokenizer
    const options = { start, end, maximumLength: Math.min(longest + 1, this.summary.context) }
    if (beams === 1) {
      const ids: number[] = []
      const tokens: Token[] = []
      const state = this.#imageOf(pixels)
      for await (const { id: token, logProbabilities, attention } of model.stream(state, options)) {
        ids.push(token)
        tokens.push({ ...this.#tokenOf(token, logProbabilities), attention })
        onToken(tokens[tokens.length - 1])
      }
      return { text: this.#tokenizer.decode(ids), tokens, others: [] }
    }
    const [best] = await model.generate(this.#imageOf(pixels), { ...options, beams })
    return {
      text: this.#tokenizer.decode(best.ids),
      tokens: await this.#tokensOf(model, pixels, best.ids),
      others: best.alternatives.map(({ ids, logProbability }) => ({
        text: this.#tokenizer.decode(ids),
        logProbability,
      })),
    }
  }

  /** The tokens of a caption after its start, with the probabilities that the model gives to each after those before it. */
  async #tokensOf(model: CoCa, pixels: Float32Array, ids: readonly number[]): Promise<Token[]> {
    const logs = await scope(async () => {
      const before = fromData(Int32Array.from(ids.slice(0, -1)), [1, ids.length - 1])
      return noGrad(() => model.logits(this.#imageOf(pixels), before).logSoftmax()).data()
    })
    const width = logs.length / (ids.length - 1)
    return ids.slice(1).map((id, i) => this.#tokenOf(id, logs.subarray(i * width, (i + 1) * width) as Float32Array))
  }

  #tokenOf(id: number, logs: Float64Array | Float32Array): Token {
    const order = largest(logs, NEXT)
    return { ...this.#choiceOf(id, logs), next: order.map(each => this.#choiceOf(each, logs)) }
  }

  #choiceOf(id: number, logs: Float64Array | Float32Array): Choice {
    const { start, end } = this.#tokenizer
    const text = id === end ? 'end' : id === start ? 'start' : this.#tokenizer.decode([id])
    // a token may be a part of a character
    return { text: text === '' || text.includes('\ufffd') ? `token ${id}` : text, probability: Math.exp(logs[id]) }
  }

  /** Cosines of texts with an embedding of a picture. */
  async #cosines(texts: readonly string[], pictures: readonly Picture[]): Promise<Float32Array> {
    const { context } = this.summary
    return scope(async () => {
      const ids = fromData(this.#tokenizer.tokenize(texts, context), [texts.length, context])
      const width = pictures[0].embedding.length
      const all = new Float32Array(pictures.length * width)
      for (const [i, { embedding }] of pictures.entries()) all.set(embedding, i * width)
      const images = fromData(all, [pictures.length, width])
      return (await noGrad(() => images.matmul(this.#ready.encodeText(ids).transpose(0, 1))).data()) as Float32Array
    })
  }

  /**
   * Zero-shot classification, most probable first: the softmax of the scaled cosines. A SigLIP says of each label by itself how probable it
   * is that it fits, the sigmoid of the scaled cosine and a bias.
   */
  async names(id: number, labels: readonly string[], template: string) {
    if (labels.length === 0) throw new Error('Write at least one label, one a line.')
    const texts = labels.map(label =>
      template.includes('{}') ? template.replaceAll('{}', label) : `${template} ${label}`.trim(),
    )
    const cosines = await this.#cosines(texts, [this.#picture(id)])
    const model = this.#ready
    const probabilities = await scope(async () => {
      const logits = noGrad(() => fromData(cosines, [labels.length]).mul(model.logScale.exp()))
      const bias = model instanceof CoCa ? undefined : model.logitBias
      return noGrad(() => (bias ? logits.add(bias).sigmoid() : logits.softmax())).data()
    })
    const names = labels.map((text, i) => ({ text, probability: probabilities[i], cosine: cosines[i] }))
    return names.sort((a, b) => b.probability - a.probability)
  }

  /** Cosine of each picture with a text. */
  async find(text: string): Promise<Map<number, number>> {
    if (text.trim() === '') throw new Error('Write a few words about the picture that you look for.')
    if (this.#pictures.size === 0) throw new Error('Add a few pictures first.')
    const cosines = await this.#cosines([text], [...this.#pictures.values()])
    return new Map(Array.from(this.#pictures.keys(), (id, i) => [id, cosines[i]]))
  }
}

function jsonOf(text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`${file} is not JSON: ${(error as Error).message}`)
  }
}

/** Positions of the n largest values, largest first. */
export function largest(values: ArrayLike<number>, n: number): number[] {
  const found: number[] = []
  for (let i = 0; i < values.length; i++) {
    let place = found.length
    while (place > 0 && values[i] > values[found[place - 1]]) place--
    if (place < n) {
      found.splice(place, 0, i)
      found.length = Math.min(found.length, n)
    }
  }
  return found
}
