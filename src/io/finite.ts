// Checks that weights are finite. One NaN among them spreads to every output, and a result computed from NaN looks like
// any other. So a model is made only of finite weights, and only finite weights are saved.

import { indexOfNonFinite, type Shape, show } from '../tensor/index.ts'

import { DataError } from './errors.ts'
import type { SafetensorsData } from './formats/safetensors.ts'

/** A tensor with a value that is NaN or infinite. */
export interface NonFiniteTensor {
  /** name of the tensor */
  readonly name: string
  /** shape of the tensor */
  readonly shape: Shape
  /** the first such value */
  readonly value: number
  /** its index in row-major order */
  readonly index: number
}

/** Weights that hold NaN or infinite values. */
export class NonFiniteWeightsError extends DataError {
  /** all tensors with such values, in the order in which they were checked */
  readonly tensors: readonly NonFiniteTensor[]

  /**
   * @param count number of tensors that were checked
   * @param advice what to do instead, as a sentence
   */
  constructor(
    tensors: readonly NonFiniteTensor[],
    count: number,
    { file, advice }: { readonly file?: string; readonly advice?: string } = {},
  ) {
    const listed = tensors.slice(0, 3).map(describeNonFinite).join(', ')
    const more = tensors.length > 3 ? ` and ${tensors.length - 3} more` : ''
    const found = `${tensors.length} of ${count} tensors ${tensors.length === 1 ? 'has' : 'have'} values that are not finite`
    super(`${found}: ${listed}${more}${advice === undefined ? '' : `. ${advice}`}`, { file })
    this.tensors = tensors
  }
}

/** encoder.positions [4, 8] has NaN at 3 */
export const describeNonFinite = ({ name, shape, value, index }: NonFiniteTensor): string =>
  `${name} ${show(shape)} has ${value} at ${index}`

/** The tensor as a list of one if it has a value that is NaN or infinite, else an empty list. Integers are finite. */
export function nonFiniteIn(name: string, shape: Shape, data: SafetensorsData): NonFiniteTensor[] {
  if (!(data instanceof Float32Array || data instanceof Float64Array)) return []
  const index = indexOfNonFinite(data)
  return index < 0 ? [] : [{ name, shape, value: data[index], index }]
}

/**
 * Checks that all values of some tensors on the host, such as the result of `readSafetensors`, are finite, in one pass over each.
 * @throws NonFiniteWeightsError naming the file and the tensors that have other values
 */
export function checkFinite(
  tensors: ReadonlyMap<string, { readonly shape: Shape; readonly data: SafetensorsData }>,
  place: { readonly file?: string; readonly advice?: string } = {},
): void {
  const found = [...tensors].flatMap(([name, { shape, data }]) => nonFiniteIn(name, shape, data))
  if (found.length > 0) throw new NonFiniteWeightsError(found, tensors.size, place)
}
