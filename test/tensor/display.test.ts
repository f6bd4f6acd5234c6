// The representation of tensors in consoles and notebooks.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { inspect, stripVTControlCharacters } from 'node:util'
import '../../src/autograd/index.ts'
import { arange, device, jupyterDisplay, keep, scope, Tensor, tensor, zeros } from '../../src/tensor/index.ts'
import { tensor as tensors } from '../../src/testing/index.ts'
import { fc, runs } from '../support.ts'

const x = tensor([
  [1, 2],
  [3, 4],
])
const large = arange(10_000).div(4).reshape([100, 100])
const line = 'Tensor [2, 2] float32 on reference: [[1, 2], [3, 4]]'

describe('a console', () => {
  test('shows a tensor as toString does', () => {
    for (const y of [x, large, tensor(1), zeros([0])]) assert.equal(inspect(y), String(y))
  })

  test('shows a nested tensor in one line', () => {
    assert.equal(
      inspect({ x, large, loss: tensor(2.5), list: [x, x] }),
      `{
  x: ${line},
  large: Tensor [100, 100] float32 on reference: [[0.00, ..., 24.75], ..., [2475.00, ..., 2499.75]],
  loss: Tensor [] float32 on reference: 2.5,
  list: [
    ${line},
    ${line}
  ]
}`,
    )
    assert.equal(inspect(new Map([['x', x]])), `Map(1) { 'x' => ${line} }`)
  })

  test('shows as many values in that line as fit', () => {
    const title = 'Tensor [1000] float32 on reference'
    const of = (y: Tensor) => inspect([y], { breakLength: Number.POSITIVE_INFINITY }).slice(2 + title.length, -2)
    assert.equal(of(arange(1000).add(0.5)), ': [0.5, 1.5, 2.5, ..., 997.5, 998.5, 999.5]')
    assert.equal(of(arange(1000).mul(-1e5).add(0.25)), ': [0.25, -99999.75, ..., -99800000.00, -99900000.00]')
    assert.equal(inspect([zeros([9, 9, 9, 9, 9])]), '[ Tensor [9, 9, 9, 9, 9] float32 on reference ]')
  })

  test('indents the values of a tensor if all levels are expanded', () => {
    assert.equal(
      inspect({ a: { x } }, { depth: null }),
      `{
  a: {
    x: Tensor [2, 2] float32 on reference:
      [[1, 2],
       [3, 4]]
  }
}`,
    )
  })

  test('shows only the class below the expanded levels', () => {
    assert.equal(inspect([x], { depth: 0 }), '[ [Tensor] ]')
    assert.equal(inspect([x], { depth: 0, colors: true }), '[ \x1b[36m[Tensor]\x1b[39m ]')
  })

  test('colours the values and nothing else', () => {
    fc.assert(
      fc.property(fc.oneof(tensors(), tensors({ dtype: 'bool' })), y => {
        for (const shown of [y, [y]])
          assert.equal(stripVTControlCharacters(inspect(shown, { colors: true })), inspect(shown))
      }),
      runs(50),
    )
    assert.equal(
      inspect(tensor([1, Number.NaN]), { colors: true }),
      'Tensor [2] float32 on reference: [  \x1b[33m1\x1b[39m, \x1b[33mNaN\x1b[39m]',
    )
    assert.match(inspect(arange(2000), { colors: true }), / \.\.\., /)
  })

  test('shows a freed tensor as freed', () => {
    let lost = x
    scope(() => {
      lost = zeros([2])
    })
    assert.equal(inspect([lost]), '[ Tensor [2] float32 on reference, freed ]')
    assert.equal(inspect(lost), String(lost))
  })

  test('shows objects with the prototype of a tensor without an error', () => {
    assert.doesNotThrow(() => inspect(Tensor.prototype))
    for (const odd of [new Proxy(x, {}), Object.create(x)]) assert.match(inspect(odd), /^\[Tensor: .*#storage.*\]$/)
  })
})

describe('a notebook', () => {
  const html = async (y: Tensor) => (await y[jupyterDisplay]())['text/html'].replace(/<style>.*<\/style>\n/s, '')
  /** The rows of a table, cells apart by a space. */
  const rows = async (y: Tensor) =>
    (await html(y))
      .split('<tr>')
      .slice(1)
      .map(row =>
        row
          .replaceAll(/<[^>]+>/g, ' ')
          .replaceAll(/\s+/g, ' ')
          .trim(),
      )

  test('shows the text if it cannot show HTML', async () => {
    const bundle = await large[jupyterDisplay]()
    assert.deepEqual(Object.keys(bundle), ['text/plain', 'text/html'])
    assert.equal(bundle['text/plain'], String(large))
  })

  test('shows a matrix as a table with a caption', async () => {
    assert.equal(
      await html(x),
      '<figure class="cocagrad"><figcaption>Tensor [2, 2] float32 on reference</figcaption><table>' +
        '<thead><tr><td></td><th>0</th><th>1</th></tr></thead>' +
        '<tbody><tr><th>0</th><td>1</td><td>2</td></tr><tr><th>1</th><td>3</td><td>4</td></tr></tbody></table></figure>',
    )
  })

  test('shows the corners of a large matrix with their indices', async () => {
    assert.deepEqual(await rows(large), [
      '0 1 2 … 97 98 99',
      '0 0.00 0.25 0.50 … 24.25 24.50 24.75',
      '1 25.00 25.25 25.50 … 49.25 49.50 49.75',
      '2 50.00 50.25 50.50 … 74.25 74.50 74.75',
      '… … … … … … … …',
      '97 2425.00 2425.25 2425.50 … 2449.25 2449.50 2449.75',
      '98 2450.00 2450.25 2450.50 … 2474.25 2474.50 2474.75',
      '99 2475.00 2475.25 2475.50 … 2499.25 2499.50 2499.75',
    ])
  })

  test('shows vectors, scalars and empty tensors', async () => {
    assert.deepEqual(await rows(tensor([true, false])), ['0 1', 'true false'])
    assert.deepEqual(await rows(tensor(1.5)), ['1.5'])
    assert.deepEqual(await rows(zeros([0, 3])), [])
  })

  test('shows a tensor with more axes as a list of matrices', async () => {
    assert.deepEqual(await rows(arange(8).reshape([2, 2, 2])), [
      '0 1',
      '[0, :, :]',
      '0 0 1',
      '1 2 3',
      '[1, :, :]',
      '0 4 5',
      '1 6 7',
    ])
    const parts = (await rows(zeros([9, 2, 9, 9]))).filter(row => /^(\[.*|…)$/.test(row))
    const [first, last] = [
      [0, 1, 2],
      [6, 7, 8],
    ].map(list => list.flatMap(i => [`[${i}, 0, :, :]`, `[${i}, 1, :, :]`]))
    assert.deepEqual(parts, [...first, '…', ...last])
  })

  test('waits for the values of gpu', async () => {
    await device.open('gpu', { backend: 'cpu' })
    const there = keep(device.with('gpu', () => tensor([7, 8])))
    assert.deepEqual(await rows(there), ['0 1', '7 8'])
  })

  test('shows why a tensor has no values', async () => {
    let lost = x
    scope(() => {
      lost = zeros([2])
    }, 'a < b')
    assert.match(await html(lost), /^<pre>Tensor \[2\] float32 on reference, freed:\n.* when a &lt; b ended/)
  })
})
