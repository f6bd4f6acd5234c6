// The frames of a clip: their order, which is that of the numbers in their names, and which of them are used.

import type { DataError } from '../io/browser.ts'

/** A frame and the number in its name; time stamps may have more digits than a float64. */
export interface NumberedFrame<Frame> {
  readonly frame: Frame
  readonly number: bigint
}

export const framesOf = (count: number): string => (count === 1 ? '1 frame' : `${count} frames`)

/**
 * Frames in the order of their numbers: of the last number in each name, without the ending.
 * @param nameOf the name of a frame's file
 * @param refuse makes an error of a reason that begins with a verb
 * @throws its result for a name without a number, a number that occurs twice, and fewer than `wanted` frames
 */
export function inOrder<Frame>(
  frames: readonly Frame[],
  nameOf: (frame: Frame) => string,
  wanted: number,
  refuse: (reason: string) => DataError,
): NumberedFrame<Frame>[] {
  const numbered = frames.map(frame => ({ frame, number: numberIn(nameOf(frame), refuse) }))
  numbered.sort((a, b) => {
    if (a.number !== b.number) return a.number < b.number ? -1 : 1
    return nameOf(a.frame) < nameOf(b.frame) ? -1 : 1
  })
  for (const [i, { frame, number }] of numbered.entries())
    if (i > 0 && numbered[i - 1].number === number)
      throw refuse(
        `has two frames with the number ${number}: '${nameOf(numbered[i - 1].frame)}' and '${nameOf(frame)}'`,
      )
  if (frames.length < wanted) throw refuse(`has ${framesOf(frames.length)}, and ${wanted} are wanted`)
  return numbered
}

function numberIn(name: string, refuse: (reason: string) => DataError): bigint {
  const digits = /(\d+)\D*$/.exec(name.replace(/\.\w+$/, ''))
  if (!digits) throw refuse(`has a frame '${name}' without a number in its name`)
  return BigInt(digits[1])
}

/**
 * Which frames of a clip are used: `wanted` of `count` at even distances, the first and the last among them; of one, the
 * middle. The frames of a clip that is played backwards are the same, unless a single one is in the middle of an even number.
 */
export function evenlySpaced(count: number, wanted: number): number[] {
  const last = count - 1
  return Array.from({ length: wanted }, (_, i) => {
    const fromEnd = wanted - 1 - i
    if (i === fromEnd) return Math.floor(last / 2)
    // the second half mirrors the first, so that both round alike
    const near = Math.round((Math.min(i, fromEnd) * last) / (wanted - 1))
    return i < fromEnd ? near : last - near
  })
}
