// Kernels of rows in machine code: layer norms, their gradients and sums of columns. They are as near to the exact values as the compiled
// kernels, treat NaN and infinities in the same way, and write and read nothing beyond the ends.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type CpuDevice, openCpu } from '../../../../src/tensor/cpu/index.ts'
import { DeviceError, fromData, Generator, scope, type Tensor } from '../../../../src/tensor/index.ts'
import { fc, runs } from '../../../support.ts'
import { checkBounds } from '../watched.ts'

const EPSILON = 1e-5
const off = openCpu({ machineCode: 'off', threads: 1, blas: 'off' })

/** The device with these instructions, or the reason why there is none. */
function opened(machineCode: 'AVX2' | 'AVX-512'): CpuDevice | string {
  try {
    return openCpu({ machineCode, threads: 1, blas: 'off' })
  } catch (error) {
    if (error instanceof DeviceError) return error.message
    throw error
  }
}

interface Case {
  readonly rows: number
  readonly n: number
  /** what the numbers of a row are about, and what they are times */
  readonly mean: number
  readonly deviation: number
  readonly seed: number
}

/** Sizes around the numbers in a vector, in a group of vectors and in a run of groups, up to `most`. */
const sizes = (most: number): fc.Arbitrary<number> =>
  fc.oneof(
    fc.integer({ min: 1, max: 40 }),
    fc
      .tuple(fc.constantFrom(16, 32, 64, 128, 256, 512, 1024), fc.nat({ max: 2 }), fc.integer({ min: -2, max: 2 }))
      .map(([unit, more, by]) => Math.min(most, unit * (1 + more) + by)),
  )

/** A few rows, or short ones in more than one run of 64. */
const cases: fc.Arbitrary<Case> = fc
  .oneof(fc.tuple(fc.integer({ min: 1, max: 9 }), sizes(4096)), fc.tuple(fc.integer({ min: 60, max: 140 }), sizes(70)))
  .chain(([rows, n]) =>
    fc.record({
      rows: fc.constant(rows),
      n: fc.constant(n),
      mean: fc.constantFrom(0, 0, 1, -100, 1e4),
      deviation: fc.constantFrom(1, 1, 1e-3, 30),
      seed: fc.nat(),
    }),
  )

/** Random numbers of a case. */
class Numbers {
  readonly #generator: Generator
  constructor({ seed }: Case) {
    this.#generator = new Generator(seed)
  }
  take(count: number, mean = 0, deviation = 1): Float32Array {
    return Float32Array.from({ length: count }, () => mean + deviation * this.#generator.normal())
  }
}

type Values = readonly ArrayLike<number>[]

const on = (device: CpuDevice, arrays: readonly [Float32Array, number[]][], f: (...x: Tensor[]) => Tensor[]): Values =>
  scope(() => {
    const results = f(...arrays.map(([data, shape]) => fromData(data, shape, device)))
    return results.map(t => t.dataSync().slice() as Float32Array)
  })

/** A kernel: its arguments, its result on a device, and that with float64. */
interface Kernel {
  readonly name: string
  arguments(of: Case): [Float32Array, number[]][]
  run(device: CpuDevice, ...x: Tensor[]): Tensor[]
  exact(of: Case, ...x: Float32Array[]): Values
}

/** Mean and 1 / √(variance + ε) of a row. */
function momentsOf(row: Float32Array): { mean: number; r: number } {
  const mean = row.reduce((sum, x) => sum + x, 0) / row.length
  const squares = row.reduce((sum, x) => sum + (x - mean) ** 2, 0)
  return { mean, r: 1 / Math.sqrt(squares / row.length + EPSILON) }
}

const rowsOf = (x: Float32Array, { rows, n }: Case) =>
  Array.from({ length: rows }, (_, i) => x.subarray(i * n, i * n + n))

const kernels: readonly Kernel[] = [
  {
    name: 'layerNorm',
    arguments(of) {
      const [{ rows, n }, numbers] = [of, new Numbers(of)]
      return [
        [numbers.take(rows * n, of.mean, of.deviation), [rows, n]],
        [numbers.take(n), [n]],
        [numbers.take(n), [n]],
      ]
    },
    run: ({ kernels }, x, weight, bias) => [kernels.layerNorm!(x, weight, bias, EPSILON)!],
    exact: (of, x, weight, bias) => [
      rowsOf(x, of).flatMap(row => {
        const { mean, r } = momentsOf(row)
        return [...row].map((value, j) => (value - mean) * r * weight[j] + bias[j])
      }),
    ],
  },
  {
    name: 'layerNormGradient',
    arguments(of) {
      const [{ rows, n }, numbers] = [of, new Numbers(of)]
      return [
        [numbers.take(rows * n, 0.3), [rows, n]],
        [numbers.take(rows * n, of.mean, of.deviation), [rows, n]],
        [numbers.take(n, 1), [n]],
      ]
    },
    run: ({ kernels }, g, x, weight) => [...kernels.layerNormGradient!(g, x, weight, EPSILON)!],
    exact(of, g, x, weight) {
      const { n } = of
      const [byX, byWeight, byBias] = [[] as number[], new Array<number>(n).fill(0), new Array<number>(n).fill(0)]
      const slopes = rowsOf(g, of)
      rowsOf(x, of).forEach((row, i) => {
        const { mean, r } = momentsOf(row)
        const y = [...row].map(value => (value - mean) * r)
        const p = [...slopes[i]].map((slope, j) => slope * weight[j])
        const meanP = p.reduce((sum, value) => sum + value, 0) / n
        const meanPY = p.reduce((sum, value, j) => sum + value * y[j], 0) / n
        y.forEach((value, j) => {
          byX.push(r * (p[j] - meanP - value * meanPY))
          byWeight[j] += slopes[i][j] * value
          byBias[j] += slopes[i][j]
        })
      })
      return [byX, byWeight, byBias]
    },
  },
  {
    name: 'sums of columns',
    arguments(of) {
      const { rows, n } = of
      return [[new Numbers(of).take(2 * rows * n, of.mean, of.deviation), [2, rows, n]]]
    },
    run: ({ kernels }, x) => [kernels.reduce('sum', x, [0]), kernels.reduce('sum', x, [1])],
    exact({ rows, n }, x) {
      const sums = (groups: readonly (readonly number[])[], size: number) =>
        groups.flatMap(starts => Array.from({ length: size }, (_, j) => starts.reduce((sum, at) => sum + x[at + j], 0)))
      const inner = Array.from({ length: 2 }, (_, o) => Array.from({ length: rows }, (_, i) => (o * rows + i) * n))
      return [sums([[0, rows * n]], rows * n), sums(inner, n)]
    },
  },
]

/** The largest finite magnitude, and at least `least`. */
const largestOf = (results: Values, least: number): number =>
  results.reduce(
    (most, values) =>
      Array.from(values).reduce((m, v) => (Math.abs(v) < Infinity ? Math.max(m, Math.abs(v)) : m), most),
    least,
  )

/** The largest error of results, and the root of the mean of its square. */
function errorsOf(results: Values, exact: Values): { largest: number; square: number; count: number } {
  let [largest, square, count] = [0, 0, 0]
  exact.forEach((values, i) => {
    for (let j = 0; j < values.length; j++) {
      const error = Math.abs(results[i][j] - values[j])
      largest = Math.max(largest, Number.isNaN(error) ? Infinity : error)
      square += error ** 2
      count++
    }
  })
  return { largest, square, count }
}

for (const instructions of ['AVX2', 'AVX-512'] as const) {
  const device = opened(instructions)
  const skip = typeof device === 'string' ? device : false
  describe(`rows with ${instructions}`, { skip }, () => {
    const machine = device as CpuDevice
    for (const kernel of kernels) {
      test(`${kernel.name}: errors are those of the compiled kernels, for rows of any length, any mean and any deviation`, () => {
        const all = { machine: 0, off: 0 }
        fc.assert(
          fc.property(cases, of => {
            const args = kernel.arguments(of)
            const exact = kernel.exact(of, ...args.map(([data]) => data))
            const [own, other] = [machine, off].map(each =>
              errorsOf(
                on(each, args, (...x) => kernel.run(each, ...x)),
                exact,
              ),
            )
            checkBounds()
            // results of size 1 have an error of 6e-8 when they are rounded
            const unit = 2 ** -22 * largestOf(exact, 1)
            assert.ok(
              own.largest <= 2 * other.largest + unit,
              `the largest error is ${own.largest}, and ${other.largest} without machine code`,
            )
            const scale = unit ** 2 * own.count
            all.machine += own.square / scale
            all.off += other.square / scale
          }),
          runs(150),
        )
        assert.ok(
          all.machine <= 1.1 * all.off,
          `squares of errors: ${all.machine}, and ${all.off} without machine code`,
        )
      })

      test(`${kernel.name}: errors do not grow with the length of a row, nor with the number of rows`, () => {
        for (const [rows, n] of [
          [1, 400_000],
          [6000, 37],
        ]) {
          const of = { rows, n, mean: 1, deviation: 1, seed: 7 }
          const args = kernel.arguments(of)
          const exact = kernel.exact(of, ...args.map(([data]) => data))
          const [own, other] = [machine, off].map(each =>
            errorsOf(
              on(each, args, (...x) => kernel.run(each, ...x)),
              exact,
            ),
          )
          assert.ok(own.square <= 1.5 * other.square, `${own.square}, and ${other.square} without machine code`)
        }
      })

      test(`${kernel.name}: NaN, infinities and constant rows give what they give without machine code`, () => {
        const values = [Number.NaN, Infinity, -Infinity, 1e15, 0, 1e-40]
        fc.assert(
          fc.property(
            cases,
            fc.array(fc.tuple(fc.nat(), fc.constantFrom(...values)), { maxLength: 3 }),
            fc.boolean(),
            (of, special, isConstant) => {
              const args = kernel.arguments({ ...of, mean: 0 })
              const row = Math.max(...args.map(([, shape], i) => (shape.length > 1 ? i : 0)))
              const x = args[row][0]
              if (isConstant) x.fill(of.mean + 0.1)
              for (const [at, value] of special) x[at % x.length] = value
              const [own, other] = [machine, off].map(each => on(each, args, (...x) => kernel.run(each, ...x)))
              own.forEach((result, i) => {
                const largest = largestOf([other[i]], 1)
                for (let j = 0; j < result.length; j++) {
                  const [p, q] = [result[j], other[i][j]]
                  const agrees = Object.is(p, q) || p === q || Math.abs(p - q) <= 1e-4 * largest
                  assert.ok(agrees, `element ${j} of result ${i} is ${p}, and ${q} without machine code`)
                }
              })
            },
          ),
          runs(100),
        )
      })
    }
  })
}
