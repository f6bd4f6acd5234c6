// The tokenizer of a checkpoint of OpenCLIP from the settings of its configuration: CLIP's own, or one of Hugging Face whose cleaning stands
// in the configuration (`text_cfg.hf_tokenizer_name`, `tokenizer_kwargs`) and whose padding in tokenizer_config.json. Runs in a browser.

import { JsonTokenizer, OpenClipTokenizer, parseTokenizer, type TextCleaning, type Tokenizer } from '../data/browser.ts'
import { DataError, TokenizerError } from '../io/browser.ts'
import { ConfigError } from '../nn/index.ts'
import { given } from '../tensor/given.ts'
import { isRecord, JsonSettings } from './settings.ts'
import { TOKENIZER } from './towers.ts'

/** OpenCLIP's settings of a tokenizer, as they stand in `text_cfg`. */
export type TokenizerSettings = Readonly<Partial<Record<(typeof TOKENIZER)[number], unknown>>>

/** The settings of the tokenizer in a configuration. */
export function tokenizerSettings(json: unknown): TokenizerSettings {
  const model = isRecord(json) && isRecord(json.model_cfg) ? json.model_cfg : json
  const text = isRecord(model) && isRecord(model.text_cfg) ? model.text_cfg : {}
  return Object.fromEntries(TOKENIZER.filter(name => text[name] != null).map(name => [name, text[name]]))
}

/** The settings of a tokenizer that was opened. */
export const settingsOf = (tokenizer: Tokenizer | undefined): TokenizerSettings =>
  tokenizer instanceof OpenClipTokenizer
    ? { hf_tokenizer_name: tokenizer.name, tokenizer_kwargs: { clean: tokenizer.clean } }
    : {}

/** What a tokenizer of a checkpoint must fit: its settings, and the texts of the model. */
export interface OpenClipTokenizerSource {
  /** from the configuration, such as `tokenizerSettings` of {@link openOpenClip} */
  readonly settings: TokenizerSettings
  /** the configuration of the texts: the number of ids, and where a text is summed up */
  readonly text: { readonly vocabulary: number; readonly summary?: string }
}

const OTHER_ROWS = 'is not supported: a row has the start, the text, the end and the padding'
/** The first is OpenCLIP's default. */
const CLEANINGS = ['whitespace', 'lower', 'canonicalize'] as const
const OF_SIGLIP = ['canonicalize', 'lower', 'whitespace'] as const
const OF_CLIP = ['lower'] as const

/** The file that names the padding. */
export const PADDING = 'tokenizer_config.json'

/** A file beside a tokenizer.json that may name the padding, and its JSON. */
export type PaddingFile = readonly [file: string, json: unknown]

/**
 * The tokenizer of a checkpoint, from one that was read from a file as it is. A tokenizer.json gives the rows of OpenCLIP if the
 * configuration has `hf_tokenizer_name`, or if the model reads the last position, as a SigLIP does; without that name texts are cleaned as
 * for a SigLIP then. Any other one is returned.
 * @param file its name in errors
 * @param beside the files that may name the padding, of which the first that does counts
 * @throws TokenizerError naming the file if the token of the padding is not known, or the setting that is not supported
 */
export async function withOpenClipRows(
  found: Tokenizer,
  file: string,
  { settings, text }: OpenClipTokenizerSource,
  beside: () => AsyncIterable<PaddingFile> | Iterable<PaddingFile>,
): Promise<Tokenizer> {
  const isHuggingFace = settings.hf_tokenizer_name !== undefined
  const isSigLip = !isHuggingFace && text.summary === 'last' && found instanceof JsonTokenizer
  const cleanings = isSigLip ? OF_SIGLIP : isHuggingFace ? CLEANINGS : OF_CLIP
  try {
    const { name, clean } = read(settings, cleanings)
    if (!(found instanceof JsonTokenizer && (isHuggingFace || isSigLip))) return found
    const pad = await paddingIn(beside(), file, found)
    return new OpenClipTokenizer(found, { clean, pad, vocabulary: text.vocabulary, ...(name && { name }) })
  } catch (error) {
    const isOurs = error instanceof ConfigError || (error instanceof DataError && error.file === undefined)
    throw isOurs ? new TokenizerError(error.message, { file, cause: error }) : error
  }
}

/** @throws ConfigError naming a setting that would give other rows */
function read(settings: TokenizerSettings, cleanings: readonly [TextCleaning, ...TextCleaning[]]) {
  const all = new JsonSettings('text_cfg', settings)
  const name = all.text('hf_tokenizer_name', '')
  all.only(OTHER_ROWS, { tokenizer_mode: '' })
  const others = all.group('tokenizer_kwargs', {})
  const clean = others.oneOf('clean', ...cleanings)
  others.only(OTHER_ROWS, { strip_sep_token: false, reduction_mask: '' })
  others.end()
  return { name, clean }
}

/** The id of `pad_token` in the first of some files that has one. */
async function paddingIn(
  beside: AsyncIterable<PaddingFile> | Iterable<PaddingFile>,
  file: string,
  tokenizer: JsonTokenizer,
): Promise<number> {
  for await (const [path, json] of beside) {
    const { pad_token, padding_side = 'right', truncation_side = 'right' } = isRecord(json) ? json : {}
    for (const [field, side] of Object.entries({ padding_side, truncation_side }))
      if (side !== 'right')
        throw new TokenizerError(`${field} is ${given(side)}, not 'right': rows are padded and cut at their end`, {
          file: path,
        })
    const token = isRecord(pad_token) ? pad_token.content : pad_token
    if (token === undefined || token === null) continue
    const id = typeof token === 'string' ? tokenizer.idOf(token) : undefined
    if (id === undefined) {
      const name = file.slice(file.lastIndexOf('/') + 1)
      throw new TokenizerError(`pad_token is ${given(token)}, which is not a token of ${name}`, { file: path })
    }
    return id
  }
  throw new TokenizerError(
    `the token that fills its rows is not known: put the ${PADDING} of the model beside it, which has it as pad_token`,
    { file },
  )
}

/** What {@link parseOpenClipTokenizer} needs besides the file. */
export interface ParseOpenClipTokenizerOptions extends OpenClipTokenizerSource {
  /** the JSON of tokenizer_config.json, which a tokenizer of Hugging Face needs, such as that of a SigLIP */
  readonly tokenizerConfig?: unknown
}

/**
 * The tokenizer of a checkpoint that {@link openOpenClip} opened, from the content of its file: `bpe_simple_vocab_16e6.txt`, plain or
 * compressed by gzip, or tokenizer.json.
 *
 *     const { model, tokenizerSettings: settings } = opened
 *     const tokenizer = await parseOpenClipTokenizer(await file.arrayBuffer(), { settings, text: model.text })
 *
 * @throws TokenizerError if it is no tokenizer, if the token of the padding is not known, or a setting is not supported
 */
export async function parseOpenClipTokenizer(
  file: string | Uint8Array | ArrayBuffer,
  { tokenizerConfig, ...source }: ParseOpenClipTokenizerOptions,
): Promise<Tokenizer> {
  const beside: PaddingFile[] = tokenizerConfig === undefined ? [] : [[PADDING, tokenizerConfig]]
  return withOpenClipRows(await parseTokenizer(file), 'tokenizer.json', source, () => beside)
}
