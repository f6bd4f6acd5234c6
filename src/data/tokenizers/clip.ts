// CLIP's tokenizer, with the ids that the text towers of CLIP, OpenCLIP and their CoCa were trained on: byte pairs over
// lower-case letters, 49,152 tokens, where the last one of a word ends in `</w>` (github.com/openai/CLIP,
// simple_tokenizer.py).

import { quoted, TokenizerError } from '../../io/browser.ts'

import { settle } from '../../tensor/options.ts'
import { BYTES_BY_ID, BytePairs, CHARACTER_OF_BYTE, fromByteCharacters } from './byte-pairs.ts'
import { cleanText } from './text/clean.ts'
import { type EncodeOptions, encodeOptions, type TokenizeOptions, type Tokenizer, tokenRows } from './tokenizer.ts'

/** How start and end are written: in OpenCLIP, and in OpenAI's CLIP and the files of Hugging Face. */
const NAMES = [
  { start: '<start_of_text>', end: '<end_of_text>' },
  { start: '<|startoftext|>', end: '<|endoftext|>' },
] as const
type Names = (typeof NAMES)[number]
const SUFFIX = '</w>'

/** The number of merges: 49,408 ids without 2 × 256 bytes and 2 special tokens. */
const MERGES = 48_894

/**
 * Endings of contractions, letters, one digit, or other signs. CLIP ignores case, so `ſ` is an s, and
 * U+0345 is both a letter and not one, so it is dropped between the words.
 */
const WORD = /'[sſ]|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|(?:(?!\u0345)[^\p{White_Space}\p{L}\p{N}])+/gu

const SPLIT = "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"

type Pair = readonly [string, string]

/** Id 0 is padding and also the token `!` inside a word, as in CLIP. */
export class ClipTokenizer implements Tokenizer {
  readonly pad = 0
  /** id of the start of a text */
  readonly start: number
  /** id of the end of a text */
  readonly end: number
  readonly #ids: ReadonlyMap<string, number>
  readonly #pieces: readonly string[]
  readonly #merges: readonly Pair[]
  readonly #pairs: BytePairs
  readonly #names: Names
  /** a special token, or a word */
  readonly #special: RegExp

  private constructor(ids: ReadonlyMap<string, number>, merges: readonly Pair[], names: Names) {
    this.#ids = ids
    this.#merges = merges
    this.#names = names
    this.#special = new RegExp(`${patternOf(names)}|${WORD.source}`, WORD.flags)
    this.#pieces = [...ids.keys()].sort((a, b) => ids.get(a)! - ids.get(b)!)
    this.#pairs = new BytePairs(ids, merges, SUFFIX)
    this.start = ids.get(names.start)!
    this.end = ids.get(names.end)!
  }

  /**
   * From the text of `bpe_simple_vocab_16e6.txt`: a comment line, then one merge per line, of which CLIP uses the first
   * 48,894. `<start_of_text>` and `<end_of_text>` in a text are the special ids, as in OpenCLIP.
   * @throws TokenizerError naming a line that is not a merge, or makes a piece that an earlier line makes
   */
  static fromMerges(text: string): ClipTokenizer {
    const lines = text.split('\n', MERGES + 1).slice(1)
    if (lines.at(-1) === '') lines.pop()
    const bytes = BYTES_BY_ID.map(byte => CHARACTER_OF_BYTE[byte])
    const pieces = [...bytes, ...bytes.map(byte => byte + SUFFIX)]
    const [names] = NAMES
    const known = new Set(pieces)
    const merges = lines.map((line, i) => {
      const pair = line.split(/\s+/)
      if (pair.length !== 2 || !pair.every(piece => known.has(piece)))
        throw new TokenizerError(`line ${i + 2} is ${quoted(line)}, not a pair of pieces of earlier lines`)
      const made = pair.join('')
      if (known.has(made) || made === names.start || made === names.end)
        throw new TokenizerError(`line ${i + 2} makes ${quoted(made)}, which is a piece already`)
      known.add(made)
      return pair as [string, string]
    })
    pieces.push(...merges.map(pair => pair.join('')), names.start, names.end)
    return new ClipTokenizer(new Map(pieces.map((piece, id) => [piece, id])), merges, names)
  }

  /** Whether a `tokenizer.json` is that of a CLIP model: byte pairs with CLIP's end of a word and its two special tokens. */
  static isClip(json: unknown): boolean {
    const { type, end_of_word_suffix, vocab } = (json as { model?: Record<string, unknown> })?.model ?? {}
    return type === 'BPE' && end_of_word_suffix === SUFFIX && namesIn(vocab) !== undefined
  }

  /**
   * From the `tokenizer.json` of a CLIP model; start and end in a text are written as in that file. Text is cleaned as in the original, which that file cannot describe.
   * @throws TokenizerError naming what is missing
   */
  static fromJSON(json: unknown): ClipTokenizer {
    if (!ClipTokenizer.isClip(json)) throw new TokenizerError('is not the tokenizer.json of a CLIP model')
    const { vocab, merges } = (json as { model: { vocab: Record<string, number>; merges: (string | Pair)[] } }).model
    const ids = new Map(Object.entries(vocab))
    const isId = new Set(ids.values())
    for (let id = 0; id < ids.size; id++)
      if (!isId.has(id)) throw new TokenizerError(`model.vocab has ${ids.size} pieces, but none with id ${id}`)
    for (const character of CHARACTER_OF_BYTE)
      for (const piece of [character, character + SUFFIX])
        if (!ids.has(piece)) throw new TokenizerError(`model.vocab has no piece '${piece}'`)
    if (!Array.isArray(merges)) throw new TokenizerError('model.merges is not a list')
    const pairs = merges.map((merge, i) => {
      const pair = typeof merge === 'string' ? merge.split(' ') : merge
      if (pair.length !== 2 || ![...pair, pair.join('')].every(piece => ids.has(piece)))
        throw new TokenizerError(`model.merges[${i}] is ${JSON.stringify(merge)}, not two pieces of the vocabulary`)
      return pair as Pair
    })
    return new ClipTokenizer(ids, pairs, namesIn(vocab)!)
  }

  get vocabularySize(): number {
    return this.#pieces.length
  }

  encode(text: string, options?: EncodeOptions): number[] {
    const { splitSpecialTokens } = settle('tokenizer.encode(text, options)', options, encodeOptions)
    if (splitSpecialTokens) return (cleanText(text).match(WORD) ?? []).flatMap(word => this.#pairs.encode(word))
    const { start, end } = this.#names
    return (cleanText(text).match(this.#special) ?? []).flatMap(word => {
      if (word === start) return this.start
      return word === end ? this.end : this.#pairs.encode(word)
    })
  }

  /**
   * Lower-case letters, with a space after every word. Ids after the end are left out; before it, id 0 is a `!`.
   * @throws TokenizerError for an id outside the vocabulary
   */
  decode(ids: Iterable<number>): string {
    let pieces = ''
    for (const id of ids) {
      if (id === this.start) continue
      if (id === this.end) break
      const piece = this.#pieces[id]
      if (piece === undefined) throw new TokenizerError(`id ${id} is outside the vocabulary of ${this.vocabularySize}`)
      pieces += piece.endsWith(SUFFIX) ? piece.slice(0, -SUFFIX.length) + CHARACTER_OF_BYTE[0x20] : piece
    }
    return fromByteCharacters(pieces).trim()
  }

  tokenize(texts: readonly string[], contextLength: number, options?: TokenizeOptions): Int32Array {
    return tokenRows(this, texts, contextLength, options)
  }

  /** A `tokenizer.json` that Hugging Face's libraries can read too; they do not repair the text. */
  toJSON(): unknown {
    const { start, end } = this.#names
    const special = (id: number, content: string) => ({
      ...{ id, content, single_word: false, lstrip: false, rstrip: false },
      ...{ normalized: true, special: true },
    })
    const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
    return {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: [special(this.start, start), special(this.end, end)],
      normalizer: {
        type: 'Sequence',
        normalizers: [
          { type: 'NFC' },
          { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' },
          { type: 'Lowercase' },
        ],
      },
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          {
            type: 'Split',
            pattern: { Regex: `${patternOf(this.#names)}|${SPLIT}` },
            behavior: 'Removed',
            invert: true,
          },
          { ...byteLevel, use_regex: false },
        ],
      },
      post_processor: {
        type: 'RobertaProcessing',
        sep: [end, this.end],
        cls: [start, this.start],
        trim_offsets: false,
        add_prefix_space: false,
      },
      decoder: byteLevel,
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: end,
        continuing_subword_prefix: '',
        end_of_word_suffix: SUFFIX,
        fuse_unk: false,
        vocab: Object.fromEntries(this.#ids),
        merges: this.#merges.map(pair => pair.join(' ')),
      },
    }
  }
}

const patternOf = ({ start, end }: Names): string => `${start}|${end}`.replaceAll('<|', '<\\|').replaceAll('|>', '\\|>')

/** How start and end are written in a vocabulary that has both. */
function namesIn(vocab: unknown): Names | undefined {
  if (typeof vocab !== 'object' || vocab === null) return undefined
  return NAMES.find(({ start, end }) => Object.hasOwn(vocab, start) && Object.hasOwn(vocab, end))
}
