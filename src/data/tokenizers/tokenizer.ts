// The interface of tokenizers, which turn text into rows of ids, and the WordTokenizer, which learns its vocabulary
// from the given captions. Its vocabulary is easy to read and suits small datasets; larger ones use another Tokenizer.

import { TokenizerError } from '../../io/browser.ts'

import { type Settings, settle } from '../../tensor/options.ts'

/** Options of `encode` of a tokenizer. */
export interface EncodeOptions {
  /**
   * encode the spelling of a special token in a text, such as `<end_of_text>`, as ordinary characters, so that a text from
   * elsewhere cannot end a row early; default false, as in the original tokenizers
   */
  readonly splitSpecialTokens?: boolean
}
/** The defaults of {@link EncodeOptions}. */
export const encodeOptions = { splitSpecialTokens: false } satisfies Settings<EncodeOptions>

/** Options of `tokenize` of a tokenizer. */
export interface TokenizeOptions extends EncodeOptions {
  /** truncate texts that are too long and keep the end id, instead of throwing */
  readonly truncate?: boolean
}
const tokenizeOptions = { ...encodeOptions, truncate: false } satisfies Settings<TokenizeOptions>

/** Turns text into ids and back. */
export interface Tokenizer {
  /** ids are 0 … vocabularySize - 1 */
  readonly vocabularySize: number
  /** the id of padding after the end of a text */
  readonly pad: number
  /** id of the start of a text */
  readonly start: number
  /** id of the end of a text */
  readonly end: number
  /** the id of every word outside the vocabulary, if there is one */
  readonly unknown?: number
  /** the text alone: neither start, end nor pad */
  encode(text: string, options?: EncodeOptions): number[]
  /** back to text; start, end and pad are left out */
  decode(ids: Iterable<number>): string
  /** one row per text, as made by {@link tokenRows} */
  tokenize(texts: readonly string[], contextLength: number, options?: TokenizeOptions): Int32Array
  /** everything needed to make an equal tokenizer, JSON-safe */
  toJSON(): unknown
}

/**
 * Rows of a fixed length: start, the text, end, then pad. Without a start in the tokenizer, a row begins with the text.
 * @returns [texts.length, contextLength]
 * @throws TokenizerError naming the text that is too long, its length and the limit
 */
export function tokenRows(
  tokenizer: Pick<Tokenizer, 'encode' | 'end' | 'pad'> & Partial<Pick<Tokenizer, 'start'>>,
  texts: readonly string[],
  contextLength: number,
  options?: TokenizeOptions,
): Int32Array {
  const call = 'tokenizer.tokenize(texts, contextLength, options)'
  const { truncate, splitSpecialTokens } = settle(call, options, tokenizeOptions)
  const start = tokenizer.start === undefined ? [] : [tokenizer.start]
  const around = start.length + 1
  const what = start.length > 0 ? 'start and end' : 'its end'
  if (!Number.isSafeInteger(contextLength) || contextLength < around)
    throw new TokenizerError(`the context length must hold ${what}: at least ${around}, not ${contextLength}`)
  const rows = new Int32Array(texts.length * contextLength).fill(tokenizer.pad)
  texts.forEach((text, row) => {
    const ids = tokenizer.encode(text, { splitSpecialTokens })
    if (ids.length + around > contextLength && !truncate)
      throw new TokenizerError(
        `'${text}' takes ${ids.length + around} ids with ${what}, and the context length is ${contextLength}`,
      )
    const kept = ids.slice(0, contextLength - around)
    rows.set([...start, ...kept, tokenizer.end], row * contextLength)
  })
  return rows
}

/** Options of a `WordTokenizer`. */
export interface WordTokenizerOptions {
  /** the maximum number of ids, including the four special ones */
  readonly maxVocabulary?: number
  /** treat upper-case and lower-case letters alike; default true */
  readonly lowerCase?: boolean
  /** a word that occurs fewer times is unknown; default 1 */
  readonly minCount?: number
}
const wordOptions = { maxVocabulary: Infinity, lowerCase: true, minCount: 1 } satisfies Settings<WordTokenizerOptions>

const SPECIALS = ['<pad>', '<start>', '<end>', '<unk>'] as const

/** A sequence of letters and digits, with apostrophes and hyphens inside; or any other single visible character. */
const WORD = /[\p{L}\p{M}\p{N}]+(?:['’-][\p{L}\p{M}\p{N}]+)*|[^\s\p{L}\p{M}\p{N}]/gu

/** Signs that are written without a space before them, or after them. */
const CLOSING = new Set('.,;:!?)]}%…'.split(''))
const OPENING = new Set('([{'.split(''))

/**
 * One id per word or punctuation mark. Ids 0 to 3 are `<pad>`, `<start>`, `<end>` and `<unk>`; words follow by frequency,
 * equally frequent ones by code unit. No text encodes to a special id except `<unk>`.
 */
export class WordTokenizer implements Tokenizer {
  readonly pad = 0
  /** id of the start of a text */
  readonly start = 1
  /** id of the end of a text */
  readonly end = 2
  readonly unknown = 3
  /** whether texts are written in lower case first */
  readonly lowerCase: boolean
  /** the words in the order of their ids, the first of them 4 */
  readonly words: readonly string[]
  readonly #ids: ReadonlyMap<string, number>

  private constructor(words: readonly string[], lowerCase: boolean) {
    this.words = words
    this.lowerCase = lowerCase
    this.#ids = new Map(words.map((word, i) => [word, SPECIALS.length + i]))
  }

  /**
   * Learns the vocabulary from captions.
   * @throws TokenizerError if there are more words than `maxVocabulary` allows, or none
   */
  static fromCaptions(captions: Iterable<string>, options?: WordTokenizerOptions): WordTokenizer {
    const call = 'WordTokenizer.fromCaptions(captions, options)'
    const { maxVocabulary, lowerCase, minCount } = settle(call, options, wordOptions)
    const counts = new Map<string, number>()
    for (const caption of captions)
      for (const word of splitWords(caption, lowerCase)) counts.set(word, (counts.get(word) ?? 0) + 1)
    const frequent = [...counts].filter(([, count]) => count >= minCount)
    frequent.sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    if (frequent.length === 0) throw new TokenizerError(`no word occurs ${minCount} times in the captions`)
    const room = maxVocabulary - SPECIALS.length
    if (frequent.length > room) {
      const enough = (frequent[room]?.[1] ?? 0) + 1
      const advice = frequent[0][1] >= enough ? `: minCount ${enough} would keep few enough` : ''
      throw new TokenizerError(
        `${frequent.length} words and ${SPECIALS.length} special ids do not fit in a vocabulary of ${maxVocabulary}${advice}`,
      )
    }
    const words = frequent.map(([word]) => word)
    return new WordTokenizer(words, lowerCase)
  }

  /**
   * A tokenizer from what `JSON.stringify` makes of one.
   * @throws TokenizerError if the value is not a result of {@link toJSON}
   */
  static fromJSON(value: unknown): WordTokenizer {
    const { type, lowerCase, words } = (value ?? {}) as Record<string, unknown>
    if (type !== 'words')
      throw new TokenizerError(`type is ${JSON.stringify(type)}: it is "words" for a word tokenizer`)
    if (typeof lowerCase !== 'boolean') throw new TokenizerError('lowerCase is not true or false')
    if (!Array.isArray(words)) throw new TokenizerError('words is not a list')
    for (const [i, word] of words.entries())
      if (typeof word !== 'string' || word === '') throw new TokenizerError(`words[${i}] is not a word`)
    if (new Set(words).size !== words.length) throw new TokenizerError('words names a word twice')
    return new WordTokenizer([...words], lowerCase)
  }

  get vocabularySize(): number {
    return SPECIALS.length + this.words.length
  }

  encode(text: string): number[] {
    return splitWords(text, this.lowerCase).map(word => this.#ids.get(word) ?? this.unknown)
  }

  /**
   * Words with spaces between them, and punctuation in its place; an unknown word becomes `<unk>`.
   * @throws TokenizerError for an id outside the vocabulary
   */
  decode(ids: Iterable<number>): string {
    let text = ''
    let glued = true
    for (const id of ids) {
      if (id === this.pad || id === this.start || id === this.end) continue
      const word = id === this.unknown ? SPECIALS[3] : this.words[id - SPECIALS.length]
      if (word === undefined) throw new TokenizerError(`id ${id} is outside the vocabulary of ${this.vocabularySize}`)
      text += glued || CLOSING.has(word) ? word : ` ${word}`
      glued = OPENING.has(word)
    }
    return text
  }

  tokenize(texts: readonly string[], contextLength: number, options?: TokenizeOptions): Int32Array {
    return tokenRows(this, texts, contextLength, options)
  }

  toJSON(): { type: 'words'; lowerCase: boolean; words: string[] } {
    return { type: 'words', lowerCase: this.lowerCase, words: [...this.words] }
  }
}

function splitWords(text: string, lowerCase: boolean): string[] {
  const words = lowerCase ? text.toLowerCase() : text
  return words.normalize('NFC').match(WORD) ?? []
}
