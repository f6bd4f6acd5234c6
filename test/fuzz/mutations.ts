// Files that are nearly valid: bytes are flipped, cut, repeated, inserted or taken from another file, and numbers are replaced by extreme
// ones. Formats with a checksum, a compression or JSON inside are opened first and closed again, so that the mutation gets past it.

import { crc32, deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib'
import type { Generator } from '../../src/tensor/index.ts'
import { archive } from '../io/zip.ts'

/** What a mutation may know about a file. */
export type Format =
  | ('avif' | 'bytes' | 'gif' | 'gzip' | 'jpeg' | 'json' | 'lines' | 'npy' | 'png' | 'safetensors' | 'tar' | 'text')
  | ('tiff' | 'torch' | 'webp' | 'zip')

const utf8 = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
const chance = (random: Generator, share: number): boolean => random.uniform() < share
const oneOf = <T>(random: Generator, items: readonly T[]): T => items[random.integer(items.length)]

/**
 * A mutated copy of a file. Equal random numbers give equal files.
 * @param others valid files of the same format, of which parts may be taken
 */
export function mutate(random: Generator, file: Uint8Array, format: Format, others: readonly Uint8Array[]): Uint8Array {
  let mutated: Uint8Array = file
  for (let times = 1 + random.integer(3); times > 0; times--) {
    // a file that an earlier mutation destroyed can no longer be opened
    const inside = chance(random, 0.75) ? tried(() => forms[format](random, mutated, others)) : undefined
    mutated = inside ?? bytesMutated(random, mutated, others)
  }
  return mutated
}

function tried<T>(f: () => T): T | undefined {
  try {
    return f()
  } catch {
    return undefined
  }
}

type Mutation = (random: Generator, file: Uint8Array, others: readonly Uint8Array[]) => Uint8Array

const forms: Readonly<Record<Format, Mutation>> = {
  avif: sidesOf(avifSides),
  bytes: bytesMutated,
  gif: sidesOf(gifSides),
  jpeg: sidesOf(jpegSides),
  tiff: sidesOf(tiffSides),
  webp: sidesOf(webpSides),
  text: (random, file) => Buffer.from(textMutated(random, utf8(file))),
  json: (random, file) => Buffer.from(jsonMutated(random, utf8(file))),
  lines: linesMutated,
  gzip: (random, file, others) => {
    const open = others.map(other => gunzipSync(other))
    return gzipSync(bytesMutated(random, gunzipSync(file), open))
  },
  npy: headerOf(8, 2),
  png: chunksOf,
  safetensors: headerOf(0, 8),
  tar: tarMutated,
  torch: torchMutated,
  zip: (random, file) => {
    const members = membersOf(Buffer.from(file))
    const name = oneOf(random, Object.keys(members))
    const mutated = chance(random, 0.7)
      ? headerOf(8, 2)(random, members[name], [])
      : bytesMutated(random, members[name], [])
    return archive({ ...members, [name]: mutated })
  },
}

const EXTREMES = [
  0n,
  1n,
  0x7fn,
  0xffn,
  0x7fffn,
  0xffffn,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  2n ** 53n,
  2n ** 64n - 1n,
]

function bytesMutated(random: Generator, file: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
  const bytes = Buffer.from(file)
  // headers and directories are at the ends of a file
  const place = () => {
    const n = bytes.length
    if (n < 64 || chance(random, 0.5)) return random.integer(n + 1)
    return chance(random, 0.7) ? random.integer(Math.min(n, 512)) : n - random.integer(Math.min(n, 128))
  }
  const range = (): [number, number] => {
    const start = place()
    return [start, Math.min(bytes.length, start + 1 + random.integer(chance(random, 0.5) ? 8 : bytes.length + 1))]
  }
  const splice = ([start, end]: readonly [number, number], ...between: readonly Uint8Array[]) =>
    Buffer.concat([bytes.subarray(0, start), ...between, bytes.subarray(end)])
  const drawn = (n: number) => Buffer.from(Array.from({ length: n }, () => random.integer(256)))
  const actions: readonly (() => Uint8Array)[] = [
    () => {
      for (let i = random.integer(8); i >= 0; i--) {
        const at = Math.min(place(), bytes.length - 1)
        if (at >= 0) bytes[at] ^= 1 << random.integer(8)
      }
      return bytes
    },
    () => bytes.subarray(0, place()),
    () => {
      const [start, end] = range()
      const copies = chance(random, 0.1) ? 1000 : 1 + random.integer(3)
      return splice([end, end], ...Array(copies).fill(bytes.subarray(start, Math.min(end, start + 10_000))))
    },
    () => splice(range()),
    () => {
      const at = place()
      return splice([at, at], drawn(1 + random.integer(16)))
    },
    () => {
      const other = others.length > 0 ? oneOf(random, others) : bytes
      const at = random.integer(other.length + 1)
      return splice(
        chance(random, 0.5) ? [place(), bytes.length] : range(),
        other.subarray(at, at + random.integer(5000)),
      )
    },
    () => {
      const size = oneOf(random, [1, 2, 4, 8])
      if (bytes.length < size) return bytes
      const value = BigInt.asUintN(64, oneOf(random, EXTREMES) - BigInt(random.integer(2)))
      const number = Buffer.alloc(8)
      const little = chance(random, 0.5)
      if (little) number.writeBigUInt64LE(value)
      else number.writeBigUInt64BE(value)
      bytes.set(little ? number.subarray(0, size) : number.subarray(8 - size), Math.min(place(), bytes.length - size))
      return bytes
    },
    () => bytes.fill(oneOf(random, [0, 0xff, 0x20, random.integer(256)]), ...range()),
    () => Buffer.from(numbersMutated(random, bytes.toString('latin1')), 'latin1'),
  ]
  return oneOf(random, actions)()
}

const NUMBERS = [
  '0',
  '-1',
  '1',
  '1.5',
  '4294967296',
  '9007199254740993',
  '1e9',
  '1000000',
  '1e308',
  '99999999999999999999',
  'NaN',
  '',
]

/** Replaces one number that is written in digits. */
function numbersMutated(random: Generator, text: string): string {
  const found = [...text.matchAll(/\d+/g)]
  if (found.length === 0) return text
  const { 0: digits, index } = oneOf(random, found)
  return text.slice(0, index) + oneOf(random, NUMBERS) + text.slice(index + digits.length)
}

const PIECES = [
  '"',
  ',',
  '\n',
  '\r\n',
  '\t',
  '\0',
  '\ufeff',
  '\u2028',
  '\u001b]0;x\u0007',
  '\ud800',
  '[',
  '{',
  ':',
  '../',
  '/',
  ' ',
  '😀',
  '#',
]

function textMutated(random: Generator, text: string): string {
  const at = random.integer(text.length + 1)
  const end = Math.min(text.length, at + random.integer(20))
  const actions: readonly (() => string)[] = [
    () => text.slice(0, at) + oneOf(random, PIECES).repeat(chance(random, 0.1) ? 5000 : 1) + text.slice(at),
    () => text.slice(0, at) + text.slice(end),
    () => text.slice(0, end) + text.slice(at),
    () => numbersMutated(random, text),
  ]
  return oneOf(random, actions)()
}

/** A part of a JSON text as it is written, which need not be JSON. */
class Raw {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

const nested = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth)

/** Values for any field, as they are written. */
const VALUES: readonly string[] = [
  ...['null', 'true', 'false', '0', '-0', '-1', '1', '2', '1.5', '1e9', '1000000', '4294967296', '9007199254740991'],
  ...[
    '9007199254740993',
    '1e18',
    '-1e308',
    '1e999',
    'NaN',
    '-Infinity',
    '1e-320',
    '""',
    '"a"',
    '" "',
    '"0"',
    '"../../etc/passwd"',
  ],
  ...[
    '"__proto__"',
    '"constructor"',
    '"\\u0000"',
    '"\\u001b]0;x\\u0007"',
    '"\\ud800"',
    '"(a+)+$"',
    '"["',
    '"(?<="',
    `"${'x'.repeat(10_000)}"`,
  ],
  ...[
    '[]',
    '{}',
    '[null]',
    '[[]]',
    '{"":null}',
    '{"__proto__":{"polluted":1}}',
    '{"type":"Sequence"}',
    '{"toString":null}',
    '{"length":1e9}',
    `[${'1,'.repeat(2000)}1]`,
  ],
  ...[nested(60, '[', ']'), nested(60, '{"a":', '}').replace('}', '1}'), nested(5000, '[', ']')],
]

function jsonMutated(random: Generator, text: string): string {
  const root: { readonly root: unknown } = { root: JSON.parse(text) }
  for (let times = 1 + random.integer(2); times > 0; times--) {
    const [holder, key] = placeIn(random, root)
    const put = (value: unknown) => Object.defineProperty(holder, key, { value, ...OWN })
    const actions: readonly (() => unknown)[] = [
      () => put(new Raw(oneOf(random, VALUES))),
      () => put(new Raw(oneOf(random, VALUES))),
      () => put(structuredCloneOf(valueAt(placeIn(random, root)))),
      () =>
        Array.isArray(holder) ? holder.splice(Number(key), 1) : holder !== root && Reflect.deleteProperty(holder, key),
      () => put(new Raw(`${write(valueAt([holder, key]))},${JSON.stringify(key)}:${oneOf(random, VALUES)}`)),
      () => put(new Raw(`${write(valueAt([holder, key]))},${oneOf(random, VALUES)}`)),
      () => {
        const name = oneOf(random, ['__proto__', 'constructor', 'toString', 'length', '', 'type', 'more'])
        Object.defineProperty(holder, name, { value: new Raw(oneOf(random, VALUES)), ...OWN })
      },
      () => put(new Raw(numbersMutated(random, write(valueAt([holder, key]))))),
    ]
    tried(oneOf(random, actions))
  }
  return write(root.root)
}

const OWN = { enumerable: true, configurable: true, writable: true } as const

type Place = readonly [holder: object, key: string]
const valueAt = ([holder, key]: Place): unknown => (holder as Record<string, unknown>)[key]
const structuredCloneOf = (value: unknown): unknown => (value === undefined ? null : new Raw(write(value)))

/** A field or an item at any depth; those near the root as often as those far from it. */
function placeIn(random: Generator, root: object): Place {
  let place: Place = [root, 'root']
  for (;;) {
    const inner = valueAt(place)
    if (typeof inner !== 'object' || inner === null || inner instanceof Raw) return place
    const keys = Object.keys(inner)
    if (keys.length === 0 || chance(random, 0.15)) return place
    place = [inner, oneOf(random, keys)]
  }
}

function write(value: unknown): string {
  if (value instanceof Raw) return value.text
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const fields = Object.entries(value).map(([name, field]) => `${JSON.stringify(name)}:${write(field)}`)
  return `{${fields.join(',')}}`
}

/** One line changed as JSON or as text, or repeated, removed or moved. */
function linesMutated(random: Generator, file: Uint8Array): Uint8Array {
  const lines = utf8(file).split('\n')
  const at = random.integer(lines.length)
  const actions: readonly (() => unknown)[] = [
    () => lines.splice(at, 1, jsonMutated(random, lines[at])),
    () => lines.splice(at, 1, jsonMutated(random, lines[at])),
    () => lines.splice(at, 1, textMutated(random, lines[at])),
    () => lines.splice(at, 1),
    () => lines.splice(at, 0, oneOf(random, lines)),
    () => lines.splice(at, 0, oneOf(random, VALUES)),
  ]
  oneOf(random, actions)()
  return Buffer.from(lines.join('\n'))
}

/** The header of a file whose length is a number before it: JSON, or the dictionary of an npy file. The length is corrected. */
function headerOf(at: number, width: 2 | 8): Mutation {
  return (random, file) => {
    const bytes = Buffer.from(file)
    const length = width === 2 ? bytes.readUInt16LE(at) : Number(bytes.readBigUInt64LE(at))
    const start = at + width
    const text = utf8(bytes.subarray(start, start + length))
    const header = Buffer.from(
      width === 2 || chance(random, 0.2) ? textMutated(random, text) : jsonMutated(random, text),
    )
    const number = Buffer.alloc(width)
    if (width === 2) number.writeUInt16LE(Math.min(header.length, 0xffff))
    else number.writeBigUInt64LE(BigInt(header.length))
    return Buffer.concat([bytes.subarray(0, at), number, header, bytes.subarray(start + length)])
  }
}

/** Where a header of an image has the length of a side. */
interface Side {
  readonly at: number
  readonly bytes: 2 | 3 | 4
  readonly little: boolean
}

/** Lengths that are zero, at the limits of the formats, and at the limit of what is decoded, which is 64 million pixels. */
const SIDES = [
  0,
  1,
  2,
  3,
  4000,
  6000,
  8000,
  8001,
  16_383,
  16_384,
  32_768,
  65_535,
  1e6,
  2 ** 24 - 1,
  2 ** 31,
  2 ** 32 - 1,
]

/** Other sizes in the header of an image, or, where it has none, other bytes. */
function sidesOf(find: (bytes: Buffer) => readonly Side[]): Mutation {
  return (random, file, others) => {
    const bytes = Buffer.from(file)
    const sides = find(bytes)
    if (sides.length === 0 || chance(random, 0.5)) return bytesMutated(random, file, others)
    const same = oneOf(random, SIDES)
    const one = chance(random, 0.5) ? oneOf(random, sides) : undefined
    for (const side of sides) {
      if (one && side !== one) continue
      const { at, bytes: width, little } = side
      const value = (chance(random, 0.7) ? same : oneOf(random, SIDES)) % 256 ** width
      if (little) bytes.writeUIntLE(value, at, width)
      else bytes.writeUIntBE(value, at, width)
    }
    return bytes
  }
}

const side = (at: number, bytes: Side['bytes'], little = false): Side => ({ at, bytes, little })

/** Height and width of the first frame (ITU T.81, B.2.2). */
function jpegSides(bytes: Buffer): Side[] {
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff; at += 2 + bytes.readUInt16BE(at + 2))
    if (bytes[at + 1] >= 0xc0 && bytes[at + 1] <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(bytes[at + 1]))
      return [side(at + 5, 2), side(at + 7, 2)]
  return []
}

/** Of VP8X 24 bits each, of VP8 14; of VP8L 28 together, which are not taken apart (RFC 9649). */
function webpSides(bytes: Buffer): Side[] {
  const kind = bytes.toString('latin1', 12, 16)
  if (kind === 'VP8X') return [side(24, 3, true), side(27, 3, true)]
  return kind === 'VP8L' ? [side(21, 4, true)] : [side(26, 2, true), side(28, 2, true)]
}

/** Of the screen, and of the first picture, which follows a comma somewhere after the colours. */
function gifSides(bytes: Buffer): Side[] {
  const picture = bytes.indexOf(0x2c, 13 + (bytes[10] & 0x80 ? 3 * 2 ** ((bytes[10] & 7) + 1) : 0))
  const inside =
    picture < 0 || picture + 9 > bytes.length ? [] : [side(picture + 5, 2, true), side(picture + 7, 2, true)]
  return [side(6, 2, true), side(8, 2, true), ...inside]
}

/** The tags 256 and 257 of the first directory. */
function tiffSides(bytes: Buffer): Side[] {
  const little = bytes[0] === 0x49
  const short = (at: number) => (little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at))
  const directory = little ? bytes.readUInt32LE(4) : bytes.readUInt32BE(4)
  return Array.from({ length: short(directory) }, (_, i) => directory + 2 + 12 * i)
    .filter(entry => [256, 257].includes(short(entry)))
    .map(entry => side(entry + 8, short(entry + 2) === 3 ? 2 : 4, little))
}

/** The property ispe of each picture in the file. */
function avifSides(bytes: Buffer): Side[] {
  const sides: Side[] = []
  for (let at = bytes.indexOf('ispe'); at >= 0; at = bytes.indexOf('ispe', at + 4))
    if (at + 16 <= bytes.length) sides.push(side(at + 8, 4), side(at + 12, 4))
  return sides
}

/** One chunk of a PNG, whose sum is corrected; pixels are decompressed first. */
function chunksOf(random: Generator, file: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
  const bytes = Buffer.from(file)
  const chunks: { name: Buffer; data: Uint8Array }[] = []
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at)
    chunks.push({ name: bytes.subarray(at + 4, at + 8), data: bytes.subarray(at + 8, at + 8 + length) })
    at += 12 + length
  }
  const at = random.integer(chunks.length)
  const chunk = chunks[at]
  const actions: readonly (() => unknown)[] = [
    () => (chunk.data = bytesMutated(random, chunk.data, others)),
    () => (chunks[0].data = bytesMutated(random, chunks[0].data, [])),
    () => (chunks[0].data = sidesOf(() => [side(0, 4), side(4, 4)])(random, chunks[0].data, [])),
    () => {
      const pixels = chunks.find(({ name }) => name.toString() === 'IDAT')!
      pixels.data = deflateSync(bytesMutated(random, inflateSync(pixels.data), []))
    },
    () => chunks.splice(at, 1),
    () => chunks.splice(random.integer(chunks.length + 1), 0, chunk),
    () => (chunk.name = Buffer.from(oneOf(random, ['IHDR', 'PLTE', 'IDAT', 'IEND', 'tRNS', 'eXIf', 'abcd', 'ABCD']))),
  ]
  oneOf(random, actions)()
  const parts = chunks.map(({ name, data }) => {
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
    const content = Buffer.concat([name, data])
    length.writeUInt32BE(data.length)
    sum.writeUInt32BE(crcOf(content))
    return Buffer.concat([length, content, sum])
  })
  return Buffer.concat([bytes.subarray(0, 8), ...parts])
}

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1
  return c
})

/** `crc32` of node:zlib is new in Node 22. */
function crcOf(bytes: Uint8Array): number {
  if (typeof crc32 === 'function') return crc32(bytes)
  let sum = 0xffffffff
  for (const byte of bytes) sum = TABLE[(sum ^ byte) & 0xff] ^ (sum >>> 8)
  return (sum ^ 0xffffffff) >>> 0
}

/** One header of a tar, whose sum is corrected; its content; or its order. */
function tarMutated(random: Generator, file: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
  const bytes = Buffer.from(file)
  const members: Buffer[] = []
  let at = 0
  for (; at + 512 <= bytes.length && bytes[at] !== 0; ) {
    const size = Number.parseInt(bytes.toString('latin1', at + 124, at + 135), 8)
    const end = at + 512 + Math.ceil(size / 512) * 512
    members.push(Buffer.from(bytes.subarray(at, end)))
    at = end
  }
  const which = random.integer(members.length)
  const member = members[which]
  const header = (change: (bytes: Buffer) => unknown) => {
    change(member)
    member.fill(0x20, 148, 156)
    const sum = member.subarray(0, 512).reduce((a, b) => a + b, 0)
    member.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  }
  const actions: readonly (() => unknown)[] = [
    () => header(bytes => bytes.set(bytesMutated(random, bytes.subarray(0, 100), []).subarray(0, 100), 0)),
    () =>
      header(bytes =>
        bytes.write(oneOf(random, ['0', '1', '2', '5', '7', 'L', 'K', 'x', 'g', '\0', 'A']), 156, 'latin1'),
      ),
    () =>
      header(bytes =>
        bytes.write(
          oneOf(random, [
            '77777777777',
            '00000000000',
            '00000001000',
            '-0000000001',
            '8',
            '\xff'.repeat(12),
            `\x80${'\0'.repeat(10)}\x01`,
          ]),
          124,
          'latin1',
        ),
      ),
    () => header(bytes => (bytes[random.integer(512)] = random.integer(256))),
    () =>
      members.splice(
        which,
        1,
        Buffer.concat([member.subarray(0, 512), contentMutated(random, member.subarray(512), others)]),
      ),
    () => members.splice(which, 1),
    () => members.splice(random.integer(members.length + 1), 0, member),
  ]
  oneOf(random, actions)()
  return Buffer.concat([...members, bytes.subarray(at)])
}

/** As long as it was. */
function contentMutated(random: Generator, content: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
  const mutated = Buffer.alloc(content.length)
  mutated.set(bytesMutated(random, content, others).subarray(0, content.length))
  return mutated
}

/** The members of an archive of PyTorch: the instructions of its pickle, or the numbers. */
function torchMutated(random: Generator, file: Uint8Array): Uint8Array {
  const members = membersOf(Buffer.from(file))
  const names = Object.keys(members)
  const pickle = names.find(name => name.endsWith('data.pkl'))!
  const name = chance(random, 0.8) ? pickle : oneOf(random, names)
  members[name] = name === pickle ? pickleMutated(random, members[name]) : bytesMutated(random, members[name], [])
  return archive(members, { wide: chance(random, 0.1) })
}

/** Instructions that make large values of few bytes, beside those that are in any pickle. */
const INSTRUCTIONS = ['(', '0', '1', '2', 'N', 'J\xff\xff\xff\x7f', 'J\0\0\0\x80', 'K\0', '\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f', ']', 'a', 'e', 'l', '}', 'd', 's', 'u', '\x8f', '\x90', '\x91', ')', '\x85', '\x86', '\x87', 't', 'q\0', '\x94', 'h\0', 'h\x01', 'Q', 'R', 'b', '\x81', '.', '\x8b\xff\xff\xff\xff', 'X\xff\xff\xff\xff', '\x8d\xff\xff\xff\xff\xff\xff\xff\xff', 'B\xff\xff\xff\xff', '\x95\xff\xff\xff\xff\xff\xff\xff\xff', 'ccollections\nOrderedDict\n', 'ctorch\nSize\n', 'cos\nsystem\n', 'G\x7f\xf8\0\0\0\0\0\0'].map(each => Buffer.from(each, 'latin1')) // biome-ignore format: one instruction after the other

function pickleMutated(random: Generator, pickle: Uint8Array): Uint8Array {
  if (chance(random, 0.5)) return bytesMutated(random, pickle, [])
  const at = 2 + random.integer(pickle.length)
  const some = Array.from({ length: 1 + random.integer(3) }, () => oneOf(random, INSTRUCTIONS))
  const copies = chance(random, 0.1) ? 2000 : 1
  return Buffer.concat([pickle.subarray(0, at), ...Array(copies).fill(Buffer.concat(some)), pickle.subarray(at)])
}

function membersOf(bytes: Buffer): Record<string, Uint8Array> {
  const members: Record<string, Uint8Array> = {}
  const end = bytes.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'))
  let at = bytes.readUInt32LE(end + 16)
  for (let i = 0; i < bytes.readUInt16LE(end + 10); i++) {
    const [size, names, extra, comment] = [
      bytes.readUInt32LE(at + 20),
      ...[28, 30, 32].map(k => bytes.readUInt16LE(at + k)),
    ]
    const header = bytes.readUInt32LE(at + 42)
    const start = header + 30 + bytes.readUInt16LE(header + 26) + bytes.readUInt16LE(header + 28)
    members[utf8(bytes.subarray(at + 46, at + 46 + names))] = bytes.subarray(start, start + size)
    at += 46 + names + extra + comment
  }
  return members
}
