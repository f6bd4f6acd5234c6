// Tokenizers in the form of a Hugging Face `tokenizer.json`: byte pairs, WordPiece, whole words, or a SentencePiece model
// (Unigram) such as T5's. Its parts are in hugging-face/, with the ids of the original. Such a file does not specify
// which ids start, end and pad a row; they are determined here.

import { TokenizerError } from '../../io/browser.ts'

import { settle } from '../../tensor/options.ts'
import { type AddedToken, AddedTokens, addedTokensOf } from './hugging-face/added-tokens.ts'
import { type Decoder, decoderOf } from './hugging-face/decoders.ts'
import { checkDepth, Field } from './hugging-face/fields.ts'
import { type Model, modelOf } from './hugging-face/models.ts'
import { type Normalizer, normalizerOf } from './hugging-face/normalizers.ts'
import { type Around, aroundOf } from './hugging-face/post-processor.ts'
import { type PreTokenizer, preTokenizerOf } from './hugging-face/pre-tokenizers.ts'
import { type EncodeOptions, encodeOptions, type TokenizeOptions, type Tokenizer, tokenRows } from './tokenizer.ts'

/** The usual names of special tokens in published models. */
const NAMES = {
  pad: ['<pad>', '[PAD]', '<|pad|>', '<|padding|>'],
  start: ['<start>', '<s>', '[CLS]', '<bos>', '<|startoftext|>', '<start_of_text>', '<|begin_of_text|>', '[BOS]'],
  end: ['<end>', '</s>', '[SEP]', '<eos>', '<|endoftext|>', '<end_of_text>', '<|end_of_text|>', '[EOS]'],
} as const

/** Ids may be as large as this for every token, and this for all: an embedding has a row for every smaller id. */
const IDS_PER_TOKEN = 4
const MORE_IDS = 1_000

/**
 * Start and end are the tokens that the file's post-processor puts around a text, otherwise tokens with the usual names; pad has a
 * usual name. A missing one (T5 has no start, GPT-2 neither start nor pad) becomes an id after the last one of the file.
 *
 * `encode` gives the ids of Hugging Face's `tokenizers` (0.23) without special tokens; the file's `truncation` and `padding`
 * are not used, because the context length says where a row ends. docs/data.md lists what is supported.
 */
export class JsonTokenizer implements Tokenizer {
  readonly pad: number
  /** id of the start of a text */
  readonly start: number
  /** id of the end of a text */
  readonly end: number
  readonly unknown?: number
  readonly vocabularySize: number
  /** the ids that the file's post-processor puts before and after a text, where it puts any */
  readonly around: Around
  /** the number of ids of the file, without those that were added here */
  readonly ownIds: number
  readonly #file: object
  readonly #model: Model
  readonly #normalize: Normalizer | undefined
  readonly #preTokenize: PreTokenizer | undefined
  readonly #decode: Decoder | undefined
  /** looked for before the text is normalized, and after */
  readonly #added: readonly [AddedTokens, AddedTokens]
  /** the same without special tokens */
  readonly #ordinary: readonly [AddedTokens, AddedTokens]
  readonly #tokens: ReadonlyMap<number, string>

  private constructor(file: Field) {
    this.#file = file.value as object
    const version = file.get('version')
    if (!version.isEmpty) version.oneOf(['1.0'])
    this.#model = modelOf(file.get('model'))
    this.#normalize = file.get('normalizer').or(undefined, normalizerOf)
    this.#preTokenize = file.get('pre_tokenizer').or(undefined, preTokenizerOf)
    checkFirst(file)
    this.#decode = file.get('decoder').or(undefined, decoderOf)
    const added = addedTokensOf(file.get('added_tokens'), this.#model.ids)
    const sectionsOf = (tokens: readonly AddedToken[]) =>
      AddedTokens.of(tokens, this.#normalize, file.get('added_tokens'))
    this.#added = sectionsOf(added)
    this.#ordinary = sectionsOf(added.filter(({ isSpecial }) => !isSpecial))
    const ids = allIds(this.#model.ids, added)
    this.#tokens = new Map(Array.from(ids, ([token, id]) => [id, token]))
    const count = countOf(ids, file)
    const named = (names: readonly string[]) => ids.get(names.find(name => ids.has(name)) ?? '')
    const around: Around = file.get('post_processor').or({}, each => aroundOf(each, count))
    this.around = around
    this.ownIds = count
    let next = count
    this.pad = named(NAMES.pad) ?? next++
    this.start = around.start ?? named(NAMES.start) ?? next++
    this.end = around.end ?? named(NAMES.end) ?? next++
    this.vocabularySize = next
    this.unknown = this.#model.unknown
  }

  /**
   * A tokenizer from the content of a `tokenizer.json`.
   * @throws TokenizerError if the value is not a `tokenizer.json`, naming the field that is wrong or not supported
   */
  static fromJSON(json: unknown): JsonTokenizer {
    const model =
      typeof json === 'object' && json !== null && !Array.isArray(json) ? new Field(json, '').get('model') : undefined
    const isModel = typeof model?.value === 'object' && model.value !== null && !Array.isArray(model.value)
    if (!isModel || model.get('vocab').isEmpty)
      throw new TokenizerError('is not a tokenizer.json: it has no model.vocab')
    checkDepth(json)
    return new JsonTokenizer(new Field(json, ''))
  }

  /** @throws TokenizerError for a text that has no ids, or for which a pattern of the file takes too many steps */
  encode(text: string, options?: EncodeOptions): number[] {
    const { splitSpecialTokens } = settle('tokenizer.encode(text, options)', options, encodeOptions)
    const ids: number[] = []
    const [before, after] = splitSpecialTokens ? this.#ordinary : this.#added
    const whole = text.replace(/\p{Surrogate}/gu, '\ufffd')
    for (const section of before.split(whole)) {
      if (section.id !== undefined) {
        ids.push(section.id)
        continue
      }
      const part = whole.slice(section.start, section.end)
      const { text: normalized, keepsStart } = this.#normalize?.(part) ?? { text: part, keepsStart: true }
      for (const { start, end, id } of after.split(normalized)) {
        if (id !== undefined) ids.push(id)
        else {
          const piece = { text: normalized.slice(start, end), isFirst: section.start + start === 0 && keepsStart }
          for (const word of this.#preTokenize?.(piece) ?? [piece])
            if (word.text !== '') this.#model.encode(word.text, ids)
        }
      }
    }
    return ids
  }

  /** @throws TokenizerError for an id outside the vocabulary */
  decode(ids: Iterable<number>): string {
    const tokens: string[] = []
    for (const id of ids) {
      if (!(Number.isInteger(id) && id >= 0 && id < this.vocabularySize))
        throw new TokenizerError(`id ${id} is outside the vocabulary of ${this.vocabularySize}`)
      const token = this.#tokens.get(id)
      if (token !== undefined && ![this.pad, this.start, this.end].includes(id)) tokens.push(token)
    }
    return this.#decode ? this.#decode(tokens).join('') : tokens.join(' ')
  }

  tokenize(texts: readonly string[], contextLength: number, options?: TokenizeOptions): Int32Array {
    return tokenRows(this, texts, contextLength, options)
  }

  /** A token of the file, by its id. */
  tokenOf(id: number): string | undefined {
    return this.#tokens.get(id)
  }

  /** The id of a token of the file. */
  idOf(token: string): number | undefined {
    for (const [id, own] of this.#tokens) if (own === token) return id
    return undefined
  }

  /** The file, unchanged. */
  toJSON(): unknown {
    return this.#file
  }
}

/** The ids of the model and of the added tokens. */
function allIds(own: ReadonlyMap<string, number>, added: readonly AddedToken[]): Map<string, number> {
  const ids = new Map(own)
  for (const { content, id } of added) ids.set(content, id)
  return ids
}

/** One more than the largest id. */
function countOf(ids: ReadonlyMap<string, number>, file: Field): number {
  let count = 0
  let largest = ''
  for (const [token, id] of ids)
    if (id >= count) {
      count = id + 1
      largest = token
    }
  if (count === 0) file.get('model').get('vocab').fail('it has no token, and neither has added_tokens')
  if (count > IDS_PER_TOKEN * ids.size + MORE_IDS)
    file
      .get('model')
      .get('vocab')
      .fail(
        `the id of '${largest}' is ${count - 1}, and there are ${ids.size} tokens: a model would have a row for every smaller id, so number them from 0`,
      )
  return count
}

/** Every `type` in a part of the file, with the part. */
function partsOf(part: unknown): readonly Readonly<Record<string, unknown>>[] {
  if (typeof part !== 'object' || part === null) return []
  const parts = Object.values(part).flatMap(partsOf)
  return 'type' in part ? [part as Record<string, unknown>, ...parts] : parts
}

const EXPANDING = ['BertNormalizer', 'NFD', 'NFKC', 'NFKD', 'Precompiled']

/**
 * Metaspace's 'first' asks where a piece begins in the text as given. If a normalizer makes several characters of the
 * first one and these are then split, the original counts all of their pieces as the first.
 */
function checkFirst(file: Field): void {
  const splits = partsOf(file.get('pre_tokenizer').value)
  const first = splits.find(({ type, prepend_scheme }) => type === 'Metaspace' && prepend_scheme === 'first')
  const expanding = partsOf(file.get('normalizer').value).find(({ type }) => EXPANDING.includes(type as string))
  if (first && expanding && splits.length > 2)
    file
      .get('pre_tokenizer')
      .fail(
        `Metaspace with prepend_scheme 'first' after another pre-tokenizer and the normalizer ${expanding.type} is not supported: set prepend_scheme to 'always' or 'never', or leave the other pre-tokenizer out`,
      )
}
