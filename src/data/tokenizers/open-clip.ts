// The tokenizer of a model of OpenCLIP that names one of Hugging Face, such as a SigLIP: texts are cleaned first, and rows
// have the tokens that the tokenizer.json puts around a text and no others (open_clip/tokenizer.py, HFTokenizer).

import { TokenizerError } from '../../io/browser.ts'
import { checkArguments } from '../../tensor/arguments.ts'
import { given } from '../../tensor/given.ts'
import * as is from '../../tensor/kinds.ts'
import { OptionsError, type Settings, settle } from '../../tensor/options.ts'
import { JsonTokenizer } from './json.ts'
import { cleanings, type TextCleaning } from './text/clean.ts'
import { type EncodeOptions, encodeOptions, type TokenizeOptions, type Tokenizer, tokenRows } from './tokenizer.ts'

/** Options of an `OpenClipTokenizer`. */
export interface OpenClipTokenizerOptions {
  /** the id that fills a row after its end: `pad_token` in tokenizer_config.json. In a SigLIP it is that of the end */
  readonly pad: number
  /** how a text is cleaned; default whitespace, and canonicalize in a SigLIP */
  readonly clean?: TextCleaning
  /** the number of ids of the model, at most that of the tokenizer, which is the default; a text with another id is an error */
  readonly vocabulary?: number
  /** OpenCLIP's `hf_tokenizer_name`; default `tokenizer.json` */
  readonly name?: string
}
const TYPE = 'open-clip'
const isJson = new is.Kind<JsonTokenizer>('a JsonTokenizer', x => x instanceof JsonTokenizer)
const options = {
  pad: is.size,
  clean: is.choice('whitespace', 'lower', 'canonicalize'),
  vocabulary: is.optional(is.count),
  name: is.byDefault('tokenizer.json', is.text),
} satisfies Settings<OpenClipTokenizerOptions>

/**
 * Rows are those of OpenCLIP 3.3: the start, if the file puts one before a text, the cleaned text, the end, then pad. T5's files,
 * which SigLIP has, have no start; `start` is then the id of the end, as in GPT-2.
 *
 *     const t5 = JsonTokenizer.fromJSON(json)
 *     const tokenizer = new OpenClipTokenizer(t5, { pad: t5.end, clean: 'canonicalize' })
 *     tokenizer.tokenize(['A photo of a cat!'], 64)     // the ids of 'a photo of a cat', then the end up to 64
 */
export class OpenClipTokenizer implements Tokenizer {
  readonly pad: number
  /** id of the start of a text */
  readonly start: number
  /** id of the end of a text */
  readonly end: number
  readonly unknown?: number
  readonly vocabularySize: number
  /** how texts are cleaned before they are split */
  readonly clean: TextCleaning
  /** OpenCLIP's `hf_tokenizer_name` */
  readonly name: string
  /** without the cleaning */
  readonly tokenizer: JsonTokenizer

  /** @throws TokenizerError if the file puts no token after a text, or has fewer ids than the model */
  constructor(tokenizer: JsonTokenizer, settings: OpenClipTokenizerOptions) {
    const call = 'new OpenClipTokenizer(tokenizer, options)'
    checkArguments(call, [isJson], [tokenizer])
    const { pad, clean, vocabulary = tokenizer.ownIds, name } = settle(call, settings, options)
    const { start, end } = tokenizer.around
    if (end === undefined)
      throw new TokenizerError(
        'post_processor puts no token after a text, and rows of OpenCLIP have an end: give it the end as a TemplateProcessing',
      )
    if (vocabulary > tokenizer.ownIds)
      throw new TokenizerError(`the tokenizer has ${tokenizer.ownIds} ids, but the model has ${vocabulary}`)
    for (const [what, id] of Object.entries({ pad, start, end }))
      if (id !== undefined && id >= vocabulary)
        throw new TokenizerError(`the id of its ${what} is ${id}, but the model has ${vocabulary} ids`)
    this.tokenizer = tokenizer
    this.pad = pad
    this.start = start ?? end
    this.end = end
    this.unknown = tokenizer.unknown
    this.vocabularySize = vocabulary
    this.clean = clean
    this.name = name
  }

  /**
   * A tokenizer from what `JSON.stringify` makes of one.
   * @throws TokenizerError if the value is not a result of {@link toJSON}
   */
  static fromJSON(json: unknown): OpenClipTokenizer {
    const { type, tokenizer, ...settings } = (json ?? {}) as Record<string, unknown>
    if (type !== TYPE) throw new TokenizerError(`type is ${given(type)}: it is '${TYPE}' for a tokenizer of OpenCLIP`)
    try {
      return new OpenClipTokenizer(JsonTokenizer.fromJSON(tokenizer), settings as unknown as OpenClipTokenizerOptions)
    } catch (error) {
      throw error instanceof OptionsError ? new TokenizerError(error.message, { cause: error }) : error
    }
  }

  /** @throws TokenizerError for an id that the model does not have, and as the tokenizer does */
  encode(text: string, settings?: EncodeOptions): number[] {
    const all = settle('tokenizer.encode(text, options)', settings, encodeOptions)
    const ids = this.tokenizer.encode(cleanings[this.clean](text), all)
    const strange = ids.find(id => id >= this.vocabularySize)
    if (strange !== undefined)
      throw new TokenizerError(
        `${given(text)} has the id ${strange} (${given(this.tokenizer.tokenOf(strange))}), but the model has ${this.vocabularySize} ids`,
      )
    return ids
  }

  /** @throws TokenizerError for an id outside the vocabulary */
  decode(ids: Iterable<number>): string {
    const special = [this.pad, this.start, this.end]
    return this.tokenizer.decode(Array.from(ids).filter(id => !special.includes(id)))
  }

  tokenize(texts: readonly string[], contextLength: number, settings?: TokenizeOptions): Int32Array {
    const { pad, end } = this
    const { start } = this.tokenizer.around
    return tokenRows(
      { start, end, pad, encode: (text, more) => this.encode(text, more) },
      texts,
      contextLength,
      settings,
    )
  }

  toJSON(): { type: typeof TYPE; tokenizer: unknown } & Required<OpenClipTokenizerOptions> {
    const { pad, clean, vocabularySize: vocabulary, name } = this
    return { type: TYPE, pad, clean, vocabulary, name, tokenizer: this.tokenizer.toJSON() }
  }

  /** What tokenizer_config.json says beside the tokenizer.json, for Hugging Face's transformers. */
  get config(): Readonly<Record<string, unknown>> {
    const { start } = this.tokenizer.around
    const token = (id: number | undefined) => (id === undefined ? undefined : this.tokenizer.tokenOf(id))
    const tokens = {
      bos_token: token(start),
      eos_token: token(this.end),
      unk_token: token(this.unknown),
      pad_token: token(this.pad),
    }
    return {
      tokenizer_class: 'PreTrainedTokenizerFast',
      ...Object.fromEntries(Object.entries(tokens).filter(([, text]) => text !== undefined)),
      padding_side: 'right',
      truncation_side: 'right',
      clean_up_tokenization_spaces: false,
    }
  }
}
