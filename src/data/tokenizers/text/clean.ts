// The cleaning of text in CLIP before it is tokenized (github.com/openai/CLIP, simple_tokenizer.py): broken characters
// are repaired as in the Python package ftfy, HTML references are resolved twice, white space becomes single spaces,
// and letters become lower case. OpenCLIP's models with other tokenizers keep the case, or lose the punctuation too.

import { unescapeHtml, unescapeStrictHtml } from './html.ts'
import { readControls, repairMojibake } from './mojibake.ts'

/** A text as CLIP's tokenizer gets it. */
export const cleanText = (text: string): string => squeeze(basicClean(text)).toLowerCase()

/**
 * How OpenCLIP cleans a text, by its names: the repaired text with single spaces (`whitespace`), in lower case (`lower`), and
 * without punctuation (`canonicalize`, for SigLIP): `_` becomes a space, and the other 31 ASCII signs are removed.
 */
export type TextCleaning = 'whitespace' | 'lower' | 'canonicalize'

/** The functions by name (open_clip/tokenizer.py, get_clean_fn). */
export const cleanings: Readonly<Record<TextCleaning, (text: string) => string>> = {
  whitespace: text => squeeze(basicClean(text)),
  lower: cleanText,
  canonicalize: text => squeeze(basicClean(text).replaceAll('_', ' ').replace(PUNCTUATION, '').toLowerCase()),
}

/** Python's string.punctuation. */
const PUNCTUATION = /[!-/:-@[-`{-~]/g

const basicClean = (text: string): string => unescapeHtml(unescapeHtml(repairText(text)))

/** White space as defined by Unicode: U+0085 is included, a byte order mark is not. */
const squeeze = (text: string) => text.replace(/\p{White_Space}+/gu, ' ').replace(/^ | $/g, '')

/**
 * Repairs errors from copying and wrong encodings, line by line, until nothing changes: HTML references unless the
 * text holds a `<`, UTF-8 read as windows-1252 or Latin-1, ligatures, full and half width forms, curly quotes, line
 * ends, lone surrogates, terminal colours and control characters; then NFC. Other wrong encodings stay as they are.
 */
export function repairText(text: string): string {
  let isMarkup = false
  return text
    .split(/(?<=\n)/)
    .map(line => {
      isMarkup ||= line.includes('<')
      return repairLine(line, !isMarkup)
    })
    .join('')
}

function repairLine(line: string, resolve: boolean): string {
  for (let before = line; ; ) {
    const after = repairOnce(resolve ? unescapeStrictHtml(before) : before)
    if (after === before) return after
    before = after
  }
}

const repairOnce = (text: string): string =>
  readControls(repairMojibake(text))
    .replace(/[ĲĳŉǄ-ǌǱ-ǳﬀ-ﬄﬆ]/g, ligature => ligature.normalize('NFKC'))
    .replaceAll('ﬅ', 'ſt')
    .replace(/[\u3000\uff01-\uffef]/g, wide => wide.normalize('NFKC'))
    .replace(/[\u02bc\u2018-\u201b]/g, "'")
    .replace(/[\u201c-\u201f]/g, '"')
    .replace(/\r\n|[\r\u0085\u2028\u2029]/g, '\n')
    .replace(/\p{Surrogate}/gu, '\ufffd')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
    .replace(/\x1b\[[\d;]*[a-zA-Z]/g, '')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
    .replace(/[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]/g, '')
    .normalize('NFC')
