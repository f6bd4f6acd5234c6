// Convolutions of float32 as products of the weight with columns. The columns of some windows at a time are in memory, few enough
// to stay in the cache; those of kernels of one element are x itself.

import { product } from './gemm'
import { addTo } from './reduce'
import { addColumns, Windows, windowColumns } from './windows'

/** The sizes of a convolution. Four bytes per field, written by ../convolution.ts in this order. */
@unmanaged
class Convolution extends Windows {
  groups: i32
  /** channels of one group */
  inputs: i32
  outputs: i32
  /** whether x is its own columns */
  isPlain: i32
  /** windows whose columns are made at a time: some rows, or a part of one */
  rows: i32
  columns: i32
  /** channels of x whose gradient is computed at a time */
  inputsAtOnce: i32
}

/** out [batch, groups · outputs, counts…]; x [batch, groups · inputs, sizes…], weight [groups · outputs, inputs, kernel…]. */
export function convolution(
  out: usize, x: usize, weight: usize, numbers: usize, first: i32, last: i32, buffer: usize, scratch: usize,
): void {
  const at = changetype<Convolution>(numbers)
  const outputs = at.outputs
  const depth = at.inputs * at.kernel2 * at.kernel1 * at.kernel0
  const plane = (at.size2 * at.size1 * at.size0) << 2
  const lines = at.count2 * at.count1
  const count = lines * at.count0
  const perLine = (at.count0 + at.columns - 1) / at.columns
  const parts = ((lines + at.rows - 1) / at.rows) * perLine
  for (let unit = first; unit < last; unit++) {
    const image = unit / parts
    const part = unit % parts
    const row = (part / perLine) * at.rows
    const column = (part % perLine) * at.columns
    const rows = min(at.rows, lines - row)
    const n = min(at.columns, at.count0 - column)
    const begin = usize(row * at.count0 + column) << 2
    const from = x + usize(image) * usize(at.inputs) * usize(plane)
    const w = weight + ((usize(image % at.groups) * usize(outputs) * usize(depth)) << 2)
    const to = out + ((usize(image) * usize(outputs) * usize(count)) << 2) + begin
    if (at.isPlain)
      product(to, w, from + begin, outputs, rows * n, depth, depth << 2, 4, plane, 4, count << 2, scratch, 0)
    else {
      const width = rows * n
      windowColumns(buffer, from, at.inputs, at, row, rows, column, n)
      product(to, w, buffer, outputs, width, depth, depth << 2, 4, width << 2, 4, count << 2, scratch, 0)
    }
  }
}

/** The derivative by x: out [batch, groups · inputs, sizes…]; g [batch, groups · outputs, counts…]. */
export function convolutionTransposed(
  out: usize, g: usize, weight: usize, numbers: usize, first: i32, last: i32, buffer: usize, scratch: usize,
): void {
  const at = changetype<Convolution>(numbers)
  const outputs = at.outputs
  const volume = at.kernel2 * at.kernel1 * at.kernel0
  const depth = at.inputs * volume
  const plane = (at.size2 * at.size1 * at.size0) << 2
  const lines = at.count2 * at.count1
  const count = lines * at.count0
  const blocks = (at.inputs + at.inputsAtOnce - 1) / at.inputsAtOnce
  for (let unit = first; unit < last; unit++) {
    const image = unit / blocks
    const channel = (unit % blocks) * at.inputsAtOnce
    const channels = min(at.inputsAtOnce, at.inputs - channel)
    const to = out + usize(image * at.inputs + channel) * usize(plane)
    const from = g + ((usize(image) * usize(outputs) * usize(count)) << 2)
    const w = weight + ((usize(image % at.groups) * usize(outputs) * usize(depth) + usize(channel * volume)) << 2)
    if (at.isPlain) {
      product(to, w, from, channels, count, outputs, 4, depth << 2, count << 2, 4, plane, scratch, 0)
      continue
    }
    memory.fill(to, 0, usize(channels) * usize(plane))
    for (let row = 0; row < lines; row += at.rows) {
      const rows = min(at.rows, lines - row)
      for (let column = 0; column < at.count0; column += at.columns) {
        const n = min(at.columns, at.count0 - column)
        const width = rows * n
        const slopes = from + (usize(row * at.count0 + column) << 2)
        product(buffer, w, slopes, channels * volume, width, outputs, 4, depth << 2, count << 2, 4, width << 2, scratch, 0)
        addColumns(buffer, to, channels, at, row, rows, column, n)
      }
    }
  }
}

/**
 * The derivative by the weight: out [groups · outputs, inputs, kernel…]. `buffer` holds the gradient for the inputs of one unit in
 * float64, then in float32, then columns.
 */
export function convolutionByWeight(
  out: usize, x: usize, g: usize, numbers: usize, batch: i32, first: i32, last: i32, buffer: usize, scratch: usize,
): void {
  const at = changetype<Convolution>(numbers)
  const outputs = at.outputs
  const volume = at.kernel2 * at.kernel1 * at.kernel0
  const depth = at.inputs * volume
  const plane = (at.size2 * at.size1 * at.size0) << 2
  const lines = at.count2 * at.count1
  const count = lines * at.count0
  const blocks = (at.inputs + at.inputsAtOnce - 1) / at.inputsAtOnce
  for (let unit = first; unit < last; unit++) {
    const group = unit / blocks
    const channel = (unit % blocks) * at.inputsAtOnce
    const channels = min(at.inputsAtOnce, at.inputs - channel)
    const own = channels * volume
    const sums = buffer
    const terms = sums + (usize(outputs * own) << 3)
    const columns = terms + (usize(outputs * own) << 2)
    memory.fill(sums, 0, usize(outputs * own) << 3)
    for (let b = 0; b < batch; b++) {
      const image = b * at.groups + group
      const from = x + usize(image * at.inputs + channel) * usize(plane)
      const slopes = g + ((usize(image) * usize(outputs) * usize(count)) << 2)
      for (let row = 0; row < lines; row += at.rows) {
        const rows = min(at.rows, lines - row)
        for (let column = 0; column < at.count0; column += at.columns) {
          const n = min(at.columns, at.count0 - column)
          const width = rows * n
          const begin = usize(row * at.count0 + column) << 2
          if (!at.isPlain) windowColumns(columns, from, channels, at, row, rows, column, n)
          const right = at.isPlain ? from + begin : columns
          const step = at.isPlain ? plane : width << 2
          product(terms, slopes + begin, right, outputs, own, width, count << 2, 4, 4, step, own << 2, scratch, 0)
          addTerms(sums, terms, outputs * own)
        }
      }
    }
    for (let o = 0, from = sums; o < outputs; o++) {
      let to = out + (((usize(group) * usize(outputs) + usize(o)) * usize(depth) + usize(channel * volume)) << 2)
      for (let i = 0; i < own; i++, to += 4, from += 8) store<f32>(to, f32(load<f64>(from)))
    }
  }
}

/** sums += terms, in float64. */
function addTerms(sums: usize, terms: usize, n: i32): void {
  const end = terms + (usize(n) << 2)
  for (; terms + 16 <= end; terms += 16, sums += 32) addTo(sums, v128.load(terms))
  for (; terms < end; terms += 4, sums += 8) store<f64>(sums, load<f64>(sums) + load<f32>(terms))
}
