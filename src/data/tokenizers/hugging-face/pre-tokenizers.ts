// The pre-tokenizers of a tokenizer.json: how a text is split into the words that a model looks up. Definitions are
// those of Hugging Face's `tokenizers` 0.23 (tokenizers/src/pre_tokenizers).

import { toByteCharacters } from '../byte-pairs.ts'
import type { Field } from './fields.ts'
import { patternOf, type Span } from './pattern.ts'

/** Part of a text, and whether it begins where the whole text begins. */
export interface Piece {
  readonly text: string
  readonly isFirst: boolean
}

export type PreTokenizer = (piece: Piece) => readonly Piece[]

const BEHAVIORS = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'] as const
type Behavior = (typeof BEHAVIORS)[number]

/** What becomes of the parts that separate: they are left out, stand alone, or join a neighbour or each other. */
function arrange(spans: readonly Span[], behavior: Behavior): Span[] {
  if (behavior === 'Removed') return spans.filter(({ isMatch }) => !isMatch)
  if (behavior === 'Isolated') return [...spans]
  const order = behavior === 'MergedWithNext' ? [...spans].reverse() : spans
  const arranged: Span[] = []
  let isAfterMatch = false
  for (const span of order) {
    const joins = behavior === 'Contiguous' ? span.isMatch === isAfterMatch : span.isMatch && !isAfterMatch
    const last = arranged.at(-1)
    if (joins && last) {
      const [start, end] = [Math.min(last.start, span.start), Math.max(last.end, span.end)]
      arranged[arranged.length - 1] = { ...last, start, end }
    } else arranged.push(span)
    isAfterMatch = span.isMatch
  }
  return behavior === 'MergedWithNext' ? arranged.reverse() : arranged
}

function cut({ text, isFirst }: Piece, spans: readonly Span[], behavior: Behavior): Piece[] {
  return arrange(spans, behavior)
    .filter(({ start, end }) => end > start)
    .map(({ start, end }) => ({ text: text.slice(start, end), isFirst: isFirst && start === 0 }))
}

/** Every match of a JavaScript pattern, of which none is empty, and what is between them. */
function spansOf(text: string, expression: RegExp): Span[] {
  const spans: Span[] = []
  let end = 0
  for (const { index, 0: found } of text.matchAll(expression)) {
    if (index > end) spans.push({ start: end, end: index, isMatch: false })
    end = index + found.length
    spans.push({ start: index, end, isMatch: true })
  }
  if (end < text.length) spans.push({ start: end, end: text.length, isMatch: false })
  return spans
}

const splitting =
  (expression: RegExp, behavior: Behavior): PreTokenizer =>
  piece =>
    cut(piece, spansOf(piece.text, expression), behavior)

const WHITE_SPACE = /\p{White_Space}/gu
const PUNCTUATION = /[\p{P}!-/:-@[-`{-~]/gu
/** The definition of `\w` in the Unicode standard, and other characters that can be seen. */
const WORDS =
  /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}\p{White_Space}]+/gu
/** GPT-2's words, with the space before them. */
const BYTE_LEVEL =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu

const inverted = (spans: readonly Span[]): Span[] => spans.map(span => ({ ...span, isMatch: !span.isMatch }))

function byteLevel(field: Field): PreTokenizer {
  const addsSpace = field.get('add_prefix_space').boolean()
  field.get('trim_offsets').boolean()
  const splits = field.get('use_regex').or(true, each => each.boolean())
  return ({ text, isFirst }) => {
    const spaced = { text: addsSpace && !text.startsWith(' ') ? ` ${text}` : text, isFirst }
    const pieces = splits ? cut(spaced, spansOf(spaced.text, BYTE_LEVEL), 'Isolated') : [spaced]
    return pieces.map(piece => ({ ...piece, text: toByteCharacters(piece.text).join('') }))
  }
}

function metaspace(field: Field): PreTokenizer {
  const { space, scheme } = metaspaceOf(field)
  const splits = field.get('split').or(true, each => each.boolean())
  return ({ text, isFirst }) => {
    const spaced = text.replaceAll(' ', space)
    const prepends = !spaced.startsWith(space) && (scheme === 'always' || (scheme === 'first' && isFirst))
    const piece = { text: prepends ? space + spaced : spaced, isFirst }
    if (!splits) return [piece]
    const spans: Span[] = []
    for (const part of piece.text.split(new RegExp(`(${space.replace(/[\\^$.|?*+()[\]{}/]/g, '\\$&')})`, 'u'))) {
      const start = spans.at(-1)?.end ?? 0
      if (part !== '') spans.push({ start, end: start + part.length, isMatch: part === space })
    }
    return cut(piece, spans, 'MergedWithNext')
  }
}

const SCHEMES = ['always', 'first', 'never'] as const
type Scheme = (typeof SCHEMES)[number]

/** The character for a space, and where one is put before a text. */
export function metaspaceOf(field: Field): { space: string; scheme: Scheme } {
  const scheme = field.get('prepend_scheme').or<Scheme, Scheme>('always', each => each.oneOf(SCHEMES))
  const adds = field.get('add_prefix_space')
  if (!adds.isEmpty && !adds.boolean() && scheme !== 'never')
    adds.fail(`it is false, but prepend_scheme is '${scheme}': set prepend_scheme to 'never'`)
  return { space: field.get('replacement').character(), scheme }
}

function split(field: Field): PreTokenizer {
  const pattern = patternOf(field.get('pattern'))
  const behavior = field.get('behavior').oneOf(BEHAVIORS)
  const inverts = field.get('invert').boolean()
  return piece => {
    const spans = pattern.find(piece.text)
    return cut(piece, inverts ? inverted(spans) : spans, behavior)
  }
}

function fixedLength(field: Field): PreTokenizer {
  const length = field.get('length').or(5, each => each.integer(1))
  return ({ text, isFirst }) => {
    const characters = [...text]
    const pieces: Piece[] = []
    for (let i = 0; i < characters.length; i += length)
      pieces.push({ text: characters.slice(i, i + length).join(''), isFirst: isFirst && i === 0 })
    return pieces
  }
}

function charDelimiter(field: Field): PreTokenizer {
  const delimiter = field.get('delimiter').character()
  return splitting(new RegExp(delimiter.replace(/[\\^$.|?*+()[\]{}/]/, '\\$&'), 'gu'), 'Removed')
}

function digits(field: Field): PreTokenizer {
  const isEach = field.get('individual_digits').or(false, each => each.boolean())
  return splitting(/\p{N}/gu, isEach ? 'Isolated' : 'Contiguous')
}

const inOrder =
  (steps: readonly PreTokenizer[]): PreTokenizer =>
  piece =>
    steps.reduce<readonly Piece[]>((pieces, step) => pieces.flatMap(each => step(each)), [piece])

const spaces = splitting(WHITE_SPACE, 'Removed')

const preTokenizers: Readonly<Record<string, (field: Field) => PreTokenizer>> = {
  BertPreTokenizer: () => inOrder([spaces, splitting(PUNCTUATION, 'Isolated')]),
  ByteLevel: byteLevel,
  CharDelimiterSplit: charDelimiter,
  Digits: digits,
  FixedLength: fixedLength,
  Metaspace: metaspace,
  Punctuation: field =>
    splitting(
      PUNCTUATION,
      field.get('behavior').or('Isolated', each => each.oneOf(BEHAVIORS)),
    ),
  Sequence: field => inOrder(field.get('pretokenizers').list().map(preTokenizerOf)),
  Split: split,
  Whitespace: () => piece => cut(piece, inverted(spansOf(piece.text, WORDS)), 'Removed'),
  WhitespaceSplit: () => spaces,
}

/** @throws TokenizerError naming the field */
export function preTokenizerOf(field: Field): PreTokenizer {
  const type = field.get('type')
  if (type.value === 'UnicodeScripts')
    type.fail('UnicodeScripts is not supported: save the tokenizer with a Split pre-tokenizer in its place')
  return preTokenizers[type.oneOf(Object.keys(preTokenizers))](field)
}
