// Very large, very small, infinite and equal numbers: results and gradients are finite where they are mathematically.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { grad, type TensorFunction } from '../../src/autograd/index.ts'
import { type DType, device, type Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import { assertCloseNumbers, fc, runs, values } from '../support.ts'

const floating = ['float32', 'float64'] as const
const tensorOf = (data: number[] | number[][], dtype: DType) => tensor(data, { dtype })

/** First and second derivatives of Σ w f(x), for uneven weights w. */
function derivatives(f: TensorFunction, x: Tensor): { value: number[]; first: number[]; second: number[] } {
  const weigh = (y: Tensor) =>
    y
      .mul(
        tensor(
          Float64Array.from({ length: y.size }, (_, i) => 1 + 0.5 * i),
          { shape: y.shape },
        ).cast(y.dtype),
      )
      .sum()
  const first = grad((z: Tensor) => weigh(f(z)))
  const second = grad((z: Tensor) => weigh(first(z)))
  return { value: values(f(x)), first: values(first(x)), second: values(second(x)) }
}

const noNaN = (...lists: number[][]) => {
  for (const list of lists) assert.ok(!list.some(Number.isNaN), `NaN in ${list}`)
}
const allFinite = (...lists: number[][]) => {
  for (const list of lists) assert.ok(list.every(Number.isFinite), `not finite: ${list}`)
}

for (const dtype of floating) {
  describe(`in ${dtype}`, () => {
    it('softmax of ±10⁴ is 0 and 1, with zero derivatives', () => {
      const { value, first, second } = derivatives(z => z.softmax(), tensorOf([1e4, -1e4, 0], dtype))
      assert.deepEqual(value, [1, 0, 0])
      for (const list of [first, second]) assertCloseNumbers(list, [0, 0, 0])
    })

    it('softmax gives -∞ no weight and no gradient', () => {
      const { value, first, second } = derivatives(z => z.softmax(), tensorOf([0, -Infinity, 0], dtype))
      assert.deepEqual(value, [0.5, 0, 0.5])
      allFinite(first, second)
      assert.equal(first[1] + 0, 0)
      assertCloseNumbers([first[0]], [-0.25], 1e-6)
    })

    it('logSoftmax of ±10⁴ is exact', () => {
      const { value, first, second } = derivatives(z => z.logSoftmax(), tensorOf([1e4, -1e4], dtype))
      assert.deepEqual(value, [0, -2e4])
      assertCloseNumbers(first, [1 - 2.5, 1.5])
      assertCloseNumbers(second, [0, 0])
    })

    it('logSoftmax has no NaN if an input is -∞', () => {
      const { value, first, second } = derivatives(z => z.logSoftmax(), tensorOf([0, -Infinity, 0], dtype))
      assertCloseNumbers(value, [-Math.LN2, -Infinity, -Math.LN2], 1e-6)
      noNaN(first, second)
    })

    it('logSumExp of large numbers, with -∞ and of -∞ alone', () => {
      const large = derivatives(z => z.logSumExp(), tensorOf([1e4, 1e4, -1e4], dtype))
      assertCloseNumbers(large.value, [1e4 + Math.LN2], 1e-6)
      assertCloseNumbers(large.first, [0.5, 0.5, 0], 1e-3)
      allFinite(large.second)
      const some = derivatives(z => z.logSumExp(), tensorOf([2, -Infinity], dtype))
      assert.deepEqual([some.value, some.first], [[2], [1, 0]])
      allFinite(some.second)
      const none = derivatives(z => z.logSumExp(), tensorOf([-Infinity, -Infinity], dtype))
      assert.deepEqual([none.value, none.first], [[-Infinity], [0, 0]])
      noNaN(none.second)
      assert.deepEqual(values(zeros([2, 0], { dtype }).logSumExp({ axis: 1 })), [-Infinity, -Infinity])
    })

    it('crossEntropy of ±10⁴ is the distance, and a class of -∞ adds nothing unless it is the target', () => {
      const ids = tensor([1, 0], { dtype: 'int32' })
      const far = derivatives(
        z => z.crossEntropy(ids),
        tensorOf(
          [
            [1e4, -1e4],
            [1e4, -1e4],
          ],
          dtype,
        ),
      )
      assert.deepEqual(far.value, [1e4])
      assertCloseNumbers(far.first, [0.5, -0.5, 0, 0])
      allFinite(far.second)
      const closed = derivatives(
        z => z.crossEntropy(ids),
        tensorOf(
          [
            [-Infinity, 0],
            [0, -Infinity],
          ],
          dtype,
        ),
      )
      assertCloseNumbers(closed.value, [0])
      assertCloseNumbers(closed.first, [0, 0, 0, 0])
      noNaN(closed.second)
    })

    it('crossEntropy is 0, with gradient 0, if every row is ignored', () => {
      const ids = tensor([-100, -100], { dtype: 'int32' })
      const { value, first, second } = derivatives(z => z.crossEntropy(ids, { ignore: -100 }), zeros([2, 3], { dtype }))
      assertCloseNumbers([...value, ...first, ...second], new Array(13).fill(0))
    })

    it('a query whose keys are all masked gets zeros, and its gradients are zeros', () => {
      const mask = tensor([
        [true, false],
        [false, false],
      ])
      const keys = tensorOf(
        [
          [1, 2],
          [-1, 0.5],
        ],
        dtype,
      )
      const f = (z: Tensor) => z.attention(keys, keys, { mask })
      const { value, first, second } = derivatives(
        f,
        tensorOf(
          [
            [1, 2],
            [3, 4],
          ],
          dtype,
        ),
      )
      assert.deepEqual(value, [1, 2, 0, 0])
      assertCloseNumbers([...first, ...second], new Array(8).fill(0), 1e-6)
      const asKeys = derivatives(z => tensorOf([[1, 2]], dtype).attention(z, z, { mask: tensor([false, false]) }), keys)
      assertCloseNumbers([...asKeys.value, ...asKeys.first, ...asKeys.second], new Array(10).fill(0))
    })

    it('causal attention hides the future even if the mask hides all of the past', () => {
      const q = tensorOf([[1], [1]], dtype)
      const v = tensorOf([[3], [5]], dtype)
      // the first key is padding, so the first query sees nothing and the second only itself
      const mask = tensor([false, true])
      assert.deepEqual(values(q.attention(q, v, { causal: true, mask })), [0, 5])
      // and the first of three queries is before the first of two keys
      const three = tensorOf([[1], [1], [1]], dtype)
      assert.deepEqual(values(three.attention(q, v, { causal: true })), [0, 3, 4])
    })

    it('attention without keys is zeros', () => {
      const none = zeros([0, 2], { dtype })
      assert.deepEqual(values(zeros([1, 2], { dtype }).attention(none, none)), [0, 0])
    })

    it('norm and normalize at exactly 0 have the value 0 and finite derivatives', () => {
      const norm = derivatives(z => z.norm(), zeros([3], { dtype }))
      assert.deepEqual([norm.value, norm.first], [[0], [0, 0, 0]])
      allFinite(norm.second)
      const unit = derivatives(z => z.normalize(), zeros([3], { dtype }))
      assert.deepEqual(unit.value, [0, 0, 0])
      allFinite(unit.first, unit.second)
    })

    it('powers at 0', () => {
      const zero = zeros([1], { dtype })
      for (const [n, value, first, second] of [
        [0, 1, 0, 0],
        [1, 0, 1, 0],
        [2, 0, 0, 2],
        [3, 0, 0, 0],
      ]) {
        const byNumber = derivatives(z => z.pow(n), zero)
        assert.deepEqual([byNumber.value, byNumber.first, byNumber.second], [[value], [first], [second]])
        const byTensor = derivatives(z => z.pow(tensorOf([n], dtype)), zero)
        assert.deepEqual([byTensor.value, byTensor.first, byTensor.second], [[value], [first], [second]])
      }
      const exponent = derivatives(z => zero.pow(z), tensorOf([2, 0.5], dtype))
      assertCloseNumbers([...exponent.value, ...exponent.first, ...exponent.second], new Array(6).fill(0))
    })

    it('erf is exact for large and small inputs', () => {
      const { value, first } = derivatives(z => z.erf(), tensorOf([-1e4, -6, 6, 1e4], dtype))
      assertCloseNumbers(value, [-1, -1, 1, 1], 1e-15)
      allFinite(first)
      const tiny = values(tensorOf([1e-10, -1e-20], dtype).erf())
      assertCloseNumbers([tiny[0] / 1e-10, tiny[1] / -1e-20], [1.1283791670955126, 1.1283791670955126], 1e-6)
    })

    it('activations neither overflow nor become NaN at ±10⁴', () => {
      for (const f of [
        (z: Tensor) => z.gelu(),
        (z: Tensor) => z.gelu({ approximate: 'tanh' }),
        (z: Tensor) => z.silu(),
        (z: Tensor) => z.quickGelu(),
        (z: Tensor) => z.softplus(),
        (z: Tensor) => z.relu(),
      ]) {
        const { value, first, second } = derivatives(f, tensorOf([1e4, -1e4], dtype))
        assertCloseNumbers(value, [1e4, 0])
        assertCloseNumbers(first, [1, 0])
        assertCloseNumbers(second, [0, 0])
      }
      for (const f of [(z: Tensor) => z.sigmoid(), (z: Tensor) => z.tanh()]) {
        const { first, second } = derivatives(f, tensorOf([1e4, -1e4], dtype))
        assertCloseNumbers([...first, ...second], [0, 0, 0, 0])
      }
    })

    it('layerNorm of equal numbers is 0, with finite derivatives', () => {
      const { value, first, second } = derivatives(z => z.layerNorm(), tensorOf([[3, 3, 3]], dtype))
      assert.deepEqual(value, [0, 0, 0])
      allFinite(first, second)
    })
  })
}

it('expm1 and log1p are accurate where exp and log are not', () => {
  assertCloseNumbers(
    values(tensorOf([1e-12], 'float64').expm1()).map(y => y / 1e-12),
    [1],
    1e-11,
  )
  assertCloseNumbers(
    values(tensorOf([1e-12], 'float64').log1p()).map(y => y / 1e-12),
    [1],
    1e-11,
  )
})

it('functions of integers and booleans are float32, sums of booleans are counts', () => {
  const integers = tensor([1, 2, 3], { dtype: 'int32' })
  const f32 = (list: number[]) => [...Float32Array.from(list)]
  for (const [y, expected] of [
    [integers.exp(), [1, 2, 3].map(Math.exp)],
    [integers.softplus(), [1, 2, 3].map(n => Math.log1p(Math.exp(n)))],
    [integers.softmax(), [1, 2, 3].map(n => Math.exp(n) / (Math.E + Math.E ** 2 + Math.E ** 3))],
    [integers.logSumExp(), [Math.log(Math.E + Math.E ** 2 + Math.E ** 3)]],
    [integers.norm(), [Math.sqrt(14)]],
    [integers.mean(), [2]],
    [integers.div(2), [0.5, 1, 1.5]],
    [integers.mul(0.5), [0.5, 1, 1.5]],
    [integers.add(3e9), [3e9 + 1, 3e9 + 2, 3e9 + 3]],
    [integers.gelu().mul(0), [0, 0, 0]],
  ] as const) {
    assert.equal(y.dtype, 'float32')
    assertCloseNumbers(values(y), f32([...expected]), 1e-6)
  }
  const truths = tensor([true, false, true])
  const all = tensor([true, true, true])
  for (const [y, dtype, expected] of [
    [truths.add(truths), 'int32', [2, 0, 2]],
    [truths.sub(all), 'int32', [0, -1, 0]],
    [truths.cumsum(), 'int32', [1, 1, 2]],
    [truths.sum(), 'int32', [2]],
    [truths.mul(truths), 'bool', [1, 0, 1]],
    [truths.add(1), 'int32', [2, 1, 2]],
    [integers.neg(), 'int32', [-1, -2, -3]],
    [integers.add(2), 'int32', [3, 4, 5]],
  ] as const) {
    assert.equal(y.dtype, dtype)
    assert.deepEqual(values(y), [...expected])
  }
})

it('equal maxima or minima share the gradient', () => {
  const x = tensor([
    [3, 1, 3, 1],
    [2, 2, 2, 2],
  ])
  const weights = tensor([1, 10])
  const slope = (f: (x: Tensor) => Tensor) => values(grad((y: Tensor) => f(y).mul(weights).sum())(x))
  assert.deepEqual(
    slope(y => y.max({ axis: 1 })),
    [0.5, 0, 0.5, 0, 2.5, 2.5, 2.5, 2.5],
  )
  assert.deepEqual(
    slope(y => y.min({ axis: 1 })),
    [0, 0.5, 0, 0.5, 2.5, 2.5, 2.5, 2.5],
  )
})

for (const name of ['reference', 'cpu'] as const)
  it(`argmax is the first index of the result of max, NaN and infinities included (${name})`, () => {
    const numbers = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(NaN, Infinity, -Infinity, -0))
    const rows = fc
      .integer({ min: 1, max: 20 })
      .chain(n => fc.array(fc.array(numbers, { minLength: n, maxLength: n }), { minLength: 1, maxLength: 3 }))
    fc.assert(
      fc.property(rows, list => {
        device.with(name, () => {
          const x = tensor(list)
          const most = values(x.max({ axis: 1 }))
          const place = list.map((row, i) => row.findIndex(value => value === most[i] || Object.is(value, most[i])))
          assert.deepEqual(values(x.argmax({ axis: 1 })), place)
          assert.deepEqual(values(x.transpose().argmax({ axis: 0 })), place)
        })
      }),
      runs(200),
    )
  })
