// Learns byte pairs from captions. The result is an ordinary `tokenizer.json`, and the same captions in any order give
// the same file.

import TinyQueue from 'tinyqueue'
import { TokenizerError } from '../../io/browser.ts'

import * as is from '../../tensor/kinds.ts'
import { type Settings, settle } from '../../tensor/options.ts'
import { BYTES_BY_ID, CHARACTER_OF_BYTE, toByteCharacters } from './byte-pairs.ts'
import { JsonTokenizer } from './json.ts'

/** Options of `trainBytePairs`. */
export interface TrainBytePairsOptions {
  /** total number of ids: 3 special ones, 256 bytes, and one merge for each of the rest */
  readonly vocabularySize: number
  /** treat upper-case and lower-case letters alike; default true */
  readonly lowerCase?: boolean
  /** a pair that occurs fewer times is not joined; default 2 */
  readonly minCount?: number
}
const bytePairsOptions = {
  vocabularySize: is.number,
  lowerCase: true,
  minCount: 2,
} satisfies Settings<TrainBytePairsOptions>

const SPECIALS = ['<pad>', '<start>', '<end>'] as const
const FIRST_MERGE = SPECIALS.length + 256

/** Words with the space before them (GPT-2's rule, which is `ByteLevel` in a tokenizer.json). */
const WORD = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu

/**
 * Repeatedly joins the most frequent pair of neighbours (Sennrich et al. 2016, algorithm 1); of equally frequent
 * ones the pair with the smaller ids.
 * @throws TokenizerError if the vocabulary is too small for the bytes, or there is no caption
 */
export function trainBytePairs(captions: Iterable<string>, options: TrainBytePairsOptions): JsonTokenizer {
  const call = 'trainBytePairs(captions, options)'
  const { vocabularySize, lowerCase, minCount } = settle(call, options, bytePairsOptions)
  if (!Number.isSafeInteger(vocabularySize) || vocabularySize < FIRST_MERGE)
    throw new TokenizerError(
      `a vocabulary of byte pairs has at least ${FIRST_MERGE} ids, of which 256 are bytes, not ${vocabularySize}`,
    )
  const pieces: string[] = [...SPECIALS, ...BYTES_BY_ID.map(byte => CHARACTER_OF_BYTE[byte])]
  const ids = new Map(pieces.map((piece, id) => [piece, id]))
  const words = countWords(captions, lowerCase, ids)
  if (words.length === 0) throw new TokenizerError('the captions contain no text')
  const pairs = new PairCounts(words)
  const merges: [string, string][] = []
  while (pieces.length < vocabularySize) {
    const best = pairs.takeMostFrequent(minCount)
    if (!best) break
    const [left, right] = best
    const piece = pieces[left] + pieces[right]
    // the same token may be made in two ways: a + bc, ab + c
    const id = ids.get(piece) ?? pieces.push(piece) - 1
    ids.set(piece, id)
    pairs.join(left, right, id)
    merges.push([pieces[left], pieces[right]])
  }
  return JsonTokenizer.fromJSON(describe(pieces, merges, lowerCase))
}

interface Word {
  ids: number[]
  readonly count: number
}

function countWords(captions: Iterable<string>, lowerCase: boolean, ids: ReadonlyMap<string, number>): Word[] {
  const counts = new Map<string, number>()
  for (const caption of captions) {
    const text = caption.normalize('NFC')
    for (const word of (lowerCase ? text.toLowerCase() : text).match(WORD) ?? [])
      counts.set(word, (counts.get(word) ?? 0) + 1)
  }
  return Array.from(counts, ([word, count]) => ({ ids: toByteCharacters(word).map(piece => ids.get(piece)!), count }))
}

type Pair = readonly [left: number, right: number]

/** The number of times that two ids are neighbours, updated while they are joined. */
class PairCounts {
  readonly #words: readonly Word[]
  readonly #counts = new Map<number, number>()
  /** indices of words that contained a pair at some time */
  readonly #holders = new Map<number, Set<number>>()
  /** every count that a pair has had; outdated ones are skipped */
  readonly #queue: TinyQueue<{ readonly key: number; readonly count: number }>

  constructor(words: readonly Word[]) {
    this.#words = words
    for (const [w, word] of words.entries()) this.#count(w, word.ids, word.count)
    const all = Array.from(this.#counts, ([key, count]) => ({ key, count }))
    this.#queue = new TinyQueue(all, (a, b) => b.count - a.count || a.key - b.key)
  }

  /** The most frequent pair, if it occurs often enough. */
  takeMostFrequent(minCount: number): Pair | undefined {
    for (let top = this.#queue.pop(); top && top.count >= minCount; top = this.#queue.pop())
      if (this.#counts.get(top.key) === top.count) return [Math.floor(top.key / KEY), top.key % KEY]
    return undefined
  }

  /** Replaces every occurrence of a pair with one id. */
  join(left: number, right: number, joined: number): void {
    const key = keyOf(left, right)
    const changed = new Set<number>()
    for (const w of this.#holders.get(key) ?? []) {
      const word = this.#words[w]
      const ids = replacePair(word.ids, left, right, joined)
      if (ids.length === word.ids.length) continue
      this.#count(w, word.ids, -word.count, changed)
      this.#count(w, ids, word.count, changed)
      word.ids = ids
    }
    this.#holders.delete(key)
    for (const pair of changed) {
      const count = this.#counts.get(pair)!
      if (count > 0) this.#queue.push({ key: pair, count })
      else this.#counts.delete(pair)
    }
  }

  #count(word: number, ids: readonly number[], times: number, changed?: Set<number>): void {
    for (let i = 0; i + 1 < ids.length; i++) {
      const key = keyOf(ids[i], ids[i + 1])
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + times)
      changed?.add(key)
      if (times < 0) continue
      const holders = this.#holders.get(key)
      if (holders) holders.add(word)
      else this.#holders.set(key, new Set([word]))
    }
  }
}

const KEY = 2 ** 24
const keyOf = (left: number, right: number) => left * KEY + right

function replacePair(ids: readonly number[], left: number, right: number, joined: number): number[] {
  const replaced: number[] = []
  for (let i = 0; i < ids.length; i++) {
    const isPair = ids[i] === left && ids[i + 1] === right
    replaced.push(isPair ? joined : ids[i])
    if (isPair) i++
  }
  return replaced
}

/** The tokenizer.json of these tokens. */
function describe(pieces: readonly string[], merges: readonly [string, string][], lowerCase: boolean): object {
  const special = (content: string, id: number) => ({
    ...{ id, content, single_word: false, lstrip: false, rstrip: false },
    ...{ normalized: false, special: true },
  })
  const normalizers = [{ type: 'NFC' }, ...(lowerCase ? [{ type: 'Lowercase' }] : [])]
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
  const [, start, end] = SPECIALS
  const around = (id: string) => ({ SpecialToken: { id, type_id: 0 } })
  const text = (id: string) => ({ Sequence: { id, type_id: 0 } })
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIALS.map(special),
    normalizer: { type: 'Sequence', normalizers },
    pre_tokenizer: byteLevel,
    post_processor: {
      type: 'TemplateProcessing',
      single: [around(start), text('A'), around(end)],
      pair: [around(start), text('A'), around(end), text('B'), around(end)],
      special_tokens: Object.fromEntries(
        SPECIALS.map((name, id) => [name, { id: name, ids: [id], tokens: [name] }] as const).slice(1),
      ),
    },
    decoder: byteLevel,
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
      merges: merges.map(pair => pair.join(' ')),
    },
  }
}
