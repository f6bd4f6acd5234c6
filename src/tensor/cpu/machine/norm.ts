// Layer norms in machine code, and their gradients. A row is read twice, and for a gradient three times: for its moments, for the sums
// that the gradient needs, and for the result.

import {
  type Assembler,
  at,
  indexed,
  type Place,
  type Register,
  r8,
  r9,
  r10,
  r11,
  r12,
  r13,
  r14,
  r15,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rdx,
  rsi,
  rsp,
} from './assembler.ts'
import { kept, saving } from './entry.ts'
import { beginRows, deviation, eachVector, free, keepShare, mean, moments, share, twoSums } from './row-sums.ts'

/** The function layerNorm(out, x, weight, bias, rows, n, epsilon): weight (x - mean) / √(variance + ε) + bias for every row. */
export function layerNormFunction(a: Assembler): number {
  a.align()
  const start = a.position
  const [out, x, weight, bias, rows] = [rdi, rsi, rdx, rcx, r8]
  const row = { index: rax, bytes: r9, spare: [r10, r11] } as const
  const [scale, y, w, b] = [0, 1, 2, 3]
  keepShare(a, row)
  beginRows(a, row)
  a.countDown(rows, 1, () => {
    moments(a, offset => indexed(x, row.index, 1, offset), row)
    a.loadDouble(scale, a.double(1))
    a.combineDouble('divide', scale, scale, deviation)
    a.toFloat(scale, scale)
    a.broadcast(scale, scale)
    eachVector(a, row, (offset, mask) => {
      const place = (base: Register) => indexed(base, row.index, 1, offset)
      a.loadVector(y, place(x), mask)
      a.combine('subtract', y, y, mean)
      a.combine('multiply', y, y, scale)
      a.loadVector(w, place(weight), mask)
      if (mask) a.loadVector(b, place(bias), mask)
      a.combine('multiplyAdd', y, w, mask ? b : place(bias))
      a.storeVector(place(out), y, mask)
    })
    a.plus(x, row.bytes)
    a.plus(out, row.bytes)
  })
  a.return()
  return start
}

/** Rows whose gradients by weight and bias are added in float32, before they are added in float64. */
const RUN = 64

const [out, sums, g, x, weight, rows, bytes, run, left] = [rdi, rsi, rdx, rcx, r8, r9, rbx, rbp, r13]
/** the second half of `run` */
const runOfBias = r12
/** the place in each of several rows, in bytes */
const places = [rax, r10, r11, r14]

/** What the result of row i needs, as float32 below the stack: mean, r, -mean(g weight), and the negative factor of r (x - mean). */
const scalars = (i: number): Place[] => [0, 1, 2, 3].map(j => at(rsp, -32 - 16 * i + 4 * j))

/** Computes the scalars of the i-th row. */
function gradientScalars(a: Assembler, i: number): void {
  const row = { index: rax, bytes, spare: [r10, r11] } as const
  const [hereX, hereG] = [r14, r15]
  const place = (base: Register, offset: number) => indexed(base, row.index, 1, offset)
  if (i === 0) {
    a.move(hereX, x)
    a.move(hereG, g)
  } else {
    a.plus(hereX, bytes)
    a.plus(hereG, bytes)
  }
  moments(a, offset => place(hereX, offset), row)
  // Σ p and Σ p (mean - x) with p = g weight
  const p = 0
  twoSums(a, row, (offset, sum, product, mask) => {
    a.loadVector(p, place(hereG, offset), mask)
    if (mask) a.loadVector(free, place(weight, offset), mask)
    a.combine('multiply', p, p, mask ? free : place(weight, offset))
    a.combine('add', sum, sum, p)
    if (mask) a.loadVector(free, place(hereX, offset), mask)
    a.combine('subtract', free, mean, mask ? free : place(hereX, offset))
    a.combine('addProduct', product, p, free)
  })
  const [toMean, toR, toMeanG, toTilt] = scalars(i)
  a.loadDouble(3, a.double(1))
  a.combineDouble('divide', 3, 3, deviation)
  a.zero(4)
  a.combineDouble('subtract', 1, 4, 1)
  a.combineDouble('multiply', 1, 1, share)
  a.combineDouble('subtract', 2, 4, 2)
  a.combineDouble('multiply', 2, 2, 3)
  a.combineDouble('multiply', 2, 2, share)
  for (const [to, value] of [
    [toR, 3],
    [toMeanG, 1],
    [toTilt, 2],
  ] as const) {
    a.toFloat(value, value)
    a.storeFloat(to, value)
  }
  a.storeFloat(toMean, mean)
}

/** The gradients of `count` rows by x, which are added to the sums over rows, too. */
function gradientsOfRows(a: Assembler, count: number): void {
  for (let i = 0; i < count; i++) gradientScalars(a, i)
  const [w, byWeight, byBias, y, slope, result] = [0, 1, 2, 3, 4, 5]
  const numbers = Array.from({ length: count }, (_, i) => scalars(i).map((_, j) => 6 + 4 * i + j))
  for (let i = 0; i < count; i++) {
    scalars(i).forEach((from, j) => {
      a.broadcast(numbers[i][j], from)
    })
    if (i > 0) a.address(places[i], i === 1 ? at(bytes) : indexed(places[i - 1], bytes))
  }
  const size = 4 * a.lanes
  eachVector(
    a,
    { index: places[0], bytes, spare: [r15, r15] },
    (_, mask) => {
      const place = (base: Register) => indexed(base, places[0])
      a.loadVector(w, place(weight), mask)
      a.loadVector(byWeight, place(run), mask)
      a.loadVector(byBias, place(runOfBias), mask)
      numbers.forEach(([centre, r, meanG, tilt], i) => {
        const here = (base: Register) => indexed(base, places[i])
        // the negative of r (x - mean)
        if (mask) a.loadVector(y, here(x), mask)
        a.combine('subtract', y, centre, mask ? y : here(x))
        a.combine('multiply', y, y, r)
        a.loadVector(slope, here(g), mask)
        // rounded before the mean is taken away, as it was in the mean: so it is 0 where all are equal
        a.combine('multiply', result, slope, w)
        a.combine('add', result, result, meanG)
        a.combine('addProduct', result, y, tilt)
        a.combine('multiply', result, result, r)
        a.storeVector(here(out), result, mask)
        a.combine('subtractProduct', byWeight, y, slope)
        a.combine('add', byBias, byBias, slope)
      })
      a.storeVector(place(run), byWeight, mask)
      a.storeVector(place(runOfBias), byBias, mask)
      for (const each of places.slice(1, count)) a.plus(each, { value: size })
    },
    1,
  )
  for (const base of [x, g, out]) for (let i = 0; i < count; i++) a.plus(base, bytes)
}

/** Adds 2 n float32 of `run` to float64 at `sums`. */
function addRun(a: Assembler): void {
  const [index, end] = [rax, r10]
  const half = 2 * a.lanes
  a.address(end, indexed(bytes, bytes))
  a.set(index, 0)
  a.steps(end, 2 * half, () => {
    for (const i of [0, 1]) {
      const to = indexed(sums, index, 2, 2 * half * i)
      a.toDoubles(i, indexed(run, index, 1, half * i))
      a.combineDoubles('add', i, i, to)
      a.storeVector(to, i)
    }
    a.plus(index, { value: 2 * half })
  })
  a.countDown(end, 4, () => {
    const to = indexed(sums, index, 2)
    a.loadFloat(0, indexed(run, index))
    a.toDouble(0, 0)
    a.combineDouble('add', 0, 0, to)
    a.storeDouble(to, 0)
    a.plus(index, { value: 4 })
  })
}

/**
 * The function layerNormGradient(out, sums, g, x, weight, rows, n, epsilon, run). With y = (x - mean) r, r = 1 / √(variance + ε) and
 * p = g weight it computes r (p - mean(p) - y mean(p y)) for every row, and adds Σ g y over rows to sums[0 … n - 1], and Σ g to those
 * behind them. `run` holds 2 n float32.
 */
export function layerNormGradientFunction(a: Assembler): number {
  a.align()
  const start = a.position
  const together = a.lanes === 8 ? 2 : 4
  saving(a, kept, () => {
    a.move(bytes, at(rsp, 8 * kept.length + 8))
    a.move(run, at(rsp, 8 * kept.length + 16))
    const row = { index: rax, bytes, spare: [r10, r11] } as const
    keepShare(a, row)
    beginRows(a, row)
    a.address(runOfBias, indexed(run, bytes))
    const end = a.label()
    a.compare(rows, { value: 0 })
    a.jumpIf('atMost', end)
    const runs = a.here()
    a.set(left, RUN)
    a.compare(left, rows)
    a.moveIf('greater', left, rows)
    a.minus(rows, left)
    a.zero(0)
    eachVector(a, row, (offset, mask) => {
      for (const base of [run, runOfBias]) a.storeVector(indexed(base, rax, 1, offset), 0, mask)
    })
    for (const count of [together, 1]) a.steps(left, count, () => gradientsOfRows(a, count))
    addRun(a)
    a.compare(rows, { value: 0 })
    a.jumpIf('greater', runs)
    a.bind(end)
  })
  a.return()
  return start
}
