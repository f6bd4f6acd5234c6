// Byte-pair encoding (Sennrich et al. 2016, section 3.2) over bytes (Radford et al. 2019, section 2.2): a word is its
// UTF-8 bytes, and pairs that are in the vocabulary are joined, those learned first before the others. Any text has
// ids.

/** Bytes that are written as themselves in a vocabulary: visible characters of Latin-1. */
const isVisible = (byte: number) =>
  (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff)

const allBytes = Array.from({ length: 256 }, (_, byte) => byte)
const hidden = allBytes.filter(byte => !isVisible(byte))

/** The bytes in the order of their ids: visible ones first. */
export const BYTES_BY_ID: readonly number[] = [...allBytes.filter(isVisible), ...hidden]

/** The character for a byte in a vocabulary: the byte itself, or a character from U+0100 on. */
export const CHARACTER_OF_BYTE: readonly string[] = allBytes.map(byte =>
  String.fromCodePoint(isVisible(byte) ? byte : 0x100 + hidden.indexOf(byte)),
)

const BYTE_OF_CHARACTER = new Map(CHARACTER_OF_BYTE.map((character, byte) => [character, byte]))

const utf8 = new TextEncoder()
const fromUtf8 = new TextDecoder('utf-8', { ignoreBOM: true })

/** A text's bytes as characters of a vocabulary. */
export const toByteCharacters = (text: string): string[] =>
  Array.from(utf8.encode(text), byte => CHARACTER_OF_BYTE[byte])

/** Back to text; bytes that are not UTF-8 become U+FFFD, characters that represent no byte are removed. */
export const fromByteCharacters = (characters: string): string =>
  fromUtf8.decode(Uint8Array.from([...characters].flatMap(character => BYTE_OF_CHARACTER.get(character) ?? [])))

/** The number of words that are cached with their ids, so that frequent ones are encoded once. */
const CACHED_WORDS = 1 << 16
const LONGEST_CACHED = 32

interface Merge {
  /** 0 is joined before 1 */
  readonly rank: number
  readonly id: number
}

/** The tokens of a vocabulary and the merges that make them. */
export class BytePairs {
  readonly #ids: ReadonlyMap<string, number>
  readonly #suffix: string
  readonly #merges = new Map<number, Merge>()
  readonly #cache = new Map<string, readonly number[]>()

  /**
   * @param ids the id of every token
   * @param merges pairs of tokens, in the order in which they are joined; both and their result are in `ids`
   * @param suffix appended to the last byte of a word, as part of its token
   */
  constructor(ids: ReadonlyMap<string, number>, merges: readonly (readonly [string, string])[], suffix = '') {
    this.#ids = ids
    this.#suffix = suffix
    for (const [rank, [left, right]] of merges.entries()) {
      const key = this.#key(ids.get(left)!, ids.get(right)!)
      this.#merges.set(key, { rank, id: ids.get(left + right)! })
    }
  }

  /** The ids of one word. */
  encode(word: string): readonly number[] {
    const cached = this.#cache.get(word)
    if (cached) return cached
    const pieces = toByteCharacters(word)
    if (pieces.length > 0) pieces[pieces.length - 1] += this.#suffix
    const ids = this.#join(pieces.map(piece => this.#ids.get(piece)!))
    if (word.length <= LONGEST_CACHED) {
      if (this.#cache.size === CACHED_WORDS) this.#cache.clear()
      this.#cache.set(word, ids)
    }
    return ids
  }

  /** Joins every occurrence of the pair that was learned first, until no pair is left. */
  #join(ids: number[]): number[] {
    const merges = ids.map((id, i) => this.#merge(id, ids[i + 1])) // of every id with the one after it
    for (;;) {
      let first: Merge | undefined
      for (const merge of merges) if (merge && (!first || merge.rank < first.rank)) first = merge
      if (!first) return ids
      let kept = 0
      for (let i = 0; i < ids.length; i++) {
        const isJoined = merges[i] === first
        ids[kept] = isJoined ? first.id : ids[i]
        if (isJoined) i++
        merges[kept++] = merges[i]
      }
      ids.length = kept
      merges.length = kept
      for (let i = 0; i < kept; i++)
        if (ids[i] === first.id || ids[i + 1] === first.id) merges[i] = this.#merge(ids[i], ids[i + 1])
    }
  }

  #merge(left: number, right: number | undefined): Merge | undefined {
    return right === undefined ? undefined : this.#merges.get(this.#key(left, right))
  }

  #key(left: number, right: number): number {
    return left * 2 ** 24 + right
  }
}
