// What depends on what, measured: the derivatives of every output by every input, with cocagrad. What a mask hides has the weight 0, so its derivative is exactly 0.

import {
  AttentionalPooler,
  device,
  jacobian,
  type Module,
  noGrad,
  permutation,
  randn,
  scope,
  seed,
  type Tensor,
  TransformerBlock,
  tensor,
} from 'cocagrad'
import { type MaskReport, type MaskRequest, PATCHES, type PoolReport, type PoolRequest } from './protocol.ts'

const WIDTH = 8
const POOLED = 16

/** Size of each block of the derivatives [1, outputs, width, 1, inputs, width]: [outputs, inputs]. */
function sizes(derivatives: Tensor, outputs: number, inputs: number): Float64Array {
  const of = derivatives.reshape([outputs, -1, inputs, derivatives.shape[derivatives.rank - 1]])
  return Float64Array.from(
    of
      .square()
      .sum({ axis: [1, 3] })
      .sqrt()
      .dataSync(),
  )
}

/** The same weights each time, whatever was drawn before. */
function fresh<M extends Module>(make: () => M): M {
  seed(1)
  return make()
}

export async function maskGradients({ id, length, mask, layers }: MaskRequest): Promise<MaskReport> {
  await device.use('reference')
  return scope(() => {
    const blocks = Array.from({ length: layers }, (_, i) => {
      seed(10 + i)
      return new TransformerBlock({ width: WIDTH, heads: 2 })
    })
    seed(2)
    const x = randn([1, length, WIDTH])
    const sight = tensor(Uint8Array.from(mask, Number), { shape: [1, 1, length, length], dtype: 'bool' })
    const f = (tokens: Tensor) => blocks.reduce((y, block) => block.forward(y, { mask: sight }), tokens)
    return { kind: 'mask', id, gradients: sizes(jacobian(f)(x), length, length) }
  })
}

export async function poolGradients({ id, queries, heads, hidden }: PoolRequest): Promise<PoolReport> {
  await device.use('reference')
  return scope(() => {
    const generative = fresh(() => new AttentionalPooler({ queries, width: POOLED, heads }))
    const contrastive = fresh(() => new AttentionalPooler({ queries: 1, width: POOLED, heads }))
    seed(2)
    const patches = randn([1, PATCHES, POOLED])
    const mask = tensor(
      Uint8Array.from(hidden, each => Number(!each)),
      { shape: [1, 1, 1, PATCHES], dtype: 'bool' },
    )
    let weights = new Float64Array()
    noGrad(() =>
      generative.forward(patches, {
        mask,
        onWeights: each => {
          weights = Float64Array.from(each.dataSync())
        },
      }),
    )
    const pooled = (x: Tensor) => generative.forward(x, { mask })
    const order = permutation(PATCHES)
    const moved = (x: Tensor, axis: number) => x.take(order, { axis })
    const shuffled = noGrad(() =>
      generative
        .forward(moved(patches, 1), { mask: moved(mask.cast('int32'), 3).cast('bool') })
        .sub(pooled(patches))
        .abs()
        .max()
        .dataSync(),
    )[0]
    return {
      kind: 'pool',
      id,
      weights,
      gradients: sizes(jacobian(pooled)(patches), queries, PATCHES),
      summary: sizes(jacobian((x: Tensor) => contrastive.forward(pooled(x)))(patches), 1, PATCHES),
      shuffled,
    }
  })
}
