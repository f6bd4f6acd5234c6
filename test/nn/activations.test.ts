// Activations in 16 bits on webgpu: the loss is that without, the gradients agree to what 16 bits give, and the tape holds half.

import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { sizes } from '../../bench/model.ts'
import { checkpoint, grad, Tape } from '../../src/autograd/index.ts'
import { CoCa } from '../../src/models/index.ts'
import { Linear, lossAndGradients, MLP, Module, TransformerBlock } from '../../src/nn/index.ts'
import { AdamW } from '../../src/optim/index.ts'
import {
  type ActivationDType,
  device,
  Generator,
  keep,
  randint,
  randn,
  scope,
  seed,
  type Tensor,
} from '../../src/tensor/index.ts'
import { isLong } from '../support.ts'
import { onBackends } from '../tensor/gpu/swiftshader.ts'

/** A software renderer takes long to compile tens of kernels. */
const skip = !isLong && 'long: compiles many kernels'

/** The unit roundoff of float16. */
const UNIT = 2 ** -11

const norm = (x: ArrayLike<number>): number => Math.sqrt(Array.from(x).reduce((sum, value) => sum + value * value, 0))

/** ‖x − y‖ / ‖y‖ */
const distance = (x: ArrayLike<number>, y: ArrayLike<number>): number =>
  norm(Array.from(y, (value, i) => x[i] - value)) / norm(y)

await onBackends(import.meta.url, { webgpu: 1 }, backend =>
  describe(`on ${backend}`, () => {
    const bytes = () => device.get().memory().bytes
    before(() => device.use('gpu', { backend }))
    beforeEach(() => device.use('gpu', { activations: 'float32' }))
    after(() => device.use('cpu'))

    /** Loss and gradients with one of the types, and the bytes that the tape holds when the backward pass begins. */
    async function run(activations: ActivationDType, model: Module, loss: () => Tensor) {
      await device.use('gpu', { activations })
      return scope(async () => {
        const used = bytes()
        let held = 0
        const found = lossAndGradients(model, () => {
          const total = loss()
          held = bytes() - used
          return total
        })
        const gradients = new Map<string, ArrayLike<number>>()
        for (const [name, gradient] of found.gradients) gradients.set(name, await gradient.data())
        return { loss: await found.loss.item(), gradients, held }
      })
    }

    /** Both, compared: the same loss, half of the memory, and gradients within a number of roundings. */
    async function compare(model: Module, loss: () => Tensor, roundings: number, share = 0.6) {
      const exact = await run('float32', model, loss)
      const packed = await run('float16', model, loss)
      assert.equal(packed.loss, exact.loss)
      assert.ok(packed.held < share * exact.held, `${packed.held} bytes instead of ${exact.held}`)
      const whole = norm([...exact.gradients.values()].map(norm))
      for (const [name, gradient] of exact.gradients) {
        // a gradient that is zero but for rounding, such as that of the bias of keys, has the error of the whole
        if (norm(gradient) < 1e-5 * whole) continue
        const error = distance(packed.gradients.get(name)!, gradient)
        assert.ok(error <= roundings * UNIT, `${name}: ${error / UNIT} roundings`)
      }
      assert.ok(
        [...exact.gradients].some(([name, gradient]) => distance(packed.gradients.get(name)!, gradient) > 0),
        'nothing was rounded',
      )
      return { exact, packed }
    }

    test('of a linear map inside of a module, every element of the gradient has the error of its factor', async () => {
      class Net extends Module {
        readonly first = new Linear(64, 64)
        readonly second = new Linear(64, 32)
        forward(x: Tensor): Tensor {
          return this.second.forward(this.first.forward(x))
        }
      }
      seed(1)
      const [net, x] = [new Net(), randn([128, 64])]
      const weights = randn([128, 32])
      const loss = () => net.forward(x).mul(weights).sum()
      const { exact, packed } = await compare(net, loss, 1, 0.8)
      // gᵀ h, where g is exact and h = first(x) is rounded: |error| ≤ 2⁻¹¹ |g|ᵀ |h|
      const bound = await scope(() => weights.abs().transpose().matmul(net.first.forward(x).abs()).mul(UNIT).data())
      const [a, b] = [exact, packed].map(({ gradients }) => gradients.get('second.weight')!)
      for (let i = 0; i < a.length; i++) assert.ok(Math.abs(a[i] - b[i]) <= 1.01 * bound[i] + 1e-5)
      // what depends on no rounded value is the same, bit for bit
      for (const name of ['second.bias', 'first.weight', 'first.bias'])
        assert.deepEqual(packed.gradients.get(name), exact.gradients.get(name), name)
    })

    test('what the caller has stays in float32: arguments, results, what was kept, and what a module has in a field', async () => {
      class Net extends Module {
        readonly mlp = new MLP(64, 128)
        seen?: Tensor
        kept?: { readonly x: Tensor }
        readonly #keep: (x: Tensor) => void
        constructor(keep: (x: Tensor) => void) {
          super()
          this.#keep = keep
        }
        forward(x: Tensor): Tensor {
          this.seen = x.mul(3)
          this.#keep(x.mul(5))
          return this.mlp.forward(x)
        }
      }
      await device.use('gpu', { activations: 'float16' })
      await scope(async () => {
        seed(2)
        let kept: Tensor | undefined
        const net = new Net(x => {
          kept = keep(x)
        })
        const x = randn([128, 64])
        const y = net.mlp.forward(x)
        const tape = new Tape()
        tape.watch(x)
        const h = tape.run(() => net.forward(x))
        const result = tape.run(() => h.square().sum())
        const values = await Promise.all([x.data(), h.data(), net.seen!.data(), kept!.data()])
        tape.finish(result, [x], [h, net.seen])
        assert.deepEqual(values[1], await y.data())
        assert.deepEqual(values[2], (await x.mul(3).data()) as (typeof values)[2])
        assert.deepEqual(values[3], (await x.mul(5).data()) as (typeof values)[3])
        assert.deepEqual(await h.data(), values[1])
        kept!.storage.free('this test')
      })
    })

    test('a gradient of a gradient, and of a checkpoint', { skip }, async () => {
      seed(3)
      const [net, x, v] = [new MLP(32, 64), randn([160, 32]), randn([160, 32])]
      const f = (y: Tensor) => net.forward(y).square().sum()
      const inside = (y: Tensor) =>
        checkpoint((z: Tensor) => net.forward(z))(y)
          .square()
          .sum()
      const second = grad((y: Tensor) => grad(f)(y).mul(v).sum())
      const all: (readonly [number, ArrayLike<number>, ArrayLike<number>])[] = []
      for (const activations of ['float32', 'float16'] as const) {
        await device.use('gpu', { activations })
        await scope(async () => {
          const loss = await inside(x).item()
          all.push([loss, await second(x).data(), await grad(inside)(x).data()])
        })
      }
      const [[loss, twice, once], [loss16, twice16, once16]] = all
      assert.equal(loss, loss16)
      for (const [x, y] of [
        [twice16, twice],
        [once16, once],
      ]) {
        const error = distance(x, y)
        assert.ok(error > 0 && error <= 4 * UNIT, `${error / UNIT} roundings`)
      }
    })

    test('of a transformer block, whose tape holds half; nothing is left', { skip }, async () => {
      await scope(async () => {
        const used = bytes()
        await scope(async () => {
          seed(4)
          const [block, x] = [new TransformerBlock({ width: 64, heads: 4 }), randn([8, 16, 64])]
          const loss = () => block.forward(x).square().mean()
          await compare(block, loss, 4)
          for (const parameter of block.parameters()) parameter.storage.free('this test')
        })
        // what earlier tests left to the garbage collector may be freed meanwhile
        assert.ok(bytes() <= used, `${bytes()} bytes, ${used} before`)
      })
    })

    test('a training has nearly the same losses, and they fall', { skip }, async () => {
      const losses = async (activations: ActivationDType): Promise<number[]> => {
        await device.use('gpu', { activations })
        return scope(async () => {
          seed(6)
          const [net, x, target] = [new MLP(32, 64), randn([160, 32]), randn([160, 32])]
          const optimizer = new AdamW(net, { learningRate: 1e-2 })
          const found: number[] = []
          for (let i = 0; i < 12; i++) {
            const loss = await scope(async () => {
              const { loss, gradients } = lossAndGradients(net, () => net.forward(x).sub(target).square().mean())
              optimizer.step(gradients)
              return loss.item()
            })
            found.push(loss)
          }
          return found
        })
      }
      const [exact, packed] = [await losses('float32'), await losses('float16')]
      assert.equal(packed[0], exact[0])
      assert.ok(packed[11] < 0.9 * packed[0], `${packed}`)
      packed.forEach((loss, i) => {
        assert.ok(Math.abs(loss - exact[i]) <= 10 * UNIT * exact[i], `step ${i + 1}: ${loss}, ${exact[i]}`)
      })
    })

    test('of a CoCa', { skip }, async () => {
      await scope(async () => {
        seed(5)
        const { config } = sizes.tiny
        const generator = new Generator(1)
        const model = new CoCa(config)
        const images = randn([8, 3, 32, 32], { generator })
        const ids = randint(0, config.text.vocabulary, [8, config.text.context], { generator })
        await compare(model, () => model.loss(images, ids).total, 8)
      })
    })
  }),
)
