// Matrix products in machine code, called directly, on both sides of every condition of products.ts. The numbers are small integers,
// so that every order of additions gives the exact sum. Memory that is neither a factor nor the bias is NaN, which shows what
// is read beyond them, and memory beside the result must keep its bytes.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { openCpu } from '../../../../src/tensor/cpu/index.ts'
import { machineCalls } from '../../../../src/tensor/cpu/machine/call.ts'
import type { LoadedCode } from '../../../../src/tensor/cpu/machine/memory.ts'
import { SCRATCH_BYTES } from '../../../../src/tensor/cpu/machine/products.ts'
import { type Device, fromData, scope } from '../../../../src/tensor/index.ts'
import { reference } from '../../../../src/tensor/reference/index.ts'
import { fc, runs } from '../../../support.ts'
import { all } from '../../switches/calls.ts'
import { codeWith, everyInstructions, missing } from './support.ts'

/** Steps in numbers between the rows and between the columns of a factor; both of them may be negative or 0. */
interface Steps {
  readonly row: number
  readonly column: number
}

interface Product {
  readonly m: number
  readonly n: number
  readonly k: number
  readonly a: Steps
  readonly b: Steps
  /** numbers between rows of the result */
  readonly gap?: number
  readonly hasBias?: boolean
}

/** Bytes that the code may use: columns that are copied, from the next multiple of 64 on. */
const SCRATCH = SCRATCH_BYTES

/** In bytes, from which on many rows of a copy the columns of b. */
const NEAR = 1024

const value = (i: number, seed: number): number => ((((i + seed) * 2_654_435_761) >>> 7) % 17) - 8

/** The numbers of a factor in memory of its own: those of its rows and columns, and NaN between them. */
function factor(rows: number, columns: number, { row, column }: Steps, seed: number) {
  const ends = [0, (rows - 1) * row, (columns - 1) * column, (rows - 1) * row + (columns - 1) * column]
  const first = -Math.min(...ends)
  const numbers = new Float32Array(first + Math.max(...ends) + 1).fill(Number.NaN)
  const at = (i: number, j: number) => first + i * row + j * column
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) numbers[at(i, j)] = value(at(i, j), seed)
  return { numbers, first, at }
}

/** Multiplies by machine code and by three loops. */
function checker({ code }: { readonly code: LoadedCode }) {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 2048, shared: true })
  memory.grow(2047)
  const { product } = machineCalls(code, memory).imports as { product(...numbers: number[]): void }
  const floats = new Float32Array(memory.buffer)
  const words = new Uint32Array(memory.buffer)
  /** beside what is written, bits that no product has */
  const MARK = 0xffc0dead

  return ({ m, n, k, a, b, gap = 0, hasBias = false }: Product): void => {
    const says = `m ${m}, n ${n}, k ${k}, a ${a.row} ${a.column}, b ${b.row} ${b.column}, gap ${gap}, bias ${hasBias}`
    const [left, right] = [factor(m, k, a, 1), factor(k, n, b, 5)]
    const bias = Float32Array.from({ length: hasBias ? n : 0 }, (_, j) => value(j, 9))
    const step = n + gap
    const zone = 64
    let top = zone
    /** @returns where so many numbers begin, with others before and behind them */
    const take = (count: number) => {
      const start = top
      top += count + zone
      return start
    }
    const places = { a: take(left.numbers.length), b: take(right.numbers.length), bias: take(bias.length) }
    const c = take(m * step)
    const scratch = take(SCRATCH / 4) + 3
    top += 3
    words.fill(MARK, 0, top)
    floats.fill(Number.NaN, 0, c - zone)
    floats.set(left.numbers, places.a)
    floats.set(right.numbers, places.b)
    floats.set(bias, places.bias)
    const before = words.slice(0, top)
    product(
      ...[4 * c, 4 * (places.a + left.first), 4 * (places.b + right.first), m, n, k],
      ...[4 * a.row, 4 * a.column, 4 * b.row, 4 * b.column, 4 * step, 4 * scratch, hasBias ? 4 * places.bias : 0],
    )
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let sum = hasBias ? bias[j] : 0
        for (let p = 0; p < k; p++) sum += left.numbers[left.at(i, p)] * right.numbers[right.at(p, j)]
        const found = floats[c + i * step + j]
        if (found !== sum) assert.fail(`${says}: [${i}, ${j}] is ${found}, not ${sum}`)
      }
    for (let i = 0; i < top; i++) {
      const column = (i - c) % step
      const isResult = i >= c && i < c + m * step && column < n
      const isScratch = i >= scratch && i < scratch + SCRATCH / 4
      if (!isResult && !isScratch && words[i] !== before[i])
        assert.fail(
          `${says}: the number ${i - c} from the result on was written, which has rows of ${n} in steps of ${step}`,
        )
    }
  }
}

for (const instructions of everyInstructions)
  describe(`products with ${instructions}`, { skip: missing(instructions) }, () => {
    const [lanes, height] = instructions === 'AVX-512' ? [16, 12] : [8, 6]
    const check = checker({ code: codeWith(instructions) as LoadedCode })
    /** columns in less than a vector, in one, in two, and beyond */
    const widths = [1, 2, lanes - 1, lanes, lanes + 1, 2 * lanes - 1, 2 * lanes, 2 * lanes + 1, 4 * lanes + 3]
    const plain = (k: number, n: number): Pick<Product, 'a' | 'b'> => ({
      a: { row: k, column: 1 },
      b: { row: n, column: 1 },
    })

    test('of every number of rows in a tile, below, at and above it, and every part of vectors', () => {
      const heights = Array.from({ length: 3 * height + 1 }, (_, i) => i + 1)
      for (const [m, n] of all(heights, widths))
        check({ m, n, k: 3, ...plain(3, n), hasBias: (m + n) % 2 === 0, gap: m % 3 })
    })

    test('of pieces of the inner axis: one, two halves, or 384 and a rest', () => {
      const depths = [
        1, 2, 3, 4, 5, 7, 8, 9, 255, 256, 383, 384, 385, 386, 391, 392, 393, 767, 768, 769, 1024, 1151, 1152, 1153,
      ]
      for (const [k, m, n] of all(depths, [2, height + 1, 2 * height + 1], [lanes + 3]))
        for (const hasBias of [false, true]) {
          check({ m, n, k, ...plain(k, n), hasBias, gap: 1 })
          check({ m, n, k, a: { row: 1, column: m }, b: { row: 1, column: k }, hasBias })
        }
    })

    test('of 480 rows of a, fewer and more', () => {
      for (const m of [479, 480, 481, 492, 960, 961])
        for (const hasBias of [false, true]) check({ m, n: lanes + 1, k: 5, ...plain(5, lanes + 1), hasBias, gap: 2 })
      check({ m: 961, n: 3, k: 257, a: { row: 1, column: 961 }, b: { row: 1, column: 257 } })
    })

    test('with columns of b where they lie, and copied: few rows of a and many, rows of b near and far', () => {
      for (const [m, n, row] of all([2 * height - 1, 2 * height, 2 * height + 1], widths, [
        NEAR / 4 - 1,
        NEAR / 4,
        NEAR / 4 + 1,
        1000,
      ]))
        check({ m, n, k: 6, a: { row: 6, column: 1 }, b: { row, column: 1 }, hasBias: m % 2 === 0 })
    })

    test('with rows of a that lie pages apart, which are copied for many columns and rows', () => {
      for (const [m, n, k] of all([height - 1, height, 2 * height + 1, 481], [127, 128, 129], [7, 1152]))
        if (m < 481 || k === 7)
          for (const row of [1023, 1024, 2048])
            check({ m, n, k, a: { row, column: 1 }, b: { row: n, column: 1 }, hasBias: m % 2 === 0 })
    })

    test('with a second factor by columns: whole vectors of them in fours, and what is left one by one', () => {
      for (const [k, n, m, between] of all([1, 3, 4, 5, 8, 11, 260], widths, [3, 2 * height + 1], [0, 5]))
        check({ m, n, k, a: { row: k, column: 1 }, b: { row: 1, column: k + between }, hasBias: k % 2 === 0 })
    })

    test('with steps of every kind: backwards, repeated, overlapping and far apart', () => {
      const steps = (rows: number, columns: number): Steps[] => [
        { row: columns, column: 1 },
        { row: -columns, column: 1 },
        { row: -columns, column: -1 },
        { row: columns, column: -1 },
        { row: 1, column: rows },
        { row: 1, column: -rows },
        { row: -1, column: rows },
        { row: 0, column: 1 },
        { row: 1, column: 0 },
        { row: 0, column: 0 },
        { row: 1, column: 1 },
        { row: 2 * columns + 1, column: 2 },
        { row: 3, column: 3 * rows + 2 },
      ]
      for (const [m, n, k] of [
        [3, lanes, 4],
        [2 * height + 1, 2 * lanes, 9],
        [height + 2, 3 * lanes + 5, 258],
      ])
        for (const a of steps(m, k))
          for (const b of steps(k, n)) check({ m, n, k, a, b, hasBias: (a.row + b.row) % 2 === 0 })
    })

    test('of any size and layout', () => {
      const size = (max: number) => fc.integer({ min: 1, max })
      const step = fc.integer({ min: -70, max: 70 })
      const steps = fc.record({ row: step, column: fc.oneof(fc.constant(1), step) })
      fc.assert(
        fc.property(
          fc.record({
            ...{ m: size(3 * height), n: size(5 * lanes), k: size(40), a: steps, b: steps },
            ...{ gap: fc.nat(3), hasBias: fc.boolean() },
          }),
          check,
        ),
        runs(150),
      )
    })

    test('a number of a that is not finite reaches its row alone, and one of b its column', () => {
      const device = openCpu({ threads: 1, machineCode: instructions })
      scope(() => {
        const [m, k, n] = [2 * height + 1, 20, 2 * lanes + 1]
        const of = (rows: number, columns: number, place: number) => {
          const numbers = new Float32Array(rows * columns).fill(1)
          numbers[place] = Number.NaN
          return fromData(numbers, [rows, columns], device)
        }
        const c = device.kernels.matmul(of(m, k, 3 * k + 2), of(k, n, 4 * n + 5)).dataSync()
        c.forEach((x, i) => {
          const isTouched = Math.floor(i / n) === 3 || i % n === 5
          assert.equal(Number.isNaN(x), isTouched, `[${Math.floor(i / n)}, ${i % n}] is ${x}`)
        })
      })
      device.close()
    })

    describe('on the device', () => {
      const devices = [1, 3].map(threads => openCpu({ threads, machineCode: instructions }))
      after(() => {
        for (const device of devices) device.close()
      })
      const multiplied = (device: Device, [m, k, n]: readonly number[], stack: number) =>
        scope(() => {
          const of = (rows: number, columns: number, seed: number) =>
            fromData(
              Float32Array.from({ length: stack * rows * columns }, (_, i) => value(i, seed)),
              [stack, rows, columns],
              device,
            )
          return device.kernels.matmul(of(m, k, 1), of(k, n, 2)).dataSync()
        })

      // 8000 multiplications are worth the call
      for (const shape of [
        [20, 20, 20],
        [20, 20, 19],
        [2, 1333, 3],
        [2, 1334, 3],
        [1, 400, 30],
        [30, 400, 1],
        [100, 1, 90],
        [130, 70, 150],
        [500, 300, 40],
      ])
        test(`of [${shape}] equal those of the reference`, () => {
          for (const stack of [1, 3])
            for (const device of devices)
              assert.deepEqual(multiplied(device, shape, stack), multiplied(reference, shape, stack))
        })
    })
  })
