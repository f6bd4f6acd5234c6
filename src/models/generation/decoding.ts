// The state of a decoder for several captions at once. Rows can be reordered, repeated and dropped, and memory that a step no
// longer needs is freed before the next.

import { noGrad } from '../../autograd/index.ts'
import type { KeyValueCache } from '../../nn/index.ts'
import { device, fromData, storagesIn, type Tensor, type TypedArray } from '../../tensor/index.ts'
import type { TextConfig } from '../config.ts'
import { checkLogits, logSoftmax, type TokenPlace } from './sampling.ts'

/** The state of decoding; every tensor in it has one row per caption. */
export interface DecodingState {
  /** image tokens, [rows, queries, width] */
  tokens: Tensor
  /** weights of the patches in each image token, [rows, queries, patches] */
  origin: Tensor
  /** keys and values of the text so far, one for each layer of the lower half */
  unimodal: KeyValueCache[]
  /** keys and values of the text so far, one for each layer of the upper half */
  multimodal: KeyValueCache[]
  /** keys and values of the image tokens, computed once */
  image: KeyValueCache[]
  /** ids so far, int32 [rows, tokens]; undefined before the first step */
  ids?: Tensor
}

/** A model that can write captions. */
export interface CaptionDecoder {
  /** the vocabulary, the most ids of a text, and padding */
  readonly config: { readonly text: Pick<TextConfig, 'vocabulary' | 'context' | 'pad' | 'padIsWord'> }
  /** The state for images [batch, channels, height, width], before any text. */
  startDecoding(images: Tensor): DecodingState
  /** Adds new ids [rows, n] to the state and returns the logits after the last one, [rows, vocabulary]. */
  decode(ids: Tensor, state: DecodingState, onMemoryWeights?: (weights: Tensor) => void): Tensor
}

/** The prediction of a step for one row. */
export interface Prediction {
  /** log-probabilities of the next token */
  readonly logs: Float64Array
  /** position of that token */
  readonly place: TokenPlace
  /** attention of the decoder to each patch, averaged over layers and heads, through the pooler */
  readonly attention?: Float32Array
}

/** Decodes several captions at once. */
export class Decoding {
  readonly #model: CaptionDecoder
  readonly #cached: boolean
  #state: DecodingState
  /** number of the image of each row */
  #images: number[]
  readonly #from: number

  /** @param from number of the first image */
  constructor(model: CaptionDecoder, images: Tensor, cached: boolean, from = 0) {
    this.#model = model
    this.#cached = cached
    this.#state = unowned(() => model.startDecoding(images))
    this.#images = Array.from({ length: images.shape[0] }, (_, i) => i)
    this.#from = from
  }

  /** Continues with these rows of the last step, in this order. */
  select(rows: readonly number[]): void {
    if (rows.length === this.#images.length && rows.every((row, i) => row === i)) return
    const images = rows.map(row => this.#images[row])
    const isSame = images.length === this.#images.length && images.every((image, i) => image === this.#images[i])
    this.#images = images
    // beams of one image change rows often, and the state of the image need not move with them
    this.#advance(() => ({ state: selectRows(this.#state, rows, isSame) }))
  }

  /**
   * The prediction for every row, given all its ids so far; with `look` also the attention to the patches.
   * @throws LogitsError for logits that are not finite
   */
  async next(ids: readonly (readonly number[])[], look = false): Promise<Prediction[]> {
    const { logits, attention } = this.#advance(() => {
      const state = copyOf(this.#state)
      const fresh = ids.map(row => row.slice(state.ids?.shape[1] ?? 0))
      const input = fromData(
        Int32Array.from(fresh.flat()),
        [fresh.length, fresh[0].length],
        device.get(state.tokens.device),
      )
      const looks: Tensor[] = []
      const onWeights = (weights: Tensor) => looks.push(weights.mean({ axis: 1 }).slice([{}, { start: -1 }]))
      const logits = this.#model.decode(input, state, look ? onWeights : undefined)
      if (!this.#cached) forgetText(state)
      if (looks.length === 0) return { state, logits }
      const overTokens = looks.reduce((a, b) => a.add(b)).div(looks.length) // [rows, 1, queries]
      return { state, logits, attention: overTokens.matmul(state.origin) } // [rows, 1, patches]
    })
    const [logs, looks] = await Promise.all([readRows(logits), attention && readRows(attention)])
    return logs.map((row, i) => {
      const place = { ...this.#placeOf(i), position: ids[i].length }
      checkLogits(row, place)
      return { logs: logSoftmax(row), place, attention: looks && Float32Array.from(looks[i]) }
    })
  }

  /** The image of a row, and the number of the hypothesis if there are several. */
  #placeOf(row: number): Omit<TokenPlace, 'position'> {
    const image = this.#images[row]
    const rows = [...this.#images.keys()].filter(each => this.#images[each] === image)
    return { image: this.#from + image, ...(rows.length > 1 && { beam: rows.indexOf(row) }) }
  }

  /** Frees the state. */
  end(): void {
    for (const storage of storagesIn(this.#state)) storage.free('its generation')
  }

  /** Replaces the state by that which a step returns, frees what only the old state used, and returns the rest. */
  #advance<T extends { readonly state: DecodingState }>(step: () => T): T {
    const old = this.#state
    const result = unowned(step)
    this.#state = result.state
    const kept = storagesIn(this.#state)
    for (const storage of storagesIn(old)) if (!kept.has(storage)) storage.free('the next step of its generation')
    return result
  }
}

/**
 * Runs a step without recording. Its result belongs to no scope, because other code may open and end scopes between two
 * steps.
 */
function unowned<T>(step: () => T): T {
  const result = noGrad(step)
  for (const storage of storagesIn(result)) storage.keep()
  return result
}

/** The rows of a step's result, which is freed. */
async function readRows(x: Tensor): Promise<TypedArray[]> {
  try {
    const data = await x.data()
    const width = data.length / x.shape[0]
    return Array.from({ length: x.shape[0] }, (_, row) => data.subarray(row * width, (row + 1) * width))
  } finally {
    x.storage.free('its step')
  }
}

/** Leaves the images, and the texts before the first step. */
function forgetText(state: DecodingState): void {
  state.unimodal = state.unimodal.map(() => ({}))
  state.multimodal = state.multimodal.map(() => ({}))
  state.ids = undefined
}

const copyOf = (state: DecodingState): DecodingState => ({
  ...state,
  unimodal: state.unimodal.map(cache => ({ ...cache })),
  multimodal: state.multimodal.map(cache => ({ ...cache })),
  image: state.image.map(cache => ({ ...cache })),
})

/** @param ofSameImages whether every row keeps its image */
function selectRows(state: DecodingState, rows: readonly number[], ofSameImages = false): DecodingState {
  const order = fromData(Int32Array.from(rows), [rows.length], device.get(state.tokens.device))
  const pick = (cache: KeyValueCache): KeyValueCache =>
    cache.keys && cache.values ? { keys: cache.keys.take(order), values: cache.values.take(order) } : {}
  const pickImages = () => ({
    tokens: state.tokens.take(order),
    origin: state.origin.take(order),
    image: state.image.map(pick),
  })
  return {
    ...(ofSameImages ? state : pickImages()),
    unimodal: state.unimodal.map(pick),
    multimodal: state.multimodal.map(pick),
    ids: state.ids?.take(order),
  }
}
