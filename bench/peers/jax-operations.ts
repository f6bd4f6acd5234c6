// The fastest forms of the operations on jax-js's wasm device. Functions of the library take ownership of their arrays; here
// arrays are passed as `.ref`, which adds an owner, so that the caller keeps its arguments. Intermediate results need not be
// freed: all of this runs inside `jit`, where they are tracers.

import type * as Jax from '@jax-js/jax'
import type { Framework } from './coca.ts'

export type Values = Jax.numpy.Array

export interface JaxOperations extends Framework<Values> {
  /** [batch, heads, tokens, size] each; takes ownership */
  readonly attentionOfHeads: (q: Values, k: Values, v: Values, causal: boolean) => Values
}

export function jaxOperations({ nn, numpy: np }: typeof Jax): JaxOperations {
  const linear = (x: Values, weight: Values, bias?: Values) => {
    const product = np.matmul(x.ref, weight.ref.transpose())
    return bias ? product.add(bias.ref) : product
  }

  const layerNorm = (x: Values, weight: Values, bias: Values) => {
    const centred = x.ref.sub(x.ref.mean(-1, { keepdims: true }))
    const deviation = np.sqrt(np.square(centred.ref).mean(-1, { keepdims: true }).add(1e-5))
    return centred.div(deviation).mul(weight.ref).add(bias.ref)
  }

  /** [batch · tokens, width] → [batch, heads, tokens, size] */
  const split = (x: Values, batch: number, heads: number) => {
    const [rows, width] = x.shape
    return x.ref.reshape([batch, rows / batch, heads, width / heads]).transpose([0, 2, 1, 3])
  }

  const attentionOfHeads: JaxOperations['attentionOfHeads'] = (q, k, v, causal) => {
    const [, , queries, size] = q.shape
    const tokens = k.shape[2]
    let scores = np.matmul(q, k.transpose([0, 1, 3, 2])).mul(1 / Math.sqrt(size))
    if (causal) scores = np.where(np.tri(queries, tokens, 0, { dtype: np.bool }), scores, -Infinity)
    return np.matmul(nn.softmax(scores, -1), v)
  }

  const attention: Framework<Values>['attention'] = (q, k, v, { batch, heads, causal }) => {
    const seen = attentionOfHeads(split(q, batch, heads), split(k, batch, heads), split(v, batch, heads), causal)
    return seen.transpose([0, 2, 1, 3]).reshape(q.shape)
  }

  const addToEach = (x: Values, tokens: Values, batch: number) =>
    x.ref
      .reshape([batch, ...tokens.shape])
      .add(tokens.ref)
      .reshape(x.shape)

  const repeat = (tokens: Values, batch: number) => {
    const [rows, width] = tokens.shape
    return np.broadcastTo(tokens.ref, [batch, rows, width]).reshape([batch * rows, width])
  }

  const append = (x: Values, token: Values, batch: number) => {
    const [rows, width] = x.shape
    const each = x.ref.reshape([batch, rows / batch, width])
    const last = np.broadcastTo(token.ref, [batch, 1, width])
    return np.concatenate([each, last], 1).reshape([rows + batch, width])
  }

  const pick = (x: Values, batch: number, begin: number, end: number) => {
    const [rows, width] = x.shape
    const part = x.ref.reshape([batch, rows / batch, width]).slice([], [begin, end], [])
    return part.reshape([batch * (end - begin), width])
  }

  const crossEntropy = (logits: Values, targets: Values) => {
    const [rows, classes] = logits.shape
    const chosen = nn.logSoftmax(logits.ref, -1).mul(nn.oneHot(targets.ref, classes))
    return chosen.sum().mul(-1 / rows)
  }

  return {
    linear,
    layerNorm,
    gelu: x => nn.gelu(x.ref, { approximate: false }),
    attention,
    attentionOfHeads,
    add: (x, y) => x.ref.add(y.ref),
    addToEach,
    repeat,
    append,
    pick,
    // 2 · ½: the compiler cannot scatter a gradient that is a view of another array
    embedding: (table, ids) => table.ref.slice(ids.ref).mul(2).mul(0.5),
    normalize: x => x.ref.div(np.sqrt(np.square(x.ref).sum(-1, { keepdims: true }))),
    transpose: x => x.ref.transpose(),
    scaleByExp: (x, logScale) => x.ref.mul(np.exp(logScale.ref)),
    crossEntropy,
    weighted: (...terms) => terms.map(([factor, term]) => term.ref.mul(factor)).reduce((sum, term) => sum.add(term)),
  }
}
