import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  AdamW,
  ArgumentError,
  CoCa,
  defineFused,
  device,
  firstNonFinite,
  grad,
  init,
  Module,
  noGrad,
  parameter,
  randn,
  seed,
  type Tensor,
  tensor,
  where,
} from '../../src/index.ts'

describe('firstNonFinite', () => {
  it('names the first operation whose result is not finite, with its inputs', async () => {
    const x = tensor([2, 0.5, -1])
    const found = await firstNonFinite(() => x.sub(1).log().mul(2).sum())
    assert.ok(found)
    assert.equal(found.operation, 'log')
    assert.ok(Number.isNaN(found.value))
    assert.deepEqual([found.index, found.count, found.before, found.phase], [1, 2, 1, 'other'])
    assert.deepEqual(found.inputs, [{ position: 0, shape: [3], dtype: 'float32', range: [-2, 1], wasFinite: true }])
    assert.match(
      found.message,
      /^log, outside of a tape, gives NaN at 1 of \[3\], the first of 2; operations before it, all finite: 1\n/,
    )
    assert.match(found.place.stack ?? '', /non-finite\.test\.ts/)
  })

  it('distinguishes forward from backward: the slope of a square root at 0 is infinite, its value is not', async () => {
    const found = await firstNonFinite(() => grad((x: Tensor) => x.sqrt().sum())(tensor([0, 1])))
    assert.equal(found?.phase, 'backward')
    assert.equal(found?.value, Number.POSITIVE_INFINITY)
    const forward = await firstNonFinite(() => grad((x: Tensor) => x.log().sum())(tensor([0, 1])))
    assert.deepEqual([forward?.phase, forward?.operation], ['forward', 'log'])
  })

  it('sees operations outside of a tape and in asynchronous functions', async () => {
    const x = tensor([1000])
    assert.equal((await firstNonFinite(() => noGrad(() => x.exp())))?.operation, 'exp')
    const loop = async () => {
      for (let y = x; (await y.item()) < Number.POSITIVE_INFINITY; ) y = y.mul(1e10)
    }
    const found = await firstNonFinite(loop)
    assert.deepEqual([found?.operation, found?.before], ['mul', 3])
  })

  it('names the operation at which a training loop fails, and says that an update changed its parameter', async () => {
    class Model extends Module {
      w = parameter([2], init.ones)
      forward = (x: Tensor) => this.w.mul(x).square().sum()
    }
    const model = new Model()
    const optimizer = new AdamW(model, { learningRate: 1e30, weightDecay: 1e30 })
    const x = tensor([1, 2])
    const found = await firstNonFinite(() => {
      for (let step = 0; step < 5; step++) optimizer.minimize(() => model.forward(x))
    })
    assert.deepEqual([found?.operation, found?.inputs[0].wasFinite, found?.inputs[1].wasFinite], ['mul', false, true])
    assert.match(found?.message ?? '', /argument 0: \[2\] float32, .*, and was not finite before/)
  })

  it('finds nothing if all values are finite, also in a whole model with masks', async () => {
    seed(0)
    const model = new CoCa({
      image: { size: 8, patch: 4, width: 16, layers: 1, heads: 2 },
      text: { vocabulary: 12, context: 6, width: 16, heads: 2, unimodalLayers: 1, multimodalLayers: 1, pad: 0 },
      pooler: { queries: 4, heads: 2 },
      embedding: 16,
    })
    const optimizer = new AdamW(model, { learningRate: 1e-3 })
    const captions = tensor(
      [
        [1, 3, 4, 2, 0, 0],
        [1, 5, 6, 7, 2, 0],
      ],
      { dtype: 'int32' },
    )
    const images = randn([2, 3, 8, 8])
    assert.equal(await firstNonFinite(() => optimizer.minimize(() => model.loss(images, captions))), undefined)
  })

  it('checks the result of a fused operation, not the parts of its definition', async () => {
    // log 0 is -Infinity, and its exponential 0 again
    const same = defineFused('same', { definition: (x: Tensor) => x.log().exp() })
    assert.equal(await firstNonFinite(() => same(tensor([0, 1]))), undefined)
    assert.equal((await firstNonFinite(() => same(tensor([-1, 1]))))?.operation, 'same')
  })

  it('ignores infinities if the option is set', async () => {
    const masked = () => where(tensor([true, false]), tensor([1, 2]), Number.NEGATIVE_INFINITY).softmax()
    assert.equal((await firstNonFinite(masked))?.operation, 'where')
    assert.equal(await firstNonFinite(masked, { infinity: false }), undefined)
  })

  it('an error after a finding is not thrown, any other error is', async () => {
    const bad = () => {
      tensor([-1]).sqrt()
      throw new RangeError('the loss is NaN')
    }
    assert.equal((await firstNonFinite(bad))?.operation, 'sqrt')
    await assert.rejects(
      firstNonFinite(() => {
        throw new RangeError('another')
      }),
      /another/,
    )
  })

  it('works on a device whose values are read asynchronously', async () => {
    await device.open('gpu', { backend: 'cpu' })
    await device.with('gpu', async () => {
      const x = tensor([2, 0.5, -1])
      const before = device.get('gpu').memory().bytes
      const found = await firstNonFinite(() => grad((y: Tensor) => y.sub(1).log().sum())(x))
      assert.deepEqual([found?.operation, found?.phase, found?.index], ['log', 'forward', 1])
      assert.deepEqual(found?.inputs[0].range, [-2, 1])
      const onCpu = tensor([-1], { device: 'cpu' })
      const mixed = await firstNonFinite(() => [x.sub(1).log(), onCpu.sqrt()])
      assert.equal(mixed?.operation, 'log', 'what came first, wherever it is')
      assert.ok(device.get('gpu').memory().bytes <= before + 64, 'copies are given back')
    })
  })

  it('names the function for numbers in its error', () =>
    assert.rejects(firstNonFinite([1, Number.NaN] as never), (error: Error) => {
      assert.ok(error instanceof ArgumentError)
      assert.match(error.message, /indexOfNonFinite/)
      return true
    }))
})
