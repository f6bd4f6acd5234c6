// Reads a tokenizer from a file of any supported format.

import { gunzipSync } from 'node:zlib'
import { DataError, messageOf, parseJson, readBytes, TokenizerError } from '../../io/index.ts'

import { ClipTokenizer } from './clip.ts'
import { JsonTokenizer } from './json.ts'
import { OpenClipTokenizer } from './open-clip.ts'
import { type Tokenizer, WordTokenizer } from './tokenizer.ts'

/**
 * Reads the result of any tokenizer's `toJSON`, a Hugging Face `tokenizer.json` (that of CLIP becomes a ClipTokenizer), or
 * CLIP's list of merges, `bpe_simple_vocab_16e6.txt`, plain or compressed by gzip.
 * @throws FileError if it cannot be read, TokenizerError naming the file if it is none of these
 */
export async function readTokenizer(file: string): Promise<Tokenizer> {
  const bytes = await readBytes(file)
  try {
    return parseTokenizer(textOf(bytes))
  } catch (error) {
    const reason = error instanceof DataError ? error.reason : messageOf(error)
    throw new TokenizerError(reason, { file, cause: error })
  }
}

function textOf(bytes: Uint8Array): string {
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b
  return new TextDecoder('utf-8', { fatal: true }).decode(isGzip ? gunzipSync(bytes) : bytes)
}

function parseTokenizer(text: string): Tokenizer {
  if (!/^\s*[{[]/.test(text)) {
    if (/^(#|"bpe_)/.test(text)) return ClipTokenizer.fromMerges(text)
    throw new TokenizerError('is neither a tokenizer.json nor a list of merges that begins with #version')
  }
  return tokenizerFromJSON(parseJson(text))
}

/**
 * The tokenizer that a parsed JSON file describes: one of this project, or a tokenizer.json of Hugging Face.
 * @throws TokenizerError if the value describes no tokenizer
 */
export function tokenizerFromJSON(json: unknown): Tokenizer {
  const type = (json as { type?: unknown } | null)?.type
  if (type === 'words') return WordTokenizer.fromJSON(json)
  if (type === 'open-clip') return OpenClipTokenizer.fromJSON(json)
  return ClipTokenizer.isClip(json) ? ClipTokenizer.fromJSON(json) : JsonTokenizer.fromJSON(json)
}
