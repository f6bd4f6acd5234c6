// Results of all kernels of the cpu device, for tests that compare devices with each other.

import assert from 'node:assert/strict'
import '../../../src/autograd/index.ts'
import type { CpuDevice } from '../../../src/tensor/cpu/index.ts'
import { fromData, Generator, scope, type Tensor } from '../../../src/tensor/index.ts'
import { momentFormats } from '../../../src/tensor/moments.ts'

/** Results of kernels of every kind, large enough for several threads. */
export const results = (device: CpuDevice): Float32Array[] =>
  scope(() => tensors(device).map(t => t.dataSync() as Float32Array))

/** The same as tensors. */
export function tensors(device: CpuDevice): Tensor[] {
  const generator = new Generator(7)
  const random = (...shape: number[]): Tensor => {
    const n = shape.reduce((a, b) => a * b, 1)
    return fromData(
      Float32Array.from({ length: n }, () => generator.normal()),
      shape,
      device,
    )
  }
  return scope(() => {
    const k = device.kernels
    const [x, g, row] = [random(301, 257), random(301, 257), random(257)]
    const heads = random(6, 2, 40, 16)
    const weight = random(129, 257)
    const input = { q: heads, k: heads, v: heads, causal: true, scale: 0.25 }
    const ids = fromData(
      Int32Array.from({ length: 301 }, (_, i) => (i * 31) % 257),
      [301],
      device,
    )
    const [m, v] = [random(301, 257), k.unary('abs', g)]
    const value = k.copy(x)
    const numbers = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, kept: 0.99, rate: 0.01, deviation: 0.1 }
    const isMoved = k.adamwInPlace!([{ value, gradient: g, firstMoment: m, secondMoment: v, numbers }])
    assert.equal(isMoved, true)
    const packed = momentFormats.map((format, seed) => {
      const moment = format === 'rootFloat8' ? v : random(301, 257)
      return { format, words: k.packMoments!(moment, format, seed)!, shape: moment.shape, seed }
    })
    const unpacked = packed.map(each => k.unpackMoments!(each)!)
    const values = [k.copy(x), k.copy(x)]
    const [bfloat16, float8, rootFloat8] = packed
    const updates = [
      { value: values[0], gradient: g, firstMoment: bfloat16, secondMoment: rootFloat8, numbers },
      {
        value: values[1],
        gradient: g,
        firstMoment: float8,
        secondMoment: { ...rootFloat8, words: k.copy(rootFloat8.words) },
        numbers,
      },
    ]
    assert.equal(k.adamwPackedInPlace!(updates), true)
    const [images, kernels, slopes] = [random(3, 12, 13, 14), random(20, 6, 3, 3), random(3, 20, 7, 7)]
    const steps = {
      stride: [2, 2],
      dilation: [1, 1],
      padding: [
        [1, 1],
        [1, 1],
      ] as const,
      kernel: [3, 3],
      groups: 2,
    }
    return [
      k.convolution!(images, kernels, [7, 7], steps)!,
      k.convolutionTransposed!(slopes, kernels, [13, 14], steps)!,
      k.convolutionByWeight!(images, slopes, [3, 3], steps)!,
      k.maxPool!(images, [7, 7], steps)!,
      k.maxPoolGradient!(random(3, 12, 7, 7), images, steps)!,
      k.batchNorm!(images, random(12), random(12), 1e-5)!,
      ...k.batchNormGradient!(random(3, 12, 13, 14), images, random(12), 1e-5)!,
      k.cast(k.topk!(x, 1, 8, true)!, 'float32'),
      k.unary('exp', x),
      k.binary('add', x, row, 'float32'),
      k.where(k.compare('greater', x, 0), x, g, 'float32'),
      k.copy(x.view([257, 301], [1, 257])),
      k.reduce('sum', x, [0]),
      k.reduce('sum', x, [1]),
      k.matmul(x, weight.view([257, 129], [1, 257])),
      k.softmax!(x)!,
      k.softmaxGradient!(g, x)!,
      k.layerNorm!(x, row, row, 1e-5)!,
      ...k.layerNormGradient!(g, x, row, 1e-5)!,
      k.gelu!(x)!,
      k.geluGradient!(g, x)!,
      k.linear!(x, weight, k.copy(row.view([129], [1])))!,
      k.attention!(input)!,
      k.attentionGradient!(heads, input)!,
      k.negativeLogLikelihood!(x, ids)!,
      k.negativeLogLikelihoodGradient!(k.copy(x.view([301], [257])), x, ids)!,
      k.sumOfSquares!([x, row, heads])!,
      value,
      m,
      ...unpacked,
      ...values,
    ]
  })
}
