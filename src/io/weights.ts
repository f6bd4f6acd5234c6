// The weights of a model in a file: read one after the other, in pieces, when they are needed, and checked to be finite.

import type { TypedArray } from '../tensor/index.ts'
import { type NonFiniteTensor, NonFiniteWeightsError, nonFiniteIn } from './finite.ts'
import type { SafetensorsData } from './formats/safetensors.ts'
import type { RowRange, TensorFile } from './formats/tensor-file.ts'

export interface WeightFileOptions {
  /** what to do if values are not finite, as a sentence */
  readonly advice: string
  /** whether float64 becomes float32, in which values must be finite; default false */
  readonly single?: boolean
}

/** Some tensors of a file. Nothing is read before it is asked for. */
export class WeightFile {
  readonly file: TensorFile
  readonly #names: readonly string[]
  readonly #advice: string
  readonly #single: boolean

  /** @param names the tensors that are read, for messages */
  constructor(file: TensorFile, names: readonly string[], { advice, single = false }: WeightFileOptions) {
    this.file = file
    this.#names = names
    this.#advice = advice
    this.#single = single
  }

  /**
   * The values of a tensor, or of some of its rows. A piece is valid until the next is asked for.
   * @throws NonFiniteWeightsError naming all tensors of the file with values that are not finite; DataError if the file has changed since
   *   it was opened, is gone, or is damaged
   */
  *pieces(name: string, rows?: RowRange): Generator<TypedArray> {
    for (const piece of this.file.pieces(name, rows)) {
      const values = this.#values(piece)
      if (nonFiniteIn(name, [], values).length > 0) this.check()
      yield values
    }
  }

  /** Reads all tensors to check their values. @throws NonFiniteWeightsError naming those that are not finite; DataError as `pieces` */
  check(): void {
    const found = this.#names.flatMap(name => this.#firstNonFinite(name))
    if (found.length > 0)
      throw new NonFiniteWeightsError(found, this.#names.length, { file: this.file.path, advice: this.#advice })
  }

  #values(piece: SafetensorsData): TypedArray {
    return this.#single && piece instanceof Float64Array ? new Float32Array(piece) : (piece as TypedArray)
  }

  #firstNonFinite(name: string): NonFiniteTensor[] {
    let before = 0
    for (const piece of this.file.pieces(name)) {
      const [bad] = nonFiniteIn(name, this.file.entry(name).shape, this.#values(piece))
      if (bad) return [{ ...bad, index: bad.index + before }]
      before += piece.length
    }
    return []
  }
}
