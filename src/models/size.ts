// The number of parameters of a configuration, counted before anything is built: a model that no machine can hold is refused
// at once, by the name of the setting that makes it so large, instead of filling the memory or never ending.

import { ConfigError } from '../nn/index.ts'
import { makesValues } from '../nn/parameter.ts'
import { demandMemory } from '../tensor/demand.ts'
import { inUnits } from '../tensor/out-of-memory.ts'
import { MOST_ELEMENTS } from '../tensor/shape.ts'
import { patchGrid, type Size2d, sidesOf } from '../tensor/sides.ts'

/** Bytes of a parameter in float32. */
const BYTES = 4

/** The most parameters of a model: 1 TiB in float32, more than the memory of a machine. */
const MOST_PARAMETERS = 2 ** 38

/**
 * The most tensors that the parameters of a model may be in, about 10,000 layers. Each is an object of half a kilobyte and an entry of
 * a checkpoint; the deepest transformers that were trained have 1,000 layers (Wang et al. 2022, DeepNet).
 */
const MOST_TENSORS = 2 ** 18

/** Equal parts of a model, and the number of elements of every parameter of one of them. */
interface Parts {
  readonly times: number
  readonly elements: readonly number[]
}

/** The settings of an image encoder that determine its size. */
interface SizedImage {
  readonly size: Size2d
  readonly patch: Size2d
  readonly channels: number
  readonly width: number
  readonly layers: number
  readonly hidden: number
  readonly classToken: boolean
  readonly inputNorm: boolean
  readonly outputNorm: boolean
  readonly patchBias: boolean
}

/** Those of a text decoder. */
interface SizedText {
  readonly vocabulary: number
  readonly context: number
  readonly width: number
  readonly hidden: number
  readonly unimodalLayers: number
  readonly multimodalLayers: number
  readonly summary: 'class' | 'highest' | 'last'
  readonly classTokens: number
  readonly multimodal: {
    readonly hidden: number
    readonly memoryNorm: boolean
    readonly selfMlp: boolean
    readonly outputBias: boolean
  }
}

/** Those of the poolers. */
interface SizedPooler {
  readonly arrangement: 'cascade' | 'parallel' | 'shared' | 'none'
  readonly queries: number
  readonly width: number
  readonly queryNorm: boolean
}

const once = (...elements: readonly number[]): Parts => ({ times: 1, elements })

const linear = (input: number, output: number, bias = true): number[] =>
  bias ? [input * output, output] : [input * output]

const norm = (width: number): number[] => [width, width]

const attention = (width: number, memory = width): number[] => [
  ...[...linear(width, width), ...linear(memory, width), ...linear(memory, width)],
  ...linear(width, width),
]

const mlp = (width: number, hidden: number): number[] => [...linear(width, hidden), ...linear(hidden, width)]

/** A VisionTransformer. */
export function encoderParts(image: SizedImage): Parts[] {
  const { size, patch, channels, width, layers, hidden, classToken, inputNorm, outputNorm, patchBias } = image
  const [[rows, columns], [patchHeight, patchWidth]] = [patchGrid(size, patch), sidesOf(patch)]
  const tokens = rows * columns + (classToken ? 1 : 0)
  const pixels = channels * patchHeight * patchWidth
  const block = [...norm(width), ...attention(width), ...norm(width), ...mlp(width, hidden)]
  return [
    once(...linear(pixels, width, patchBias), tokens * width, ...(classToken ? [width] : [])),
    { times: layers, elements: block },
    once(...(inputNorm ? norm(width) : []), ...(outputNorm ? norm(width) : [])),
  ]
}

/** A UnimodalDecoder. */
export function unimodalParts(text: SizedText): Parts[] {
  const { vocabulary, context, width, hidden, unimodalLayers, summary, classTokens } = text
  const count = summary === 'class' ? classTokens : 0
  const block = [...norm(width), ...attention(width), ...norm(width), ...mlp(width, hidden)]
  return [
    once(vocabulary * width, (context + count) * width, ...(count > 0 ? [count * width] : []), ...norm(width)),
    { times: unimodalLayers, elements: block },
  ]
}

/** A MultimodalDecoder. */
export function multimodalParts(text: SizedText, memory: number): Parts[] {
  const { vocabulary, width, multimodalLayers, multimodal } = text
  const { hidden, memoryNorm, selfMlp, outputBias } = multimodal
  const inner = [...norm(width), ...mlp(width, hidden)]
  const cross = [...norm(width), ...attention(width, memory), ...(memoryNorm ? norm(memory) : [])]
  const block = [...norm(width), ...attention(width), ...(selfMlp ? inner : []), ...cross, ...inner]
  return [{ times: multimodalLayers, elements: block }, once(...norm(width), ...linear(width, vocabulary, outputBias))]
}

/** An AttentionalPooler. */
function poolerParts(queries: number, width: number, memory = width, queryNorm = false): Parts[] {
  if (queries === 0) return []
  const norms = [...(queryNorm ? norm(width) : []), ...norm(memory), ...norm(width)]
  return [once(queries * width, ...attention(width, memory), ...norms)]
}

interface Towers {
  readonly image: SizedImage
  readonly text: SizedText
}
interface Pooled extends Towers {
  readonly pooler: SizedPooler
}

const generativeParts = ({ image, pooler }: Pooled): Parts[] =>
  poolerParts(pooler.queries + (pooler.arrangement === 'shared' ? 1 : 0), pooler.width, image.width, pooler.queryNorm)

const decoderParts = ({ image, text, pooler }: Pooled): Parts[] =>
  multimodalParts(text, pooler.queries === 0 ? image.width : pooler.width)

/** A CoCa. */
export function cocaParts(settings: Pooled & { readonly embedding: number }): Parts[] {
  const { image, text, pooler, embedding } = settings
  const { arrangement, width, queryNorm } = pooler
  const isSeparate = arrangement === 'cascade' || arrangement === 'parallel'
  return [
    ...[...encoderParts(image), ...unimodalParts(text), ...decoderParts(settings), ...generativeParts(settings)],
    ...(isSeparate ? poolerParts(1, width, arrangement === 'cascade' ? width : image.width, queryNorm) : []),
    once(width * embedding, text.width * embedding, 1),
  ]
}

/** A LatentPooler. */
const latentPoolerParts = ({ width, hidden }: SizedImage): Parts[] => [
  once(width, ...attention(width), ...norm(width), ...mlp(width, hidden)),
]

/** A DualEncoder. */
export function dualEncoderParts(
  settings: Towers & {
    readonly embedding: number
    readonly summary: 'pooler' | 'class' | 'latent'
    readonly projection: { readonly image: boolean; readonly textBias: boolean }
    readonly contrast: 'softmax' | 'sigmoid'
  },
): Parts[] {
  const { image, text, summary, projection, contrast, embedding } = settings
  return [
    ...[...encoderParts(image), ...unimodalParts(text), ...poolerParts(summary === 'pooler' ? 1 : 0, image.width)],
    ...(summary === 'latent' ? latentPoolerParts(image) : []),
    once(...(projection.image ? [image.width * embedding] : []), ...linear(text.width, embedding, projection.textBias)),
    once(...(contrast === 'sigmoid' ? [1, 1] : [1])),
  ]
}

/** A Captioner. */
export const captionerParts = ({ image, text }: Towers): Parts[] => [
  ...[...encoderParts(image), ...unimodalParts(text), ...multimodalParts(text, image.width)],
]

/** An ImageClassifier, or with frames a VideoClassifier. */
export function classifierParts(settings: {
  readonly image: SizedImage
  readonly classes: number
  readonly frames?: number
}): Parts[] {
  const { image, classes, frames } = settings
  const head = once(...linear(image.width, classes), ...(frames === undefined ? [] : [frames * image.width]))
  return [...encoderParts(image), ...poolerParts(1, image.width), head]
}

/** A MultimodalClassifier. */
export function multimodalClassifierParts(
  settings: Pooled & { readonly classes: number; readonly images: number },
): Parts[] {
  const { image, text, classes, images } = settings
  const head = once(...linear(images * text.width, classes))
  const parts = [...encoderParts(image), ...unimodalParts(text), ...decoderParts(settings)]
  return [...parts, ...generativeParts(settings), ...poolerParts(1, text.width), head]
}

interface Amount {
  /** number of elements of all parameters */
  readonly parameters: number
  /** number of parameters with a name */
  readonly tensors: number
  /** number of elements of the largest one */
  readonly largest: number
}

/** How large a model of some settings is. */
function amountOf(parts: readonly Parts[]): Amount {
  let [parameters, tensors, largest] = [0, 0, 0]
  for (const { times, elements } of parts) {
    if (times === 0) continue
    parameters += times * elements.reduce((sum, n) => sum + n, 0)
    tensors += times * elements.length
    largest = Math.max(largest, ...elements)
  }
  return { parameters, tensors, largest }
}

/**
 * Checks that a model of some settings can exist, on any machine.
 * @param parts what the model is made of
 * @throws ConfigError naming the setting without which the model would be smallest
 */
export function checkSize<S extends object>(settings: S, parts: (settings: S) => readonly Parts[]): void {
  const { parameters, tensors, largest } = amountOf(parts(settings))
  const inEnglish = (n: number) => n.toLocaleString('en')
  const total = `makes a model of ${inEnglish(parameters)} parameters, ${inUnits(BYTES * parameters)} in float32`
  const refuse = (measure: keyof Amount, reason: string) => {
    const [field, value] = causeOf(settings, other => amountOf(parts(other as S))[measure])
    throw new ConfigError(field, value, reason)
  }
  if (largest > MOST_ELEMENTS)
    refuse(
      'largest',
      `${total}, ${inEnglish(largest)} of them in one tensor, which holds at most ${inEnglish(MOST_ELEMENTS)}`,
    )
  if (parameters > MOST_PARAMETERS) refuse('parameters', `${total}; at most ${inEnglish(MOST_PARAMETERS)} can be held`)
  if (tensors > MOST_TENSORS)
    refuse('tensors', `${total}, in ${inEnglish(tensors)} tensors; at most ${inEnglish(MOST_TENSORS)} are possible`)
}

/** The number, or the two sides, among the settings that, if it were 1, would make the measure smallest: its path and its value. */
function causeOf(settings: object, measure: (settings: object) => number): [field: string, value: unknown] {
  let [least, field]: [number, string] = [Number.POSITIVE_INFINITY, '']
  let found: unknown = 0
  const visit = (part: object, path: string, withPart: (part: object) => object): void => {
    for (const [name, value] of Object.entries(part)) {
      const replaced = (other: unknown) => withPart({ ...part, [name]: other })
      if (typeof value === 'object' && value !== null && !Array.isArray(value))
        visit(value, `${path}${name}.`, replaced)
      else if (Array.isArray(value) || (typeof value === 'number' && value > 1)) {
        const left = measure(replaced(1))
        if (left < least) [least, field, found] = [left, `${path}${name}`, value]
      }
    }
  }
  visit(settings, '', part => part)
  return [field, found]
}

/**
 * Checks that the current device can hold the parameters of a model that is about to be made with values.
 * @throws OutOfMemoryError
 */
export function demandWeights(parts: readonly Parts[]): void {
  if (!makesValues()) return
  const { parameters } = amountOf(parts)
  const purpose = `the ${parameters.toLocaleString('en')} weights of this model`
  demandMemory(BYTES * parameters, purpose, 'A smaller model needs less')
}
