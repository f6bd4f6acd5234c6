// Records of rounding and of remainders.

import * as ops from '../../../src/autograd/index.ts'
import { each, refusesOf } from './elementwise.ts'
import { type OperationRecord, record } from './record.ts'

const rounding = (f: (x: number) => number) => ({
  'between the jumps': each(f),
  'at the jumps too': each(f),
  'of whole numbers': each(x => x),
})

const toEven = (x: number) => {
  const up = Math.round(x)
  return up - x === 0.5 && up % 2 !== 0 ? up - 1 : up
}

/** as in the calls: no quotient is whole with it */
const between = 1 / 16
const remainder = (toWhole: (x: number) => number) => {
  const rest = (x: number, y: number) => x - y * toWhole(x / y)
  return {
    'two tensors': each((x, y) => rest(x + between, y)),
    'a number on the right': each(x => rest(x + between, 1.5)),
    'a negative number on the right': each(x => rest(x + between, -0.75)),
    'a number on the left': each(y => rest(1.5 + between, y)),
    'where the quotient is whole too': each(rest),
    'whole numbers': each((x, y) => (y === 0 ? 0 : rest(x, y) + 0)),
  }
}

export const roundings: readonly OperationRecord[] = [
  record('floor', rounding(Math.floor)),
  record('ceil', rounding(Math.ceil)),
  record('trunc', rounding(Math.trunc)),
  record('round', rounding(toEven)),
  record('fmod', remainder(Math.trunc), refusesOf('fmod', ops.fmod)),
  record('remainder', remainder(Math.floor), refusesOf('remainder', ops.remainder)),
]
