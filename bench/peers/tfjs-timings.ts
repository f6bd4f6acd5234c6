// Times the operations of names.ts in TensorFlow.js one by one; the last line is JSON.
//
//     npx tsx bench/peers/tfjs-timings.ts --threads 2

import * as tf from '@tensorflow/tfjs-core'
import type { BothWaysName, OperationName, Timings } from './names.ts'
import { adamw } from './tfjs-adamw.ts'
import { attentionOfHeads, tfjs } from './tfjs-operations.ts'
import { startTfjs } from './tfjs-start.ts'
import { medianTime, stepFlags } from './timing.ts'

const { threads } = stepFlags()
const version = await startTfjs('wasm', threads)
const random = (...shape: number[]): tf.Tensor => tf.randomNormal(shape)

const ms: Partial<Timings> = {}

/** Computes, which is finished when the call returns, and frees all memory. */
async function time(name: OperationName, f: () => tf.TensorContainer): Promise<void> {
  ms[name] = await medianTime(() => tf.dispose(tf.tidy(f)))
}

async function both(name: BothWaysName, f: (...x: tf.Tensor[]) => tf.Tensor, ...inputs: tf.Tensor[]): Promise<void> {
  await time(name, () => f(...inputs))
  const gradient = random(...tf.tidy(() => f(...inputs).shape))
  const valueAndGradients = tf.valueAndGrads(f)
  await time(`${name}, both ways`, () => {
    const { value, grads } = valueAndGradients(inputs, gradient)
    return [value, ...grads]
  })
}

for (const n of [512, 1024] as const) {
  const [a, b, g] = [random(n, n), random(n, n), random(n, n)] as tf.Tensor2D[]
  await time(`matmul ${n}`, () => tf.matMul(a, b))
  // the library's own gradients transpose inside the product, which takes ten times as long
  await time(`matmul ${n}, left gradient`, () => tf.matMul(g, tf.transpose(b)))
  await time(`matmul ${n}, right gradient`, () => tf.matMul(tf.transpose(a), g))
}
const [a, b] = [random(48, 64, 64), random(48, 64, 64)]
await time('48 products of 64', () => tf.matMul(a, b))

const x = random(4096, 256)
await both('exp', x => tf.exp(x), x)
await both('gelu', tfjs.gelu, x)
await both('softmax', x => tf.softmax(x), x)
await both('layerNorm', tfjs.layerNorm, x, tf.ones([256]), tf.zeros([256]))
await both('attention', attentionOfHeads(true), random(32, 64, 64), random(32, 64, 64), random(32, 64, 64))

const ids = tf.randomUniformInt([256, 1], 0, 8192)
const rows = random(256, 384)
await time('embedding gradient', () => tf.scatterND(ids, rows, [8192, 384]))

const update = adamw(Array.from({ length: 20 }, () => random(500, 500)))
const gradients = Array.from({ length: 20 }, () => random(500, 500))
ms.adamw = await medianTime(() => update(gradients.map(gradient => tf.clone(gradient))))

console.log(JSON.stringify({ version, ms }))
// otherwise its workers would wait for more work
process.exit(0)
