// Functions of every number of an array in machine code, with each set of instructions that the processor has: called by themselves,
// with any start and size and guarded memory around the result, and as kernels of the device on two threads.

import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { CpuModule } from '../../../../src/tensor/cpu/exports.ts'
import { openCpu } from '../../../../src/tensor/cpu/index.ts'
import { machineCalls, withoutMachineCode } from '../../../../src/tensor/cpu/machine/call.ts'
import { openMachineCode } from '../../../../src/tensor/cpu/machine/memory.ts'
import { simdModule } from '../../../../src/tensor/cpu/module.ts'
import { DeviceError, fromData, Generator, scope } from '../../../../src/tensor/index.ts'
import { unaryFunctions } from '../../../../src/tensor/reference/functions.ts'
import { fc, runs } from '../../../support.ts'

/** Numbers that formulas get wrong. */
const special = [
  ...[0, -0, 1, -1, 2 ** -149, -(2 ** -149), 1e-40, -1e-40, 1e-20, 3.4e38, -3.4e38, Infinity, -Infinity, Number.NaN],
  ...[
    2.875, -2.875, 2.8750002, -2.8750002, 2.8749998, 13.1, -13.1, -14.2, 14.5, -14.5, 20, -20, 87.3, -87.4, 88.8,
    -104.1,
  ],
]

const memory = new WebAssembly.Memory({ initial: 64, maximum: 64, shared: true })
const numbers = new Float32Array(memory.buffer)
const words = new Int32Array(memory.buffer)
const { exports } = new WebAssembly.Instance(new WebAssembly.Module(Buffer.from(simdModule, 'base64')), {
  env: { memory },
  math: Math as unknown as WebAssembly.ModuleImports,
  blas: { sgemm() {}, dgemm() {} },
  machine: withoutMachineCode,
})
const compiled = exports as unknown as CpuModule

/** Addresses above those that the module itself uses. */
const [OUT, FIRST] = [0x200000, 0x210000]
const STEP = 0x2000
/** How many numbers on both sides of an array are guarded. */
const GUARD = 40
const GUARDED = 0x7fa12345

/** An array of random numbers on the scale of `spread`, with some special ones. */
function values(n: number, spread: number, seed: number): number[] {
  const generator = new Generator(seed)
  return Array.from({ length: n }, () =>
    Math.fround(
      generator.uniform() < 0.05
        ? special[Math.floor(generator.uniform() * special.length)]
        : generator.normal() * spread,
    ),
  )
}

/** Puts an array at `address` with guards around it. */
function put(address: number, array: readonly number[]): void {
  const at = address / 4
  words.fill(GUARDED, at - GUARD, at + array.length + GUARD)
  numbers.set(array, at)
}

/** The n numbers at `address`, after a check of the guards around them. */
function take(address: number, n: number): number[] {
  const at = address / 4
  for (let i = 1; i <= GUARD; i++) {
    assert.equal(words[at - i], GUARDED, `the number ${i} before the result was written`)
    assert.equal(words[at + n + i - 1], GUARDED, `the number ${i} behind the result was written`)
  }
  return Array.from(numbers.subarray(at, at + n))
}

/** Sizes around multiples of the lanes, starts of 4 bytes, spreads with all numbers near zero, some beyond, and nearly all beyond. */
const arrays = fc.record({
  n: fc.oneof(fc.integer({ min: 0, max: 70 }), fc.integer({ min: 500, max: 530 })),
  start: fc.integer({ min: 0, max: 15 }),
  spread: fc.constantFrom(0.5, 1, 3, 10),
  seed: fc.nat(),
})

/** The least float32 above zero, which any result may be off. */
const LEAST = 2 ** -149

/** Equal, both NaN, or within a share of the number, or of `scale`. */
function assertNear(what: string, found: number, expected: number, relative: number, scale: number): void {
  const isNear =
    Object.is(found, Math.fround(expected)) ||
    (Number.isFinite(expected) && Math.abs(found - expected) <= relative * Math.max(Math.abs(expected), scale) + LEAST)
  assert.ok(isNear, `${what} is ${found}, not ${expected}`)
}

const phi = unaryFunctions.normalCdf
const slope = (x: number): number => phi(x) + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI)

for (const instructions of ['AVX-512', 'AVX2'] as const) {
  let code: ReturnType<typeof openMachineCode> | undefined
  let missing: string | false = false
  try {
    code = openMachineCode(instructions)
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error
    missing = error.message
  }
  describe(instructions, { skip: missing }, () => {
    if (typeof code !== 'object') return
    const kernels = machineCalls(code, memory).kernels(compiled)

    /**
     * Calls the same kernel in machine code and compiled.
     * @returns the results of both
     */
    const both = (inputs: readonly number[][], start: number, call: (on: CpuModule, ...at: number[]) => void) => {
      const n = inputs[0].length
      return [kernels, compiled].map(on => {
        const out = OUT + 4 * start
        put(out, new Array<number>(n).fill(7))
        const at = inputs.map((array, i) => {
          const address = FIRST + i * STEP + 4 * ((start * (i + 3)) % 16)
          put(address, array)
          return address
        })
        call(on, out, ...at)
        inputs.forEach((array, i) => {
          assert.deepEqual(take(at[i], n), array, 'an argument was changed')
        })
        return take(out, n)
      })
    }

    test('gelu is x Φ(x)', () => {
      fc.assert(
        fc.property(arrays, ({ n, start, spread, seed }) => {
          const x = values(n, spread, seed)
          const [found, other] = both([x], start, (on, out, x) => on.gelu(out, x, n))
          x.forEach((v, i) => {
            // where Φ is not a normal number its digits are lost
            const scale = v < -12.9 ? 1e-36 : 0
            assertNear(`gelu(${v})`, found[i], v * phi(v), 7e-7, scale)
            assertNear(`gelu(${v}), compiled,`, found[i], other[i], 1e-6, scale)
          })
        }),
        runs(300),
      )
    })

    test('its gradient is g (Φ(x) + x φ(x))', () => {
      fc.assert(
        fc.property(arrays, ({ n, start, spread, seed }) => {
          const [g, x] = [values(n, 1, seed + 1).map(v => (Number.isFinite(v) ? v : 1)), values(n, spread, seed)]
          const [found, other] = both([g, x], start, (on, out, g, x) => on.geluGradient(out, g, x, n))
          x.forEach((v, i) => {
            // in units of 1 around zero, where the derivative has a zero, and of its own size beyond
            const scale = Math.abs(g[i]) * (Math.abs(v) <= 2.876 ? 1 : 1e-37) + 3e-38
            const infinite = Math.abs(v) === Infinity
            assertNear(`geluGradient(${v})`, found[i], infinite ? Number.NaN : g[i] * slope(v), 1.5e-6, scale)
            assertNear(`geluGradient(${v}), compiled,`, found[i], other[i], 5e-7, scale)
          })
        }),
        runs(300),
      )
    })

    for (const [name, kernel] of [
      ['exp', 'exp_f32'],
      ['sigmoid', 'sigmoid_f32'],
      ['tanh', 'tanh_f32'],
    ] as const)
      test(`${name} follows its definition`, () => {
        fc.assert(
          fc.property(arrays, ({ n, start, spread, seed }) => {
            const x = values(n, spread === 10 ? 60 : spread, seed)
            const [found, other] = both([x], start, (on, out, x) => on[kernel](out, x, n))
            x.forEach((v, i) => {
              assertNear(`${name}(${v})`, found[i], unaryFunctions[name](v), 3e-7, 0)
              assertNear(`${name}(${v}), compiled,`, found[i], other[i], 4e-7, 0)
              if (v === 0) assert.ok(Object.is(found[i], other[i]), `${name}(${v}) is ${found[i]}`)
            })
          }),
          runs(200),
        )
      })

    test('zeros keep their sign, and infinities and NaN have the results of the compiled kernels', () => {
      const x = [0, -0, 20, -20, 1e30, -1e30, Infinity, -Infinity, Number.NaN]
      const g = x.map(() => -1)
      const [gelu, geluCompiled] = both([x.map(Math.fround)], 1, (on, out, x) => on.gelu(out, x, 9))
      assert.deepEqual(gelu, geluCompiled)
      const [slopes, compiledSlopes] = both([g, x.map(Math.fround)], 1, (on, out, g, x) =>
        on.geluGradient(out, g, x, 9),
      )
      assert.deepEqual(slopes, compiledSlopes)
      assert.deepEqual(gelu.slice(0, 2), [0, -0])
    })

    test('NaN stays NaN, whatever its other bits are', () => {
      const n = 20
      const [out, x] = [OUT, FIRST]
      for (const bits of [0x7f800001, 0x7fc12345, 0x7fffffff, 0xff800001, 0xffffffff])
        for (const name of ['gelu', 'exp_f32', 'sigmoid_f32', 'tanh_f32'] as const) {
          words.fill(bits, x / 4, x / 4 + n)
          put(out, new Array<number>(n).fill(7))
          kernels[name](out, x, n)
          assert.ok(take(out, n).every(Number.isNaN), `${name} of a NaN with the bits ${bits.toString(16)}`)
        }
    })

    test('a step of adamw follows its formula', () => {
      const settings = fc.record({
        beta1: fc.constantFrom(0.9, 0.5, 0),
        beta2: fc.constantFrom(0.999, 0.95),
        epsilon: fc.constantFrom(1e-8, 1e-3),
        kept: fc.constantFrom(1, 0.99),
        rate: fc.constantFrom(1e-3, 0.5),
        steps: fc.integer({ min: 1, max: 1000 }),
      })
      fc.assert(
        fc.property(arrays, settings, ({ n, start, seed }, { beta1, beta2, epsilon, kept, rate, steps }) => {
          const deviation = Math.sqrt(1 - beta2 ** steps)
          const finite = (seed: number) => values(n, 1, seed).map(v => (Math.abs(v) < 1e18 ? v : 0))
          const inputs = [finite(seed), finite(seed + 1), finite(seed + 2), finite(seed + 3).map(Math.abs)]
          const at = inputs.map((_, i) => FIRST + i * STEP + 4 * ((start * (i + 3)) % 16))
          const [x, g, m, v] = inputs
          const settings = [beta1, 1 - beta1, beta2, 1 - beta2, epsilon, kept, rate, deviation] as const
          const [found, other] = [kernels, compiled].map(on => {
            inputs.forEach((array, i) => {
              put(at[i], array)
            })
            on.adamw(at[0], at[1], at[2], at[3], n, ...settings)
            return at.map(address => take(address, n))
          })
          assert.deepEqual(found[1], g, 'the gradient was changed')
          for (let i = 0; i < n; i++) {
            const newM = beta1 * m[i] + (1 - beta1) * g[i]
            const newV = beta2 * v[i] + (1 - beta2) * g[i] ** 2
            const factor = rate / (Math.sqrt(newV) / deviation + epsilon)
            // what is rounded before it cancels
            const sizeM = Math.abs(m[i]) + Math.abs(g[i])
            const sizeX = Math.abs(x[i]) + factor * sizeM
            for (const [what, result] of Object.entries({ found, other })) {
              assertNear(`m[${i}], ${what}`, result[2][i], newM, 2e-7, sizeM + 1e-38)
              assertNear(`v[${i}], ${what}`, result[3][i], newV, 3e-7, 1e-38)
              assertNear(`x[${i}], ${what}`, result[0][i], kept * x[i] - factor * newM, 1e-6, sizeX + 1e-38)
            }
          }
        }),
        runs(200),
      )
    })

    describe('on the device', () => {
      const [cpu, off] = ([instructions, 'off'] as const).map(machineCode => openCpu({ machineCode, threads: 2 }))
      after(() => [cpu, off].map(each => each.close()))

      test('two threads have the results of the kernels that are not machine code', () =>
        scope(() => {
          assert.equal(cpu.machineCode, instructions)
          const n = 20_003
          const [x, g] = [values(n, 2, 1), values(n, 1, 2).map(v => (Number.isFinite(v) ? v : 1))].map(each =>
            Float32Array.from(each),
          )
          const [found, expected] = [cpu, off].map(on => {
            const [a, b] = [fromData(x, [n], on), fromData(g, [n], on)]
            return [on.kernels.gelu!(a)!, on.kernels.geluGradient!(b, a)!].map(each => each.dataSync())
          })
          found.forEach((result, k) => {
            result.forEach((value, i) => {
              assertNear(`${k}, ${i}: ${x[i]}`, value, expected[k][i], 5e-7, k * Math.abs(g[i]) + 1e-36)
            })
          })
        }))
    })
  })
}
