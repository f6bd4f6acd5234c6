// AdamW, which TensorFlow.js does not have, in as few of its operations as possible.

import * as tf from '@tensorflow/tfjs-core'
import { adamwScalars, BETA1, BETA2, KEPT } from './adamw.ts'

/** Updates the values in their array, and frees the gradients. */
export function adamw(values: tf.Tensor[]): (gradients: readonly tf.Tensor[]) => void {
  const first = values.map(value => tf.zerosLike(value))
  const second = values.map(value => tf.zerosLike(value))
  const [beta1, beta2, kept] = [BETA1, BETA2, KEPT].map(value => tf.scalar(value))
  let t = 0
  return gradients => {
    t++
    const scalars = adamwScalars(t)
    const [rate, epsilon] = [tf.scalar(scalars.rate), tf.scalar(scalars.epsilon)]
    for (const [i, gradient] of gradients.entries()) {
      const moved = tf.tidy(() => {
        const m = tf.add(tf.mul(first[i], beta1), gradient)
        const v = tf.add(tf.mul(second[i], beta2), tf.square(gradient))
        const direction = tf.div(m, tf.add(tf.sqrt(v), epsilon))
        return [tf.sub(tf.mul(values[i], kept), tf.mul(direction, rate)), m, v]
      })
      tf.dispose([values[i], first[i], second[i], gradient])
      values[i] = moved[0]
      first[i] = moved[1]
      second[i] = moved[2]
    }
    tf.dispose([rate, epsilon])
  }
}
