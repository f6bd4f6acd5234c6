// The training step of bench/model.ts in TensorFlow.js, on the backend that runs.

import * as tf from '@tensorflow/tfjs-core'
import { type Batch, cocaLoss, plainBatch } from './coca.ts'
import { adamw } from './tfjs-adamw.ts'
import { tfjs } from './tfjs-operations.ts'
import type { PeerTraining } from './timing.ts'
import type { Start } from './weights.ts'

/** @param start weights and batch */
export async function tfjsTraining(start: Start): Promise<PeerTraining> {
  const { config, batch: size, names } = start
  const values: tf.Tensor[] = []
  for (const name of names) {
    const { data, shape } = await start.parameter(name)
    values.push(tf.tensor(data, [...shape]))
  }
  const plain = plainBatch(start.images.data, start.ids.data, config, size)
  const batch: Batch<tf.Tensor> = {
    size,
    patches: tf.tensor2d(plain.patches.data, plain.patches.shape),
    ids: tf.tensor1d(plain.ids, 'int32'),
    next: tf.tensor1d(plain.next, 'int32'),
    pairs: tf.tensor1d(plain.pairs, 'int32'),
  }

  const lossAndGradients = tf.valueAndGrads((...tensors: tf.Tensor[]) => {
    const byName = new Map(names.map((name, i) => [name, tensors[i]]))
    return cocaLoss(tfjs, name => byName.get(name)!, config, batch)
  })
  const update = adamw(values)

  async function step(): Promise<number> {
    const { value, grads } = lossAndGradients(values)
    update(grads)
    const [loss] = await value.data()
    value.dispose()
    return loss
  }

  return { step, parameters: start.parameters }
}
