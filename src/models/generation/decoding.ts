// A decoder at work: what it has seen so far, for several captions at once. Rows can be reordered, repeated and dropped,
// and what a step no longer needs is given back before the next.

import { noGrad } from '../../autograd/index.ts'
import type { KeyValueCache } from '../../nn/index.ts'
import { device, fromData, storagesIn, type Tensor, type TypedArray } from '../../tensor/index.ts'
import type { TextConfig } from '../config.ts'
import { checkLogits, logSoftmax, type TokenPlace } from './sampling.ts'

/** What a decoder knows of the text so far; every tensor in it has one row a caption. */
export interface DecodingState {
  /** image tokens, [rows, queries, width] */
  tokens: Tensor
  /** where each image token was taken from, [rows, queries, patches] */
  origin: Tensor
  unimodal: KeyValueCache[]
  multimodal: KeyValueCache[]
  /** keys and values of the image tokens, computed once */
  image: KeyValueCache[]
  /** taken in so far, int32 [rows, tokens]; none before the first step */
  ids?: Tensor
}

/** A model that can write captions. */
export interface CaptionDecoder {
  readonly config: { readonly text: Pick<TextConfig, 'vocabulary' | 'context' | 'pad' | 'padIsWord'> }
  /** Images [batch, 3, size, size] taken in, and no text yet. */
  startDecoding(images: Tensor): DecodingState
  /** Takes new ids [rows, n] into the state and gives the logits after the last one, [rows, vocabulary]. */
  decode(ids: Tensor, state: DecodingState, onMemoryWeights?: (weights: Tensor) => void): Tensor
}

/** What a step says of one row. */
export interface Prediction {
  /** log-probabilities of the next token */
  readonly logs: Float64Array
  /** which token that is */
  readonly place: TokenPlace
  /** how much the decoder looked at each patch, over its layers and heads, through the pooler */
  readonly attention?: Float32Array
}

/** The model at work on some captions at once. */
export class Decoding {
  readonly #model: CaptionDecoder
  readonly #cached: boolean
  readonly #first: DecodingState
  #state: DecodingState
  /** which image each row is about */
  #images: number[]
  readonly #from: number

  /** @param from number of the first image */
  constructor(model: CaptionDecoder, images: Tensor, cached: boolean, from = 0) {
    this.#model = model
    this.#cached = cached
    this.#first = unowned(() => model.startDecoding(images))
    this.#state = this.#first
    this.#images = Array.from({ length: images.shape[0] }, (_, i) => i)
    this.#from = from
  }

  /** Goes on with these rows of the last step, in this order. */
  select(rows: readonly number[]): void {
    if (rows.length === this.#images.length && rows.every((row, i) => row === i)) return
    const images = rows.map(row => this.#images[row])
    const isSame = images.length === this.#images.length && images.every((image, i) => image === this.#images[i])
    this.#images = images
    // beams of one image change places all the time, and what belongs to the image need not move with them
    this.#advance(() => ({ state: selectRows(this.#state, rows, isSame) }))
  }

  /**
   * What comes next in every row, given all its ids so far; with `look` also where the decoder looked.
   * @throws LogitsError for logits that are not finite
   */
  async next(ids: readonly (readonly number[])[], look = false): Promise<Prediction[]> {
    if (!this.#cached)
      this.#advance(() => ({ state: { ...selectRows(this.#first, this.#images), ...untouched(this.#first) } }))
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

  /** The image that a row is about, and which of its hypotheses the row is if there are several. */
  #placeOf(row: number): Omit<TokenPlace, 'position'> {
    const image = this.#images[row]
    const rows = [...this.#images.keys()].filter(each => this.#images[each] === image)
    return { image: this.#from + image, ...(rows.length > 1 && { beam: rows.indexOf(row) }) }
  }

  /** Gives everything back. */
  end(): void {
    for (const storage of storagesIn([this.#state, this.#first])) storage.free('its generation')
  }

  /** Takes over the state that a step returns, gives back what only the old one held, and hands on the rest. */
  #advance<T extends { readonly state: DecodingState }>(step: () => T): T {
    const old = this.#state
    const result = unowned(step)
    this.#state = result.state
    const kept = storagesIn([this.#state, this.#first])
    for (const storage of storagesIn(old)) if (!kept.has(storage)) storage.free('the next step of its generation')
    return result
  }
}

/**
 * Runs a step with nothing recorded. What it returns belongs to no scope: other work goes on between two steps, and its
 * scopes open and end.
 */
function unowned<T>(step: () => T): T {
  const result = noGrad(step)
  for (const storage of storagesIn(result)) storage.keep()
  return result
}

/** The rows of a step's result, which is given back. */
async function readRows(x: Tensor): Promise<TypedArray[]> {
  try {
    const data = await x.data()
    const width = data.length / x.shape[0]
    return Array.from({ length: x.shape[0] }, (_, row) => data.subarray(row * width, (row + 1) * width))
  } finally {
    x.storage.free('its step')
  }
}

const untouched = (state: DecodingState) => ({
  unimodal: state.unimodal.map((): KeyValueCache => ({})),
  multimodal: state.multimodal.map((): KeyValueCache => ({})),
  image: state.image.map((): KeyValueCache => ({})),
  ids: undefined,
})

const copyOf = (state: DecodingState): DecodingState => ({
  ...state,
  unimodal: state.unimodal.map(cache => ({ ...cache })),
  multimodal: state.multimodal.map(cache => ({ ...cache })),
  image: state.image.map(cache => ({ ...cache })),
})

/** @param ofSameImages every row goes on with the image that it is about */
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
