// Who wants to know that random numbers are drawn: a computation that is repeated, such as that of `checkpoint`, has to draw the
// same numbers again. And how a random tensor is made: in `vmap` for each sample.

import { capturing } from './capturing.ts'
import type { Generator } from './random.ts'
import type { Shape } from './shape.ts'
import type { Tensor } from './tensor.ts'

type DrawListener = (generator: Generator, position: number) => void

let listener: DrawListener = () => {}

/** Adds a function that is told of random numbers before they are drawn, beginning at a position. */
export function listenToDraws(told: DrawListener): void {
  const others = listener
  listener = (generator, position) => {
    others(generator, position)
    told(generator, position)
  }
}

/** Says that random numbers are drawn now. */
export function announceDraw(generator: Generator, position = generator.state.position): void {
  capturing()?.refuse('it draws random numbers')
  listener(generator, position)
}

/** Makes a random tensor of a shape by a function that draws the numbers of any shape, of several samples one after the other. */
export type Draws = (shape: Shape, draw: (shape: Shape) => Tensor) => Tensor

let draws: Draws = (shape, draw) => draw(shape)

/** How random tensors are made now. */
export const currentDraws = (): Draws => draws

/** Runs `f`, with random tensors made in another way: in `vmap` each sample has numbers of its own. */
export function withDraws<T>(inner: Draws, f: () => T): T {
  const outer = draws
  draws = inner
  try {
    return f()
  } finally {
    draws = outer
  }
}
