// The fastest forms of the operations on TensorFlow.js's wasm backend. Its own kernels are used where they exist. Gradients
// are written here, because those of the library transpose inside the product, and a product of two plain matrices is five
// times as fast as one with a transposed or batched factor. For the same reason, a sum over rows is a product with ones.

import * as tf from '@tensorflow/tfjs-core'
import type { Framework } from './coca.ts'

type Matrix = tf.Tensor2D

/** An operation with its gradients: `forward` returns the value and the tensors that `backward` needs. */
function operation(
  forward: (...inputs: tf.Tensor[]) => { value: tf.Tensor; kept: tf.Tensor[] },
  backward: (dy: tf.Tensor, kept: tf.Tensor[]) => tf.Tensor[],
): (...inputs: tf.Tensor[]) => tf.Tensor {
  return tf.customGrad((...all) => {
    const save = all.pop() as tf.GradSaveFunc
    const { value, kept } = forward(...(all as tf.Tensor[]))
    save(kept)
    return { value, gradFunc: backward }
  })
}

/** Constants that operations share; they outlive every tidy. */
const constants = new Map<string, tf.Tensor>()
function constant<T extends tf.Tensor>(name: string, make: () => T): T {
  const made = constants.get(name) ?? tf.keep(make())
  constants.set(name, made)
  return made as T
}
const ones = (rows: number): Matrix => constant(`ones ${rows}`, () => tf.ones([1, rows]))
const number = (value: number): tf.Scalar => constant(`${value}`, () => tf.scalar(value))

/** [rows, width] → [width] */
const sumOfRows = (x: tf.Tensor): tf.Tensor => tf.reshape(tf.matMul(ones(x.shape[0]), x as Matrix), [x.shape[1]!])

const linearWithBias = operation(
  (x, weight, bias) => {
    const value = tf.fused.matMul({ a: x as Matrix, b: tf.transpose(weight) as Matrix, bias })
    return { value, kept: [x, weight] }
  },
  (dy, [x, weight]) => [
    tf.matMul(dy as Matrix, weight as Matrix),
    tf.matMul(tf.transpose(dy) as Matrix, x as Matrix),
    sumOfRows(dy),
  ],
)

const linearWithoutBias = operation(
  (x, weight) => ({ value: tf.matMul(x as Matrix, tf.transpose(weight) as Matrix), kept: [x, weight] }),
  (dy, [x, weight]) => [tf.matMul(dy as Matrix, weight as Matrix), tf.matMul(tf.transpose(dy) as Matrix, x as Matrix)],
)

/** Φ(x) is kept, because erf is the expensive part. */
const gelu = operation(
  x => {
    const below = tf.mul(tf.add(tf.erf(tf.mul(x, number(Math.SQRT1_2))), number(1)), number(0.5))
    return { value: tf.mul(x, below), kept: [x, below] }
  },
  (dy, [x, below]) => {
    const density = tf.mul(tf.exp(tf.mul(tf.square(x), number(-0.5))), number(1 / Math.sqrt(2 * Math.PI)))
    return [tf.mul(dy, tf.add(below, tf.mul(x, density)))]
  },
)

const layerNorm = operation(
  (x, weight, bias) => {
    const centred = tf.sub(x, tf.mean(x, -1, true))
    const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), number(1e-5)))
    const normal = tf.mul(centred, inverse)
    return { value: tf.add(tf.mul(normal, weight), bias), kept: [normal, inverse, weight] }
  },
  (dy, [normal, inverse, weight]) => {
    const g = tf.mul(dy, weight)
    const along = tf.mul(normal, tf.mean(tf.mul(g, normal), -1, true))
    const dx = tf.mul(inverse, tf.sub(tf.sub(g, tf.mean(g, -1, true)), along))
    return [dx, sumOfRows(tf.mul(dy, normal)), sumOfRows(dy)]
  },
)

/** 0 where a query may attend to a key and -∞ elsewhere, [queries, keys] */
const causalMask = (queries: number, keys: number): Matrix =>
  constant(`mask ${queries} ${keys}`, () =>
    tf.tensor2d(
      Float32Array.from({ length: queries * keys }, (_, i) => (i % keys > Math.floor(i / keys) ? -Infinity : 0)),
      [queries, keys],
    ),
  )

/** [batch · heads, tokens, size] each. Batched products are slow on this backend, but products of the slices are slower. */
export function attentionOfHeads(causal: boolean) {
  return operation(
    (q, k, v) => {
      const scale = number(1 / Math.sqrt(q.shape[2]!))
      const scores = tf.mul(tf.matMul(q, k, false, true), scale)
      const masked = causal ? tf.add(scores, causalMask(q.shape[1]!, k.shape[1]!)) : scores
      const weights = tf.softmax(masked)
      return { value: tf.matMul(weights, v), kept: [q, k, v, weights] }
    },
    (dy, [q, k, v, weights]) => {
      const scale = number(1 / Math.sqrt(q.shape[2]!))
      const dWeights = tf.matMul(dy, v, false, true)
      const across = tf.sum(tf.mul(dWeights, weights), -1, true)
      const dScores = tf.mul(tf.mul(weights, tf.sub(dWeights, across)), scale)
      return [tf.matMul(dScores, k), tf.matMul(dScores, q, true), tf.matMul(weights, dy, true)]
    },
  )
}
const causalAttention = attentionOfHeads(true)
const fullAttention = attentionOfHeads(false)

function split(x: tf.Tensor, batch: number, heads: number): tf.Tensor {
  const [rows, width] = x.shape as [number, number]
  const [tokens, size] = [rows / batch, width / heads]
  const apart = tf.transpose(tf.reshape(x, [batch, tokens, heads, size]), [0, 2, 1, 3])
  return tf.reshape(apart, [batch * heads, tokens, size])
}

function join(x: tf.Tensor, batch: number, heads: number): tf.Tensor {
  const [, tokens, size] = x.shape as [number, number, number]
  const together = tf.transpose(tf.reshape(x, [batch, heads, tokens, size]), [0, 2, 1, 3])
  return tf.reshape(together, [batch * tokens, heads * size])
}

const column = (ids: tf.Tensor): tf.Tensor2D => tf.reshape(ids, [ids.size, 1])

const embedding = operation(
  (table, ids) => ({ value: tf.gather(table, ids as tf.Tensor1D), kept: [table, ids] }),
  (dy, [table, ids]) => [tf.scatterND(column(ids), dy, table.shape as [number, number]), tf.zerosLike(ids)],
)

/** Adds one row to all rows: [rows, width], [width] */
const addRow = operation(
  (x, row) => ({ value: tf.add(x, row), kept: [] }),
  dy => [tf.clone(dy), sumOfRows(dy)],
)

/** The positions of the targets in [rows, classes]: [rows, 2] */
const places = (targets: tf.Tensor): tf.Tensor => tf.stack([tf.range(0, targets.size, 1, 'int32'), targets], 1)

const crossEntropy = operation(
  (logits, targets) => {
    const probabilities = tf.softmax(logits)
    const value = tf.neg(tf.mean(tf.log(tf.gatherND(probabilities, places(targets)))))
    return { value, kept: [probabilities, targets] }
  },
  (dy, [probabilities, targets]) => {
    const [rows, classes] = probabilities.shape as [number, number]
    const target = tf.scatterND(places(targets), tf.ones([rows]), [rows, classes])
    return [tf.mul(tf.sub(probabilities, target), tf.div(dy, number(rows))), tf.zerosLike(targets)]
  },
)

function normalize(x: tf.Tensor): tf.Tensor {
  return tf.div(x, tf.sqrt(tf.sum(tf.square(x), -1, true)))
}

function pick(x: tf.Tensor, batch: number, begin: number, end: number): tf.Tensor {
  const [rows, width] = x.shape as [number, number]
  const tokens = tf.reshape(x, [batch, rows / batch, width])
  return tf.reshape(tf.slice(tokens, [0, begin, 0], [batch, end - begin, width]), [batch * (end - begin), width])
}

function addToEach(x: tf.Tensor, tokens: tf.Tensor, batch: number): tf.Tensor {
  return tf.reshape(addRow(tf.reshape(x, [batch, tokens.size]), tf.reshape(tokens, [tokens.size])), x.shape)
}

function repeat(tokens: tf.Tensor, batch: number): tf.Tensor {
  const [rows, width] = tokens.shape as [number, number]
  return addToEach(tf.zeros([batch * rows, width]), tokens, batch)
}

function append(x: tf.Tensor, token: tf.Tensor, batch: number): tf.Tensor {
  const [rows, width] = x.shape as [number, number]
  const last = repeat(tf.reshape(token, [1, width]), batch)
  const longer = tf.concat([tf.reshape(x, [batch, (rows / batch) * width]), last], 1)
  return tf.reshape(longer, [rows + batch, width])
}

export const tfjs: Framework<tf.Tensor> = {
  linear: (x, weight, bias) => (bias ? linearWithBias(x, weight, bias) : linearWithoutBias(x, weight)),
  layerNorm,
  gelu,
  attention: (q, k, v, { batch, heads, causal }) => {
    const attend = causal ? causalAttention : fullAttention
    return join(attend(split(q, batch, heads), split(k, batch, heads), split(v, batch, heads)), batch, heads)
  },
  add: (x, y) => tf.add(x, y),
  addToEach,
  repeat,
  append,
  pick,
  embedding,
  normalize,
  transpose: x => tf.transpose(x),
  scaleByExp: (x, logScale) => tf.mul(x, tf.exp(logScale)),
  crossEntropy,
  weighted: (...terms) => tf.addN(terms.map(([factor, term]) => tf.mul(term, number(factor)))),
}
