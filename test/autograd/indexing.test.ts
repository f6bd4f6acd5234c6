// Indexing and shapes at their edges: types, dtypes, NaN and -0, places that are named several times, and x.T.

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { grad, meshgrid } from '../../src/autograd/index.ts'
import { arange, device, ones, type Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import { refuse } from '../loose.ts'
import { values } from '../support.ts'

const ids = (...numbers: number[]) => tensor(Int32Array.from(numbers))
const says = (x: Tensor) => [x.dtype, x.shape]

describe('x.at', () => {
  const x = arange(24).reshape([2, 3, 4])

  it('reads as NumPy does', () => {
    assert.deepEqual(x.at(1, -1).shape, [4])
    assert.deepEqual(values(x.at(1, -1)), [20, 21, 22, 23])
    assert.deepEqual(values(x.at(0, '1:', '::2')), [4, 6, 8, 10])
    assert.deepEqual(values(x.at('...', 0, '::-1').at(0)), [3, 2, 1, 0])
    assert.deepEqual(x.at(':', null, '...', null).shape, [2, 1, 3, 4, 1])
    assert.deepEqual(x.at().shape, [2, 3, 4])
    assert.deepEqual(values(x.at(ids(1, 0), ids(2, 1), ids(3, 0))), [23, 4])
    assert.deepEqual(values(x.at(0, ids(2, 0), 1)), [9, 1])
  })

  it('is a view where no tensor selects and no step skips', () => {
    assert.equal(x.at(1, '1:', null).storage, x.storage)
    assert.equal(x.at('::-1').storage, x.storage)
  })

  it('takes a range in notation only as Python writes it', () => {
    // @ts-expect-error a fraction is no position
    assert.throws(() => x.at('0.5:'), TypeError)
    // @ts-expect-error two axes are two arguments
    assert.throws(() => x.at('0,1'), TypeError)
    // @ts-expect-error a position is a number
    assert.throws(() => x.at('1'), TypeError)
    // @ts-expect-error an axis has no fourth part
    assert.throws(() => x.at('::1:'), TypeError)
    // @ts-expect-error positions are an int32 tensor
    assert.throws(() => x.at([0, 1]), TypeError)
  })

  it('of no positions is empty', () => {
    assert.deepEqual(says(x.at(ids())), ['int32', [0, 3, 4]])
    assert.deepEqual(x.at(ids(), ids()).shape, [0, 4])
    assert.deepEqual(zeros([0, 3]).at(':', ids(2)).shape, [0, 1])
  })

  it('keeps the dtype', () => {
    for (const dtype of ['int32', 'bool', 'float32', 'float64'] as const)
      assert.deepEqual(says(ones([2, 2], { dtype }).at(ids(1, 0), '1:')), [dtype, [2, 1]])
  })
})

describe('x.withAt', () => {
  const x = zeros([4])

  it('keeps the last of several values, and gives it the gradient', () => {
    const at = ids(2, 0, 2, 2, 0)
    const replaced = (v: Tensor) => x.withAt([at], v)
    const v = tensor([1, 2, 3, 4, 5])
    assert.deepEqual(values(replaced(v)), [5, 0, 4, 0])
    assert.deepEqual(values(grad((y: Tensor) => replaced(y).square().sum())(v)), [0, 0, 0, 8, 10])
    assert.deepEqual(values(grad((y: Tensor) => y.withAt([at], v).square().sum())(tensor([1, 1, 1, 1]))), [0, 2, 0, 2])
  })

  it('keeps the last of a thousand values', () => {
    const at = tensor(Int32Array.from({ length: 1000 }, (_, i) => (i * 7) % 4))
    const expected = [0, 0, 0, 0]
    for (let i = 0; i < 1000; i++) expected[(i * 7) % 4] = i
    assert.deepEqual(values(x.withAt([at], arange(1000).cast('float32'))), expected)
  })

  it('puts in NaN, infinities and -0 as they are', () => {
    const odd = tensor([Number.NaN, -0, -Infinity])
    assert.deepEqual(values(x.withAt(['1:'], odd)), [0, Number.NaN, -0, -Infinity])
  })

  it('has the dtype in which both meet', () => {
    const whole = zeros([2], { dtype: 'int32' })
    assert.deepEqual(says(whole.withAt([0], 3)), ['int32', [2]])
    assert.deepEqual(values(whole.withAt([0], 0.5)), [0.5, 0])
    const flags = zeros([3], { dtype: 'bool' })
    assert.deepEqual(says(flags.withAt(['1:'], tensor([true, true]))), ['bool', [3]])
    assert.deepEqual(says(whole.withAt([ids()], tensor([0.5]))), ['float32', [2]])
  })

  it('leaves x as it was', () => {
    const y = ones([2])
    y.withAt([0], 7)
    assert.deepEqual(values(y), [1, 1])
  })
})

describe('x.addAt', () => {
  it('counts', () => {
    assert.deepEqual(values(zeros([3], { dtype: 'int32' }).addAt([ids(1, 1, 0, 1)], 1)), [1, 3, 0])
    assert.deepEqual(says(zeros([3], { dtype: 'int32' }).addAt([ids(1)], 1)), ['int32', [3]])
  })
})

describe('what is left out', () => {
  const odd = tensor([
    [1, Number.NaN],
    [Infinity, 4],
  ])

  it('is 0 even if it is NaN or infinite', () => {
    assert.deepEqual(values(odd.tril({ diagonal: -1 })), [0, 0, Infinity, 0])
    assert.deepEqual(values(odd.triu({ diagonal: 1 })), [0, Number.NaN, 0, 0])
    assert.deepEqual(values(odd.diagonal()), [1, 4])
    assert.deepEqual(values(tensor([Infinity, 1]).diag()), [Infinity, 0, 0, 1])
    assert.deepEqual(
      values(
        odd.maskedFill(
          tensor([
            [true, false],
            [true, true],
          ]),
          0,
        ),
      ),
      [0, Number.NaN, 0, 0],
    )
  })

  it('has gradient 0', () => {
    const g = grad((x: Tensor) => x.tril().log().sum())(ones([2, 2]))
    assert.deepEqual(values(g), [1, 0, 1, 1])
  })
})

describe('places that float32 cannot number', () => {
  it('are refused on gpu', async () => {
    await device.open('gpu', { backend: 'cpu' })
    device.with('gpu', () => {
      const [row, square] = [zeros([1]).expand([2 ** 24 + 1]), zeros([1, 1]).expand([2 ** 13, 2 ** 13])]
      const refused = (f: () => unknown) =>
        assert.throws(f, { name: 'ShapeError', message: /are more than the whole numbers that gpu has/ })
      refused(() => row.withAt([0], 1))
      refused(() => row.addAt([0], 1))
      refused(() => square.at(ids(1), ids(1)))
      assert.deepEqual(square.at(ids(1), 0).shape, [1])
    })
  })
})

describe('a call of another library', () => {
  const x = zeros([2, 3])
  const loosely = x as unknown as Record<string, (...args: unknown[]) => unknown>
  refuse([
    ['x.flatten(1)', () => loosely.flatten(1), 'OptionsError', 'write x.flatten({ start: 1 })'],
    ['x.tril(1)', () => loosely.tril(1), 'OptionsError', 'write x.tril({ diagonal: 1 })'],
    ['x.roll(1, 0)', () => loosely.roll(1, 0), 'OptionsError', 'write x.roll(shift, { axis: 0 })'],
    ['x.chunk(2, 1)', () => loosely.chunk(2, 1), 'OptionsError', 'write x.chunk(count, { axis: 1 })'],
    ['x.unbind({ dim: 1 })', () => loosely.unbind({ dim: 1 }), 'OptionsError', 'write x.unbind({ axis: 1 })'],
    ['x.tile(2, 3)', () => loosely.tile(2, 3), 'ArgumentError', 'it is called as x.tile(reps)'],
    ['x.at([0, 1])', () => loosely.at([0, 1]), 'ArgumentError', "write tensor([0, 1], { dtype: 'int32' })"],
  ])
})

describe('dtypes of arranged tensors', () => {
  const shapes: Readonly<Record<string, (x: Tensor) => Tensor>> = {
    tile: x => x.tile(2),
    repeat: x => x.repeat([1, 2], { axis: 0 }),
    roll: x => x.roll(1),
    unbind: x => x.unbind()[0],
    chunk: x => x.chunk(2)[0],
    flatten: x => x.flatten(),
    unflatten: x => x.unflatten(0, [1, -1]),
    moveAxis: x => x.moveAxis(0, 1),
    tril: x => x.tril(),
    diag: x => x.diag().diag(),
    diagonal: x => x.diagonal(),
    meshgrid: x => meshgrid([x.flatten()])[0],
    T: x => x.T,
  }
  for (const [name, f] of Object.entries(shapes))
    it(`${name} keeps it`, () => {
      for (const dtype of ['int32', 'bool', 'float32', 'float64'] as const)
        assert.equal(f(ones([2, 2], { dtype })).dtype, dtype)
    })

  it('views are views', () => {
    const x = zeros([2, 3])
    for (const view of [
      x.T,
      x.flatten(),
      x.unbind({ axis: 1 })[2],
      x.chunk(2)[1],
      x.moveAxis(0, 1),
      x.unflatten(1, [3, 1]),
    ])
      assert.equal(view.storage, x.storage)
    assert.equal(meshgrid([x.at(0), x.at(1)])[0].storage, x.storage)
  })
})

describe('x.T', () => {
  it('is the transpose of a matrix, with its gradient', () => {
    const x = tensor([[1, 2, 3]])
    assert.deepEqual(x.T.shape, [3, 1])
    assert.deepEqual(values(grad((y: Tensor) => y.T.mul(tensor([[1], [2], [3]])).sum())(x)), [1, 2, 3])
  })

  refuse([
    [
      'T of a vector',
      () => zeros([3]).T,
      'ShapeError',
      'T: the transpose of a matrix, and [3] is none',
      'x.transpose()',
    ],
    ['T of a stack', () => zeros([2, 3, 4]).T, 'ShapeError', '[2, 3, 4] is none; write x.transpose() to exchange'],
  ])
})
