// Operations whose result has a size that depends on values, on the devices of any machine: values, edges, gradients by positions
// that are found first, and memory.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { grad, scatterAdd, Tape } from '../../src/autograd/index.ts'
import {
  type DeviceName,
  device,
  onesLike,
  scope,
  type Tensor,
  type TensorData,
  tensor,
  zeros,
} from '../../src/tensor/index.ts'
import { asynchronous } from '../../src/testing/operations/index.ts'
import '../support.ts'

const tested = new Set<string>()
const list = async (x: Tensor) => [...(await x.data())]

await device.open('gpu', { backend: 'cpu' })
for (const name of ['reference', 'cpu', 'gpu'] as const satisfies readonly DeviceName[]) {
  const on = (test: () => Promise<void>) => () => scope(test)
  const make = (data: TensorData) => tensor(data, { device: name })
  const int32 = (data: TensorData) => tensor(data, { dtype: 'int32', device: name })
  const nothing = (...shape: number[]) => zeros(shape, { device: name })

  describe(`nonzero on ${name}`, () => {
    tested.add('nonzero')

    it(
      'gives a row for each element that is not 0',
      on(async () => {
        const rows = await make([
          [0, 3, -0],
          [Number.NaN, 0, -1],
        ]).nonzero()
        assert.equal(rows.dtype, 'int32')
        assert.equal(rows.device, name)
        assert.deepEqual(await rows.array(), [
          [0, 1],
          [1, 0],
          [1, 2],
        ])
        assert.deepEqual(await list(await make([true, false, true]).nonzero()), [0, 2])
      }),
    )

    it(
      'of nothing, of one number and of a view',
      on(async () => {
        assert.deepEqual((await nothing(3, 2).nonzero()).shape, [0, 2])
        assert.deepEqual((await nothing(0, 2, 3).nonzero()).shape, [0, 3])
        assert.deepEqual((await make(5).nonzero()).shape, [1, 0])
        assert.deepEqual((await make(0).nonzero()).shape, [0, 0])
        const x = int32([
          [1, 0, 0],
          [0, 0, 2],
        ])
        assert.deepEqual(await (await x.transpose().nonzero()).array(), [
          [0, 0],
          [2, 1],
        ])
      }),
    )

    it(
      'gives positions for a gradient',
      on(async () => {
        const x = make([1, -2, 3, -4])
        const rows = (await x.greater(0).nonzero()).squeeze(1)
        const loss = (y: Tensor) => y.take(rows).pow(3).sum()
        assert.deepEqual(await list(grad(loss)(x)), [3, 0, 27, 0])
        assert.deepEqual(await list(grad(y => grad(loss)(y).sum())(x)), [6, 0, 18, 0])
      }),
    )
  })

  describe(`maskedSelect on ${name}`, () => {
    tested.add('maskedSelect')

    it(
      'gives the elements in row-major order, where both broadcast',
      on(async () => {
        const x = make([
          [1, 2, 3],
          [4, 5, 6],
        ])
        assert.deepEqual(await list(await x.maskedSelect(x.greater(2.5))), [3, 4, 5, 6])
        assert.deepEqual(await list(await x.maskedSelect(make([true, false, true]))), [1, 3, 4, 6])
        assert.deepEqual(await list(await make([7, 8]).maskedSelect(make([[true], [false], [true]]))), [7, 8, 7, 8])
        assert.deepEqual(await list(await x.transpose().maskedSelect(x.transpose().less(4.5))), [1, 4, 2, 3])
        const none = await int32([1, 2]).maskedSelect(make([false, false]))
        assert.deepEqual([none.shape, none.dtype, none.device], [[0], 'int32', name])
      }),
    )

    it(
      'refuses to be differentiated and says how to, which gives the gradient',
      on(async () => {
        const x = make([
          [1, -2],
          [-3, 4],
        ])
        const mask = x.greater(0)
        assert.throws(
          () =>
            grad(y => {
              void y.maskedSelect(mask)
              return y.sum()
            })(x),
          {
            name: 'GradientError',
            message:
              'maskedSelect: the size of its result is known later, and a tape records synchronous code; before the differentiated function write places = (await mask.reshape([-1]).nonzero()).squeeze(1), and in it x.reshape([-1]).take(places)',
          },
        )
        const places = (await mask.reshape([-1]).nonzero()).squeeze(1)
        const gradient = grad(y => y.reshape([-1]).take(places).square().sum())(x)
        assert.deepEqual(await gradient.array(), [
          [2, 0],
          [0, 8],
        ])
      }),
    )

    it(
      'positions may be found between two parts of a tape',
      on(async () => {
        const x = make([1, -2, 3])
        const tape = new Tape()
        tape.watch(x)
        const y = tape.run(() => x.mul(2))
        const places = (await y.greater(0).nonzero()).squeeze(1)
        const loss = tape.run(() => y.take(places).square().sum())
        const [gradient] = tape.gradient(loss, [x])
        assert.deepEqual(await list(gradient), [8, 0, 24])
      }),
    )

    it(
      'throws for shapes that do not broadcast',
      on(async () => {
        assert.throws(() => nothing(2).maskedSelect(nothing(3)), { name: 'ShapeError', message: /^maskedSelect: / })
      }),
    )
  })

  describe(`unique on ${name}`, () => {
    tested.add('unique')

    it(
      'gives the values in order, where they are and how often',
      on(async () => {
        const x = make([
          [3, 1, 3],
          [-2, 3, 1],
        ])
        const { values, inverse, counts } = await x.unique()
        assert.deepEqual(await list(values), [-2, 1, 3])
        assert.deepEqual(await inverse.array(), [
          [2, 1, 2],
          [0, 2, 1],
        ])
        assert.deepEqual(await list(counts), [1, 2, 3])
        assert.deepEqual([values.dtype, inverse.dtype, counts.dtype], ['float32', 'int32', 'int32'])
        assert.deepEqual(await values.take(inverse).array(), await x.array())
      }),
    )

    it(
      'of whole numbers, truths and nothing',
      on(async () => {
        const whole = await int32([4, -1, 4]).unique()
        assert.deepEqual([whole.values.dtype, await list(whole.values)], ['int32', [-1, 4]])
        const truths = await make([true, false, true]).unique()
        assert.deepEqual(await truths.values.array(), [false, true])
        assert.deepEqual(await list(truths.counts), [1, 2])
        const none = await nothing(2, 0).unique()
        assert.deepEqual([none.values.shape, none.inverse.shape, none.counts.shape], [[0], [2, 0], [0]])
      }),
    )

    it(
      '0 and -0 are one value, infinities are values, and each NaN is one',
      on(async () => {
        const x = make([Number.NaN, -0, Infinity, 0, Number.NaN, -Infinity])
        const { values, inverse, counts } = await x.unique()
        assert.deepEqual(await list(values), [-Infinity, -0, Infinity, Number.NaN, Number.NaN])
        assert.deepEqual(await list(inverse), [3, 1, 2, 1, 4, 0])
        assert.deepEqual(await list(counts), [1, 2, 1, 1, 1])
      }),
    )
  })

  describe(`bincount on ${name}`, () => {
    tested.add('bincount')

    it(
      'counts, or adds weights',
      on(async () => {
        const ids = int32([
          [1, 3],
          [1, 0],
        ])
        const counts = await ids.bincount()
        assert.deepEqual([counts.dtype, await list(counts)], ['int32', [1, 2, 0, 1]])
        assert.deepEqual(await list(await ids.bincount({ minLength: 6 })), [1, 2, 0, 1, 0, 0])
        assert.deepEqual(await list(await ids.bincount({ minLength: 2 })), [1, 2, 0, 1])
        const weights = make([
          [0.5, 2],
          [0.25, -1],
        ])
        assert.deepEqual(await list(await ids.bincount({ weights })), [-1, 0.75, 0, 2])
        assert.deepEqual(await list(await ids.bincount({ weights: weights.greater(0.3) })), [0, 1, 0, 1])
      }),
    )

    it(
      'of nothing',
      on(async () => {
        assert.deepEqual(await list(await int32([]).bincount()), [])
        assert.deepEqual(await list(await int32([]).bincount({ minLength: 2 })), [0, 0])
      }),
    )

    it(
      'is scatterAdd where the number of entries is known',
      on(async () => {
        const ids = int32([2, 0, 2])
        assert.deepEqual(
          await list(scatterAdd([4], ids, onesLike(ids))),
          await list(await ids.bincount({ minLength: 4 })),
        )
      }),
    )

    it(
      'refuses what it cannot count',
      on(async () => {
        await assert.rejects(int32([1, -2]).bincount(), {
          name: 'IndexError',
          message: 'bincount: index -2 is outside of 0 … 1',
        })
        assert.throws(() => make([1]).bincount(), { name: 'DTypeError', message: /^bincount: ids must be int32/ })
        assert.throws(() => int32([1]).bincount({ weights: nothing(2) }), {
          name: 'ShapeError',
          message: 'bincount: the weights [2] must have the shape of the ids, [1]',
        })
        assert.throws(
          () =>
            grad(weights => {
              void int32([1]).bincount({ weights })
              return weights.sum()
            })(make([1])),
          { name: 'GradientError', message: /in it scatterAdd\(\[n\], ids, weights\)$/ },
        )
      }),
    )
  })
}

it('every asynchronous operation is tested', () =>
  assert.deepEqual([...tested].sort(), Object.keys(asynchronous).sort()))

it('a scope frees what they make', async () => {
  const cpu = device.get('cpu')
  await device.with('cpu', async () => {
    const x = tensor([1, 0, 2, 1])
    const before = cpu.memory().bytes
    await scope(async () => {
      await x.nonzero()
      await x.maskedSelect(x.greater(0))
      await x.unique()
      await x.cast('int32').bincount()
    })
    assert.equal(cpu.memory().bytes, before)
  })
})
