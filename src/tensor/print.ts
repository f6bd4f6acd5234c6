// Formats numbers as NumPy prints an array: columns are aligned, all numbers have the same number of decimals, long lines are
// wrapped, and only the ends of the axes of a large tensor are shown. No values are read here: `ends` returns the elements to
// print, and the functions below take their values.

import { type DType, isFloating } from './dtype.ts'
import { nearest } from './nearest.ts'
import { type Shape, sizeOf } from './shape.ts'
import type { View } from './storage.ts'

/** Options for printing values. */
export interface PrintOptions {
  /** maximum number of decimals, from 0 to 20; default 4 */
  readonly precision?: number
  /** maximum number of elements to print in full; only the ends of the axes of a larger tensor are printed; default 1000 */
  readonly threshold?: number
  /** number of elements to print at each end of such an axis; default 3 */
  readonly edgeItems?: number
  /** maximum number of columns of a line; default 80 */
  readonly lineWidth?: number
}

/** The same with every option given. */
export type PrintSettings = Required<PrintOptions>

const defaults: PrintSettings = { precision: 4, threshold: 1000, edgeItems: 3, lineWidth: 80 }

/**
 * Checks the options and adds defaults. (`settle` cannot be used here: it imports tensors, which import this file.)
 * @throws TypeError for an unknown option, RangeError for an invalid value
 */
export function printSettings(options: PrintOptions = {}): PrintSettings {
  const names = Object.keys(defaults)
  for (const name of Object.keys(options))
    if (!names.includes(name)) {
      const near = nearest(name, names)
      const advice = near ? `; write { ${near}: … }` : ''
      throw new TypeError(`print: there is no option ${name}; the options are ${names.join(', ')}${advice}`)
    }
  const {
    precision = defaults.precision,
    threshold = defaults.threshold,
    edgeItems = defaults.edgeItems,
    lineWidth = defaults.lineWidth,
  } = options
  const refuse = (name: keyof PrintOptions, value: number, wanted: string) => {
    throw new RangeError(`print: ${name} is ${value}; it must be ${wanted}`)
  }
  if (!Number.isInteger(precision) || precision < 0 || precision > 20)
    refuse('precision', precision, 'an integer from 0 to 20')
  if (!(threshold >= 0)) refuse('threshold', threshold, 'a number of elements, or Infinity')
  if (!Number.isInteger(edgeItems) || edgeItems < 1) refuse('edgeItems', edgeItems, 'a positive integer')
  if (!(lineWidth > 0)) refuse('lineWidth', lineWidth, 'a number of columns, or Infinity')
  return { precision, threshold, edgeItems, lineWidth }
}

/** Number of elements to print on each axis: all of them, or an even number from both ends. */
function printedShape(shape: Shape, { threshold, edgeItems }: PrintSettings): readonly number[] {
  return sizeOf(shape) <= threshold ? shape : shape.map(n => Math.min(n, 2 * edgeItems))
}

/**
 * The elements that are printed, in row-major order, as a view of the same memory: an axis of n elements that is
 * shortened to its ends becomes two axes, [2, edgeItems].
 */
export function ends({ storage, shape, strides, offset }: View, settings: PrintSettings): View {
  const printed = printedShape(shape, settings)
  const isShort = (axis: number) => printed[axis] < shape[axis]
  return {
    storage,
    shape: printed.flatMap((n, axis) => (isShort(axis) ? [2, n / 2] : [n])),
    strides: printed.flatMap((n, axis) =>
      isShort(axis) ? [(shape[axis] - n / 2) * strides[axis], strides[axis]] : [strides[axis]],
    ),
    offset,
  }
}

/** The printed parts of a tensor, for any layout. */
export interface Printed {
  readonly shape: Shape
  /** positions on each axis in the order in which they are printed; null for `...` */
  readonly places: readonly (readonly (number | null)[])[]
  /** elements at these positions in row-major order, as texts of equal length */
  readonly words: readonly string[]
}

/**
 * Values as text.
 * @param data the values of the view that `ends` returns, in row-major order
 */
export function printed(data: ArrayLike<number>, shape: Shape, dtype: DType, settings: PrintSettings): Printed {
  const texts = isFloating(dtype)
    ? decimals(Array.from(data), dtype, settings.precision)
    : Array.from(data, x => (dtype === 'bool' ? String(x !== 0) : String(x)))
  const width = longest(texts)
  const lengths = printedShape(shape, settings)
  return {
    shape,
    places: shape.map((n, axis) => placesOf(n, lengths[axis])),
    words: texts.map(text => text.padStart(width)),
  }
}

const longest = (texts: readonly string[]): number => texts.reduce((most, { length }) => Math.max(most, length), 0)

/** The positions to print on an axis of n elements, `length` of them. */
function placesOf(n: number, length: number): (number | null)[] {
  const all = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
  return length === n ? all(0, n) : [...all(0, length / 2), null, ...all(n - length / 2, n)]
}

/**
 * Numbers with the same number of decimals, as many as needed but at most `precision`. The notation is scientific if a
 * magnitude is at least 1e8, or if `precision` decimals do not give every number exactly and, as in NumPy, one magnitude is
 * below 1e-4 or the largest is more than 1000 times the smallest.
 */
function decimals(data: readonly number[], dtype: DType, precision: number): string[] {
  const stored = dtype === 'float32' ? Math.fround : (x: number) => x
  const finite = data.filter(Number.isFinite)
  const magnitudes = finite.filter(x => x !== 0).map(Math.abs)
  const least = magnitudes.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
  const most = magnitudes.reduce((a, b) => Math.max(a, b), 0)
  const isExact = finite.every(x => stored(Number(x.toFixed(precision))) === x)
  const isScientific = most >= 1e8 || (!isExact && (least < 1e-4 || most / least > 1000))
  const write = (x: number, digits: number) => (isScientific ? x.toExponential(digits) : x.toFixed(digits))
  const needed = (x: number) => {
    const best = Number(write(x, precision))
    for (let digits = 0; ; digits++) {
      const value = Number(write(x, digits))
      if (digits === precision || value === best || stored(value) === x) return digits
    }
  }
  const digits = finite.reduce((most, x) => Math.max(most, needed(x)), 0)
  const texts = data.map(x => {
    if (!Number.isFinite(x)) return String(x)
    return Object.is(x, -0) ? `-${write(x, digits)}` : write(x, digits)
  })
  if (!isScientific) return texts
  const exponents = /(?<=e[+-])\d+/
  const width = longest(texts.map(text => exponents.exec(text)?.[0] ?? ''))
  return texts.map(text => text.replace(exponents, exponent => exponent.padStart(width, '0')))
}

/** Values in brackets, as NumPy prints an array; `data` has the values of the view that `ends` returns. */
export function formatValues(data: ArrayLike<number>, shape: Shape, dtype: DType, settings: PrintSettings): string {
  if (sizeOf(shape) === 0) return '[]'
  const { places, words } = printed(data, shape, dtype, settings)
  const { length: rank } = shape
  let at = 0
  const level = (axis: number): string => {
    if (axis === rank) return words[at++]
    const items = places[axis].map(place => (place === null ? '...' : level(axis + 1)))
    const indent = ' '.repeat(axis + 1)
    if (axis < rank - 1) return `[${items.join(`,${'\n'.repeat(rank - 1 - axis)}${indent}`)}]`
    // a comma, or a bracket for every axis, follows
    return `[${wrap(items, indent, settings.lineWidth - rank).slice(indent.length)}]`
  }
  return level(0)
}

/** Items with commas between them, in lines of at most `width` columns before the comma. */
function wrap(items: readonly string[], indent: string, width: number): string {
  const lines: string[] = []
  let line = indent
  for (const [i, item] of items.entries()) {
    if (line !== indent && line.length + item.length > width) {
      lines.push(line.trimEnd())
      line = indent
    }
    line += i < items.length - 1 ? `${item}, ` : item
  }
  return [...lines, line].join('\n')
}
