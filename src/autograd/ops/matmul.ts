// The matrix product, and the linear map x Wᵀ + b, which a device may compute in one kernel.

import { takes } from '../../tensor/arguments.ts'
import { broadcastShapes, promote, reshapeView, ShapeError, show, sizeOf, type Tensor } from '../../tensor/index.ts'
import * as is from '../../tensor/kinds.ts'
import { defineFused, defineOp, defineTogether } from '../op.ts'

const product = defineOp(
  'matmul',
  (k, x: Tensor, y: Tensor) => {
    const common = promote(x.dtype, y.dtype)
    const dtype = common === 'bool' ? 'int32' : common
    const rank = Math.max(x.rank, y.rank)
    const [a, b] = [x, y].map(t => {
      const full = reshapeView(t, [...new Array(rank - t.rank).fill(1), ...t.shape])
      return full.dtype === dtype ? full : k.cast(full, dtype)
    })
    return k.matmul(a, b)
  },
  (g, _, x, y) => [() => g.matmul(y.transpose()), () => x.transpose().matmul(g)],
  // by matmul and not by the operation, so that samples that share a matrix are one large product
  (_, batch, x, y) => {
    const rank = Math.max(x.rank, y.rank)
    return batch.aligned(x, rank).matmul(batch.aligned(y, rank))
  },
  'bilinear',
)

/**
 * The matrix product over the last two axes: x [..., m, k], y [..., k, n] → [..., m, n], with leading axes that broadcast. A
 * one-dimensional factor is a row on the left and a column on the right, and the result does not have its axis. The product of
 * integers is int32 and wraps around, modulo 2³²; bools are counted.
 * @throws ShapeError if the inner sizes differ or the leading axes do not broadcast
 */
export const matmul: (x: Tensor, y: Tensor) => Tensor = takes(
  'x.matmul(y)',
  [is.tensor, is.tensor],
  (x: Tensor, y: Tensor): Tensor => {
    if (x.rank === 0 || y.rank === 0)
      throw new ShapeError(
        `matmul: ${show(x.shape)} and ${show(y.shape)}: a factor must have at least one axis; use mul for a scalar`,
        x.shape,
        y.shape,
      )
    const [k, alsoK] = [x.shape[x.rank - 1], y.shape[Math.max(0, y.rank - 2)]]
    if (k !== alsoK)
      throw new ShapeError(
        `matmul: ${show(x.shape)} and ${show(y.shape)} must have equal inner sizes, not ${k} and ${alsoK}`,
        x.shape,
        y.shape,
      )
    if (x.rank === 1) return matmul(x.unsqueeze(0), y).squeeze(y.rank === 1 ? 0 : -2)
    if (y.rank === 1) return matmul(x, y.unsqueeze(1)).squeeze(-1)
    if (x.rank > 2 && y.rank > 2)
      broadcastShapes(
        `matmul: ${show(x.shape)} and ${show(y.shape)}: leading axes`,
        x.shape.slice(0, -2),
        y.shape.slice(0, -2),
      )
    // a single matrix for the whole stack makes one large product, in the forward pass and for both gradients
    if (y.rank === 2 && x.rank > 2) {
      const rows = x.shape.slice(0, -1)
      return product(x.reshape([sizeOf(rows), k]), y).reshape([...rows, y.shape[1]])
    }
    return product(x, y)
  },
)

/** [..., n] → [rows, n] */
const asRows = (x: Tensor): Tensor => x.reshape([sizeOf(x.shape.slice(0, -1)), x.shape[x.rank - 1]])

/** x Wᵀ + b by other operations. */
function mapped(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const product = x.matmul(weight.transpose())
  return bias ? product.add(bias) : product
}

/** The gradients of an affine map with respect to weight and bias, from g [rows, out] and x [rows, in]. */
const affineGradients = defineTogether(
  {
    linearWeightGradient: {
      definition: (g: Tensor, x: Tensor) => g.transpose().matmul(x),
      rule: (h, _, g, x) => [() => x.matmul(h.transpose()), () => g.matmul(h)],
      jvp: 'definition',
    },
    linearBiasGradient: { definition: (g: Tensor, _x: Tensor) => g.sum({ axis: 0 }) },
  },
  (k, g, x) => k.linearGradient?.(g, x),
)

/** Without checks of shapes. */
export const affine = defineFused('linear', {
  definition: mapped,
  kernel: (k, x, weight, bias) => k.linear?.(x, weight, bias),
  rule: (g, _, x, weight, bias) => {
    let results: ((position: number) => Tensor) | undefined
    const part = (position: number) => {
      results ??= affineGradients.results(asRows(g), asRows(x))
      return results(position)
    }
    const byWeight = () => (bias ? part(0) : asRows(g).transpose().matmul(asRows(x)))
    return [() => g.matmul(weight), byWeight, () => part(1)]
  },
  batching: (op, batch, x, weight, bias) =>
    batch.has(weight) || batch.has(bias) ? mapped(x, weight, bias) : op(batch.whole(x), weight, bias),
  jvp: ([x, weight, bias], _, x0, weight0): Tensor => {
    const byX = x && affine(x, weight0, bias)
    const byWeight = weight && affine(x0, weight, byX ? undefined : bias)
    return byX && byWeight ? byX.add(byWeight) : (byX ?? byWeight ?? bias!)
  },
})

/**
 * x Wᵀ + b: x [..., in], weight [out, in], bias [out] → [..., out].
 * @throws ShapeError if the sizes do not agree
 */
export const linear: (x: Tensor, weight: Tensor, bias?: Tensor) => Tensor = takes(
  'x.linear(weight, bias)',
  [is.tensor, is.tensor, is.optional(is.tensor)],
  (x: Tensor, weight: Tensor, bias?: Tensor): Tensor => {
    if (weight.rank !== 2 || x.rank === 0 || x.shape[x.rank - 1] !== weight.shape[1])
      throw new ShapeError(
        `linear: x ${show(x.shape)} must be [..., in] for the weight [out, in] ${show(weight.shape)}`,
        x.shape,
        weight.shape,
      )
    if (bias && (bias.rank !== 1 || bias.shape[0] !== weight.shape[0]))
      throw new ShapeError(
        `linear: the bias ${show(bias.shape)} must be [out] for the weight [out, in] ${show(weight.shape)}`,
        bias.shape,
        weight.shape,
      )
    return affine(x, weight, bias)
  },
)

/** The fused operations of this file. */
export const fusedLinear = { linear: affine, ...affineGradients.ops }
