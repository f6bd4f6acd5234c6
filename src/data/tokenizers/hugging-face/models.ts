// The models of a tokenizer.json: how a word becomes ids. Definitions are those of Hugging Face's `tokenizers` 0.23
// (tokenizers/src/models).

import TinyQueue from 'tinyqueue'
import { TokenizerError } from '../../../io/browser.ts'

import { type Field, shown } from './fields.ts'
import { Prefixes } from './prefixes.ts'

export interface Model {
  /** the ids of the model's own tokens */
  readonly ids: ReadonlyMap<string, number>
  /** the id of what the model does not know */
  readonly unknown?: number
  /** Appends the ids of one word, which is not empty. */
  encode(word: string, to: number[]): void
}

const utf8 = new TextEncoder()
const byteTokens = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)

/** The ids of a text's bytes, if the vocabulary has a token for each. */
function bytesOf(text: string, ids: ReadonlyMap<string, number>): number[] | undefined {
  const bytes = Array.from(utf8.encode(text), byte => ids.get(byteTokens[byte]))
  return bytes.every(id => id !== undefined) ? (bytes as number[]) : undefined
}

/** `{ "token": id, … }` */
function vocabularyOf(field: Field): Map<string, number> {
  const ids = new Map<string, number>()
  const tokens = new Map<number, string>()
  for (const [token, id] of field.entries()) {
    const other = tokens.get(id.integer())
    if (other !== undefined) field.fail(`${shown(token)} and ${shown(other)} have the same id ${id.integer()}`)
    ids.set(token, id.integer())
    tokens.set(id.integer(), token)
  }
  return ids
}

/** The id of the unknown token, which has to be in the vocabulary. */
function unknownOf(field: Field, ids: ReadonlyMap<string, number>): number {
  return ids.get(field.text()) ?? field.refuse('a token of model.vocab')
}

interface Merge {
  readonly rank: number
  readonly id: number
}

const KEY = 2 ** 26

/** Words in a cache, and the longest word in it. */
const CACHED_WORDS = 1 << 16
const LONGEST_CACHED = 32

/** Byte-pair encoding: a word's characters, of which pairs are joined, those with the smaller rank first. */
class BytePairModel implements Model {
  readonly ids: ReadonlyMap<string, number>
  readonly unknown: number | undefined
  readonly #prefix: string
  readonly #suffix: string
  readonly #fusesUnknown: boolean
  readonly #usesBytes: boolean
  readonly #ignoresMerges: boolean
  readonly #merges = new Map<number, Merge>()
  readonly #cache = new Map<string, readonly number[]>()

  constructor(field: Field) {
    const text = (name: string) => field.get(name).or('', each => each.text())
    const flag = (name: string) => field.get(name).or(false, each => each.boolean())
    this.ids = vocabularyOf(field.get('vocab'))
    this.unknown = field.get('unk_token').or(undefined, each => unknownOf(each, this.ids))
    this.#prefix = text('continuing_subword_prefix')
    this.#suffix = text('end_of_word_suffix')
    this.#fusesUnknown = flag('fuse_unk')
    this.#usesBytes = flag('byte_fallback')
    this.#ignoresMerges = flag('ignore_merges')
    const dropout = field.get('dropout')
    if (!dropout.isEmpty && dropout.number() !== 0)
      dropout.refuse('null: with a dropout the ids of a text are random, so set it to null')
    for (const [rank, merge] of field.get('merges').list().entries()) this.#learn(merge, rank)
  }

  #learn(merge: Field, rank: number): void {
    const [left, right] = pairOf(merge)
    const id = this.ids.get(left + right.slice(this.#prefix.length))
    const [first, second] = [this.ids.get(left), this.ids.get(right)]
    if (id === undefined || first === undefined || second === undefined || !right.startsWith(this.#prefix))
      merge.refuse('two tokens of model.vocab that make a third')
    this.#merges.set(first * KEY + second, { rank, id })
  }

  encode(word: string, to: number[]): void {
    let ids = this.#cache.get(word)
    if (!ids) {
      const id = this.#ignoresMerges ? this.ids.get(word) : undefined
      ids = id === undefined ? this.#join(this.#characters(word)) : [id]
      if (word.length <= LONGEST_CACHED) {
        if (this.#cache.size === CACHED_WORDS) this.#cache.clear()
        this.#cache.set(word, ids)
      }
    }
    for (const id of ids) to.push(id)
  }

  #characters(word: string): number[] {
    const ids: number[] = []
    let waiting = false // an unknown token that the next unknown character may join
    const characters = [...word]
    for (const [i, character] of characters.entries()) {
      const isLast = i === characters.length - 1
      const token = (i > 0 ? this.#prefix : '') + character + (isLast ? this.#suffix : '')
      const id = this.ids.get(token)
      if (id !== undefined) {
        if (waiting) ids.push(this.unknown!)
        waiting = false
        ids.push(id)
        continue
      }
      const bytes = this.#usesBytes ? bytesOf(token, this.ids) : undefined
      if (bytes) ids.push(...bytes)
      else if (this.unknown !== undefined) {
        if (waiting && !this.#fusesUnknown) ids.push(this.unknown)
        waiting = true
      }
    }
    if (waiting) ids.push(this.unknown!)
    return ids
  }

  #join(ids: number[]): number[] {
    const next = ids.map((_, i) => (i + 1 < ids.length ? i + 1 : -1))
    const previous = ids.map((_, i) => i - 1)
    const isGone = new Uint8Array(ids.length)
    const mergeAt = (at: number): Merge | undefined =>
      next[at] < 0 ? undefined : this.#merges.get(ids[at] * KEY + ids[next[at]])
    const queue = new TinyQueue<Merge & { at: number }>([], (a, b) => a.rank - b.rank || a.at - b.at)
    const consider = (at: number) => {
      const merge = mergeAt(at)
      if (merge) queue.push({ ...merge, at })
    }
    for (let at = 0; at < ids.length; at++) consider(at)
    for (let best = queue.pop(); best; best = queue.pop()) {
      const { at } = best
      if (isGone[at] === 1 || mergeAt(at)?.id !== best.id) continue
      const right = next[at]
      ids[at] = best.id
      isGone[right] = 1
      next[at] = next[right]
      if (next[at] >= 0) previous[next[at]] = at
      if (previous[at] >= 0) consider(previous[at])
      consider(at)
    }
    return ids.filter((_, at) => isGone[at] === 0)
  }
}

/** `"a b"` or `["a", "b"]` */
function pairOf(field: Field): [string, string] {
  const pair = typeof field.value === 'string' ? field.text().split(' ') : field.list().map(each => each.text())
  if (pair.length !== 2) field.refuse('two tokens')
  return pair as [string, string]
}

/** WordPiece: the longest token that a word begins with, then the longest that the rest begins with, and so on. */
class WordPieceModel implements Model {
  readonly ids: ReadonlyMap<string, number>
  readonly unknown: number
  readonly #prefix: string
  readonly #longest: number
  readonly #longestToken: number

  constructor(field: Field) {
    this.ids = vocabularyOf(field.get('vocab'))
    this.unknown = unknownOf(field.get('unk_token'), this.ids)
    this.#prefix = field.get('continuing_subword_prefix').text()
    this.#longest = field.get('max_input_chars_per_word').integer()
    let longest = 0
    for (const token of this.ids.keys()) longest = Math.max(longest, token.length)
    this.#longestToken = longest
  }

  encode(word: string, to: number[]): void {
    const characters = [...word]
    const before = to.length
    if (characters.length <= this.#longest && this.#pieces(word, to)) return
    to.length = before
    to.push(this.unknown)
  }

  #pieces(word: string, to: number[]): boolean {
    for (let start = 0; start < word.length; ) {
      const prefix = start > 0 ? this.#prefix : ''
      let end = Math.min(word.length, start + this.#longestToken)
      let id: number | undefined
      for (; end > start; end--) {
        id = this.ids.get(prefix + word.slice(start, end))
        if (id !== undefined) break
      }
      if (id === undefined) return false
      to.push(id)
      start = end
    }
    return true
  }
}

/** Every word has an id of its own. */
class WordLevelModel implements Model {
  readonly ids: ReadonlyMap<string, number>
  readonly unknown: number | undefined
  readonly #name: string

  constructor(field: Field) {
    this.ids = vocabularyOf(field.get('vocab'))
    this.#name = field.get('unk_token').text()
    this.unknown = this.ids.get(this.#name)
  }

  /** @throws TokenizerError for an unknown word if the vocabulary has no unknown token, as in the original */
  encode(word: string, to: number[]): void {
    const id = this.ids.get(word) ?? this.unknown
    if (id === undefined)
      throw new TokenizerError(
        `the word ${shown(word)} is not in the vocabulary, and neither is the unknown token ${shown(this.#name)}: add one of them to model.vocab`,
      )
    to.push(id)
  }
}

/** What an unknown character costs more than the least likely token. */
const UNKNOWN_PENALTY = 10

/** SentencePiece's Unigram: of all ways to write a word in tokens, the one with the largest sum of log-probabilities. */
class UnigramModel implements Model {
  readonly ids: ReadonlyMap<string, number>
  readonly unknown: number | undefined
  readonly #scores: Float64Array
  readonly #unknownScore: number
  readonly #usesBytes: boolean
  readonly #prefixes: Prefixes

  constructor(field: Field) {
    const tokens = field.get('vocab').list()
    if (tokens.length === 0) field.get('vocab').refuse('a list of at least one token')
    this.#scores = new Float64Array(tokens.length)
    const ids = new Map<string, number>()
    let least = Infinity
    for (const [id, token] of tokens.entries()) {
      const pair = token.list()
      if (pair.length !== 2) token.refuse('a token and its score')
      ids.set(pair[0].text(), id)
      this.#scores[id] = pair[1].number()
      least = Math.min(least, this.#scores[id])
    }
    const unknown = field.get('unk_id')
    this.ids = ids
    this.unknown = unknown.or(undefined, each => each.integer())
    if (this.unknown !== undefined && this.unknown >= tokens.length) unknown.refuse(`less than ${tokens.length} tokens`)
    this.#unknownScore = least - UNKNOWN_PENALTY
    this.#usesBytes = field.get('byte_fallback').or(false, each => each.boolean())
    this.#prefixes = new Prefixes(ids.keys())
  }

  encode(word: string, to: number[]): void {
    const size = word.length
    const best = new Float64Array(size + 1)
    const from = new Int32Array(size + 1).fill(-1)
    const token = new Int32Array(size + 1)
    const offer = (start: number, end: number, score: number, id: number) => {
      if (from[end] >= 0 && !(score > best[end])) return
      best[end] = score
      from[end] = start
      token[end] = id
    }
    for (let start = 0; start < size; ) {
      const width = word.codePointAt(start)! > 0xffff ? 2 : 1
      let hasCharacter = false
      this.#prefixes.at(word, start, (piece, end) => {
        const id = this.ids.get(piece)!
        offer(start, end, best[start] + this.#scores[id], id)
        if (end === start + width) hasCharacter = true
      })
      if (!hasCharacter) offer(start, start + width, best[start] + this.#unknownScore, this.#unknownId(word, start))
      start += width
    }
    const parts: string[] = []
    let unknown = ''
    for (let end = size; end > 0; end = from[end]) {
      const part = word.slice(from[end], end)
      if (token[end] === this.unknown) {
        unknown = part + unknown // neighbouring unknown characters are one token
        continue
      }
      if (unknown !== '') parts.push(unknown)
      unknown = ''
      parts.push(part)
    }
    if (unknown !== '') parts.push(unknown)
    for (const part of parts.reverse()) {
      const id = this.ids.get(part)
      const bytes = id === undefined && this.#usesBytes ? bytesOf(part, this.ids) : undefined
      if (bytes) for (const byte of bytes) to.push(byte)
      else to.push(id ?? this.unknown!)
    }
  }

  #unknownId(word: string, at: number): number {
    if (this.unknown !== undefined) return this.unknown
    const character = String.fromCodePoint(word.codePointAt(at)!)
    throw new TokenizerError(
      `the character ${shown(character)} is in no token, and there is no unknown token: set model.unk_id to its id`,
    )
  }
}

const models: Readonly<Record<string, new (field: Field) => Model>> = {
  BPE: BytePairModel,
  WordPiece: WordPieceModel,
  WordLevel: WordLevelModel,
  Unigram: UnigramModel,
}

/** @throws TokenizerError naming the field */
export function modelOf(field: Field): Model {
  const type = field.get('type').or(undefined, each => each.oneOf(Object.keys(models))) ?? typeByFields(field)
  return new models[type](field)
}

/** Files of before 2020 do not say which model they hold. */
function typeByFields(field: Field): string {
  if (field.get('merges').value !== undefined) return 'BPE'
  if (Array.isArray(field.get('vocab').value)) return 'Unigram'
  return field.get('max_input_chars_per_word').value === undefined ? 'WordLevel' : 'WordPiece'
}
