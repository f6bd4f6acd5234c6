// How numbers and shapes are written.

import type { Values } from './protocol.ts'

/** Three digits. */
export function brief(x: number): string {
  if (!Number.isFinite(x)) return Number.isNaN(x) ? 'NaN' : x > 0 ? '∞' : '−∞'
  if (x === 0) return '0'
  const size = Math.abs(x)
  const text = size >= 1000 || size < 0.001 ? x.toExponential(1) : String(Number(x.toPrecision(3)))
  return text.replace('-', '−')
}

export const shapeText = (shape: readonly number[]): string => (shape.length === 0 ? 'scalar' : shape.join(' × '))

/** The first numbers of a tensor. */
export function line({ numbers, shape }: Values, between = '  ', count = 3): string {
  const size = shape.reduce((product, n) => product * n, 1)
  const shown = Array.from(numbers.subarray(0, count), brief).join(between)
  return size > count ? `${shown}${between.trimEnd()} …` : shown
}
