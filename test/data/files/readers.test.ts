// Readers of datasets that others publish: idx, CIFAR, NumPy's archives, tables, and folders of classes.

import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import '../../reference.ts'
import {
  DataLoader,
  encodePng,
  openClassFolders,
  readCifar,
  readCsv,
  readIdx,
  readNpz,
} from '../../../src/entries/data.ts'
import { npyHead } from '../../../src/io/index.ts'
import { archive } from '../../io/zip.ts'
import { temporaryFolder } from '../folder.ts'

const refused = (message: RegExp) => ({ name: 'DataError', message })

describe('idx', () => {
  const images = Uint8Array.of(0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 1, 1, 2, 3, 255)

  it('is read from bytes, files and gzip', async t => {
    const folder = await temporaryFolder(t)
    const [plain, zipped] = ['a-idx3-ubyte', 'a-idx3-ubyte.gz'].map(name => join(folder, name))
    await writeFile(plain, images)
    await writeFile(zipped, gzipSync(images))
    for (const source of [images, plain, zipped, gzipSync(images)])
      assert.deepEqual(await readIdx(source), { data: Uint8Array.of(1, 2, 3, 255), shape: [2, 2, 1] })
  })

  it('has all types of numbers, big-endian', async () => {
    const of = (type: number, bytes: readonly number[]) => readIdx(Uint8Array.of(0, 0, type, 1, 0, 0, 0, 1, ...bytes))
    assert.deepEqual((await of(9, [255])).data, Int8Array.of(-1))
    assert.deepEqual((await of(11, [1, 0])).data, Int16Array.of(256))
    assert.deepEqual((await of(12, [0, 1, 0, 0])).data, Int32Array.of(65536))
    assert.deepEqual((await of(13, [0x3f, 0xc0, 0, 0])).data, Float32Array.of(1.5))
    assert.deepEqual((await of(14, [0x3f, 0xf8, 0, 0, 0, 0, 0, 0])).data, Float64Array.of(1.5))
  })

  it('is refused if it is something else, truncated, or larger than its header says', async t => {
    const path = join(await temporaryFolder(t), 'bad')
    await writeFile(path, images.subarray(0, 19))
    await assert.rejects(readIdx(path), refused(/bad: has 19 bytes, but its header says 20/))
    await assert.rejects(readIdx(Uint8Array.of(1, 2, 3, 4)), refused(/is not an idx file/))
    await assert.rejects(readIdx(Uint8Array.of(0, 0, 8, 3, 0)), refused(/a header of 3 axes has 16/))
    const huge = Uint8Array.of(0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255)
    await assert.rejects(readIdx(huge), refused(/at most 2 GiB/))
    await assert.rejects(
      readIdx(gzipSync(Buffer.concat([images, Buffer.alloc(1e6)]))),
      refused(/more bytes than its header/),
    )
    await assert.rejects(
      readIdx(gzipSync(images).subarray(0, 30)),
      refused(/cannot be decompressed|is not an idx|but its header/),
    )
  })
})

describe('CIFAR', () => {
  const record = (...labels: number[]) => Buffer.concat([Buffer.from(labels), Buffer.alloc(3072, labels.at(-1))])

  it('has images and labels of several files', async () => {
    const { images, labels } = await readCifar([Buffer.concat([record(3), record(9)]), record(0)])
    assert.deepEqual(images.shape, [3, 3, 32, 32])
    assert.deepEqual(labels, Int32Array.of(3, 9, 0))
    assert.deepEqual([images.data[3071], images.data[3072], images.data[3 * 3072 - 1]], [3, 9, 0])
    assert.deepEqual((await readCifar(record(1, 99), { classes: 100 })).labels, Int32Array.of(99))
  })

  it('is refused for another length or a label that is no class', async () => {
    await assert.rejects(readCifar(record(1).subarray(1)), refused(/3072 bytes.*records of 3073/))
    await assert.rejects(readCifar(record(1, 99)), refused(/write classes: 100/))
    await assert.rejects(
      readCifar([record(1), Buffer.concat([record(2), record(10)])]),
      refused(/label 10 in record 1/),
    )
  })
})

describe('npz', () => {
  it('of NumPy is read, stored and compressed', async () => {
    const file = join(import.meta.dirname, 'numpy.npz')
    for (const source of [file, await readFile(file)])
      assert.deepEqual(await readNpz(source), {
        x: { data: Float64Array.of(0, 1, 2, 3, 4, 5), shape: [2, 3] },
        y: { data: Int32Array.of(3, -1), shape: [2] },
        m: { data: Uint8Array.of(1, 0), shape: [2], dtype: 'bool' },
        b: { data: Float32Array.of(1.5, 2), shape: [2] },
      })
    assert.deepEqual(await readNpz(join(import.meta.dirname, 'stored.npz')), {
      x: { data: Uint16Array.of(7), shape: [1] },
    })
  })

  it('gives the columns of a loader', async () => {
    const loader = new DataLoader(await readNpz(join(import.meta.dirname, 'numpy.npz')), { batchSize: 2 })
    for await (const { x, y, m, b } of loader)
      assert.deepEqual(
        [x, y, m, b].map(each => [each.dtype, each.shape]),
        [
          ['float64', [2, 3]],
          ['int32', [2]],
          ['bool', [2]],
          ['float32', [2]],
        ],
      )
  })

  it('is refused with the name of the array', async () => {
    const head = (words: string) =>
      Buffer.concat([Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, words.length, 0]), Buffer.from(words)])
    const of = (npy: Uint8Array) => readNpz(archive({ 'a.npy': npy }))
    const form = (descr: string, shape = '(1,)', order = 'False') =>
      head(`{'descr': '${descr}', 'fortran_order': ${order}, 'shape': ${shape}, }`)
    await assert.rejects(of(form('<f2')), refused(/array 'a' has elements of f2/))
    await assert.rejects(of(form('|O8')), refused(/array 'a' has a header of another form/))
    await assert.rejects(of(form('<f4', '(2, 2)', 'True')), refused(/Fortran order.*ascontiguousarray/))
    await assert.rejects(of(form('<f4', '(99999999999, 99)')), refused(/takes .* bytes, but there are 0/))
    await assert.rejects(of(Buffer.concat([form('<i8'), Buffer.alloc(8, 0x7f)])), refused(/which int32 does not have/))
    await assert.rejects(readNpz(archive({ 'a.txt': npyHead([0, 1]) })), refused(/'a.txt', which is no .npy/))
    await assert.rejects(readNpz(Buffer.from('no zip')), refused(/no directory/))
    const damaged = await readFile(join(import.meta.dirname, 'numpy.npz'))
    damaged[80] ^= 0xff
    await assert.rejects(readNpz(damaged), refused(/'x.npy'/))
    // a directory that claims more bytes than compression can give
    const bomb = await readFile(join(import.meta.dirname, 'numpy.npz'))
    bomb.writeUInt32LE(1e9, bomb.lastIndexOf(Buffer.from('b.npy')) - 46 + 24)
    await assert.rejects(readNpz(bomb), refused(/which no compression reaches/))
  })
})

describe('a table', () => {
  const csv = (text: string) => Buffer.from(text)

  it('has numbers and texts by column', async () => {
    const table = csv('\ufeffa, b ,c\r\n1,x,3\r\n-2.5e1,"y, ""z""\n",4\r\n\r\n')
    assert.deepEqual(await readCsv(table), [
      { a: 1, b: 'x', c: 3 },
      { a: -25, b: 'y, "z"\n', c: 4 },
    ])
    const rows = await readCsv(table, { columns: { c: 'integer', a: 'text' } })
    const first: { c: number; a: string } = rows[0]
    assert.deepEqual(first, { a: '1', c: 3 })
    assert.deepEqual(await readCsv(csv('1;2\n'), { header: ['p', 'q'], delimiter: ';' }), [{ p: 1, q: 2 }])
  })

  it('reads what it wrote', () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.string()), { minLength: 1 }),
        async given => {
          const quotedText = (value: string) => `"${value.replaceAll('"', '""')}"`
          const table = csv(`n,t\n${given.map(([n, t]) => `${n},${quotedText(t)}\n`).join('')}`)
          const rows = await readCsv(table, { columns: { n: 'number', t: 'text' } })
          assert.deepEqual(
            rows,
            given.map(([n, t]) => ({ n: n === 0 ? Number(String(n)) : n, t })),
          )
        },
      ),
    ))

  it('has missing values', async () => {
    const table = csv('a,b\n1,x\nNA,NA\n,\n')
    const missing = ['', 'NA']
    const rows = [
      { a: 1, b: 'x' },
      { a: Number.NaN, b: '' },
      { a: Number.NaN, b: '' },
    ]
    assert.deepEqual(await readCsv(table, { missing }), rows)
    assert.deepEqual((await readCsv(table))[1], { a: 'NA', b: 'NA' })
    await assert.rejects(
      readCsv(table, { missing, columns: { a: 'integer' } }),
      refused(/:3: column 'a' is 'NA', not a whole/),
    )
  })

  it('is refused with file, line and column', async t => {
    const path = join(await temporaryFolder(t), 'a.csv')
    await writeFile(path, 'a,b\n1,2\n"x\ny",2\n3,4\n')
    await assert.rejects(
      readCsv(path, { columns: { a: 'number' } }),
      refused(/a\.csv:4: column 'a' is 'x\\ny', not a number/),
    )
    await assert.rejects(
      readCsv(path, { columns: { c: 'number' } }),
      refused(/a\.csv:1: the header has no column 'c'.*a, b/),
    )
    await assert.rejects(readCsv(csv('a,b\n1,2\n3\n')), refused(/:3: has 1 values, but there are 2 columns/))
    await assert.rejects(readCsv(csv('a,a\n1,2\n')), refused(/:1: the header names 'a' twice/))
    await assert.rejects(readCsv(csv('a\n"1\n')), refused(/Quote/))
    await assert.rejects(readCsv(csv('a,b\n')), refused(/has no row/))
    await assert.rejects(readCsv(csv('')), refused(/has no row/))
    await assert.rejects(readCsv(Uint8Array.of(0xff)), refused(/not UTF-8/))
    // @ts-expect-error a type that there is not
    await assert.rejects(readCsv(path, { columns: { a: 'float' } }), { name: 'OptionsError' })
  })
})

describe('a folder for each class', () => {
  it('gives images and the numbers of their classes', async t => {
    const folder = await temporaryFolder(t)
    for (const [i, name] of ['dog', 'cat'].entries()) {
      await mkdir(join(folder, name))
      await writeFile(join(folder, name, 'a.png'), encodePng(new Uint8Array(48).fill(255 * i), 4, 4))
    }
    const images = await openClassFolders(folder, { imageSize: 4 })
    assert.deepEqual(images.classes, ['cat', 'dog'])
    assert.equal(images.name(1), 'dog/a.png')
    for await (const { image, label } of new DataLoader(images, { batchSize: 2 })) {
      assert.deepEqual(image.shape, [2, 3, 4, 4])
      assert.deepEqual([label.dtype, ...label.dataSync()], ['int32', 0, 1])
      assert.deepEqual([image.dataSync()[0], image.dataSync()[48]], [1, 0])
    }
  })
})
