// Reads a tokenizer from a file of any supported format.

import { DataError, messageOf, readBytes, TokenizerError } from '../../io/index.ts'
import { parseTokenizer } from './parse.ts'
import type { Tokenizer } from './tokenizer.ts'

/**
 * Reads the result of any tokenizer's `toJSON`, a Hugging Face `tokenizer.json` (that of CLIP becomes a ClipTokenizer), or
 * CLIP's list of merges, `bpe_simple_vocab_16e6.txt`, plain or compressed by gzip.
 * @throws FileError if it cannot be read, TokenizerError naming the file if it is none of these
 */
export async function readTokenizer(file: string): Promise<Tokenizer> {
  const bytes = await readBytes(file)
  try {
    return await parseTokenizer(bytes)
  } catch (error) {
    const reason = error instanceof DataError ? error.reason : messageOf(error)
    throw new TokenizerError(reason, { file, cause: error })
  }
}
