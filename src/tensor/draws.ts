// Who wants to know that random numbers are drawn: a computation that is repeated, such as that of `checkpoint`, has to draw the
// same numbers again.

import type { Generator } from './random.ts'

type DrawListener = (generator: Generator, position: number) => void

let listener: DrawListener = () => {}

/** Sets the function that is told of random numbers before they are drawn, beginning at a position. */
export function listenToDraws(told: DrawListener): void {
  listener = told
}

/** Says that random numbers are drawn now. */
export const announceDraw = (generator: Generator, position = generator.state.position): void =>
  listener(generator, position)
