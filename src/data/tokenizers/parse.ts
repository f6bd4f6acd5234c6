// A tokenizer of any supported format from the text or the bytes of its file. Runs in a browser.

import { parseJson, TokenizerError } from '../../io/browser.ts'
import { checkArguments } from '../../tensor/arguments.ts'
import * as is from '../../tensor/kinds.ts'
import { ClipTokenizer } from './clip.ts'
import { JsonTokenizer } from './json.ts'
import { OpenClipTokenizer } from './open-clip.ts'
import { type Tokenizer, WordTokenizer } from './tokenizer.ts'

const isFile = new is.Kind<string | Uint8Array | ArrayBuffer>(
  'the text of a file, or its bytes as a Uint8Array or an ArrayBuffer',
  x => typeof x === 'string' || x instanceof Uint8Array || x instanceof ArrayBuffer,
)

/**
 * The tokenizer of a file that is in memory: the result of any tokenizer's `toJSON`, a Hugging Face `tokenizer.json` (that of CLIP
 * becomes a ClipTokenizer), or CLIP's list of merges, `bpe_simple_vocab_16e6.txt`, plain or compressed by gzip. In a page:
 *
 *     const tokenizer = await parseTokenizer(await (await fetch('tokenizer.json')).arrayBuffer())
 *
 * @param file its text or its bytes
 * @throws TokenizerError if it is none of these; DataError if it is not JSON
 */
export async function parseTokenizer(file: string | Uint8Array | ArrayBuffer): Promise<Tokenizer> {
  checkArguments('parseTokenizer(file)', [isFile], [file])
  const text = typeof file === 'string' ? file : await textOf(new Uint8Array(file))
  if (!/^\s*[{[]/.test(text)) {
    if (/^(#|"bpe_)/.test(text)) return ClipTokenizer.fromMerges(text)
    throw new TokenizerError('is neither a tokenizer.json nor a list of merges that begins with #version')
  }
  return tokenizerFromJSON(parseJson(text))
}

async function textOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b
  const plain = isGzip ? new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip')) : bytes
  return new TextDecoder('utf-8', { fatal: true }).decode(await new Response(plain).arrayBuffer())
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
