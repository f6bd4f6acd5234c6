// Checkpoints that PyTorch wrote (test/io/torch/make.py), and invalid files that resemble them.

import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { DataError } from '../../src/io/errors.ts'
import { crc32, crc32ByTable } from '../../src/io/formats/crc.ts'
import { openTensors } from '../../src/io/formats/open-tensors.ts'
import { readZip } from '../../src/io/formats/zip.ts'
import { withFile } from '../../src/io/ranges.ts'
import { temporaryFolder } from '../data/folder.ts'
import { fc } from '../support.ts'
import { type ArchiveOptions, archive } from './zip.ts'

const written = (name: string) => new URL(`torch/${name}`, import.meta.url).pathname
const expected: Record<string, { shape: number[]; values: number[] }> = JSON.parse(
  await readFile(written('values.json'), 'utf8'),
)

test("every dtype, view and shared storage of PyTorch is read with PyTorch's values", async () => {
  const file = await openTensors(written('state.pt'))
  assert.deepEqual(file.names, Object.keys(expected))
  for (const [name, { shape, values }] of Object.entries(expected)) {
    const tensor = await file.tensor(name)
    assert.deepEqual([name, tensor.shape], [name, shape])
    assert.deepEqual([name, Array.from(tensor.data as ArrayLike<number>, Number)], [name, values])
    assert.equal(tensor.dtype, file.entry(name).dtype)
  }
  await assert.rejects(file.tensor('nothing'), /state\.pt: has no tensor 'nothing'/)
})

test('the state dict of a training checkpoint is found beside its other entries', async () => {
  const file = await openTensors(written('training.pt'))
  assert.deepEqual(file.names, ['module.0.weight', 'module.0.bias', 'module.1.weight', 'module.1.bias'])
})

test('the state dict is found under the names that DeiT, MAE and DINO give it', async () => {
  const model = await openTensors(written('model.pth'))
  assert.deepEqual(model.names, ['weight', 'bias'])
  const teacher = await openTensors(written('teacher.pth'))
  assert.deepEqual(teacher.names, ['backbone.weight', 'backbone.bias'])
  assert.deepEqual([...(await teacher.tensor('backbone.weight')).data], [1, 2])
})

test('a pickled module throws an error that names its class', () =>
  assert.rejects(openTensors(written('module.pt')), /module\.pt: names torch\.nn\.modules\.container\.Sequential/))

test('a file of PyTorch before 1.6 throws, and the message says what to do', () =>
  assert.rejects(openTensors(written('legacy.pt')), /legacy\.pt: is in the format of PyTorch before 1\.6/))

// pickles by hand

const bytes = (...parts: (string | number | Uint8Array)[]): Buffer =>
  Buffer.concat(
    parts.map(part =>
      typeof part === 'string' ? Buffer.from(part) : typeof part === 'number' ? Buffer.of(part) : part,
    ),
  )
const int = (n: number): Buffer => {
  const result = Buffer.alloc(5)
  result.writeUInt8(0x4a)
  result.writeInt32LE(n, 1)
  return result
}
const text = (value: string): Buffer => bytes(0x8c, value.length, value)
const tuple = (...items: Uint8Array[]): Buffer => bytes('(', ...items, 't')
const named = (module: string, name: string): Buffer => bytes(`c${module}\n${name}\n`)
const program = (...parts: (string | number | Uint8Array)[]): Buffer => bytes(0x80, 2, ...parts, '.')

const storage = (length: number, key = '0', type = 'FloatStorage'): Buffer =>
  bytes(tuple(text('storage'), named('torch', type), text(key), text('cpu'), int(length)), 'Q')
const rebuilt = (stored: Buffer, offset: number, shape: number[], strides: number[]): Buffer =>
  bytes(
    named('torch._utils', '_rebuild_tensor_v2'),
    tuple(stored, int(offset), tuple(...shape.map(int)), tuple(...strides.map(int)), bytes(0x89), bytes('N')),
    'R',
  )
const state = (name: string, value: Buffer): Buffer => program('}', text(name), value, 's')

async function opened(t: TestContext, pickle: Uint8Array, options?: ArchiveOptions, data = Buffer.alloc(24)) {
  const path = join(await temporaryFolder(t), 'a.pt')
  await writeFile(path, archive({ 'a/data.pkl': pickle, 'a/data/0': data, 'a/version': Buffer.from('3\n') }, options))
  return openTensors(path)
}

test('an archive made here is read, with 32-bit positions and with those of zip64', async t => {
  const data = Buffer.from(Float32Array.of(1, 2, 3, 4, 5, 6).buffer)
  for (const wide of [false, true]) {
    const file = await opened(t, state('w', rebuilt(storage(6), 1, [2, 2], [1, 2])), { wide }, data)
    assert.deepEqual([...(await file.tensor('w')).data], [2, 4, 3, 5])
  }
})

describe('loading throws for a pickle', () => {
  const cases: Record<string, [Buffer, RegExp]> = {
    'that calls os.system': [program(named('os', 'system'), tuple(text('touch /tmp/x')), 'R'), /names os\.system/],
    'that calls os.system by a newer instruction': [
      program(text('os'), text('system'), 0x93, tuple(text('x')), 'R'),
      /names os\.system/,
    ],
    'that names eval beside good tensors': [
      program('}', text('w'), rebuilt(storage(6), 0, [6], [1]), 's', text('e'), named('builtins', 'eval'), 's'),
      /names builtins\.eval/,
    ],
    'that calls a storage': [
      program(named('torch', 'FloatStorage'), ')', 'R'),
      /calls torch\.FloatStorage, which is not a supported function/,
    ],
    'that calls a text': [program(text('os.system'), ')', 'R'), /calls a value that is not a function/],
    'that names a part of Object': [program(named('__proto__', 'constructor')), /names __proto__\.constructor/],
    'that holds no dictionary': [program(int(1)), /holds no dictionary of tensors/],
    'that holds something else among its tensors': [state('w', int(1)), /has 'w', which is not a tensor/],
    'with a number for a name': [
      program('}', int(1), rebuilt(storage(6), 0, [6], [1]), 's'),
      /whose name is not a text/,
    ],
    'with a missing storage': [state('w', rebuilt(storage(6, '1'), 0, [6], [1])), /no member a\/data\/1/],
    'with a storage outside of the archive': [
      state('w', rebuilt(storage(6, '../../etc/passwd'), 0, [6], [1])),
      /no member/,
    ],
    'with a storage larger than its member': [
      state('w', rebuilt(storage(7), 0, [6], [1])),
      /7 F32 takes 28 bytes, but has 24/,
    ],
    'with a storage of negative length': [state('w', rebuilt(storage(-1), 0, [6], [1])), /not a storage/],
    'with a storage of an unknown dtype': [
      state('w', rebuilt(storage(6, '0', 'QInt8Storage'), 0, [6], [1])),
      /names torch\.QInt8Storage/,
    ],
    'whose strides reach outside': [
      state('w', rebuilt(storage(6), 0, [2, 3], [4, 1])),
      /ends at 7, but its storage 0 has 6 elements/,
    ],
    'whose offset reaches outside': [state('w', rebuilt(storage(6), 5, [2], [1])), /ends at 7/],
    'whose strides run backwards': [state('w', rebuilt(storage(6), 5, [2], [-1])), /invalid offset, shape or strides/],
    'whose shape is negative': [state('w', rebuilt(storage(6), 0, [-2], [1])), /invalid offset, shape or strides/],
    'with more sizes than strides': [
      state('w', rebuilt(storage(6), 0, [2, 3], [1])),
      /invalid offset, shape or strides/,
    ],
    'with more elements than its storage': [
      state('w', rebuilt(storage(6), 0, [2 ** 30, 2 ** 30], [0, 0])),
      /repeats the 6 elements/,
    ],
    'that makes a tensor of a text': [state('w', rebuilt(text('0'), 0, [6], [1])), /not a storage/],
    'with an integer of a million digits': [
      program(0x8b, Buffer.of(0x40, 0x42, 0x0f, 0), Buffer.alloc(1_000_000)),
      /integer of 1000000 bytes/,
    ],
    'with a text longer than itself': [program('X', Buffer.of(255, 255, 255, 255), 'abc'), /ends within/],
    'with a text of 2^64 - 1 bytes': [program(0x8d, Buffer.alloc(8, 255)), /claims 18446744073709551615 bytes/],
    'with a text that is not UTF-8': [program(0x8c, 2, Buffer.of(0xc3, 0x28)), /not UTF-8/],
    'that takes a value from an empty stack': [program('0'), /takes a value from an empty stack/],
    'that takes a mark instead of a value': [program('(', '0'), /takes a value from an empty stack/],
    'without a mark': [program('t'), /missing mark/],
    'that recalls a value it never stored': [program('h', 7), /recalls value 7/],
    'of protocol 1': [bytes(0x80, 1, '}', '.'), /protocol 1/],
    'with an instruction that runs a class': [program('(', 'ios\nsystem\n'), /instruction 0x69/],
    'that sets the state of a tensor': [
      state('w', bytes(rebuilt(storage(6), 0, [6], [1]), '}b')),
      /state of a value that is not a dictionary/,
    ],
    'without an end': [bytes(0x80, 2, '}'), /ends within/],
    'that is empty': [Buffer.alloc(0), /ends within/],
  }
  for (const [what, [pickle, message]] of Object.entries(cases))
    test(what, async t => {
      await assert.rejects(
        opened(t, pickle),
        error => error instanceof DataError && error.name === 'TorchFileError' && message.test(error.message),
      )
    })

  test('that contains itself, if its tensors are read', async t => {
    // d = {}; d['w'] = d
    await assert.rejects(opened(t, program('}', 'q', 0, text('w'), 'h', 0, 's')), /has 'w', which is not a tensor/)
  })

  test('that doubles a list a hundred times, without using that much memory', async t => {
    const doubled = Array.from({ length: 100 }, (_, i) => bytes('2', 'q', i, '0', ']', 'h', i, 'a', 'h', i, 'a'))
    await assert.rejects(opened(t, program(']', ...doubled)), /holds no dictionary/)
  })
})

describe('a damaged archive', () => {
  const good = archive({ 'a/data.pkl': state('w', rebuilt(storage(6), 0, [6], [1])), 'a/data/0': Buffer.alloc(24) })
  const readsOrRefuses = async (t: { readonly path: string }, content: Uint8Array): Promise<boolean> => {
    await writeFile(t.path, content)
    try {
      const file = await openTensors(t.path)
      for (const name of file.names) await file.tensor(name)
      return true
    } catch (error) {
      assert.ok(error instanceof DataError, String(error))
      assert.ok(error.message.includes(t.path), error.message)
      return false
    }
  }

  test('throws if it is truncated at any byte', async t => {
    const path = join(await temporaryFolder(t), 'a.pt')
    for (let length = 0; length < good.length; length++)
      assert.equal(await readsOrRefuses({ path }, good.subarray(0, length)), false, `the first ${length} bytes`)
  })

  test('with any bytes changed is read or throws a DataError', async t => {
    const path = join(await temporaryFolder(t), 'a.pt')
    const wide = archive({ 'a/data.pkl': program('}'), 'a/data/0': Buffer.alloc(24) }, { wide: true })
    const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(good, wide), edits, async (from, changes) => {
        const content = Buffer.from(from)
        for (const [at, to] of changes) content[at % content.length] = to
        await readsOrRefuses({ path }, content)
      }),
      { numRuns: 1500 },
    )
  })

  test('throws if it is compressed or has no pickle', async t => {
    await assert.rejects(opened(t, program('}'), { method: 8 }), /'a\/data\.pkl' compressed/)
    const path = join(await temporaryFolder(t), 'a.pt')
    await writeFile(path, archive({ 'word/document.xml': Buffer.from('<x/>') }))
    await assert.rejects(openTensors(path), /0 members data\.pkl: it is not a file that torch\.save wrote/)
  })
})

test('a byte that flipped is found when its tensor, or the list of tensors, is read', async t => {
  const whole = await readFile(written('state.pt'))
  const path = join(await temporaryFolder(t), 'flipped.pt')
  const flipped = async (at: number, name: string) => {
    const bytes = Buffer.from(whole)
    bytes[at] ^= 0x10
    await writeFile(path, bytes)
    await assert.rejects(
      (async () => {
        const file = await openTensors(path)
        for (const tensor of file.names) await file.tensor(tensor)
      })(),
      (error: unknown) => {
        assert.ok(error instanceof DataError)
        assert.equal(error.file, path)
        assert.match(
          error.message,
          new RegExp(`has '[^']*/${name}' with other bytes than were written \\(CRC-32 [0-9a-f]{8}`),
        )
        return true
      },
    )
  }
  const members = await withFile(written('state.pt'), ({ read, length }) => readZip(read, length))
  for (const [path, { begin, end, crc }] of members) {
    const name = path.slice(path.indexOf('/') + 1)
    assert.equal(crc, crc32ByTable(whole.subarray(begin, end)), 'the table computes what PyTorch wrote')
    if (/^data\/\d+$/.test(name) && end > begin) await flipped(end - 1, name)
  }
  const pickle = [...members.values()].find(({ name }) => name.endsWith('/data.pkl'))!
  await flipped(whole.indexOf('OrderedDict', pickle.begin), 'data\\.pkl')
})

test('checksums of pieces are those of the whole', () => {
  const data = Buffer.from('123456789')
  for (const crc of [crc32, crc32ByTable]) {
    assert.equal(crc(data), 0xcbf43926)
    assert.equal(crc(data.subarray(4), crc(data.subarray(0, 4))), 0xcbf43926)
  }
})
