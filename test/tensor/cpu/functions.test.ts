// The accuracy of the elementwise functions: measured in units in the last place against float64, over all kinds of float32,
// and compared with the reference where results are exact.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openCpu } from '../../../src/tensor/cpu/index.ts'
import {
  type BinaryName,
  type Device,
  fromData,
  Generator,
  randn,
  scope,
  type UnaryName,
} from '../../../src/tensor/index.ts'
import { unaryFunctions } from '../../../src/tensor/reference/functions.ts'
import { reference } from '../../../src/tensor/reference/index.ts'
import { checkDevice } from '../../../src/testing/index.ts'

const cpu = openCpu()

/** Every 4099th float32: all exponents, both signs, numbers too small to be normal, infinities and NaN. */
function allKinds(): Float32Array {
  const step = 4099
  const bits = Uint32Array.from({ length: Math.floor(2 ** 32 / step) }, (_, i) => i * step)
  return new Float32Array(bits.buffer)
}

/** Numbers that formulas get wrong. */
const extremes = Float32Array.of(
  ...[0, -0, 1, -1, 0.5, -0.5, 2, -2, 3, 0.625, 1 - 2 ** -24, 1 + 2 ** -23, 1e-20, -1e-20, 2 ** -126, -(2 ** -126)],
  ...[2 ** -149, -(2 ** -149), 1e-40, 3.4e38, -3.4e38, 88.72, 88.73, -87.4, -103.9, -104.1, 1e9, -1e9, 16777216],
  ...[Infinity, -Infinity, Number.NaN],
)

/** Distance from an exact value in units of the last place of a float32 of its size. */
function ulps(value: number, exact: number): number {
  const rounded = Math.fround(exact)
  if (Object.is(value, rounded) || value === rounded) return 0
  if (!Number.isFinite(value) || !Number.isFinite(rounded)) return Infinity
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(exact))))
  return Math.abs(value - exact) / 2 ** (exponent - 23)
}

const on = (device: Device, name: UnaryName, values: Float32Array | Float64Array) =>
  scope(() => device.kernels.unary(name, fromData(values, [values.length], device)).dataSync())

const inputs = allKinds()
const exactInputs = Float64Array.from(inputs)

/** Greatest errors allowed, where they are not 1.5. */
const limits: Partial<Record<UnaryName, number>> = {
  neg: 0,
  abs: 0,
  sign: 0,
  floor: 0,
  exp: 1.1,
  log: 1.1,
  sqrt: 0.5,
  sin: 0.6,
  cos: 0.6,
  atan: 0.6,
  log2: 0.6,
  log10: 0.6,
  tanh: 2,
  sigmoid: 2.5,
  normalCdf: 6,
}
const names = Object.keys(unaryFunctions) as UnaryName[]

describe('a million float32 of every size', () => {
  for (const name of names) {
    const limit = limits[name] ?? 1.5
    test(`${name} is within ${limit} units in the last place`, t => {
      const values = on(cpu, name, inputs)
      const exact = on(reference, name, exactInputs)
      let worst = 0
      let at = 0
      values.forEach((value, i) => {
        const error = ulps(value, exact[i])
        if (error > worst) [worst, at] = [error, i]
      })
      t.diagnostic(`${name}: ${worst.toFixed(2)} at ${inputs[at]}`)
      assert.ok(worst <= limit, `${name}(${inputs[at]}) is ${values[at]} instead of ${exact[at]}: ${worst} units`)
    })
  }
})

/** Equal, or as near as rounding twice leaves it. */
function agree(what: string, actual: ArrayLike<number>, expected: ArrayLike<number>, relative: number): void {
  assert.equal(actual.length, expected.length)
  for (let i = 0; i < actual.length; i++) {
    const [a, b] = [actual[i], expected[i]]
    // within a share of infinity is everything
    const near = Number.isFinite(b) && Math.abs(a - b) <= Math.max(relative * Math.abs(b), 3e-45)
    assert.ok(Object.is(a, b) || near, `${what}[${i}] is ${a} instead of ${b}`)
    if (a === 0 && b === 0) assert.ok(Object.is(a, b), `${what}[${i}] is ${a} instead of ${b}`)
  }
}

describe('zeros of both signs, infinities, NaN and the ends of the range', () => {
  test('unary functions equal the reference', () => {
    for (const name of names) agree(name, on(cpu, name, extremes), on(reference, name, extremes), 4e-7)
  })

  test('binary functions equal the reference for every pair', () => {
    const n = extremes.length
    const names: BinaryName[] = ['add', 'sub', 'mul', 'div', 'pow', 'maximum', 'minimum', 'fmod']
    for (const name of names) {
      const pairs = (device: Device) =>
        scope(() => {
          const x = fromData(extremes, [n, 1], device)
          return device.kernels.binary(name, x, x.view([1, n], [n, 1]), 'float32').dataSync()
        })
      agree(name, pairs(cpu), pairs(reference), 4e-7)
    }
  })

  test('comparisons, reductions and conversions equal the reference', () => {
    const n = extremes.length
    const each = (device: Device) =>
      scope(() => {
        const k = device.kernels
        const x = fromData(extremes, [n], device)
        const grid = k.copy(x.view([n, n], [1, 0]))
        const other = x.view([n, 1], [1, 1])
        return [
          ...(['equal', 'notEqual', 'greater', 'greaterEqual', 'less', 'lessEqual'] as const).map(name =>
            k.compare(name, x, other),
          ),
          ...(['max', 'min'] as const).flatMap(name => [
            k.reduce(name, grid, [0]),
            k.reduce(name, grid, [1]),
            k.reduce(name, x.view([n - 1], [1]), [0]),
          ]),
          k.argmax(grid, 0),
          k.argmax(x, 0),
          k.argmax(x.view([n], [-1], n - 1), 0),
          k.cast(x, 'int32'),
          k.cast(x, 'bool'),
          k.where(k.compare('greater', x, 0), x, other, 'float32'),
        ].map(t => t.dataSync())
      })
    const expected = each(reference)
    each(cpu).forEach((values, i) => {
      agree(`result ${i}`, values, expected[i], 0)
    })
  })
})

test('softmax, logSoftmax and gelu follow their definitions at the ends of the range', () => {
  const rows = Float32Array.of(...[1e30, 0, -1e30, 5, 5], ...[-Infinity, 0, 1, 2, 3], ...[1e-30, 0, 0, 0, 0])
  scope(() => {
    const x = fromData(rows, [3, 5], cpu)
    const y = cpu.kernels.softmax!(x)!.dataSync()
    agree('softmax', y.subarray(0, 5), [1, 0, 0, 0, 0], 0)
    assert.equal(y[5], 0)
    const third = 1 / (1 + Math.E + Math.E ** 2 + Math.E ** 3)
    agree('softmax', y.subarray(6, 10), [third, third * Math.E, third * Math.E ** 2, third * Math.E ** 3], 4e-7)
    agree('softmax', y.subarray(10), [0.2, 0.2, 0.2, 0.2, 0.2], 1e-7)
    assert.deepEqual([...cpu.kernels.logSoftmax!(x)!.dataSync().subarray(0, 2)], [0, Math.fround(-1e30)])
    const large = fromData(Float32Array.of(100, -100, Number.NaN, 0, 20), [5], cpu)
    assert.deepEqual([...cpu.kernels.gelu!(large)!.dataSync()], [100, -0, Number.NaN, 0, 20])
  })
})

test('gelu is accurate in the lower tail, where 1 + erf is not', () => {
  const x = Float32Array.from({ length: 90 }, (_, i) => -i / 10)
  // erfc by its continued fraction, which is exact from 2 on
  const erfc = (z: number) => {
    let tail = 0
    for (let k = 200; k > 0; k--) tail = k / 2 / (z + tail)
    return Math.exp(-z * z) / Math.sqrt(Math.PI) / (z + tail)
  }
  scope(() => {
    const values = cpu.kernels.gelu!(fromData(x, [x.length], cpu))!.dataSync()
    x.forEach((v, i) => {
      if (v > -2.83) return
      const exact = (v * erfc(-v / Math.SQRT2)) / 2
      assert.ok(Math.abs(values[i] - exact) <= 1e-6 * Math.abs(exact), `gelu(${v}) is ${values[i]}, not ${exact}`)
    })
  })
})

test('layerNorm is accurate far from zero, and if the first number is far from the others', () => {
  const n = 300
  const rows = Float32Array.from({ length: 3 * n }, (_, i) => {
    const [row, column] = [Math.floor(i / n), i % n]
    const wave = Math.sin(1.7 * i)
    return [1000 + wave, column === 0 ? 500 : wave, column === 0 ? -3000 : 20 + wave][row]
  })
  const ones = new Float32Array(n).fill(1)
  const computed = (on: Device) =>
    scope(() => {
      const x = fromData(rows, [3, n], on)
      const mean = on.kernels.binary('div', on.kernels.reduce('sum', x, [1]), n, 'float32')
      const centred = on.kernels.binary('sub', x, mean, 'float32')
      const squares = on.kernels.binary('mul', centred, centred, 'float32')
      const variance = on.kernels.binary('div', on.kernels.reduce('sum', squares, [1]), n, 'float32')
      const row = fromData(ones, [n], on)
      const zero = fromData(new Float32Array(n), [n], on)
      const fused = on.kernels.layerNorm?.(x, row, zero, 1e-5)
      const root = on.kernels.unary('rsqrt', on.kernels.binary('add', variance, 1e-5, 'float32'))
      return (fused ?? on.kernels.binary('mul', centred, root, 'float32')).dataSync()
    })
  const expected = computed(reference)
  computed(cpu).forEach((value, i) => {
    assert.ok(
      Math.abs(value - expected[i]) <= 1e-4 + 1e-5 * Math.abs(expected[i]),
      `[${i}] ${value}, not ${expected[i]}`,
    )
  })
})

test('the gradients of layerNorm include every row, also of an incomplete block', async () => {
  for (const [rows, n] of [
    [1, 5],
    [64, 3],
    [65, 8],
    [129, 7],
  ]) {
    const generator = new Generator(rows)
    const [x, weight, bias] = [[rows, n], [n], [n]].map(shape => randn(shape, { device: 'reference', generator }))
    await checkDevice((x, weight, bias) => x.layerNorm({ weight, bias }), [x, weight, bias], 'cpu')
  }
})

test('attention agrees with its formula for a scale of either sign, and gives zeros to queries without keys', () => {
  const [tokens, width] = [9, 5]
  const values = (seed: number) => Float32Array.from({ length: tokens * width }, (_, i) => Math.sin(seed + 2.3 * i))
  const [q, k, v] = [values(1), values(2), values(3)]
  const seen = Uint8Array.from({ length: tokens * tokens }, (_, i) =>
    Math.floor(i / tokens) === 4 || i % 3 === 1 ? 0 : 1,
  )
  for (const scale of [0.7, -0.7, 0])
    scope(() => {
      const on = (data: Float32Array) => fromData(data, [tokens, width], cpu)
      const mask = fromData(seen, [tokens, tokens], cpu, 'bool')
      const input = { q: on(q), k: on(k), v: on(v), mask, causal: true, scale }
      const actual = cpu.kernels.attention!(input)!.dataSync()
      for (let i = 0; i < tokens; i++) {
        const weights = Array.from({ length: tokens }, (_, j) => {
          if (j > i || seen[i * tokens + j] === 0) return 0
          let product = 0
          for (let c = 0; c < width; c++) product += q[i * width + c] * k[j * width + c]
          return Math.exp(product * scale)
        })
        const total = weights.reduce((a, b) => a + b, 0)
        for (let c = 0; c < width; c++) {
          const sum = weights.reduce((s, w, j) => s + w * v[j * width + c], 0)
          const expected = total === 0 ? 0 : sum / total
          const found = actual[i * width + c]
          assert.ok(Math.abs(found - expected) <= 2e-6, `scale ${scale}: [${i}, ${c}] is ${found}, not ${expected}`)
        }
      }
    })
})

test('the sum of squares of several tensors is the sum over all of their elements', () => {
  scope(() => {
    const sizes = [0, 1, 7, 1000, 33]
    const runs = sizes.map(n => Float32Array.from({ length: n }, (_, i) => Math.sin(i + n)))
    const tensors = runs.map(run => fromData(run, [run.length], cpu))
    const expected = runs.reduce((sum, run) => run.reduce((s, x) => s + x * x, sum), 0)
    const found = cpu.kernels.sumOfSquares!(tensors)!.dataSync()[0]
    assert.ok(Math.abs(found - expected) <= 2e-7 * expected, `${found}, not ${expected}`)
  })
})
