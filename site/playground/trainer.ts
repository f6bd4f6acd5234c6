// A tiny CoCa that learns Shapes: its data, its steps, and what it makes of pictures that it never saw. The steps are those of Node's
// `cocagrad train` with the same config.json, so a run goes on in either.

import {
  AdamW,
  CoCa,
  clipGradients,
  constant,
  device,
  fromData,
  learningRateGroups,
  lossAndGradients,
  noGrad,
  type Schedule,
  scope,
  seed,
  stack,
  type Tensor,
  warmupCosine,
  warmupLinear,
} from 'cocagrad'
import {
  type Batch,
  BatchError,
  BatchIterator,
  type BatchState,
  DataError,
  type FileStore,
  fromSafetensors,
  isHeldOut,
  normalize,
  pairNames,
  parseSafetensors,
  ShapesPictures,
  SIZES,
  shapesExample,
  type Tokenizer,
  tokenizerFromJSON,
  WordTokenizer,
} from 'cocagrad/data'
import { type StepMetrics, TrainingStore } from 'cocagrad/fit'
import { defaults, type Inspection, type Look, type Picture, type Settings, SIDE } from './protocol.ts'
import { checkConfig, configOf, obstacleOf, type RunConfig, settingsOf, TRAINING } from './run-config.ts'
import { thinned } from './thinning.ts'

/** Pictures that are shown, and those that figures are measured on. */
const SHOWN = 12
const MEASURED = 128
/** All objects, as captions name them. */
const NAMES = SIZES.flatMap(size => pairNames.map(name => `a ${size} ${name}`))
/** Names that an inspection shows. */
const SHOWN_NAMES = 5
/** Checkpoints of a run that are kept. */
const CHECKPOINTS = 12
/** The largest norm of gradients that are not clipped, as in cocagrad/train. */
const NEVER_CLIPPED = 1e30

const CONFIG = 'config.json'
const TOKENIZER = 'tokenizer.json'
const json = (value: unknown) => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`)
const parsed = async (store: FileStore, name: string): Promise<unknown> => {
  const text = new TextDecoder().decode(await store.read(name))
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new DataError('is not JSON', { file: name, cause: error })
  }
}
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

/** The words of Shapes. */
const shapesWords = () =>
  WordTokenizer.fromCaptions(Array.from({ length: 2000 }, (_, i) => shapesExample(i, { seed: 1 }).caption))

/** The learning rate of each step of a run, as in cocagrad/train. */
function scheduleOf({ schedule, warmup, steps, optimizer }: RunConfig): Schedule {
  const peak = optimizer.learningRate
  const options = { peak, warmup: warmup ?? Math.max(0, Math.min(Math.ceil(0.02 * steps), steps - 1)), total: steps }
  if (schedule === 'cosine') return warmupCosine(options)
  if (schedule === 'linear') return warmupLinear(options)
  const [rising, steady] = [warmupLinear(options), constant(peak)]
  return step => (step < options.warmup ? rising(step) : steady(step))
}

/** For every row of ids the first equal row: equal captions are right for each other's pictures. */
function equalRows({ tokens, tokenShape: [rows, length] }: Batch): Tensor {
  const first = new Map<string, number>()
  const groups = Int32Array.from({ length: rows }, (_, row) => {
    const key = tokens.subarray(row * length, (row + 1) * length).join()
    if (!first.has(key)) first.set(key, row)
    return first.get(key)!
  })
  return fromData(groups, [rows])
}

export class Trainer {
  readonly model: CoCa
  readonly config: RunConfig
  /** pictures that are shown, the last of them with a pair that is held out of training */
  readonly pictures: readonly Picture[]
  /** why the model cannot be trained on here */
  readonly obstacle: string | undefined
  /** what is different from where the run was made */
  note: string | undefined
  readonly #tokenizer: Tokenizer
  readonly #optimizer: AdamW
  readonly #schedule: Schedule
  readonly #measured: readonly Picture[]
  #batches: BatchIterator<ShapesPictures> | undefined
  /** where the batches are to continue; they are made when the first is needed */
  #position: BatchState | undefined
  #metrics: StepMetrics[] = []
  #step = 0

  private constructor(config: RunConfig, tokenizer: Tokenizer) {
    this.config = config
    this.#tokenizer = tokenizer
    this.obstacle = obstacleOf(config)
    this.#measured = Array.from({ length: MEASURED }, (_, i) => exampleOf(i, { seed: 1002, pairs: 'seen' }))
    const heldOut = Array.from({ length: SHOWN / 4 }, (_, i) =>
      exampleOf(i, { seed: 1003, pairs: 'held-out', objects: 1 }),
    )
    this.pictures = [...this.#measured.slice(0, SHOWN - heldOut.length), ...heldOut]
    seed(config.seed)
    this.model = new CoCa(config.model)
    const { name: _, ...options } = config.optimizer
    const { learningRate, betas, epsilon, weightDecay } = options
    this.#optimizer = new AdamW(this.model, {
      learningRate,
      ...(betas && { betas: [...betas] as [number, number] }),
      ...(epsilon !== undefined && { epsilon }),
      ...(weightDecay !== undefined && { weightDecay }),
      groups: learningRateGroups(this.model),
    })
    this.#schedule = this.obstacle === undefined ? scheduleOf(config) : constant(learningRate)
  }

  /** A new model. */
  static async start(settings: Settings): Promise<Trainer> {
    await device.use(settings.device)
    const tokenizer = shapesWords()
    return new Trainer(configOf(settings, { vocabulary: tokenizer.vocabularySize, pad: tokenizer.pad }), tokenizer)
  }

  /** A model with weights from a file of safetensors. */
  static async withWeights(weights: Uint8Array): Promise<Trainer> {
    const trainer = await Trainer.start(defaults)
    const { tensors, metadata } = parseSafetensors(weights)
    scope(() => void trainer.model.loadStateDict(fromSafetensors(tensors)))
    trainer.#step = Number(metadata.get('step') ?? 0)
    return trainer
  }

  /**
   * A run in the files of its folder, at its last checkpoint.
   * @throws DataError naming the file and what is wrong
   */
  static async resume(store: FileStore): Promise<Trainer> {
    const names = await store.list()
    for (const name of [CONFIG, TOKENIZER])
      if (!names.has(name)) throw new DataError(`is missing: these are not the files of a run`, { file: name })
    const config = checkConfig(await parsed(store, CONFIG))
    const step = (await new TrainingStore(store).steps()).at(-1)
    if (step === undefined) throw new DataError('the run has no checkpoint yet')
    await device.use(config.device === 'reference' ? 'cpu' : (config.device as 'cpu' | 'gpu'))
    const trainer = new Trainer(config, tokenizerFromJSON(await parsed(store, TOKENIZER)))
    await trainer.goBack(store, step)
    // so that it is known now whether these are the pictures of the run
    if (trainer.obstacle === undefined) trainer.#batchesHere()
    return trainer
  }

  get settings(): Settings {
    return settingsOf(this.config)
  }
  get step(): number {
    return this.#step
  }
  get isFinished(): boolean {
    return this.#step >= this.config.steps
  }
  /** of all steps so far */
  get metrics(): readonly StepMetrics[] {
    return this.#metrics
  }

  /** Goes back to a checkpoint of the run: the following steps are those that were made after it. */
  async goBack(store: FileStore, step: number): Promise<void> {
    const training = new TrainingStore(store)
    if (this.obstacle === undefined) {
      const { batches } = await training.load(step, { model: this.model, optimizer: this.#optimizer })
      if (this.#batches) this.#place(this.#batches, batches as BatchState)
      else this.#position = batches as BatchState
    } else await this.#loadWeights(store, step)
    this.#step = step
    const lines = await training.metrics()
    this.#metrics = lines.filter((line): line is StepMetrics => line.kind === 'step' && line.step <= step)
  }

  /** Reads the weights alone: their averages, where the run has some. */
  async #loadWeights(store: FileStore, step: number): Promise<void> {
    const folder = `checkpoints/step-${String(step).padStart(6, '0')}`
    const names = await store.list()
    const files = ['model', 'average'].map(name => `${folder}/${name}.safetensors`).filter(name => names.has(name))
    const tensors = new Map()
    for (const file of files)
      for (const [name, tensor] of parseSafetensors(await store.read(file), file).tensors) tensors.set(name, tensor)
    scope(() => void this.model.loadStateDict(fromSafetensors(tensors)))
  }

  /** Keeps the run as it is now. @throws FileError if there is no space left */
  async save(store: FileStore): Promise<void> {
    const batches = this.#batches?.state ?? this.#position ?? this.#batchesHere().state
    const parts = { model: this.model, optimizer: this.#optimizer, state: { step: this.#step, batches } }
    // all of it in one change with the first checkpoint, so that a run without settings is never found
    const names = await store.list()
    const first = new Map([
      [CONFIG, json(this.config)],
      [TOKENIZER, json(this.#tokenizer)],
    ])
    const whole: FileStore = {
      name: store.name,
      list: () => store.list(),
      read: name => store.read(name),
      write: (files, removed) => store.write(names.has(CONFIG) ? files : new Map([...first, ...files]), removed),
    }
    await new TrainingStore(whole).save(parts, { keep: steps => thinned(steps, CHECKPOINTS), metrics: this.#metrics })
  }

  #batchesHere(): BatchIterator<ShapesPictures> {
    if (this.#batches) return this.#batches
    const { batchSize, seed, equalCaptions, model } = this.config
    const batches = new BatchIterator(new ShapesPictures(TRAINING), this.#tokenizer, {
      batchSize,
      seed,
      contextLength: model.text.context,
      distinctCaptions: equalCaptions === 'distinct',
      normalize: this.config.normalize as { mean: number[]; std: number[] },
      ahead: 2,
    })
    if (this.#position) this.#place(batches, this.#position)
    this.#batches = batches
    this.#position = undefined
    return batches
  }

  /** Sets the next batch. A run of other pictures goes on with the first batch of those of this page. */
  #place(batches: BatchIterator<ShapesPictures>, position: BatchState): void {
    try {
      batches.restore(position)
    } catch (error) {
      if (!(error instanceof BatchError)) throw error
      this.note = `This run was trained on other pictures than those of this page: it goes on with the first of these (${error.reason}).`
    }
  }

  #imagesOf(examples: readonly Pick<Picture, 'pixels'>[]): Tensor {
    const { mean, std } = this.config.normalize
    const plane = SIDE * SIDE
    const values = new Float32Array(examples.length * 3 * plane)
    examples.forEach(({ pixels }, n) => {
      const image = new Float32Array(3 * plane)
      for (let p = 0; p < plane; p++) for (let c = 0; c < 3; c++) image[c * plane + p] = pixels[3 * p + c] / 255
      values.set(normalize(image, mean, std), n * 3 * plane)
    })
    return fromData(values, [examples.length, 3, SIDE, SIDE])
  }

  #idsOf(captions: readonly string[]): Tensor {
    const { context } = this.config.model.text
    return fromData(this.#tokenizer.tokenize(captions, context), [captions.length, context])
  }

  /** One update. @throws Error if a value is not finite; the parameters are unchanged then */
  async update(): Promise<StepMetrics> {
    const began = performance.now()
    const batch = await this.#batchesHere().next()
    const waiting = (performance.now() - began) / 1000
    const { equalCaptions, clipNorm } = this.config
    const learningRate = this.#schedule(this.#step)
    this.model.train()
    const read = await scope(async () => {
      const images = fromData(batch.images, batch.imageShape)
      const ids = fromData(batch.tokens, batch.tokenShape)
      const groups = equalCaptions === 'positives' ? equalRows(batch) : undefined
      const { loss, gradients } = lossAndGradients(this.model, () => this.model.loss(images, ids, { groups }))
      const clipped = clipGradients(gradients, clipNorm ?? NEVER_CLIPPED)
      const { total, ...named } = loss as { readonly total: Tensor; readonly [name: string]: Tensor | undefined }
      const parts = Object.entries(named).filter((part): part is [string, Tensor] => part[1] !== undefined)
      const measures = [clipped.norm, this.model.logScale.exp(), total, ...parts.map(([, value]) => value)]
      const [gradientNorm, scale, ...values] = await stack(measures.map(value => value.reshape([]))).data()
      if (![gradientNorm, ...values].every(Number.isFinite))
        throw new Error(
          `the losses or gradients of step ${this.#step + 1} are not finite. Go back to an earlier step, or start again with a lower learning rate`,
        )
      this.#optimizer.step(clipped.gradients, learningRate)
      this.model.constrain()
      const names = ['total', ...parts.map(([name]) => name)]
      const losses = Object.fromEntries(names.map((name, i) => [name, values[i]])) as StepMetrics['losses']
      return { losses, measures: { scale }, gradientNorm }
    }, 'a step of the playground')
    const seconds = (performance.now() - began) / 1000
    const metrics: StepMetrics = {
      kind: 'step',
      step: ++this.#step,
      epoch: batch.epoch,
      losses: read.losses,
      measures: read.measures,
      learningRate,
      gradientNorm: read.gradientNorm,
      examplesPerSecond: this.config.batchSize / seconds,
      seconds,
      waiting,
      skipped: 0,
    }
    this.#metrics.push(metrics)
    return metrics
  }

  /** Cosines of pictures and texts, [pictures, texts]. */
  async #similarities(examples: readonly Pick<Picture, 'pixels'>[], texts: readonly string[]): Promise<Float32Array> {
    return scope(async () => {
      const cosines = noGrad(() => {
        const images = this.model.encodeImage(this.#imagesOf(examples))
        return images.matmul(this.model.encodeText(this.#idsOf(texts)).transpose(0, 1))
      })
      return (await cosines.data()) as Float32Array
    }, 'similarities of the playground')
  }

  async #write(examples: readonly Picture[]): Promise<string[]> {
    const { start, end } = this.#tokenizer
    return scope(async () => {
      const written = await this.model.generate(this.#imagesOf(examples), { start, end })
      return written.map(({ ids }) => this.#tokenizer.decode(ids))
    }, 'captions of the playground')
  }

  /** What the model makes of pictures that it never saw. */
  async look(): Promise<Look> {
    this.model.eval()
    const right = (examples: readonly Picture[]) => examples.map(({ caption }) => caption)
    const written = await this.#write(this.pictures)
    const captions = written.map((text, i) => ({ text, isRight: text === this.pictures[i].caption }))
    const similarities = await this.#similarities(this.pictures, right(this.pictures))
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
    this.model.eval()
    const { unknown } = this.#tokenizer
    const words = text.toLowerCase().split(/\s+/).filter(Boolean)
    const foreign = words.filter(word => unknown !== undefined && this.#tokenizer.encode(word).includes(unknown))
    if (foreign.length > 0) {
      const known = this.#tokenizer instanceof WordTokenizer ? ` Words are: ${this.#tokenizer.words.join(', ')}.` : ''
      throw new RangeError(`No caption has the word "${foreign[0]}".${known}`)
    }
    if (words.length === 0) throw new RangeError('Write a few words, such as "a large red circle".')
    return this.#similarities(this.pictures, [text])
  }

  #wordOf(id: number): string {
    if (id === this.#tokenizer.end) return 'end'
    return id === this.#tokenizer.start ? 'start' : this.#tokenizer.decode([id]) || 'padding'
  }

  /** What the views are computed from. */
  get subject(): Subject {
    this.model.eval()
    return {
      model: this.model,
      step: this.step,
      shown: this.pictures,
      measured: this.#measured,
      imagesOf: examples => this.#imagesOf(examples),
      idsOf: captions => this.#idsOf(captions),
      write: async pixels => {
        const { start, end } = this.#tokenizer
        const [{ ids }] = await this.model.generate(this.#imagesOf([{ pixels }]), { start, end })
        return { ids, words: ids.slice(1).map(id => this.#wordOf(id)) }
      },
    }
  }

  /** A caption word by word, with the patches that each word is read from, and the names that suit the picture best. */
  async inspect(pixels: Uint8Array): Promise<Omit<Inspection, 'picture'>> {
    this.model.eval()
    const example = { pixels }
    const { start, end } = this.#tokenizer
    const words = await scope(async () => {
      const found: Inspection['words'][number][] = []
      for await (const { id, logProbabilities, attention } of this.model.stream(this.#imagesOf([example]), {
        start,
        end,
      })) {
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
