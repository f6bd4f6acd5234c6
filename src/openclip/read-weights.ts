// Reads the tensors of a checkpoint one after the other, and checks that their values are finite.

import {
  type NonFiniteTensor,
  NonFiniteWeightsError,
  nonFiniteIn,
  type SafetensorsTensor,
  type TensorFile,
} from '../io/index.ts'
import { scope } from '../tensor/index.ts'

/** A tensor that is read. */
export interface WantedTensor {
  /** its name in the file */
  readonly name: string
  readonly shape: readonly number[]
  /** assigns its values, as float32, to the parameters that are made of it; tensors that it makes are freed */
  readonly take: (values: Float32Array) => void
}

/** What to do about weights that are not finite. */
export const ADVICE = 'Download or convert the checkpoint again, or use another one'

/**
 * Reads floating tensors, one after the other. As soon as one has values that are not finite, no further one is taken.
 * @throws NonFiniteWeightsError naming all tensors with such values
 */
export async function readWeights(file: TensorFile, wanted: readonly WantedTensor[]): Promise<void> {
  const bad: NonFiniteTensor[] = []
  for (const { name, shape, take } of wanted) {
    const values = asFloat32((await file.tensor(name)).data)
    bad.push(...nonFiniteIn(name, shape, values))
    if (bad.length === 0) scope(() => take(values))
  }
  if (bad.length > 0)
    throw new NonFiniteWeightsError(bad, wanted.length, {
      file: file.path,
      advice: ADVICE,
    })
}

const asFloat32 = (data: SafetensorsTensor['data']): Float32Array =>
  data instanceof Float32Array ? data : Float32Array.from(data as Float64Array)
