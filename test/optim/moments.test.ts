// Moments in 16 and 8 bits: the formats, the kernels of cpu beside their definition, and training beside float32.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { CoCa } from '../../src/models/index.ts'
import { Linear, Module, Parameter, parameter } from '../../src/nn/index.ts'
import { Adam, AdamW, Lion, type MomentStorage, OptimizerStateError } from '../../src/optim/index.ts'
import { device, fromData, randn, seed, type Tensor, tensor } from '../../src/tensor/index.ts'
import { MOMENT_BLOCK, type MomentFormat, momentFormats, packMoments, unpackMoments } from '../../src/tensor/moments.ts'
import { fc, runs } from '../support.ts'
import { tinyModel } from '../train/tiny.ts'
import { gradientsAt, snapshot } from './plain.ts'
import '../reference.ts'

const storages = ['bfloat16', 'float8'] as const
const algorithms = {
  AdamW: (module: Module, moments: MomentStorage) => new AdamW(module, { moments, learningRate: 0.01 }),
  Adam: (module: Module, moments: MomentStorage) => new Adam(module, { moments, learningRate: 0.01 }),
  'Adam with decay': (module: Module, moments: MomentStorage) => new Adam(module, { moments, weightDecay: 0.1 }),
  Lion: (module: Module, moments: MomentStorage) => new Lion(module, { moments, learningRate: 0.01 }),
}

/** Numbers of all sizes, in blocks that are whole and not. */
const numbers = fc
  .array(fc.tuple(fc.float({ noNaN: true, min: -2, max: 2 }), fc.integer({ min: -60, max: 60 })), {
    minLength: 1,
    maxLength: 3 * MOMENT_BLOCK + 5,
    size: 'max',
  })
  .map(list => Float32Array.from(list, ([x, exponent]) => x * 2 ** exponent))

const valid = (format: MomentFormat, values: Float32Array) => (format === 'rootFloat8' ? values.map(Math.abs) : values)

/** The distance of neighbours at a number, at most. */
function distance(format: MomentFormat, x: number, block: Float32Array): number {
  if (format === 'bfloat16') return Math.max(Math.abs(x) * 2 ** -7, 2 ** -133)
  const most = Math.max(...block.map(Math.abs))
  if (format === 'float8') return Math.max(Math.abs(x) * 2 ** -3, most * 2 ** -16)
  // of roots: (r + d)² - r² = 2 r d + d²
  const root = Math.sqrt(x)
  const d = Math.max(root * 2 ** -4, Math.sqrt(most) * 2 ** -17)
  return 2 * root * d + d * d
}

describe('a moment in a few bits', () => {
  for (const format of momentFormats) {
    it(`as ${format} is one of the two neighbours of the number`, () =>
      fc.assert(
        fc.property(numbers, fc.integer(), (list, seed) => {
          const values = valid(format, list)
          const found = unpackMoments(format, packMoments(format, values, seed), values.length)
          for (const [i, x] of values.entries()) {
            const start = Math.floor(i / MOMENT_BLOCK) * MOMENT_BLOCK
            const bound = distance(format, x, values.subarray(start, start + MOMENT_BLOCK))
            assert.ok(Math.abs(found[i] - x) <= bound * 1.0001, `${found[i]} for ${x} within ${bound}`)
            if (format === 'rootFloat8' && x > 0 && start === 0 && x > 1e-30)
              assert.ok(found[i] > 0 || Math.max(...values) > 1e20)
          }
        }),
        runs(50),
      ))

    it(`as ${format} stays the same if it is packed again`, () =>
      fc.assert(
        fc.property(numbers, fc.integer(), (list, seed) => {
          const values = unpackMoments(format, packMoments(format, valid(format, list), seed), list.length)
          const again = unpackMoments(format, packMoments(format, values, seed + 1), values.length)
          for (const [i, x] of values.entries()) {
            const start = Math.floor(i / MOMENT_BLOCK) * MOMENT_BLOCK
            const most = Math.max(...values.subarray(start, start + MOMENT_BLOCK).map(Math.abs))
            // where the largest number was rounded up to a power of two, the smallest codes are twice as far apart
            if (format === 'bfloat16' || Math.abs(x) > most * (format === 'float8' ? 2 ** -13 : 2 ** -26))
              assert.equal(again[i], x)
          }
        }),
        runs(30),
      ))

    it(`as ${format} is the number itself in the mean over seeds`, () => {
      const values = Float32Array.of(1, 0.7, 0.0123, 0.3333)
      const sum = values.map(() => 0)
      const count = 20_000
      for (let seed = 0; seed < count; seed++)
        for (const [i, x] of unpackMoments(format, packMoments(format, values, seed * 7919), 4).entries())
          sum[i] += format === 'rootFloat8' ? Math.sqrt(x) : x
      for (const [i, x] of values.entries()) {
        const expected = format === 'rootFloat8' ? Math.sqrt(x) : x
        // five standard deviations of a mean of so many draws, each of which is off by 1/8 of itself at most
        const bound = (5 * expected) / 16 / Math.sqrt(count)
        assert.ok(Math.abs(sum[i] / count - expected) < bound, `${sum[i] / count} for ${expected}`)
      }
    })

    it(`as ${format} is the same on cpu, in all threads, as its definition`, async () => {
      await device.use('cpu')
      const { kernels } = device.get()
      const check = (values: Float32Array, seed: number) => {
        const packed = kernels.packMoments!(fromData(values, [values.length]), format, seed)!
        const words = packMoments(format, values, seed)
        assert.deepEqual(packed.dataSync(), words)
        const shape = [values.length]
        const plain = kernels.unpackMoments!({ format, words: packed, shape, seed })!
        assert.deepEqual(plain.dataSync(), unpackMoments(format, words, values.length))
      }
      fc.assert(
        fc.property(numbers, fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), (list, seed) =>
          check(valid(format, list), seed),
        ),
        runs(40),
      )
      for (const size of [1, 127, 128, 129, 100_003])
        check(valid(format, randn([size]).dataSync() as Float32Array), size)
      await device.use('reference')
    })
  }

  it('shows a value that is not finite', () => {
    for (const format of momentFormats)
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
        const found = unpackMoments(format, packMoments(format, Float32Array.of(1, value, 0), 3), 3)
        assert.ok(!found.every(Number.isFinite), `${format} ${value}: ${found}`)
      }
  })

  it('takes 2 bytes and 1.03 bytes a number', async () => {
    await device.use('cpu')
    const module = new Linear(512, 256, { bias: false })
    const count = module.weight.size
    const bytesOf = (optimizer: AdamW) => {
      const expected = optimizer.bytesToCome() - 4 * count
      optimizer.step(new Map([['weight', module.weight.mul(1)]]))
      const bytes = [...optimizer.stateDict().tensors.values()].reduce((sum, { size }) => sum + 4 * size, 0)
      assert.equal(bytes, expected)
      return bytes / 2 / count
    }
    assert.equal(bytesOf(new AdamW(module)), 4)
    assert.equal(bytesOf(new AdamW(module, { moments: 'bfloat16' })), 2)
    assert.equal(bytesOf(new AdamW(module, { moments: 'float8' })), 132 / 128)
    await device.use('reference')
  })
})

/** Float32 parameters of sizes within and across blocks. */
class Blocks extends Module {
  readonly matrix = parameter([20, 15], shape => randn(shape))
  readonly vector = parameter([7], shape => randn(shape))
  readonly large = parameter([50_000], shape => randn(shape))
}

const floats = (module: Module, step: number): Map<string, Tensor> =>
  new Map([...gradientsAt(module, step)].map(([name, gradient]) => [name, gradient.cast('float32')]))

describe('an optimizer with moments in a few bits', () => {
  for (const moments of storages)
    for (const [name, make] of Object.entries(algorithms)) {
      it(`${name} in ${moments} computes nearly the same on cpu as on reference`, async () => {
        const found: Record<string, number[]>[] = []
        for (const on of ['reference', 'cpu'] as const) {
          await device.use(on)
          seed(3)
          const module = new Blocks()
          const optimizer = make(module, moments)
          await device.use('reference')
          const gradients = [0, 1, 2, 3].map(step => floats(module, step))
          await device.use(on)
          for (const each of gradients)
            optimizer.step(new Map([...each].map(([key, x]) => [key, fromData(x.dataSync(), x.shape)] as const)))
          found.push(snapshot(module))
        }
        await device.use('reference')
        // where the last digit differs, a code may be rounded to the other side: a share of such numbers is off by a share of a step
        for (const [key, expected] of Object.entries(found[0])) {
          const off = expected.filter((x, i) => Math.abs(x - found[1][key][i]) > 1e-6)
          assert.ok(off.length <= 0.002 * expected.length, `${off.length} of ${expected.length} of ${key}`)
        }
      })

      it(`${name} in ${moments} continues from a saved state bit for bit`, async () => {
        await device.use('cpu')
        const module = new Blocks()
        const optimizer = make(module, moments)
        for (const step of [0, 1]) optimizer.step(onCpu(module, step))
        const copy = new Blocks()
        for (const [i, own] of copy.parameters().entries()) own.assign(module.parameters()[i].mul(1))
        const again = make(copy, moments).loadStateDict(optimizer.stateDict())
        for (const step of [2, 3]) {
          optimizer.step(onCpu(module, step))
          again.step(onCpu(copy, step))
        }
        assert.deepEqual(snapshot(copy), snapshot(module))
        await device.use('reference')
      })
    }

  const onCpu = (module: Module, step: number) =>
    new Map(
      [...module.namedParameters()].map(([name, { shape }], i) => {
        seed(100 * step + i)
        return [name, randn(shape)]
      }),
    )

  it('computes in float64 for parameters in float64', () => {
    const w = new Parameter(tensor([1, 2, 3], { dtype: 'float64' }))
    const optimizer = new AdamW([['w', w]], { moments: 'float8' })
    optimizer.step(new Map([['w', tensor([1, 2, 3], { dtype: 'float64' })]]))
    assert.equal(w.dtype, 'float64')
    assert.equal(optimizer.slotValues().get('firstMoment.w')!.dtype, 'float64')
  })

  it('refuses a state that is stored otherwise, and the gpu, by name', async () => {
    const module = new Linear(2, 1)
    const step = (optimizer: AdamW) => {
      optimizer.minimize(() => module.forward(tensor([[1, 2]])).sum())
      return optimizer
    }
    const [plain, packed] = (['float32', 'float8'] as const).map(moments => step(new AdamW(module, { moments })))
    assert.throws(
      () => packed.loadStateDict(plain.stateDict()),
      (error: Error) =>
        error instanceof OptimizerStateError &&
        /firstMoment.weight is stored as float8 here and in float32 there: set the option moments/.test(error.message),
    )
    assert.throws(() => plain.loadStateDict(packed.stateDict()), /in float32 here and in fewer bits there/)
    await device.use('gpu', { backend: 'cpu' })
    await assert.rejects(packed.to('gpu'), /device gpu stores all elements as float32/)
    const there = new Linear(2, 1)
    const optimizer = new AdamW(there, { moments: 'bfloat16' })
    assert.throws(
      () => optimizer.minimize(() => there.forward(tensor([[1, 2]])).sum()),
      /device gpu stores all elements as float32; set moments: 'float32', or work on cpu/,
    )
    await device.use('reference')
  })

  it('follows a second moment, which rounding to nearest would keep where it is', () => {
    const w = new Parameter(fromData(new Float32Array(256), [256]))
    for (const moments of storages) {
      const optimizer = new AdamW([['w', w]], { moments, betas: [0.9, 0.999] })
      // one step of size 1, then 1500 of size 2: v → 4 - 3 · 0.999¹⁵⁰⁰ from 1, without correction of its bias
      const at = (size: number) => new Map([['w', fromData(new Float32Array(256).fill(size), [256])]])
      for (let t = 0; t < 1500; t++) optimizer.step(at(2))
      const values = optimizer.slotValues().get('secondMoment.w')!.dataSync() as Float32Array
      const mean = values.reduce((sum, v) => sum + v, 0) / values.length
      const expected = 4 * (1 - 0.999 ** 1500)
      assert.ok(Math.abs(mean / expected - 1) < 0.06, `${moments}: ${mean} for ${expected}`)
    }
  })

  it('trains a small CoCa to the losses of float32, within 2 % over 50 steps', async () => {
    await device.use('cpu')
    const curve = (moments: MomentStorage) => {
      seed(5)
      const model = new CoCa(tinyModel)
      const optimizer = new AdamW(model, { moments, learningRate: 3e-3 })
      const images = randn([6, 3, 8, 8])
      const ids = tensor(
        Array.from({ length: 6 }, (_, i) => [1, 3 + i, 9 + ((3 * i) % 7), 20 + i, 2, 0]),
        { dtype: 'int32' },
      )
      return Array.from({ length: 50 }, () => {
        const { total } = optimizer.minimize(() => model.loss(images, ids))
        return total.dataSync()[0]
      })
    }
    const expected = curve('float32')
    assert.ok(expected[49] < 0.7 * expected[0], `it learns: ${expected[0]} to ${expected[49]}`)
    for (const [moments, bound] of [['bfloat16', 0.005], ['float8', 0.02]] as const) // biome-ignore format: pairs
      for (const [step, loss] of curve(moments).entries())
        assert.ok(
          Math.abs(loss / expected[step] - 1) < bound,
          `${moments}, step ${step}: ${loss}, not ${expected[step]}`,
        )
    await device.use('reference')
  })
})
