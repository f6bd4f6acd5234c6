// The normalizers of a tokenizer.json: what is done to a text before it is split. Definitions are those of Hugging
// Face's `tokenizers` 0.23 (tokenizers/src/normalizers).

import { toByteCharacters } from '../byte-pairs.ts'
import type { Field } from './fields.ts'
import { patternOf } from './pattern.ts'

/** A text, and whether its first character comes from the first one of the given text. */
export interface NormalizedText {
  readonly text: string
  readonly keepsStart: boolean
}

/** `keepsStart` is true unless characters at the start of a text are removed. */
export type Normalizer = (text: string) => NormalizedText

const kept = (text: string): NormalizedText => ({ text, keepsStart: true })
const whole =
  (change: (text: string) => string): Normalizer =>
  text =>
    kept(change(text))

/** Character by character: what one becomes does not depend on its neighbours. */
const each =
  (change: (character: string) => string): Normalizer =>
  text => {
    const characters = Array.from(text, change)
    return { text: characters.join(''), keepsStart: characters.length === 0 || characters[0] !== '' }
  }

const lowercase = each(character => character.toLowerCase())

/** Controls, formats and private characters; not characters that Unicode has not assigned. */
const CONTROL = /[\ufffd\p{Cc}\p{Cf}\p{Co}]/u
const CHINESE =
  /[\u4E00-\u9FFF\u3400-\u4DBF\u{20000}-\u{2A6DF}\u{2A700}-\u{2B73F}\u{2B740}-\u{2B81F}\u{2B920}-\u{2CEAF}\uF900-\uFAFF\u{2F800}-\u{2FA1F}]/u

const cleanBert = each(character => {
  if (/[\t\n\r\p{Zs}\p{Zl}\p{Zp}]/u.test(character)) return ' '
  return CONTROL.test(character) ? '' : character
})

function bert(field: Field): Normalizer {
  const lower = field.get('lowercase').boolean()
  const strips = field.get('strip_accents').or(lower, each => each.boolean())
  const removeMarks = each(character => (/\p{Mn}/u.test(character) ? '' : character))
  const steps: Normalizer[] = []
  if (field.get('clean_text').boolean()) steps.push(cleanBert)
  if (field.get('handle_chinese_chars').boolean())
    steps.push(each(character => (CHINESE.test(character) ? ` ${character} ` : character)))
  if (strips)
    steps.push(
      whole(text => text.normalize('NFD')),
      removeMarks,
    )
  if (lower) steps.push(lowercase)
  return inOrder(steps)
}

const NMT_KEPT = /[\t\n\f\r\x80-\x8e\x90-\x9e\0]|\P{Cc}/u
const NMT_SPACE = /[\t\n\f\r \u1680\u200B-\u200F\u2028\u2029\u2581\uFEFF\uFFFD]/

const nmt = each(character => {
  if (!NMT_KEPT.test(character)) return ''
  return NMT_SPACE.test(character) ? ' ' : character
})

function strip(field: Field): Normalizer {
  const left = field.get('strip_left').boolean()
  const right = field.get('strip_right').boolean()
  return text => {
    let start = 0
    let end = text.length
    if (left) while (start < end && /\p{White_Space}/u.test(text[start])) start++
    if (right) while (end > start && /\p{White_Space}/u.test(text[end - 1])) end--
    return { text: text.slice(start, end), keepsStart: start === 0 }
  }
}

function replace(field: Field): Normalizer {
  const pattern = patternOf(field.get('pattern'))
  const content = field.get('content').text()
  return text => {
    const [first] = pattern.find(text)
    return { text: pattern.replace(text, content), keepsStart: !first.isMatch || first.end === 0 || content !== '' }
  }
}

function prepend(field: Field): Normalizer {
  const start = field.get('prepend').text()
  return whole(text => (text === '' ? '' : start + text))
}

/**
 * SentencePiece's table of replacements: a trie as a double array (of which a 32-bit number is a node), then the
 * replacements, each ended by a zero byte. It is applied to the characters that a reader sees as one, if they take fewer
 * than 6 bytes, otherwise to every code point.
 */
function precompiled(field: Field): Normalizer {
  const table = field.get('precompiled_charsmap')
  const bytes = bytesOf(table)
  if (bytes.length === 0) return kept
  const view = new DataView(bytes.buffer)
  const size = bytes.length >= 4 ? view.getUint32(0, true) : Number.NaN
  if (!(size % 4 === 0 && size >= 4 && size + 4 <= bytes.length)) table.fail('it is not a table of SentencePiece')
  const units = Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true))
  const replacements = bytes.subarray(4 + size)
  const utf8 = new TextEncoder()
  const fromUtf8 = new TextDecoder('utf-8', { ignoreBOM: true })
  const offset = (unit: number) => (unit >>> 10) << ((unit & 0x200) >>> 6)

  /** the replacement of the shortest beginning that has one */
  const replacementOf = (key: Uint8Array): string | undefined => {
    let node = offset(units[0])
    for (const byte of key) {
      if (byte === 0) return undefined
      node ^= byte
      const unit = units[node]
      if (unit === undefined || (unit & 0x8000_00ff) >>> 0 !== byte) return undefined
      node ^= offset(unit)
      if (((unit >>> 8) & 1) === 0) continue
      const start = units[node] === undefined ? replacements.length : units[node] & 0x7fff_ffff
      const end = replacements.indexOf(0, start)
      if (start >= replacements.length) table.fail('it points to a replacement that it does not contain')
      return fromUtf8.decode(replacements.subarray(start, end < 0 ? undefined : end))
    }
    return undefined
  }
  const known = new Map<string, string>()
  const change = (character: string): string => {
    const already = known.get(character)
    if (already !== undefined) return already
    const key = utf8.encode(character)
    const replaced =
      (key.length < 6 ? replacementOf(key) : undefined) ??
      Array.from(character, code => replacementOf(utf8.encode(code)) ?? code).join('')
    if (known.size >= 1 << 16) known.clear()
    known.set(character, replaced)
    return replaced
  }
  const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' })
  return text => {
    const characters = Array.from(segmenter.segment(text), ({ segment }) => change(segment))
    return { text: characters.join(''), keepsStart: characters.length === 0 || characters[0] !== '' }
  }
}

function bytesOf(base64: Field): Uint8Array<ArrayBuffer> {
  const text = base64.text()
  try {
    return Uint8Array.from(atob(text), character => character.charCodeAt(0))
  } catch {
    return base64.refuse('base64')
  }
}

function inOrder(steps: readonly Normalizer[]): Normalizer {
  return text => {
    let normalized = kept(text)
    for (const step of steps) {
      const next = step(normalized.text)
      normalized = { text: next.text, keepsStart: normalized.keepsStart && next.keepsStart }
    }
    return normalized
  }
}

const forms = ['NFC', 'NFD', 'NFKC', 'NFKD'] as const

const normalizers: Readonly<Record<string, (field: Field) => Normalizer>> = {
  BertNormalizer: bert,
  ByteLevel: () => whole(text => toByteCharacters(text).join('')),
  Lowercase: () => lowercase,
  Nmt: () => nmt,
  Precompiled: precompiled,
  Prepend: prepend,
  Replace: replace,
  Sequence: field => inOrder(field.get('normalizers').list().map(normalizerOf)),
  Strip: strip,
  StripAccents: () => each(character => (/\p{M}/u.test(character) ? '' : character)),
  ...Object.fromEntries(forms.map(form => [form, () => whole(text => text.normalize(form))])),
}

/** @throws TokenizerError naming the field */
export function normalizerOf(field: Field): Normalizer {
  const type = field.get('type').oneOf(Object.keys(normalizers))
  return normalizers[type](field)
}
