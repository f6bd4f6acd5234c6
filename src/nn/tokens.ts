// The shape of the input of transformers: sequences of vectors, in batches.

import { ShapeError, show, type Tensor } from '../tensor/index.ts'

/**
 * Checks that a tensor is [batch, tokens, width].
 * @param what its name in the message: `TransformerBlock: x`
 * @throws ShapeError that says what to write
 */
export function checkTokens(what: string, x: Tensor, width: number): void {
  const { shape, rank } = x
  if (rank === 3 && shape[2] === width) return
  const [name] = what.split(' ').slice(-1)
  const isOne = rank === 2 && shape[1] === width
  throw new ShapeError(
    `${what} must be [batch, tokens, ${width}], not ${show(shape)}${isOne ? `; write ${name}.unsqueeze(0) for a batch of one` : ''}`,
    shape,
  )
}
