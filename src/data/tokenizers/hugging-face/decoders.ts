// The decoders of a tokenizer.json: how tokens become text again. Definitions are those of Hugging Face's `tokenizers`
// 0.23 (tokenizers/src/decoders).

import { CHARACTER_OF_BYTE } from '../byte-pairs.ts'
import type { Field } from './fields.ts'
import { patternOf } from './pattern.ts'
import { metaspaceOf } from './pre-tokenizers.ts'

/** Changes the texts of tokens; joined, they are the decoded text. */
export type Decoder = (tokens: readonly string[]) => readonly string[]

const utf8 = new TextEncoder()
const fromUtf8 = new TextDecoder('utf-8', { ignoreBOM: true })
const strictUtf8 = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true })
const BYTE_OF_CHARACTER = new Map(CHARACTER_OF_BYTE.map((character, byte) => [character, byte]))

const byteLevel: Decoder = tokens => {
  const bytes: number[] = []
  for (const token of tokens) {
    const own = Array.from(token, character => BYTE_OF_CHARACTER.get(character))
    // a token with a character that stands for no byte is taken as it is
    for (const byte of own.every(each => each !== undefined) ? own : utf8.encode(token)) bytes.push(byte as number)
  }
  return [fromUtf8.decode(Uint8Array.from(bytes))]
}

const BYTE_TOKEN = /^<0x([0-9A-Fa-f]{2}|\+[0-9A-Fa-f])>$/

const byteFallback: Decoder = tokens => {
  const decoded: string[] = []
  let bytes: number[] = []
  const flush = () => {
    if (bytes.length === 0) return
    try {
      decoded.push(strictUtf8.decode(Uint8Array.from(bytes)))
    } catch {
      for (const _ of bytes) decoded.push('\ufffd')
    }
    bytes = []
  }
  for (const token of tokens) {
    const found = BYTE_TOKEN.exec(token)
    if (found) bytes.push(Number.parseInt(found[1].replace('+', ''), 16))
    else {
      flush()
      decoded.push(token)
    }
  }
  flush()
  return decoded
}

const CLEANED: readonly (readonly [string, string])[] = [
  [' .', '.'],
  [' ?', '?'],
  [' !', '!'],
  [' ,', ','],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [' do not', " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
]

const clean = (text: string): string =>
  CLEANED.reduce((cleaned, [from, to]) => cleaned.replaceAll(from, () => to), text)

function wordPiece(field: Field): Decoder {
  const prefix = field.get('prefix').text()
  const cleans = field.get('cleanup').boolean()
  return tokens =>
    tokens.map((token, i) => {
      const joined = i === 0 ? token : token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`
      return cleans ? clean(joined) : joined
    })
}

function bytePairs(field: Field): Decoder {
  const suffix = field.get('suffix').text()
  if (suffix === '') field.get('suffix').refuse('at least one character')
  return tokens => tokens.map((token, i) => token.replaceAll(suffix, i === tokens.length - 1 ? '' : ' '))
}

function metaspace(field: Field): Decoder {
  const { space, scheme } = metaspaceOf(field)
  return tokens => tokens.map((token, i) => token.replaceAll(space, i === 0 && scheme !== 'never' ? '' : ' '))
}

function ctc(field: Field): Decoder {
  const pad = field.get('pad_token').text()
  const delimiter = field.get('word_delimiter_token').text()
  const cleans = field.get('cleanup').boolean()
  if (pad === '') field.get('pad_token').refuse('at least one character')
  if (delimiter === '') field.get('word_delimiter_token').refuse('at least one character')
  return tokens =>
    tokens
      .filter((token, i) => i === 0 || token !== tokens[i - 1])
      .map(token => token.replaceAll(pad, ''))
      .map(token => (cleans ? clean(token).replaceAll(delimiter, ' ') : token))
      .filter(token => token !== '')
}

function strip(field: Field): Decoder {
  const content = field.get('content').character()
  const atStart = field.get('start').integer()
  const atEnd = field.get('stop').integer()
  return tokens =>
    tokens.map(token => {
      const characters = [...token]
      let start = 0
      while (start < atStart && characters[start] === content) start++
      let end = characters.length
      while (characters.length - end < atEnd && characters[end - 1] === content) end--
      return characters.slice(start, end).join('')
    })
}

function replace(field: Field): Decoder {
  const pattern = patternOf(field.get('pattern'))
  const content = field.get('content').text()
  return tokens => tokens.map(token => pattern.replace(token, content))
}

const inOrder =
  (steps: readonly Decoder[]): Decoder =>
  tokens =>
    steps.reduce((each, step) => step(each), tokens)

const decoders: Readonly<Record<string, (field: Field) => Decoder>> = {
  BPEDecoder: bytePairs,
  ByteFallback: () => byteFallback,
  ByteLevel: () => byteLevel,
  CTC: ctc,
  Fuse: () => tokens => [tokens.join('')],
  Metaspace: metaspace,
  Replace: replace,
  Sequence: field => inOrder(field.get('decoders').list().map(decoderOf)),
  Strip: strip,
  WordPiece: wordPiece,
}

/** @throws TokenizerError naming the field */
export function decoderOf(field: Field): Decoder {
  return decoders[field.get('type').oneOf(Object.keys(decoders))](field)
}
