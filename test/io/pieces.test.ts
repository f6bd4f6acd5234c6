// Tensors of a file that are read in pieces.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  NonFiniteWeightsError,
  openSafetensors,
  openTensors,
  WeightFile,
  writeSafetensors,
} from '../../src/io/index.ts'
import { temporaryFolder } from '../data/folder.ts'

/** More than two pieces of 4 MiB. */
const MANY = 2 ** 21 + 6

const numbers = (pieces: Iterable<ArrayLike<number | bigint>>): (number | bigint)[] =>
  [...pieces].flatMap(piece => Array.from(piece))

test('the pieces of a tensor are its values, of every dtype, and those of its rows a part of them', async t => {
  const file = join(await temporaryFolder(t), 'all.safetensors')
  const values = [0, 1, 1, 0, 1, 1, 1, 0, 0, 1, 0, 1]
  const kinds = {
    F64: Float64Array,
    F32: Float32Array,
    I32: Int32Array,
    I16: Int16Array,
    I8: Int8Array,
    U8: Uint8Array,
    BOOL: Uint8Array,
  }
  const tensors = new Map(
    Object.entries(kinds).map(([dtype, kind]) => [
      dtype,
      { dtype: dtype as 'F32', shape: [4, 3], data: kind.from(values) as Float32Array },
    ]),
  )
  await writeSafetensors(file, tensors)
  const opened = await openTensors(file)
  for (const name of opened.names) {
    assert.deepEqual(numbers(opened.pieces(name)), values, name)
    assert.deepEqual(numbers(opened.pieces(name, { first: 1, count: 2 })), values.slice(3, 9), name)
    assert.throws(() => numbers(opened.pieces(name, { first: 3, count: 2 })), /has no rows 3 to 5/)
  }
})

test('half precisions are widened', async t => {
  const file = join(await temporaryFolder(t), 'half.safetensors')
  const header = JSON.stringify({
    b: { dtype: 'BF16', shape: [2], data_offsets: [0, 4] },
    h: { dtype: 'F16', shape: [2], data_offsets: [4, 8] },
  })
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  const data = Buffer.from(Uint16Array.of(0x3f80, 0xc000, 0x3c00, 0xc000).buffer)
  await writeFile(file, Buffer.concat([length, Buffer.from(header), data]))
  const opened = await openSafetensors(file)
  assert.deepEqual(numbers(opened.pieces('b')), [1, -2])
  assert.deepEqual(numbers(opened.pieces('h')), [1, -2])
})

test('a large tensor comes in pieces, and the place of a value that is not finite is that in the tensor', async t => {
  const file = join(await temporaryFolder(t), 'large.safetensors')
  const data = Float64Array.from({ length: MANY }, (_, i) => i)
  await writeSafetensors(file, new Map([['x', { dtype: 'F64', shape: [MANY], data }]]))
  const opened = await openSafetensors(file)
  let at = 0
  for (const piece of opened.pieces('x'))
    for (const value of piece) if (value !== at++) assert.fail(`${value} at ${at}`)
  assert.equal(at, MANY)
  // infinite in float32 only
  data[MANY - 2] = 1e300
  await writeSafetensors(file, new Map([['x', { dtype: 'F64', shape: [MANY], data }]]))
  const again = await openSafetensors(file)
  new WeightFile(again, ['x'], { advice: 'Write it again' }).check()
  const weights = new WeightFile(again, ['x'], { advice: 'Write it again', single: true })
  for (const read of [() => weights.check(), () => numbers(weights.pieces('x'))])
    assert.throws(read, (error: unknown) => {
      assert.ok(error instanceof NonFiniteWeightsError)
      assert.deepEqual(error.tensors, [{ name: 'x', shape: [MANY], value: Infinity, index: MANY - 2 }])
      assert.match(error.message, /Write it again/)
      return true
    })
})
