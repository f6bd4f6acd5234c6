// Reads and writes the tokenizer of a checkpoint of OpenCLIP in its folder.

import { dirname, join } from 'node:path'
import { OpenClipTokenizer, readTokenizer, type Tokenizer } from '../data/index.ts'
import { namesIn, readJson, writeAtomically } from '../io/index.ts'
import { type OpenClipTokenizerSource, PADDING, type PaddingFile, withOpenClipRows } from './tokenizer-settings.ts'

/**
 * Reads the tokenizer of a checkpoint. A tokenizer.json gives the rows of OpenCLIP if the configuration has `hf_tokenizer_name`, or
 * if the model reads the last position, as a SigLIP does; without that name texts are cleaned as for a SigLIP then. Any other file
 * is read as it is.
 * @throws TokenizerError naming the file if the token of the padding is not known, or the setting of the tokenizer that is not supported
 */
export const openClipTokenizer = async (file: string, source: OpenClipTokenizerSource): Promise<Tokenizer> =>
  withOpenClipRows(await readTokenizer(file), file, source, () => filesBeside(file))

/** tokenizer_config.json, and special_tokens_map.json, which older folders have. */
async function* filesBeside(file: string): AsyncGenerator<PaddingFile> {
  const folder = dirname(file)
  const names = await namesIn(folder)
  for (const name of [PADDING, 'special_tokens_map.json'])
    if (names.includes(name)) yield [join(folder, name), await readJson(join(folder, name))]
}

/** Writes a tokenizer as OpenCLIP reads it: its tokenizer.json, and for one of Hugging Face tokenizer_config.json. */
export async function writeTokenizer(folder: string, tokenizer: Tokenizer): Promise<void> {
  const isOther = tokenizer instanceof OpenClipTokenizer
  const json = isOther ? tokenizer.tokenizer.toJSON() : tokenizer.toJSON()
  await writeAtomically(join(folder, 'tokenizer.json'), `${JSON.stringify(json)}\n`)
  if (isOther) await writeAtomically(join(folder, PADDING), `${JSON.stringify(tokenizer.config, null, 2)}\n`)
}
