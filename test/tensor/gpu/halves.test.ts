// Float32 in 16 bits on webgpu: the bound on the error for all numbers, the bytes, and what is left alone.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { Parameter } from '../../../src/nn/index.ts'
import { AdamW } from '../../../src/optim/index.ts'
import { type ActivationDType, device, fromData, scope, Tensor } from '../../../src/tensor/index.ts'
import '../../support.ts'
import { onBackends } from './swiftshader.ts'

const refused = (pattern: RegExp) => ({ name: 'DeviceError', message: pattern })

test('what is no type of activations, and a device or backend that has none, are refused', async () => {
  const use = (activations: unknown) =>
    device.use('gpu', { backend: 'cpu', activations: activations as ActivationDType })
  await assert.rejects(use('float8'), refused(/activations must be 'float32' or 'float16', not 'float8'/))
  await assert.rejects(use(16), refused(/activations must be 'float32' or 'float16', not 16/))
  await assert.rejects(use('float16'), refused(/activations: 'float16' needs webgpu; cpu keeps them in float32/))
  await use('float32')
  await assert.rejects(use('float16'), refused(/needs webgpu/))
  for (const name of ['cpu', 'reference'] as const)
    await assert.rejects(
      device.use(name, { activations: 'float16' }),
      refused(new RegExp(`activations is an option of gpu; ${name} has nothing of the kind`)),
    )
})

/** The elements that share an exponent, and the largest finite one of each. */
const BLOCK = 512

function checkErrors(x: Float32Array, y: Float32Array): void {
  for (let first = 0; first < x.length; first += BLOCK) {
    let largest = 0
    for (const value of x.subarray(first, first + BLOCK))
      if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value))
    for (let i = first; i < Math.min(first + BLOCK, x.length); i++) {
      if (!Number.isFinite(x[i])) {
        assert.ok(Object.is(y[i], x[i]), `${x[i]} has become ${y[i]}`)
        continue
      }
      const size = Math.abs(x[i])
      const bound = largest < 65536 ? Math.max(2 ** -11 * size, 2 ** -40 * largest) : 2 ** -8 * size
      const error = Math.abs(y[i] - x[i])
      const isZero = y[i] === 0 && size < 2 ** -126
      assert.ok(error <= bound || isZero, `${x[i]} beside ${largest} has become ${y[i]}, by ${error / bound} bounds`)
      assert.ok(y[i] === 0 || Math.sign(y[i]) === Math.sign(x[i]), `${x[i]} has become ${y[i]}`)
    }
  }
}

await onBackends(import.meta.url, { webgpu: 1 }, backend =>
  describe(`on ${backend}`, () => {
    const bytes = () => device.get('gpu').memory().bytes
    const packedBytes = (n: number) => 4 * (Math.ceil(n / 2) + Math.ceil(n / BLOCK))
    const onGpu = (values: Float32Array | Int32Array) => fromData(values, [values.length], device.get('gpu'))
    const packed = (values: Float32Array) => {
      const x = onGpu(values)
      const used = bytes()
      x.storage.pack()
      assert.equal(bytes(), used - 4 * values.length + packedBytes(values.length))
      return x
    }
    const rounded = (values: Float32Array) => scope(() => packed(values).data() as Promise<Float32Array>)
    before(() => device.open('gpu', { backend, activations: 'float16' }))

    test('every number keeps its bound, whatever its neighbours are', async () => {
      const numbers = fc.oneof(
        fc.float({ noNaN: true }),
        fc.float({ min: -4, max: 4, noNaN: true }),
        fc.constantFrom(
          0,
          -0,
          Infinity,
          -Infinity,
          NaN,
          65504,
          65535.99609375,
          65536,
          3.4028234663852886e38,
          2 ** -126,
        ),
      )
      const blocks = fc.tuple(fc.array(numbers, { minLength: 1, maxLength: 40 }), fc.integer({ min: -140, max: 20 }))
      await fc.assert(
        fc.asyncProperty(fc.array(blocks, { minLength: 1, maxLength: 12 }), fc.nat(600), async (blocks, more) => {
          const length = 4096 + more
          const values = Float32Array.from({ length }, (_, i) => {
            const [list, exponent] = blocks[Math.floor(i / BLOCK) % blocks.length]
            // most blocks have numbers of one magnitude
            return exponent % 2 === 0 ? list[i % list.length] : (list[i % list.length] % 4) * 2 ** exponent
          })
          const once = await rounded(values)
          checkErrors(values, once)
          assert.deepEqual(await rounded(once), once, 'rounding again changes nothing')
        }),
        { numRuns: 40, seed: 20220504 },
      )
    })

    test('to the nearest, and to the even one in the middle', async () => {
      const of = async (...values: number[]) =>
        Array.from(
          (await rounded(Float32Array.from({ length: 4096 }, (_, i) => values[i] ?? 0))).slice(0, values.length),
        )
      const unit = 2 ** -10
      assert.deepEqual(await of(1, 1 + unit / 2, 1 + 1.5 * unit, 1 + 0.5001 * unit, 1 - unit / 4, -1 - 1.5 * unit), [
        1,
        1,
        1 + 2 * unit,
        1 + unit,
        1,
        -1 - 2 * unit,
      ])
      // below 2^-29 of the largest, multiples of 2^-39 of it
      assert.deepEqual(await of(1, 2 ** -39, 1.5 * 2 ** -39, 2 ** -40, 3 * 2 ** -40, 2 ** -41), [
        ...[1, 2 ** -39, 2 ** -38, 0, 2 ** -38, 0],
      ])
      // the numbers of float16 itself, the largest of which are not rounded to the next power of two
      const own = [65504, -2048, 2 ** -14, 2 ** -24, 3 * 2 ** -24]
      assert.deepEqual(await of(...own), own)
      assert.deepEqual(await of(65504, 65519, 65535, 2 ** -25, 2 ** -24 - 2 ** -26), [65504, 65504, 65504, 0, 2 ** -24])
      // bfloat16
      assert.deepEqual(
        await of(65536, 1, 1 + 2 ** -8, 1 + 2 ** -7, 1e-30),
        [65536, 1, 1, 1.0078125, 9.98402083170343e-31],
      )
    })

    test('a part, a permutation and a second use give the rounded numbers, in float32 from the first use on', async () => {
      await scope(async () => {
        const values = Float32Array.from({ length: 4097 }, (_, i) => Math.sin(i))
        const expected = await rounded(values)
        const x = packed(values)
        const used = bytes()
        const view = new Tensor(x.storage, [2, 3], [3, 1], 4091)
        assert.deepEqual(
          await view.permute([1, 0]).array(),
          [0, 1, 2].map(i => [expected[4091 + i], expected[4094 + i]]),
        )
        assert.equal(bytes(), used - packedBytes(4097) + 4 * 4097)
        assert.deepEqual(
          await x.mul(2).data(),
          expected.map(value => 2 * value),
        )
        x.storage.pack()
        assert.equal(bytes(), used + 4 * 4097, 'packed again, beside the product')
      })
      assert.deepEqual(device.get('gpu').memory(), { bytes: 0, buffers: 0 }, 'packed memory is freed')
    })

    test('small tensors, integers, and parameters in the memory of AdamW stay as they are', async () => {
      await device.use('gpu')
      await scope(async () => {
        const stays = (x: Tensor) => {
          const used = bytes()
          x.storage.pack()
          assert.equal(bytes(), used)
        }
        const whole = Int32Array.from({ length: 5000 }, (_, i) => 2 ** 24 - i)
        stays(onGpu(new Float32Array(4095)))
        stays(onGpu(whole))
        stays(onGpu(whole).greater(5))
        const [a, b] = [0, 1].map(i => new Parameter(onGpu(new Float32Array(5000).fill(1 + i / 3))))
        new AdamW(
          [
            ['a', a],
            ['b', b],
          ],
          { learningRate: 0 },
        ).step(new Map([a, b].map((_, i) => ['ab'[i], onGpu(new Float32Array(5000).fill(1))])))
        stays(a)
        assert.equal((await b.data())[4999], Math.fround(4 / 3))
        for (const x of [a, b]) x.storage.free('this test')
      })
    })

    test('what is packed stays readable when the option is taken back', async () => {
      await scope(async () => {
        const x = packed(new Float32Array(4096).fill(1 / 3))
        await device.open('gpu', { activations: 'float32' })
        const y = onGpu(new Float32Array(4096).fill(1 / 3))
        const used = bytes()
        y.storage.pack()
        assert.equal(bytes(), used)
        assert.ok(Math.abs((await x.data())[0] - 1 / 3) < 2 ** -12)
        assert.equal((await y.data())[0], Math.fround(1 / 3))
      })
      await device.open('gpu', { activations: 'float16' })
    })

    after(() => device.use('cpu'))
  }),
)
