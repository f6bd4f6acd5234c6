// The CoCa of bench/model.ts with another framework's operations, from the definitions: pre-norm blocks, one pooler whose
// first query is the image's embedding, a [CLS] token after the text. Tokens are flat, [batch · tokens, width], so that every
// linear layer is one product of two matrices, for which the frameworks are fastest.

import { type CoCaConfig, sidesOf } from '../../src/index.ts'

/** The operations of a framework; T is its tensor. They do not take ownership of their arguments. */
export interface Framework<T> {
  /** x weightᵀ + bias: [rows, in], [out, in], [out] → [rows, out] */
  readonly linear: (x: T, weight: T, bias?: T) => T
  /** over the last axis of [rows, width], ε = 1e-5 */
  readonly layerNorm: (x: T, weight: T, bias: T) => T
  /** the exact GELU, x Φ(x) */
  readonly gelu: (x: T) => T
  /** softmax(q kᵀ / √size) v for each head of each of the batch: [batch · tokens, width] each */
  readonly attention: (q: T, k: T, v: T, how: { batch: number; heads: number; causal: boolean }) => T
  readonly add: (x: T, y: T) => T
  /** the same [tokens, width] added to each of the batch, [batch · tokens, width] */
  readonly addToEach: (x: T, tokens: T, batch: number) => T
  /** [tokens, width] → [batch · tokens, width] */
  readonly repeat: (tokens: T, batch: number) => T
  /** appends a token to each text: [batch · tokens, width], [width] → [batch · (tokens + 1), width] */
  readonly append: (x: T, token: T, batch: number) => T
  /** tokens `begin` to `end` of each: [batch · tokens, width] → [batch · (end - begin), width] */
  readonly pick: (x: T, batch: number, begin: number, end: number) => T
  /** rows of the table, [ids, width] */
  readonly embedding: (table: T, ids: T) => T
  /** rows of unit length */
  readonly normalize: (x: T) => T
  readonly transpose: (x: T) => T
  /** x exp(logScale) */
  readonly scaleByExp: (x: T, logScale: T) => T
  /** mean of -log softmax(row)[target] over [rows, classes] */
  readonly crossEntropy: (logits: T, targets: T) => T
  /** Σ factor · term, of scalars */
  readonly weighted: (...terms: readonly (readonly [factor: number, term: T])[]) => T
}

/** The inputs of one step. */
export interface Batch<T> {
  readonly size: number
  /** patches of the images, [batch · patches, channels · side · side] */
  readonly patches: T
  /** [batch · context] */
  readonly ids: T
  /** every id but each text's first: [batch · (context - 1)] */
  readonly next: T
  /** 0, 1 … batch - 1: the index of each pair */
  readonly pairs: T
}

export type Parameters<T> = (name: string) => T

/** (CE(i→t) + CE(t→i)) / 2 + 2 × captioning loss */
export function cocaLoss<T>(
  f: Framework<T>,
  weights: Parameters<T>,
  { text, image, pooler }: CoCaConfig,
  b: Batch<T>,
): T {
  const batch = b.size
  const linear = (name: string, x: T) => f.linear(x, weights(`${name}.weight`), weights(`${name}.bias`))
  const norm = (name: string, x: T) => f.layerNorm(x, weights(`${name}.weight`), weights(`${name}.bias`))

  const attention = (name: string, x: T, memory: T, heads: number, causal: boolean) => {
    const [q, k, v] = [linear(`${name}.query`, x), linear(`${name}.key`, memory), linear(`${name}.value`, memory)]
    return linear(`${name}.output`, f.attention(q, k, v, { batch, heads, causal }))
  }
  const block = (name: string, x: T, heads: number, causal: boolean, memory?: T) => {
    const own = norm(`${name}.attentionNorm`, x)
    let y = f.add(x, attention(`${name}.attention`, own, own, heads, causal))
    if (memory !== undefined)
      y = f.add(y, attention(`${name}.crossAttention`, norm(`${name}.crossNorm`, y), memory, heads, false))
    const hidden = f.gelu(linear(`${name}.mlp.up`, norm(`${name}.mlpNorm`, y)))
    return f.add(y, linear(`${name}.mlp.down`, hidden))
  }

  let patches = linear('encoder.patches.projection', b.patches)
  patches = f.addToEach(patches, weights('encoder.positions'), batch)
  for (let i = 0; i < image.layers; i++) patches = block(`encoder.blocks.${i}`, patches, image.heads, false)

  const queries = f.repeat(weights('generativePooler.queries'), batch)
  const memory = norm('generativePooler.memoryNorm', patches)
  const attended = attention('generativePooler.attention', queries, memory, pooler.heads ?? text.heads, false)
  const pooled = norm('generativePooler.norm', attended)
  const imageTokens = f.pick(pooled, batch, 1, pooler.queries + 1)
  const imageEmbedding = f.normalize(f.linear(f.pick(pooled, batch, 0, 1), weights('imageProjection.weight')))

  const { context } = text
  const embedded = f.embedding(weights('unimodal.embedding.weight'), b.ids)
  let tokens = f.append(embedded, weights('unimodal.classToken'), batch)
  tokens = f.addToEach(tokens, weights('unimodal.positions'), batch)
  for (let i = 0; i < text.unimodalLayers; i++) tokens = block(`unimodal.blocks.${i}`, tokens, text.heads, true)
  const summary = norm('unimodal.norm', f.pick(tokens, batch, context, context + 1))
  const textEmbedding = f.normalize(f.linear(summary, weights('textProjection.weight')))

  const similarity = f.scaleByExp(f.linear(imageEmbedding, textEmbedding), weights('logScale'))
  const toText = f.crossEntropy(similarity, b.pairs)
  const toImage = f.crossEntropy(f.transpose(similarity), b.pairs)

  let decoded = f.pick(tokens, batch, 0, context)
  for (let i = 0; i < text.multimodalLayers; i++)
    decoded = block(`multimodal.blocks.${i}`, decoded, text.heads, true, imageTokens)
  const logits = linear('multimodal.output', norm('multimodal.norm', decoded))
  const captioning = f.crossEntropy(f.pick(logits, batch, 0, context - 1), b.next)

  return f.weighted([0.5, toText], [0.5, toImage], [2, captioning])
}

/** A batch as plain numbers, from which a framework makes its tensors. */
export interface PlainBatch {
  readonly patches: { readonly data: Float32Array; readonly shape: [number, number] }
  readonly ids: Int32Array
  readonly next: Int32Array
  readonly pairs: Int32Array
}

/** Images are cut into patches before the timing starts. */
export function plainBatch(
  images: Float32Array,
  ids: Int32Array,
  { image, text }: CoCaConfig,
  batch: number,
): PlainBatch {
  const [[size], [side]] = [sidesOf(image.size), sidesOf(image.patch)]
  const across = size / side
  const length = 3 * side * side
  const data = new Float32Array(images.length)
  let to = 0
  for (let n = 0; n < batch; n++)
    for (let row = 0; row < across; row++)
      for (let column = 0; column < across; column++)
        for (let channel = 0; channel < 3; channel++)
          for (let y = 0; y < side; y++) {
            const from = ((n * 3 + channel) * size + row * side + y) * size + column * side
            data.set(images.subarray(from, from + side), to)
            to += side
          }
  return {
    patches: { data, shape: [batch * across * across, length] },
    ids,
    next: ids.filter((_, i) => i % text.context !== 0),
    pairs: Int32Array.from({ length: batch }, (_, i) => i),
  }
}
