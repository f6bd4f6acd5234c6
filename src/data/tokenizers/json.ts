// Tokenizers in the form of a Hugging Face `tokenizer.json`: byte pairs, WordPiece, or a SentencePiece model (Unigram)
// such as T5's. Such a file does not specify which ids start, end and pad a row; they are determined here.

import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers'
import { messageOf, TokenizerError } from '../../io/index.ts'

import { type TokenizeOptions, type Tokenizer, tokenRows } from './tokenizer.ts'

/** The parts of a `tokenizer.json` that are used here. */
interface TokenizerFile {
  readonly added_tokens?: readonly { readonly id: number; readonly content: string }[]
  readonly post_processor?: PostProcessor | null
  readonly model: { readonly unk_token?: string | null; readonly unk_id?: number | null; readonly vocab: unknown }
}

interface PostProcessor {
  readonly type: string
  /** RobertaProcessing and BertProcessing */
  readonly cls?: readonly [string, number]
  readonly sep?: readonly [string, number]
  /** TemplateProcessing */
  readonly single?: readonly { readonly SpecialToken?: { readonly id: string }; readonly Sequence?: unknown }[]
  /** Sequence */
  readonly processors?: readonly PostProcessor[]
}

/** The usual names of special tokens in published models. */
const NAMES = {
  pad: ['<pad>', '[PAD]', '<|pad|>', '<|padding|>'],
  start: ['<start>', '<s>', '[CLS]', '<bos>', '<|startoftext|>', '<start_of_text>', '<|begin_of_text|>', '[BOS]'],
  end: ['<end>', '</s>', '[SEP]', '<eos>', '<|endoftext|>', '<end_of_text>', '<|end_of_text|>', '[EOS]'],
} as const

/**
 * Start and end are the tokens that the file's post-processor puts around a text, otherwise tokens with the usual names; pad has a
 * usual name. A missing one (T5 has no start, GPT-2 neither start nor pad) becomes an id after the last one of the file.
 */
export class JsonTokenizer implements Tokenizer {
  readonly pad: number
  readonly start: number
  readonly end: number
  readonly unknown?: number
  readonly vocabularySize: number
  readonly #file: object
  readonly #inner: HuggingFaceTokenizer
  /** ids from here on are not in the file */
  readonly #added: number

  private constructor(file: TokenizerFile) {
    this.#file = file
    this.#inner = new HuggingFaceTokenizer(file, {})
    const ids = this.#inner.get_vocab(true)
    this.#added = Math.max(...ids.values()) + 1
    const id = (name: string | null | undefined) => (typeof name === 'string' ? ids.get(name) : undefined)
    const named = (names: readonly string[]) => id(names.find(name => ids.has(name)))
    const around = aroundText(file.post_processor)
    let next = this.#added
    this.pad = named(NAMES.pad) ?? next++
    this.start = id(around.start) ?? named(NAMES.start) ?? next++
    this.end = id(around.end) ?? named(NAMES.end) ?? next++
    this.vocabularySize = next
    this.unknown = file.model.unk_id ?? id(file.model.unk_token)
  }

  /** @throws TokenizerError if the value is not a `tokenizer.json`, or of an unknown kind */
  static fromJSON(json: unknown): JsonTokenizer {
    const { model } = (json ?? {}) as Partial<TokenizerFile>
    if (typeof model?.vocab !== 'object' || model.vocab === null)
      throw new TokenizerError('is not a tokenizer.json: it has no model.vocab')
    try {
      return new JsonTokenizer(json as TokenizerFile)
    } catch (error) {
      throw new TokenizerError(`is a tokenizer.json that cannot be used: ${messageOf(error)}`, { cause: error })
    }
  }

  encode(text: string): number[] {
    return this.#inner.encode(text, { add_special_tokens: false }).ids
  }

  /** @throws TokenizerError for an id outside the vocabulary */
  decode(ids: Iterable<number>): string {
    const kept: number[] = []
    for (const id of ids) {
      if (!(Number.isInteger(id) && id >= 0 && id < this.vocabularySize))
        throw new TokenizerError(`id ${id} is outside the vocabulary of ${this.vocabularySize}`)
      if (id < this.#added && ![this.pad, this.start, this.end].includes(id)) kept.push(id)
    }
    if (kept.length === 0) return ''
    return this.#inner.decode(kept, { skip_special_tokens: false, clean_up_tokenization_spaces: false })
  }

  tokenize(texts: readonly string[], contextLength: number, options?: TokenizeOptions): Int32Array {
    return tokenRows(this, texts, contextLength, options)
  }

  /** The file, unchanged. */
  toJSON(): unknown {
    return this.#file
  }
}

/** The tokens that a post-processor puts before and after a text. */
function aroundText(processor: PostProcessor | null | undefined): { start?: string; end?: string } {
  if (!processor) return {}
  const { cls, sep, single, processors = [] } = processor
  if (cls && sep) return { start: cls[0], end: sep[0] }
  if (single) {
    const text = single.findIndex(part => part.Sequence !== undefined)
    const names = (parts: typeof single) => parts.flatMap(part => part.SpecialToken?.id ?? [])
    return { start: names(single.slice(0, text))[0], end: names(single.slice(text + 1))[0] }
  }
  return Object.assign({}, ...processors.map(aroundText))
}
