// Convolution, pooling and resampling where the records do not reach: many columns, memory, integers, and values that are not
// finite.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { concat, grad, Tape, vjp } from '../../src/autograd/index.ts'
import { device, randn, seed, type Tensor, tensor, toDevice } from '../../src/tensor/index.ts'
import { assertClose, values } from '../support.ts'
import { plain } from './plain.ts'

describe('a convolution with more columns than are in memory at once', () => {
  // 2²¹ columns an example, of which two are in memory
  const [batch, kernel, count] = [3, 64, 2 ** 15]
  const onCpu = (f: () => void) => device.with('cpu', f)

  it('gives every example its result and gradients', () =>
    onCpu(() => {
      seed(5)
      const x = randn([batch, 1, count + kernel - 1])
      const weight = randn([2, 1, kernel])
      const g = randn([batch, 2, count]).mul(0.01)
      const [y, pullback] = vjp((a: Tensor, w: Tensor) => a.conv1d(w), x, weight)
      const [byX, byWeight] = pullback(g)
      const alone = [0, 1, 2].map(i => {
        const part = [{ start: i, stop: i + 1 }]
        const [result, pull] = vjp((a: Tensor, w: Tensor) => a.conv1d(w), x.slice(part), weight)
        return [result, ...pull(g.slice(part))]
      })
      assertClose(y, plain(concat(alone.map(([result]) => result))), 1e-5)
      assertClose(byX, plain(concat(alone.map(([, of]) => of))), 1e-5)
      assertClose(byWeight, plain(alone.map(([, , of]) => of).reduce((a, b) => a.add(b))), 1e-3)
    }))

  it('keeps none of them for its gradients', () =>
    onCpu(() => {
      const [x, weight] = [randn([4, 8, 32, 32]), randn([8, 8, 3, 3])]
      const tape = new Tape()
      tape.watch(x)
      tape.watch(weight)
      const before = device.get('cpu').memory().bytes
      const y = tape.run(() => x.conv2d(weight, { padding: 1 }))
      // x with its margins, and the result
      const kept = device.get('cpu').memory().bytes - before
      assert.ok(kept < 4 * (x.size * 1.2 + y.size) + 4096, `${kept} bytes`)
      tape.end()
    }))
})

describe('integers and truths', () => {
  const whole = tensor(
    [
      [
        [
          [1, -2, 3],
          [4, 5, -6],
        ],
      ],
    ],
    { dtype: 'int32' },
  )

  it('are convolved as integers', () => {
    const y = whole.conv2d(tensor([[[[1, 2]]]], { dtype: 'int32' }), { padding: 'same' })
    assert.equal(y.dtype, 'int32')
    assert.deepEqual(values(y), [-3, 4, 3, 14, -7, -6])
    assert.deepEqual(
      values(whole.convTranspose2d(tensor([[[[1, 1]]]], { dtype: 'int32' }))),
      [1, -1, 1, 3, 4, 9, -1, -6],
    )
  })

  it('have a largest element with padding, and a mean', () => {
    assert.deepEqual(values(whole.neg().abs().neg().maxPool2d({ kernel: 2, padding: 1 })), [-1, -2, -4, -5])
    assert.deepEqual(values(whole.greater(3).maxPool2d({ kernel: [2, 1] })), [1, 1, 0])
    assert.equal(whole.greater(3).maxPool2d({ kernel: 2 }).dtype, 'bool')
    const mean = whole.avgPool2d({ kernel: 2 })
    assert.equal(mean.dtype, 'float32')
    assert.deepEqual(values(mean), [2])
    assert.deepEqual(values(whole.adaptiveAvgPool([1, 2])), [2, 0])
  })

  it('keep their dtype in the nearest element and in margins', () => {
    const larger = whole.interpolate({ size: [1, 6] })
    assert.equal(larger.dtype, 'int32')
    assert.deepEqual(values(larger), [1, 1, -2, -2, 3, 3])
    assert.equal(
      whole.greater(0).pad(
        [
          [0, 0],
          [0, 0],
          [1, 1],
          [0, 0],
        ],
        { mode: 'circular' },
      ).dtype,
      'bool',
    )
    assert.deepEqual(
      values(
        whole
          .greater(0)
          .unfold({ kernel: [2, 3] })
          .fold([2, 3]),
      ),
      [1, 0, 1, 1, 1, 0],
    )
  })
})

describe('what is not finite', () => {
  const row = (...numbers: number[]) => tensor([[numbers]], { dtype: 'float64' })

  it('stays in its windows', () => {
    assert.deepEqual(values(row(1, NaN, 2, 3, Infinity, 5).maxPool1d({ kernel: 2 })), [NaN, 3, Infinity])
    assert.deepEqual(values(row(-Infinity, -Infinity, 2).maxPool1d({ kernel: 3, stride: 1, padding: 1 })), [
      -Infinity,
      2,
      2,
    ])
    // neither of the two elements is x
    assert.deepEqual(values(row(5).maxPool1d({ kernel: 2, dilation: 2, padding: 1 })), [-Infinity])
    assert.deepEqual(values(row(1, Infinity, 2, 3, 4).adaptiveAvgPool([3])), [Infinity, Infinity, 3.5])
    assert.deepEqual(values(row(1, 2, 3, 4, NaN).adaptiveAvgPool([3])), [1.5, 3, NaN])
    assert.deepEqual(values(row(NaN, 1, 2, 3).interpolate({ size: 2, mode: 'bilinear' })), [NaN, 2.5])
    assert.deepEqual(
      values(row(1, 2, 3, Infinity).interpolate({ size: 2, mode: 'bilinear', antialias: true })).slice(1),
      [Infinity],
    )
  })

  it('of several NaN and equal numbers, one has the gradient', () => {
    const byX = grad((x: Tensor) => x.maxPool1d({ kernel: 2 }).sum())
    assert.deepEqual(values(byX(row(2, 2, NaN, 1))), [1, 0, 1, 0])
    const square = tensor(
      [
        [
          [
            [0, 3],
            [3, 3],
          ],
        ],
      ],
      { dtype: 'float64' },
    )
    assert.deepEqual(values(grad((x: Tensor) => x.maxPool2d({ kernel: 2 }).sum())(square)), [0, 1, 0, 0])
  })

  it('a position outside of x has the value 0, however far away', () => {
    const grid = tensor([[[-1e9], [0], [1e9]]], { dtype: 'float64' })
    for (const mode of ['bilinear', 'nearest'] as const)
      assert.deepEqual(values(row(1, 2, 3).gridSample(grid, { mode })), [0, 2, 0])
    assert.deepEqual(values(row(1, 2, 3).gridSample(grid, { paddingMode: 'border' })), [1, 2, 3])
  })
})

it('a convolution of float32 on cpu has the values of the reference', async () => {
  const [x, weight] = [randn([2, 4, 17, 13]), randn([6, 2, 3, 3])]
  const options = { stride: [2, 1], padding: [2, 0], dilation: [1, 3], groups: 2, paddingMode: 'replicate' } as const
  const y = x.conv2d(weight, options)
  const [a, w] = await Promise.all([toDevice(x, 'cpu'), toDevice(weight, 'cpu')])
  assertClose(a.conv2d(w, options), plain(y), 1e-5)
})
