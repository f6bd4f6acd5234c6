// Printed tensors: the text equals NumPy's for the same array, shows the right values, and only printed elements are read.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import '../../src/autograd/index.ts'
import {
  arange,
  type Device,
  device,
  full,
  keep,
  type PrintOptions,
  Storage,
  scope,
  Tensor,
  tensor,
  zeros,
} from '../../src/tensor/index.ts'
import { shape, tensor as tensors } from '../../src/testing/index.ts'
import { fc, runs } from '../support.ts'

const f64 = { dtype: 'float64' } as const

/** The values in a printed tensor, without the title and its indentation. */
function body(x: Tensor, options?: PrintOptions): string {
  const text = x.toString(options)
  const [title] = text.split(/:\s/)
  return text.slice(title.length + 2).replaceAll(/^ {2}/gm, '')
}

/** The printed numbers, in order. */
const numbers = (text: string): number[] => (text.match(/-?\d[\d.]*(e[+-]\d+)?|NaN|-?Infinity/g) ?? []).map(Number)

/** Any shape and values of any magnitude, some of them not finite. */
const anything = fc
  .tuple(
    shape({ maxRank: 4, maxSize: 5 }),
    fc.constantFrom('float64' as const, 'float32' as const),
    fc.array(
      fc.oneof(
        fc.double({ min: -10, max: 10 }),
        fc.integer({ min: -1000, max: 1000 }).map(n => n / 8),
        fc.double({ min: -1e300, max: 1e300 }),
        fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0),
      ),
      { minLength: 1, maxLength: 20 },
    ),
  )
  .map(([sizes, dtype, pool]) => {
    const size = sizes.reduce((a, b) => a * b, 1)
    const data = Float64Array.from({ length: size }, (_, i) => pool[i % pool.length])
    return tensor(data, { shape: sizes, dtype })
  })

describe('a tensor prints its values as NumPy does', () => {
  // the texts are np.array2string(x, precision=4, separator=', ', floatmode='maxprec_equal'), with the exponents and the
  // infinities of JavaScript
  const cases: [what: string, x: Tensor, text: string][] = [
    [
      'aligned in columns, with a common number of decimals',
      tensor([
        [0.5, 1, -2],
        [0.25, 10, 3],
      ]),
      '[[ 0.50,  1.00, -2.00],\n [ 0.25, 10.00,  3.00]]',
    ],
    ['with four decimals at most', tensor(1 / 3, f64), '0.3333'],
    ['with no more decimals than a float32 has', tensor([123456.789, 50000.5]), '[123456.79,  50000.50]'],
    ['0.1 in float32 as 0.1', tensor([0.1, 0.25, 3]), '[0.10, 0.25, 3.00]'],
    ['whole numbers without decimals', tensor([1, -20, 300]), '[  1, -20, 300]'],
    ['small numbers with an exponent', tensor([1e-5, 0.5, -20], f64), '[ 1e-5,  5e-1, -2e+1]'],
    ['with exponents where magnitudes differ widely', tensor([1 / 700, 1.5], f64), '[1.4286e-3, 1.5000e+0]'],
    ['large numbers with an exponent', tensor([1e8, 2.5], f64), '[1.0e+8, 2.5e+0]'],
    ['exponents in one length', tensor([1e10, 1e-9, 0], f64), '[1e+10, 1e-09, 0e+00]'],
    ['the sign of zero', tensor([-0, 0.5]), '[-0.0,  0.5]'],
    [
      'what is not finite, aligned with the rest',
      tensor([
        [0.5, Number.NaN],
        [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
      ]),
      '[[      0.5,       NaN],\n [-Infinity,  Infinity]]',
    ],
    ['truth', tensor([true, false]), '[ true, false]'],
    [
      'of three axes with a blank line between matrices',
      arange(24).mul(0.5).reshape([2, 3, 4]),
      `[[[ 0.0,  0.5,  1.0,  1.5],
  [ 2.0,  2.5,  3.0,  3.5],
  [ 4.0,  4.5,  5.0,  5.5]],

 [[ 6.0,  6.5,  7.0,  7.5],
  [ 8.0,  8.5,  9.0,  9.5],
  [10.0, 10.5, 11.0, 11.5]]]`,
    ],
    [
      'of four axes with two',
      arange(16).reshape([2, 2, 2, 2]),
      `[[[[ 0,  1],
   [ 2,  3]],

  [[ 4,  5],
   [ 6,  7]]],


 [[[ 8,  9],
   [10, 11]],

  [[12, 13],
   [14, 15]]]]`,
    ],
    [
      'with a long row on several lines',
      arange(30),
      `[ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17, 18,
 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29]`,
    ],
    ['the ends of a long row', arange(1001).mul(0.5), '[  0.0,   0.5,   1.0, ..., 499.0, 499.5, 500.0]'],
    [
      'the corners of a large matrix',
      arange(3600).mul(-0.25).add(400.5).reshape([60, 60]),
      `[[ 400.50,  400.25,  400.00, ...,  386.25,  386.00,  385.75],
 [ 385.50,  385.25,  385.00, ...,  371.25,  371.00,  370.75],
 [ 370.50,  370.25,  370.00, ...,  356.25,  356.00,  355.75],
 ...,
 [-454.50, -454.75, -455.00, ..., -468.75, -469.00, -469.25],
 [-469.50, -469.75, -470.00, ..., -483.75, -484.00, -484.25],
 [-484.50, -484.75, -485.00, ..., -498.75, -499.00, -499.25]]`,
    ],
    [
      'short axes of a large tensor whole',
      arange(1200).reshape([12, 2, 50]),
      `[[[   0,    1,    2, ...,   47,   48,   49],
  [  50,   51,   52, ...,   97,   98,   99]],

 [[ 100,  101,  102, ...,  147,  148,  149],
  [ 150,  151,  152, ...,  197,  198,  199]],

 [[ 200,  201,  202, ...,  247,  248,  249],
  [ 250,  251,  252, ...,  297,  298,  299]],

 ...,

 [[ 900,  901,  902, ...,  947,  948,  949],
  [ 950,  951,  952, ...,  997,  998,  999]],

 [[1000, 1001, 1002, ..., 1047, 1048, 1049],
  [1050, 1051, 1052, ..., 1097, 1098, 1099]],

 [[1100, 1101, 1102, ..., 1147, 1148, 1149],
  [1150, 1151, 1152, ..., 1197, 1198, 1199]]]`,
    ],
    ['of no elements', zeros([3, 0, 2]), '[]'],
  ]
  for (const [what, x, text] of cases) test(what, () => assert.equal(body(x), text))

  // NumPy writes 1.e+00 and 2.e+03: there whole numbers are integers, and here they are float32 by default
  test('except that numbers below 1e8 have no exponent if the decimals are exact', () => {
    assert.equal(body(tensor([1, 2000, 99_999_992])), '[       1,     2000, 99999992]')
    assert.equal(body(tensor([0.001, 250])), '[  0.001, 250.000]')
  })
})

describe('a printed tensor', () => {
  test('states shape, dtype and device, on the line of a single row and above several rows', () => {
    assert.equal(String(tensor([1, 2])), 'Tensor [2] float32 on reference: [1, 2]')
    assert.equal(`${tensor(1.5)}`, 'Tensor [] float32 on reference: 1.5')
    assert.equal(`${tensor([[1], [2]], f64)}`, 'Tensor [2, 1] float64 on reference:\n  [[1],\n   [2]]')
    assert.equal(String(zeros([0, 3], { dtype: 'int32' })), 'Tensor [0, 3] int32 on reference: []')
  })

  test('has rows of equal length', () => {
    fc.assert(
      fc.property(anything, x => {
        const lines = body(x, { lineWidth: Number.POSITIVE_INFINITY }).split('\n')
        const lengths = lines.filter(line => line !== '').map(line => line.replace(/[\],]+$/, '').length)
        assert.deepEqual([...new Set(lengths)].length <= 1, true, lines.join('\n'))
      }),
      runs(300),
    )
  })

  test('can be read back to its values, to the given decimals', () => {
    fc.assert(
      fc.property(anything, fc.integer({ min: 1, max: 12 }), (x, precision) => {
        const text = body(x, { precision })
        const found = numbers(text)
        const data = [...x.dataSync()]
        assert.equal(found.length, data.length)
        const stored = x.dtype === 'float32' ? Math.fround : (value: number) => value
        for (const [i, value] of data.entries()) {
          const exponent = text.includes('e') && value !== 0 ? Math.floor(Math.log10(Math.abs(value))) : 0
          const isNear = Math.abs(found[i] - value) <= 0.501 * 10 ** (exponent - precision)
          assert.ok(Object.is(stored(found[i]), value) || isNear, `${value} is printed as ${found[i]}`)
        }
      }),
      runs(300),
    )
  })

  test('has no line longer than the given width, if a number fits', () => {
    fc.assert(
      fc.property(anything, fc.integer({ min: 40, max: 100 }), (x, lineWidth) => {
        const text = x.toString({ lineWidth })
        for (const line of text.split('\n').slice(1)) assert.ok(line.length <= lineWidth, text)
      }),
      runs(300),
    )
  })

  test('contains the elements at the ends of every long axis, with any strides', () => {
    fc.assert(
      fc.property(
        tensors({ shape: shape({ maxRank: 4, maxSize: 7 }), domain: [-500, 500] }),
        fc.integer({ min: 1, max: 3 }),
        (x, edgeItems) => {
          const found = numbers(body(x, { threshold: 0, edgeItems, precision: 12 }))
          const isPrinted = (place: number, n: number) =>
            n <= 2 * edgeItems || place < edgeItems || place >= n - edgeItems
          const expected = [...x.dataSync()].filter((_, i) => {
            let rest = i
            return x.shape
              .toReversed()
              .map(n => {
                const place = rest % n
                rest = Math.floor(rest / n)
                return isPrinted(place, n)
              })
              .every(Boolean)
          })
          assert.deepEqual(found, expected)
        },
      ),
      runs(200),
    )
  })

  test('takes options for one call', () => {
    const x = arange(12).div(7)
    assert.equal(body(x, { precision: 1, threshold: 5, edgeItems: 2 }), '[0.0, 0.1, ..., 1.4, 1.6]')
    assert.equal(body(tensor([1, 2, 3, 4]), { lineWidth: 10 }), '[1, 2,\n 3, 4]')
    assert.equal(numbers(body(arange(2000), { threshold: Number.POSITIVE_INFINITY })).length, 2000)
    assert.equal(body(x, { precision: undefined }), body(x))
  })

  for (const options of [
    { precision: -1 },
    { precision: 1.5 },
    { precision: 21 },
    { threshold: Number.NaN },
    { edgeItems: 0 },
    { lineWidth: 0 },
  ])
    test(`throws for ${JSON.stringify(options)}`, () => {
      const [[name, value]] = Object.entries(options)
      const message = new RegExp(`^print: ${name} is ${value}; it must be `)
      assert.throws(() => tensor(1).toString(options), { name: 'RangeError', message })
    })
})

/** A device that counts its reads. */
function counting(read = (size: number) => new Float32Array(size)): { device: Device; sizes: number[] } {
  const sizes: number[] = []
  const { kernels, description } = device.get('reference')
  const readSync: Device['readSync'] = ({ shape }) => {
    const size = shape.reduce((a, b) => a * b, 1)
    sizes.push(size)
    return read(size)
  }
  const on: Device = {
    name: 'reference',
    description,
    dtypes: ['float32'],
    kernels,
    upload: () => null,
    read: async view => readSync(view),
    readSync,
    free: () => {},
    memory: () => ({ bytes: 0, buffers: 0 }),
  }
  return { device: on, sizes }
}

describe('printing', () => {
  test('reads only the printed elements', async () => {
    const { device: on, sizes } = counting()
    const x = new Tensor(new Storage(on, 'float32', 4000 * 5000, null), [4000, 5000])
    x.toString()
    await x.text()
    x.toString({ edgeItems: 1 })
    assert.deepEqual(sizes, [36, 36, 4])
  })

  test('never throws: the text of a tensor that cannot be read states why', async () => {
    const { device: on } = counting(() => {
      throw new Error('the device is gone')
    })
    const x = new Tensor(new Storage(on, 'float32', 2, null), [2])
    assert.equal(String(x), 'Tensor [2] float32 on reference: the device is gone')
    assert.equal(await x.text(), String(x))
  })

  test('shows a freed tensor as freed', async () => {
    const lost: Tensor[] = []
    scope(() => void lost.push(zeros([2]), zeros([2, 2]).transpose(), zeros([0])), 'the forward pass')
    for (const x of lost) {
      assert.match(String(x), /^Tensor \[.*\] float32 on reference, freed:\n {2}this tensor's memory was freed/)
      assert.match(String(x), /when the forward pass ended/)
      assert.equal(await x.text(), String(x))
    }
  })

  for (const name of ['reference', 'cpu'] as const)
    test(`keeps no memory on ${name}, in any scope`, async () => {
      const x = keep(device.with(name, () => full([50, 3, 50, 2, 3], 1.5).permute([4, 0, 3, 1, 2])))
      const used = () => device.get(name).memory()
      const before = used()
      await scope(async () => {
        const text = String(x)
        assert.equal(await x.text(), text)
        assert.match(text, /^Tensor \[3, 50, 2, 3, 50\] float32 on (reference|cpu):\n {2}\[\[\[\[\[1\.5, 1\.5/)
        assert.deepEqual(used(), before)
      })
      assert.deepEqual(used(), before)
    })
})

test('on gpu, where reading is asynchronous, a printed tensor says how to read it, and text awaits the values', async () => {
  await device.open('gpu', { backend: 'cpu' })
  const x = keep(device.with('gpu', () => arange(3000).reshape([50, 60])))
  const before = device.get('gpu').memory()
  assert.equal(String(x), 'Tensor [50, 60] int32 on gpu: await x.text() prints it, await x.array() reads it')
  const there = arange(3000).reshape([50, 60])
  assert.equal(await x.text(), String(there).replace('reference', 'gpu'))
  assert.equal(
    await x.transpose().text({ edgeItems: 1 }),
    there.transpose().toString({ edgeItems: 1 }).replace('reference', 'gpu'),
  )
  assert.deepEqual(device.get('gpu').memory(), before)
})
