import assert from 'node:assert/strict'
import { readFile, rename, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { SafetensorsError } from '../../src/io/errors.ts'
import {
  encodeSafetensors,
  parseSafetensors,
  type SafetensorsContent,
  type SafetensorsTensor,
  toInt32,
} from '../../src/io/formats/safetensors.ts'
import { openSafetensors, readSafetensors, writeSafetensors } from '../../src/io/formats/safetensors-file.ts'
import { temporaryFolder } from '../data/folder.ts'
import { fc } from '../support.ts'

const golden = new URL('../golden/coca-m/batches.safetensors', import.meta.url).pathname

/** A file with this header, as an object or as text, and so many bytes of data. */
function fileWith(header: unknown, dataLength = 0, claimed?: bigint): Uint8Array {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(claimed ?? BigInt(json.length))
  return Buffer.concat([length, json, Buffer.alloc(dataLength, 1)])
}

const entry = (dtype: string, shape: unknown, begin: number, end: number) => ({
  dtype,
  shape,
  data_offsets: [begin, end],
})

const tensorArbitrary: fc.Arbitrary<SafetensorsTensor> = fc.oneof(
  fc.array(fc.double(), { maxLength: 9 }).map(a => ({ dtype: 'F64', shape: [a.length], data: Float64Array.from(a) })),
  fc.array(fc.float(), { maxLength: 9 }).map(a => ({ dtype: 'F32', shape: [1, a.length], data: Float32Array.from(a) })),
  fc.array(fc.integer(), { maxLength: 9 }).map(a => ({ dtype: 'I32', shape: [a.length], data: Int32Array.from(a) })),
  fc
    .array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { maxLength: 9 })
    .map(a => ({ dtype: 'I64', shape: [a.length, 1], data: BigInt64Array.from(a) })),
  fc.uint8Array({ maxLength: 9 }).map(data => ({ dtype: 'U8', shape: [data.length], data })),
  fc.boolean().map(b => ({ dtype: 'BOOL', shape: [], data: Uint8Array.of(Number(b)) })),
) as fc.Arbitrary<SafetensorsTensor>

const nameArbitrary = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.constantFrom('__proto__', 'constructor', '0', '"', '\\', '{', 'a:b'),
)

test('tensors of any names, shapes and values are read back bitwise', async t => {
  const path = join(await temporaryFolder(t), 'a.safetensors')
  const names = fc.uniqueArray(nameArbitrary, { maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(names, fc.array(tensorArbitrary, { minLength: 6, maxLength: 6 }), async (names, values) => {
      const tensors = new Map(names.map((name, i) => [name, values[i]]))
      await writeSafetensors(path, tensors, { made: 'here' })
      const read = await readSafetensors(path)
      assert.deepEqual(new Map([...read.tensors].sort()), new Map([...tensors].sort()))
      assert.deepEqual(read.metadata, new Map([['made', 'here']]))
    }),
    { numRuns: 60 },
  )
})

test('every tensor is aligned to its element size in the file', () => {
  const tensors = new Map<string, SafetensorsTensor>([
    ['bytes', { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 3) }],
    ['floats', { dtype: 'F32', shape: [3], data: Float32Array.of(1, 2, 3) }],
    ['doubles', { dtype: 'F64', shape: [1], data: Float64Array.of(1) }],
  ])
  const [head, ...pieces] = encodeSafetensors(tensors)
  assert.equal(head.length % 8, 0)
  assert.deepEqual(
    pieces.map(piece => piece.length),
    [8, 12, 3],
  )
})

test('a file written by PyTorch is read, and its int64 converts to int32', async () => {
  const file = await openSafetensors(golden)
  assert.deepEqual(file.names, ['images.0', 'text.0', 'images.1', 'text.1', 'images.2', 'text.2'])
  const images = await file.tensor('images.2')
  assert.deepEqual([images.dtype, images.shape, images.data.length], ['F32', [4, 3, 24, 24], 4 * 3 * 24 * 24])
  const text = await file.tensor('text.1')
  assert.ok(text.data instanceof BigInt64Array)
  const ids = toInt32(text, 'text.1')
  assert.equal(ids.length, 40)
  assert.ok(ids.every(id => id >= 0 && id < 100))
  await assert.rejects(file.tensor('text.3'), {
    name: 'SafetensorsError',
    reason: "has no tensor 'text.3'",
    file: golden,
  })
})

test('half precisions are widened to float32', () => {
  const words = (...values: number[]) => Buffer.from(Uint16Array.from(values).buffer)
  const header = { h: entry('F16', [6], 0, 12), b: entry('BF16', [3], 12, 18) }
  const half = words(0x3c00, 0xc000, 0x0001, 0x7bff, 0xfc00, 0x7e00)
  const bytes = Buffer.concat([fileWith(header), half, words(0x3f80, 0xc049, 0x7f80)])
  const { tensors } = parseSafetensors(bytes)
  assert.deepEqual([...tensors.get('h')!.data], [1, -2, 2 ** -24, 65504, -Infinity, NaN])
  assert.deepEqual([...tensors.get('b')!.data], [1, -3.140625, Infinity])
})

test('an int64 that does not fit in int32 throws', () => {
  const tensor = { dtype: 'I64', shape: [2], data: BigInt64Array.of(5n, 2n ** 31n) } as const
  assert.throws(() => toInt32(tensor, 'ids'), { reason: "tensor 'ids': 2147483648 is not a 32-bit integer" })
})

const malformed: Record<string, [Uint8Array, RegExp]> = {
  'an empty file': [new Uint8Array(0), /too short: 0 bytes/],
  'seven bytes': [new Uint8Array(7), /too short: 7 bytes/],
  'a header longer than the file': [fileWith('{}', 0, 3n), /claims a header of 3 bytes, but only 2 follow/],
  'a header length of 2^64 - 1': [fileWith('{}', 0, 2n ** 64n - 1n), /18446744073709551615 bytes; the format allows/],
  'an empty header': [fileWith(''), /header is not JSON/],
  'a header that is not JSON': [fileWith('{"a":'), /header is not JSON/],
  'a header that is not UTF-8': [Buffer.concat([fileWith('', 0, 2n), Buffer.of(0xc3, 0x28)]), /header is not JSON/],
  'a header that is a list': [fileWith([]), /header is not a JSON object/],
  'a name twice': [
    fileWith(
      '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061" : {"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
    ),
    /names 'a' twice/,
  ],
  'a field twice': [
    fileWith('{"a":{"dtype":"U8","dtype":"I8","shape":[0],"data_offsets":[0,0]}}'),
    /names 'dtype' twice/,
  ],
  'metadata that is not strings': [fileWith({ __metadata__: { epoch: 3 } }), /__metadata__ 'epoch' is not a string/],
  'metadata that is not an object': [fileWith({ __metadata__: 'x' }), /__metadata__ is not an object/],
  'an entry that is not an object': [fileWith({ w: 3 }), /tensor 'w': its entry is not an object/],
  'an unknown dtype': [fileWith({ w: entry('F31', [1], 0, 4) }, 4), /tensor 'w': dtype "F31" is not one of F64/],
  'a dtype of Object.prototype': [fileWith({ w: entry('toString', [1], 0, 4) }, 4), /dtype "toString" is not one of/],
  'a negative size': [fileWith({ w: entry('F32', [-1], 0, 4) }, 4), /its shape is not a list of sizes/],
  'a fractional size': [fileWith({ w: entry('F32', [0.5], 0, 2) }, 2), /its shape is not a list of sizes/],
  'one offset': [fileWith({ w: { dtype: 'F32', shape: [1], data_offsets: [0] } }, 4), /are not two offsets/],
  'a shape that does not match': [fileWith({ w: entry('F32', [2, 2], 0, 12) }, 12), /\[2,2\] of F32 takes 16 bytes/],
  'offsets backwards': [fileWith({ w: entry('U8', [1], 1, 0) }, 1), /hold -1/],
  'a shape that overflows': [fileWith({ w: entry('U8', [2 ** 40, 2 ** 40], 0, 4) }, 4), /tensor 'w'/],
  'a tensor beyond the end': [
    fileWith({ w: entry('F32', [2], 0, 8) }, 4),
    /takes bytes 0 to 8, but the data ends at 4/,
  ],
  'tensors that overlap': [
    fileWith({ a: entry('U8', [4], 0, 4), b: entry('U8', [4], 2, 6) }, 6),
    /tensor 'b' takes bytes 2 to 6, which overlaps the one that ends at 4/,
  ],
  'a hole between tensors': [
    fileWith({ a: entry('U8', [1], 0, 1), b: entry('U8', [1], 2, 3) }, 3),
    /bytes 1 to 2 are unused/,
  ],
  'bytes after the last tensor': [
    fileWith({ a: entry('U8', [1], 0, 1) }, 3),
    /take 1 bytes, but the data section holds 3/,
  ],
}
for (const [what, [bytes, message]] of Object.entries(malformed))
  test(`${what} throws, from bytes and from a file`, async t => {
    assert.throws(
      () => parseSafetensors(bytes),
      error => error instanceof SafetensorsError && message.test(error.message),
    )
    const path = join(await temporaryFolder(t), 'bad.safetensors')
    await writeFile(path, bytes)
    await assert.rejects(
      openSafetensors(path),
      error => error instanceof SafetensorsError && error.file === path && message.test(error.message),
    )
  })

/** Either the bytes are a file, or they are refused with a SafetensorsError: nothing else may happen. */
function readsOrRefuses(bytes: Uint8Array): SafetensorsContent | undefined {
  try {
    return parseSafetensors(bytes)
  } catch (error) {
    assert.ok(error instanceof SafetensorsError, String(error))
    return undefined
  }
}

const sample = Buffer.concat(
  encodeSafetensors(
    new Map<string, SafetensorsTensor>([
      ['layer.weight', { dtype: 'F32', shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
      ['layer.bias', { dtype: 'F64', shape: [2], data: Float64Array.of(7, 8) }],
      ['mask', { dtype: 'BOOL', shape: [5], data: Uint8Array.of(1, 0, 1, 0, 1) }],
    ]),
    { format: 'pt' },
  ),
)

test('a file truncated at any byte throws', () => {
  for (let length = 0; length < sample.length; length++)
    assert.equal(readsOrRefuses(sample.subarray(0, length)), undefined, `the first ${length} bytes`)
})

test('corrupted bytes are read or throw a SafetensorsError', () => {
  const edit = fc.record({ at: fc.nat(sample.length - 1), to: fc.nat(255) })
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 6 }), edits => {
      const bytes = Buffer.from(sample)
      for (const { at, to } of edits) bytes[at] = to
      readsOrRefuses(bytes)
    }),
    { numRuns: 4000 },
  )
})

test('a header of any JSON throws or describes the file', () => {
  const size = fc.oneof(fc.nat(8), fc.integer(), fc.double(), fc.constantFrom(2 ** 31, 2 ** 53 - 1, 2 ** 60, -0))
  const likely = fc.record({
    dtype: fc.oneof(fc.constantFrom('U8', 'F32', 'I64', 'BF16'), fc.string()),
    shape: fc.oneof(fc.array(size, { maxLength: 4 }), fc.jsonValue()),
    data_offsets: fc.oneof(fc.tuple(size, size), fc.jsonValue()),
  })
  const header = fc.oneof(fc.dictionary(fc.string(), fc.oneof(likely, fc.jsonValue()), { maxKeys: 4 }), fc.jsonValue())
  fc.assert(
    fc.property(header, fc.nat(64), (header, dataLength) => {
      const content = readsOrRefuses(fileWith(header, dataLength))
      if (content === undefined) return
      let bytes = 0
      for (const { shape, data, dtype } of content.tensors.values()) {
        assert.equal(
          data.length,
          shape.reduce((a, b) => a * b, 1),
        )
        bytes += dtype === 'BF16' ? data.length * 2 : data.byteLength
      }
      assert.equal(bytes, dataLength)
    }),
    { numRuns: 3000 },
  )
})

test('a file with any bytes changed is read or throws a DataError', async t => {
  const path = join(await temporaryFolder(t), 'a.safetensors')
  const edit = fc.record({ at: fc.nat(sample.length - 1), to: fc.nat(255) })
  const change = fc.record({ edits: fc.array(edit, { maxLength: 4 }), keep: fc.nat(sample.length + 8) })
  await fc.assert(
    fc.asyncProperty(change, async ({ edits, keep }) => {
      const bytes = Buffer.concat([sample, Buffer.alloc(8)]).subarray(0, keep)
      for (const { at, to } of edits) if (at < keep) bytes[at] = to
      await writeFile(path, bytes)
      try {
        const file = await openSafetensors(path)
        let length = 0
        for (const name of file.names) {
          const { begin, end } = file.entry(name)
          await file.tensor(name)
          length += end - begin
        }
        assert.ok(length < keep, 'tensors hold more than the file')
      } catch (error) {
        assert.ok(error instanceof SafetensorsError && error.file === path, String(error))
      }
    }),
    { numRuns: 1500 },
  )
})

test('one tensor of a large file is read alone', async t => {
  const path = join(await temporaryFolder(t), 'large.safetensors')
  const [large, small] = [2 ** 33, 12]
  const head = fileWith({ large: entry('F32', [2 ** 31], 0, large), small: entry('F32', [3], large, large + small) })
  // a file of 8 GB with a hole where the large tensor is
  await writeFile(path, head)
  await truncate(path, head.length + large + small)
  const file = await openSafetensors(path)
  assert.deepEqual([...(await file.tensor('small')).data], [0, 0, 0])
})

test('a name of ten million characters and ten thousand nested brackets are read or throw', () => {
  readsOrRefuses(fileWith(`{"${'\\n'.repeat(5_000_000)}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`))
  readsOrRefuses(fileWith(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`))
})

test('reading a file that changed since it was opened throws', async t => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'weights.safetensors')
  const one = new Map([['w', { dtype: 'F32', shape: [1], data: Float32Array.of(1) } as const]])
  await writeSafetensors(path, one)
  const file = await openSafetensors(path)
  await writeSafetensors(join(folder, 'next'), new Map([['w', { dtype: 'F32', shape: [1], data: Float32Array.of(2) }]]))
  await rename(join(folder, 'next'), path)
  await assert.rejects(file.tensor('w'), /has changed since it was opened/)
})

test('writing a tensor whose shape, dtype and data do not agree throws', async t => {
  const path = join(await temporaryFolder(t), 'a.safetensors')
  const write = (tensor: SafetensorsTensor, name = 'w') => writeSafetensors(path, new Map([[name, tensor]]))
  const data = Float32Array.of(1, 2)
  await assert.rejects(
    write({ dtype: 'F32', shape: [3], data }),
    /tensor 'w': \[3\] has 3 elements, but the data has 2/,
  )
  await assert.rejects(
    write({ dtype: 'F64', shape: [2], data }),
    /F64 is written from Float64Array, not from Float32Array/,
  )
  await assert.rejects(write({ dtype: 'BF16', shape: [2], data }), /BF16 cannot be written/)
  await assert.rejects(write({ dtype: 'F32', shape: [-1, -2], data }), /\[-1,-2\] is not a shape/)
  await assert.rejects(write({ dtype: 'F32', shape: [2], data }, '__metadata__'), /this name is reserved by the format/)
  await assert.rejects(readFile(path), { code: 'ENOENT' })
})

test('opening a missing file throws a FileError', async () => {
  await assert.rejects(openSafetensors('/nowhere/x.safetensors'), { name: 'FileError', reason: 'does not exist' })
})
