// Opens the tokenizer of a checkpoint of OpenCLIP as OpenCLIP does: CLIP's own, or one of Hugging Face whose cleaning stands in the
// configuration (`text_cfg.hf_tokenizer_name`, `tokenizer_kwargs`) and whose padding in tokenizer_config.json.

import { basename, dirname, join } from 'node:path'
import { JsonTokenizer, OpenClipTokenizer, readTokenizer, type TextCleaning, type Tokenizer } from '../data/index.ts'
import { DataError, namesIn, readJson, TokenizerError, writeAtomically } from '../io/index.ts'
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

export interface OpenClipTokenizerSource {
  readonly settings: TokenizerSettings
  readonly text: { readonly vocabulary: number; readonly summary?: string }
}

const OTHER_ROWS = 'is not supported: a row has the start, the text, the end and the padding'
/** The first is OpenCLIP's default. */
const CLEANINGS = ['whitespace', 'lower', 'canonicalize'] as const
const OF_SIGLIP = ['canonicalize', 'lower', 'whitespace'] as const
const OF_CLIP = ['lower'] as const

/**
 * Reads the tokenizer of a checkpoint. A tokenizer.json gives the rows of OpenCLIP if the configuration has `hf_tokenizer_name`, or
 * if the model reads the last position, as a SigLIP does; without that name texts are cleaned as for a SigLIP then. Any other file
 * is read as it is.
 * @throws TokenizerError naming the file if the token of the padding is not known, or the setting of the tokenizer that is not supported
 */
export async function openClipTokenizer(file: string, { settings, text }: OpenClipTokenizerSource): Promise<Tokenizer> {
  const found = await readTokenizer(file)
  const isHuggingFace = settings.hf_tokenizer_name !== undefined
  const isSigLip = !isHuggingFace && text.summary === 'last' && found instanceof JsonTokenizer
  const cleanings = isSigLip ? OF_SIGLIP : isHuggingFace ? CLEANINGS : OF_CLIP
  try {
    const { name, clean } = read(settings, cleanings)
    if (!(found instanceof JsonTokenizer && (isHuggingFace || isSigLip))) return found
    const pad = await paddingBeside(file, found)
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

const CONFIG = 'tokenizer_config.json'

/** The id of `pad_token` in tokenizer_config.json, or in special_tokens_map.json, which older folders have. */
async function paddingBeside(file: string, tokenizer: JsonTokenizer): Promise<number> {
  const folder = dirname(file)
  const names = await namesIn(folder)
  for (const name of [CONFIG, 'special_tokens_map.json'].filter(name => names.includes(name))) {
    const json = await readJson(join(folder, name))
    const { pad_token, padding_side = 'right', truncation_side = 'right' } = isRecord(json) ? json : {}
    for (const [field, side] of Object.entries({ padding_side, truncation_side }))
      if (side !== 'right')
        throw new TokenizerError(`${field} is ${given(side)}, not 'right': rows are padded and cut at their end`, {
          file: join(folder, name),
        })
    const token = isRecord(pad_token) ? pad_token.content : pad_token
    if (token === undefined || token === null) continue
    const id = typeof token === 'string' ? tokenizer.idOf(token) : undefined
    if (id === undefined)
      throw new TokenizerError(`pad_token is ${given(token)}, which is not a token of ${basename(file)}`, {
        file: join(folder, name),
      })
    return id
  }
  throw new TokenizerError(
    `the token that fills its rows is not known: put the ${CONFIG} of the model beside it, which has it as pad_token`,
    { file },
  )
}

/** Writes a tokenizer as OpenCLIP reads it: its tokenizer.json, and for one of Hugging Face tokenizer_config.json. */
export async function writeTokenizer(folder: string, tokenizer: Tokenizer): Promise<void> {
  const isOther = tokenizer instanceof OpenClipTokenizer
  const json = isOther ? tokenizer.tokenizer.toJSON() : tokenizer.toJSON()
  await writeAtomically(join(folder, 'tokenizer.json'), `${JSON.stringify(json)}\n`)
  if (isOther) await writeAtomically(join(folder, CONFIG), `${JSON.stringify(tokenizer.config, null, 2)}\n`)
}
